//! Equal requests under way at once: one asks, the others get its answer as it comes.
//!
//! A flight is known by what was asked and how it may be answered. The first is its [`Lead`] and goes the usual way; what its
//! provider sends is noted here, unread. A [`Follower`] reads it, for all of them, from the first byte on. A lead that fails hands
//! over to one follower, which asks anew; a lead whose caller left is read to its end for the others. When the answer is complete
//! it lands: it is put together on the cache's own thread, and until it is in memory whoever asks the same finds it
//! here. Must not know sessions, nor who may ask.

mod lead;
mod log;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use govern::verdict::FaultClass;
use tokio::sync::watch;
use translate::ir::{Event, Failure};

pub use lead::{Landing, Lead, Watched};
pub(in crate::cache) use log::complete;
pub use log::{Form, Provided};

use self::log::Log;
use super::entry::EntryId;
use super::found::Landed;

/// Leads of a flight that may fail at a provider; then its followers fail as the last one did.
const MOST_LEADS: u32 = 3;

/// What tells a flight from others: the request in its space, and in which ways it may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlightKey {
    pub id: EntryId,
    /// The threshold, as bits, where the request may be answered by what means the same.
    pub threshold: Option<u32>,
}

/// All flights.
#[derive(Default)]
pub struct Flights {
    map: Mutex<HashMap<FlightKey, Arc<Flight>>>,
    /// Bytes of answers that are noted and have not landed.
    held: Arc<AtomicUsize>,
}

/// What became of somebody who asks.
pub enum Joined {
    /// Nobody asks the same: go on, and tell.
    Lead(Lead),
    /// Somebody does.
    Follow(Follower),
}

/// How a flight failed, for those who follow it.
#[derive(Debug, Clone)]
pub struct Broken {
    pub class: FaultClass,
    pub failure: Failure,
    pub retry_after_ms: Option<u64>,
}

/// One flight.
pub struct Flight {
    key: FlightKey,
    state: Mutex<State>,
    news: watch::Sender<u64>,
    held: Arc<AtomicUsize>,
    /// Bytes that are noted of all flights together.
    most: usize,
}

#[derive(Default)]
struct State {
    /// Leads so far: the number of the present one.
    leads: u32,
    /// Somebody asks, or the answer is about to land.
    led: bool,
    /// Leads that failed at a provider.
    failed: u32,
    /// Why the last one did.
    broken: Option<Arc<Broken>>,
    followers: usize,
    /// The answer is complete.
    complete: bool,
    log: Log,
    end: Option<End>,
}

#[derive(Clone)]
enum End {
    Landed(Arc<Landed>),
    Failed(Arc<Broken>),
    /// There is nothing to be had of it: everybody asks alone.
    Alone,
}

/// Somebody who follows.
pub struct Follower {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    news: watch::Receiver<u64>,
    /// Wants the answer as it comes.
    streams: bool,
    /// It came when the answer was complete.
    late: bool,
    /// Events that it has.
    at: usize,
    /// Of which lead.
    lead: u32,
}

/// What there is for a follower.
pub enum Look {
    /// Nothing new.
    Wait,
    /// More of the answer.
    Events(Vec<Event>),
    /// All of it. Who had events had all of them.
    Landed(Arc<Landed>),
    /// Nobody leads any more: it is its turn.
    Lead(Lead),
    /// What it had of an answer broke, or nobody will answer.
    Failed(Arc<Broken>),
    /// It asks alone.
    Alone,
}

impl Flights {
    /// Joins the flight of `key`, or begins one. `follows`: waits for an answer that has not landed. `most`: bytes that may
    /// be noted of all flights.
    pub fn join(self: &Arc<Self>, key: FlightKey, (follows, streams): (bool, bool), most: usize) -> Joined {
        let mut map = self.lock();
        let fresh = || Arc::new(Flight::new(key, Arc::clone(&self.held), most));
        match map.entry(key) {
            Entry::Occupied(mut found) => {
                let flight = Arc::clone(found.get());
                let mut state = flight.lock();
                let late = match &state.end {
                    // What is not kept is for those who waited when it came.
                    Some(End::Landed(landed)) => landed.is_kept(),
                    Some(_) => false,
                    None => state.complete,
                };
                if late || (follows && state.end.is_none()) {
                    state.followers += 1;
                    drop(state);
                    return Joined::Follow(Follower::of(self, flight, (streams, late)));
                }
                if state.end.is_none() {
                    // Nobody is to follow this one, and the other goes on.
                    drop(state);
                    return Joined::Lead(Lead::of(self, fresh()));
                }
                drop(state);
                let flight = fresh();
                found.insert(Arc::clone(&flight));
                Joined::Lead(Lead::of(self, flight))
            }
            Entry::Vacant(place) => {
                let flight = Arc::clone(place.insert(fresh()));
                Joined::Lead(Lead::of(self, flight))
            }
        }
    }

