//! Which models have series of their own. Callers can name any model; a scrape must stay one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::IntCounter;

use super::labels::OTHER;

/// Models with counters of their own; later ones are `other`.
pub const MOST: usize = 500;
/// Those of them with histograms of their own, each of which is twenty series.
const MOST_DETAILED: usize = 100;
const LONGEST: usize = 128;

/// The models that are labels, each with whether histograms tell of it too.
#[derive(Debug)]
pub struct Models {
    known: RwLock<HashMap<Arc<str>, bool>>,
    /// Counts those that had no room.
    refused: IntCounter,
}

impl Models {
    #[must_use]
    pub fn new(refused: IntCounter) -> Self {
        Self { known: RwLock::default(), refused }
    }

    /// The label value of a model: its name once it was admitted, else `other`. `admit`: this one may be, within the bound.
    pub fn label<'m>(&self, model: &'m str, admit: bool) -> &'m str {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(model) {
            return model;
        }
        if !admit {
            return OTHER;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST || model.len() > LONGEST {
            self.refused.inc();
            return OTHER;
        }
        let detailed = known.len() < MOST_DETAILED;
        known.insert(model.into(), detailed);
        model
    }

    /// The same for histograms, where there is room for fewer.
    pub fn detail<'m>(&self, model: &'m str) -> &'m str {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.get(model) == Some(&true) { model } else { OTHER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_labels_are_bounded() {
        let refused = IntCounter::new("refused", "x").unwrap();
        let models = Models::new(refused.clone());
        for n in 0..MOST {
            let name = format!("model-{n}");
            assert_eq!(models.label(&name, true), name);
        }
        assert_eq!(models.label("one-too-many", true), OTHER);
        assert_eq!(refused.get(), 1);
        assert_eq!(models.label("never-admitted", false), OTHER);
        assert_eq!(models.label("model-7", false), "model-7");
        assert_eq!((models.detail("model-7"), models.detail("model-107")), ("model-7", OTHER));
        assert_eq!(models.detail("never-admitted"), OTHER);
    }
}
