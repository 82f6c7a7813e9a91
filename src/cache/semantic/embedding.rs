//! The vector of a question, asked of the model that the operator named.
//!
//! A request of the gateway to itself: with its keys, retries, prices and records. A text that was asked before is not asked
//! again while it is in memory. A model that fails is left alone for a while, so that its failures are not waited for by
//! every request. Must not know what becomes of the vector.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use moka::sync::Cache;
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::cache::compare::Wanted;
use crate::cache::entry::Digest;
use crate::config::cache::Semantic as Settings;
use crate::inner::{Inner, Purpose, Ticket};

/// Bytes of vectors in memory.
const MEMORY: u64 = 16 * 1024 * 1024;
/// Vectors that are asked for at once.
const AT_ONCE: usize = 64;
/// Largest answer: 8,192 numbers as they are written at their longest.
const LARGEST: usize = 1024 * 1024;
/// After so many failures in a row nobody is asked for a while.
const PATIENCE: u32 = 3;
const REST: Duration = Duration::from_secs(10);

pub(super) struct Embeddings {
    inner: Arc<Inner>,
    known: Cache<Digest, Arc<[f32]>>,
    places: Semaphore,
    /// In a row.
    failures: AtomicU32,
    resting: Mutex<Option<Instant>>,
    failed: AtomicU64,
}

/// Why there is no vector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Unembedded {
    #[error(transparent)]
    Inner(#[from] crate::inner::Failed),
    #[error("the model answered {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("the model's answer is no list of one vector: {0}")]
    Unreadable(String),
    #[error("the model's vectors have {found} numbers, and `dimension` says {wanted}")]
    Dimension { found: usize, wanted: usize },
    #[error("the model's vector has no length")]
    NoLength,
}

impl Embeddings {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let weigh =
            |_: &Digest, vector: &Arc<[f32]>| u32::try_from(vector.len() * 4 + 64).unwrap_or(u32::MAX);
        Self {
            inner,
            known: Cache::builder().max_capacity(MEMORY).weigher(weigh).build(),
            places: Semaphore::new(AT_ONCE),
            failures: AtomicU32::new(0),
            resting: Mutex::new(None),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// The vector of a question, of length 1; `None`: there is none to be had now.
    pub(super) async fn of(&self, wanted: &Wanted) -> Option<Arc<[f32]>> {
        let digest = digest(&wanted.settings, &wanted.question.text);
        if let Some(known) = self.known.get(&digest) {
            return Some(known);
        }
        if self.rests(Instant::now()) {
            return None;
        }
        let _place = self.places.acquire().await.ok()?;
        // Whoever gives up waiting drops this: that is a failure too.
        let mut trial = Trial { embeddings: self, ended: false };
        let asked = self.ask(wanted).await;
        trial.ended = true;
        match asked {
            Ok(vector) => {
                self.failures.store(0, Ordering::Relaxed);
                self.known.insert(digest, Arc::clone(&vector));
                Some(vector)
            }
            Err(why) => {
                self.fails(&why.to_string(), Instant::now());
                None
            }
        }
    }

    async fn ask(&self, wanted: &Wanted) -> Result<Arc<[f32]>, Unembedded> {
        let settings = &wanted.settings;
        let body = serde_json::json!({
            "model": format!("{}/{}", settings.provider, settings.model),
            "input": wanted.question.text,
            "encoding_format": "float",
        });
        let ticket = Ticket {
            caller: wanted.caller.clone(),
            purpose: Purpose::Embedding,
            parent: wanted.request_id.clone(),
            trace: wanted.trace.clone(),
            depth: 0,
        };
        let body = Bytes::from(body.to_string());
        let answer = self.inner.post("/v1/embeddings", HeaderMap::new(), body, ticket).await?;
        let status = answer.status().as_u16();
        let body = answer.whole(LARGEST).await?;
        if status != 200 {
            let message = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(Unembedded::Refused { status, message });
        }
        vector(&body, settings.dimension)
    }

    fn rests(&self, now: Instant) -> bool {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        match *resting {
            None => false,
            Some(until) if now < until => true,
            Some(_) => {
                // One more failure, and it rests again.
                self.failures.store(PATIENCE - 1, Ordering::Relaxed);
                *resting = None;
                false
            }
        }
    }

    fn fails(&self, why: &str, now: Instant) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        log::debug!("a question has no vector: {why}");
        if failures >= PATIENCE {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            if resting.is_none() {
                let rest = REST.as_secs();
                log::warn!(
                    "questions are not compared by meaning for {rest} s: the embedding model fails: {why}"
                );
            }
            *resting = Some(now + REST);
        }
    }
}

/// A vector that is being asked for.
struct Trial<'e> {
    embeddings: &'e Embeddings,
    ended: bool,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.embeddings.fails("it took too long", Instant::now());
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    embedding: Vec<f32>,
}

/// The one vector of an answer, of length 1.
fn vector(body: &[u8], dimension: Option<usize>) -> Result<Arc<[f32]>, Unembedded> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| Unembedded::Unreadable(error.to_string()))?;
    let count = answer.data.len();
    let mut items = answer.data.into_iter();
    let (Some(Item { embedding }), None) = (items.next(), items.next()) else {
        return Err(Unembedded::Unreadable(format!("{count} vectors")));
    };
    if let Some(wanted) = dimension.filter(|wanted| *wanted != embedding.len()) {
        return Err(Unembedded::Dimension { found: embedding.len(), wanted });
    }
    let length = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !length.is_normal() {
        return Err(Unembedded::NoLength);
    }
    Ok(embedding.iter().map(|value| value / length).collect())
}

/// What tells a text of one model from all others.
fn digest(settings: &Settings, text: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in [&*settings.provider, &*settings.model, text] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
