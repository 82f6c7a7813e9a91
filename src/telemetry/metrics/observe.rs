//! Metrics of those who watch requests: what waits for them, and what they did not see. Each part of [`crate::observe`]
//! sets its own; what is dropped here was lost for watching only, never for the caller.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::maker::Maker;

/// Whoever watches holds a clone.
#[derive(Clone)]
pub struct Observe {
    /// `bifrost_observe_records_total`: finished requests that were told of.
    pub records: IntCounter,
    /// `bifrost_observe_dropped_total{part, reason}`.
    pub dropped: IntCounterVec,
    /// `bifrost_observe_waiting{part}`.
    pub waiting: IntGaugeVec,
    /// `bifrost_live_listeners`: those who follow `/api/events`.
    pub listeners: IntGauge,
}

impl Observe {
    /// The parts that exist, with why they may drop: there from the start, with 0.
    const PARTS: [(&str, &str); 8] = [
        ("observer", "content"),
        ("observer", "full"),
        ("request_log", "content"),
        ("request_log", "full"),
        ("request_log", "refused"),
        ("sums", "unstored"),
        ("traces", "failed"),
        ("traces", "full"),
    ];

    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let observe = Self {
            records: make.counter("bifrost_observe_records_total", "Finished requests that were observed")?,
            dropped: make.counters(
                "bifrost_observe_dropped_total",
                "What observers lost of finished requests, by part and why",
                &["part", "reason"],
            )?,
            waiting: make.whole_gauges(
                "bifrost_observe_waiting",
                "What waits for observers, by part",
                &["part"],
            )?,
            listeners: make.gauge("bifrost_live_listeners", "Those who follow /api/events")?,
        };
        for (part, reason) in Self::PARTS {
            observe.dropped.with_label_values(&[part, reason]);
        }
        Ok(observe)
    }

    /// Brings a counter up to `total`, which somebody else counts.
    pub fn dropped_in_all(&self, part: &str, reason: &str, total: u64) {
        let counter = self.dropped.with_label_values(&[part, reason]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    pub fn waits(&self, part: &str, count: u64) {
        self.waiting.with_label_values(&[part]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
