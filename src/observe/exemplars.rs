//! Finished requests as exemplars of histograms.

use std::sync::Arc;

use super::Listener;
use crate::telemetry::metrics::Exemplars;
use crate::telemetry::record::Record;

impl Listener for Arc<Exemplars> {
    fn told(&mut self, records: &[Arc<Record>], now_ms: u64) {
        self.note(records, now_ms);
    }
}
