//! Metrics of the configuration in force. Set when somebody asks.

use prometheus::{Gauge, IntCounterVec, IntGauge};

use super::maker::Maker;

/// Which configuration is in force, and how it came to be.
pub struct Config {
    /// `bifrost_config_reloads_total{result}`.
    pub reloads: IntCounterVec,
    /// `bifrost_config_version`.
    pub version: IntGauge,
    /// `bifrost_config_last_reload_successful`: 1, or 0 while a newer file cannot be read.
    pub good: IntGauge,
    /// `bifrost_config_last_reload_success_timestamp_seconds`.
    pub time: Gauge,
}

impl Config {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let reloads = make.counters("bifrost_config_reloads_total", "Configuration reloads", &["result"])?;
        for result in ["success", "failure"] {
            reloads.with_label_values(&[result]);
        }
        let good = "1: the configuration in force is the newest, 0: a newer one was refused";
        Ok(Self {
            reloads,
            version: make.gauge("bifrost_config_version", "The configuration in force")?,
            good: make.gauge("bifrost_config_last_reload_successful", good)?,
            time: make.level(
                "bifrost_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read, in Unix time",
            )?,
        })
    }
}
