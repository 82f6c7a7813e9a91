//! Makes metrics and registers them, and keeps a list of what was made: docs/metrics.md is held against it.

use std::cell::RefCell;

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, Result,
};

/// What a metric is, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub name: String,
    pub kind: Kind,
    pub labels: Vec<String>,
    pub help: String,
}

/// Kinds of metrics, as the exposition formats name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Makes metrics of one registry.
#[derive(Debug, Default)]
pub struct Maker {
    registry: Registry,
    known: RefCell<Vec<Known>>,
}

impl Maker {
    /// The registry, and all that was made, by name.
    #[must_use]
    pub fn finish(self) -> (Registry, Vec<Known>) {
        let mut known = self.known.into_inner();
        known.sort_by(|a, b| a.name.cmp(&b.name));
        (self.registry, known)
    }

    /// Registers a metric of any make.
    ///
    /// # Errors
    /// Its name is taken, or it or a label of it is no valid one: a programming error, found at start.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C, kind: Kind) -> Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        self.note(&metric, kind);
        Ok(metric)
    }

    /// Lists a metric that is gathered beside the registry.
    pub fn note(&self, metric: &impl Collector, kind: Kind) {
        self.known.borrow_mut().extend(metric.desc().into_iter().map(|desc| Known {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        }));
    }

    pub(crate) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?, Kind::Counter)
    }

    pub(crate) fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.register(IntCounter::new(name, help)?, Kind::Counter)
    }

    pub(crate) fn amount(&self, name: &str, help: &str) -> Result<Counter> {
        self.register(Counter::new(name, help)?, Kind::Counter)
    }

    pub(crate) fn amounts(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec> {
        self.register(CounterVec::new(Opts::new(name, help), labels)?, Kind::Counter)
    }

    pub(crate) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.register(IntGauge::new(name, help)?, Kind::Gauge)
    }

    pub(crate) fn level(&self, name: &str, help: &str) -> Result<Gauge> {
        self.register(Gauge::new(name, help)?, Kind::Gauge)
    }

    pub(crate) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?, Kind::Gauge)
    }

    pub(crate) fn whole_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?, Kind::Gauge)
    }

    /// A histogram with its upper bounds. What they are of is said with them: `(help, bounds)`.
    pub(crate) fn histograms(
        &self,
        name: &str,
        (help, bounds): (&str, &[f64]),
        labels: &[&str],
    ) -> Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(HistogramVec::new(opts, labels)?, Kind::Histogram)
    }

    pub(crate) fn histogram(&self, name: &str, (help, bounds): (&str, &[f64])) -> Result<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(Histogram::with_opts(opts)?, Kind::Histogram)
    }
}
