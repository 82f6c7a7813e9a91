//! What an attempt cost that lost: in the metrics, in the attempt list, and against the budget.
//!
//! Nobody tells what a cancelled request cost. It is taken to have cost its input, at four bytes a token, unless the
//! provider told more before it was cancelled.

use std::sync::Arc;
use std::time::Instant;

use govern::hedge::Spend;
use translate::ir::Usage;

use crate::account::charge::Charge;
use crate::account::settle::Stake;
use crate::proxy::attempt::Attempt;
use crate::proxy::clock::Clock;
use crate::proxy::exchange::Exchange;
use crate::proxy::logging::estimate;
use crate::proxy::{Gateway, cost};
use crate::telemetry::access_log::{AttemptRecord, Spent};
use crate::telemetry::metrics::Ended;
use crate::upstream::steps::Steps;

/// The outcome of an attempt that was cancelled because the other one was ahead.
pub const LOST: &str = "hedge_lost";

/// An attempt, as far as it matters to whoever pays.
#[derive(Debug, Clone)]
pub struct Bill {
    provider: Arc<str>,
    model: Arc<str>,
    key: Option<Arc<str>>,
    backend: Option<Arc<str>>,
    span_id: u64,
    status: Option<u16>,
    /// The original's name of the request.
    method: &'static str,
    clock: Clock,
    usage: Usage,
    /// Nano-dollars; `None` when nobody knows.
    cost_nanos: Option<u64>,
    unpriced: bool,
    stake: Option<Arc<Stake>>,
}

impl Bill {
    pub fn of(exchange: &Exchange, attempt: &Attempt) -> Self {
        let chars = attempt.seen().map_or(0, |seen| seen.output_chars);
        let usage = Attempt::usage_in(&attempt.answer, attempt.told_usage)
            .unwrap_or_else(|| estimate(&attempt.upstream, chars));
        let charge = cost::of(exchange, attempt, &usage);
        Self {
            provider: Arc::clone(&attempt.provider.name),
            model: Arc::clone(&attempt.model),
            key: attempt.key.secret.is_some().then(|| Arc::clone(&attempt.key.name)),
            backend: attempt.backend.as_ref().map(|backend| Arc::clone(&backend.name)),
            span_id: attempt.span_id,
            status: (attempt.status != 0).then_some(attempt.status),
            method: exchange.call.as_deref().map_or("", |call| call.endpoint.request_type(call.stream)),
            clock: attempt.clock,
            usage,
            unpriced: cost::is_unpriced(exchange, attempt, charge.as_ref()),
            cost_nanos: charge.map(|Charge { nanos, .. }| nanos),
            stake: attempt.stake.clone(),
        }
    }

    /// What it costs if it loses.
    pub fn spend(&self) -> Spend {
        self.cost_nanos.map_or(Spend::Tokens(self.usage.total()), Spend::NanoDollars)
    }

    /// It has lost: counted, and as the attempt list shows it.
    pub fn lose(&self, gateway: &Gateway) -> (AttemptRecord, Spend) {
        let told = cost::spend(&self.usage, self.cost_nanos, true);
        self.stake.iter().for_each(|stake| stake.spent(&told));
        let metrics = &gateway.metrics;
        let series = metrics.series(&self.provider, &self.model, true);
        let label = metrics.model_label(&self.model, true);
        let both = [&*self.provider, label];
        metrics.attempts.with_label_values(&[&self.provider, label, LOST]).inc();
        metrics.upstream.ended(Ended {
            provider: &self.provider,
            model: label,
            detail: metrics.detail_label(label),
            method: self.method,
            key: self.key.as_deref(),
            outcome: LOST,
            status: self.status.unwrap_or(0),
            took: self.clock.began.elapsed(),
            success: None,
        });
        series.input_tokens.inc_by(self.usage.input_total());
        series.cached_input_tokens.inc_by(self.usage.cache_read);
        series.output_tokens.inc_by(self.usage.output);
        metrics.hedging.tokens.with_label_values(&both).inc_by(self.usage.total());
        if let Some(nanos) = self.cost_nanos {
            // For dashboards: the exact amount is in the log line.
            #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
            let dollars = nanos as f64 / 1e9;
            series.cost.inc_by(dollars);
            metrics.hedging.cost.with_label_values(&both).inc_by(dollars);
        }
        (self.record(), self.spend())
    }

    /// What was seen of it since.
    #[must_use]
    pub fn seen(mut self, steps: Steps) -> Self {
        self.clock.steps = steps;
        self
    }

    /// As the attempt list shows it.
    pub fn record(&self) -> AttemptRecord {
        let now = Instant::now();
        AttemptRecord {
            provider: Arc::clone(&self.provider),
            model: Arc::clone(&self.model),
            key: self.key.clone(),
            backend: self.backend.clone(),
            outcome: LOST,
            status: self.status,
            latency_ms: self.clock.took_ms(now),
            reason: Some("the other of two attempts was ahead".to_owned()),
            spent: Some(Spent {
                input_tokens: self.usage.input_total(),
                output_tokens: self.usage.output,
                cost_nanos: self.cost_nanos,
                unpriced: self.unpriced,
            }),
            phases: self.clock.phases(now),
            span_id: self.span_id,
        }
    }
}
