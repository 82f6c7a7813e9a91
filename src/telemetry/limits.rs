//! Metrics of budgets and limits: how they stand when somebody looks, who was refused, and how writing down goes.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge};

use super::metrics::Maker;

/// Registered with the others.
pub struct Limits {
    /// `bifrost_budget_used_dollars{kind, owner, window}`, filled for each answer.
    pub budget_used: GaugeVec,
    /// `bifrost_budget_held_dollars{kind, owner, window}`: by requests under way.
    pub budget_held: GaugeVec,
    /// `bifrost_budget_max_dollars{kind, owner, window}`.
    pub budget_max: GaugeVec,
    /// `bifrost_limit_used{kind, owner, measure, window}`.
    pub limit_used: GaugeVec,
    /// `bifrost_limit_max{kind, owner, measure, window}`.
    pub limit_max: GaugeVec,
    /// `bifrost_limit_refused_total{kind, type}`: attempts and requests that an owner of this kind had nothing left for.
    pub refused: IntCounterVec,
    /// `bifrost_ledger_written_total`.
    pub written: IntCounter,
    /// `bifrost_ledger_failed_total`: writes that failed, and were tried again.
    pub failed: IntCounter,
    /// `bifrost_ledger_dropped_total`: spends that are not in the ledger.
    pub dropped: IntCounter,
    /// `bifrost_ledger_waiting`: spends in memory that could not be written yet.
    pub waiting: IntGauge,
}

impl Limits {
    /// Owners that are shown at most: the fullest are.
    pub const OWNERS: usize = 500;

    /// All of them, registered.
    ///
    /// # Errors
    /// A name or label is not valid for Prometheus: a programming error, found at start.
    pub fn new(make: &Maker) -> prometheus::Result<Self> {
        let (of, all) = (["kind", "owner", "window"], ["kind", "owner", "measure", "window"]);
        let refused = "Refused for want of budget or limit";
        Ok(Self {
            budget_used: make.gauges("bifrost_budget_used_dollars", "Used of a budget in its window", &of)?,
            budget_held: make.gauges("bifrost_budget_held_dollars", "Held of a budget", &of)?,
            budget_max: make.gauges("bifrost_budget_max_dollars", "Size of a budget", &of)?,
            limit_used: make.gauges("bifrost_limit_used", "Used of a rate limit in its window", &all)?,
            limit_max: make.gauges("bifrost_limit_max", "Size of a rate limit", &all)?,
            refused: make.counters("bifrost_limit_refused_total", refused, &["kind", "type"])?,
            written: make.counter("bifrost_ledger_written_total", "Spends written down")?,
            failed: make
                .counter("bifrost_ledger_failed_total", "Spends that could not be written at once")?,
            dropped: make.counter("bifrost_ledger_dropped_total", "Spends that are lost for the ledger")?,
            waiting: make.gauge("bifrost_ledger_waiting", "Spends that could not be written yet")?,
        })
    }
}
