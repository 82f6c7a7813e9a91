//! What every owner of budgets and limits has used and holds: in memory, shared by all requests.
//!
//! A request holds what it is expected to use of all its owners or of none ([`Meters::hold`]), and counts what it used
//! when that is known. A hold that is dropped is given back: no way out of a request can leave one behind. Meters outlive
//! configurations; their quotas are changed in place. Nothing here waits for anything but a lock of nanoseconds, and
//! nothing here is written down: that is the ledger's ([`super::ledger`]).

mod sharing;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use govern::allowance::{Allowance, Consumption, Denied, Fit, Measure};
use govern::meter::Level;
use govern::window::Window;

use self::sharing::Sharing;
pub use self::sharing::Wake;
use super::entry::Entry;
use super::estimate::Learned;
use crate::config::governance::{Owner, Quotas};
use crate::telemetry::events::{Event, emit};

/// The meters of all owners that have budgets or limits.
#[derive(Debug)]
pub struct Meters {
    /// What requests are expected to write.
    pub learned: Learned,
    shards: Box<[Shard]>,
    hasher: RandomState,
    /// Other nodes use of them too.
    sharing: OnceLock<Sharing>,
}

type Shard = RwLock<HashMap<Owner, Arc<Seat>>>;

/// One owner's.
#[derive(Debug)]
struct Seat {
    owner: Owner,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    allowance: Allowance,
    /// What a store remembers, until somebody says what the quotas are.
    past: Vec<(u64, Consumption)>,
    /// Who leases looks at it again and again.
    followed: bool,
    /// Who leases was told, and has not looked yet.
    woken: bool,
    /// It was said that something is used up.
    said: bool,
}

/// Who refuses, and why. Nothing is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub owner: Owner,
    pub denied: Denied,
}

/// How one quota of an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub measure: Measure,
    pub window: Window,
    pub level: Level,
}

/// What one request holds of its owners; given back when dropped.
#[derive(Debug, Default)]
pub struct Hold {
    seats: Vec<Arc<Seat>>,
    expected: Consumption,
    fit: Fit,
    since_ms: u64,
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Default for Meters {
    fn default() -> Self {
        let shards = (0..Self::SHARDS).map(|_| Shard::default()).collect();
        let (learned, sharing) = (Learned::default(), OnceLock::new());
        Self { learned, shards, hasher: RandomState::new(), sharing }
    }
}

impl Meters {
    /// Threads that look for different owners seldom meet.
    const SHARDS: usize = 64;
    /// Moments of one owner that wait for its quotas.
    const PAST: usize = 4_096;

    /// Holds `expected` of every owner that has quotas, or of none. An owner must not be named twice.
    ///
    /// # Errors
    /// The first owner that has not so much left.
    pub fn hold(
        &self,
        owners: &[(Owner, &Quotas)],
        expected: &Consumption,
        fit: Fit,
        now_ms: u64,
    ) -> Result<Hold, Refused> {
        let mut hold = Hold { seats: Vec::new(), expected: *expected, fit, since_ms: now_ms };
        for (owner, quotas) in owners.iter().filter(|(_, quotas)| !quotas.is_empty()) {
            let seat = self.seat(owner);
            let (held, news) = {
                let mut state = seat.lock();
                if state.take(quotas, now_ms) {
                    self.share_new(&mut state);
                }
                let held = state.allowance.hold(expected, fit, now_ms);
                self.wake(owner, &mut state);
                let used_up = held.as_ref().err().and_then(used_up);
                let said = std::mem::replace(&mut state.said, used_up.is_some());
                (held, used_up.filter(|_| !said))
            };
            if let Some(what) = news {
                emit(Event::BudgetUsedUp { owner: &owner.to_string(), what });
            }
            held.map_err(|denied| Refused { owner: owner.clone(), denied })?;
            hold.seats.push(seat);
        }
        Ok(hold)
    }

