//! Prometheus metrics: the seed's five names with its labels, the original's where they mean the same, and ours.
//!
//! Label values are bounded: provider and key names come from the configuration, models are counted
//! and those beyond the bound become `other`, so that callers cannot fill the memory with names. All of them are in
//! docs/metrics.md, which a test holds against what is made here.

mod cache;
mod callers;
mod cluster;
mod config;
mod exemplars;
pub mod exposition;
mod health;
mod hedging;
mod http;
mod labels;
mod maker;
mod models;
mod observe;
mod pauses;
mod process;
mod push;
mod rules;
mod series;
mod stores;
mod streams;
mod upstream;

use std::sync::Arc;

use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

pub use self::cache::Cached;
pub use self::callers::Callers;
pub use self::cluster::Cluster;
pub use self::config::Config;
pub use self::exemplars::Exemplars;
use self::exposition::Format;
pub use self::health::Health;
pub use self::hedging::Hedging;
pub use self::http::{Finished, Http};
pub use self::maker::{Kind, Known, Maker};
use self::models::Models;
pub use self::observe::Observe;
pub use self::pauses::Pauses;
use self::process::Process;
pub use self::push::Pushes;
pub use self::rules::Rules;
use self::series::AllSeries;
pub use self::series::Series;
pub use self::streams::Streams;
pub use self::upstream::{Ended, Upstream};
use super::limits::Limits;
use super::queues::Queues;

const DURATIONS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0, 180.0, 600.0,
];
const OVERHEADS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1];

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    known: Vec<Known>,
    models: Arc<Models>,
    series: AllSeries,
    /// `bifrost_requests_total{provider, model}`.
    pub requests: IntCounterVec,
    /// `bifrost_request_duration_seconds{provider}`.
    pub duration: HistogramVec,
    /// Of the cache of answers.
    pub cache: Cached,
    /// `bifrost_errors_total{provider, type}`.
    pub errors: IntCounterVec,
    /// `bifrost_attempts_total{provider, model, outcome}`.
    pub attempts: IntCounterVec,
    /// `bifrost_in_flight_requests`.
    pub in_flight: IntGauge,
    /// `bifrost_time_to_first_token_seconds{provider}`.
    pub ttft: HistogramVec,
    pub streams: Streams,
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
    pub config: Config,
    /// `bifrost_log_lines_dropped_total`.
    pub log_dropped: IntCounter,
    /// Of the waiting rooms.
    pub queue: Queues,
    pub limits: Limits,
    pub rules: Rules,
    /// Of other gateways.
    pub cluster: Cluster,
    pub stores: stores::Stores,
    /// Of attempts.
    pub upstream: Upstream,
    /// Of requests as callers send them.
    pub http: Http,
    /// Of the push gateway.
    pub pushes: Pushes,
    /// Of those who watch requests.
    pub observe: Observe,
    process: Process,
    /// By virtual key, and by what callers say of themselves.
    pub callers: Arc<Callers>,
    /// Requests to look at, for those who read OpenMetrics.
    pub exemplars: Arc<Exemplars>,
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
        let make = Maker::default();
        let (model, provider) = (&["provider", "model"], &["provider"]);
        let overflow = "Values of labels that had no room and became `other`";
        let overflow = make.counters("bifrost_metric_label_overflow_total", overflow, &["label"])?;
        let models = Arc::new(Models::new(overflow.with_label_values(&["model"])));
        let exemplars = Arc::new(Exemplars::new(Arc::clone(&models)));
        let took = ("From request to end of answer", DURATIONS);
        let first = ("From request to first token", DURATIONS);
        let overhead = ("Time in the gateway less time waiting for sockets", OVERHEADS);
        let counters = |name: &str, help: &str, labels: &[&str]| make.counters(name, help, labels);
        let mut metrics = Self {
            requests: counters("bifrost_requests_total", "Requests that went to a provider", model)?,
            duration: make.histograms("bifrost_request_duration_seconds", took, provider)?,
            cache: Cached::new(&make)?,
            errors: counters("bifrost_errors_total", "Requests that failed", &["provider", "type"])?,
            attempts: counters("bifrost_attempts_total", "Attempts", &["provider", "model", "outcome"])?,
            in_flight: make.gauge("bifrost_in_flight_requests", "Requests being served")?,
            ttft: make.histograms("bifrost_time_to_first_token_seconds", first, provider)?,
            streams: Streams::new(&make)?,
            overhead: make.histogram("bifrost_gateway_overhead_seconds", overhead)?,
            health: Health::new(&make)?,
            input_tokens: counters("bifrost_input_tokens_total", "Input tokens, cached included", model)?,
            cached_input_tokens: counters(
                "bifrost_cached_input_tokens_total",
                "Input tokens from prompt caches",
                model,
            )?,
            output_tokens: counters("bifrost_output_tokens_total", "Output tokens", model)?,
            cost: make.amounts("bifrost_cost_total", "US dollars where the price is known", model)?,
            unpriced: counters("bifrost_unpriced_requests_total", "Answers without a price", model)?,
            hedging: Hedging::new(&make)?,
            cluster: Cluster::new(&make)?,
            config: Config::new(&make)?,
            rules: Rules::new(&make)?,
            stores: stores::Stores::new(&make)?,
            callers: Arc::new(Callers::new(&make, &overflow)?),
            log_dropped: make.counter("bifrost_log_lines_dropped_total", "Lost because the log was slow")?,
            queue: Queues::new(&make)?,
            limits: Limits::new(&make)?,
            upstream: Upstream::new(&make)?,
            http: Http::new(&make)?,
            pushes: Pushes::new(&make)?,
            observe: Observe::new(&make)?,
            process: Process::new(&make)?,
            exemplars,
            models,
            series: AllSeries::default(),
            registry: Registry::default(),
            known: Vec::new(),
        };
        if let Some(events) = super::events::COUNTED.as_ref() {
            make.register(events.clone(), Kind::Counter)?;
        }
        (metrics.registry, metrics.known) = make.finish();
        Ok(metrics)
    }

    /// One more request in flight, until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// All metrics that there are, by name.
    #[must_use]
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// The text exposition format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 * 1024);
        self.write(Format::Text, 0, &mut out);
        out
    }

    /// Appends all of them in one of the exposition formats. `now_ms`: the Unix time.
    pub fn write(&self, format: Format, now_ms: u64, out: &mut Vec<u8>) {
        self.process.note();
        let families = self.gather();
        match format {
            Format::Text => exposition::text(&families, out),
            Format::OpenMetrics => exposition::open_metrics(&families, &self.exemplars.read(now_ms), out),
        }
    }

    fn gather(&self) -> Vec<MetricFamily> {
        let mut families = self.registry.gather();
        families.extend(self.callers.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
    }
}

#[cfg(test)]
mod tests;
