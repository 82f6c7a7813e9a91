//! The end of every request: health, metrics, cost, the log line. Off the caller's path.

use std::sync::Arc;
use std::time::Instant;

use govern::queue::Ended;
use govern::verdict::FaultClass;
use pingora_error::Error;
use pingora_proxy::Session;
use translate::ir::{Part, Usage};

use super::attempt::{Answer, Attempt, Upstream};
use super::exchange::Exchange;
use super::{Gateway, cost, hedge, measure, queue, record, recovery, replay};
use crate::account::charge::Charge;
use crate::auth::Caller;
use crate::telemetry::metrics::Series;

/// Notes how it went. Always called, except when a filter panicked.
pub fn run(gateway: &Gateway, session: &mut Session, _error: Option<&Error>, exchange: &mut Exchange) {
    exchange.work();
    if let Some(call) = exchange.call.as_ref() {
        replay::unwrap(&mut session.downstream_session, &call.stage);
    }
    if exchange.status == 0
        && let Some(header) = session.response_written()
    {
        exchange.status = header.status.as_u16();
    }
    hedge::settle(gateway, exchange);
    super::cache::lead::closes(exchange);
    let overhead = exchange.overhead();
    if let Some(fault) = exchange.fault.clone() {
        // A fault that only the stream itself could tell of has not been noted yet.
        super::retry::note(gateway, exchange, &fault, false);
    }
    let estimated = exchange.attempts.last().is_some_and(|last| last.outcome == super::count::ESTIMATED);
    let given = exchange.cache.as_ref().is_some_and(|cached| cached.given.is_some());
    let settled = if given && exchange.fault.is_none() {
        gateway.metrics.overhead.observe(overhead.as_secs_f64());
        None
    } else if estimated {
        if exchange.attempts.len() > 1 {
            series(gateway, exchange).requests.inc();
        }
        None
    } else if exchange.call.is_some() {
        let series = series(gateway, exchange);
        let settled = settle(exchange);
        observe(gateway, exchange, &series, settled.as_ref());
        recovery::count(gateway, exchange);
        gateway.metrics.overhead.observe(overhead.as_secs_f64());
        with_spent(exchange, settled)
    } else if exchange.fault.is_some() {
        gateway.metrics.errors.with_label_values(&["none", error_label(exchange)]).inc();
        None
    } else {
        // Answered here: none of a caller's requests.
        measure::request(gateway, session, exchange);
        exchange.in_flight = None;
        return;
    };
    by_caller(gateway, session, exchange, settled.as_ref());
    measure::request(gateway, session, exchange);
    close(exchange);
    leave(gateway, session, exchange, settled);
    exchange.in_flight = None;
}

/// Nothing is held any more, and what was used is written down.
fn close(exchange: &Exchange) {
    let stake = exchange.attempt.as_ref().and_then(|attempt| attempt.stake.as_ref());
    stake.into_iter().for_each(|stake| stake.failed());
    if let Some(tab) = exchange.call.as_ref().and_then(|call| call.tab.as_ref()) {
        tab.close();
    }
}

/// What the answering attempt consumed.
#[derive(Default)]
pub(super) struct Settled {
    pub usage: Option<Usage>,
    pub estimated: bool,
    /// Nobody knows what all of it cost.
    pub unpriced: bool,
    pub charge: Option<Box<Charge>>,
}

impl Settled {
    /// What the answer cost, in nano-dollars.
    fn cost_nanos(&self) -> Option<u64> {
        self.charge.as_ref().map(|charge| charge.nanos)
    }
}

/// The series of the target that answered, or was tried last.
fn series(gateway: &Gateway, exchange: &Exchange) -> Arc<Series> {
    let (provider, model) = match (&exchange.attempt, exchange.attempts.last()) {
        (Some(attempt), _) => (Arc::clone(&attempt.provider.name), Arc::clone(&attempt.model)),
        (None, Some(record)) => (Arc::clone(&record.provider), Arc::clone(&record.model)),
        (None, None) => ("none".into(), "none".into()),
    };
    // Names that only a caller knows become labels when a provider has answered for them.
    let admitted = exchange.fault.as_ref().is_none_or(|fault| fault.knows_model())
        || gateway.catalog.find(&provider, &model).is_some();
    gateway.metrics.series(&provider, &model, admitted)
}