    /// Flights that have not landed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of answers that are noted and have not landed.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlightKey, Arc<Flight>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody finds it any more.
    fn close(&self, flight: &Arc<Flight>) {
        remove(&mut self.lock(), flight);
    }
}

fn remove(map: &mut HashMap<FlightKey, Arc<Flight>>, flight: &Arc<Flight>) {
    // Another may have its place.
    if map.get(&flight.key).is_some_and(|found| Arc::ptr_eq(found, flight)) {
        map.remove(&flight.key);
    }
}

impl Flight {
    fn new(key: FlightKey, held: Arc<AtomicUsize>, most: usize) -> Self {
        let state = State { leads: 1, led: true, ..State::default() };
        Self { key, state: Mutex::new(state), news: watch::Sender::new(0), held, most }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Notes so many more bytes. False: there is no room.
    fn takes(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.most;
        if !fits {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// What was noted is needed no more.
    fn clear(&self, log: &mut Log) {
        self.held.fetch_sub(log.noted(), Ordering::Relaxed);
        *log = Log::default();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let noted = self.lock().log.noted();
        self.held.fetch_sub(noted, Ordering::Relaxed);
    }
}

impl Follower {
    fn of(flights: &Arc<Flights>, flight: Arc<Flight>, (streams, late): (bool, bool)) -> Self {
        let news = flight.news.subscribe();
        Self { flights: Arc::clone(flights), flight, news, streams, late, at: 0, lead: 0 }
    }

    /// It has some of the answer.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.at > 0
    }

    /// Waits until there may be something new.
    pub async fn news(&mut self) {
        // The flight is held here: its sender lives as long.
        let _ = self.news.changed().await;
    }

    /// What there is now.
    pub fn look(&mut self) -> Look {
        self.news.borrow_and_update();
        let flight = Arc::clone(&self.flight);
        let mut state = flight.lock();
        if self.at > 0 && self.lead != state.leads {
            return Look::Failed(state.broken.clone().unwrap_or_else(lost));
        }
        if let Some(end) = state.end.clone() {
            return self.ended(&mut state, end);
        }
        if !state.led {
            return match self.at {
                0 => {
                    state.led = true;
                    state.leads = state.leads.wrapping_add(1);
                    flight.clear(&mut state.log);
                    drop(state);
                    Look::Lead(Lead::of(&self.flights, Arc::clone(&self.flight)))
                }
                _ => Look::Failed(state.broken.clone().unwrap_or_else(lost)),
            };
        }
        self.more(&mut state).map_or(Look::Wait, Look::Events)
    }

    fn ended(&mut self, state: &mut State, end: End) -> Look {
        match end {
            End::Landed(landed) => match self.at {
                // What is not kept is for those who waited when it came.
                0 if self.late && !landed.is_kept() => Look::Alone,
                0 if self.late => Look::Landed(landed.again()),
                0 => Look::Landed(landed),
                _ => self.more(state).map_or(Look::Landed(landed), Look::Events),
            },
            End::Failed(broken) => Look::Failed(broken),
            End::Alone if self.at > 0 => Look::Failed(state.broken.clone().unwrap_or_else(lost)),
            End::Alone => Look::Alone,
        }
    }

    /// Events that it has not had.
    fn more(&mut self, state: &mut State) -> Option<Vec<Event>> {
        if !self.streams || self.late {
            return None;
        }
        let events = state.log.events(self.at)?;
        self.at += events.len();
        self.lead = state.leads;
        Some(events)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut map = self.flights.lock();
        let mut state = self.flight.lock();
        state.followers = state.followers.saturating_sub(1);
        if state.followers == 0 && !state.led && state.end.is_none() {
            // Nobody asks, and nobody waits.
            state.end = Some(End::Alone);
            drop(state);
            remove(&mut map, &self.flight);
        }
    }
}

/// What a follower is told whose answer broke for no reason of its own.
fn lost() -> Arc<Broken> {
    Arc::new(Broken {
        class: FaultClass::BadAnswer,
        failure: Failure {
            status: 502,
            kind: translate::ir::FailureKind::Upstream,
            message: "the answer that this request shared with an equal one broke off".to_owned(),
            native_type: None,
            code: None,
            param: None,
        },
        retry_after_ms: None,
    })
}
