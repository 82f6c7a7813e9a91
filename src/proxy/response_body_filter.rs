//! The answer's body: gathered and checked when whole, followed frame by frame when streamed.
//!
//! Nothing leaves before it is known to be an answer: a whole one when it is complete, a streamed one
//! with its first token. Until then a fault is raised as an error, and `retry` may choose another
//! target. After that a fault can only be told in the stream itself.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use govern::queue::Ended;
use govern::verdict::FaultClass;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use translate::ir::{FailureKind, Part, Usage};
use translate::loss::UNCOUNTED;
use translate::relay::{Flow, counts_in, splice_extra_fields};
use translate::wire::{BadResponse, Observation, retry_delay_ms};

use super::attempt::{Answer, Attempt};
use super::closing::CLOSING;
use super::exchange::{Call, Exchange};
use super::fault::{Fault, class_of};
use super::logging::{chars_of, estimate};
use super::replay::Limit;
use super::upstream_response_filter::{echo, tool_names};
use super::{cache, cost, count, extra_fields, recovery, set_deadline, tasks};
use crate::route::endpoint::Operation;

/// The fault is in `Exchange::fault`.
pub const FAULT: ErrorType = ErrorType::Custom("upstream fault");

/// Error bodies are read up to here: enough to understand them.
const REFUSAL_LIMIT: usize = 64 * 1024;
/// Whole answers up to here are held until they are complete.
const WHOLE_LIMIT: usize = 32 * 1024 * 1024;
/// A stream without a token is held up to here, and for each byte of the request up to [`ECHOES`] more.
const HELD_LIMIT: usize = 1024 * 1024;
/// An answer that is held back until it is whole is held up to here.
const BUFFERED_LIMIT: usize = 8 * 1024 * 1024;
/// Some wires repeat the request before the first token: twice, each time with escapes of up to three times
/// the length, and we may write them anew.
const ECHOES: usize = 8;

/// One chunk of the provider's body in, what the caller gets out.
///
/// # Errors
/// The answer turned out to be none, and nothing of it went downstream yet.
pub fn run(body: &mut Option<Bytes>, end_of_stream: bool, exchange: &mut Exchange) -> Result<()> {
    exchange.work();
    let mut chunk = body.take().unwrap_or_default();
    // Taken out while it is worked on: building `extra_fields` reads the rest of the exchange.
    let Some(mut attempt) = exchange.attempt.take() else { return Ok(()) };
    let kept_waiting = exchange.call.as_ref().map(|call| call.stage.kept_waiting()).unwrap_or_default();
    let slow = !end_of_stream && is_slow(&mut attempt, chunk.len(), kept_waiting);
    let uninflated = inflate(&mut attempt, &mut chunk);
    attempt.raw.iter_mut().for_each(|raw| raw.push(&chunk));
    let piece = exchange.cache.as_ref().filter(|cached| cached.leads()).map(|_| chunk.clone());
    let broken = uninflated.or_else(|| slow.then(|| too_slow(&attempt)));
    let result = match (&mut attempt.answer, broken) {
        (Answer::Whole(_) | Answer::Stream(_), Some(broken)) => give_up(exchange, &mut attempt, broken),
        (Answer::Refused(buffer), _) => refused(buffer, &chunk, end_of_stream).map(|()| None),
        (Answer::Whole(_), None) => whole(exchange, &mut attempt, &chunk, end_of_stream),
        (Answer::Passed { .. }, _) => passed(exchange, &mut attempt, chunk, end_of_stream),
        (Answer::Stream(_), None) => stream(exchange, &mut attempt, &chunk, end_of_stream),
        (Answer::Awaited | Answer::Sent(_), _) => Ok(None),
    };
    cache::lead::came(exchange, &attempt, piece.as_ref());
    let result = match result {
        Ok(out) => {
            exchange.goes(out.as_ref());
            *body = out;
            Ok(())
        }
        Err(Refusal::Status) => {
            let fault = refusal(&attempt);
            exchange.fault = Some(fault);
            Err(raise())
        }
        Err(Refusal::Fault(fault)) => {
            exchange.fault = Some(*fault);
            Err(raise())
        }
    };
    if result.is_ok() && exchange.fault.is_none() && is_whole(&attempt.answer) {
        // Before its last byte goes out: the caller's next request may be here before this one is written down.
        attempt.slot.take().into_iter().for_each(|slot| slot.end(Ended::Served));
        cache::lead::lands(exchange, &attempt);
    }
    let last =
        is_whole(&attempt.answer) || (end_of_stream && matches!(attempt.answer, Answer::Passed { .. }));
    if result.is_ok() && last {
        cost::settle(exchange, &attempt);
    }
    exchange.attempt = Some(attempt);
    exchange.wait();
    result
}