fn settle(exchange: &mut Exchange) -> Option<Settled> {
    let answered = exchange.fault.is_none();
    let ticket = exchange.attempt.as_mut()?.ticket.take().filter(|_| answered);
    let slot = exchange.attempt.as_mut()?.slot.take().filter(|_| answered);
    super::servers::ended(exchange.attempt.as_mut()?, answered);
    let attempt = exchange.attempt.as_ref()?;
    cost::settle(exchange, attempt);
    let consumed = consumed_in_all(exchange, attempt);
    let (usage, estimated) = (consumed.map(|(usage, _)| usage), consumed.is_some_and(|(_, guess)| guess));
    if let Some(slot) = slot {
        let refused = matches!(attempt.answer, Answer::Passed { .. }) && attempt.status >= 400;
        slot.end(if refused { queue::ended(class_of_status(attempt.status)) } else { Ended::Served });
    }
    if let Some(ticket) = ticket {
        let whole = !matches!(attempt.answer, Answer::Stream(_));
        let tokens = usage.map(|usage| (usage.input_uncached, usage.output)).filter(|_| !estimated);
        match (&attempt.answer, attempt.status) {
            // Told as it came, but no success.
            (Answer::Passed { .. }, status @ 400..) => {
                ticket.failed(class_of_status(status), attempt.retry_after_ms);
            }
            _ => ticket.succeeded(whole, tokens),
        }
    }
    let charge = usage.and_then(|usage| cost::charged(exchange, attempt, (&usage, estimated)));
    let unpriced = answered && usage.is_some() && cost::is_unpriced(exchange, attempt, charge.as_ref());
    if answered {
        exchange.attempts.push(attempt.record("success", None));
    }
    Some(Settled { usage, estimated, unpriced, charge: charge.map(Box::new) })
}

/// What a status alone tells.
pub(super) fn class_of_status(status: u16) -> FaultClass {
    match status {
        401 => FaultClass::Authentication,
        402 => FaultClass::Quota,
        403 => FaultClass::Permission,
        429 => FaultClass::RateLimited,
        503 | 529 => FaultClass::Overloaded,
        500.. => FaultClass::ServerError,
        _ => FaultClass::InvalidRequest,
    }
}

/// With what the attempts consumed that broke before. What they cost is in the attempt list.
fn with_spent(exchange: &Exchange, settled: Option<Settled>) -> Option<Settled> {
    let Some(spent) = exchange.call.as_deref().and_then(|call| call.recovery.spent()) else { return settled };
    let settled = settled.unwrap_or_default();
    let usage = spent.plus(&settled.usage.unwrap_or_default());
    Some(Settled { usage: Some(usage), estimated: true, ..settled })
}

/// What an attempt consumed that is over, and whether that is an estimate.
pub fn consumed_in_all(exchange: &Exchange, attempt: &Attempt) -> Option<(Usage, bool)> {
    consumed(&attempt.upstream, &attempt.answer, attempt.told_usage).or_else(|| unknown(exchange, attempt))
}

/// What an attempt consumed so far, and whether that is an estimate.
pub fn consumed(upstream: &Upstream, answer: &Answer, told: Option<Usage>) -> Option<(Usage, bool)> {
    let seen = Attempt::seen_in(answer);
    let chars = seen.map_or(0, |seen| seen.output_chars);
    let cut = matches!(answer, Answer::Stream(_)) && seen.is_some_and(|seen| seen.finish.is_none());
    match Attempt::usage_in(answer, told) {
        // Counts that came at the start of a stream do not know how far it went.
        Some(usage) if cut => Some((Usage { output: usage.output.max(chars.div_ceil(4)), ..usage }, true)),
        Some(usage) => Some((usage, false)),
        None => {
            // An answer without counts is not free; a count of tokens is.
            let answered = matches!(answer, Answer::Sent(_)) && upstream.target.count.is_none();
            (chars > 0 || answered).then(|| (estimate(upstream, chars), true))
        }
    }
}

/// What an attempt is taken to have consumed of which nobody told anything, and that is not free.
fn unknown(exchange: &Exchange, attempt: &Attempt) -> Option<(Usage, bool)> {
    let chars = attempt.unread.as_ref().map_or(0, |unread| unread.chars());
    let gone = exchange.fault.as_ref().is_some_and(|fault| fault.class == FaultClass::CallerGone);
    let working = matches!(attempt.answer, Answer::Awaited | Answer::Whole(_) | Answer::Stream(_));
    let raw = exchange.call.as_ref().is_none_or(|call| call.raw.is_some());
    // The caller left while the provider was at work.
    let left = gone && attempt.asked && working && !raw && attempt.upstream.target.count.is_none();
    (left || chars > 0).then(|| (estimate(&attempt.upstream, chars), true))
}

