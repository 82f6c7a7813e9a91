//! What becomes of a stream that breaks after its caller had the first token.
//!
//! `continue`: what came is remembered, the next target whose model is known to goes on from the caller's last word, and
//! the caller sees one stream. `buffered`: nothing goes out before the answer is whole, so a break is an ordinary retry;
//! here it is only counted. `error`: the stream ends with an error event. How a stream is taken up is
//! `translate::relay`'s; which attempt follows is the cursor's. Nothing is said twice, and no end is made up.

mod ask;

use std::time::Instant;

use govern::verdict::{FaultClass, Verdict};
use http::HeaderMap;
use translate::ir::{FailureKind, Usage};
use translate::relay::{Broken, StreamPipe, StreamPipeOptions};
use translate::wire::gemini::JsonArray;

use super::Gateway;
use super::attempt::{Answer, Attempt};
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::{cost, logging};
use crate::account::charge::Charge;
use crate::config::policy::Recovery as Mode;
use crate::config::snapshot::Provider;
use crate::route::endpoint::Operation;
use crate::telemetry::access_log::Spent;
use crate::telemetry::events::{Event, emit};

pub use ask::{passes_over, prepare};

/// Streams of one request that are taken up: each costs its input once more.
const MOST: u32 = 2;
/// The outcome, in the attempt list, of a target that was passed over for its model.
pub const CANNOT_CONTINUE: &str = "cannot_continue";
const HEADER: &str = "x-bf-stream-recovery";

/// What a request knows of its streams that broke.
#[derive(Default)]
pub struct Recovery {
    /// What the caller asks for.
    asked: Option<Mode>,
    /// Where the answer stands, until another stream goes on with it.
    standing: Option<Box<Standing>>,
    /// Streams that were taken up after the caller had some of them.
    rounds: u32,
    /// One of them had said nothing but reasoning, and the answer was begun anew behind it.
    anew: bool,
    /// Streams that broke while their answer was held back.
    unseen: u32,
    /// Why the first one broke: what the caller is told when nobody goes on.
    first: Option<Fault>,
    /// When the caller had the first token.
    pub first_token: Option<Instant>,
    /// What the attempts that broke consumed.
    spent: Option<Usage>,
    /// The same of the last of them alone, until it is written down.
    own: Option<Spent>,
}

struct Standing {
    broken: Broken,
    list: Option<JsonArray>,
}

impl Recovery {
    /// The next attempt goes on with an answer that was begun.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.standing.is_some()
    }

    /// Streams that were taken up after the caller had some of them.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// What attempts consumed that broke after they had said something. What each cost is in the attempt list.
    #[must_use]
    pub fn spent(&self) -> Option<Usage> {
        self.spent
    }
}

/// Reads what the caller asks for.
///
/// # Errors
/// The header holds another word.
pub fn asked(headers: &HeaderMap) -> Result<Recovery, Fault> {
    let mode = match headers.get(HEADER).map(|value| value.as_bytes()) {
        None => None,
        Some(b"error") => Some(Mode::Error),
        Some(b"continue") => Some(Mode::Continue),
        Some(b"buffered") => Some(Mode::Buffered),
        Some(_) => {
            let message = format!("`{HEADER}` must be error, continue or buffered");
            return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param(HEADER));
        }
    };
    Ok(Recovery { asked: mode, ..Recovery::default() })
}

/// What is done with a stream of this provider: as the caller asks, as the rule that matched says, or as is configured.
fn mode(call: &Call, provider: &Provider) -> Mode {
    let recovery = call.recovery.asked.or(call.plan.policy.recovery).or(provider.recovery);
    recovery.unwrap_or(Mode::Continue)
}

/// The answer is to be held back until it is whole; the rest of one that the caller has some of is not.
#[must_use]
pub fn holds_back(call: &Call, attempt: &Attempt) -> bool {
    call.recovery.rounds == 0 && mode(call, &attempt.provider) == Mode::Buffered
}

/// A pipe for the running attempt's stream: `fresh`, or one that goes on where another stopped.
pub fn pipe(
    call: &mut Call,
    attempt: &Attempt,
    options: StreamPipeOptions,
    fresh: impl FnOnce(&Call, StreamPipeOptions) -> StreamPipe,
) -> (StreamPipe, Option<JsonArray>) {
    let target = &attempt.upstream.target;
    if let Some(standing) = call.recovery.standing.take() {
        let Standing { broken, list } = *standing;
        let pipe = StreamPipe::resumed(options.upstream, broken, options.hold_last)
            .with_framing(target.framing, call.endpoint.framing);
        return (pipe, list);
    }
    let remembers = call.endpoint.operation == Operation::Chat
        && mode(call, &attempt.provider) == Mode::Continue
        && ask::somebody_is_able(call);
    let again = remembers.then(|| options.clone());
    let pipe = fresh(call, options).with_framing(target.framing, call.endpoint.framing);
    let list = call.list.then(JsonArray::new);
    match again {
        Some(options) => (pipe.with_memory(options), list),
        None => (pipe, list),
    }
}

