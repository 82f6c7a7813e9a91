//! How evenly streams come: the time between two pieces of one.
//!
//! A piece is one read that had an event in it; its time is the one that the stream's deadline is set with anyway. A stream
//! notes its pauses in counts of its own, without an atomic, and adds them to the metric once, when it is over.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

/// Upper bounds, in microseconds.
const BOUNDS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    15_000_000,
];
/// One more for what is above all bounds.
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// The pauses of one stream.
#[derive(Debug, Clone, Default)]
pub struct Pauses {
    last: Option<Instant>,
    counts: [u32; BUCKETS],
    sum: Duration,
}

/// The pauses of all streams, by provider and model.
#[derive(Clone)]
pub struct Paces {
    desc: Arc<Desc>,
    known: Arc<RwLock<ByName>>,
}

/// By provider, then by model.
type ByName = BTreeMap<Box<str>, BTreeMap<Box<str>, Pace>>;

/// The pauses of streams of one model.
#[derive(Debug, Default)]
struct Pace {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Pauses {
    /// A piece came. The first one has no pause before it.
    pub fn piece(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let pause = now.saturating_duration_since(last);
            let us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
            let bucket = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
            if let Some(count) = self.counts.get_mut(bucket) {
                *count = count.saturating_add(1);
            }
            self.sum = self.sum.saturating_add(pause);
        }
    }

    /// It had fewer than two pieces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }
}

impl Pace {
    fn add(&self, pauses: &Pauses) {
        for (all, one) in self.counts.iter().zip(&pauses.counts).filter(|(_, one)| **one > 0) {
            all.fetch_add(u64::from(*one), Ordering::Relaxed);
        }
        let us = u64::try_from(pauses.sum.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// The counts are read before the sum and are what is told: their total is the count, whatever comes meanwhile.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
    fn show(&self) -> proto::Histogram {
        let mut total = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len());
        let mut bounds = BOUNDS_US.iter();
        for count in &self.counts {
            total += count.load(Ordering::Relaxed);
            if let Some(bound) = bounds.next() {
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound as f64 / 1e6);
                bucket.set_cumulative_count(total);
                buckets.push(bucket);
            }
        }
        let mut shown = proto::Histogram::default();
        shown.set_bucket(buckets);
        shown.set_sample_count(total);
        shown.set_sample_sum(self.sum_us.load(Ordering::Relaxed) as f64 / 1e6);
        shown
    }
}

impl Paces {
    pub(super) fn new(name: &str, help: &str) -> prometheus::Result<Self> {
        let labels = vec!["provider".to_owned(), "model".to_owned()];
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?;
        Ok(Self { desc: Arc::new(desc), known: Arc::default() })
    }

    /// Adds the pauses of a stream that is over. Whoever tells of it bounds the names.
    pub fn add(&self, (provider, model): (&str, &str), pauses: &Pauses) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = known.get(provider).and_then(|models| models.get(model)) {
            return pace.add(pauses);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(provider.into()).or_default().entry(model.into()).or_default().add(pauses);
    }
}

impl Collector for Paces {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let each = known
            .iter()
            .flat_map(|(provider, models)| models.iter().map(move |(model, pace)| (provider, model, pace)));
        let shown = each.map(|(provider, model, pace)| {
            let mut metric =
                proto::Metric::from_label(vec![label("model", model), label("provider", provider)]);
            metric.set_histogram(pace.show());
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(shown.collect());
        vec![family]
    }
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_counted_where_they_belong() {
        let (begin, mut pauses) = (Instant::now(), Pauses::default());
        for ms in [0, 1, 4, 104, 30_000] {
            pauses.piece(begin + Duration::from_millis(ms));
        }
        let paces = Paces::new("x_seconds", "x").unwrap();
        paces.add(("p", "m"), &pauses);
        paces.add(("p", "m"), &pauses);
        let families = paces.collect();
        let shown = families[0].get_metric()[0].get_histogram();
        assert_eq!(shown.get_sample_count(), 8);
        assert!((shown.get_sample_sum() - 60.0).abs() < 1e-9);
        let at = |bound: f64| {
            let bucket = shown.get_bucket().iter().find(|bucket| bucket.upper_bound() == bound);
            bucket.unwrap().cumulative_count()
        };
        // 1 ms, 3 ms, 100 ms, and one above all bounds.
        assert_eq!([at(0.001), at(0.0025), at(0.005), at(0.1), at(15.0)], [2, 2, 4, 6, 6]);
    }

    #[test]
    fn a_stream_of_one_piece_has_no_pause() {
        let mut pauses = Pauses::default();
        assert!(pauses.is_empty());
        pauses.piece(Instant::now());
        assert!(pauses.is_empty());
        pauses.piece(Instant::now());
        assert!(!pauses.is_empty());
    }
}
