//! The servers behind several base URLs, in `/health` and metrics: which are asked, and why the others are not.

use serde_json::{Value, json};

use crate::config::snapshot::Snapshot;
use crate::proxy::Gateway;

/// Every server of the configuration in force, as `/health` shows it.
#[must_use]
pub fn list(gateway: &Gateway, snapshot: &Snapshot) -> Vec<Value> {
    let mut list = Vec::new();
    for (group, key) in gateway.groups.all(snapshot) {
        for standing in group.standings() {
            let status = match (standing.checks, standing.ready) {
                (Some(false), _) => "down",
                (_, true) => "ready",
                (_, false) => "resting",
            };
            let mut entry = json!({
                "provider": &**group.provider(),
                "backend": &*standing.backend.name,
                "status": status,
                "in_flight": standing.in_flight,
            });
            if let Some(fields) = entry.as_object_mut() {
                if let Some(key) = &key {
                    fields.insert("key".to_owned(), json!(&**key));
                }
                if standing.rest_ms > 0 {
                    fields.insert("remaining_ms".to_owned(), json!(standing.rest_ms));
                }
            }
            list.push(entry);
        }
    }
    list
}

/// Brings `bifrost_backend_healthy` up to date.
pub fn note(gateway: &Gateway, snapshot: &Snapshot) {
    let gauge = &gateway.metrics.health.backends;
    gauge.reset();
    for (group, _) in gateway.groups.all(snapshot) {
        for standing in group.standings() {
            let value = if standing.ready { 1.0 } else { 0.0 };
            gauge.with_label_values(&[&**group.provider(), &standing.backend.name]).set(value);
        }
    }
}
