//! What is known of a finished request: what the log line, the request log, the rollups, the live stream and the traces
//! are made of, so that all of them tell the same.
//!
//! Times are measured, never guessed: what was not seen is absent. Nothing here is decided or written.

use std::sync::Arc;

use bytes::Bytes;
use translate::ir::Usage;

use super::access_log::AttemptRecord;
use crate::account::charge::Charge;
use crate::auth::Caller;

/// A finished request. Times are microseconds since its head was read, unless said otherwise.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Its line is to be logged: levels change at run time, and the line is written later.
    pub logged: bool,
    /// Orders by time: the Unix milliseconds of its beginning in the upper 42 bits, 21 bits of its id's hash below.
    pub id: u64,
    /// The caller's `x-request-id`, or ours.
    pub request_id: Box<str>,
    /// `x-bf-parent-request-id`.
    pub parent_request_id: Option<Box<str>>,
    /// `x-bf-session-id`.
    pub session_id: Option<Box<str>>,
    pub trace: Option<Trace>,
    /// Unix microseconds.
    pub started_us: u64,
    pub took_us: u64,
    /// The caller's wire, as in the lexicon: `openai`, `anthropic`, …
    pub dialect: &'static str,
    /// What was asked: `chat_completion`, `embedding`, … ([`crate::route::endpoint`]'s request types).
    pub object: &'static str,
    pub path: Box<str>,
    pub stream: bool,
    /// Sent to the caller; 0: none was.
    pub status: u16,
    pub error: Option<Failed>,
    /// As the caller wrote it.
    pub model_asked: Box<str>,
    /// Of the attempt that answered, or was tried last.
    pub provider: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    pub key: Option<Arc<str>>,
    pub upstream_request_id: Option<Box<str>>,
    /// The model that answered, as the provider calls it.
    pub model_served: Option<Box<str>>,
    /// Why the answer ended: `stop`, `length`, `tool_calls`, …
    pub finish: Option<&'static str>,
    /// Whose virtual key it came with.
    pub caller: Option<Caller>,
    pub attempts: Vec<AttemptRecord>,
    pub decision: Decision,
    /// The answer came from a cache.
    pub cache_hit: bool,
    /// What the cache did, where it was asked.
    pub cache: Option<Box<CacheSeen>>,
    pub usage: Option<Usage>,
    /// The counts were estimated: the provider's own never came.
    pub usage_estimated: bool,
    /// Nano-dollars over all attempts; `None`: nobody knows.
    pub cost_nanos: Option<u64>,
    /// What the answer itself cost, line by line: what `extra_fields.cost` shows.
    pub charge: Option<Box<Charge>>,
    /// Nobody knows what all of it cost.
    pub unpriced: bool,
    /// What was read of the request, what was decided, what was waited for.
    pub phases: Phases,
    /// Until the caller had the first token.
    pub first_token_us: Option<u64>,
    /// Waited for places at providers.
    pub queued_us: Option<u64>,
    /// Time in the gateway less time waiting for sockets.
    pub overhead_us: u64,
    /// Of the body as it came.
    pub request_bytes: u64,
    /// Of the body as it was sent.
    pub response_bytes: u64,
    /// `x-bf-lh-*`, `x-bf-dim-*` and `client.logging_headers`: name (without the prefix) and value. Never a credential.
    pub tags: Vec<(Box<str>, Box<str>)>,
    /// There were more tags, or longer ones, than are kept.
    pub tags_cut: bool,
    /// Version of the configuration that it was served with.
    pub revision: u64,
    /// The request that this one is a copy of.
    pub mirror_of: Option<Box<str>>,
    /// Bodies, where they are to be kept.
    pub content: Option<Box<Content>>,
}

/// What the cache did with a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CacheSeen {
    /// How the answer was found: `direct`, `semantic`, `single_flight`. `None`: it was not.
    pub hit: Option<&'static str>,
    /// How it would have been, had it been given (shadow mode).
    pub shadow: Option<&'static str>,
    /// Cosine of what was given, or of the nearest that was not.
    pub similarity: Option<f32>,
    /// From which on something is near enough; `None`: it was not compared by meaning.
    pub threshold: Option<f32>,
    /// The guard that refused what was near enough.
    pub guarded: Option<&'static str>,
    /// Number of what was given.
    pub entry: Option<Box<str>>,
    /// Nano-dollars that the answer cost when it was first given.
    pub saved_nanos: Option<u64>,
    /// Microseconds less than its provider took.
    pub saved_us: Option<u64>,
    /// Microseconds that the lookup took, or the wait beside an equal request.
    pub looked_us: u64,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Label of the fault: docs/errors.md.
    pub kind: &'static str,
    pub message: Box<str>,
}

