//! The vector store that is in the gateway: nothing to install, and still there after a restart.
//!
//! Who is asked by number or by vector is answered from memory ([`index`]); answers are read from a file of SQLite
//! (`crate::store::answers`), which is written in batches behind those who keep ([`writer`]). What was kept within the last
//! moments before a crash may be missing after it, never wrong: an entry is written whole or not at all. Other
//! gateways have files of their own: what many are to share is in another store.

mod index;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use nearest::{Packed, Scratch};
use tokio::sync::{Notify, OnceCell, watch};

pub use self::index::Bounds;
use self::index::{Index, New};
use super::{Asked, Kept, Near, Page, VectorError, VectorStore, Which};
use crate::cache::entry::{Digest, Entry, EntryId, Space};
use crate::store::StoreError;
use crate::store::answers::Answers;

/// Rows that are read in one go at the start.
const GO: u64 = 1_000;
/// Bytes that may wait to be written; more are not kept.
const WAITING: usize = 64 * 1024 * 1024;

/// The store.
pub struct Embedded {
    path: PathBuf,
    index: RwLock<Index>,
    /// Of scans, which are one at a time on one runtime.
    scratch: Mutex<Scratch>,
    file: OnceCell<Answers>,
    changes: Mutex<Changes>,
    /// Numbers of changes that were made, and that are in the file.
    made: watch::Sender<u64>,
    written: watch::Sender<u64>,
    /// Somebody waits for the writer.
    hurry: Notify,
    evicted: AtomicU64,
}

/// What is not in the file yet.
#[derive(Default)]
struct Changes {
    kept: HashMap<EntryId, Arc<Unwritten>>,
    /// Others of which something changed: they are gone, or were used or pinned.
    touched: HashSet<EntryId>,
    bytes: usize,
    number: u64,
}

/// An entry that is not in the file yet.
struct Unwritten {
    entry: Entry,
    /// As it is written.
    vector: Vec<u8>,
    /// The number of its change: the list is in the order in which entries were kept.
    number: u64,
}

impl Embedded {
    /// In this file, opened by [`VectorStore::open`].
    #[must_use]
    pub fn new(path: PathBuf, bounds: Bounds) -> Self {
        Self {
            path,
            index: RwLock::new(Index::new(bounds)),
            scratch: Mutex::default(),
            file: OnceCell::new(),
            changes: Mutex::default(),
            made: watch::Sender::new(0),
            written: watch::Sender::new(0),
            hurry: Notify::new(),
            evicted: AtomicU64::new(0),
        }
    }

    async fn file(&self) -> Result<&Answers, VectorError> {
        self.file.get().ok_or_else(|| VectorError::Unavailable("its file is not open yet".to_owned()))
    }

    /// All that is in the file, into memory.
    async fn load(&self, file: &Answers) -> Result<(), StoreError> {
        let mut number = 0;
        loop {
            let loaded = file.load(number, GO).await?;
            let last = loaded.last().map(|last| last.number);
            let mut unreadable = Vec::new();
            {
                let mut index = self.write_index();
                for one in loaded {
                    let id = one.id;
                    match index.read_in(one) {
                        // What was kept meanwhile is newer.
                        Some(new) if !self.changes().kept.contains_key(&id) => index.add(new),
                        Some(_) => {}
                        None => unreadable.push(id),
                    }
                }
            }
            self.touch(&unreadable);
            match last {
                Some(last) => number = last,
                None => break,
            }
            // Others run on this runtime too.
            tokio::task::yield_now().await;
        }
        let gone = self.write_index().make_room(None);
        self.out(&gone);
        Ok(())
    }

