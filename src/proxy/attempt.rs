//! One try against one target: what is sent, what came back, when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use translate::Wire;
use translate::count;
use translate::ir::Signature;
use translate::loss::Losses;
use translate::provider::{Destination, ModelRules};
use translate::relay::{
    BetaHost, RequestEdits, StreamPipe, apply_quirks, place_betas, rewrite_request, without_unasked,
};
use translate::wire::bedrock_converse::Meter;
use translate::wire::gemini::JsonArray;
use translate::wire::{BadRequest, Observation};

use super::clock::Clock;
use super::closing::Closing;
use super::coding::Inflater;
use super::content::Pieces;
use super::exchange::Call;
use super::prediction::{Place, Running};
use super::unread::Unread;
use super::{recovery, tasks};
use crate::account::charge::Charge;
use crate::account::settle::Stake;
use crate::config::backend::Backend;
use crate::config::policy::{Limits, Timeouts};
use crate::config::snapshot::{BaseUrl, Key, Provider};
use crate::route::endpoint::{Operation, stored};
use crate::route::plan::Step;
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::metrics::Pauses;
use crate::upstream::backend::Visit;
use crate::upstream::capacity::Slot;
use crate::upstream::health::Ticket;
use crate::upstream::target::{self, Target};

/// The running attempt, or the one that answered.
pub struct Attempt {
    pub provider: Arc<Provider>,
    pub key: Arc<Key>,
    pub model: Arc<str>,
    pub limits: Timeouts,
    pub upstream: Upstream,
    pub clock: Clock,
    /// Of its span, where it is recorded.
    pub span_id: u64,
    /// Status of the provider's answer; 0 before it came.
    pub status: u16,
    /// Its whole request was on its way: from there on the provider may bill it.
    pub asked: bool,
    pub upstream_request_id: Option<Box<str>>,
    /// What the answer's headers ask us to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// What the answer's headers say it consumed.
    pub told_usage: Option<translate::ir::Usage>,
    /// `x-should-retry: false`.
    pub retry_forbidden: bool,
    /// Headers of an error answer that the caller gets too.
    pub refusal_headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Its end is in `Exchange::attempts`.
    pub recorded: bool,
    /// What it tells of its target; `None` for a caller's own key, which says nothing of ours.
    pub ticket: Option<Ticket>,
    /// The server, where there are several.
    pub backend: Option<Arc<Backend>>,
    /// What it tells of that.
    pub visit: Option<Visit>,
    /// With the caller's own key: its faults say nothing about ours.
    pub direct: bool,
    /// Counted at the provider until the attempt ends.
    pub slot: Option<Slot>,
    pub pace: Pace,
    /// The answer came compressed.
    pub coding: Option<Box<Inflater>>,
    pub answer: Answer,
    /// Looks at one that goes through unread.
    pub unread: Option<Box<Unread>>,
    /// The answer is fetched from where the provider made it: a prediction's, or its stream's.
    pub turned: bool,
    /// The other server where it is.
    pub place: Option<Box<Place>>,
    /// Cancelled with the attempt, unless it has ended.
    pub running: Option<Running>,
    /// What its answer cost, once that is complete.
    pub charge: Option<Box<Charge>>,
    /// What it holds of budgets and limits, until it is known what it used.
    pub stake: Option<Arc<Stake>>,
    /// Its request was sent by another task: what Pingora sends goes nowhere.
    pub handed: bool,
    /// What the provider sent, where that is kept.
    pub raw: Option<Box<Pieces>>,
}

/// What goes to the provider.
pub struct Upstream {
    pub target: Target,
    pub body: Bytes,
    pub losses: Losses,
    /// Same wire on both sides: bytes are relayed.
    pub relay: bool,
    /// Only we asked for usage in the stream.
    pub usage_is_ours: bool,
    /// The header that names Anthropic's betas, where the service takes them there.
    pub betas: Option<http::HeaderValue>,
    /// Not chat: what is asked, in the provider's format.
    pub task: Option<tasks::Format>,
}

impl Upstream {
    /// A body that was made for the provider's wire.
    pub fn made(target: Target, body: impl Into<Bytes>, losses: Losses) -> Self {
        let body = body.into();
        Self { target, body, losses, relay: false, usage_is_ours: false, betas: None, task: None }
    }
}

