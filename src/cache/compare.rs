//! What the cache asks of whoever compares by meaning.
//!
//! Asked on the cache's own runtime, with a limit of time around it. Nothing found there may belong to another space.

use std::sync::Arc;

use async_trait::async_trait;
use translate::cache::question::Question;

use super::entry::{Digest, Entry, Meaning, Space};
use super::vector::VectorStore;
use crate::auth::Caller;
use crate::config::cache::Semantic;
use crate::telemetry::record::Trace;

/// A question that is looked for by its meaning.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub space: Space,
    /// Its words, and all that must be equal around them.
    pub question: Question,
    /// Of the frame, what stands beside the body, and the embedding's model: see [`Meaning::frame`].
    pub frame: Digest,
    pub settings: Arc<Semantic>,
    /// Cosine from which on something is near enough.
    pub threshold: f32,
    /// Nothing of it is given: it is only looked.
    pub shadow: bool,
    /// Its words may be kept, for those who look after the cache.
    pub words: bool,
    /// Who pays for the embedding.
    pub caller: Option<Caller>,
    /// Id of the request that it is for.
    pub request_id: Box<str>,
    pub trace: Option<Arc<Trace>>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// It is near enough, and no guard refuses it.
    pub near: Option<(Entry, f32)>,
    /// The best cosine, whatever became of it; `None`: there was nothing to compare with, or no vector.
    pub best: Option<f32>,
    /// The guard that refused the best that was near enough.
    pub guarded: Option<&'static str>,
    /// What the question is found by, once it is answered. `None`: its vector is not known.
    pub meaning: Option<Meaning>,
}

/// Compares by meaning.
#[async_trait]
pub trait Compare: Send + Sync {
    /// Looks for something that means the same. What goes wrong is nothing that was found.
    async fn lookup(&self, wanted: &Wanted, store: &Arc<dyn VectorStore>, now_ms: u64) -> Compared;

    /// What the question is found by, where [`Self::lookup`] did not say: its vector is asked for again. `None`: there is
    /// none.
    async fn meaning(&self, wanted: &Wanted) -> Option<Meaning>;
}
