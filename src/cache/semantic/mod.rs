//! Looks for a question that means the same: its vector, what is near to it, and whether a guard refuses that.
//!
//! Runs on the cache's own runtime. The vector is asked for by a request of the gateway to itself ([`embedding`]), for one
//! model that the operator names; what is near is the store's to say ([`super::vector`]), and the nearest that no guard
//! refuses is what was found. What goes wrong is nothing found. Every comparison leaves its similarity in [`Lookups`].

mod embedding;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use translate::cache::guards::{Guard, Guards, Profile};

use self::embedding::Embeddings;
use super::compare::{Compare, Compared, Wanted};
use super::entry::{Entry, Meaning};
use super::lookups::{Looked, Lookups, Outcome, Words};
use super::vector::{Asked, Near, VectorStore};
use crate::inner::Inner;

/// Entries that are near enough are looked at until one passes the guards, but no more than these.
const NEAREST: usize = 8;

/// Compares by meaning.
pub struct Semantic {
    embeddings: Embeddings,
    lookups: Arc<Lookups>,
}

impl Semantic {
    /// Vectors are asked for by `inner`; what was compared is told to `lookups`.
    #[must_use]
    pub fn new(inner: Arc<Inner>, lookups: Arc<Lookups>) -> Self {
        Self { embeddings: Embeddings::new(inner), lookups }
    }

    /// Vectors that were asked for and failed, since the start.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.embeddings.failed()
    }

    async fn near(
        &self,
        wanted: &Wanted,
        meaning: &Meaning,
        store: &Arc<dyn VectorStore>,
        now_ms: u64,
    ) -> Vec<Near> {
        let asked = Asked {
            space: wanted.space,
            frame: &meaning.frame,
            vector: &meaning.vector,
            now_ms,
            most: NEAREST,
            at_least: wanted.threshold,
        };
        let near =
            store.nearest(&asked).await.inspect_err(|error| log::debug!("the vector store failed: {error}"));
        let mut near = near.unwrap_or_default();
        // A store is not the gateway's own memory: what it gives is looked at once more.
        let ours = |near: &Near| {
            let frame = near.entry.meaning.as_ref().is_some_and(|known| known.frame == meaning.frame);
            frame && near.entry.space == wanted.space && near.similarity.is_finite()
        };
        near.retain(ours);
        near.sort_by(|one, other| other.similarity.total_cmp(&one.similarity));
        near
    }

    fn note(&self, wanted: &Wanted, judged: &Judged, now_ms: u64) {
        let kept = judged.entry.meaning.as_ref().map_or("", |meaning| &meaning.text);
        self.lookups.looked(Looked {
            at_ms: now_ms,
            space: wanted.space,
            similarity: judged.similarity,
            threshold: wanted.threshold,
            outcome: judged.outcome,
            entry: judged.entry.id,
            words: wanted.words.then(|| Words::of(&wanted.question.text, kept)),
        });
    }
}

#[async_trait]
impl Compare for Semantic {
    async fn lookup(&self, wanted: &Wanted, store: &Arc<dyn VectorStore>, now_ms: u64) -> Compared {
        let Some(meaning) = self.meaning(wanted).await else { return Compared::default() };
        let near = self.near(wanted, &meaning, store, now_ms).await;
        let mut compared = Compared { meaning: Some(meaning), ..Compared::default() };
        let Some(judged) = judge(&wanted.question.text, near, wanted.threshold, wanted.shadow) else {
            self.lookups.met_nothing();
            return compared;
        };
        self.note(wanted, &judged, now_ms);
        compared.best = Some(judged.similarity);
        match judged.outcome {
            Outcome::Served | Outcome::Shadowed => compared.near = Some((judged.entry, judged.similarity)),
            Outcome::Guarded(guard) => compared.guarded = Some(guard.name()),
            Outcome::Below => {}
        }
        compared
    }

    async fn meaning(&self, wanted: &Wanted) -> Option<Meaning> {
        let vector = self.embeddings.of(wanted).await?;
        Some(Meaning { frame: wanted.frame, text: wanted.question.text.as_str().into(), vector })
    }
}

/// What a lookup comes to.
#[derive(Debug, Clone)]
struct Judged {
    outcome: Outcome,
    similarity: f32,
    entry: Entry,
}

/// The nearest that is near enough and that no guard refuses; else the nearest, and why it is not given. `near` begins
/// with the nearest. `None`: there is none.
fn judge(question: &str, near: Vec<Near>, threshold: f32, shadow: bool) -> Option<Judged> {
    let asked = Profile::of(question);
    let mut nearest: Option<Judged> = None;
    for Near { similarity, entry } in near {
        let mut judged = Judged { outcome: Outcome::Below, similarity, entry };
        if similarity < threshold {
            return Some(nearest.unwrap_or(judged));
        }
        match guard(&asked, &judged.entry) {
            None => {
                judged.outcome = if shadow { Outcome::Shadowed } else { Outcome::Served };
                return Some(judged);
            }
            Some(guard) => {
                judged.outcome = Outcome::Guarded(guard);
                nearest.get_or_insert(judged);
            }
        }
    }
    nearest
}

fn guard(asked: &Profile, entry: &Entry) -> Option<Guard> {
    let kept = entry.meaning.as_ref().map_or("", |meaning| &meaning.text);
    let differ = Guards::ALL.differ(asked, &Profile::of(kept))?;
    log::debug!(
        "the guard {} refuses {}: {:?} is not {:?}",
        differ.guard.name(),
        entry.id,
        differ.one,
        differ.other
    );
    Some(differ.guard)
}
