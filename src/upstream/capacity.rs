//! Places at providers: how many requests are open, and who waits for one.
//!
//! The decisions are `govern::queue`'s; this file holds a lock around them for as long as they take, wakes those who
//! start, and makes sure that every place comes back: a [`Slot`] gives its place back when it is dropped, a
//! [`Waiting`] leaves the queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use govern::queue::{Ask, Ended, Limits, Next, Place, Refused, Room};
use tokio::sync::oneshot;

use crate::config::snapshot::{Key, Snapshot};

/// The places of all providers, kept over reloads.
#[derive(Debug)]
pub struct Capacity {
    epoch: Instant,
    gates: RwLock<HashMap<Arc<str>, Arc<Gate>>>,
}

/// The places of one provider.
#[derive(Debug)]
pub struct Gate {
    epoch: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    room: Room,
    /// Those of the configuration in force: who waits starts by them, whatever the request had that makes room.
    limits: Option<Limits>,
    sleepers: HashMap<u64, oneshot::Sender<Slot>>,
}

/// One open request, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    gate: Arc<Gate>,
    place: Place,
    ended: Ended,
}

/// A request that waits for a place. Dropped, it no longer does.
#[derive(Debug)]
pub struct Waiting {
    gate: Arc<Gate>,
    number: u64,
    ask: Ask,
    until: Instant,
    woken: oneshot::Receiver<Slot>,
}

/// Which of a provider's keys have a free place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Free {
    Everywhere,
    Nowhere,
    /// By index of the key.
    At(Vec<bool>),
}

/// How many are where, for `/health` and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    pub provider: Arc<str>,
    pub open: u32,
    pub waiting: u32,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { epoch: Instant::now(), gates: RwLock::default() }
    }
}

impl Capacity {
    /// The gate of a provider.
    #[must_use]
    pub fn gate(&self, provider: &Arc<str>) -> Arc<Gate> {
        if let Some(found) = self.gates.read().unwrap_or_else(PoisonError::into_inner).get(provider) {
            return Arc::clone(found);
        }
        let mut gates = self.gates.write().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(Arc::clone(provider)).or_insert_with(|| Arc::new(Gate::new(self.epoch)));
        Arc::clone(gate)
    }

    /// The limits of this configuration are in force: whom they let in of those who wait starts now.
    pub fn follow(&self, snapshot: &Snapshot) {
        for provider in &snapshot.providers {
            self.gate(&provider.name).follow(&provider.places);
        }
    }

    /// Every provider that has a gate, by name.
    #[must_use]
    pub fn crowds(&self) -> Vec<Crowd> {
        let gates = self.gates.read().unwrap_or_else(PoisonError::into_inner);
        let crowd = |(provider, gate): (&Arc<str>, &Arc<Gate>)| {
            let state = gate.lock();
            let provider = Arc::clone(provider);
            Crowd { provider, open: state.room.open(), waiting: state.room.waiting() }
        };
        let mut crowds: Vec<Crowd> = gates.iter().map(crowd).collect();
        crowds.sort_by(|a, b| a.provider.cmp(&b.provider));
        crowds
    }
}

