//! What the gateway answers itself: one file per resource.

pub mod access;
pub mod api;
mod backends;
mod cluster;
pub mod door;
mod health;
mod limits;
pub mod metrics;
mod models;
mod root;
mod stores;
mod targets;
pub mod who;

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
        Local::Metrics => metrics::answer(gateway, snapshot, &request.headers),
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
