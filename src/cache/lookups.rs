//! How near questions were to what was kept: the latest lookups by meaning, and all of them counted by their similarity.
//!
//! For whoever looks for the right threshold: what would have been given at another one, and what was kept from being
//! given by a guard. Costs a lock of nanoseconds per lookup by meaning. Must not keep words where contents are not kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use translate::cache::guards::Guard;

use super::entry::{EntryId, Space};

/// Lookups that are kept.
const LATEST: usize = 4_096;
/// Buckets of a hundredth each, the last for 1.0.
pub const BUCKETS: usize = 101;
/// Characters of a question that are kept.
const TITLE: usize = 200;

/// What became of a lookup by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer was given.
    Served,
    /// One would have been, had the cache not only been looking.
    Shadowed,
    /// A guard kept it back.
    Guarded(Guard),
    /// Nothing was near enough.
    Below,
}

/// One lookup.
#[derive(Debug, Clone)]
pub struct Looked {
    /// Unix milliseconds.
    pub at_ms: u64,
    pub space: Space,
    /// Of the nearest: of what was given, or held back.
    pub similarity: f32,
    pub threshold: f32,
    pub outcome: Outcome,
    /// What was given, or would have been but for the threshold or a guard.
    pub entry: EntryId,
    /// The beginnings of both questions; `None`: contents are not kept.
    pub words: Option<Words>,
}

/// Two questions that were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub asked: Box<str>,
    pub kept: Box<str>,
}

/// All lookups of this process.
#[derive(Debug)]
pub struct Lookups {
    latest: Mutex<VecDeque<Looked>>,
    counts: [Row; KINDS],
    /// Lookups that met nothing at all.
    empty: AtomicU64,
}

type Row = [AtomicU64; BUCKETS];

/// Lookups by the similarity of the nearest, in hundredths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    pub served: Vec<u64>,
    pub shadowed: Vec<u64>,
    pub guarded: Vec<u64>,
    pub below: Vec<u64>,
    /// There was nothing to compare with.
    pub empty: u64,
}

const KINDS: usize = 4;

impl Default for Lookups {
    fn default() -> Self {
        let row = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            latest: Mutex::new(VecDeque::new()),
            counts: std::array::from_fn(|_| row()),
            empty: AtomicU64::new(0),
        }
    }
}

impl Lookups {
    /// There was nothing in the space to compare with.
    pub fn met_nothing(&self) {
        self.empty.fetch_add(1, Ordering::Relaxed);
    }

    /// A lookup is over.
    pub fn looked(&self, looked: Looked) {
        let row = self.counts.get(kind(looked.outcome));
        if let Some(count) = row.and_then(|row| row.get(bucket(looked.similarity))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == LATEST {
            latest.pop_front();
        }
        latest.push_back(looked);
    }

    /// The latest ones that `wanted`, the newest first, at most `most`.
    #[must_use]
    pub fn latest(&self, most: usize, wanted: impl Fn(&Looked) -> bool) -> Vec<Looked> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().rev().filter(|looked| wanted(looked)).take(most).cloned().collect()
    }

    /// All of them, counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut rows =
            self.counts.iter().map(|row| row.iter().map(|one| one.load(Ordering::Relaxed)).collect());
        let mut row = || rows.next().unwrap_or_default();
        let (served, shadowed, guarded, below) = (row(), row(), row(), row());
        Counts { served, shadowed, guarded, below, empty: self.empty.load(Ordering::Relaxed) }
    }
}

impl Words {
    /// Of two whole questions.
    #[must_use]
    pub fn of(asked: &str, kept: &str) -> Self {
        Self { asked: beginning(asked), kept: beginning(kept) }
    }
}

impl Outcome {
    /// Its word in answers; of a guard its own is in [`Guard::name`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Shadowed => "shadow",
            Self::Guarded(_) => "guarded",
            Self::Below => "below",
        }
    }
}

/// Which bucket a similarity is counted in: hundredths, rounded down; what points away counts as 0.
#[must_use]
pub fn bucket(similarity: f32) -> usize {
    // Not as it is divided: 0.29 * 100 is 28.999998.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
    let hundredths = (similarity.clamp(0.0, 1.0) * 100.0 + 1e-4) as usize;
    hundredths.min(BUCKETS - 1)
}

fn kind(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Served => 0,
        Outcome::Shadowed => 1,
        Outcome::Guarded(_) => 2,
        Outcome::Below => 3,
    }
}

fn beginning(text: &str) -> Box<str> {
    let end = text.char_indices().nth(TITLE).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(at_ms: u64, similarity: f32, outcome: Outcome) -> Looked {
        let (space, entry) = (Space([0; 32]), EntryId(1));
        Looked { at_ms, space, similarity, threshold: 0.8, outcome, entry, words: None }
    }

    #[test]
    fn lookups_are_counted_by_hundredths_and_what_became_of_them() {
        let lookups = Lookups::default();
        for (similarity, outcome) in [
            (1.0, Outcome::Served),
            (0.29, Outcome::Below),
            (-0.3, Outcome::Below),
            (0.899, Outcome::Guarded(Guard::Numbers)),
            (0.9, Outcome::Shadowed),
            (f32::NAN, Outcome::Below),
        ] {
            lookups.looked(looked(1, similarity, outcome));
        }
        lookups.met_nothing();
        let counts = lookups.counts();
        let at =
            |row: &[u64]| row.iter().enumerate().filter(|(_, n)| **n > 0).map(|(at, n)| (at, *n)).collect();
        let at: [Vec<(usize, u64)>; 4] =
            [at(&counts.served), at(&counts.shadowed), at(&counts.guarded), at(&counts.below)];
        assert_eq!(at, [vec![(100, 1)], vec![(90, 1)], vec![(89, 1)], vec![(0, 2), (29, 1)]]);
        assert_eq!(counts.empty, 1);
    }

    #[test]
    fn the_latest_are_kept_and_the_newest_come_first() {
        let lookups = Lookups::default();
        (0..5_000).for_each(|at| lookups.looked(looked(at, 0.5, Outcome::Below)));
        let latest = lookups.latest(usize::MAX, |_| true);
        assert_eq!((latest.len(), latest[0].at_ms), (LATEST, 4_999));
        let even = lookups.latest(2, |looked| looked.at_ms % 2 == 0);
        assert_eq!(even.iter().map(|looked| looked.at_ms).collect::<Vec<_>>(), [4_998, 4_996]);
        assert_eq!(Words::of(&"é".repeat(300), "b").asked.chars().count(), TITLE);
    }
}
