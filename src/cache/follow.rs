//! What a reload changes of the cache, and what is done now and then: stores are told of hits and of time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::entry::EntryId;
use super::exact::Memory;
use super::{Cache, Shelf, now_ms};
use crate::config::ConfigHolder;
use crate::config::cache as settings;

/// Between two times that the store is told of hits.
const ROUND: Duration = Duration::from_secs(5);
/// Between two times that it is told to throw out what is over.
const EXPIRY: Duration = Duration::from_secs(60);
/// Entries whose hits are counted between two rounds; more are not counted.
const COUNTED: usize = 4_096;

/// Hits that the store has not been told of.
#[derive(Debug, Default)]
pub(super) struct Hits(Mutex<HashMap<EntryId, u64>>);

impl Hits {
    pub(super) fn count(&self, id: EntryId) {
        let mut hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hits.len() < COUNTED || hits.contains_key(&id) {
            *hits.entry(id).or_default() += 1;
        }
    }

    fn take(&self) -> Vec<(EntryId, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

impl Cache {
    /// Follows the configuration for as long as the process lives. Begins with what holds now.
    pub fn follow(self: &Arc<Self>, config: &Arc<ConfigHolder>, background: &Handle) {
        let (cache, config, otherwise) = (Arc::clone(self), Arc::clone(config), background.clone());
        if let Some(settings) = &config.load_full().cache {
            // Before the first request: what is at hand is asked for at once.
            cache.resize(settings);
        }
        background.spawn(async move {
            let mut versions = config.versions();
            loop {
                let snapshot = config.load_full();
                if let Some(settings) = &snapshot.cache {
                    cache.adopt(settings, &otherwise);
                } else {
                    cache.shelf.store(None);
                    cache.memory.store(Arc::new(Memory::new(0)));
                }
                drop(snapshot);
                if versions.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn resize(&self, settings: &settings::Cache) {
        if self.memory.load().most() != settings.max_memory {
            self.memory.store(Arc::new(Memory::new(settings.max_memory)));
        }
    }

    fn adopt(self: &Arc<Self>, settings: &settings::Cache, otherwise: &Handle) {
        self.resize(settings);
        let current = self.shelf.load_full();
        if current.as_ref().map(|shelf| &shelf.settings) == settings.store.as_ref() {
            return;
        }
        let (Some(wanted), Some(maker)) = (&settings.store, self.maker.get()) else {
            return self.shelf.store(None);
        };
        match maker(wanted) {
            Ok(store) => {
                let shelf = Arc::new(Shelf { store, settings: wanted.clone() });
                let dimension = settings.semantic.as_ref().and_then(|semantic| semantic.dimension);
                self.shelf.store(Some(Arc::clone(&shelf)));
                self.runtime(otherwise).spawn(Arc::clone(self).keep_up(shelf, dimension.unwrap_or(0)));
            }
            Err(error) => {
                log::warn!("the vector store {} cannot be used: {error}", wanted.kind.name());
                self.shelf.store(None);
            }
        }
    }

    /// Opens a store and looks after it for as long as it is used.
    async fn keep_up(self: Arc<Self>, shelf: Arc<Shelf>, dimension: usize) {
        let name = shelf.settings.kind.name();
        if let Err(error) = shelf.store.open(dimension).await {
            log::warn!("the vector store {name} is not there yet: {error}");
        }
        let mut expired = Instant::now();
        loop {
            tokio::time::sleep(ROUND).await;
            if !self.shelf.load().as_ref().is_some_and(|used| Arc::ptr_eq(used, &shelf)) {
                return;
            }
            let hits = self.hits.take();
            if !hits.is_empty() {
                shelf.store.told(&hits).await;
            }
            if expired.elapsed() >= EXPIRY {
                expired = Instant::now();
                if let Err(error) = shelf.store.expire(now_ms()).await {
                    log::debug!("the vector store {name} failed: {error}");
                }
            }
        }
    }

    /// Somebody was given this answer.
    pub fn told(&self, id: EntryId) {
        if self.shelf.load().is_some() {
            self.hits.count(id);
        }
    }

    /// The process ends: what waits is written, and all is deleted where that is wanted. Takes no longer than `limit`.
    pub fn finish(self: &Arc<Self>, cleanup: bool, limit: Duration) {
        let (Some(runtime), Some(shelf)) = (self.runtime.get(), self.shelf.load_full()) else { return };
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let cache = Arc::clone(self);
        runtime.spawn(async move {
            let hits = cache.hits.take();
            if !hits.is_empty() {
                shelf.store.told(&hits).await;
            }
            while cache.fill.writing() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if cleanup && let Err(error) = shelf.store.delete(&super::vector::Which::default()).await {
                log::warn!("what is kept was not deleted: {error}");
            }
            shelf.store.close().await;
            let _ = tell.send(());
        });
        let _ = told.recv_timeout(limit);
    }
}