/// Another attempt may go on with this stream, which broke with `fault`.
pub fn may_go_on(call: &mut Call, attempt: &mut Attempt, fault: &Fault) -> bool {
    let Answer::Stream(streaming) = &mut attempt.answer else { return false };
    let verdict = fault.class.verdict();
    if !streaming.released
        || streaming.ended
        || call.recovery.rounds >= MOST
        || verdict == Verdict::Stop
        || mode(call, &attempt.provider) != Mode::Continue
    {
        return false;
    }
    let written =
        logging::consumed(&attempt.upstream, &attempt.answer, None).map_or(0, |(usage, _)| usage.output);
    let Some(said) = streaming_said(&mut attempt.answer) else { return false };
    let written = written.saturating_add(call.recovery.spent.map_or(0, |spent| spent.output));
    ask::is_possible(call, &said, written, verdict == Verdict::Failover)
}

fn streaming_said(answer: &mut Answer) -> Option<String> {
    let Answer::Stream(streaming) = answer else { return None };
    streaming.pipe.said().map(str::to_owned)
}

/// An attempt that failed, as far as its stream is concerned.
pub struct Broke {
    /// Nobody can go on: what the caller has is all it gets.
    pub for_good: bool,
    /// What it consumed, where it had said something.
    spent: Option<Spent>,
}

/// Digests the end of the running attempt, before anybody notes it. `begun`: the caller has some of its answer.
pub fn broke(gateway: &Gateway, exchange: &mut Exchange, fault: &Fault, begun: bool) -> Broke {
    let taken_up = begun && take_up(gateway, exchange, fault);
    if !begun {
        put_back(gateway, exchange, fault);
    }
    let for_good = (begun && !taken_up) || is_lost(exchange);
    Broke { for_good, spent: exchange.call.as_deref_mut().and_then(|call| call.recovery.own.take()) }
}

impl Broke {
    /// Shows in the attempt list, where the attempt is the last by now, what it consumed.
    pub fn write_down(&self, exchange: &mut Exchange) {
        if let (Some(spent), Some(last)) = (self.spent, exchange.attempts.last_mut()) {
            last.spent = Some(spent);
        }
    }
}

/// Takes up the running attempt's stream, which broke with `fault` after the caller had some of it. False: it ends here.
fn take_up(gateway: &Gateway, exchange: &mut Exchange, fault: &Fault) -> bool {
    let Some(mut attempt) = exchange.attempt.take() else { return false };
    let possible = exchange.call.as_deref_mut().is_some_and(|call| may_go_on(call, &mut attempt, fault));
    let taken = possible && break_off(gateway, exchange, &mut attempt, fault);
    exchange.attempt = Some(attempt);
    taken
}

fn break_off(gateway: &Gateway, exchange: &mut Exchange, attempt: &mut Attempt, fault: &Fault) -> bool {
    let usage = spend(gateway, exchange, attempt);
    let (Some(call), Answer::Stream(streaming)) = (exchange.call.as_deref_mut(), &mut attempt.answer) else {
        return false;
    };
    let Some(broken) = streaming.pipe.break_off(&usage) else { return false };
    let recovery = &mut call.recovery;
    recovery.rounds += 1;
    recovery.first_token = recovery.first_token.or(attempt.clock.first_token);
    recovery.anew |= broken.text().is_empty();
    recovery.first.get_or_insert_with(|| fault.clone());
    recovery.standing = Some(Box::new(Standing { broken, list: streaming.list.take() }));
    ask::ends_with_the_last_that_is_able(call);
    true
}

/// The running attempt failed, and the caller has nothing of it. Puts back what it was to go on with, and counts what a
/// held answer consumed.
fn put_back(gateway: &Gateway, exchange: &mut Exchange, fault: &Fault) {
    let Some(mut attempt) = exchange.attempt.take() else { return };
    let spoke = matches!(&attempt.answer, Answer::Stream(streaming) if streaming.pipe.seen().content);
    if is_held(&attempt) && spoke {
        spend(gateway, exchange, &attempt);
        if let Some(call) = exchange.call.as_deref_mut() {
            call.recovery.unseen += 1;
            call.recovery.first.get_or_insert_with(|| fault.clone());
        }
    } else if let (Some(call), Answer::Stream(streaming)) =
        (exchange.call.as_deref_mut(), &mut attempt.answer)
        && call.recovery.rounds > 0
        && let Some(broken) = streaming.pipe.break_off(&Usage::default())
    {
        call.recovery.standing = Some(Box::new(Standing { broken, list: streaming.list.take() }));
    }
    exchange.attempt = Some(attempt);
}

