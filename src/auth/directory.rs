//! All virtual keys: those of the configuration file and those of the store.
//!
//! Where both have a key of one id, the store's counts: the file's is not found then, by no hash of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::shards::Shards;
use crate::config::governance::{KeyHash, VirtualKey};

/// Who has which key.
pub struct Directory {
    /// Replaced as a whole with each configuration.
    file: ArcSwap<Shards>,
    store: Shards,
    incomplete: AtomicBool,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            file: ArcSwap::from_pointee(Shards::default()),
            store: Shards::default(),
            incomplete: AtomicBool::new(false),
        }
    }
}

impl Directory {
    /// The key of this hash. It may be inactive or expired ([`VirtualKey::usable`]); a hash that a rotation let live on
    /// until `now_ms` finds nothing.
    #[must_use]
    pub fn find(&self, hash: &KeyHash, now_ms: u64) -> Option<Arc<VirtualKey>> {
        self.store.find(hash, now_ms).or_else(|| {
            let found = self.file.load().find(hash, now_ms)?;
            self.store.by_id(&found.id).is_none().then_some(found)
        })
    }

    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<Arc<VirtualKey>> {
        self.store.by_id(id).or_else(|| self.file.load().by_id(id))
    }

    /// A key of the store, in the place of the one with its id.
    pub fn put(&self, key: Arc<VirtualKey>) {
        self.store.put(&key);
    }

    /// Takes a key of the store away. One of the file with the same id counts again.
    pub fn remove(&self, id: &str) {
        self.store.remove(id);
    }

    /// The keys of the configuration file, in the place of all that it had.
    pub fn replace_file(&self, keys: Vec<Arc<VirtualKey>>) {
        let shards = Shards::default();
        keys.iter().for_each(|key| drop(shards.put(key)));
        self.file.store(Arc::new(shards));
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let file = self.file.load();
        let mut count = self.store.len();
        file.for_each(|key| count += usize::from(self.store.by_id(&key.id).is_none()));
        count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Not all keys are here yet: one that is not found may still come.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Acquire)
    }

    /// Whoever reads keys from a store says when it begins (`false`), and when all are here.
    pub fn set_complete(&self, complete: bool) {
        self.incomplete.store(!complete, Ordering::Release);
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
