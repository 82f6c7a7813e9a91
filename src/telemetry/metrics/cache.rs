//! Metrics of the cache of answers, beside hits and misses, which the published pages name.

use prometheus::{Counter, Histogram, IntCounter, IntCounterVec};

use super::Maker;

const LOOKUPS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0,
];

/// Registered with the others.
#[derive(Clone)]
pub struct Cached {
    /// `bifrost_cache_hits_total{type}`: `direct`, `semantic`, `single_flight`.
    pub hits: IntCounterVec,
    /// `bifrost_cache_misses_total`.
    pub misses: IntCounter,
    /// `bifrost_cache_shadow_hits_total{type}`: what would have been given.
    pub shadow: IntCounterVec,
    /// `bifrost_cache_kept_total`.
    pub kept: IntCounter,
    /// `bifrost_cache_unkept_total{reason}`.
    unkept: IntCounterVec,
    /// `bifrost_cache_lookup_seconds`: of a lookup, whatever it waited for.
    pub lookup: Histogram,
    /// `bifrost_cache_saved_cost_total`, US dollars.
    pub saved_cost: Counter,
    /// `bifrost_cache_saved_seconds_total`.
    pub saved_seconds: Counter,
}

impl Cached {
    /// All of them, registered.
    ///
    /// # Errors
    /// A name or label is not valid for Prometheus: a programming error, found at start.
    pub fn new(make: &Maker) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| make.counters(name, help, labels);
        let cached = Self {
            hits: counters("bifrost_cache_hits_total", "Answers from the cache", &["type"])?,
            misses: make.counter("bifrost_cache_misses_total", "Cache lookups without an answer")?,
            shadow: counters(
                "bifrost_cache_shadow_hits_total",
                "Answers that the cache would have given, in shadow mode",
                &["type"],
            )?,
            kept: make.counter("bifrost_cache_kept_total", "Answers that were kept")?,
            unkept: counters("bifrost_cache_unkept_total", "Answers that were not kept", &["reason"])?,
            lookup: make.histogram("bifrost_cache_lookup_seconds", ("Of a lookup in the cache", LOOKUPS))?,
            saved_cost: make.amount(
                "bifrost_cache_saved_cost_total",
                "US dollars that answers cost which were given again",
            )?,
            saved_seconds: make.amount(
                "bifrost_cache_saved_seconds_total",
                "Seconds that answers took which were given again, less those of giving them",
            )?,
        };
        // Series whose labels are known are there from the start.
        for kind in ["direct", "semantic", "single_flight"] {
            cached.hits.with_label_values(&[kind]);
        }
        Ok(cached)
    }

    /// An answer was not kept.
    pub fn unkept(&self, reason: &str) {
        self.unkept.with_label_values(&[reason]).inc();
    }
}
