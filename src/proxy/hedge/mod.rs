//! A second attempt beside the first, for requests whose first token is late. Who is first answers, the other one is
//! cancelled.
//!
//! The first attempt runs in Pingora's phases as ever. Its session watches for the moment ([`watch`]); the second one is a
//! task ([`race`]). If that is ahead, the first attempt ends like one that failed, and the next peer is the answer
//! that has begun ([`crate::upstream::handover`]), so that the rest is the ordinary path. When to start, and how much losers
//! may cost, is decided in [`govern::hedge`]; how losers are billed in [`bill`].

mod bill;
mod inspect;
mod race;
mod start;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use govern::hedge::Spend;
use http::HeaderMap;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;
use translate::ir::FailureKind;

use super::Gateway;
use super::attempt::{Answer, Attempt};
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::replay::is_begun;
use super::response_body_filter::refusal;
use super::retry::{digest, note};
use super::upstream_peer::{PLANNED, set_first_deadline, unless_gone};
use crate::config::policy::Policy;
use crate::route::endpoint::Operation;
use crate::telemetry::access_log::AttemptRecord;
use crate::upstream::handover;
use crate::upstream::hedging::Leave;
use crate::upstream::select::{Cursor, Seen};
use bill::Bill;
pub use bill::LOST;
use race::{Race, State};

pub use watch::{Event as WatchEvent, Watch};

/// The error type raised when the second attempt is ahead of the running one.
pub const HEDGED: ErrorType = ErrorType::Custom("hedged");

/// A second attempt beside the running one.
pub struct Rival {
    race: Race,
    /// Where the request stands when this attempt is the one that goes on.
    cursor: Cursor,
    bill: Bill,
    /// Its place in the attempt list.
    at: usize,
    leave: Option<Leave>,
}

impl Rival {
    /// As the attempt list shows it if the running attempt answers.
    #[must_use]
    pub fn record(&self) -> AttemptRecord {
        let failed = self
            .race
            .shared
            .failed(|attempt, fault| attempt.record(fault.label(), Some(&fault.failure.message)));
        failed.unwrap_or_else(|| self.bill.clone().seen(self.race.shared.seen.so_far()).record())
    }
}

/// Reads `x-bf-hedge`: `off` switches second attempts off for this request.
///
/// # Errors
/// Another value.
pub fn wished(headers: &HeaderMap, policy: &mut Policy) -> std::result::Result<(), Fault> {
    let Some(value) = headers.get("x-bf-hedge") else { return Ok(()) };
    match value.as_bytes() {
        b"off" => policy.hedge = None,
        b"on" => {}
        _ => {
            let message = "`x-bf-hedge` must be `off`, or `on` for what is configured";
            return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("x-bf-hedge"));
        }
    }
    Ok(())
}

/// No attempt runs: there is nothing to watch for.
pub fn rest(exchange: &Exchange) {
    if let Some(call) = exchange.call.as_deref() {
        call.stage.hedge.stop();
    }
}

/// The prepared attempt is about to be sent: from when on it is late.
pub fn arm(gateway: &Gateway, session: &Session, exchange: &Exchange) {
    let (Some(call), Some(attempt)) = (exchange.call.as_deref(), exchange.attempt.as_deref()) else { return };
    let Some(hedge) = call.plan.policy.hedge else { return };
    // What the caller has a part of cannot begin anew elsewhere.
    let told = is_begun(&session.downstream_session);
    if exchange.hedged || told || !takes(call) || attempt.turned {
        return;
    }
    if let Some(after) = hedge.after.or_else(|| gateway.hedging.slow(&name(call, attempt))) {
        call.stage.hedge.arm(attempt.clock.began + after);
    }
}

/// A second answer to it would be as good as the first, and nothing else happens by asking twice.
fn takes(call: &Call) -> bool {
    let operation = matches!(
        call.endpoint.operation,
        Operation::Chat | Operation::Completions | Operation::Embeddings | Operation::Rerank
    );
    // Our keys do not stand in for the caller's own.
    operation && call.raw.is_none() && call.direct_key.is_none() && !call.recovery.goes_on()
}

/// Provider, model, and whether it streams: what times are compared among.
fn name(call: &Call, attempt: &Attempt) -> (Arc<str>, Arc<str>, bool) {
    (Arc::clone(&attempt.provider.name), Arc::clone(&attempt.model), call.stream)
}

/// Starts the second attempt, if its moment has come.
pub fn moment(gateway: &Gateway, exchange: &mut Exchange) {
    let Some(call) = exchange.call.as_deref() else { return };
    if !call.stage.hedge.is_due() {
        return;
    }
    let stage = Arc::clone(&call.stage);
    stage.hedge.stop();
    if exchange.attempt.as_deref().is_none_or(has_begun) {
        return;
    }
    match start::start(gateway, exchange) {
        Ok(rival) => {
            log::debug!("request {}: a second attempt starts", exchange.request_id);
            exchange.rival = Some(Box::new(rival));
            exchange.hedged = true;
        }
        Err(why) => {
            log::debug!("request {}: no second attempt: {why}", exchange.request_id);
            outcome(gateway, "denied");
        }
    }
}

/// The first token is here, or something of the answer went out.
fn has_begun(attempt: &Attempt) -> bool {
    if attempt.clock.first_token.is_some() {
        return true;
    }
    match &attempt.answer {
        Answer::Awaited | Answer::Refused(_) | Answer::Whole(_) => false,
        Answer::Stream(streaming) => streaming.released,
        Answer::Passed { .. } | Answer::Sent(_) => true,
    }
}

