//! An answer that is kept, and what is known of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{Context, SHA256};

/// SHA-256 over what tells one thing from all others.
pub type Digest = [u8; 32];

/// Whose answers: one tenant's, under one cache key. What is kept in one space is never found from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space(pub Digest);

/// The number of a kept answer: what callers are told as `cache_id`, 32 hexadecimal digits. See [`EntryId::of`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u128);

/// A kept answer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// [`EntryId::of`] its space and fingerprint.
    pub id: EntryId,
    pub space: Space,
    /// Of the canonical form of the request, within its space.
    pub fingerprint: Digest,
    /// What it is compared by; `None`: found by its fingerprint alone.
    pub meaning: Option<Meaning>,
    /// `translate::cache::stored::Stored::to_bytes`.
    pub answer: Bytes,
    pub about: Arc<About>,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; from then on it is not given any more.
    pub expires_ms: u64,
}

/// What a question is compared by.
#[derive(Debug, Clone)]
pub struct Meaning {
    /// Of the frame and of the embedding's model: only vectors with the same are compared.
    pub frame: Digest,
    /// The words, for the guards.
    pub text: Arc<str>,
    /// Of length 1.
    pub vector: Arc<[f32]>,
}

/// What an entry is about: for people, for purges, and for what a hit saves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// `virtual_key:ID`, `team:ID`, `customer:ID`; empty: callers without a virtual key.
    pub tenant: Box<str>,
    /// As the caller wrote it.
    pub cache_key: Box<str>,
    pub provider: Box<str>,
    pub model: Box<str>,
    /// The operation: `chat_completion`, `embedding`, …
    pub object: Box<str>,
    /// The beginning of what was asked; empty where contents are not kept.
    pub title: Box<str>,
    /// What the answer cost, in nano-dollars; `None`: it has no price.
    pub cost_nanos: Option<u64>,
    /// How long its provider took, in milliseconds.
    pub took_ms: u32,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Entry {
    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let meaning =
            self.meaning.as_ref().map_or(0, |meaning| meaning.text.len() + meaning.vector.len() * 4);
        let about = &self.about;
        let words = about.tenant.len() + about.cache_key.len() + about.title.len() + about.model.len();
        size_of::<Self>() + size_of::<About>() + self.answer.len() + meaning + words
    }

    #[must_use]
    pub fn is_alive(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms
    }
}

impl EntryId {
    /// The number of what is kept in a space under a fingerprint. Stores know an entry by it alone: what replaces an answer
    /// has its number, and every process gives the same one.
    #[must_use]
    pub fn of(space: Space, fingerprint: &Digest) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&space.0);
        context.update(fingerprint);
        let hash = context.finish();
        Self(hash.as_ref().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for EntryId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