    /// Takes away all.
    async fn clear(&self, file: &Answers) -> Result<Vec<EntryId>, VectorError> {
        let (gone, unwritten) = {
            let mut index = self.write_index();
            (index.clear(), self.changes().kept.keys().copied().collect::<Vec<_>>())
        };
        file.clear().await.map_err(unavailable)?;
        // The writer may have had them in hand.
        self.touch(&unwritten);
        Ok(gone)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These were thrown out.
    fn out(&self, gone: &[EntryId]) {
        self.evicted.fetch_add(u64::try_from(gone.len()).unwrap_or_default(), Ordering::Relaxed);
        self.touch(gone);
    }

    /// Something of these is to be written.
    fn touch(&self, ids: &[EntryId]) {
        if ids.is_empty() {
            return;
        }
        let mut changes = self.changes();
        changes.touched.extend(ids);
        self.changed(changes);
    }

    fn changed(&self, mut changes: MutexGuard<'_, Changes>) {
        changes.number += 1;
        self.made.send_replace(changes.number);
    }

    /// What is to be written so far is in the file when this returns.
    async fn settled(&self) -> Result<(), VectorError> {
        let number = self.changes().number;
        let mut written = self.written.subscribe();
        self.hurry.notify_one();
        let waited = written.wait_for(|written| *written >= number);
        match tokio::time::timeout(writer::PATIENCE, waited).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(VectorError::Unavailable("its file is not written".to_owned())),
        }
    }

    /// Entries by their numbers, with answers, in this order; those that are gone are missing.
    async fn read(&self, ids: &[EntryId]) -> Result<Vec<Entry>, VectorError> {
        let mut found: HashMap<EntryId, Entry> = {
            let changes = self.changes();
            ids.iter().filter_map(|id| Some((*id, changes.kept.get(id)?.entry.clone()))).collect()
        };
        let rest: Vec<EntryId> = ids.iter().filter(|id| !found.contains_key(id)).copied().collect();
        if !rest.is_empty() {
            let read = self.file().await?.read(&rest).await.map_err(unavailable)?;
            found.extend(read.into_iter().map(|entry| (entry.id, entry)));
        }
        let index = self.index();
        let living = ids.iter().filter_map(|id| {
            let mut entry = found.remove(id)?;
            entry.expires_ms = index.expires_ms(*id)?;
            Some(entry)
        });
        Ok(living.collect())
    }
}

#[async_trait]
impl VectorStore for Embedded {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    /// Whatever the dimension: vectors of several may be kept.
    async fn open(&self, _dimension: usize) -> Result<(), VectorError> {
        let opened = self.file.get_or_try_init(|| async {
            let file = Answers::open(&self.path).await?;
            self.load(&file).await?;
            Ok(file)
        });
        opened.await.map(drop).map_err(unavailable)
    }

    async fn put(&self, entry: Entry) -> Result<(), VectorError> {
        let (id, bytes) = (entry.id, entry.weight());
        if self.changes().bytes.saturating_add(bytes) > WAITING {
            return Err(VectorError::Unavailable("too much waits to be written".to_owned()));
        }
        let vector = match &entry.meaning {
            None => None,
            Some(meaning) => {
                let rotation = self.write_index().rotation(meaning.vector.len());
                let packed =
                    rotation.and_then(|rotation| Some((Packed::of(&meaning.vector, &rotation)?, rotation)));
                let (packed, rotation) = packed.ok_or_else(|| {
                    VectorError::Refused(format!("{} numbers are no vector", meaning.vector.len()))
                })?;
                Some((meaning.frame, packed, rotation))
            }
        };
        let packed = vector.as_ref().map(|(_, packed, _)| packed.to_bytes()).unwrap_or_default();
        let text = entry.meaning.as_ref().map_or(0, |meaning| meaning.text.len());
        let new = New {
            id,
            space: entry.space,
            vector,
            expires_ms: entry.expires_ms,
            used_ms: entry.created_ms,
            pinned: false,
            bytes: u64::try_from(entry.answer.len() + text).unwrap_or_default(),
        };
        {
            let mut index = self.write_index();
            let mut changes = self.changes();
            changes.touched.remove(&id);
            changes.bytes += bytes;
            let number = changes.number;
            let unwritten = Unwritten { entry, vector: packed, number };
            if let Some(before) = changes.kept.insert(id, Arc::new(unwritten)) {
                changes.bytes = changes.bytes.saturating_sub(before.entry.weight());
            }
            index.add(new);
            self.changed(changes);
        }
        let gone = self.write_index().make_room(Some(id));
        self.out(&gone);
        Ok(())
    }

    async fn exact(
        &self,
        space: Space,
        fingerprint: &Digest,
        now_ms: u64,
    ) -> Result<Option<Entry>, VectorError> {
        let id = EntryId::of(space, fingerprint);
        if !self.index().has(id, now_ms) {
            return Ok(None);
        }
        let found = self.read(&[id]).await?.pop();
        Ok(found.filter(|entry| entry.space == space && entry.fingerprint == *fingerprint))
    }