/// The target of a key and a model, as places count them.
#[must_use]
pub fn target(key: &Key, model: &str) -> u64 {
    let bytes = key.known_as.bytes().chain(std::iter::once(0)).chain(model.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Gate {
    fn new(epoch: Instant) -> Self {
        let state = State { room: Room::default(), limits: None, sleepers: HashMap::new() };
        Self { epoch, state: Mutex::new(state) }
    }

    fn follow(self: &Arc<Self>, limits: &Limits) {
        let mut state = self.lock();
        state.limits = Some(*limits);
        self.wake(state);
    }

    /// A place for a request of `tenant` at this target, if it need not wait. `None`: no target's limit concerns it.
    #[must_use]
    pub fn take(self: &Arc<Self>, limits: &Limits, tenant: u64, target: Option<u64>) -> Option<Slot> {
        let mut state = self.lock();
        state.limits.get_or_insert(*limits);
        let place = state.room.take(limits, tenant, target, self.now_ms());
        drop(state);
        place.map(|place| self.slot(place))
    }

    /// Which of these keys have a free place for the model.
    #[must_use]
    pub fn free(&self, limits: &Limits, keys: &[Arc<Key>], model: &str) -> Free {
        let state = self.lock();
        match (state.room.is_free(limits, None), limits.by_target()) {
            (false, _) => Free::Nowhere,
            (true, false) => Free::Everywhere,
            (true, true) => Free::At(
                keys.iter().map(|key| state.room.is_free(limits, Some(target(key, model)))).collect(),
            ),
        }
    }

    /// How many requests may be open at a target now.
    #[must_use]
    pub fn limit_of(&self, limits: &Limits, target: u64) -> u32 {
        self.lock().room.limit_of(limits, target)
    }

    /// How long a request would wait that came now, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self, limits: &Limits, ask: &Ask) -> u64 {
        self.lock().room.wait_ms(limits, ask, self.now_ms())
    }

    /// Begins to wait, until the moment given (`ask.until_ms` is set from it).
    ///
    /// # Errors
    /// The queue is full, or the request could not start in time.
    pub fn wait(self: &Arc<Self>, limits: &Limits, mut ask: Ask, until: Instant) -> Result<Waiting, Refused> {
        ask.until_ms = millis(until.saturating_duration_since(self.epoch));
        let (sender, woken) = oneshot::channel();
        let now_ms = self.now_ms();
        let mut state = self.lock();
        state.limits.get_or_insert(*limits);
        let number = state.room.enter(limits, ask.clone(), now_ms)?;
        state.sleepers.insert(number, sender);
        // A place may have come free since it was looked for.
        self.wake(state);
        Ok(Waiting { gate: Arc::clone(self), number, ask, until, woken })
    }

    /// Lets start who can. In the same breath as what made room: nobody who comes now gets in between.
    fn wake(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let Some(limits) = state.limits else { return };
        let mut woken = Vec::new();
        while let Some(next) = state.room.next(&limits, self.now_ms()) {
            let (entry, slot) = match next {
                Next::Starts { entry, place } => (entry, Some(self.slot(place))),
                Next::Expired { entry } => (entry, None),
            };
            woken.push((state.sleepers.remove(&entry), slot));
        }
        // Without the lock: a slot that nobody takes gives its place back, which needs it.
        drop(state);
        for (sleeper, slot) in woken {
            if let (Some(sleeper), Some(slot)) = (sleeper, slot) {
                drop(sleeper.send(slot));
            }
        }
    }

    fn slot(self: &Arc<Self>, place: Place) -> Slot {
        Slot { gate: Arc::clone(self), place, ended: Ended::Otherwise }
    }

    fn now_ms(&self) -> u64 {
        millis(self.epoch.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Gives the place back, and tells how the request ended.
    pub fn end(mut self, ended: Ended) {
        self.ended = ended;
    }

    /// The target it counts at.
    #[must_use]
    pub fn target(&self) -> Option<u64> {
        self.place.target
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let now_ms = self.gate.now_ms();
        let mut state = self.gate.lock();
        let Some(limits) = state.limits else { return };
        state.room.done(&limits, self.place, self.ended, now_ms);
        if state.room.waiting() > 0 {
            self.gate.wake(state);
        }
    }
}

impl Waiting {
    /// Waits for a place.
    ///
    /// # Errors
    /// None came in time: how long one would have to wait now, in milliseconds.
    pub async fn place(mut self) -> Result<Slot, u64> {
        let woken = tokio::time::timeout_at(self.until.into(), &mut self.woken).await;
        // It may have come in the very moment that the time was over.
        let slot = woken.ok().and_then(Result::ok).or_else(|| self.woken.try_recv().ok());
        slot.ok_or_else(|| {
            let limits = self.gate.lock().limits;
            limits.map_or(0, |limits| self.gate.wait_ms(&limits, &self.ask))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.sleepers.remove(&self.number);
        state.room.leave(self.ask.class, self.ask.tenant, self.number);
    }
}

impl Free {
    /// The key of this index has one.
    #[must_use]
    pub fn at(&self, index: usize) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Nowhere => false,
            Self::At(keys) => keys.get(index).copied().unwrap_or(true),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
