//! Keeps the ledger: what journals say becomes rows, and what rows say becomes what owners have used.
//!
//! First what processes that are gone have left is counted, then everybody's past is told ([`Counters`]), and only then
//! are this process's own lines read: so nothing that it counts itself is told to it again. What other processes count
//! later (the one before this one, during an upgrade; other gateways on the same database) is told row by row. A store that
//! is not there only makes the journals longer.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use govern::allowance::Consumption;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::journal::{Batch, Journal};
use super::ledger::{DAY, HOUR, Origin, Part, Told, Windows, merged};
use super::{Store, StoreError};
use crate::account::entry::Entry;
use crate::account::ledger::Ledger;
use crate::telemetry::events::{Event, emit};

/// Between two looks at the journals.
const ROUND: Duration = Duration::from_millis(400);
/// And while the store is not available.
const REST: Duration = Duration::from_secs(2);
/// Between two times that what is old is removed, in milliseconds.
const FORGET_EACH: u64 = HOUR;
/// Most lines are shorter.
const LINE: usize = 384;
/// Rows of others at once.
const TOLD: u32 = 1_000;
/// Rows of the ledger stay so long: sums of them stay longer.
pub const ROWS_KEPT: u64 = 30 * DAY;

/// Who counts in memory.
pub trait Counters: Send + Sync {
    /// All owners are known: until then nobody's past is told.
    fn is_ready(&self) -> bool;

    /// The windows of an owner's quotas; `None`: it has none, and need not be told.
    fn windows(&self, owner: &str) -> Option<Windows>;

    /// An owner used this, at these moments (Unix milliseconds), before this process or beside it.
    fn tell(&self, owner: &str, used: &[(u64, Consumption)]);
}

/// How keeping goes: for health and metrics.
#[derive(Debug, Default)]
pub struct Keeping {
    restored: watch::Sender<bool>,
    counted: AtomicU64,
    unreadable: AtomicU64,
    unread_bytes: AtomicU64,
    failing: AtomicBool,
}

/// The ledger of this process.
#[derive(Debug, Clone)]
pub struct Kept {
    pub store: Arc<Store>,
    pub journal: Arc<Journal>,
    pub keeping: Arc<Keeping>,
}

/// Reads journals into a store.
pub struct Keeper {
    pub kept: Kept,
    pub counters: Arc<dyn Counters>,
}

/// A journal as the place where spends are written down.
#[derive(Debug)]
pub struct Lines(pub Arc<Journal>);

/// Where a keeper stands.
#[derive(Debug, Default)]
struct Places {
    /// Of journals, those that are open here.
    journals: HashMap<String, u64>,
    /// The last row of others that was told.
    row: u64,
    /// When what is old is removed next.
    forget_ms: u64,
}

impl Keeping {
    /// Everybody's past was told.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        *self.restored.borrow()
    }

    /// Waits until everybody's past was told, no longer than `limit`. True when it was.
    pub async fn wait(&self, limit: Duration) -> bool {
        let mut restored = self.restored.subscribe();
        timeout(limit, restored.wait_for(|restored| *restored)).await.is_ok_and(|found| found.is_ok())
    }

    /// Spends that this process put into the ledger.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Lines of journals that say nothing this version understands.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// What journals hold that is not in the ledger yet.
    #[must_use]
    pub fn unread_bytes(&self) -> u64 {
        self.unread_bytes.load(Ordering::Relaxed)
    }

    /// The last round failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

impl Ledger for Lines {
    fn write(&self, entry: &Entry<'_>) -> io::Result<()> {
        let mut line = Vec::with_capacity(LINE);
        serde_json::to_writer(&mut line, entry)?;
        line.push(b'\n');
        self.0.append(&line)
    }
}

impl Keeper {
    /// Keeps the ledger for as long as the process lives.
    pub async fn run(self) {
        let mut places = Places::default();
        loop {
            let done = match self.kept.keeping.is_restored() {
                false => self.restore(&mut places).await,
                true => self.round(&mut places).await,
            };
            self.note(done.as_ref().err());
            sleep(if done.is_ok() { ROUND } else { REST }).await;
        }
    }

