//! Prometheus metrics: the seed's five names with its labels, and ours.
//!
//! Label values are bounded: provider and key names come from the configuration, models are counted
//! and those beyond the bound become `other`, so that callers cannot fill the memory with names.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry, TextEncoder,
};

/// Distinct `model` label values; later ones become `other`.
const MAX_MODELS: usize = 500;

const DURATIONS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0, 180.0, 600.0,
];
const OVERHEADS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1];

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    models: RwLock<HashSet<Arc<str>>>,
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
    /// `bifrost_key_healthy{provider, key}`: 1 ready, 0 cooling down or disabled.
    pub key_healthy: GaugeVec,
    /// `bifrost_input_tokens_total{provider, model}`.
    pub input_tokens: IntCounterVec,
    /// `bifrost_output_tokens_total{provider, model}`.
    pub output_tokens: IntCounterVec,
    /// `bifrost_cost_total{provider, model}`, US dollars.
    pub cost: CounterVec,
    /// `bifrost_stream_events_skipped_total{provider}`.
    pub skipped: IntCounterVec,
    /// `bifrost_config_reloads_total{result}`.
    pub reloads: IntCounterVec,
    /// `bifrost_config_version`.
    pub config_version: IntGauge,
    /// `bifrost_log_lines_dropped_total`.
    pub log_dropped: Gauge,
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
        let r = &registry;
        let metrics = Self {
            models: RwLock::default(),
            requests: counters(
                r,
                "bifrost_requests_total",
                "Requests that went to a provider",
                &["provider", "model"],
            )?,
            duration: histograms(
                r,
                "bifrost_request_duration_seconds",
                "From request to end of answer",
                &["provider"],
                DURATIONS,
            )?,
            cache_hits: counters(r, "bifrost_cache_hits_total", "Answers from the cache", &["type"])?,
            cache_misses: counter(r, "bifrost_cache_misses_total", "Cache lookups without an answer")?,
            errors: counters(
                r,
                "bifrost_errors_total",
                "Requests answered with an error",
                &["provider", "type"],
            )?,
            attempts: counters(
                r,
                "bifrost_attempts_total",
                "Attempts at providers by outcome",
                &["provider", "model", "outcome"],
            )?,
            in_flight: gauge(r, "bifrost_in_flight_requests", "Requests being served")?,
            ttft: histograms(
                r,
                "bifrost_time_to_first_token_seconds",
                "From request to first token of a stream",
                &["provider"],
                DURATIONS,
            )?,
            overhead: {
                let opts = HistogramOpts::new(
                    "bifrost_gateway_overhead_seconds",
                    "Time in the gateway less time waiting for sockets",
                );
                let histogram = Histogram::with_opts(opts.buckets(OVERHEADS.to_vec()))?;
                r.register(Box::new(histogram.clone()))?;
                histogram
            },
            key_healthy: {
                let vec = GaugeVec::new(
                    Opts::new("bifrost_key_healthy", "1: serves, 0: cooling down or disabled"),
                    &["provider", "key"],
                )?;
                r.register(Box::new(vec.clone()))?;
                vec
            },
            input_tokens: counters(
                r,
                "bifrost_input_tokens_total",
                "Input tokens, cached ones included",
                &["provider", "model"],
            )?,
            output_tokens: counters(
                r,
                "bifrost_output_tokens_total",
                "Output tokens, reasoning included",
                &["provider", "model"],
            )?,
            cost: {
                let vec = CounterVec::new(
                    Opts::new("bifrost_cost_total", "Cost in US dollars where the price is known"),
                    &["provider", "model"],
                )?;
                r.register(Box::new(vec.clone()))?;
                vec
            },
            skipped: counters(
                r,
                "bifrost_stream_events_skipped_total",
                "Stream events that could not be read",
                &["provider"],
            )?,
            reloads: counters(
                r,
                "bifrost_config_reloads_total",
                "Configuration reloads by result",
                &["result"],
            )?,
            config_version: gauge(r, "bifrost_config_version", "Version of the configuration in force")?,
            log_dropped: {
                let gauge = Gauge::new(
                    "bifrost_log_lines_dropped_total",
                    "Log lines dropped because the log was slow",
                )?;
                r.register(Box::new(gauge.clone()))?;
                gauge
            },
            registry,
        };
        metrics.reloads.with_label_values(&["success"]);
        metrics.reloads.with_label_values(&["failure"]);
        for kind in ["direct", "semantic"] {
            metrics.cache_hits.with_label_values(&[kind]);
        }
        Ok(metrics)
    }

    /// One more request in flight, until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// The label value of a model: its name, or `other` beyond the bound.
    #[must_use]
    pub fn model_label<'m>(&self, model: &'m str) -> &'m str {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        if models.contains(model) {
            return model;
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

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(vec.clone()))?;
    Ok(vec)
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> prometheus::Result<HistogramVec> {
    let vec = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
    registry.register(Box::new(vec.clone()))?;
    Ok(vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_labels_are_bounded() {
        let metrics = Metrics::new().unwrap();
        for n in 0..MAX_MODELS {
            let name = format!("model-{n}");
            assert_eq!(metrics.model_label(&name), name);
        }
        assert_eq!(metrics.model_label("one-too-many"), "other");
        assert_eq!(metrics.model_label("model-7"), "model-7");
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
