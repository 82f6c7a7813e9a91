//! Keys by their hash and by their id, spread over many small maps, so that a change never holds up a lookup for long.
//!
//! A million of them must fit: by hash only the first eight bytes are kept beside the key itself, which has the rest.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use subtle::ConstantTimeEq;

use crate::config::governance::{KeyHash, VirtualKey};

/// A power of two.
const SHARDS: usize = 256;

/// Keys by hash and by id.
pub struct Shards {
    hashes: Box<[RwLock<ByHash>]>,
    ids: Box<[RwLock<HashSet<ById>>]>,
}

/// By the beginning of a hash.
type ByHash = HashMap<u64, Found, BuildHasherDefault<Prefix>>;

/// The keys whose hashes begin alike: one, but for a chance of one in 2^64.
enum Found {
    One(Arc<VirtualKey>),
    #[expect(clippy::box_collection, reason = "what never happens must not make what always does larger")]
    More(Box<Vec<Arc<VirtualKey>>>),
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            hashes: (0..SHARDS).map(|_| RwLock::default()).collect(),
            ids: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }
}

impl Shards {
    /// The key of this hash, as long as the hash is one of it at `now_ms`.
    pub fn find(&self, hash: &KeyHash, now_ms: u64) -> Option<Arc<VirtualKey>> {
        let prefix = prefix(hash);
        let shard = self.hashes.get(place(prefix))?.read().unwrap_or_else(PoisonError::into_inner);
        let is = |key: &&Arc<VirtualKey>| {
            key.hashes
                .iter()
                .any(|(own, end)| bool::from(own.0.ct_eq(&hash.0)) && end.is_none_or(|end| now_ms < end))
        };
        shard.get(&prefix)?.all().iter().find(is).cloned()
    }

    pub fn by_id(&self, id: &str) -> Option<Arc<VirtualKey>> {
        let shard = self.of_id(id)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(id).map(|found| Arc::clone(&found.0))
    }

    /// Puts a key in the place of the one with its id, if there is one.
    pub fn put(&self, key: &Arc<VirtualKey>) -> Option<Arc<VirtualKey>> {
        let before = {
            let mut shard = self.of_id(&key.id)?.write().unwrap_or_else(PoisonError::into_inner);
            shard.replace(ById(Arc::clone(key))).map(|before| before.0)
        };
        // First the new ones: a key that stays is found at any time.
        let old = before.as_deref().map(|before| &*before.hashes).unwrap_or_default();
        for (hash, _) in &key.hashes {
            self.link(hash, key, before.as_ref());
        }
        for (hash, _) in old.iter().filter(|(hash, _)| key.hashes.iter().all(|(new, _)| new != hash)) {
            self.unlink(hash, before.as_ref());
        }
        before
    }

    pub fn remove(&self, id: &str) -> Option<Arc<VirtualKey>> {
        let before = {
            let mut shard = self.of_id(id)?.write().unwrap_or_else(PoisonError::into_inner);
            shard.take(id)?.0
        };
        before.hashes.iter().for_each(|(hash, _)| self.unlink(hash, Some(&before)));
        Some(before)
    }

    pub fn len(&self) -> usize {
        self.ids.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Calls `each` with every key, shard by shard.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<VirtualKey>)) {
        for shard in &self.ids {
            shard.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|found| each(&found.0));
        }
    }

    fn of_id(&self, id: &str) -> Option<&RwLock<HashSet<ById>>> {
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.ids.get(place(hash))
    }

    fn link(&self, hash: &KeyHash, key: &Arc<VirtualKey>, before: Option<&Arc<VirtualKey>>) {
        let prefix = prefix(hash);
        let Some(shard) = self.hashes.get(place(prefix)) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(prefix) {
            Entry::Vacant(place) => drop(place.insert(Found::One(Arc::clone(key)))),
            Entry::Occupied(mut place) => {
                let others = place.get().all().iter().filter(|other| {
                    !Arc::ptr_eq(other, key) && before.is_none_or(|before| !Arc::ptr_eq(other, before))
                });
                let mut all: Vec<Arc<VirtualKey>> = others.cloned().collect();
                all.insert(0, Arc::clone(key));
                place.insert(Found::of(all, key));
            }
        }
    }

    fn unlink(&self, hash: &KeyHash, key: Option<&Arc<VirtualKey>>) {
        let prefix = prefix(hash);
        let (Some(shard), Some(key)) = (self.hashes.get(place(prefix)), key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = shard.get_mut(&prefix) else { return };
        let rest: Vec<Arc<VirtualKey>> =
            found.all().iter().filter(|other| !Arc::ptr_eq(other, key)).cloned().collect();
        match rest.first().cloned() {
            Some(first) => *found = Found::of(rest, &first),
            None => drop(shard.remove(&prefix)),
        }
    }
}

impl Found {
    fn of(all: Vec<Arc<VirtualKey>>, first: &Arc<VirtualKey>) -> Self {
        if all.len() > 1 { Self::More(Box::new(all)) } else { Self::One(Arc::clone(first)) }
    }

    fn all(&self) -> &[Arc<VirtualKey>] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::More(keys) => keys,
        }
    }
}

/// Looked up by the key's id.
struct ById(Arc<VirtualKey>);

impl std::borrow::Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0.id).hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// The beginning of a SHA-256 is as good a hash as any: nobody but who makes keys chooses which are in the map.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, prefix: u64) {
        self.0 = prefix;
    }
}

fn prefix(hash: &KeyHash) -> u64 {
    hash.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// By bits that the maps do not go by.
fn place(hash: u64) -> usize {
    usize::try_from(hash >> 24).unwrap_or(0) & (SHARDS - 1)
}