    /// Counts what a request used whose hold is over, or that held nothing.
    pub fn add<'o>(&self, owners: impl Iterator<Item = &'o Owner>, used: &Consumption, now_ms: u64) {
        for seat in owners.filter_map(|owner| self.find(owner)) {
            seat.lock().allowance.count(used, now_ms);
        }
    }

    /// Counts what was spent elsewhere, for owners that are known here.
    pub fn count(&self, entry: &Entry<'_>) {
        let used = entry.consumption();
        let owners = entry.owners.iter().filter_map(|owner| owner.parse().ok());
        for seat in owners.filter_map(|owner| self.find(&owner)) {
            seat.lock().allowance.learn(&used, entry.at);
        }
    }

    /// Counts what an owner had used before: moments (Unix milliseconds) and what was used then.
    pub fn restore(&self, owner: &Owner, used: &[(u64, Consumption)]) {
        let seat = self.seat(owner);
        let mut state = seat.lock();
        if state.allowance.is_unlimited() {
            let room = Self::PAST.saturating_sub(state.past.len());
            state.past.extend(used.iter().rev().take(room));
            return;
        }
        let now_ms = now_ms();
        used.iter().for_each(|(at, used)| state.allowance.restore(used, *at, now_ms));
    }

    /// How the quotas of an owner stand; empty where it has none, or nobody has used them yet.
    #[must_use]
    pub fn levels(&self, owner: &Owner, now_ms: u64) -> Vec<Standing> {
        self.with(owner, |allowance| standings(allowance, now_ms)).unwrap_or_default()
    }

    /// Does something with an owner's allowance; `None` where nobody has used it yet.
    pub fn with<T>(&self, owner: &Owner, work: impl FnOnce(&mut Allowance) -> T) -> Option<T> {
        Some(work(&mut self.find(owner)?.lock().allowance))
    }

    /// Does something with the allowance of an owner, which has these quotas from now on.
    pub fn with_quotas<T>(
        &self,
        owner: &Owner,
        quotas: &Quotas,
        work: impl FnOnce(&mut Allowance) -> T,
    ) -> T {
        let seat = self.seat(owner);
        let mut state = seat.lock();
        if state.take(quotas, now_ms()) {
            self.share_new(&mut state);
        }
        work(&mut state.allowance)
    }

    /// Looks at every owner's allowance, one after the other.
    pub fn each(&self, mut look: impl FnMut(&Owner, &mut Allowance)) {
        for shard in &self.shards {
            let seats: Vec<_> = read(shard).values().cloned().collect();
            seats.iter().for_each(|seat| look(&seat.owner, &mut seat.lock().allowance));
        }
    }

    /// Forgets owners that hold nothing and whose use does not count any more.
    pub fn sweep(&self, now_ms: u64) {
        for shard in &self.shards {
            // Who is with a request is not idle: nobody else can take one out of the map meanwhile.
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, seat| {
                let mut state = seat.lock();
                Arc::strong_count(seat) > 1 || !state.past.is_empty() || !state.allowance.is_idle(now_ms)
            });
        }
    }

    /// Owners that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).len()).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn seat(&self, owner: &Owner) -> Arc<Seat> {
        if let Some(seat) = self.find(owner) {
            return seat;
        }
        let Some(shard) = self.shard(owner) else { return Arc::new(Seat::of(owner)) };
        let mut seats = shard.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seats.entry(owner.clone()).or_insert_with(|| Arc::new(Seat::of(owner))))
    }

    fn find(&self, owner: &Owner) -> Option<Arc<Seat>> {
        read(self.shard(owner)?).get(owner).cloned()
    }

    fn shard(&self, owner: &Owner) -> Option<&Shard> {
        let at = usize::try_from(self.hasher.hash_one(owner) >> 32).unwrap_or_default() % Self::SHARDS;
        self.shards.get(at)
    }
}