/// All of the answer was handed on.
fn is_whole(answer: &Answer) -> bool {
    match answer {
        Answer::Sent(_) => true,
        Answer::Stream(streaming) => streaming.ended,
        Answer::Awaited | Answer::Refused(_) | Answer::Whole(_) | Answer::Passed { .. } => false,
    }
}

enum Refusal {
    /// The provider answered with an error status; its body is complete.
    Status,
    Fault(Box<Fault>),
}

fn fault(fault: Fault) -> Refusal {
    Refusal::Fault(Box::new(fault))
}

fn raise() -> Box<Error> {
    Error::create(FAULT, ErrorSource::Upstream, None, None)
}

fn is_slow(attempt: &mut Attempt, bytes: usize, kept_waiting: Duration) -> bool {
    let floor = attempt.provider.network.min_bytes_per_second;
    attempt.pace.is_slow(bytes, (floor, attempt.limits.idle), kept_waiting)
}

fn too_slow(attempt: &Attempt) -> Fault {
    let floor = attempt.provider.network.min_bytes_per_second;
    let message = format!("the answer came slower than {floor} bytes per second (min_bytes_per_second)");
    Fault::new(FaultClass::IdleTimeout, message)
}

/// Undoes the coding of an answer that came compressed. Of one that cannot be read nothing is left.
fn inflate(attempt: &mut Attempt, chunk: &mut Bytes) -> Option<Fault> {
    let plain = attempt.coding.as_mut()?.inflate(chunk);
    let (plain, broken) = match plain {
        Ok(plain) => (plain, None),
        Err(message) => (Vec::new(), Some(Fault::new(FaultClass::BadAnswer, message))),
    };
    *chunk = plain.into();
    broken
}

/// The answer is no good: given up while another target can still answer, else ended in the stream itself.
fn give_up(exchange: &mut Exchange, attempt: &mut Attempt, broken: Fault) -> Result<Option<Bytes>, Refusal> {
    let idle = attempt.limits.idle;
    let Answer::Stream(streaming) = &mut attempt.answer else { return Err(fault(broken)) };
    if streaming.ended || streaming.broken {
        return Ok(None);
    }
    if !streaming.released {
        return Err(fault(broken));
    }
    let mut out = Vec::new();
    break_in_stream(exchange, attempt, broken, &mut out);
    let Answer::Stream(streaming) = &mut attempt.answer else { return Ok(None) };
    let out = streaming.outgoing(out);
    if streaming.ended {
        deadline(exchange, Limit::Complete, CLOSING.min(idle), exchange.total_deadline());
    }
    Ok((!out.is_empty()).then(|| out.into()))
}

/// A stream that its caller has some of is no good: another attempt goes on with it, or it ends with an error event.
fn break_in_stream(exchange: &mut Exchange, attempt: &mut Attempt, broken: Fault, out: &mut Vec<u8>) {
    let goes_on = exchange.call.as_deref_mut().is_some_and(|call| {
        let goes_on = recovery::may_go_on(call, attempt, &broken);
        // What is written before the break must go out before the attempt fails.
        goes_on.then(|| call.stage.break_off()).is_some()
    });
    let Answer::Stream(streaming) = &mut attempt.answer else { return };
    if goes_on {
        streaming.broken = true;
    } else {
        streaming.pipe.fail(&broken.failure, &exchange.request_id, out);
        streaming.ended = true;
    }
    exchange.fault = Some(broken);
}

