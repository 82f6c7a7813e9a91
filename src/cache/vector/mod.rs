//! Where vectors and kept answers are: one trait, the same for all stores, and one contract that tests hold them to.
//!
//! Every question names a [`Space`]; a store filters by it inside, never behind. Whoever asks runs on the cache's own
//! runtime and waits with a limit of time; a store says what went wrong and never retries by itself.

pub mod embedded;

use async_trait::async_trait;

use super::entry::{About, Digest, Entry, EntryId, Space};

/// The end of a pinned entry's life in what stores give: the last moment of the year 9999.
pub const ENDLESS_MS: u64 = 253_402_300_799_999;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// Slow, gone, or full: later may be better.
    #[error("{0}")]
    Unavailable(String),
    /// It refuses what is asked: its settings, or what lies in it, do not fit.
    #[error("{0}")]
    Refused(String),
}

/// Something near a question.
#[derive(Debug, Clone)]
pub struct Near {
    /// Cosine, -1 to 1.
    pub similarity: f32,
    pub entry: Entry,
}

/// Which entries are meant: all that fit everything that is set. Nothing set: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    pub id: Option<EntryId>,
    pub tenant: Option<Box<str>>,
    pub cache_key: Option<Box<str>>,
    pub provider: Option<Box<str>>,
    pub model: Option<Box<str>>,
    /// Words of the title, in any case.
    pub words: Option<Box<str>>,
}

/// Entries in order of their age, the newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub entries: Vec<Kept>,
    /// Where the next page begins; `None`: this was the last one.
    pub next: Option<String>,
}

/// An entry as it is listed.
#[derive(Debug, Clone)]
pub struct Kept {
    pub entry: Entry,
    /// Bytes of its answer.
    pub bytes: u64,
    pub hits: u64,
    /// Its life does not end, and it is never thrown out for room. Listed, it has the end that it would have; found by
    /// [`VectorStore::exact`] and [`VectorStore::nearest`], it ends at [`ENDLESS_MS`].
    pub pinned: bool,
}

impl Which {
    /// Whether the entry is meant.
    #[must_use]
    pub fn fits(&self, entry: &Entry) -> bool {
        self.fits_about(entry.id, &entry.about)
    }

    /// Whether the entry with this number is meant, of which this is known.
    #[must_use]
    pub fn fits_about(&self, id: EntryId, about: &About) -> bool {
        let is = |wanted: &Option<Box<str>>, found: &str| wanted.as_deref().is_none_or(|one| one == found);
        self.id.is_none_or(|wanted| wanted == id)
            && is(&self.tenant, &about.tenant)
            && is(&self.cache_key, &about.cache_key)
            && is(&self.provider, &about.provider)
            && is(&self.model, &about.model)
            && self
                .words
                .as_deref()
                .is_none_or(|words| about.title.to_lowercase().contains(&words.to_lowercase()))
    }

    /// Nothing is set: all entries are meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// A store of kept answers and their vectors. What it finds may come without its vector: nobody needs it back.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Its kind, as settings name it.
    fn kind(&self) -> &'static str;

    /// Makes what it needs, or checks what there is, for vectors of `dimension` numbers (0: none, answers alone).
    ///
    /// # Errors
    /// [`VectorError`].
    async fn open(&self, dimension: usize) -> Result<(), VectorError>;

    /// Keeps `entry`; one with the same number (of space and fingerprint) is replaced, and stays pinned if it was.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn put(&self, entry: Entry) -> Result<(), VectorError>;

    /// The living entry with this fingerprint.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn exact(
        &self,
        space: Space,
        fingerprint: &Digest,
        now_ms: u64,
    ) -> Result<Option<Entry>, VectorError>;

    /// The nearest living entries of a space and frame, the nearest first, at most `most`.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn nearest(&self, question: &Asked<'_>) -> Result<Vec<Near>, VectorError>;

    /// Entries were given to callers: how often each. May be forgotten by stores that do not count.
    async fn told(&self, hits: &[(EntryId, u64)]);

    /// Pins or unpins.
    ///
    /// # Errors
    /// [`VectorError`]; [`VectorError::Refused`] where the store cannot.
    async fn pin(&self, id: EntryId, pinned: bool) -> Result<bool, VectorError>;

    /// Takes entries away; how many.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn delete(&self, which: &Which) -> Result<u64, VectorError>;

    /// Takes away what is past its life; how many. Called now and then.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn expire(&self, now_ms: u64) -> Result<u64, VectorError>;

    /// A page of entries. They come without their answers, but for one that is asked for by its number.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn list(&self, which: &Which, from: Option<&str>, most: usize) -> Result<Page, VectorError>;

    /// How much is in it: entries, and bytes where that is known.
    ///
    /// # Errors
    /// [`VectorError`].
    async fn size(&self) -> Result<(u64, Option<u64>), VectorError>;

    /// Entries that were thrown out for room since the start.
    fn evicted(&self) -> u64 {
        0
    }

    /// The process ends: what waits to be written is written when this returns.
    async fn close(&self) {}
}

/// A question by meaning.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub space: Space,
    pub frame: &'a Digest,
    /// Of length 1.
    pub vector: &'a [f32],
    pub now_ms: u64,
    pub most: usize,
    /// Of what is less near only the nearest is of interest, for how near it is: the others may be left out.
    pub at_least: f32,
}
