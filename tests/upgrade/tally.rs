//! What came of every request, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::gateway::Scheme;

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn raise(&self, to: u64) {
        self.0.fetch_max(to, Ordering::Relaxed);
    }

    pub fn sub(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    /// Streams whose first word has come and whose end has not.
    pub open: Count,
    /// Streams read to their end, every word once.
    pub streams: Count,
    pub broken_streams: Count,
    /// Streams that were open when the last process was told to end.
    pub open_at_end: Count,
    pub fresh: Count,
    pub kept_alive: Count,
    pub h2c: Count,
    pub https: Count,
    pub failed: Count,
    /// Kept-alive connections that were closed while idle, before a request was sent on them.
    pub closed_idle: Count,
    /// Answers that announced the end of their connection.
    pub told_to_close: Count,
    /// The longest the callers themselves were late.
    pub lag_millis: Count,
    generation: AtomicU64,
    /// Generation of the connection of each stream, and when the last of them ended.
    ends: Mutex<BTreeMap<u64, Instant>>,
    reasons: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    pub fn answered(&self, scheme: Scheme) -> &Count {
        match scheme {
            Scheme::Fresh => &self.fresh,
            Scheme::KeptAlive => &self.kept_alive,
            Scheme::H2c => &self.h2c,
            Scheme::Https => &self.https,
        }
    }

    /// Answers of the loop that has the fewest.
    pub fn least_answered(&self) -> u64 {
        [&self.fresh, &self.kept_alive, &self.h2c, &self.https].map(Count::get).into_iter().min().unwrap_or(0)
    }

    pub fn fail(&self, what: &str, why: &str) {
        self.failed.add();
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        *reasons.entry(format!("{what}: {why}")).or_default() += 1;
    }

    pub fn has_failed(&self) -> bool {
        self.failed.get() > 0
    }

    pub fn reasons(&self) -> String {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.iter().map(|(why, times)| format!("{times} × {why}")).collect::<Vec<_>>().join("\n")
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Begins a generation; gives its number.
    pub fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn stream_ended(&self, generation: u64) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.insert(generation, Instant::now());
    }

    pub fn last_end_before(&self, generation: u64) -> Option<Instant> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.range(..generation).map(|(_, at)| *at).max()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} streams whole ({} of them open at the end), {} broken; {} requests on fresh connections, {} on kept-alive ones, {} over HTTP/2, \
             {} over TLS; {} failed; {} connections closed while idle, {} announced; callers \
             late by {} ms at most",
            self.streams.get(),
            self.open_at_end.get(),
            self.broken_streams.get(),
            self.fresh.get(),
            self.kept_alive.get(),
            self.h2c.get(),
            self.https.get(),
            self.failed.get(),
            self.closed_idle.get(),
            self.told_to_close.get(),
            self.lag_millis.get(),
        )
    }
}