/// A part of an answer that is relayed unread.
fn passed(
    exchange: &mut Exchange,
    attempt: &mut Attempt,
    chunk: Bytes,
    end: bool,
) -> Result<Option<Bytes>, Refusal> {
    if let Some(unread) = attempt.unread.as_mut() {
        unread.push(&chunk, end);
        attempt.told_usage = unread.usage();
    }
    let Answer::Passed { bytes, meter } = &mut attempt.answer else { return Ok(None) };
    if meter.is_some() || exchange.call.as_ref().is_some_and(|call| call.raw.is_some()) {
        let idle = attempt.limits.idle;
        deadline(exchange, Limit::Idle, idle, exchange.total_deadline());
    }
    if let Some(meter) = meter {
        meter.push(&chunk);
        let failed = meter.failure.as_ref().filter(|_| exchange.fault.is_none());
        match failed.cloned().map(in_band) {
            // Nothing of it went out: another target may answer.
            Some(broken) if *bytes == 0 => return Err(fault(broken)),
            // The caller reads of it in the stream itself.
            broken => exchange.fault = exchange.fault.take().or(broken),
        }
        attempt.clock.token_came(attempt.ticket.as_ref());
    }
    *bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    Ok((!chunk.is_empty()).then_some(chunk))
}

/// Takes in a piece of an error's body. False: there is enough of it.
pub fn gather_refusal(attempt: &mut Attempt, chunk: &[u8]) -> bool {
    match &mut attempt.answer {
        Answer::Refused(buffer) => refused(buffer, chunk, false).is_ok(),
        _ => false,
    }
}

fn refused(buffer: &mut BytesMut, chunk: &[u8], end: bool) -> Result<(), Refusal> {
    let room = REFUSAL_LIMIT.saturating_sub(buffer.len());
    buffer.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
    if end || buffer.len() >= REFUSAL_LIMIT { Err(Refusal::Status) } else { Ok(()) }
}

/// The fault an error status and its body stand for.
pub fn refusal(attempt: &Attempt) -> Fault {
    let body: &[u8] = match &attempt.answer {
        Answer::Refused(buffer) => buffer,
        _ => &[],
    };
    let mut failure = attempt.upstream.target.wire.codec().decode_failure(attempt.status, body);
    if attempt.status < 400 {
        failure.status = 502;
        failure.kind = FailureKind::Upstream;
        failure.message = format!("the provider answered with status {}", attempt.status);
    }
    if attempt.upstream.target.count.is_some()
        && let Some(fault) = count::refused(&failure)
    {
        return fault;
    }
    let pause = attempt.retry_after_ms.or_else(|| retry_delay_ms(body));
    let mut fault = Fault::answered(failure, pause);
    fault.headers.clone_from(&attempt.refusal_headers);
    fault
}

fn whole(
    exchange: &mut Exchange,
    attempt: &mut Attempt,
    chunk: &Bytes,
    end: bool,
) -> Result<Option<Bytes>, Refusal> {
    let Some(call) = exchange.call.as_deref() else { return Ok(None) };
    let Answer::Whole(buffer) = &mut attempt.answer else { return Ok(None) };
    let came = if end && buffer.is_empty() {
        chunk.clone()
    } else {
        buffer.extend_from_slice(chunk);
        if !end && buffer.len() > WHOLE_LIMIT && attempt.upstream.relay {
            let so_far = std::mem::take(buffer).freeze();
            let bytes = u64::try_from(so_far.len()).unwrap_or(u64::MAX);
            attempt.answer = Answer::Passed { bytes, meter: None };
            return Ok(Some(so_far));
        }
        if buffer.len() > WHOLE_LIMIT && !attempt.upstream.relay {
            return Err(fault(too_long()));
        }
        if !end {
            return Ok(None);
        }
        std::mem::take(buffer).freeze()
    };
    if call.stream {
        attempt.told_usage = told_in(attempt, &came);
        return Err(fault(no_stream(attempt, &came)));
    }
    let (answer, seen) = check_whole(exchange, call, attempt, came.clone()).map_err(|bad| {
        // Paid for all the same.
        attempt.told_usage = told_in(attempt, &came);
        fault(bad_answer(bad))
    })?;
    attempt.answer = Answer::Sent(Box::new(seen));
    cache::lead::whole(exchange, if attempt.upstream.task.is_some() { &answer } else { &came });
    cost::note(exchange, attempt);
    exchange.call.iter().for_each(|call| call.stage.tell_cost(cost::header(exchange, attempt)));
    if !exchange.extra_fields() {
        return Ok(Some(answer));
    }
    let fields = extra_fields::of_answer(exchange, attempt, None);
    let mut out = Vec::with_capacity(answer.len() + fields.len() + 20);
    if splice_extra_fields(&answer, &fields, &mut out) { Ok(Some(out.into())) } else { Ok(Some(answer)) }
}

