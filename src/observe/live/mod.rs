//! What happens now, for whoever watches: finished requests, those under way, each second in numbers, health,
//! configurations.
//!
//! Requests pay one atomic load while nobody listens. While somebody does, the observer's thread makes the events and gives
//! each listener four batches a second; a listener that is slow loses some and is told how many. No more than a few
//! thousand rows are kept for those who come back.

mod client;
mod filter;
mod flight;
mod health;
mod kept;
mod pulse;
mod row;
mod topic;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;
use tokio::sync::mpsc;

pub use self::client::Seen;
use self::client::{Client, WAITING};
pub use self::filter::{Filter, Wrong};
use self::flight::Flights;
pub use self::flight::{Step, StepKind};
use self::health::Health;
use self::kept::Ring;
use self::pulse::Pulse;
use self::row::Row;
pub use self::topic::{Topic, Topics};
use crate::config::ConfigHolder;
use crate::observe::Listener;
use crate::telemetry::record::Record;
use crate::upstream::health::Registry;

/// Listeners at once.
const MOST: usize = 32;
/// Steps of requests under way that may wait for the observer.
const STEPS: usize = 4_096;
/// Between two batches.
const BATCH_MS: u64 = 250;
const SECOND_MS: u64 = 1_000;
/// Rows are kept for so long after the last listener left: it may come back for them.
const GRACE: Duration = Duration::from_secs(30);

/// Where listeners come in, and where requests leave what is asked for.
#[derive(Debug)]
pub struct Hub {
    /// Topics that somebody listens to, as bits.
    wanted: AtomicU8,
    steps: ArrayQueue<Box<Step>>,
    joining: Mutex<Vec<Client>>,
    clients: AtomicUsize,
    closed: AtomicBool,
    /// Tells events of this process from those of one before it.
    pub boot: u64,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            wanted: AtomicU8::new(0),
            steps: ArrayQueue::new(STEPS),
            joining: Mutex::default(),
            clients: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            boot: crate::telemetry::clock::now_ms(),
        }
    }
}

/// Why somebody cannot listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("{MOST} already listen: no more can")]
    Full,
    #[error("the gateway ends")]
    Ending,
}

/// What a listener wants.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub topics: Topics,
    pub filter: Filter,
    /// The last event that it had.
    pub since: Option<Seen>,
}

/// One listener's events, as they are written. Who drops it has left.
#[derive(Debug)]
pub struct Events {
    pub from: mpsc::Receiver<Bytes>,
    hub: Arc<Hub>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.hub.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// Somebody listens to this.
    #[must_use]
    pub fn wants(&self, topic: Topic) -> bool {
        Topics(self.wanted.load(Ordering::Relaxed)).has(topic)
    }

    /// A request under way has got further. Never waits; only worth calling when somebody listens.
    pub fn stepped(&self, step: Step) {
        // What is lost is put right by the next step of the request, or by its end.
        let _ = self.steps.push(Box::new(step));
    }

    /// Those who listen.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// One more listener.
    ///
    /// # Errors
    /// There are too many, or the process ends.
    pub fn listen(self: &Arc<Self>, wish: Wish) -> Result<Events, Closed> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Closed::Ending);
        }
        if self.clients.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.clients.fetch_sub(1, Ordering::Relaxed);
            return Err(Closed::Full);
        }
        let (to, from) = mpsc::channel(WAITING);
        let mut joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        // Both under the lock: the observer takes bits back only while nobody comes.
        self.wanted.fetch_or(wish.topics.0, Ordering::Relaxed);
        joining.push(Client::new(wish, to));
        drop(joining);
        Ok(Events { from, hub: Arc::clone(self) })
    }

    /// The process ends: who listens is told so and let go, and nobody is let in.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// Makes the events.
pub struct Live {
    hub: Arc<Hub>,
    config: Arc<ConfigHolder>,
    clients: Vec<Client>,
    ring: Ring,
    flights: Flights,
    pulse: Pulse,
    health: Health,
    /// Of the configuration and its reloads, as they were told last.
    told_config: (u64, u64),
    /// Requests under way at all.
    in_flight: Box<dyn Fn() -> i64 + Send>,
    next_batch_ms: u64,
    next_second_ms: u64,
    /// When the last listener was there.
    listened: Option<Instant>,
}

