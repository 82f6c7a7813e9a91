//! Where spends are written down, before the caller has its last byte.
//!
//! A [`Ledger`] takes one spend and returns when it would outlive the process; it never waits for a network or another
//! process. Where that fails (a full disk), the gateway goes on: [`Books`] keeps what could not be written, writes it
//! when it can again, and counts what it had to forget.
//!
//! What counts for nobody's budget or limit and has no virtual key is added up by model first ([`Books::gather`]) and
//! written every few milliseconds: a process that is killed forgets that much of it, and never anything that
//! somebody is held to.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use govern::allowance::Consumption;

use super::entry::Entry;
use crate::telemetry::events::{Event, emit};

/// Takes spends down.
pub trait Ledger: Debug + Send + Sync {
    /// Writes one spend. When it returns, the spend outlives this process.
    ///
    /// # Errors
    /// It is not written, and no part of it will be read.
    fn write(&self, entry: &Entry<'_>) -> io::Result<()>;
}

/// The ledger in use, and what it could not take.
#[derive(Debug, Default)]
pub struct Books {
    /// Without one nothing outlives the process: that is a choice of the configuration.
    ledger: OnceLock<Arc<dyn Ledger>>,
    /// Oldest first.
    unwritten: Mutex<VecDeque<Entry<'static>>>,
    /// `unwritten` holds something.
    behind: AtomicBool,
    /// What is added up and not written yet, by model.
    gathered: Mutex<HashMap<Gathered, Consumption>>,
    written: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Under what spends are added up: provider, model, and whether they are estimates.
pub type Gathered = (Arc<str>, Arc<str>, bool);

/// How writing goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    pub written: u64,
    /// Attempts to write that failed.
    pub failed: u64,
    /// Spends that wait in memory.
    pub waiting: usize,
    /// Spends that are lost for the ledger: there was no room for them.
    pub dropped: u64,
}

impl Books {
    /// Spends that are kept in memory while the ledger cannot take them.
    const ROOM: usize = 65_536;
    /// So many are tried again with each that succeeds.
    const CATCH_UP: usize = 64;

    /// Takes a ledger into use; only the first one counts.
    pub fn open(&self, ledger: Arc<dyn Ledger>) {
        let _ = self.ledger.set(ledger);
    }

    /// Writes one spend down, or keeps it for later.
    pub fn write(&self, entry: &Entry<'_>) {
        let Some(ledger) = self.ledger.get() else { return };
        match ledger.write(entry) {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
                if self.behind.load(Ordering::Relaxed) {
                    self.catch_up();
                }
            }
            Err(error) => {
                if self.failed.fetch_add(1, Ordering::Relaxed) == 0 || !self.behind.load(Ordering::Relaxed) {
                    emit(Event::SpendUnwritten { why: &error.to_string() });
                }
                self.keep(entry);
            }
        }
    }

    /// Adds up a spend that is nobody's in particular, until [`Self::take_gathered`].
    pub fn gather(&self, target: Gathered, used: &Consumption) {
        if self.ledger.get().is_none() {
            return;
        }
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = gathered.entry(target).or_default();
        *sum = sum.plus(used);
    }

    /// What was added up so far, to be written.
    #[must_use]
    pub fn take_gathered(&self) -> HashMap<Gathered, Consumption> {
        std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tries to write what waits. For a task that runs now and then: with requests it happens by itself.
    pub fn catch_up(&self) {
        let Some(ledger) = self.ledger.get() else { return };
        let mut unwritten = self.lock();
        for _ in 0..Self::CATCH_UP {
            let Some(entry) = unwritten.front() else { break };
            if ledger.write(entry).is_err() {
                self.failed.fetch_add(1, Ordering::Relaxed);
                break;
            }
            self.written.fetch_add(1, Ordering::Relaxed);
            unwritten.pop_front();
        }
        if unwritten.is_empty() && self.behind.swap(false, Ordering::Relaxed) {
            emit(Event::SpendsWritten {});
        }
    }

    #[must_use]
    pub fn state(&self) -> State {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        State {
            written: read(&self.written),
            failed: read(&self.failed),
            waiting: self.lock().len(),
            dropped: read(&self.dropped),
        }
    }

    fn keep(&self, entry: &Entry<'_>) {
        let mut unwritten = self.lock();
        if unwritten.len() >= Self::ROOM {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        unwritten.push_back(entry.clone().into_owned());
        self.behind.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry<'static>>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps everything in memory: for tests.
#[derive(Debug, Default)]
pub struct InMemory {
    entries: Mutex<Vec<Entry<'static>>>,
    refuses: AtomicBool,
}

impl InMemory {
    /// What was written, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'static>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it takes nothing, or something again.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }
}

impl Ledger for InMemory {
    fn write(&self, entry: &Entry<'_>) -> io::Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone().into_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry<'_> {
        Entry {
            id: id.into(),
            at: 1,
            owners: vec!["team:a".into()],
            target: "p/m".into(),
            cost: 7,
            requests: 1,
            input_tokens: 0,
            output_tokens: 0,
            estimated: false,
        }
    }

    #[test]
    fn what_cannot_be_written_is_written_later_and_once() {
        let (books, ledger) = (Books::default(), Arc::new(InMemory::default()));
        books.open(ledger.clone());
        ledger.refuse(true);
        books.write(&entry("a"));
        books.write(&entry("b"));
        assert_eq!(books.state(), State { failed: 2, waiting: 2, ..State::default() });
        ledger.refuse(false);
        books.write(&entry("c"));
        let ids: Vec<_> = ledger.entries().iter().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["c", "a", "b"]);
        books.catch_up();
        assert_eq!(books.state(), State { written: 3, failed: 2, ..State::default() });
    }

    #[test]
    fn memory_is_bounded_and_what_is_lost_is_counted() {
        let (books, ledger) = (Books::default(), Arc::new(InMemory::default()));
        books.open(ledger.clone());
        ledger.refuse(true);
        for _ in 0..Books::ROOM + 3 {
            books.write(&entry("x"));
        }
        assert_eq!((books.state().waiting, books.state().dropped), (Books::ROOM, 3));
    }

    #[test]
    fn without_a_ledger_nothing_is_written_and_nothing_kept() {
        let books = Books::default();
        books.write(&entry("a"));
        assert_eq!(books.state(), State::default());
    }
}
