//! What hedging learns and may spend, shared by all requests: the clock and the locks around [`govern::hedge`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use govern::hedge::{Budget, Spend, Times};

/// Second attempts start when this part of the recent answers had come, per thousand.
const SLOW: u32 = 950;

/// Provider, model, and whether the answers are streams.
type Name = (Arc<str>, Arc<str>, bool);

/// Times per provider and model, and the spend on attempts that lost.
#[derive(Debug)]
pub struct Hedging {
    epoch: Instant,
    times: RwLock<HashMap<Name, Arc<Mutex<Times>>>>,
    budget: Arc<Mutex<Budget>>,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { epoch: Instant::now(), times: RwLock::default(), budget: Arc::default() }
    }
}

impl Hedging {
    /// Callers can name any model: memory must not follow them.
    const NAMES: usize = 4096;

    /// The time that 95 % of the recent answers of `name` stayed within, to the first token of a stream or to the end
    /// of a whole answer; `None` when too few are known.
    #[must_use]
    pub fn slow(&self, name: &Name) -> Option<Duration> {
        let times = self.times.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()?;
        let within = lock(&times).within(SLOW, self.now_ms());
        within.map(Duration::from_micros)
    }

    /// An answer of `name` took `time`, or was given up after it.
    pub fn took(&self, name: Name, time: Duration) {
        let now_ms = self.now_ms();
        let known = self.times.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        let times = known.or_else(|| {
            let mut all = self.times.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= Self::NAMES && !all.contains_key(&name) {
                return None;
            }
            Some(Arc::clone(all.entry(name).or_insert_with(|| Arc::new(Mutex::new(Times::new(now_ms))))))
        });
        if let Some(times) = times {
            lock(&times).add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), now_ms);
        }
    }

    /// An answer cost this.
    pub fn spent(&self, spend: Spend) {
        lock(&self.budget).spent(spend, self.now_ms());
    }

    /// Leave to spend `expected` on a second attempt, while losers may take `permille` of all spend.
    #[must_use]
    pub fn begin(&self, expected: Spend, permille: u32) -> Option<Leave> {
        let allowed = lock(&self.budget).begin(expected, permille, self.now_ms());
        allowed.then(|| Leave { budget: Arc::clone(&self.budget), epoch: self.epoch, expected, lost: None })
    }

    fn now_ms(&self) -> u64 {
        millis(self.epoch)
    }
}

/// What was set aside for a second attempt, until it is dropped.
#[derive(Debug)]
pub struct Leave {
    budget: Arc<Mutex<Budget>>,
    epoch: Instant,
    expected: Spend,
    lost: Option<Spend>,
}

impl Leave {
    /// One of the two attempts lost, and cost this.
    pub fn lost(mut self, spend: Spend) {
        self.lost = Some(spend);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        lock(&self.budget).end(self.expected, self.lost, millis(self.epoch));
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
