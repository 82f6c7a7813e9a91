//! Kept answers: the same request, or one that means the same, is answered without asking a provider.
//!
//! What may stand for what is decided in `translate::cache`, by the request alone; here is whose an answer is (its
//! [`Space`]), where it is kept, and how it is found. Nothing found here belongs to another tenant: a space is part of
//! every question to every store. Must not know sessions; a store that is slow or gone is a miss, never an error.

pub mod answer;
pub mod compare;
pub mod entry;
pub mod exact;
pub mod fill;
pub mod fingerprint;
pub mod flight;
mod follow;
pub mod found;
pub mod lookups;
pub mod scope;
pub mod semantic;
pub mod vector;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::runtime::Handle;

use self::compare::Compare;
use self::exact::{Memory, Place};
use self::fill::Queue;
use self::flight::Flights;
use self::follow::Hits;
use self::found::{Found, Landed};
use self::lookups::Lookups;
use self::vector::{VectorError, VectorStore};
use crate::background;
use crate::config::cache as settings;
use crate::telemetry::metrics::Cached;

/// Makes a store of what is configured. It is opened by whoever uses it.
pub type Maker =
    Box<dyn Fn(&settings::VectorStore) -> Result<Arc<dyn VectorStore>, VectorError> + Send + Sync>;

/// The cache of answers. Without the plugin it is nothing but this.
pub struct Cache {
    memory: ArcSwap<Memory>,
    pub flights: Arc<Flights>,
    fill: Queue,
    shelf: ArcSwapOption<Shelf>,
    maker: OnceLock<Maker>,
    compare: OnceLock<Arc<dyn Compare>>,
    runtime: OnceLock<Handle>,
    hits: Hits,
    /// How near questions were to what was kept.
    pub lookups: Arc<Lookups>,
    pub metrics: Cached,
}

/// The store that is used, and what it was made from.
pub struct Shelf {
    pub store: Arc<dyn VectorStore>,
    settings: settings::VectorStore,
}

impl Cache {
    /// Nothing is kept before there is a configuration to follow.
    #[must_use]
    pub fn new(metrics: Cached) -> Self {
        Self {
            memory: ArcSwap::from_pointee(Memory::new(0)),
            flights: Arc::default(),
            fill: Queue::default(),
            shelf: ArcSwapOption::empty(),
            maker: OnceLock::new(),
            compare: OnceLock::new(),
            runtime: OnceLock::new(),
            hits: Hits::default(),
            lookups: Arc::default(),
            metrics,
        }
    }

    /// How stores are made. Only the first call does something.
    pub fn makes(&self, maker: Maker) {
        drop(self.maker.set(maker));
    }

    /// Who compares by meaning. Only the first call does something.
    pub fn compares(&self, compare: Arc<dyn Compare>) {
        drop(self.compare.set(compare));
    }

    /// Who compares by meaning, where there is somebody.
    #[must_use]
    pub fn compare(&self) -> Option<&Arc<dyn Compare>> {
        self.compare.get()
    }

    /// The store beside memory, where there is one.
    #[must_use]
    pub fn store(&self) -> Option<Arc<dyn VectorStore>> {
        self.shelf.load().as_ref().map(|shelf| Arc::clone(&shelf.store))
    }

    /// Answers in memory.
    #[must_use]
    pub fn memory(&self) -> Arc<Memory> {
        self.memory.load_full()
    }

    /// Where what is kept waits to be kept.
    #[must_use]
    pub fn fill(&self) -> &Queue {
        &self.fill
    }

    /// The living answer to the same request, as far as it is in memory.
    #[must_use]
    pub fn at_hand(&self, place: &Place, now_ms: u64) -> Option<Arc<Landed>> {
        self.memory.load().get(place, now_ms)
    }

    /// The living answer to the same request, as the store has it. What is found is in memory from then on.
    pub async fn stored(&self, place: &Place, now_ms: u64) -> Option<Arc<Landed>> {
        let store = self.store()?;
        let entry = store.exact(place.space, &place.fingerprint, now_ms).await;
        let entry = entry.inspect_err(|error| log::debug!("the vector store failed: {error}")).ok()??;
        // A store is not the gateway's own memory: what it gives is looked at once more.
        let own = entry.space == place.space && entry.fingerprint == place.fingerprint;
        let landed = Landed::of_entry(&entry, Found::Direct).filter(|_| own && entry.is_alive(now_ms))?;
        let landed = Arc::new(landed);
        self.memory.load().put(place, &landed, now_ms);
        Some(landed)
    }

    /// The cache's own runtime: lookups that wait and everything that is written.
    pub fn runtime(&self, otherwise: &Handle) -> &Handle {
        self.runtime.get_or_init(|| {
            background::start_as("cache", || {}).unwrap_or_else(|error| {
                log::warn!("the cache has no thread of its own: {error}");
                otherwise.clone()
            })
        })
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("memory", &*self.memory.load()).finish_non_exhaustive()
    }
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
