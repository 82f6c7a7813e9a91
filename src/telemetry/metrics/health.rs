//! How keys, targets and servers stand. Set when somebody asks, from what is known then; labels are names from the
//! configuration, and of targets that were used.

use prometheus::GaugeVec;

use super::Maker;

/// Standing of keys, targets and servers.
pub struct Health {
    /// `bifrost_key_healthy{provider, key}`: 1 ready, 0 cooling down or disabled.
    pub keys: GaugeVec,
    /// `bifrost_backend_healthy{provider, backend}`: 1 it is asked, 0 it is not.
    pub backends: GaugeVec,
    /// `bifrost_circuit_state{provider, key, model}`: 0 closed, 1 open, 2 half-open.
    pub circuits: GaugeVec,
    /// `bifrost_target_in_flight{provider, key, model}`.
    pub in_flight: GaugeVec,
    /// `bifrost_target_headroom_ratio{provider, key, model}`.
    pub headroom: GaugeVec,
}

impl Health {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let target = &["provider", "key", "model"];
        let backend = &["provider", "backend"];
        Ok(Self {
            keys: make.gauges("bifrost_key_healthy", "1: serves, 0: does not", &["provider", "key"])?,
            backends: make.gauges("bifrost_backend_healthy", "1: asked, 0: not", backend)?,
            circuits: make.gauges("bifrost_circuit_state", "0: closed, 1: open, 2: half-open", target)?,
            in_flight: make.gauges("bifrost_target_in_flight", "Attempts under way", target)?,
            headroom: make.gauges(
                "bifrost_target_headroom_ratio",
                "Left of the scarcest rate limit",
                target,
            )?,
        })
    }
}
