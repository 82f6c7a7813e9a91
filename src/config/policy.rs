//! What the configuration, or the rule that matched, asks for a request beside its targets.
//!
//! Each field that is `None` leaves the matter to the provider's own settings. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use super::snapshot::Network;

/// How a request is treated on its way.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The rule that matched.
    pub rule: Option<Arc<str>>,
    pub limits: Limits,
    /// Stands before [`Provider::recovery`](super::snapshot::Provider::recovery), which knows the configured one.
    pub recovery: Option<Recovery>,
    pub hedge: Option<Hedge>,
    pub priority: Priority,
}

/// Limits of time that stand before those of the providers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Until the response header of an attempt.
    pub first_byte: Option<Duration>,
    /// Until the first token of a streaming attempt.
    pub first_token: Option<Duration>,
    /// Longest silence between two events of a stream.
    pub idle: Option<Duration>,
    /// Whole answer of an attempt that does not stream.
    pub request: Option<Duration>,
    /// Over all attempts.
    pub total: Option<Duration>,
}

/// The limits of one attempt: a policy's before a provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the response header.
    pub first_byte: Duration,
    /// Until the first token of a stream; `None`: only `idle` applies.
    pub first_token: Option<Duration>,
    /// Between two events of a stream.
    pub idle: Duration,
    /// Whole answer that is not streamed.
    pub request: Duration,
}

impl Limits {
    /// The limits of an attempt at a provider with these settings.
    #[must_use]
    pub fn at(&self, network: &Network) -> Timeouts {
        Timeouts {
            first_byte: self.first_byte.unwrap_or(network.first_byte_timeout),
            first_token: self.first_token.or(network.ttft_timeout),
            idle: self.idle.unwrap_or(network.stream_idle_timeout),
            request: self.request.unwrap_or(network.request_timeout),
        }
    }
}

/// What becomes of a stream that breaks after the caller had the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It ends with an error event.
    Error,
    /// The next target that is able goes on where it broke.
    Continue,
    /// The answer is held until it is whole, so that a break can be made good unseen.
    Buffered,
}

/// When a second attempt starts beside the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// `None`: the 95th percentile of recent times to the first token.
    pub after: Option<Duration>,
    /// Spend on attempts that lost, per thousand of all spend.
    pub max_extra_permille: u32,
}

/// Who goes first where there is a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}
