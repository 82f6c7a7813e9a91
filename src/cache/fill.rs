//! From a complete answer to a kept one, behind the callers' backs: put together, put into memory, written to the store.
//!
//! Answers wait in a bounded queue for the cache's own thread; what does not fit is not kept. Nothing here is waited for by
//! a request, but a follower of the flight that lands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use translate::cache::stored::Unkept;

use super::answer::Answer;
use super::compare::Wanted;
use super::entry::{About, Entry, Meaning};
use super::exact::Place;
use super::flight::{Form, Landing, complete};
use super::found::{Found, Landed};
use super::vector::VectorStore;
use super::{Cache, millis, now_ms};

/// Answers that may wait to be put together.
const WAITING: usize = 1_024;
/// Writes to the store at once, and those that may wait for them.
const WRITES: usize = 16;
const WAITING_WRITES: usize = 4_096;
/// An embedding and a write that take longer come to nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is kept of an answer, and as what.
#[derive(Debug, Clone)]
pub struct Keep {
    pub place: Place,
    pub about: Arc<About>,
    pub ttl: Duration,
    /// Bytes of an answer that is kept.
    pub most: usize,
    /// Why it is not kept, if it is not: only those who wait for it get it.
    pub unkept: Option<&'static str>,
    /// What it is compared by, where it is.
    pub wanted: Option<Box<Wanted>>,
    /// Its vector, where that is known already.
    pub meaning: Option<Meaning>,
}

/// An answer that waits.
pub struct Job {
    pub form: Form,
    pub bytes: Bytes,
    pub landing: Landing,
    pub keep: Keep,
}

/// Where answers wait.
pub struct Queue {
    sender: OnceLock<mpsc::Sender<Job>>,
    writes: Arc<Semaphore>,
    writing: Arc<AtomicUsize>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { sender: OnceLock::new(), writes: Arc::new(Semaphore::new(WRITES)), writing: Arc::default() }
    }
}

impl Queue {
    /// Answers that are being written to the store, or wait for that.
    #[must_use]
    pub fn writing(&self) -> usize {
        self.writing.load(Ordering::Relaxed)
    }
}

impl Cache {
    /// Has an answer put together and kept. Never waits. `otherwise` is the runtime where the cache has none of its own.
    pub fn keep(self: &Arc<Self>, job: Job, otherwise: &Handle) {
        let sender = self.fill.sender.get_or_init(|| {
            let (sender, jobs) = mpsc::channel(WAITING);
            self.runtime(otherwise).spawn(land_all(Arc::clone(self), jobs));
            sender
        });
        if sender.try_send(job).is_err() {
            // Its landing is dropped with it: who follows asks alone.
            self.metrics.unkept("queue_full");
        }
    }
}

async fn land_all(cache: Arc<Cache>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        land(&cache, job);
    }
}

/// Gives an answer to those who wait for it, puts it into memory, and has it written.
fn land(cache: &Arc<Cache>, job: Job) {
    let Job { form, bytes, mut landing, keep } = job;
    let (answer, unkept) = match read(&form, bytes, &keep) {
        Ok(read) => read,
        Err(unkept) => return cache.metrics.unkept(unkept.name()),
    };
    let now = now_ms();
    let landed = Arc::new(Landed {
        id: keep.place.id,
        answer,
        about: Arc::clone(&keep.about),
        found: Found::Fresh,
        created_ms: now,
        expires_ms: if unkept.is_some() { now } else { now.saturating_add(millis(keep.ttl)) },
    });
    landing.landed(Arc::clone(&landed));
    if let Some(unkept) = unkept {
        landing.settled();
        return cache.metrics.unkept(unkept);
    }
    cache.memory.load().put(&keep.place, &landed, now);
    landing.settled();
    cache.metrics.kept.inc();
    if let Some(store) = cache.store() {
        write(cache, store, keep, landed);
    }
}

/// The answer, and why it is not kept, if it is not.
fn read(form: &Form, bytes: Bytes, keep: &Keep) -> Result<(Answer, Option<&'static str>), Unkept> {
    let (answer, unkept) = match form {
        Form::Body => (Answer::Body(bytes), None),
        form => {
            // What was noted is bounded: those who wait may have all of it.
            let mut complete = complete(form, &bytes, usize::MAX)?;
            complete.answer.make_nameless();
            (Answer::Said(Arc::new(complete.answer)), complete.unkept.map(|unkept| unkept.name()))
        }
    };
    let large = (answer.weight() > keep.most).then_some("too_large");
    Ok((answer, keep.unkept.or(unkept).or(large)))
}

/// Writes to the store, with what it is compared by.
fn write(cache: &Arc<Cache>, store: Arc<dyn VectorStore>, keep: Keep, landed: Arc<Landed>) {
    if cache.fill.writing.fetch_add(1, Ordering::Relaxed) >= WAITING_WRITES {
        cache.fill.writing.fetch_sub(1, Ordering::Relaxed);
        return cache.metrics.unkept("store_queue_full");
    }
    let cache = Arc::clone(cache);
    tokio::spawn(async move {
        let place = Arc::clone(&cache.fill.writes);
        let _place = place.acquire().await;
        let done = tokio::time::timeout(PATIENCE, put(&cache, &store, keep, &landed)).await;
        if !matches!(done, Ok(true)) {
            cache.metrics.unkept("store_failed");
        }
        cache.fill.writing.fetch_sub(1, Ordering::Relaxed);
    });
}

async fn put(cache: &Cache, store: &Arc<dyn VectorStore>, keep: Keep, landed: &Landed) -> bool {
    let meaning = match (keep.meaning, &keep.wanted, cache.compare()) {
        (Some(meaning), ..) => Some(meaning),
        (None, Some(wanted), Some(compare)) => compare.meaning(wanted).await,
        _ => None,
    };
    let entry = Entry {
        id: keep.place.id,
        space: keep.place.space,
        fingerprint: keep.place.fingerprint,
        meaning,
        answer: landed.answer.to_bytes(),
        about: keep.about,
        created_ms: landed.created_ms,
        expires_ms: landed.expires_ms,
    };
    let kept = store.put(entry).await;
    kept.inspect_err(|error| log::debug!("the vector store failed: {error}")).is_ok()
}
