//! Metrics of attempts, under the original's names where they mean the same, and of how requests went from one to the next.
//!
//! Labels are provider, model, kind of request and key: what the original adds to each series (who called, how often it was
//! tried) is in metrics of its own, since every label multiplies the others.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::DURATIONS;
use super::maker::Maker;
use super::series::Series;

/// What becomes of attempts.
pub struct Upstream {
    /// `bifrost_upstream_requests_total{provider, model, method}`.
    requests: IntCounterVec,
    /// `bifrost_upstream_latency_seconds{provider, model, is_success}`.
    latency: HistogramVec,
    /// `bifrost_success_requests_total{provider, model, method}`.
    success: IntCounterVec,
    /// `bifrost_error_requests_total{provider, model, method, status_code}`.
    errors: IntCounterVec,
    /// `bifrost_key_attempts_total{provider, key, outcome}`.
    by_key: IntCounterVec,
    /// `bifrost_fallbacks_total{from, to, reason}`: providers.
    pub fallbacks: IntCounterVec,
    /// `bifrost_retries_total{provider, reason}`.
    pub retries: IntCounterVec,
    /// `bifrost_attempts_per_request`.
    pub per_request: Histogram,
}

/// What every answer of a model to one kind of request counts in.
pub struct Answered {
    requests: IntCounter,
    latency: Histogram,
    success: IntCounter,
}

/// An attempt that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub provider: &'a str,
    /// As a label: see `Metrics::model_label`.
    pub model: &'a str,
    /// The same for histograms: see `Metrics::detail_label`.
    pub detail: &'a str,
    /// The original's name of the request: `chat_completion`, ….
    pub method: &'static str,
    /// Of the configuration.
    pub key: Option<&'a str>,
    /// `success`, or the label of the fault.
    pub outcome: &'a str,
    /// Of the provider's answer; 0: none came.
    pub status: u16,
    pub took: Duration,
    /// `None`: it was ended by us, since another one was ahead.
    pub success: Option<bool>,
}

impl Upstream {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let model = &["provider", "model", "method"];
        Ok(Self {
            requests: make.counters(
                "bifrost_upstream_requests_total",
                "Attempts by kind of request",
                model,
            )?,
            latency: make.histograms(
                "bifrost_upstream_latency_seconds",
                ("From the beginning of an attempt to its end", DURATIONS),
                &["provider", "model", "is_success"],
            )?,
            success: make.counters("bifrost_success_requests_total", "Attempts that answered", model)?,
            errors: make.counters(
                "bifrost_error_requests_total",
                "Attempts that failed, by the status of the provider's answer",
                &["provider", "model", "method", "status_code"],
            )?,
            by_key: make.counters(
                "bifrost_key_attempts_total",
                "Attempts by key of the configuration",
                &["provider", "key", "outcome"],
            )?,
            fallbacks: make.counters(
                "bifrost_fallbacks_total",
                "Requests that went on to another model, by their providers and why",
                &["from", "to", "reason"],
            )?,
            retries: make.counters(
                "bifrost_retries_total",
                "Requests that were tried again at the same model, by why",
                &["provider", "reason"],
            )?,
            per_request: make.histogram(
                "bifrost_attempts_per_request",
                (
                    "Attempts of a request, second ones beside the first included",
                    &[1.0, 2.0, 3.0, 4.0, 6.0, 10.0],
                ),
            )?,
        })
    }

    /// Counts an attempt that has answered, over what was looked up before.
    pub fn answered(&self, series: &Series, ended: Ended<'_>, key: Option<&Arc<str>>) {
        let Ended { provider, model, detail, method, took, .. } = ended;
        let found = series.answered(method, || Answered {
            requests: self.requests.with_label_values(&[provider, model, method]),
            latency: self.latency.with_label_values(&[provider, detail, "true"]),
            success: self.success.with_label_values(&[provider, model, method]),
        });
        found.requests.inc();
        found.success.inc();
        found.latency.observe(took.as_secs_f64());
        if let Some(key) = key {
            series.key(key, || self.by_key.with_label_values(&[provider, key, "success"])).inc();
        }
    }

    /// Counts an attempt that is over.
    pub fn ended(&self, ended: Ended<'_>) {
        let Ended { provider, model, method, .. } = ended;
        self.requests.with_label_values(&[provider, model, method]).inc();
        if let Some(key) = ended.key {
            self.by_key.with_label_values(&[provider, key, ended.outcome]).inc();
        }
        let Some(success) = ended.success else { return };
        let is_success = if success { "true" } else { "false" };
        let latency = self.latency.with_label_values(&[provider, ended.detail, is_success]);
        latency.observe(ended.took.as_secs_f64());
        if success {
            self.success.with_label_values(&[provider, model, method]).inc();
        } else {
            let mut buffer = itoa::Buffer::new();
            let status = if ended.status == 0 { "none" } else { buffer.format(ended.status) };
            self.errors.with_label_values(&[provider, model, method, status]).inc();
        }
    }
}
