//! The metrics of one provider and model, looked up once: a request touches most of them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{Counter, Histogram, IntCounter};

use super::Metrics;
use super::upstream::Answered;

/// Of one provider and model.
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
    /// By kind of request.
    answered: RwLock<Vec<(&'static str, Arc<Answered>)>>,
    /// Answers by key of the configuration.
    keys: RwLock<Vec<(Arc<str>, IntCounter)>>,
}

impl Series {
    /// The metrics of answers to one kind of request; `make` looks them up the first time.
    pub fn answered(&self, method: &'static str, make: impl FnOnce() -> Answered) -> Arc<Answered> {
        let known = self.answered.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.iter().find(|(name, _)| *name == method) {
            return Arc::clone(found);
        }
        drop(known);
        let made = Arc::new(make());
        self.answered.write().unwrap_or_else(PoisonError::into_inner).push((method, Arc::clone(&made)));
        made
    }

    /// The counter of answers that a key of the configuration was used for.
    pub fn key(&self, key: &Arc<str>, make: impl FnOnce() -> IntCounter) -> IntCounter {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.iter().find(|(name, _)| name == key) {
            return found.clone();
        }
        drop(known);
        let made = make();
        self.keys.write().unwrap_or_else(PoisonError::into_inner).push((Arc::clone(key), made.clone()));
        made
    }
}

/// By provider, then by model.
#[derive(Default)]
pub struct AllSeries(RwLock<HashMap<Arc<str>, OfProvider>>);

/// By model.
type OfProvider = HashMap<Box<str>, Arc<Series>>;

impl Metrics {
    /// The series of a provider and model; models beyond the bound, and those not admitted, share one.
    #[must_use]
    pub fn series(&self, provider: &Arc<str>, model: &str, admitted: bool) -> Arc<Series> {
        let known = self.series.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(provider).and_then(|models| models.get(model)) {
            return Arc::clone(found);
        }
        drop(known);
        let label = self.model_label(model, admitted);
        let made = Arc::new(self.make_series(provider, label));
        // Beyond the bound nothing is kept for a name.
        if label == model {
            let mut known = self.series.0.write().unwrap_or_else(PoisonError::into_inner);
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
            answered: RwLock::default(),
            keys: RwLock::default(),
        }
    }

    /// The label value of a model: its name once it was admitted, else `other`. `admit`: this one may be,
    /// within the bound.
    #[must_use]
    pub fn model_label<'m>(&self, model: &'m str, admit: bool) -> &'m str {
        self.models.label(model, admit)
    }

    /// The label value of a model in histograms, which have room for fewer of them.
    #[must_use]
    pub fn detail_label<'m>(&self, model: &'m str) -> &'m str {
        self.models.detail(model)
    }
}
