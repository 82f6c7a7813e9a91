//! The cluster as `/health` and the metrics show it.

use serde_json::{Value, json};

use crate::cluster::leased;
use crate::proxy::Gateway;

/// What `/health` says; `None` where there is no cluster.
#[must_use]
pub fn details(gateway: &Gateway) -> Option<Value> {
    let shown = gateway.cluster.as_ref()?.state.show();
    let mut details = json!({
        "redis": if shown.reachable { "ok" } else { "gone" },
        "nodes": shown.nodes,
        "owners_with_leases": shown.owners,
        "answers": shown.answers,
        "failures": shown.failures,
        "latency_microseconds": shown.latency_us,
    });
    if let (Some((since, why)), Some(fields)) = (shown.gone, details.as_object_mut()) {
        fields.insert("gone_for_seconds".to_owned(), json!(since.as_secs()));
        fields.insert("last_error".to_owned(), json!(why));
    }
    Some(details)
}

/// Brings the gauges of the cluster up to date.
pub fn note(gateway: &Gateway) {
    let Some(cluster) = &gateway.cluster else { return };
    let (shown, metrics) = (cluster.state.show(), &gateway.metrics.cluster);
    metrics.reachable.set(i64::from(shown.reachable));
    metrics.nodes.set(i64::from(shown.nodes));
    metrics.answers.inc_by(shown.answers.saturating_sub(metrics.answers.get()));
    metrics.failures.inc_by(shown.failures.saturating_sub(metrics.failures.get()));
    metrics.latency.set(std::time::Duration::from_micros(shown.latency_us).as_secs_f64());
    metrics.leased.reset();
    for (kind, amount) in leased(&gateway.meters) {
        metrics.leased.with_label_values(&[kind]).set(i64::try_from(amount).unwrap_or(i64::MAX));
    }
}
