//! Metrics of the push gateway, where one is told.

use prometheus::{Gauge, IntCounterVec};

use super::maker::Maker;

/// How pushing goes.
#[derive(Clone)]
pub struct Pushes {
    /// `bifrost_metrics_pushes_total{result}`.
    pub total: IntCounterVec,
    /// `bifrost_metrics_push_last_success_timestamp_seconds`; 0: never yet.
    pub last: Gauge,
}

impl Pushes {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let total = make.counters("bifrost_metrics_pushes_total", "Pushes to a push gateway", &["result"])?;
        for result in ["success", "failure"] {
            total.with_label_values(&[result]);
        }
        let last = "When a push gateway last took what was pushed, in Unix time";
        let last = make.level("bifrost_metrics_push_last_success_timestamp_seconds", last)?;
        Ok(Self { total, last })
    }
}
