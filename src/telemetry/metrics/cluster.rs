//! Metrics of the cluster; all stay 0 where there is none.

use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec};

use super::Maker;

/// How this gateway does among others.
pub struct Cluster {
    /// `bifrost_cluster_redis_up`: 1 when Redis answers.
    pub reachable: IntGauge,
    /// `bifrost_cluster_nodes`.
    pub nodes: IntGauge,
    /// `bifrost_cluster_redis_answers_total`.
    pub answers: IntCounter,
    /// `bifrost_cluster_redis_failures_total`.
    pub failures: IntCounter,
    /// `bifrost_cluster_redis_latency_seconds`: of the latest answer.
    pub latency: Gauge,
    /// `bifrost_cluster_leased{measure}`: nano-dollars, tokens, requests, places.
    pub leased: IntGaugeVec,
}

impl Cluster {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let leased = "Leased of budgets (nano-dollars) and limits";
        Ok(Self {
            reachable: make.gauge("bifrost_cluster_redis_up", "Redis answers")?,
            nodes: make.gauge("bifrost_cluster_nodes", "Gateways in the cluster")?,
            answers: make.counter("bifrost_cluster_redis_answers_total", "Answers of Redis")?,
            failures: make.counter("bifrost_cluster_redis_failures_total", "Questions without an answer")?,
            latency: make.level("bifrost_cluster_redis_latency_seconds", "Of the latest answer of Redis")?,
            leased: make.whole_gauges("bifrost_cluster_leased", leased, &["measure"])?,
        })
    }
}