impl Live {
    #[must_use]
    pub fn new(
        hub: &Arc<Hub>,
        config: &Arc<ConfigHolder>,
        health: &Arc<Registry>,
        in_flight: impl Fn() -> i64 + Send + 'static,
    ) -> Self {
        Self {
            hub: Arc::clone(hub),
            config: Arc::clone(config),
            clients: Vec::new(),
            ring: Ring::new(hub.boot),
            flights: Flights::default(),
            pulse: Pulse::default(),
            health: Health::new(health),
            told_config: (0, 0),
            in_flight: Box::new(in_flight),
            next_batch_ms: 0,
            next_second_ms: 0,
            listened: None,
        }
    }

    /// Lets those in who came, with what they missed.
    fn welcome(&mut self) {
        let joining = std::mem::take(&mut *self.hub.joining.lock().unwrap_or_else(PoisonError::into_inner));
        if joining.is_empty() {
            return;
        }
        if self.clients.is_empty() && self.listened.is_none_or(|at| at.elapsed() > GRACE) {
            // Nobody saw what changed meanwhile.
            self.health.look(&self.config.load_full());
            self.told_config = self.config_state();
        }
        for mut client in joining {
            client.greet(&self.ring);
            client.flying(&self.flights);
            self.clients.push(client);
        }
    }

    fn note(&mut self, records: &[Arc<Record>]) {
        for record in records {
            let row = Row::of(record);
            self.flights.ended(&row.id);
            self.pulse.count(&row);
            self.ring.push_row(row);
        }
        while let Some(step) = self.hub.steps.pop() {
            self.flights.step(*step);
        }
    }

    fn second(&mut self, now_ms: u64) {
        self.flights.expire(now_ms);
        let snapshot = self.config.load_full();
        if let Some(changes) = self.health.changes(&snapshot) {
            self.ring.push_note(Topic::Health, &changes);
        }
        let state = self.config_state();
        if state != self.told_config {
            let failed = state.1 != self.told_config.1;
            self.told_config = state;
            let error = self.config.status().last_error.filter(|_| failed);
            let told = serde_json::json!({"time": now_ms, "revision": state.0, "warnings": snapshot.warnings.len(), "error": error});
            self.ring.push_note(Topic::Config, &told);
        }
        let under_way = (self.in_flight)().saturating_sub(i64::try_from(self.hub.clients()).unwrap_or(0));
        let numbers = self.pulse.take(now_ms, under_way);
        for client in &mut self.clients {
            client.say(Topic::Metrics, &numbers);
        }
    }

    fn config_state(&self) -> (u64, u64) {
        (self.config.load_full().version, self.config.status().reloads_failed)
    }

    fn batch(&mut self) {
        let moved = self.flights.take_moved();
        for client in &mut self.clients {
            client.rows(&self.ring);
            client.moved(&moved, &self.flights);
        }
        self.clients.retain(|client| !client.is_gone());
        let wanted = self.clients.iter().fold(Topics::default(), |all, client| all.and(client.topics()));
        if !self.clients.is_empty() {
            self.listened = Some(Instant::now());
        }
        let forgotten = self.listened.is_none_or(|at| at.elapsed() > GRACE);
        let kept = if forgotten { Topics::default() } else { Topics::of(&[Topic::Request]) };
        let joining = self.hub.joining.lock().unwrap_or_else(PoisonError::into_inner);
        if joining.is_empty() {
            self.hub.wanted.store(wanted.and(kept).0, Ordering::Relaxed);
        }
        drop(joining);
        if forgotten && self.clients.is_empty() {
            self.ring.forget();
            self.flights = Flights::default();
            while self.hub.steps.pop().is_some() {}
        }
    }
}

impl Listener for Live {
    fn told(&mut self, records: &[Arc<Record>], now_ms: u64) {
        if self.hub.wanted.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.welcome();
        self.note(records);
        if self.hub.closed.load(Ordering::Relaxed) {
            self.clients.iter_mut().for_each(|client| client.bye("the gateway ends"));
            self.clients.clear();
            self.hub.wanted.store(0, Ordering::Relaxed);
            return;
        }
        if now_ms >= self.next_second_ms {
            self.next_second_ms = (now_ms / SECOND_MS + 1) * SECOND_MS;
            self.second(now_ms);
        }
        if now_ms >= self.next_batch_ms {
            self.next_batch_ms = now_ms + BATCH_MS;
            self.batch();
        }
    }
}

#[cfg(test)]
mod tests;
