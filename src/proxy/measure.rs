//! What the end of an attempt, and of a request, counts in the metrics.
//!
//! Only counts: what an attempt means for health, money and the next attempt is decided elsewhere.

use pingora_proxy::Session;

use super::attempt::{Answer, Attempt};
use super::count::ESTIMATED;
use super::exchange::{Call, Exchange};
use super::hedge::LOST;
use super::{Gateway, fault::Fault};
use crate::route::endpoint;
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::metrics::{Ended, Finished, Series};

/// The running attempt has failed.
pub fn failed(gateway: &Gateway, exchange: &mut Exchange, fault: &Fault) {
    let Some(attempt) = exchange.attempt.as_deref() else { return };
    let known = fault.knows_model() || gateway.catalog.find(&attempt.provider.name, &attempt.model).is_some();
    let model = gateway.metrics.model_label(&attempt.model, known);
    gateway.metrics.upstream.ended(over(gateway, exchange, attempt, (model, fault.label(), false)));
    stream(gateway, exchange, attempt, model);
    exchange.tried = exchange.tried.saturating_add(1);
}

/// The running attempt has answered; not all answers that are passed on are what was asked for. `series`: of its target.
pub fn answered(gateway: &Gateway, exchange: &Exchange, series: &Series) {
    let Some(attempt) = exchange.attempt.as_deref() else { return };
    let model = gateway.metrics.model_label(&attempt.model, true);
    if attempt.status < 400 {
        let ended = over(gateway, exchange, attempt, (model, "success", true));
        let key = ended.key.is_some().then_some(&attempt.key.name);
        gateway.metrics.upstream.answered(series, ended, key);
    } else {
        gateway.metrics.upstream.ended(over(gateway, exchange, attempt, (model, "success", false)));
    }
    stream(gateway, exchange, attempt, model);
}

/// The request is over, whatever it was.
pub fn request(gateway: &Gateway, session: &Session, exchange: &Exchange) {
    let head = session.req_header();
    let sizes = (session.body_bytes_read(), session.body_bytes_sent());
    gateway.metrics.http.finished(
        &head.method,
        Finished {
            path: endpoint::template(head.uri.path()),
            status: exchange.status,
            took: exchange.started.elapsed(),
            sizes,
        },
    );
    if let Some(call) = exchange.call.as_deref() {
        course(gateway, exchange, call);
    }
}

fn over<'a>(
    gateway: &Gateway,
    exchange: &Exchange,
    attempt: &'a Attempt,
    (model, outcome, success): (&'a str, &'static str, bool),
) -> Ended<'a> {
    let method = exchange.call.as_deref().map_or("", |call| call.endpoint.request_type(call.stream));
    Ended {
        provider: &attempt.provider.name,
        model,
        detail: gateway.metrics.detail_label(model),
        method,
        key: attempt.key.secret.is_some().then_some(&*attempt.key.name).filter(|_| !attempt.direct),
        outcome,
        status: attempt.status,
        took: attempt.clock.began.elapsed(),
        success: Some(success),
    }
}

fn stream(gateway: &Gateway, exchange: &Exchange, attempt: &Attempt, model: &str) {
    if let Answer::Stream(streaming) = &attempt.answer {
        let first = attempt.clock.first_token.map(|at| at.saturating_duration_since(exchange.started));
        let names = (&*attempt.provider.name, gateway.metrics.detail_label(model));
        gateway.metrics.streams.ended(names, first, &streaming.pauses);
    }
}

/// How it went from one attempt to the next.
fn course(gateway: &Gateway, exchange: &Exchange, call: &Call) {
    // What the plan passed over before anybody was asked stands in front.
    let before = call.plan.ignored.len() + call.plan.denied.len();
    let ran = |record: &&AttemptRecord| ![LOST, ESTIMATED].contains(&record.outcome);
    let mut last: Option<&AttemptRecord> = None;
    for record in exchange.attempts.iter().skip(before).filter(ran) {
        if let Some(last) = last.filter(|last| last.outcome != "success") {
            let (metrics, why) = (&gateway.metrics.upstream, last.outcome);
            if last.provider == record.provider && last.model == record.model {
                metrics.retries.with_label_values(&[&*record.provider, why]).inc();
            } else {
                metrics.fallbacks.with_label_values(&[&*last.provider, &record.provider, why]).inc();
            }
        }
        last = Some(record);
    }
    let lost = exchange.attempts.iter().filter(|record| record.outcome == LOST).count();
    let answered = exchange.attempts.last().is_some_and(|last| last.outcome == "success");
    let tried =
        exchange.tried.saturating_add(u32::from(answered)).saturating_add(u32::try_from(lost).unwrap_or(0));
    if tried > 0 {
        gateway.metrics.upstream.per_request.observe(f64::from(tried));
    }
}
