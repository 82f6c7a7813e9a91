//! `/metrics`: what is counted as it goes, and what is looked at when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, header};

use super::api::AdminState;
use super::{backends, cluster, health, limits, stores, targets};
use crate::config::snapshot::Snapshot;
use crate::observe::traces::Counts;
use crate::proxy::Gateway;
use crate::proxy::respond::Reply;
use crate::telemetry::metrics::exposition::Format;

/// Gauges are emptied and filled anew for each answer: two at once would take each other's away.
static SCRAPE: Mutex<()> = Mutex::new(());

/// The answer to a scrape, in the format that its headers ask for.
#[must_use]
pub fn answer(gateway: &Gateway, snapshot: &Snapshot, headers: &HeaderMap) -> Reply {
    let format = wanted(headers);
    let mut reply = Reply::text(200, write(gateway, snapshot, format));
    reply.content_type = format.content_type();
    reply.with(HeaderName::from_static("cache-control"), "no-store")
}

/// The same where scrapes need a login.
pub async fn guarded(State(state): State<AdminState>, headers: HeaderMap) -> Response {
    let format = wanted(&headers);
    let body = write(&state.gateway, &state.gateway.config.load_full(), format);
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}

/// All metrics as they are now.
#[must_use]
pub fn write(gateway: &Gateway, snapshot: &Snapshot, format: Format) -> Vec<u8> {
    let _alone = SCRAPE.lock().unwrap_or_else(PoisonError::into_inner);
    note(gateway, snapshot);
    let mut out = Vec::with_capacity(64 * 1024);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gateway.metrics.write(format, u64::try_from(now.as_millis()).unwrap_or(u64::MAX), &mut out);
    out
}

fn wanted(headers: &HeaderMap) -> Format {
    Format::accepted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()))
}

/// Brings up to date what others keep.
fn note(gateway: &Gateway, snapshot: &Snapshot) {
    health::note_keys(gateway, snapshot);
    health::note_targets(gateway, snapshot);
    targets::note_providers(gateway, snapshot);
    backends::note(gateway, snapshot);
    limits::note(gateway);
    cluster::note(gateway);
    stores::note(gateway);
    note_config(gateway, snapshot);
    let metrics = &gateway.metrics;
    metrics.log_dropped.inc_by(gateway.log.dropped().saturating_sub(metrics.log_dropped.get()));
    note_observers(gateway);
}

/// What those who watch requests have lost, and what waits for them.
fn note_observers(gateway: &Gateway) {
    let (observe, observer) = (&gateway.metrics.observe, &gateway.observer);
    observe.records.inc_by(observer.told().saturating_sub(observe.records.get()));
    observe.dropped_in_all("observer", "full", observer.dropped());
    observe.dropped_in_all("observer", "content", observer.without_content());
    observe.dropped_in_all("sums", "unstored", gateway.sums.lost());
    observe.waits("observer", u64::try_from(observer.waiting()).unwrap_or(u64::MAX));
    observe.listeners.set(i64::try_from(gateway.hub.clients()).unwrap_or(i64::MAX));
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    if let Some(log) = &gateway.requests {
        observe.dropped_in_all("request_log", "full", of(&log.counts.full));
        observe.dropped_in_all("request_log", "refused", of(&log.counts.refused));
        observe.dropped_in_all("request_log", "content", of(&log.counts.bodies_left_out));
        observe.waits("request_log", of(&log.counts.waiting));
    }
    let collectors = gateway.exporters.counts();
    let sum = |of: &dyn Fn(&Counts) -> u64| collectors.iter().map(|counts| of(counts)).sum::<u64>();
    observe.dropped_in_all("traces", "full", sum(&|counts| of(&counts.dropped)));
    observe.dropped_in_all("traces", "failed", sum(&|counts| of(&counts.failed)));
    observe.waits("traces", sum(&|counts| of(&counts.waiting)));
}

fn note_config(gateway: &Gateway, snapshot: &Snapshot) {
    let (status, config) = (gateway.config.status(), &gateway.metrics.config);
    for (result, count) in [("success", status.reloads_ok), ("failure", status.reloads_failed)] {
        let counter = config.reloads.with_label_values(&[result]);
        counter.inc_by(count.saturating_sub(counter.get()));
    }
    config.version.set(i64::try_from(snapshot.version).unwrap_or(i64::MAX));
    config.good.set(i64::from(status.last_error.is_none()));
    config.time.set(status.last_ok.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
}