    async fn nearest(&self, question: &Asked<'_>) -> Result<Vec<Near>, VectorError> {
        let near = {
            let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
            self.index().nearest(question, &mut scratch)
        };
        let wanted: Vec<EntryId> =
            near.iter().filter(|(_, cosine)| *cosine >= question.at_least).map(|(id, _)| *id).collect();
        let wanted =
            if wanted.is_empty() { near.iter().take(1).map(|(id, _)| *id).collect() } else { wanted };
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let similarity: HashMap<EntryId, f32> = near.into_iter().collect();
        let entries = self.read(&wanted).await?.into_iter();
        let near = entries.filter(|entry| entry.space == question.space && entry.is_alive(question.now_ms));
        Ok(near.filter_map(|entry| Some(Near { similarity: *similarity.get(&entry.id)?, entry })).collect())
    }

    async fn told(&self, hits: &[(EntryId, u64)]) {
        let now_ms = crate::account::meters::now_ms();
        let known: Vec<EntryId> = {
            let mut index = self.write_index();
            hits.iter().filter(|(id, hits)| index.used(*id, *hits, now_ms)).map(|(id, _)| *id).collect()
        };
        self.touch(&known);
    }

    async fn pin(&self, id: EntryId, pinned: bool) -> Result<bool, VectorError> {
        let found = self.write_index().pin(id, pinned);
        if found {
            self.touch(&[id]);
        }
        Ok(found)
    }

    async fn delete(&self, which: &Which) -> Result<u64, VectorError> {
        self.settled().await?;
        let file = self.file().await?;
        let gone = match which.id {
            _ if which.is_all() => self.clear(file).await?,
            Some(id) => {
                let found = self.read(&[id]).await?.iter().any(|entry| which.fits(entry));
                let gone = if found && self.write_index().delete(id) { vec![id] } else { Vec::new() };
                self.touch(&gone);
                gone
            }
            None => {
                let fit = file.ids(which).await.map_err(unavailable)?;
                let gone: Vec<EntryId> = {
                    let mut index = self.write_index();
                    fit.into_iter().filter(|id| index.delete(*id)).collect()
                };
                self.touch(&gone);
                gone
            }
        };
        // Whoever deletes wants it to be gone for good.
        self.settled().await?;
        Ok(u64::try_from(gone.len()).unwrap_or_default())
    }

    async fn expire(&self, now_ms: u64) -> Result<u64, VectorError> {
        let gone = self.write_index().expire(now_ms);
        self.touch(&gone);
        Ok(u64::try_from(gone.len()).unwrap_or_default())
    }

    async fn list(&self, which: &Which, from: Option<&str>, most: usize) -> Result<Page, VectorError> {
        self.settled().await?;
        let before = from.map_or(Ok(i64::MAX.cast_unsigned()), str::parse);
        let before = before.map_err(|_| VectorError::Refused("no page begins there".to_owned()))?;
        let file = self.file().await?;
        let mut found = file.list(which, before, most.saturating_add(1)).await.map_err(unavailable)?;
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|last| last.number.to_string());
        let mut entries: Vec<Kept> = found
            .into_iter()
            .map(|one| Kept { entry: one.entry, bytes: one.bytes, hits: one.hits, pinned: one.pinned })
            .collect();
        if let Some(id) = which.id {
            let answer = self.read(&[id]).await?.pop().map(|entry| entry.answer);
            entries.iter_mut().zip(answer).for_each(|(kept, answer)| kept.entry.answer = answer);
        }
        Ok(Page { entries, next })
    }

    async fn size(&self) -> Result<(u64, Option<u64>), VectorError> {
        let index = self.index();
        Ok((u64::try_from(index.len()).unwrap_or_default(), Some(index.bytes())))
    }

    fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    async fn close(&self) {
        if self.settled().await.is_err() {
            log::warn!("what was kept last is not in {}", self.path.display());
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("path", &self.path).field("entries", &self.index().len()).finish()
    }
}

fn unavailable(error: StoreError) -> VectorError {
    match error {
        StoreError::Refused(why) => VectorError::Refused(why),
        other => VectorError::Unavailable(other.to_string()),
    }
}
