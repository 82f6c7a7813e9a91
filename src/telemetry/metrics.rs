//! Prometheus metrics: the seed's five names with its labels, and ours.
//!
//! Label values are bounded: provider and key names come from the configuration, models are counted
//! and those beyond the bound become `other`, so that callers cannot fill the memory with names.

mod callers;
mod cluster;
mod health;
mod hedging;
mod rules;
mod stores;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

pub use self::callers::Callers;
pub use self::cluster::Cluster;
pub use self::health::Health;
pub use self::hedging::Hedging;
pub use self::rules::Rules;
use super::limits::Limits;
use super::queues::Queues;

/// Distinct `model` label values; later ones become `other`.
const MAX_MODELS: usize = 500;

const DURATIONS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0, 180.0, 600.0,
];
const OVERHEADS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1];

/// By provider, then by model.
type SeriesByName = HashMap<Arc<str>, HashMap<Box<str>, Arc<Series>>>;

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    models: RwLock<HashSet<Arc<str>>>,
    series: RwLock<SeriesByName>,
    /// `bifrost_requests_total{provider, model}`.
    pub requests: IntCounterVec,
    /// `bifrost_request_duration_seconds{provider}`.
    pub duration: HistogramVec,
    /// `bifrost_cache_hits_total{type}`; counts from the cache milestone on.
    pub cache_hits: IntCounterVec,
    /// `bifrost_cache_misses_total`; likewise.
    pub cache_misses: IntCounter,
    /// `bifrost_errors_total{provider, type}`.
    pub errors: IntCounterVec,
    /// `bifrost_attempts_total{provider, model, outcome}`.
    pub attempts: IntCounterVec,
    /// `bifrost_in_flight_requests`.
    pub in_flight: IntGauge,
    /// `bifrost_time_to_first_token_seconds{provider}`.
    pub ttft: HistogramVec,
    /// `bifrost_gateway_overhead_seconds`.
    pub overhead: Histogram,
    pub health: Health,
    /// `bifrost_input_tokens_total{provider, model}`.
    pub input_tokens: IntCounterVec,
    /// `bifrost_cached_input_tokens_total{provider, model}`: those of them that providers' prompt caches had.
    pub cached_input_tokens: IntCounterVec,
    /// `bifrost_output_tokens_total{provider, model}`.
    pub output_tokens: IntCounterVec,
    /// `bifrost_cost_total{provider, model}`, US dollars.
    pub cost: CounterVec,
    /// `bifrost_unpriced_requests_total{provider, model}`: answers whose price nobody published.
    pub unpriced: IntCounterVec,
    /// Of second attempts.
    pub hedging: Hedging,
    /// `bifrost_stream_events_skipped_total{provider}`.
    pub skipped: IntCounterVec,
    /// `bifrost_stream_recoveries_total{outcome}`: continued, restarted or failed.
    pub recoveries: IntCounterVec,
    /// `bifrost_config_reloads_total{result}`.
    pub reloads: IntCounterVec,
    /// `bifrost_config_version`.
    pub config_version: IntGauge,
    /// `bifrost_log_lines_dropped_total`.
    pub log_dropped: IntCounter,
    /// Of the waiting rooms.
    pub queue: Queues,
    pub limits: Limits,
    pub rules: Rules,
    /// Of other gateways.
    pub cluster: Cluster,
    pub stores: stores::Stores,
    /// By virtual key.
    pub callers: Callers,
}

/// The metrics of one provider and model, looked up once: a request touches most of them.
pub struct Series {
    pub requests: IntCounter,
    pub succeeded: IntCounter,
    pub duration: Histogram,
    pub ttft: Histogram,
    pub input_tokens: IntCounter,
    pub cached_input_tokens: IntCounter,
    pub output_tokens: IntCounter,
    pub cost: Counter,
    pub unpriced: IntCounter,
}

