//! An answer that was found, or that a flight brought, with how it was found.

use std::sync::Arc;

use super::answer::Answer;
use super::entry::{About, Entry, EntryId};

/// An answer for somebody who did not ask its provider.
#[derive(Debug, Clone)]
pub struct Landed {
    pub id: EntryId,
    pub answer: Answer,
    pub about: Arc<About>,
    pub found: Found,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; a fresh one that is not kept is over at once.
    pub expires_ms: u64,
}

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found {
    /// It was given to the same request.
    Direct,
    /// It was given to a request that means the same.
    Semantic { similarity: f32 },
    /// It came while the same request waited beside the one that asked.
    Fresh,
}

impl Found {
    /// Its word in metrics and in the log: `direct`, `semantic`, `single_flight`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Semantic { .. } => "semantic",
            Self::Fresh => "single_flight",
        }
    }

    /// The word for callers, who know two of them.
    #[must_use]
    pub fn hit_type(self) -> &'static str {
        match self {
            Self::Direct | Self::Fresh => "direct",
            Self::Semantic { .. } => "semantic",
        }
    }

    #[must_use]
    pub fn similarity(self) -> Option<f32> {
        match self {
            Self::Semantic { similarity } => Some(similarity),
            Self::Direct | Self::Fresh => None,
        }
    }
}

impl Landed {
    /// Others may have it later.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.expires_ms > self.created_ms
    }

    /// For somebody who asks later than it was fresh.
    #[must_use]
    pub fn again(self: &Arc<Self>) -> Arc<Self> {
        match self.found {
            Found::Fresh => Arc::new(Self { found: Found::Direct, ..(**self).clone() }),
            Found::Direct | Found::Semantic { .. } => Arc::clone(self),
        }
    }

    /// What a store gave; `None`: its answer is nothing that this version knows.
    #[must_use]
    pub fn of_entry(entry: &Entry, found: Found) -> Option<Self> {
        Some(Self {
            id: entry.id,
            answer: Answer::from_bytes(&entry.answer)?,
            about: Arc::clone(&entry.about),
            found,
            created_ms: entry.created_ms,
            expires_ms: entry.expires_ms,
        })
    }
}
