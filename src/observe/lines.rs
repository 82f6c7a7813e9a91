//! What is written down of every request, off the threads that serve them: the log line, and what was spent by nobody in
//! particular.

use std::sync::Arc;

use super::Listener;
use crate::account::ledger::Books;
use crate::account::settle;
use crate::telemetry::access_log;
use crate::telemetry::logger::Sink;
use crate::telemetry::record::Record;

/// Writes log lines.
pub struct LogLines(pub Arc<Sink>);

impl Listener for LogLines {
    fn told(&mut self, records: &[Arc<Record>], _now_ms: u64) {
        records.iter().for_each(|record| access_log::write(record, &self.0));
    }
}

/// Writes spends that were added up.
pub struct Spends(pub Arc<Books>);

impl Listener for Spends {
    fn told(&mut self, _records: &[Arc<Record>], _now_ms: u64) {
        settle::write_gathered(&self.0);
    }

    fn ended(&mut self) {
        settle::write_gathered(&self.0);
    }
}