impl Hold {
    /// Holds so much at least.
    ///
    /// # Errors
    /// Somebody has not so much left: what is held is what was held before.
    pub fn raise(&mut self, to: &Consumption, now_ms: u64) -> Result<(), Refused> {
        self.add(&to.beyond(&self.expected), now_ms)
    }

    /// Holds `more` than before.
    ///
    /// # Errors
    /// Somebody has not so much left: what is held is what was held before.
    pub fn add(&mut self, more: &Consumption, now_ms: u64) -> Result<(), Refused> {
        if more.is_nothing() {
            return Ok(());
        }
        let (before, after) = (self.expected, self.expected.plus(more));
        for (at, seat) in self.seats.iter().enumerate() {
            if let Err(denied) = seat.lock().allowance.rehold(&before, &after, self.fit, now_ms) {
                self.seats.iter().take(at).for_each(|seat| seat.lock().allowance.put(&after, &before));
                return Err(Refused { owner: seat.owner.clone(), denied });
            }
        }
        self.expected = after;
        Ok(())
    }

    /// Gives back `less` of it.
    pub fn lessen(&mut self, less: &Consumption) {
        let (before, after) = (self.expected, self.expected.beyond(less));
        self.seats.iter().for_each(|seat| seat.lock().allowance.put(&before, &after));
        self.expected = after;
    }

    /// Counts what was used while the request goes on.
    pub fn count(&self, used: &Consumption, now_ms: u64) {
        self.seats.iter().for_each(|seat| seat.lock().allowance.count(used, now_ms));
    }

    /// The request is over and used this, beside what was counted before. That it was one was counted when it began.
    pub fn settle(self, used: &Consumption) {
        self.settle_at(used, now_ms());
    }

    /// The same, at `now_ms`.
    pub fn settle_at(mut self, used: &Consumption, now_ms: u64) {
        for seat in self.seats.drain(..) {
            seat.lock().allowance.settle(&self.expected, used, now_ms);
        }
    }

    /// What is held.
    #[must_use]
    pub fn expected(&self) -> Consumption {
        self.expected
    }

    /// Nobody has quotas.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// How the quotas stand of all owners that something is held of.
    pub fn levels(&self, now_ms: u64) -> impl Iterator<Item = (&Owner, Vec<Standing>)> {
        self.seats.iter().map(move |seat| (&seat.owner, standings(&mut seat.lock().allowance, now_ms)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.seats.is_empty() {
            return;
        }
        let now_ms = now_ms();
        for seat in self.seats.drain(..) {
            seat.lock().allowance.release(&self.expected, self.since_ms, now_ms);
        }
    }
}

impl Seat {
    fn of(owner: &Owner) -> Self {
        Self { owner: owner.clone(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// These are the quotas from now on. Whether they were others before.
    fn take(&mut self, quotas: &Quotas, now_ms: u64) -> bool {
        if self.allowance.is(&quotas.list, quotas.concurrency) {
            return false;
        }
        self.allowance.change(&quotas.list, quotas.concurrency);
        for (at, used) in std::mem::take(&mut self.past) {
            self.allowance.restore(&used, at, now_ms);
        }
        true
    }
}

/// What nothing is left of: a refusal of more than is left is none of that.
fn used_up(denied: &Denied) -> Option<&'static str> {
    let Denied::Quota { quota, refusal } = denied else { return None };
    (refusal.used >= refusal.max).then_some(match quota.measure {
        Measure::Cost => "budget",
        Measure::Requests => "limit of requests",
        Measure::InputTokens => "limit of input tokens",
        Measure::OutputTokens => "limit of output tokens",
        Measure::Tokens => "limit of tokens",
    })
}

fn standings(allowance: &mut Allowance, now_ms: u64) -> Vec<Standing> {
    let levels = allowance.levels(now_ms);
    levels.map(|(measure, window, level)| Standing { measure, window, level }).collect()
}

fn read(shard: &Shard) -> std::sync::RwLockReadGuard<'_, HashMap<Owner, Arc<Seat>>> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
