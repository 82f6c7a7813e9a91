//! Metrics of HTTP requests as callers send them, under the original's names. `path` is the template of a route, never what
//! the caller wrote: ids and models in it would be a series each.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Method;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::maker::Maker;

const TIMES: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const SIZES: &[f64] = &[100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0, 100_000_000.0];

/// What a request is counted under.
type Name = (&'static str, &'static str, u16);

/// Requests of callers.
pub struct Http {
    /// `http_requests_total{path, method, status}`.
    requests: IntCounterVec,
    /// `http_request_duration_seconds{path, method, status}`.
    duration: HistogramVec,
    /// `http_request_size_bytes{path, method}`.
    request_size: HistogramVec,
    /// `http_response_size_bytes{path, method}`.
    response_size: HistogramVec,
    known: RwLock<HashMap<Name, Arc<Series>>>,
}

struct Series {
    requests: IntCounter,
    duration: Histogram,
    request_size: Histogram,
    response_size: Histogram,
}

/// A request that is over.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// The template of its route.
    pub path: &'static str,
    /// 0: nothing was answered.
    pub status: u16,
    pub took: Duration,
    /// Bytes of its body, and of the answer's.
    pub sizes: (usize, usize),
}

impl Http {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let (all, place) = (&["path", "method", "status"], &["path", "method"]);
        Ok(Self {
            requests: make.counters("http_requests_total", "HTTP requests", all)?,
            duration: make.histograms(
                "http_request_duration_seconds",
                ("From the head of a request to the end of its answer", TIMES),
                all,
            )?,
            request_size: make.histograms("http_request_size_bytes", ("Bodies of requests", SIZES), place)?,
            response_size: make.histograms(
                "http_response_size_bytes",
                ("Bodies of answers", SIZES),
                place,
            )?,
            known: RwLock::default(),
        })
    }

    /// Counts a request.
    pub fn finished(&self, method: &Method, finished: Finished) {
        let series = self.series((finished.path, known(method), finished.status));
        series.requests.inc();
        series.duration.observe(finished.took.as_secs_f64());
        let (request, response) = finished.sizes;
        series.request_size.observe(size(request));
        series.response_size.observe(size(response));
    }

    fn series(&self, name: Name) -> Arc<Series> {
        if let Some(found) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Arc::clone(found);
        }
        let (path, method, status) = name;
        let mut buffer = itoa::Buffer::new();
        let status = if status == 0 { "none" } else { buffer.format(status) };
        let made = Arc::new(Series {
            requests: self.requests.with_label_values(&[path, method, status]),
            duration: self.duration.with_label_values(&[path, method, status]),
            request_size: self.request_size.with_label_values(&[path, method]),
            response_size: self.response_size.with_label_values(&[path, method]),
        });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(name, Arc::clone(&made));
        made
    }
}

/// A method is any word that a caller writes.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(super::labels::OTHER)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
fn size(bytes: usize) -> f64 {
    bytes as f64
}
