//! `/health`, `/readyz`: is the gateway well, and which keys are not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use govern::breaker::State;
use govern::cooldown::CoolReason;
use serde_json::{Value, json};

use super::targets::{ByKey, by_key};
use crate::config::snapshot::{Key, Provider, Snapshot};
use crate::observe::traces::Counts;
use crate::proxy::Gateway;
use crate::proxy::respond::Reply;
use crate::telemetry::clock::write_rfc3339;
use crate::upstream::health::Cooling;

/// 200 with details. A refused reload or a cooling key does not make the gateway unhealthy: it serves
/// on; the details say so.
#[must_use]
pub fn health(gateway: &Gateway, snapshot: &Snapshot) -> Reply {
    let status = gateway.config.status();
    let cooling = gateway.health.cooling();
    let mut config = json!({
        "version": snapshot.version,
        "in_force_since": moment(status.last_ok),
        "last_read": moment(status.last_read),
        "last_result": if status.last_error.is_none() { "ok" } else { "refused" },
        "reloads": status.reloads_ok,
        "failed_reloads": status.reloads_failed,
    });
    if let (Some(error), Some(fields)) = (&status.last_error, config.as_object_mut()) {
        fields.insert("last_error".to_owned(), json!(error));
    }
    let backends = super::backends::list(gateway, snapshot);
    let mut body = json!({
        "status": "ok",
        "components": { "db_pings": super::stores::word(gateway.store.as_deref()) },
        "stores": super::stores::details(gateway),
        "queues": queues(gateway),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": gateway.started.elapsed().as_secs(),
        "config": config,
        "keys": keys(snapshot, &cooling),
        "providers": super::targets::providers(gateway, snapshot),
    });
    if let (false, Some(fields)) = (backends.is_empty(), body.as_object_mut()) {
        fields.insert("backends".to_owned(), json!(backends));
    }
    if let (Some(details), Some(fields)) = (super::cluster::details(gateway), body.as_object_mut()) {
        fields.insert("cluster".to_owned(), details);
    }
    Reply::json(200, body.to_string())
}

/// What waits to be written down, and what was lost of it. Nobody who asks a model waits for any of it.
fn queues(gateway: &Gateway) -> Value {
    let observer = &gateway.observer;
    let spends = gateway.books.state();
    let mut queues = json!({
        "records": {
            "waiting": observer.waiting(),
            "told": observer.told(),
            "dropped": observer.dropped(),
            "content_bytes": observer.held(),
            "without_content": observer.without_content(),
        },
        "log_lines": { "waiting_bytes": gateway.log.waiting(), "dropped": gateway.log.dropped() },
        "spends": { "waiting": spends.waiting, "dropped": spends.dropped },
    });
    if let (Some(log), Some(fields)) = (&gateway.requests, queues.as_object_mut()) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &log.counts;
        let requests = json!({
            "waiting": of(&counts.waiting),
            "written": of(&counts.written),
            "dropped": counts.dropped(),
            "content_bytes": of(&counts.waiting_bytes),
            "without_content": of(&counts.bodies_left_out),
        });
        fields.insert("request_log".to_owned(), requests);
    }
    let traces: Vec<Value> = gateway.exporters.counts().iter().map(|counts| collector(counts)).collect();
    if let Some(fields) = queues.as_object_mut().filter(|_| !traces.is_empty()) {
        fields.insert("traces".to_owned(), traces.into());
    }
    queues
}

/// What became of the traces for one collector.
fn collector(counts: &Counts) -> Value {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    json!({
        "collector": &*counts.collector,
        "waiting": of(&counts.waiting),
        "sent_spans": of(&counts.sent),
        "dropped": of(&counts.dropped),
        "failed_spans": of(&counts.failed),
        "trouble": counts.trouble(),
    })
}

