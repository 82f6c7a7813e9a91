//! One try against one target: what is sent, what came back, when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use translate::Wire;
use translate::loss::Losses;
use translate::provider::{Destination, ModelRules};
use translate::relay::{RequestEdits, StreamPipe, apply_quirks, rewrite_request};
use translate::wire::{BadRequest, Observation};

use super::exchange::Call;
use crate::config::snapshot::{Key, Provider};
use crate::route::endpoint::Operation;
use crate::route::plan::Step;
use crate::telemetry::access_log::AttemptRecord;
use crate::upstream::capacity::Slot;

/// The running attempt, or the one that answered.
pub struct Attempt {
    pub provider: Arc<Provider>,
    pub key: Arc<Key>,
    pub model: Arc<str>,
    pub upstream: Upstream,
    pub clock: Clock,
    /// Status of the provider's answer; 0 before it came.
    pub status: u16,
    pub upstream_request_id: Option<Box<str>>,
    /// What the answer's headers ask us to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry: false`.
    pub retry_forbidden: bool,
    /// Headers of an error answer that the caller gets too.
    pub refusal_headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Its end is in `Exchange::attempts`.
    pub recorded: bool,
    /// With the caller's own key: its faults say nothing about ours.
    pub direct: bool,
    /// Counted at the provider until the attempt ends.
    pub slot: Option<Slot>,
    pub pace: Pace,
    pub answer: Answer,
}

/// What goes to the provider.
pub struct Upstream {
    pub body: Bytes,
    pub losses: Losses,
    /// Same wire on both sides: bytes are relayed.
    pub relay: bool,
    /// Only we asked for usage in the stream.
    pub usage_is_ours: bool,
}

/// When things happened.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub began: Instant,
    pub first_token: Option<Instant>,
}

/// How fast an answer comes: too slow is as bad as silent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Since the last time that enough had come.
    bytes: u64,
    since: Option<Instant>,
}

impl Pace {
    /// Notes `bytes` of the answer. True when fewer than `floor` bytes per second came over a whole `span`.
    pub fn is_slow(&mut self, bytes: usize, floor: u32, span: Duration) -> bool {
        let enough = (f64::from(floor) * span.as_secs_f64()) as u64;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.bytes >= enough {
            *self = Self::default();
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= span
    }
}

/// The answer so far.
pub enum Answer {
    /// No header yet.
    Awaited,
    /// An error status: its body is gathered to be understood.
    Refused(BytesMut),
    /// A whole answer being gathered, to be checked before a byte of it goes out.
    Whole(BytesMut),
    /// A whole answer too large to hold: relayed unchecked.
    Passed {
        bytes: u64,
    },
    Stream(Box<Streaming>),
    /// Sent in full.
    Sent(Box<Observation>),
}

/// A streamed answer.
pub struct Streaming {
    pub pipe: StreamPipe,
    /// Downstream bytes kept until the first token: until then another target can still answer.
    pub held: Vec<u8>,
    /// The first token went out.
    pub released: bool,
    /// The answer is complete and its last byte was handed on.
    pub ended: bool,
}

impl Attempt {
    /// An attempt at `step` with `key`.
    #[must_use]
    pub fn new(step: &Step, key: &Arc<Key>, upstream: Upstream) -> Self {
        Self {
            provider: Arc::clone(&step.provider),
            key: Arc::clone(key),
            model: Arc::clone(&step.model),
            upstream,
            clock: Clock { began: Instant::now(), first_token: None },
            status: 0,
            upstream_request_id: None,
            retry_after_ms: None,
            retry_forbidden: false,
            refusal_headers: Vec::new(),
            recorded: false,
            direct: false,
            slot: None,
            pace: Pace::default(),
            answer: Answer::Awaited,
        }
    }

    /// What was learned of the answer, when anything was.
    #[must_use]
    pub fn seen(&self) -> Option<&Observation> {
        match &self.answer {
            Answer::Stream(streaming) => Some(streaming.pipe.seen()),
            Answer::Sent(seen) => Some(seen),
            _ => None,
        }
    }

    /// What the answer consumed, in our counting; `None` when the provider has not told.
    #[must_use]
    pub fn usage(&self) -> Option<translate::ir::Usage> {
        match &self.answer {
            Answer::Stream(streaming) => streaming.pipe.usage(),
            Answer::Sent(seen) => seen.usage,
            _ => None,
        }
    }

    /// The record of this attempt. `outcome` is `success` or a fault's label.
    #[must_use]
    pub fn record(&self, outcome: &'static str, reason: Option<&str>) -> AttemptRecord {
        AttemptRecord {
            provider: Arc::clone(&self.provider.name),
            model: Arc::clone(&self.model),
            key: self.key.secret.is_some().then(|| Arc::clone(&self.key.name)),
            outcome,
            status: (self.status != 0).then_some(self.status),
            latency_ms: millis(self.clock.began),
            reason: reason.map(AttemptRecord::shorten),
        }
    }
}

/// The request as this step's provider takes it: the caller's bytes with span edits on the same wire,
/// else translated.
///
/// # Errors
/// The request has no meaning on the provider's wire.
pub fn prepare(call: &mut Call, step: &Step) -> Result<Upstream, BadRequest> {
    let provider = &step.provider;
    let mut losses = Losses::default();
    let relay = call.endpoint.dialect == provider.wire;
    if relay {
        let asks = call.stream && call.endpoint.operation == Operation::Chat;
        let ask_usage = asks && provider.wire == Wire::OpenAiChat && provider.spec.quirks.stream_usage;
        let edits = RequestEdits {
            model: &step.model,
            ask_usage,
            quirks: &provider.spec.quirks,
            drop: &["fallbacks"],
        };
        let body = match rewrite_request(&call.body, &call.peek, &edits, &mut losses) {
            std::borrow::Cow::Borrowed(_) => call.body.clone(),
            std::borrow::Cow::Owned(body) => Bytes::from(body),
        };
        return Ok(Upstream { body, losses, relay, usage_is_ours: ask_usage && !call.include_usage });
    }
    if call.decoded.is_none() {
        call.peek.members.refuse_duplicates(&call.body, None)?;
        call.decoded = Some(Box::new(call.endpoint.dialect.codec().decode_request(&call.body)?));
    }
    let Some(request) = call.decoded.as_mut() else {
        return Err(BadRequest::at("", "the request could not be read"));
    };
    request.model = step.model.to_string();
    let rules = ModelRules::of(&provider.name, provider.wire, &step.model);
    let to = Destination { quirks: &provider.spec.quirks, rules: &rules, model: &step.model };
    let body = provider.wire.codec().encode_request(request, &to, &mut losses)?;
    let body = apply_quirks(body, &provider.spec.quirks, &mut losses);
    Ok(Upstream { body: Bytes::from(body), losses, relay, usage_is_ours: false })
}

/// Milliseconds since `since`.
#[must_use]
pub fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
