//! How the stores do. Set when somebody asks.

use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use super::Maker;

/// Standing of the stores and the ledger.
pub struct Stores {
    /// `bifrost_store_up{store}`: 1 it answers, 0 it does not.
    pub up: IntGaugeVec,
    /// `bifrost_ledger_spends_total`: rows that this process put into the ledger.
    pub spends: IntCounter,
    /// `bifrost_ledger_unreadable_lines_total`.
    pub unreadable: IntCounter,
    /// `bifrost_ledger_unread_bytes`: what journals hold while the ledger cannot be written.
    pub unread: IntGauge,
}

impl Stores {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            up: make.whole_gauges("bifrost_store_up", "1: it answers, 0: it does not", &["store"])?,
            spends: make.counter("bifrost_ledger_spends_total", "Spends put into the ledger")?,
            unreadable: make
                .counter("bifrost_ledger_unreadable_lines_total", "Lines of journals that say nothing")?,
            unread: make.gauge("bifrost_ledger_unread_bytes", "In journals, not in the ledger yet")?,
        })
    }
}