fn moment(time: SystemTime) -> String {
    let mut out = Vec::new();
    write_rfc3339(time, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// 503 once the process was asked to end: told to those who still hold a connection; new ones are refused
/// from then on.
#[must_use]
pub fn ready(gateway: &Gateway) -> Reply {
    if gateway.draining.load(Ordering::Relaxed) {
        Reply::text(503, "draining\n")
    } else {
        Reply::text(200, "ok\n")
    }
}

/// Brings the gauges of targets up to date: circuits, attempts under way, rate limits.
pub fn note_targets(gateway: &Gateway, snapshot: &Snapshot) {
    let metrics = &gateway.metrics;
    let gauges = [&metrics.health.circuits, &metrics.health.in_flight, &metrics.health.headroom];
    gauges.into_iter().for_each(|gauge| gauge.reset());
    let standings = gateway.health.standings();
    let standings = by_key(&standings);
    for (provider, key) in each_key(snapshot) {
        for standing in standings.of(key) {
            let circuit = match standing.circuit {
                State::Closed => 0.0,
                State::Open { .. } => 1.0,
                State::HalfOpen { .. } => 2.0,
            };
            let known = gateway.catalog.find(&provider.name, &standing.model).is_some();
            let model = metrics.model_label(&standing.model, known);
            if model == "other" {
                continue;
            }
            let labels = [&*provider.name, &*key.name, model];
            let values = [circuit, f64::from(standing.in_flight), f64::from(standing.headroom) / 1_000.0];
            for (gauge, value) in gauges.into_iter().zip(values) {
                gauge.with_label_values(&labels).set(value);
            }
        }
    }
}

/// Brings `bifrost_key_healthy` up to date.
pub fn note_keys(gateway: &Gateway, snapshot: &Snapshot) {
    let cooling = gateway.health.cooling();
    let cooling = ByKey::new(&cooling, |cooling| &cooling.key);
    gateway.metrics.health.keys.reset();
    for (provider, key) in each_key(snapshot) {
        let ill = key.disabled.is_some() || cooling.of(key).iter().any(|c| c.model.is_none());
        let gauge = gateway.metrics.health.keys.with_label_values(&[&*provider.name, &*key.name]);
        gauge.set(if ill { 0.0 } else { 1.0 });
    }
}

fn each_key(snapshot: &Snapshot) -> impl Iterator<Item = (&Provider, &Key)> {
    snapshot.providers.iter().flat_map(|p| p.keys.iter().map(move |key| (&**p, &**key)))
}

/// The word for a circuit's state.
pub fn circuit(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open { .. } => "open",
        State::HalfOpen { .. } => "half_open",
    }
}

fn keys(snapshot: &Snapshot, cooling: &[Cooling]) -> Vec<Value> {
    let cooling = ByKey::new(cooling, |cooling| &cooling.key);
    each_key(snapshot)
        .map(|(provider, key)| {
            let mut entry = json!({ "provider": &*provider.name, "key": &*key.name });
            let states: Vec<Value> = cooling.of(key).iter().map(|cooling| state(cooling)).collect();
            let whole = cooling.of(key).iter().any(|c| c.model.is_none());
            let status = match (&key.disabled, whole) {
                (Some(_), _) => "disabled",
                (None, true) => "cooling",
                (None, false) => "ready",
            };
            if let Some(fields) = entry.as_object_mut() {
                fields.insert("status".to_owned(), json!(status));
                if let Some(why) = &key.disabled {
                    fields.insert("reason".to_owned(), json!(why));
                }
                if !states.is_empty() {
                    fields.insert("cooling".to_owned(), json!(states));
                }
            }
            entry
        })
        .collect()
}

pub fn state(cooling: &Cooling) -> Value {
    let why = match cooling.why {
        CoolReason::RateLimited => "rate_limited",
        CoolReason::Refused => "refused",
        CoolReason::Quota => "quota",
        CoolReason::Faults => "faults",
        CoolReason::Asked => "asked",
    };
    let mut state =
        json!({ "model": cooling.model.as_deref(), "reason": why, "remaining_ms": cooling.remaining_ms });
    if let Some(fields) = state.as_object_mut().filter(|_| cooling.why == CoolReason::Faults) {
        fields.insert("circuit".to_owned(), json!(if cooling.probing { "half_open" } else { "open" }));
    }
    state
}
