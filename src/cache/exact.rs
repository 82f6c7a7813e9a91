//! Answers in memory, by what was asked: bounded by bytes, each for its own life.
//!
//! An entry is known by the number of its space and fingerprint; both are compared before it is given. Which of them leave
//! for room is moka's TinyLFU over segments: one that is asked for often stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::notification::RemovalCause;
use moka::sync::Cache;
use moka::{Expiry, sync};

use super::entry::{Digest, EntryId, Space};
use super::found::Landed;
use super::vector::Which;

/// Longer than a process lives: moka has a limit of its own.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Where an answer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub id: EntryId,
    pub space: Space,
    pub fingerprint: Digest,
}

impl Place {
    #[must_use]
    pub fn of(space: Space, fingerprint: Digest) -> Self {
        Self { id: EntryId::of(space, &fingerprint), space, fingerprint }
    }
}

/// Answers in memory.
pub struct Memory {
    held: Cache<EntryId, Held>,
    most: u64,
    evicted: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Held {
    place: Place,
    landed: Arc<Landed>,
    life: Duration,
}

/// Each answer has a life of its own, from the moment that it was kept.
struct Lives;

impl Expiry<EntryId, Held> for Lives {
    fn expire_after_create(&self, _: &EntryId, held: &Held, _: Instant) -> Option<Duration> {
        Some(held.life)
    }

    fn expire_after_update(
        &self,
        _: &EntryId,
        held: &Held,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(held.life)
    }
}

impl Memory {
    /// At most about `most` bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&evicted);
        let held = sync::Cache::builder()
            .max_capacity(most)
            .weigher(|_, held: &Held| u32::try_from(weight(&held.landed)).unwrap_or(u32::MAX))
            .expire_after(Lives)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self { held, most, evicted }
    }

    /// The living answer at `place`.
    #[must_use]
    pub fn get(&self, place: &Place, now_ms: u64) -> Option<Arc<Landed>> {
        let held = self.held.get(&place.id)?;
        (held.place == *place && now_ms < held.landed.expires_ms).then_some(held.landed)
    }

    /// Keeps an answer, for others to find: it was given once.
    pub fn put(&self, place: &Place, landed: &Arc<Landed>, now_ms: u64) {
        let left = landed.expires_ms.saturating_sub(now_ms);
        if left == 0 {
            return;
        }
        let landed = landed.again();
        let life = Duration::from_millis(left).min(LONGEST);
        self.held.insert(place.id, Held { place: *place, landed, life });
    }

    /// Takes answers away; how many.
    pub fn forget(&self, which: &Which) -> u64 {
        if which.is_all() {
            let all = self.held.entry_count();
            self.held.invalidate_all();
            return all;
        }
        let about = |held: &Held| which.fits_about(held.place.id, &held.landed.about);
        let meant: Vec<EntryId> =
            self.held.iter().filter(|(_, held)| about(held)).map(|(id, _)| *id).collect();
        meant.iter().for_each(|id| self.held.invalidate(id));
        u64::try_from(meant.len()).unwrap_or(u64::MAX)
    }

    /// Entries and bytes, about.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.held.entry_count(), self.held.weighted_size())
    }

    /// Bytes that there may be.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Answers that left for room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

fn weight(landed: &Landed) -> usize {
    let about = &landed.about;
    let words = about.tenant.len() + about.cache_key.len() + about.title.len() + about.model.len();
    // With what moka keeps of each.
    landed.answer.weight() + words + size_of::<Landed>() + size_of::<Held>() + 200
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("size", &self.size()).field("most", &self.most).finish()
    }
}

#[cfg(test)]
mod tests;
