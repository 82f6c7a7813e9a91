//! What the gateway answers itself: one file per resource.

pub mod access;
pub mod api;
mod backends;
mod cluster;
pub mod door;
mod health;
mod limits;
mod models;
mod root;
mod stores;
mod targets;
pub mod who;

use std::sync::{Mutex, PoisonError};

use http::HeaderName;
use pingora_proxy::Session;

use crate::config::snapshot::Snapshot;
use crate::proxy::Gateway;
use crate::proxy::exchange::Exchange;
use crate::proxy::respond::Reply;
use crate::route::endpoint::Local;

/// Answers a local endpoint.
#[must_use]
pub fn answer(
    gateway: &Gateway,
    session: &Session,
    snapshot: &Snapshot,
    (local, exchange): (Local, &Exchange),
) -> Reply {
    let request = session.req_header();
    match local {
        Local::Health => health::health(gateway, snapshot),
        Local::Livez => Reply::text(200, "ok\n"),
        Local::Readyz => health::ready(gateway),
        Local::Metrics => metrics(gateway, snapshot),
        Local::Model(family) => {
            let family = models::shape(family, &request.headers);
            models::one(gateway, snapshot, family, (request.uri.path(), exchange))
        }
        Local::Models(family) => {
            let family = models::shape(family, &request.headers);
            let query = request.uri.query().unwrap_or_default();
            models::list(gateway, snapshot, family, (query, exchange.caller.as_ref()))
        }
        Local::Root => root::start_page(snapshot),
    }
}

/// Gauges are emptied and filled anew for each answer: two at once would take each other's away.
static SCRAPE: Mutex<()> = Mutex::new(());

fn metrics(gateway: &Gateway, snapshot: &Snapshot) -> Reply {
    let _alone = SCRAPE.lock().unwrap_or_else(PoisonError::into_inner);
    health::note_keys(gateway, snapshot);
    health::note_targets(gateway, snapshot);
    targets::note_providers(gateway, snapshot);
    backends::note(gateway, snapshot);
    limits::note(gateway);
    cluster::note(gateway);
    stores::note(gateway);
    let status = gateway.config.status();
    let metrics = &gateway.metrics;
    for (result, count) in [("success", status.reloads_ok), ("failure", status.reloads_failed)] {
        let counter = metrics.reloads.with_label_values(&[result]);
        counter.inc_by(count.saturating_sub(counter.get()));
    }
    metrics.config_version.set(i64::try_from(snapshot.version).unwrap_or(i64::MAX));
    metrics.log_dropped.inc_by(gateway.log.dropped().saturating_sub(metrics.log_dropped.get()));
    let mut reply = Reply::text(200, metrics.render());
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    reply.with(HeaderName::from_static("cache-control"), "no-store")
}
