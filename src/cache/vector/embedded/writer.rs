//! Writes what changed into the file, in batches, for as long as the store is there.
//!
//! What is written is how things stand when it is written, not what happened: an entry that was kept and deleted since is
//! deleted. What fails is tried again; meanwhile what is kept waits in memory, and is not taken any more when that is too much.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::{Embedded, Unwritten};
use crate::cache::entry::EntryId;
use crate::store::StoreError;
use crate::store::answers::{Answers, Batch, Mark, Written};

/// The longest anybody waits for what was changed to be in the file.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// A change waits this long for others.
const GATHER: Duration = Duration::from_millis(200);
/// Between two tries, while the file cannot be written.
const REST: Duration = Duration::from_secs(1);
/// Changes of one transaction, at most.
const BATCH: usize = 256;

impl Embedded {
    /// Writes behind those who keep, on this runtime, for as long as somebody has the store.
    pub fn start(self: &Arc<Self>, runtime: &Handle) {
        let mut made = self.made.subscribe();
        let store = Arc::downgrade(self);
        runtime.spawn(async move {
            while made.changed().await.is_ok() {
                let Some(hurry) = Weak::upgrade(&store) else { return };
                // Whoever is in a hurry says so: all others can wait for more.
                drop(timeout(GATHER, hurry.hurry.notified()).await);
                drop(hurry);
                write_all(&store).await;
            }
        });
    }

    /// Writes one batch; `true`: there was more than that.
    async fn write(&self, file: &Answers) -> Result<bool, StoreError> {
        let taken = self.take();
        let batch = taken.batch();
        match file.write(&batch).await {
            Ok(()) => {
                self.wrote(&taken);
                Ok(taken.all.is_none())
            }
            Err(error) => {
                self.give_back(&taken);
                Err(error)
            }
        }
    }

    fn take(&self) -> Taken {
        let mut index = self.write_index();
        let mut changes = self.changes();
        let mut taken = Taken::default();
        let mut kept: Vec<&Arc<Unwritten>> = changes.kept.values().collect();
        kept.sort_unstable_by_key(|kept| kept.number);
        taken.kept =
            kept.into_iter().take(BATCH).map(|kept| (Arc::clone(kept), index.mark(kept.entry.id))).collect();
        let touched: Vec<EntryId> = changes.touched.iter().take(BATCH).copied().collect();
        for id in touched {
            changes.touched.remove(&id);
            // What is still to be written is marked then.
            match index.mark(id) {
                Some(mark) if !changes.kept.contains_key(&id) => taken.marked.push(mark),
                Some(mark) => index.unmark(&mark),
                None => taken.gone.push(id),
            }
        }
        let all = taken.kept.len() == changes.kept.len() && changes.touched.is_empty();
        taken.all = all.then_some(changes.number);
        taken
    }

    fn wrote(&self, taken: &Taken) {
        let mut changes = self.changes();
        for (kept, _) in &taken.kept {
            let id = kept.entry.id;
            if changes.kept.get(&id).is_some_and(|known| Arc::ptr_eq(known, kept)) {
                changes.kept.remove(&id);
                changes.bytes = changes.bytes.saturating_sub(kept.entry.weight());
            }
        }
        drop(changes);
        if let Some(number) = taken.all {
            self.written.send_if_modified(|written| std::mem::replace(written, number) != number);
        }
    }

    fn give_back(&self, taken: &Taken) {
        let mut index = self.write_index();
        let mut changes = self.changes();
        let marks = taken.kept.iter().filter_map(|(_, mark)| mark.as_ref()).chain(&taken.marked);
        for mark in marks {
            index.unmark(mark);
        }
        changes.touched.extend(taken.marked.iter().map(|mark| mark.id).chain(taken.gone.iter().copied()));
    }
}

async fn write_all(store: &Weak<Embedded>) {
    let mut said = false;
    loop {
        let Some(store) = Weak::upgrade(store) else { return };
        let Some(file) = store.file.get() else {
            // It is being opened, which ends in a moment or in a failure that is said elsewhere.
            sleep(GATHER).await;
            continue;
        };
        match store.write(file).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    log::warn!("{} cannot be written: {error}", store.path.display());
                }
                drop(store);
                sleep(REST).await;
            }
        }
    }
}

/// What one transaction is to write.
#[derive(Default)]
struct Taken {
    /// With its vector; without a mark it is not in memory any more.
    kept: Vec<(Arc<Unwritten>, Option<Mark>)>,
    marked: Vec<Mark>,
    gone: Vec<EntryId>,
    /// It is all there was, up to the change of this number.
    all: Option<u64>,
}

impl Taken {
    fn batch(&self) -> Batch<'_> {
        let mut batch = Batch { gone: self.gone.clone(), marked: self.marked.clone(), written: Vec::new() };
        for (kept, mark) in &self.kept {
            match mark {
                Some(mark) => {
                    batch.written.push(Written { entry: &kept.entry, vector: &kept.vector, mark: *mark });
                }
                None => batch.gone.push(kept.entry.id),
            }
        }
        batch
    }
}
