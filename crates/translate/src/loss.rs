//! What a translation could not carry.
//!
//! A loss is part of the answer: it travels in `extra_fields.losses` and the `x-bf-losses` header, so
//! that a caller can see that a field had no meaning for the provider that served it.

use serde::Serialize;

/// Why counts are an estimate: the answer ended before the provider told them, and the dialect has no answer without.
pub const UNCOUNTED: &str = "the provider told no counts, so they are estimated";

/// One thing the target wire could not carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Where it stood in the source body, as a dotted path: `messages[2].content[0].cache_control`.
    pub path: String,
    /// Why it was left out, one short sentence without a full stop.
    pub reason: String,
}

/// The losses of one translation, in the order they were met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Losses(Vec<Loss>);

impl Losses {
    /// More than this many are not kept one by one: a hostile body must not grow the answer.
    pub const MAX: usize = 64;

    /// Reports one loss. Repeats of the same path and reason are kept once.
    pub fn report(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        let loss = Loss { path: path.into(), reason: reason.into() };
        if self.0.len() < Self::MAX && !self.0.contains(&loss) {
            self.0.push(loss);
        }
    }

    /// Takes back what was reported of `path`: it was carried after all.
    pub fn withdraw(&mut self, path: &str) {
        self.0.retain(|loss| loss.path != path);
    }

    /// True when nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The losses in the order they were met.
    #[must_use]
    pub fn as_slice(&self) -> &[Loss] {
        &self.0
    }

    /// Takes over what another step reported.
    pub fn extend(&mut self, other: Losses) {
        for loss in other.0 {
            self.report(loss.path, loss.reason);
        }
    }
}
