//! Metrics of the waiting rooms: who waits, for how long, and who was not let in.

use prometheus::{GaugeVec, HistogramVec, IntCounterVec};

use super::metrics::Maker;

/// Registered with the others.
pub struct Queues {
    /// `bifrost_queue_depth{provider}`.
    pub depth: GaugeVec,
    /// `bifrost_open_requests{provider}`: those that have a place.
    pub open: GaugeVec,
    /// `bifrost_queue_wait_seconds{provider}`: of those that had to wait, however it ended.
    pub wait: HistogramVec,
    /// `bifrost_queue_refused_total{provider, reason}`: `full`, `late`, `expired` or `dropped`.
    pub refused: IntCounterVec,
    /// `bifrost_target_max_open_requests{provider, key, model}`, where targets have limits of their own.
    pub limit: GaugeVec,
    /// `bifrost_provider_circuit_state{provider}`: as `bifrost_circuit_state`, of all its targets together.
    pub circuit: GaugeVec,
}

const WAITS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0];

impl Queues {
    /// All of them, registered.
    ///
    /// # Errors
    /// A name or label is not valid for Prometheus: a programming error, found at start.
    pub fn new(make: &Maker) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| make.gauges(name, help, &["provider"]);
        Ok(Self {
            depth: gauge("bifrost_queue_depth", "Requests that wait for a place at a provider")?,
            open: gauge("bifrost_open_requests", "Requests that have a place at a provider")?,
            limit: make.gauges(
                "bifrost_target_max_open_requests",
                "Requests that a target may have open",
                &["provider", "key", "model"],
            )?,
            wait: make.histograms(
                "bifrost_queue_wait_seconds",
                ("Wait for a place at a provider", WAITS),
                &["provider"],
            )?,
            refused: make.counters(
                "bifrost_queue_refused_total",
                "Requests that got no place at a provider",
                &["provider", "reason"],
            )?,
            circuit: gauge("bifrost_provider_circuit_state", "0: closed, 1: open, 2: half-open")?,
        })
    }
}