/// The answer is held back until it is whole.
fn is_held(attempt: &Attempt) -> bool {
    matches!(&attempt.answer, Answer::Stream(streaming) if streaming.whole && !streaming.released)
}

/// Notes what an attempt consumed that broke after it had said something, at its own provider and model.
fn spend(gateway: &Gateway, exchange: &mut Exchange, attempt: &Attempt) -> Usage {
    let consumed = logging::consumed(&attempt.upstream, &attempt.answer, attempt.told_usage);
    let Some((usage, _)) = consumed else { return Usage::default() };
    let charge = cost::of(exchange, attempt, &usage);
    let unpriced = cost::is_unpriced(exchange, attempt, charge.as_ref());
    let cost_nanos = charge.map(|Charge { nanos, .. }| nanos);
    attempt.stake.iter().for_each(|stake| stake.spent(&cost::spend(&usage, cost_nanos, true)));
    let series = gateway.metrics.series(&attempt.provider.name, &attempt.model, true);
    logging::tally(&series, Some(&usage), cost_nanos);
    if let Some(call) = exchange.call.as_deref_mut() {
        let recovery = &mut call.recovery;
        recovery.spent = Some(recovery.spent.map_or(usage, |before| before.plus(&usage)));
        let (input_tokens, output_tokens) = (usage.input_total(), usage.output);
        recovery.own = Some(Spent { input_tokens, output_tokens, cost_nanos, unpriced });
    }
    usage
}

/// The running attempt was to go on with what the caller has, and the caller has nothing of it yet.
#[must_use]
pub fn is_unseen(exchange: &Exchange) -> bool {
    let resumed = exchange.call.as_deref().is_some_and(|call| call.recovery.rounds > 0);
    let seen = exchange
        .attempt
        .as_deref()
        .is_some_and(|attempt| matches!(&attempt.answer, Answer::Stream(streaming) if streaming.released));
    resumed && !seen
}

/// What the caller has cannot be handed on any more: nobody may begin anew behind it.
fn is_lost(exchange: &Exchange) -> bool {
    let stands = |call: &Call| call.recovery.rounds == 0 || call.recovery.goes_on();
    let resumed = exchange
        .attempt
        .as_deref()
        .is_some_and(|attempt| matches!(&attempt.answer, Answer::Stream(streaming) if !streaming.released));
    resumed && !exchange.call.as_deref().is_some_and(stands)
}

/// The current target is not asked to go on: its model does not, or it refused to. A refusal of that is none of what the
/// caller asked for, and somebody else may take it.
#[must_use]
pub fn moves_on(call: &Call, class: FaultClass) -> bool {
    let refused = matches!(class, FaultClass::InvalidRequest | FaultClass::ContentPolicy);
    let unable = || call.cursor.current(&call.plan).is_some_and(|step| ask::passes_over(call, step));
    call.recovery.goes_on() && (refused || unable())
}

/// Nobody goes on: the last of the stream, with the reason why the first one broke. `None`: no stream was taken up.
pub fn last_words(exchange: &mut Exchange) -> Option<Vec<u8>> {
    let call = exchange.call.as_deref_mut()?;
    if call.recovery.rounds == 0 || exchange.attempt.is_some() {
        return None;
    }
    let overdue = exchange.fault.take_if(|fault| fault.class == FaultClass::TotalTimeout);
    let fault = overdue.or_else(|| call.recovery.first.clone()).or_else(|| exchange.fault.take())?;
    let out = match call.recovery.standing.take() {
        Some(standing) => {
            let Standing { broken, list } = *standing;
            let words = broken.fail(&fault.failure, &exchange.request_id);
            match list {
                Some(mut list) => [list.push(&words), list.finish()].concat(),
                None => words,
            }
        }
        None => call.endpoint.codec().encode_stream_failure(&fault.failure, &exchange.request_id),
    };
    exchange.fault = Some(fault);
    Some(out)
}

/// Counts what became of the streams that were taken up.
pub fn count(gateway: &Gateway, exchange: &Exchange) {
    let Some(recovery) = exchange.call.as_deref().map(|call| &call.recovery) else { return };
    if recovery.rounds == 0 && recovery.unseen == 0 {
        return;
    }
    let outcome = match &exchange.fault {
        // Nobody waited for what would have become of it.
        Some(fault) if fault.class == FaultClass::CallerGone => return,
        Some(_) => "failed",
        None if recovery.rounds > 0 && !recovery.anew => "continued",
        None => "restarted",
    };
    gateway.metrics.streams.recoveries.with_label_values(&[outcome]).inc();
    if let ("continued", Some(last)) = (outcome, exchange.attempts.last()) {
        let (request_id, provider, model) = (&*exchange.request_id, &*last.provider, &*last.model);
        emit(Event::StreamRecovered { request_id, provider, model });
    }
}