/// How fast an answer comes: too slow is as bad as silent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Since the last time that enough had come.
    bytes: u64,
    /// When that was, and how long the caller had kept us waiting until then.
    since: Option<(Instant, Duration)>,
}

impl Pace {
    /// Notes `bytes` of the answer. True when fewer than `floor` bytes per second came over a whole `span`. Time in which
    /// the caller did not read (`kept_waiting` in all so far) is not the provider's.
    pub fn is_slow(&mut self, bytes: usize, (floor, span): (u32, Duration), kept_waiting: Duration) -> bool {
        let enough = (f64::from(floor) * span.as_secs_f64()) as u64;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.bytes >= enough {
            *self = Self::default();
            return false;
        }
        let (since, before) = *self.since.get_or_insert_with(|| (Instant::now(), kept_waiting));
        since.elapsed().saturating_sub(kept_waiting.saturating_sub(before)) >= span
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
    /// Relayed unchecked: a whole answer too large to hold, or one that is not ours to read.
    Passed {
        bytes: u64,
        /// Of a stream that is relayed unread.
        meter: Option<Box<Meter>>,
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
    /// Makes one JSON list of the events, for a caller that does not take events.
    pub list: Option<JsonArray>,
    pub closing: Closing,
    /// The first token went out.
    pub released: bool,
    /// The answer is complete and its last byte was handed on.
    pub ended: bool,
    /// Nothing goes out before the answer is complete.
    pub whole: bool,
    /// It broke, and another attempt is to go on with it: what still comes is nobody's.
    pub broken: bool,
    /// The time between its pieces.
    pub pauses: Pauses,
}

impl Streaming {
    /// Before its first byte.
    #[must_use]
    pub fn new(pipe: StreamPipe, list: Option<JsonArray>, closing: Closing, whole: bool) -> Self {
        let held = Vec::new();
        let pauses = Pauses::default();
        Self { pipe, held, list, closing, released: false, ended: false, whole, broken: false, pauses }
    }

    /// From here on everything goes out as it comes: what was held stands before `out`.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        self.released = true;
        if !self.held.is_empty() {
            let mut held = std::mem::take(&mut self.held);
            held.append(out);
            *out = held;
        }
    }

    /// Now; a piece of the stream came then, if one did.
    pub fn moment(&mut self, came: bool) -> Instant {
        let now = Instant::now();
        if came {
            self.pauses.piece(now);
        }
        now
    }

    /// What goes out, in the form the caller wants: events, or one list of them.
    pub fn outgoing(&mut self, out: Vec<u8>) -> Vec<u8> {
        let Some(list) = &mut self.list else { return out };
        let mut array = list.push(&out);
        if self.ended {
            array.extend(list.finish());
        }
        array
    }
}

impl Attempt {
    /// An attempt at `step` with `key`.
    #[must_use]
    pub fn new(step: &Step, key: &Arc<Key>, limits: &Limits, upstream: Upstream) -> Self {
        Self {
            provider: Arc::clone(&step.provider),
            key: Arc::clone(key),
            model: Arc::clone(&step.model),
            limits: limits.at(&step.provider.network),
            upstream,
            clock: Clock::starts(),
            span_id: fastrand::u64(1..),
            status: 0,
            asked: false,
            upstream_request_id: None,
            retry_after_ms: None,
            told_usage: None,
            retry_forbidden: false,
            refusal_headers: Vec::new(),
            recorded: false,
            ticket: None,
            backend: None,
            visit: None,
            direct: false,
            slot: None,
            pace: Pace::default(),
            coding: None,
            answer: Answer::Awaited,
            unread: None,
            turned: false,
            place: None,
            running: None,
            charge: None,
            stake: None,
            handed: false,
            raw: None,
        }
    }

    /// What was learned of the answer, when anything was.
    #[must_use]
    pub fn seen(&self) -> Option<&Observation> {
        Self::seen_in(&self.answer)
    }

    /// What was learned of an answer, when anything was.
    #[must_use]
    pub fn seen_in(answer: &Answer) -> Option<&Observation> {
        match answer {
            Answer::Stream(streaming) => Some(streaming.pipe.seen()),
            Answer::Sent(seen) => Some(seen),
            _ => None,
        }
    }