/// Checks a complete answer and translates it where the wires differ.
fn check_whole(
    exchange: &Exchange,
    call: &Call,
    attempt: &mut Attempt,
    body: Bytes,
) -> Result<(Bytes, Observation), BadResponse> {
    if let Some(task) = attempt.upstream.task {
        let echo = echo(call, &exchange.request_id);
        let relay = attempt.upstream.relay;
        return tasks::answer(call, (task, relay), body, &echo, &mut attempt.upstream.losses);
    }
    let target = &attempt.upstream.target;
    let style = target.quirks.usage;
    if call.endpoint.operation == Operation::Invoke {
        let usage = attempt.told_usage;
        return Ok((body, Observation { content: true, usage, done: true, ..Observation::default() }));
    }
    if attempt.upstream.relay {
        // Both sides speak the caller's dialect.
        let mut seen = call.endpoint.codec().observe_response(&body)?;
        seen.usage = seen.usage.map(|usage| style.apply(usage));
        return Ok((body, seen));
    }
    let mut response = target.wire.codec().decode_response(&body)?;
    if let Some(failure) = response.failure() {
        return Err(BadResponse::Failure(failure));
    }
    response.usage = response.usage.map(|usage| style.apply(usage));
    tool_names(call, &attempt.upstream).restore(&mut response);
    let parts = || response.choices.iter().flat_map(|choice| choice.parts.iter());
    let seen = Observation {
        content: true,
        tool_call: parts().any(|part| matches!(part, Part::ToolCall(_))),
        finish: response.choices.first().and_then(|c| c.finish.as_ref()).map(|f| f.reason),
        usage: response.usage,
        model: Some(response.model.clone()),
        output_chars: parts().map(chars_of).sum(),
        done: true,
        ..Observation::default()
    };
    if response.usage.is_none() && call.endpoint.codec().always_counts() {
        response.usage = Some(estimate(&attempt.upstream, seen.output_chars));
        attempt.upstream.losses.report("usage", UNCOUNTED);
    }
    let echo = echo(call, &exchange.request_id);
    let out = call.endpoint.codec().encode_response(&response, &echo, &mut attempt.upstream.losses);
    Ok((out.into(), seen))
}

/// What an answer that is no good was billed with, in our counting.
fn told_in(attempt: &Attempt, answer: &[u8]) -> Option<Usage> {
    let target = &attempt.upstream.target;
    let usage = counts_in(target.wire, answer)?;
    Some(target.quirks.usage.apply(usage)).filter(|usage| usage.total() > 0)
}

/// The fault of an answer without an end.
pub fn too_long() -> Fault {
    Fault::new(FaultClass::BadAnswer, "the provider's answer is longer than the gateway can hold")
}

/// A stream was asked for and a whole body came: an error under 200, or no answer.
pub fn no_stream(attempt: &Attempt, body: &[u8]) -> Fault {
    match attempt.upstream.target.wire.codec().decode_response(body) {
        Err(bad @ BadResponse::Failure(_)) => bad_answer(bad),
        _ => Fault::new(FaultClass::BadAnswer, "the provider answered a streaming request without a stream"),
    }
}

/// The fault that a 200 stands for which is no answer.
pub fn bad_answer(bad: BadResponse) -> Fault {
    match bad {
        BadResponse::Failure(failure) => in_band(failure),
        other => Fault::new(FaultClass::BadAnswer, other.to_string()),
    }
}

/// An error under a 200. What is told clearly is taken at its word, the rest counts as a 502.
pub fn in_band(mut failure: translate::ir::Failure) -> Fault {
    let class = match class_of(&failure) {
        FaultClass::InvalidRequest | FaultClass::ServerError => FaultClass::BadAnswer,
        told => told,
    };
    if failure.status < 400 {
        failure.status = Fault::new(class, "").failure.status;
    }
    Fault { class, failure: Box::new(failure), retry_after_ms: None, headers: Vec::new() }
}