/// The running attempt has made `body` of its answer: if there is any, or its first token is here, it is first.
pub fn answered(gateway: &Gateway, exchange: &mut Exchange, body: Option<&Bytes>) {
    let Some(call) = exchange.call.as_deref() else { return };
    if !call.stage.hedge.is_on() {
        return;
    }
    let token = exchange.attempt.as_ref().is_some_and(|attempt| attempt.clock.first_token.is_some());
    if token || body.is_some_and(|body| !body.is_empty()) {
        call.stage.hedge.stop();
        settle(gateway, exchange);
    }
}

/// The second attempt is ahead: the running one has lost. That is no fault, unless its answer was an error already.
pub fn overtaken(gateway: &Gateway, exchange: &mut Exchange) {
    if let Some(attempt) = exchange.attempt.as_deref().filter(|a| matches!(a.answer, Answer::Refused(_))) {
        let fault = refusal(attempt);
        note(gateway, exchange, &fault, false);
        let refused = exchange.attempt.take();
        refused.and_then(|attempt| attempt.stake).into_iter().for_each(|stake| stake.failed());
    }
    let Some(attempt) = exchange.attempt.take() else { return };
    if let Some(call) = exchange.call.as_deref() {
        // It would have taken this long at least.
        gateway.hedging.took(name(call, &attempt), attempt.clock.began.elapsed());
    }
    let (record, spend) = Bill::of(exchange, &attempt).lose(gateway);
    exchange.attempts.push(record);
    if let Some(leave) = exchange.rival.as_mut().and_then(|rival| rival.leave.take()) {
        leave.lost(spend);
    }
}

/// The running attempt failed: the second one is what comes next, unless it has failed too or the request itself is
/// at an end.
#[must_use]
pub fn follows(gateway: &Gateway, exchange: &mut Exchange, fault: &Fault, seen: Seen) -> bool {
    if exchange.rival.as_ref().is_some_and(|rival| rival.race.shared.failed(|_, _| ()).is_some()) {
        settle(gateway, exchange);
    }
    let ends = seen.answer_begun || fault.verdict() == govern::verdict::Verdict::Stop;
    exchange.rival.is_some() && !ends
}

/// Makes the second attempt the running one, as soon as it is ahead. `None`: it failed, and another target is next.
///
/// # Errors
/// No target is left, or the caller went away meanwhile.
pub async fn take_over(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<Option<Box<HttpPeer>>> {
    let Some(rival) = exchange.rival.as_ref() else { return Ok(None) };
    let shared = Arc::clone(&rival.race.shared);
    unless_gone(session, exchange, async move { shared.decided().await }).await?;
    let (Some(rival), Some(call)) = (exchange.rival.take(), exchange.call.as_deref_mut()) else {
        return Ok(None);
    };
    call.cursor = rival.cursor;
    match rival.race.shared.take() {
        State::Ahead(mut attempt, answer) => {
            rival.race.goes_on();
            attempt.handed = true;
            exchange.fault = None;
            exchange.attempt = Some(attempt);
            outcome(gateway, "won");
            set_first_deadline(exchange);
            Ok(Some(Box::new(handover::peer(answer))))
        }
        State::Failed(attempt, fault) => {
            let seen = Seen { retry_forbidden: attempt.retry_forbidden, ..Seen::default() };
            exchange.attempt = Some(attempt);
            outcome(gateway, "failed");
            let again = digest(gateway, exchange, fault, seen);
            if again { Ok(None) } else { Err(Error::create(PLANNED, ErrorSource::Upstream, None, None)) }
        }
        State::Running | State::Over => Ok(None),
    }
}

/// The race is over and the second attempt has not won: it is written down, and cancelled if it runs.
pub fn settle(gateway: &Gateway, exchange: &mut Exchange) {
    let Some(mut rival) = exchange.rival.take() else { return };
    rest(exchange);
    let record = match rival.race.shared.take() {
        State::Failed(attempt, fault) => {
            outcome(gateway, "failed");
            attempt.stake.iter().for_each(|stake| stake.failed());
            let running = exchange.attempt.replace(attempt);
            note(gateway, exchange, &fault, false);
            exchange.attempt = running;
            exchange.attempts.pop()
        }
        _ => {
            outcome(gateway, "lost");
            let (record, spend) = rival.bill.seen(rival.race.shared.seen.so_far()).lose(gateway);
            if let Some(leave) = rival.leave.take() {
                leave.lost(spend);
            }
            Some(record)
        }
    };
    // Before what came of the attempt that it ran beside.
    let at = rival.at.min(exchange.attempts.len());
    record.into_iter().for_each(|record| exchange.attempts.insert(at, record));
}

/// An answer is complete: how long it took, and what it cost (nano-dollars where that is known, and tokens).
pub fn learn(gateway: &Gateway, exchange: &Exchange, cost_nanos: Option<u64>, tokens: Option<u64>) {
    let (Some(call), Some(attempt)) = (exchange.call.as_deref(), exchange.attempt.as_deref()) else { return };
    if call.plan.policy.hedge.is_none() || exchange.fault.is_some() || !takes(call) {
        return;
    }
    let first = if call.stream { attempt.clock.first_token } else { Some(Instant::now()) };
    if let Some(first) = first {
        gateway.hedging.took(name(call, attempt), first.saturating_duration_since(attempt.clock.began));
    }
    let spend = cost_nanos.map(Spend::NanoDollars).or(tokens.map(Spend::Tokens));
    spend.into_iter().for_each(|spend| gateway.hedging.spent(spend));
}

fn outcome(gateway: &Gateway, outcome: &str) {
    gateway.metrics.hedging.outcomes.with_label_values(&[outcome]).inc();
}