/// No count came (the caller left, the stream was cut): about four characters make a token.
pub fn estimate(upstream: &Upstream, output_chars: u64) -> Usage {
    let input = u64::try_from(upstream.body.len()).unwrap_or(u64::MAX);
    Usage { input_uncached: input.div_ceil(4), output: output_chars.div_ceil(4), ..Usage::default() }
}

/// How much somebody wrote: the base of an estimate where no counts came.
pub fn chars_of(part: &Part) -> u64 {
    let text = match part {
        Part::Text(text) => &text.text,
        Part::Refusal(text) => text,
        Part::Thinking(thinking) => &thinking.text,
        Part::ToolCall(call) => &call.arguments,
        _ => return 0,
    };
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn error_label(exchange: &Exchange) -> &'static str {
    exchange.fault.as_ref().map_or("internal", |fault| fault.label())
}

fn observe(gateway: &Gateway, exchange: &Exchange, series: &Series, settled: Option<&Settled>) {
    let attempt = exchange.attempt.as_deref();
    series.requests.inc();
    series.duration.observe(exchange.started.elapsed().as_secs_f64());
    match &exchange.fault {
        Some(fault) => {
            let provider = exchange.attempts.last().map_or("none", |record| &*record.provider);
            gateway.metrics.errors.with_label_values(&[provider, fault.label()]).inc();
        }
        None => {
            series.succeeded.inc();
            measure::answered(gateway, exchange, series);
        }
    }
    if let Some(at) = first_token(exchange) {
        series.ttft.observe(at.saturating_duration_since(exchange.started).as_secs_f64());
    }
    if let Some(attempt) = attempt
        && let Some(skipped) = attempt.seen().map(|seen| seen.skipped).filter(|n| *n > 0)
    {
        gateway
            .metrics
            .streams
            .skipped
            .with_label_values(&[&*attempt.provider.name])
            .inc_by(u64::from(skipped));
    }
    let Some(settled) = settled else { return };
    let tokens = settled.usage.map(|usage| usage.total());
    hedge::learn(gateway, exchange, settled.cost_nanos(), tokens);
    tally(series, settled.usage.as_ref(), settled.cost_nanos());
    if settled.unpriced {
        series.unpriced.inc();
    }
}

/// The same for whoever called, over all attempts.
fn by_caller(gateway: &Gateway, session: &Session, exchange: &Exchange, settled: Option<&Settled>) {
    let who = exchange.caller.as_ref().map(Caller::who);
    if who.is_none() && exchange.call.is_none() {
        return;
    }
    let headers = &session.req_header().headers;
    let Some(series) = gateway.metrics.callers.of(who.as_ref(), headers) else { return };
    series.requests.inc();
    if exchange.fault.is_some() {
        series.errors.inc();
    }
    if let Some(usage) = settled.and_then(|settled| settled.usage) {
        series.input_tokens.inc_by(usage.input_total());
        series.output_tokens.inc_by(usage.output);
    }
    let nanos = cost::total(&exchange.attempts, settled.and_then(Settled::cost_nanos));
    // For dashboards: the exact amount is in the log line.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
    series.cost.inc_by(nanos.unwrap_or(0) as f64 / 1e9);
}

/// When the caller had the first token, whichever attempt it was of.
pub(super) fn first_token(exchange: &Exchange) -> Option<Instant> {
    let before = exchange.call.as_deref().and_then(|call| call.recovery.first_token);
    before.or_else(|| exchange.attempt.as_deref()?.clock.first_token)
}

/// Counts what an attempt consumed, and what that cost.
pub fn tally(series: &Series, usage: Option<&Usage>, cost_nanos: Option<u64>) {
    if let Some(usage) = usage {
        series.input_tokens.inc_by(usage.input_total());
        series.cached_input_tokens.inc_by(usage.cache_read);
        series.output_tokens.inc_by(usage.output);
    }
    if let Some(nanos) = cost_nanos {
        // For dashboards: the exact amount is in the log line.
        #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
        series.cost.inc_by(nanos as f64 / 1e9);
    }
}

/// Leaves what is known of the request for whoever writes it down.
fn leave(gateway: &Gateway, session: &Session, exchange: &mut Exchange, settled: Option<Settled>) {
    let head = session.req_header();
    let sent = u64::try_from(session.downstream_session.body_bytes_sent()).unwrap_or(u64::MAX);
    let ended = record::Ended { headers: &head.headers, path: head.uri.path(), sent };
    gateway.observer.tell(record::of(&ended, exchange, settled));
}
