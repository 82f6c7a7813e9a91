//! A finished request as the record that it leaves: made once, at the very end, of what the request knew.
//!
//! Off the caller's path, but on a proxy thread: names are shared, what the request owned is moved, and nothing is looked
//! for that was not noted on the way.

mod decision;
mod tags;

use std::time::{Instant, UNIX_EPOCH};

use http::HeaderMap;
use translate::ir::FinishReason;

use super::attempt::Attempt;
use super::cache::told;
use super::clock::micros;
use super::cost;
use super::exchange::Exchange;
use super::logging::{Settled, first_token};
use super::request_id::plain;
use crate::config::snapshot::Snapshot;
use crate::telemetry::access_log;
use crate::telemetry::record::{Failed, Record};
use crate::telemetry::redact;

/// Of a request that is over.
pub struct Ended<'a> {
    /// Of the caller's request.
    pub headers: &'a HeaderMap,
    pub path: &'a str,
    /// Bytes of the answer's body that the caller was sent.
    pub sent: u64,
}

/// The record of a request that is over. What the exchange owns of it is taken out.
pub fn of(ended: &Ended<'_>, exchange: &mut Exchange, settled: Option<Settled>) -> Box<Record> {
    let settled = settled.unwrap_or_default();
    let cache = told::seen(exchange);
    let decision = decision::of(exchange);
    let mut record = begun(exchange);
    record.path = ended.path.into();
    record.response_bytes = ended.sent;
    record.parent_request_id = plain(ended.headers, "x-bf-parent-request-id");
    record.session_id = plain(ended.headers, "x-bf-session-id");
    let listed = exchange.snapshot.as_ref().map(|snapshot| snapshot.client.logging.headers.as_slice());
    let tags = tags::of(ended.headers, listed.unwrap_or_default());
    (record.tags, record.tags_cut) = (tags.list, tags.cut);
    record.decision = decision;
    record.attempts = std::mem::take(&mut exchange.attempts);
    record.caller = exchange.caller.take();
    if let Some(last) = record.attempts.last() {
        record.provider = Some(last.provider.clone());
        record.model = Some(last.model.clone());
        record.key.clone_from(&last.key);
    }
    if let Some(landed) = exchange.cache.as_deref().and_then(|cached| cached.given.as_deref()) {
        record.provider = Some((*landed.about.provider).into());
        record.model = Some((*landed.about.model).into());
    }
    let kept = exchange.content.take();
    record.content = kept.map(|kept| Box::new(kept.finish(exchange.attempt.as_deref_mut())));
    record.usage = settled.usage;
    record.usage_estimated = settled.estimated;
    record.cost_nanos = cost::total(&record.attempts, settled.charge.as_ref().map(|charge| charge.nanos));
    record.charge = settled.charge;
    record.cache_hit = cache.as_ref().is_some_and(|seen| seen.hit.is_some());
    if record.cache_hit {
        // Nobody was asked.
        record.cost_nanos = record.cost_nanos.or(Some(0));
    }
    record.cache = cache;
    record.unpriced = settled.unpriced
        || record.attempts.iter().any(|attempt| attempt.spent.is_some_and(|spent| spent.unpriced));
    record
}

/// What is known of a request whoever asked it: when it was, what was asked, what went wrong.
pub fn begun(exchange: &mut Exchange) -> Box<Record> {
    let started = exchange.started;
    let since = |at: Instant| micros(at.saturating_duration_since(started));
    let moment = exchange.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_us = micros(moment);
    let known = &mut exchange.known;
    let (endpoint, stream, model) = match exchange.call.as_mut() {
        Some(call) => (Some(call.endpoint), call.stream, std::mem::take(&mut call.model_asked)),
        None => (known.endpoint, known.stream, std::mem::take(&mut known.model)),
    };
    let error = exchange.fault.take().map(|fault| {
        let kind = fault.label();
        // Some providers repeat the key that they refuse.
        Failed { kind, message: redact::told(&fault.failure.message).into() }
    });
    let seen = exchange.attempt.as_deref().and_then(Attempt::seen);
    let mut record = Box::new(Record {
        logged: access_log::is_wanted(),
        id: Record::number(started_us / 1_000, &exchange.request_id),
        request_id: std::mem::take(&mut exchange.request_id),
        trace: exchange.trace.as_deref().cloned(),
        model_served: seen.and_then(|seen| seen.model.as_deref()).map(Into::into),
        finish: seen.and_then(|seen| seen.finish).map(FinishReason::name),
        started_us,
        dialect: endpoint.map_or("", |endpoint| endpoint.dialect.name()),
        object: endpoint.map_or("", |endpoint| endpoint.request_type(stream)),
        stream,
        status: exchange.status,
        error,
        model_asked: model,
        request_bytes: exchange.known.size,
        phases: exchange.marks.phases(started),
        queued_us: exchange.queued.map(micros),
        revision: exchange.snapshot.as_deref().map_or(0, |snapshot: &Snapshot| snapshot.version),
        ..Record::default()
    });
    record.first_token_us = first_token(exchange).map(since);
    record.upstream_request_id =
        exchange.attempt.as_deref_mut().and_then(|attempt| attempt.upstream_request_id.take());
    let took = started.elapsed();
    record.took_us = micros(took);
    record.overhead_us = micros(exchange.overhead_of(took));
    record
}

#[cfg(test)]
mod tests;
