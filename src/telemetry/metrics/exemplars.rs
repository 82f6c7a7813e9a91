//! A request for each bucket of a histogram, so that a point of a chart leads to a trace and to the request log.
//!
//! They are taken from finished requests, on the observer's thread, and only while somebody reads the exposition that has
//! them. The newest of each bucket is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::models::Models;
use super::{DURATIONS, OVERHEADS};
use crate::telemetry::record::Record;

/// Milliseconds that a reading counts for: scrapes are seconds apart.
const WANTED_MS: u64 = 10 * 60 * 1000;
/// An exemplar may have 128 characters in all its labels.
const LONGEST_ID: usize = 64;

/// A request that a bucket holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Where it is recorded.
    pub trace_id: Option<u128>,
    /// Absent where it is too long.
    pub request_id: Option<Box<str>>,
    /// Seconds.
    pub value: f64,
    /// Unix milliseconds.
    pub at_ms: u64,
}

/// Of all histograms that have any.
#[derive(Debug)]
pub struct Exemplars {
    models: Arc<Models>,
    /// Unix milliseconds of the last reading.
    read_ms: AtomicU64,
    kept: Mutex<Kept>,
}

/// By histogram, then by its label values in the order of their names, then by bucket.
#[derive(Debug, Default)]
pub struct Kept(HashMap<&'static str, HashMap<String, Vec<Option<Exemplar>>>>);

impl Exemplars {
    #[must_use]
    pub fn new(models: Arc<Models>) -> Self {
        Self { models, read_ms: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// Somebody reads them: from now on they are kept.
    pub fn read(&self, now_ms: u64) -> MutexGuard<'_, Kept> {
        self.read_ms.store(now_ms, Ordering::Relaxed);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what finished requests give.
    pub fn note(&self, records: &[Arc<Record>], now_ms: u64) {
        if records.is_empty() || now_ms.saturating_sub(self.read_ms.load(Ordering::Relaxed)) > WANTED_MS {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().for_each(|record| self.take(&mut kept, record));
    }

    fn take(&self, kept: &mut Kept, record: &Record) {
        let (Some(provider), Some(model)) = (&record.provider, &record.model) else { return };
        let at_ms = (record.started_us + record.took_us) / 1000;
        let mut put = |name: &'static str, labels: &[&str], bounds: &[f64], us: u64| {
            let found = Exemplar {
                trace_id: record.trace.as_ref().filter(|trace| trace.recorded).map(|trace| trace.trace_id),
                request_id: (record.request_id.len() <= LONGEST_ID).then(|| record.request_id.clone()),
                value: seconds(us),
                at_ms,
            };
            kept.put((name, labels), bounds, found);
        };
        let detail = self.models.detail(model);
        put("bifrost_request_duration_seconds", &[provider], DURATIONS, record.took_us);
        put("bifrost_gateway_overhead_seconds", &[], OVERHEADS, record.overhead_us);
        if let Some(us) = record.first_token_us {
            put("bifrost_time_to_first_token_seconds", &[provider], DURATIONS, us);
            let labels = [detail, provider];
            put("bifrost_stream_first_token_latency_seconds", &labels, DURATIONS, us);
        }
    }
}

impl Kept {
    /// What a bucket of a histogram holds: `labels` are its label values, in the order of their names.
    #[must_use]
    pub fn of(&self, name: &str, labels: &str) -> Option<&[Option<Exemplar>]> {
        self.0.get(name)?.get(labels).map(Vec::as_slice)
    }

    fn put(&mut self, (name, labels): (&'static str, &[&str]), bounds: &[f64], exemplar: Exemplar) {
        let buckets = self.0.entry(name).or_default().entry(joined(labels.iter().copied())).or_default();
        buckets.resize(bounds.len() + 1, None);
        let bucket = bounds.iter().position(|bound| exemplar.value <= *bound).unwrap_or(bounds.len());
        if let Some(place) = buckets.get_mut(bucket) {
            *place = Some(exemplar);
        }
    }
}

/// Label values as one text.
pub fn joined<'v>(values: impl Iterator<Item = &'v str>) -> String {
    values.fold(String::new(), |mut text, value| {
        text.push_str(value);
        text.push('\u{1f}');
        text
    })
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
