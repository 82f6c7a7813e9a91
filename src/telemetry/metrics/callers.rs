//! Metrics by who calls. Names are of the configuration and of stores, and there may be a million of them: those beyond a
//! bound share one series, so that a scrape stays one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec};

use super::Maker;
use crate::config::expression::Who;

/// Virtual keys with series of their own; later ones are `other`.
const MOST: usize = 1_000;
const LABELS: [&str; 6] =
    ["virtual_key_id", "virtual_key_name", "team_id", "team_name", "customer_id", "customer_name"];

/// What callers with virtual keys used.
pub struct Callers {
    known: RwLock<HashMap<u64, Arc<Caller>>>,
    /// `bifrost_caller_requests_total`.
    requests: IntCounterVec,
    /// `bifrost_caller_errors_total`: those of them that failed or were refused.
    errors: IntCounterVec,
    /// `bifrost_caller_input_tokens_total`.
    input_tokens: IntCounterVec,
    /// `bifrost_caller_output_tokens_total`.
    output_tokens: IntCounterVec,
    /// `bifrost_caller_cost_total`, US dollars.
    cost: CounterVec,
}

/// The series of one virtual key.
pub struct Caller {
    pub requests: IntCounter,
    pub errors: IntCounter,
    pub input_tokens: IntCounter,
    pub output_tokens: IntCounter,
    pub cost: Counter,
}

impl Callers {
    pub(super) fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            known: RwLock::default(),
            requests: make.counters("bifrost_caller_requests_total", "Requests by virtual key", &LABELS)?,
            errors: make.counters(
                "bifrost_caller_errors_total",
                "Requests by virtual key that failed or were refused",
                &LABELS,
            )?,
            input_tokens: make.counters(
                "bifrost_caller_input_tokens_total",
                "Input tokens by virtual key, cached included",
                &LABELS,
            )?,
            output_tokens: make.counters(
                "bifrost_caller_output_tokens_total",
                "Output tokens by virtual key",
                &LABELS,
            )?,
            cost: make.amounts(
                "bifrost_caller_cost_total",
                "US dollars by virtual key, where the price is known",
                &LABELS,
            )?,
        })
    }

    /// The series of a caller.
    #[must_use]
    pub fn of(&self, who: &Who<'_>) -> Arc<Caller> {
        let mut hasher = DefaultHasher::new();
        who.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(found) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&hash) {
            return Arc::clone(found);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            return Arc::new(self.make(&["other"; LABELS.len()]));
        }
        let labels = [
            who.virtual_key_id,
            who.virtual_key_name,
            who.team_id,
            who.team_name,
            who.customer_id,
            who.customer_name,
        ];
        Arc::clone(known.entry(hash).or_insert_with(|| Arc::new(self.make(&labels))))
    }

    fn make(&self, labels: &[&str; 6]) -> Caller {
        Caller {
            requests: self.requests.with_label_values(labels),
            errors: self.errors.with_label_values(labels),
            input_tokens: self.input_tokens.with_label_values(labels),
            output_tokens: self.output_tokens.with_label_values(labels),
            cost: self.cost.with_label_values(labels),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::expression::Who;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn a_million_callers_do_not_make_a_million_series() {
        let metrics = Metrics::new().unwrap();
        for n in 0..super::MOST + 50 {
            let id = format!("vk-{n}");
            metrics.callers.of(&Who { virtual_key_id: &id, ..Who::default() }).requests.inc();
        }
        metrics.callers.of(&Who { virtual_key_id: "vk-7", ..Who::default() }).requests.inc();
        let text = String::from_utf8(metrics.render()).unwrap();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("bifrost_caller_requests_total{")).collect();
        assert_eq!(lines.len(), super::MOST + 1);
        let sample = |id: &str| {
            let label = format!("virtual_key_id=\"{id}\"");
            lines.iter().find(|line| line.contains(&label)).and_then(|line| line.rsplit(' ').next())
        };
        assert_eq!((sample("vk-7"), sample("other")), (Some("2"), Some("50")));
    }
}
