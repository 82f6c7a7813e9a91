//! What of kept answers is in memory: whose they are, how long they live, when they were used, and their vectors.
//!
//! Vectors of one space and frame are a partition: a question sees no other. Bounded by entries and bytes; the one
//! that was not used for longest makes room. Answers and texts are in the file. Pure: `now` is an argument.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use nearest::{Packed, Partition, Query, Rotation, Scratch};

use crate::cache::entry::{Digest, EntryId, Space};
use crate::cache::vector::{Asked, ENDLESS_MS};
use crate::store::answers::{Loaded, Mark};

/// How much is kept at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub entries: usize,
    /// Of answers, questions and vectors, in the file.
    pub bytes: u64,
}

/// All kept answers.
#[derive(Debug)]
pub(super) struct Index {
    bounds: Bounds,
    slots: HashMap<EntryId, Slot>,
    /// By when they were last used.
    order: BTreeSet<(u64, EntryId)>,
    homes: HashMap<(Space, Digest), u32>,
    partitions: HashMap<u32, Home>,
    next: u32,
    rotations: HashMap<usize, Arc<Rotation>>,
    bytes: u64,
}

/// What is kept of one entry.
#[derive(Debug, Clone, Copy)]
struct Slot {
    expires_ms: u64,
    used_ms: u64,
    hits: u64,
    bytes: u64,
    pinned: bool,
    /// Partition, and the place in it.
    vector: Option<(u32, usize)>,
}

#[derive(Debug)]
struct Home {
    key: (Space, Digest),
    rotation: Arc<Rotation>,
    vectors: Partition<EntryId>,
}

/// An entry to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct New {
    pub id: EntryId,
    pub space: Space,
    pub vector: Option<(Digest, Packed, Arc<Rotation>)>,
    pub expires_ms: u64,
    pub used_ms: u64,
    pub pinned: bool,
    pub bytes: u64,
}

