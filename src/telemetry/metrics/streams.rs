//! Metrics of streamed answers.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::DURATIONS;
use super::maker::{Kind, Maker};
use super::pauses::{Paces, Pauses};

/// How streams come, and what becomes of those that break.
pub struct Streams {
    /// `bifrost_stream_first_token_latency_seconds{provider, model}`.
    first: HistogramVec,
    /// `bifrost_stream_inter_token_latency_seconds{provider, model}`.
    paces: Paces,
    /// `bifrost_stream_events_skipped_total{provider}`.
    pub skipped: IntCounterVec,
    /// `bifrost_stream_recoveries_total{outcome}`: continued, restarted or failed.
    pub recoveries: IntCounterVec,
}

impl Streams {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let first = ("From request to first token, by model", DURATIONS);
        let paces = "Between two pieces of a stream, as they came from the provider";
        let paces = Paces::new("bifrost_stream_inter_token_latency_seconds", paces)?;
        let recoveries = "Streams that broke and were taken up";
        let recoveries = make.counters("bifrost_stream_recoveries_total", recoveries, &["outcome"])?;
        for outcome in ["continued", "restarted", "failed"] {
            recoveries.with_label_values(&[outcome]);
        }
        let model = &["provider", "model"];
        Ok(Self {
            first: make.histograms("bifrost_stream_first_token_latency_seconds", first, model)?,
            paces: make.register(paces, Kind::Histogram)?,
            skipped: make.counters(
                "bifrost_stream_events_skipped_total",
                "Unreadable events",
                &["provider"],
            )?,
            recoveries,
        })
    }

    /// Counts a stream that is over, at a provider and a model (see `Metrics::detail_label`): when its first token came, if it
    /// did, and how evenly the rest.
    pub fn ended(&self, (provider, model): (&str, &str), first: Option<Duration>, pauses: &Pauses) {
        if let Some(first) = first {
            self.first.with_label_values(&[provider, model]).observe(first.as_secs_f64());
        }
        if !pauses.is_empty() {
            self.paces.add((provider, model), pauses);
        }
    }
}