fn stream(
    exchange: &mut Exchange,
    attempt: &mut Attempt,
    chunk: &[u8],
    end: bool,
) -> Result<Option<Bytes>, Refusal> {
    let total = exchange.total_deadline();
    let idle = attempt.limits.idle;
    let mut out = Vec::with_capacity(chunk.len() + 64);
    let Answer::Stream(streaming) = &mut attempt.answer else { return Ok(None) };
    if streaming.ended || streaming.broken {
        return Ok(None);
    }
    let (frames_before, events_before) = (streaming.pipe.frames(), streaming.pipe.events());
    let flow = streaming.pipe.push(chunk, &mut out);
    let alive = streaming.pipe.frames() != frames_before;
    let seen = streaming.pipe.seen();
    let finished = seen.is_finished();
    if let Some(running) = attempt.running.as_mut().filter(|_| finished || seen.failure.is_some()) {
        running.ended();
    }
    let closing = streaming.closing.is_due(seen);
    if let Some(call) = &exchange.call {
        let said = finished && !streaming.closing.lacks_choices(seen);
        call.stage.await_counts(said && seen.usage.is_none());
    }
    // An end that is held back may yet turn out to be a failure.
    let begun = streaming.released || (streaming.whole && attempt.clock.first_token.is_some());
    if !begun && (seen.content || seen.finish.is_some()) && seen.failure.is_none() {
        if !streaming.whole {
            streaming.release(&mut out);
        }
        attempt.clock.token_came(attempt.ticket.as_ref());
        attempt.clock.first_token.into_iter().for_each(|at| streaming.pauses.piece(at));
        deadline(exchange, Limit::Idle, idle, total);
    } else if alive && !closing && (begun || attempt.limits.first_token.is_none()) {
        let now = streaming.moment(begun && streaming.pipe.events() != events_before);
        deadline_from(exchange, (now, Limit::Idle), idle, total);
    }
    if closing && streaming.pipe.events() != events_before {
        deadline(exchange, Limit::Complete, streaming.closing.within().min(idle), total);
    }
    if flow == Flow::Complete || end {
        close(exchange, attempt, &mut out)?;
    }
    let Answer::Stream(streaming) = &mut attempt.answer else { return Ok(None) };
    if streaming.ended && !streaming.released {
        // The finish itself came with the end of the body, and nothing before it: a whole answer all the same.
        streaming.release(&mut out);
        attempt.clock.token_came(attempt.ticket.as_ref());
    }
    if !streaming.released {
        streaming.held.append(&mut out);
        let limit = exchange.call.as_deref().map_or(HELD_LIMIT, held_limit);
        if streaming.whole && streaming.held.len() > BUFFERED_LIMIT && streaming.pipe.seen().content {
            // More than is held for anybody: from here on a break is told.
            streaming.whole = false;
            streaming.release(&mut out);
        } else if !streaming.whole && streaming.held.len() > limit {
            return Err(fault(too_long()));
        }
    }
    if streaming.ended {
        deadline(exchange, Limit::Complete, CLOSING.min(idle), total);
    }
    let out = if streaming.released { streaming.outgoing(out) } else { out };
    Ok((!out.is_empty()).then(|| out.into()))
}

/// Bytes of a stream that are kept while no token has come.
pub fn held_limit(call: &Call) -> usize {
    HELD_LIMIT.saturating_add(call.body.len().saturating_mul(ECHOES))
}

fn deadline(exchange: &Exchange, limit: Limit, after: Duration, total: Option<Instant>) {
    deadline_from(exchange, (Instant::now(), limit), after, total);
}

fn deadline_from(exchange: &Exchange, limit: (Instant, Limit), after: Duration, total: Option<Instant>) {
    let (now, limit) = limit;
    if let Some(call) = exchange.call.as_ref() {
        set_deadline(&call.stage, limit, now + after, total);
    }
}

/// The stream ended, or said that it is complete.
fn close(exchange: &mut Exchange, attempt: &mut Attempt, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let Answer::Stream(streaming) = &mut attempt.answer else { return Ok(()) };
    let failed = streaming.pipe.seen().failure.is_some();
    if !failed {
        streaming.pipe.drain();
    }
    cost::note(exchange, attempt);
    let extra = exchange.extra_fields().then(|| {
        let losses = match &attempt.answer {
            Answer::Stream(streaming) => Some(streaming.pipe.losses()),
            _ => None,
        };
        extra_fields::of_answer(exchange, attempt, losses)
    });
    let Answer::Stream(streaming) = &mut attempt.answer else { return Ok(()) };
    if !failed && streaming.pipe.end(extra.as_deref(), out) {
        streaming.ended = true;
        return Ok(());
    }
    let broken = match streaming.pipe.seen().failure.clone() {
        Some(failure) => in_band(failure),
        None => Fault::new(FaultClass::BadAnswer, "the stream ended without a finish reason"),
    };
    if !streaming.released {
        return Err(fault(broken));
    }
    break_in_stream(exchange, attempt, broken, out);
    Ok(())
}