    /// What the answer consumed, in our counting; `None` when the provider has not told.
    #[must_use]
    pub fn usage_in(answer: &Answer, told: Option<translate::ir::Usage>) -> Option<translate::ir::Usage> {
        match answer {
            Answer::Stream(streaming) => streaming.pipe.usage(),
            Answer::Sent(seen) => seen.usage,
            Answer::Passed { meter, .. } => meter.as_ref().and_then(|meter| meter.usage).or(told),
            _ => None,
        }
    }

    /// Where this attempt's request goes: to the account of its key, unless the answer is elsewhere.
    #[must_use]
    pub fn endpoint(&self) -> &BaseUrl {
        if let Some(place) = &self.place {
            return &place.server;
        }
        let own = self.upstream.target.elsewhere.as_deref().or(self.key.endpoint.as_deref());
        own.unwrap_or(&self.provider.endpoint)
    }

    /// The record of this attempt. `outcome` is `success` or a fault's label.
    #[must_use]
    pub fn record(&self, outcome: &'static str, reason: Option<&str>) -> AttemptRecord {
        let now = Instant::now();
        AttemptRecord {
            provider: Arc::clone(&self.provider.name),
            model: Arc::clone(&self.model),
            key: self.key.secret.is_some().then(|| Arc::clone(&self.key.name)),
            backend: self.backend.as_ref().map(|backend| Arc::clone(&backend.name)),
            outcome,
            status: (self.status != 0).then_some(self.status),
            latency_ms: self.clock.took_ms(now),
            reason: reason.map(AttemptRecord::shorten),
            spent: None,
            phases: self.clock.phases(now),
            span_id: self.span_id,
        }
    }
}

/// The request as this step's provider takes it: the caller's bytes with span edits on the same wire,
/// else translated.
///
/// # Errors
/// The request has no meaning on the provider's wire.
pub fn prepare(call: &mut Call, step: &Step, key: &Key) -> Result<Upstream, BadRequest> {
    let mut upstream = built(call, step, key)?;
    let header = upstream.betas.as_ref().and_then(|names| names.to_str().ok()).unwrap_or_default();
    let unasked = without_unasked(&upstream.body, header, upstream.target.quirks, &mut upstream.losses);
    if let Some(body) = unasked {
        upstream.body = body.into();
    }
    Ok(upstream)
}

fn built(call: &mut Call, step: &Step, key: &Key) -> Result<Upstream, BadRequest> {
    let provider = &step.provider;
    let model = key.deployment(&step.model);
    let server = call.cursor.backend.as_ref().map(|backend| Arc::clone(&backend.url));
    let at = server.as_deref().or(key.endpoint.as_deref()).unwrap_or(&provider.endpoint);
    if call.recovery.goes_on() {
        let mut upstream = recovery::prepare(call, step, (at, model))?;
        upstream.target.elsewhere = upstream.target.elsewhere.or(server);
        return Ok(upstream);
    }
    let Some(mut target) = target::choose(provider, at, call.endpoint, model, call.stream) else {
        return Err(BadRequest::at("", format!("{} does not support this operation", provider.name)));
    };
    // The paths are that server's: so is the request.
    target.elsewhere = target.elsewhere.or_else(|| server.clone());
    match call.endpoint.operation {
        Operation::Embeddings => return tasks::embed(call, provider, model, target),
        Operation::Rerank => {
            let named = at.rerank_model.as_deref().filter(|_| !model.starts_with("arn:"));
            let model = named.map_or_else(|| model.to_string(), |named| named.replace("{model}", model));
            return tasks::rerank(call, provider, &model, target);
        }
        Operation::Passthrough => return Ok(passed(call, provider, (at, model), target)),
        Operation::Invoke => return Ok(relayed(call, model, target)),
        Operation::Chat | Operation::Completions | Operation::CountTokens => {}
    }
    let dialect = call.endpoint.dialect;
    let relays = match target.count {
        Some(format) => count::is_relayed(dialect, format, &call.body),
        None => dialect == target.wire,
    };
    // A signature that names another maker must not reach this one, nor a URL whoever takes none.
    let same = relays && (target.takes_urls || !call.inlined) && !Signature::any_marked(&call.body);
    let mut upstream =
        if same { relayed(call, model, target) } else { translated(call, provider, model, target)? };
    // A deployment's name may tell nothing: then the caller's does.
    let named = if model.contains("claude") { model } else { &step.model };
    put_betas(&mut upstream, &call.betas, (named, provider));
    Ok(upstream)
}

/// Puts the betas that the caller names where the service takes them.
pub fn put_betas(upstream: &mut Upstream, asked: &[Box<str>], (model, provider): (&str, &Provider)) {
    let overrides = &provider.network.beta_overrides;
    let to = BetaHost { betas: upstream.target.betas, overrides, model };
    let placed = place_betas(&upstream.body, asked, &to, &mut upstream.losses);
    if let Some(body) = placed.body {
        upstream.body = body.into();
    }
    upstream.betas = placed.header.and_then(|names| names.try_into().ok());
}

fn relayed(call: &Call, model: &str, target: Target) -> Upstream {
    let mut losses = Losses::default();
    let asks = call.stream && matches!(call.endpoint.operation, Operation::Chat | Operation::Completions);
    let ask_usage = asks && target.wire == Wire::OpenAiChat && target.quirks.stream_usage;
    let edits = RequestEdits { model, ask_usage, quirks: target.quirks, drop: &["fallbacks"] };
    let body = match rewrite_request(&call.body, &call.peek, &edits, &mut losses) {
        std::borrow::Cow::Borrowed(_) => call.body.clone(),
        std::borrow::Cow::Owned(body) => Bytes::from(body),
    };
    let body = match target.count {
        Some(count::Format::Gemini) => tasks::renamed(body, model),
        _ => body,
    };
    let task = target.count.map(tasks::Format::Count);
    Upstream {
        target,
        body,
        losses,
        relay: true,
        usage_is_ours: ask_usage && !call.include_usage,
        betas: None,
        task,
    }
}

/// Nothing is known of it but where it goes.
fn passed(call: &Call, provider: &Provider, (at, model): (&BaseUrl, &str), mut target: Target) -> Upstream {
    if let Some((_, path)) = &call.raw {
        // Kept answers are below the API that made them, wherever this provider has it.
        let api = target::path_of(provider, at, Wire::OpenAiResponses);
        target.path = match api.filter(|_| call.endpoint.dialect == Wire::OpenAiResponses) {
            Some(api) => stored::at(path, api),
            None => format!("{}{path}", at.root),
        }
        .into();
        target.fixed = false;
    }
    let mut losses = Losses::default();
    // Where the caller named a model, the provider has its own name for it.
    let body = match provider.spec.quirks_on(call.endpoint.dialect) {
        Some(quirks) if !call.peek.model_span.is_empty() => {
            let edits = RequestEdits { model, ask_usage: false, quirks, drop: &[] };
            Bytes::from(rewrite_request(&call.body, &call.peek, &edits, &mut losses).into_owned())
        }
        _ => call.body.clone(),
    };
    Upstream { relay: true, ..Upstream::made(target, body, losses) }
}

fn translated(
    call: &mut Call,
    provider: &Provider,
    model: &Arc<str>,
    target: Target,
) -> Result<Upstream, BadRequest> {
    let mut losses = Losses::default();
    decode(call)?;
    let Some(request) = call.decoded.as_mut() else {
        return Err(BadRequest::at("", "the request could not be read"));
    };
    request.model = model.to_string();
    let rules = ModelRules::of(&provider.name, target.wire, model);
    let to = Destination { quirks: target.quirks, rules: &rules, model };
    if let Some(format) = target.count {
        let body = count::encode_request(format, request, &to, &mut losses)?;
        let task = Some(tasks::Format::Count(format));
        return Ok(Upstream { task, ..Upstream::made(target, body, losses) });
    }
    let body = target.wire.codec().encode_request(request, &to, &mut losses)?;
    let body = apply_quirks(body, target.quirks, &mut losses);
    Ok(Upstream::made(target, body, losses))
}

/// Reads the body as its dialect has it, once.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn decode(call: &mut Call) -> Result<(), BadRequest> {
    if call.decoded.is_some() {
        return Ok(());
    }
    call.peek.members.refuse_duplicates(&call.body, None)?;
    let mut request = match call.endpoint.operation {
        Operation::CountTokens => count::decode_request(call.endpoint.dialect, &call.body)?,
        _ => call.endpoint.codec().decode_request(&call.body)?,
    };
    if call.endpoint.dialect.model_in_path() {
        request.stream = call.stream;
        request.stream_usage = call.stream;
    }
    call.decoded = Some(Box::new(request));
    Ok(())
}

/// Milliseconds since `since`.
#[must_use]
pub fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
