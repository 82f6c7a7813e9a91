//! An answer that is given again: whole, or as a stream, in the caller's dialect. No provider is asked and no key used; it costs
//! nothing, and is a request of its caller's all the same.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pingora_error::Result;
use pingora_proxy::Session;
use translate::cache::stored::Stored;
use translate::loss::Losses;
use translate::relay::splice_extra_fields;

use super::super::exchange::{Call, Exchange};
use super::super::fault::Fault;
use super::super::respond::{self, Reply};
use super::super::upstream_response_filter::echo;
use super::super::{Gateway, extra_fields, reserve};
use super::{Cached, Taken, refused, stream, told};
use crate::cache::answer::Answer;
use crate::cache::found::Landed;

/// Gives an answer.
///
/// # Errors
/// The caller's connection failed.
pub(super) async fn run(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    (mut call, cached): (Call, Box<Cached>),
    landed: Arc<Landed>,
) -> Result<Taken> {
    if let Err(fault) = enter(gateway, exchange, &cached, &mut call).await {
        return Ok(refused(exchange, call, fault));
    }
    let streams = call.stream;
    exchange.call = Some(Box::new(call));
    exchange.cache = Some(cached);
    note(gateway, exchange, Arc::clone(&landed));
    let answered = match &landed.answer {
        Answer::Said(stored) if streams => stream::replay(session, exchange, stored).await,
        Answer::Said(stored) => {
            let reply = whole(exchange, stored);
            send(session, exchange, reply).await
        }
        Answer::Body(body) => {
            let reply = Reply::json(200, dressed(exchange, body.clone(), Losses::default()));
            send(session, exchange, reply).await
        }
    };
    answered.inspect_err(|_| exchange.fault = Some(super::follow::left()))?;
    Ok(Taken::Answered)
}

/// Lets the request in, if it was not: it is one of its caller's limits.
///
/// # Errors
/// Its caller has nothing left.
pub(super) async fn enter(
    gateway: &Gateway,
    exchange: &mut Exchange,
    cached: &Cached,
    call: &mut Call,
) -> std::result::Result<(), Fault> {
    if call.tab.is_some() || !cached.settings.counts_hits {
        return Ok(());
    }
    let entered = reserve::enter(gateway, exchange, call).await;
    exchange.marks.reserved = Some(Instant::now());
    entered
}

/// The request is answered with this.
pub(super) fn note(gateway: &Gateway, exchange: &mut Exchange, landed: Arc<Landed>) {
    let Some(cached) = exchange.cache.as_mut() else { return };
    let metrics = &gateway.cache.metrics;
    metrics.hits.with_label_values(&[landed.found.name()]).inc();
    metrics.lookup.observe(cached.looked.as_secs_f64());
    if let Some(nanos) = landed.about.cost_nanos {
        // For dashboards: the exact amount is in the log line.
        #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
        metrics.saved_cost.inc_by(nanos as f64 / 1e9);
    }
    let took = exchange.started.elapsed().as_secs_f64();
    metrics.saved_seconds.inc_by((f64::from(landed.about.took_ms) / 1e3 - took).max(0.0));
    gateway.cache.told(landed.id);
    cached.given = Some(landed);
    if let Some(call) = exchange.call.as_mut() {
        call.tab.iter().for_each(|tab| tab.answered_here());
        call.recovery.first_token = Some(Instant::now());
    }
}

async fn send(session: &mut Session, exchange: &mut Exchange, reply: Reply) -> Result<()> {
    let mut reply = reply;
    reply.headers.extend(told::headers(exchange));
    respond::send(session, exchange, reply).await
}

fn whole(exchange: &Exchange, stored: &Stored) -> Reply {
    let Some(call) = exchange.call.as_deref() else { return Reply::json(200, Bytes::new()) };
    let mut losses = Losses::default();
    let body = stored.whole(call.endpoint.codec(), &echo(call, &exchange.request_id), &mut losses);
    Reply::json(200, dressed(exchange, body.into(), losses))
}

/// With `extra_fields`, where answers have them.
fn dressed(exchange: &Exchange, body: Bytes, losses: Losses) -> Bytes {
    if !exchange.extra_fields() {
        return body;
    }
    let fields = extra_fields::of_given(exchange, losses);
    let mut out = Vec::with_capacity(body.len() + fields.len() + 20);
    if splice_extra_fields(&body, &fields, &mut out) { out.into() } else { body }
}