impl Index {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: HashMap::new(),
            order: BTreeSet::new(),
            homes: HashMap::new(),
            partitions: HashMap::new(),
            next: 0,
            rotations: HashMap::new(),
            bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of answers, questions and vectors in the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The turn of vectors of so many numbers.
    pub fn rotation(&mut self, dimension: usize) -> Option<Arc<Rotation>> {
        if let Some(known) = self.rotations.get(&dimension) {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(Rotation::of(dimension)?);
        self.rotations.insert(dimension, Arc::clone(&made));
        Some(made)
    }

    /// What the file has of an entry, as it is added. `None`: its vector cannot be read.
    pub fn read_in(&mut self, loaded: Loaded) -> Option<New> {
        let Loaded { id, space, meaning, expires_ms, used_ms, pinned, bytes, .. } = loaded;
        let vector = match meaning {
            None => None,
            Some((frame, dimension, packed)) => {
                let rotation = self.rotation(dimension)?;
                Some((frame, Packed::from_bytes(&packed, rotation.width())?, rotation))
            }
        };
        Some(New { id, space, vector, expires_ms, used_ms, pinned, bytes })
    }

    /// Adds an entry, or replaces the one with its number, which stays pinned if it was.
    pub fn add(&mut self, new: New) {
        let replaced = self.remove(new.id);
        let pinned = new.pinned || replaced.is_some_and(|slot| slot.pinned);
        let size = new.vector.as_ref().map_or(0, |(_, packed, _)| packed.width());
        let vector = new.vector.and_then(|(frame, packed, rotation)| {
            let number = self.home((new.space, frame), rotation);
            Some((number, self.partitions.get_mut(&number)?.vectors.add(new.id, &packed)?))
        });
        let bytes = new.bytes + u64::try_from(size).unwrap_or_default();
        let Slot { used_ms, hits, .. } =
            replaced.unwrap_or(Slot { expires_ms: 0, used_ms: 0, hits: 0, bytes: 0, pinned, vector: None });
        let used_ms = used_ms.max(new.used_ms);
        let slot = Slot { expires_ms: new.expires_ms, used_ms, hits, bytes, pinned, vector };
        self.bytes += bytes;
        self.order.insert((used_ms, new.id));
        self.slots.insert(new.id, slot);
    }

    /// Takes out what there is no room for, but never `kept`: the numbers of those.
    pub fn make_room(&mut self, kept: Option<EntryId>) -> Vec<EntryId> {
        let mut gone = Vec::new();
        while self.slots.len() > self.bounds.entries || self.bytes > self.bounds.bytes {
            let evictable =
                |id: &EntryId| Some(*id) != kept && self.slots.get(id).is_some_and(|slot| !slot.pinned);
            let Some(id) = self.order.iter().map(|(_, id)| *id).find(|id| evictable(id)) else { break };
            self.remove(id);
            gone.push(id);
        }
        gone
    }

    /// It is there and lives.
    pub fn has(&self, id: EntryId, now_ms: u64) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.is_alive(now_ms))
    }

    /// The end of its life, as stores tell it.
    pub fn expires_ms(&self, id: EntryId) -> Option<u64> {
        self.slots.get(&id).map(|slot| if slot.pinned { ENDLESS_MS } else { slot.expires_ms })
    }

    /// The nearest living entries, the nearest first.
    pub fn nearest(&self, asked: &Asked<'_>, scratch: &mut Scratch) -> Vec<(EntryId, f32)> {
        let home =
            self.homes.get(&(asked.space, *asked.frame)).and_then(|number| self.partitions.get(number));
        let Some(home) = home else { return Vec::new() };
        let Some(query) = Query::of(asked.vector, &home.rotation) else { return Vec::new() };
        home.vectors.nearest(&query, asked.most, scratch, |id| self.has(id, asked.now_ms))
    }

    /// It was given to a caller.
    pub fn used(&mut self, id: EntryId, hits: u64, now_ms: u64) -> bool {
        let Some(slot) = self.slots.get_mut(&id) else { return false };
        self.order.remove(&(slot.used_ms, id));
        slot.used_ms = slot.used_ms.max(now_ms);
        slot.hits = slot.hits.saturating_add(hits);
        self.order.insert((slot.used_ms, id));
        true
    }

    /// Pins or unpins; `false`: it is not there.
    pub fn pin(&mut self, id: EntryId, pinned: bool) -> bool {
        self.slots.get_mut(&id).map(|slot| slot.pinned = pinned).is_some()
    }

    /// Takes an entry away.
    pub fn delete(&mut self, id: EntryId) -> bool {
        self.remove(id).is_some()
    }

    /// Takes away all.
    pub fn clear(&mut self) -> Vec<EntryId> {
        let gone = self.slots.keys().copied().collect();
        *self = Self { rotations: std::mem::take(&mut self.rotations), ..Self::new(self.bounds) };
        gone
    }

    /// Takes away what is past its life.
    pub fn expire(&mut self, now_ms: u64) -> Vec<EntryId> {
        let dead = self.slots.iter().filter(|(_, slot)| !slot.is_alive(now_ms)).map(|(id, _)| *id);
        let dead: Vec<EntryId> = dead.collect();
        for id in &dead {
            self.remove(*id);
        }
        dead
    }

    /// What the file is to know of it; its hits count from zero again.
    pub fn mark(&mut self, id: EntryId) -> Option<Mark> {
        let slot = self.slots.get_mut(&id)?;
        let hits = std::mem::take(&mut slot.hits);
        Some(Mark { id, used_ms: slot.used_ms, hits, pinned: slot.pinned })
    }

    /// These were not written after all.
    pub fn unmark(&mut self, mark: &Mark) {
        if let Some(slot) = self.slots.get_mut(&mark.id) {
            slot.hits = slot.hits.saturating_add(mark.hits);
        }
    }

    fn home(&mut self, key: (Space, Digest), rotation: Arc<Rotation>) -> u32 {
        if let Some(number) = self.homes.get(&key) {
            return *number;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let vectors = Partition::new(rotation.width());
        self.homes.insert(key, number);
        self.partitions.insert(number, Home { key, rotation, vectors });
        number
    }

    fn remove(&mut self, id: EntryId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.order.remove(&(slot.used_ms, id));
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        if let Some((number, place)) = slot.vector
            && let Some(home) = self.partitions.get_mut(&number)
        {
            let moved = home.vectors.remove(place);
            let (empty, key) = (home.vectors.is_empty(), home.key);
            if let Some(slot) = moved.and_then(|moved| self.slots.get_mut(&moved)) {
                slot.vector = Some((number, place));
            }
            if empty {
                self.partitions.remove(&number);
                self.homes.remove(&key);
            }
        }
        Some(slot)
    }
}

impl Slot {
    fn is_alive(&self, now_ms: u64) -> bool {
        self.pinned || now_ms < self.expires_ms
    }
}