    async fn restore(&self, places: &mut Places) -> Result<(), StoreError> {
        let own = self.kept.journal.writer();
        if !self.counters.is_ready() {
            return Ok(());
        }
        self.read_all(places, |file| Journal::writer_of(file) != own).await?;
        let (number, past) = self.kept.store.past(now_ms(), |owner| self.counters.windows(owner)).await?;
        for past in &past {
            let used: Vec<_> = past.used.iter().map(|used| (used.at_ms, used.consumption)).collect();
            self.counters.tell(&past.owner, &used);
        }
        places.row = number;
        log::debug!("{} owners have a past", past.len());
        self.kept.keeping.restored.send_replace(true);
        Ok(())
    }

    async fn round(&self, places: &mut Places) -> Result<(), StoreError> {
        self.read_all(places, |_| true).await?;
        self.listen(places).await?;
        let now = now_ms();
        if now >= places.forget_ms && !self.kept.store.forget(now, ROWS_KEPT).await? {
            places.forget_ms = now.saturating_add(FORGET_EACH);
        }
        Ok(())
    }

    /// Reads the journals that are asked for to their ends, and removes those that nobody writes.
    async fn read_all(&self, places: &mut Places, wanted: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        for file in
            self.kept.journal.readable().map_err(|error| broken(&error))?.iter().filter(|file| wanted(file))
        {
            let place = match places.journals.get(file) {
                Some(place) => *place,
                None => self.kept.store.journal_place(file).await?,
            };
            let end = self.read(file, place).await?;
            if self.kept.journal.is_current(file) {
                places.journals.insert(file.clone(), end);
            } else {
                places.journals.remove(file);
                self.kept.journal.remove(file).map_err(|error| broken(&error))?;
            }
        }
        Ok(())
    }

    async fn read(&self, file: &str, mut place: u64) -> Result<u64, StoreError> {
        loop {
            let batch = match self.kept.journal.read(file, place) {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(place),
                // Another process has read it to its end.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
                Err(error) => return Err(broken(&error)),
            };
            place = match self.count(&batch).await? {
                true => batch.end,
                // Another process has read on.
                false => self.kept.store.journal_place(file).await?,
            };
        }
    }

    /// False when the journal was read further, or not so far: nothing was counted.
    async fn count(&self, batch: &Batch) -> Result<bool, StoreError> {
        let mut entries = Vec::new();
        for line in batch.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Entry<'_>>(line) {
                Ok(entry) => entries.push(entry),
                Err(_) => {
                    self.kept.keeping.unreadable.fetch_add(1, Ordering::Relaxed);
                    log::error!("a line of the journal {} is no spend: left out of the ledger", batch.file);
                }
            }
        }
        let writer = Journal::writer_of(&batch.file);
        let part = Part { file: &batch.file, from: batch.from, end: batch.end };
        let origin = Origin { writer, journal: Some(part), now_ms: now_ms() };
        let spends = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        if self.kept.store.apply(&origin, &merged(entries)).await?.is_none() {
            return Ok(false);
        }
        self.kept.keeping.counted.fetch_add(spends, Ordering::Relaxed);
        Ok(true)
    }

    /// Tells what other processes have counted since.
    async fn listen(&self, places: &mut Places) -> Result<(), StoreError> {
        loop {
            let told = self.kept.store.told(places.row, self.kept.journal.writer(), TOLD).await?;
            for Told { number, entry } in &told {
                for owner in entry.owners.iter().filter(|owner| self.counters.windows(owner).is_some()) {
                    self.counters.tell(owner, &[(entry.at, entry.consumption())]);
                }
                places.row = *number;
            }
            if told.len() < usize::try_from(TOLD).unwrap_or(usize::MAX) {
                return Ok(());
            }
        }
    }

    fn note(&self, error: Option<&StoreError>) {
        let unread = match error {
            Some(_) => self.kept.journal.size(),
            None => 0,
        };
        self.kept.keeping.unread_bytes.store(unread, Ordering::Relaxed);
        let failed_before = self.kept.keeping.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed_before => {
                emit(Event::LedgerBehind { why: &error.to_string() });
            }
            None if failed_before => emit(Event::LedgerUpToDate {}),
            _ => {}
        }
    }
}

fn broken(error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("the journal cannot be read: {error}"))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