/// Counts one request in flight until it is dropped: also when a filter panics and no hook runs.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All metrics, registered.
    ///
    /// # Errors
    /// A name or label is not valid for Prometheus: a programming error, found at start.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let model = &["provider", "model"];
        let metrics = Self {
            models: RwLock::default(),
            series: RwLock::default(),
            requests: make.counters("bifrost_requests_total", "Requests that went to a provider", model)?,
            duration: make.durations("bifrost_request_duration_seconds", "From request to end of answer")?,
            cache_hits: make.counters("bifrost_cache_hits_total", "Answers from the cache", &["type"])?,
            cache_misses: make.counter("bifrost_cache_misses_total", "Cache lookups without an answer")?,
            errors: make.counters("bifrost_errors_total", "Requests that failed", &["provider", "type"])?,
            attempts: make.counters(
                "bifrost_attempts_total",
                "Attempts",
                &["provider", "model", "outcome"],
            )?,
            in_flight: make.gauge("bifrost_in_flight_requests", "Requests being served")?,
            ttft: make.durations("bifrost_time_to_first_token_seconds", "From request to first token")?,
            overhead: make.overhead()?,
            health: Health::new(&make)?,
            input_tokens: make.counters(
                "bifrost_input_tokens_total",
                "Input tokens, cached included",
                model,
            )?,
            cached_input_tokens: make.counters(
                "bifrost_cached_input_tokens_total",
                "Input tokens from prompt caches",
                model,
            )?,
            output_tokens: make.counters("bifrost_output_tokens_total", "Output tokens", model)?,
            cost: make.amounts("bifrost_cost_total", "US dollars where the price is known", model)?,
            unpriced: make.counters("bifrost_unpriced_requests_total", "Answers without a price", model)?,
            hedging: Hedging::new(&make)?,
            cluster: Cluster::new(&make)?,
            skipped: make.counters(
                "bifrost_stream_events_skipped_total",
                "Unreadable events",
                &["provider"],
            )?,
            recoveries: make.counters(
                "bifrost_stream_recoveries_total",
                "Streams that broke and were taken up",
                &["outcome"],
            )?,
            reloads: make.counters("bifrost_config_reloads_total", "Configuration reloads", &["result"])?,
            config_version: make.gauge("bifrost_config_version", "The configuration in force")?,
            rules: Rules::new(&make)?,
            stores: stores::Stores::new(&make)?,
            callers: Callers::new(&make)?,
            log_dropped: make.counter("bifrost_log_lines_dropped_total", "Lost because the log was slow")?,
            queue: Queues::new(&registry)?,
            limits: Limits::new(&registry)?,
            registry,
        };
        metrics.seed();
        Ok(metrics)
    }

    /// Series whose labels are known are there from the start, with 0.
    fn seed(&self) {
        self.reloads.with_label_values(&["success"]);
        self.reloads.with_label_values(&["failure"]);
        for outcome in ["continued", "restarted", "failed"] {
            self.recoveries.with_label_values(&[outcome]);
        }
        for kind in ["direct", "semantic"] {
            self.cache_hits.with_label_values(&[kind]);
        }
    }

    /// One more request in flight, until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// The series of a provider and model; models beyond the bound, and those not admitted, share one.
    #[must_use]
    pub fn series(&self, provider: &Arc<str>, model: &str, admitted: bool) -> Arc<Series> {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(provider).and_then(|models| models.get(model)) {
            return Arc::clone(found);
        }
        drop(known);
        let label = self.model_label(model, admitted);
        let made = Arc::new(self.make_series(provider, label));
        // Beyond the bound nothing is kept for a name.
        if label == model {
            let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
            known.entry(Arc::clone(provider)).or_default().insert(model.into(), Arc::clone(&made));
        }
        made
    }

    fn make_series(&self, provider: &str, label: &str) -> Series {
        let both = &[provider, label];
        Series {
            requests: self.requests.with_label_values(both),
            succeeded: self.attempts.with_label_values(&[provider, label, "success"]),
            duration: self.duration.with_label_values(&[provider]),
            ttft: self.ttft.with_label_values(&[provider]),
            input_tokens: self.input_tokens.with_label_values(both),
            cached_input_tokens: self.cached_input_tokens.with_label_values(both),
            output_tokens: self.output_tokens.with_label_values(both),
            cost: self.cost.with_label_values(both),
            unpriced: self.unpriced.with_label_values(both),
        }
    }

    /// The label value of a model: its name once it was admitted, else `other`. `admit`: this one may be,
    /// within the bound.
    #[must_use]
    pub fn model_label<'m>(&self, model: &'m str, admit: bool) -> &'m str {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        if models.contains(model) {
            return model;
        }
        if !admit {
            return "other";
        }
        if models.len() >= MAX_MODELS || model.len() > 128 {
            return "other";
        }
        drop(models);
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.insert(model.into());
        model
    }

    /// The text exposition format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            log::error!("metrics could not be rendered: {error}");
        }
        out
    }
}

/// Makes metrics and registers them.
struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    fn amounts(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<CounterVec> {
        self.register(CounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn durations(&self, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(DURATIONS.to_vec());
        self.register(HistogramVec::new(opts, &["provider"])?)
    }

    fn overhead(&self) -> prometheus::Result<Histogram> {
        let help = "Time in the gateway less time waiting for sockets";
        let opts = HistogramOpts::new("bifrost_gateway_overhead_seconds", help).buckets(OVERHEADS.to_vec());
        self.register(Histogram::with_opts(opts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_labels_are_bounded() {
        let metrics = Metrics::new().unwrap();
        for n in 0..MAX_MODELS {
            let name = format!("model-{n}");
            assert_eq!(metrics.model_label(&name, true), name);
        }
        assert_eq!(metrics.model_label("one-too-many", true), "other");
        assert_eq!(metrics.model_label("never-admitted", false), "other");
        assert_eq!(metrics.model_label("model-7", false), "model-7");
    }

    #[test]
    fn in_flight_returns_to_zero_when_a_request_panics() {
        let metrics = Metrics::new().unwrap();
        let guard = metrics.enter();
        let gauge = metrics.in_flight.clone();
        assert_eq!(gauge.get(), 1);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _guard = guard;
            panic!("a filter panicked");
        }));
        assert!(result.is_err());
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn the_seeds_names_are_rendered_with_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.requests.with_label_values(&["openai", "gpt-4o-mini"]).inc();
        metrics.errors.with_label_values(&["openai", "rate_limit"]).inc();
        metrics.duration.with_label_values(&["openai"]).observe(1.2);
        let text = String::from_utf8(metrics.render()).unwrap();
        for line in [
            r#"bifrost_requests_total{model="gpt-4o-mini",provider="openai"} 1"#,
            r#"bifrost_errors_total{provider="openai",type="rate_limit"} 1"#,
            r#"bifrost_request_duration_seconds_count{provider="openai"} 1"#,
            r#"bifrost_cache_hits_total{type="semantic"} 0"#,
            "bifrost_cache_misses_total 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