/// W3C trace context: <https://www.w3.org/TR/trace-context/>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: u128,
    /// Of the request's own span.
    pub span_id: u64,
    /// The caller's span, where it sent one.
    pub parent_id: Option<u64>,
    /// Whoever is asked is told to record it too.
    pub sampled: bool,
    /// The right half of the trace's id is random.
    pub random: bool,
    /// A collector is configured that takes it: spans are made of it.
    pub recorded: bool,
    /// `tracestate`, as it came.
    pub state: Option<Box<str>>,
}

/// Why it went where it went.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// What led to the first target.
    pub led_by: LedBy,
    /// The rule that matched.
    pub rule: Option<Arc<str>>,
    /// How keys were chosen: `weighted`, `adaptive`, …; empty where there was no choice.
    pub strategy: &'static str,
    /// Targets that were looked at for the first attempt, and those that stood behind, in the order of the plan.
    pub candidates: Vec<Candidate>,
    /// So many more are not in the list.
    pub more_candidates: u32,
    /// Limits and budgets that were looked at, the nearest to its end first; the one that refused before all.
    pub limits: Vec<LimitSeen>,
}

/// What led to the first target of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum LedBy {
    /// The model that was asked for.
    #[default]
    Model = 0,
    /// The model's name is one of several for another model or group.
    Alias = 1,
    /// The name is that of a group of models.
    Group = 2,
    /// The virtual key chose among the providers it may use.
    Grant = 3,
    /// A rule.
    Rule = 4,
    /// What the path names.
    Path = 5,
}

impl LedBy {
    /// Its word in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Alias => "alias",
            Self::Group => "group",
            Self::Grant => "virtual_key",
            Self::Rule => "rule",
            Self::Path => "path",
        }
    }
}

/// A target that was looked at.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub provider: Arc<str>,
    pub model: Arc<str>,
    pub key: Option<Arc<str>>,
    /// Its share of the choice, 0 to 1, when it could be chosen by one.
    pub share: Option<f32>,
    /// [`CHOSEN`], [`READY`], [`STANDS_BEHIND`], or why it could not be: `cooling: rate limited`, `circuit open`, `full`,
    /// `not allowed`, …
    pub verdict: &'static str,
}

/// The candidate that was tried first.
pub const CHOSEN: &str = "chosen";
/// A candidate that could have been.
pub const READY: &str = "ready";
/// A candidate for which there was no need.
pub const STANDS_BEHIND: &str = "stands behind";

/// A budget or limit as it stood when the request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSeen {
    /// As `virtual_key:vk-1`.
    pub owner: Box<str>,
    /// `budget`, `requests`, `tokens`, `input_tokens`, `output_tokens`, `concurrency`.
    pub what: &'static str,
    /// Nano-dollars of a budget. What requests under way hold is in it.
    pub used: u64,
    pub max: u64,
    /// It refused the request.
    pub refused: bool,
}

/// Steps of the gateway before the first attempt. 0: it did not get there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Until it was known who calls.
    pub admitted_us: u64,
    /// Until its body was there.
    pub body_us: u64,
    /// Until it was known what is asked and where it may go.
    pub planned_us: u64,
    /// Until budgets and limits let it in.
    pub reserved_us: u64,
}

/// Steps of one attempt, in microseconds since the request's head was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptPhases {
    pub began_us: u64,
    /// It waited so long for a place at the provider before it began.
    pub queued_us: Option<u64>,
    /// It was put off so long before it began: a back-off, or a target that rested.
    pub delayed_us: Option<u64>,
    /// A pooled connection was used: nothing was connected.
    pub reused: bool,
    /// TCP was connected (and the egress proxy, where there is one).
    pub connected_us: Option<u64>,
    /// TLS was agreed on.
    pub secured_us: Option<u64>,
    /// The last byte of the request was handed to the connection.
    pub sent_us: Option<u64>,
    /// The head of the answer came.
    pub answered_us: Option<u64>,
    pub first_token_us: Option<u64>,
    pub ended_us: u64,
}

/// What the steps of an attempt took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spans {
    /// To TCP.
    pub connect_us: Option<u64>,
    pub tls_us: Option<u64>,
    /// From the connection (or the beginning, over a pooled one) to the last byte of the request.
    pub send_us: Option<u64>,
    /// From there to the head of the answer.
    pub first_byte_us: Option<u64>,
    /// From the head to the first token.
    pub first_token_us: Option<u64>,
    /// From the last step that was seen to the end.
    pub rest_us: u64,
}

impl AttemptPhases {
    /// What each step took.
    #[must_use]
    pub fn spans(&self) -> Spans {
        let mut last = self.began_us;
        let mut span = |until: Option<u64>| {
            let until = until?;
            let took = until.saturating_sub(last);
            last = last.max(until);
            Some(took)
        };
        let (connect_us, tls_us) = (span(self.connected_us), span(self.secured_us));
        let (send_us, first_byte_us) = (span(self.sent_us), span(self.answered_us));
        let first_token_us = span(self.first_token_us);
        Spans {
            connect_us,
            tls_us,
            send_us,
            first_byte_us,
            first_token_us,
            rest_us: self.ended_us.saturating_sub(last),
        }
    }
}

/// Bodies as they crossed the caller's side, and the provider's where they differ.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pub request: Bytes,
    pub response: Vec<Bytes>,
    /// More came than is kept.
    pub request_cut: bool,
    /// More was sent than is kept.
    pub response_cut: bool,
    /// What the answering attempt was sent, where `store_raw_request_response` asks for it.
    pub upstream_request: Option<Bytes>,
    pub upstream_response: Option<Vec<Bytes>>,
}

impl Content {
    /// Bytes of all of it.
    #[must_use]
    pub fn size(&self) -> usize {
        let sum = |pieces: &[Bytes]| pieces.iter().map(Bytes::len).sum::<usize>();
        let upstream = self.upstream_request.as_ref().map_or(0, Bytes::len);
        let raw = self.upstream_response.as_deref().map_or(0, sum);
        self.request.len() + sum(&self.response) + upstream + raw
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// By the first attempt.
    Success = 0,
    /// After an attempt had failed.
    FailedOver = 1,
    CacheHit = 2,
    /// The caller's request was at fault, or not allowed.
    ClientError = 3,
    UpstreamError = 4,
    /// The caller left before its end.
    Cancelled = 5,
}

impl Outcome {
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::FailedOver,
        Self::CacheHit,
        Self::ClientError,
        Self::UpstreamError,
        Self::Cancelled,
    ];
}

impl Record {
    /// The number that a request is known by in the request log.
    #[must_use]
    pub fn number(started_ms: u64, request_id: &str) -> u64 {
        const HASHED: u64 = (1 << 21) - 1;
        let hash = request_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (started_ms << 21 | (hash ^ hash >> 32) & HASHED) & i64::MAX.cast_unsigned()
    }

    /// The Unix milliseconds in an id that the gateway made. Callers may choose ids that look the same.
    #[must_use]
    pub fn moment_of(request_id: &str) -> Option<u64> {
        let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let ours = request_id.len() == 32 && request_id.bytes().all(plain);
        ours.then(|| u64::from_str_radix(request_id.get(..12)?, 16).ok()).flatten()
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.error {
            Some(error) if error.kind == "caller_gone" => Outcome::Cancelled,
            // Ours, where nobody was asked.
            Some(_) if self.status == 429 && self.tried() => Outcome::UpstreamError,
            Some(_) if (400..500).contains(&self.status) => Outcome::ClientError,
            Some(_) => Outcome::UpstreamError,
            None if self.cache_hit => Outcome::CacheHit,
            None if self.status >= 400 => Outcome::ClientError,
            None if self.tried() => Outcome::FailedOver,
            None => Outcome::Success,
        }
    }

    /// An attempt has failed.
    fn tried(&self) -> bool {
        self.attempts.iter().any(AttemptRecord::failed)
    }
}
