//! The one that asks: notes what comes, and says how it ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::log::{Form, Log};
use super::{Broken, End, Flight, Flights, MOST_LEADS, remove};
use crate::cache::found::Landed;

/// Asks for a flight. Dropped without a word it has failed.
pub struct Lead {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    /// It said how it ended, or left the flight.
    over: bool,
}

/// An answer on its way to memory.
pub struct Landing {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    done: bool,
}

impl Lead {
    pub(super) fn of(flights: &Arc<Flights>, flight: Arc<Flight>) -> Self {
        Self { flights: Arc::clone(flights), flight, over: false }
    }

    /// Its answer begins; what came of another attempt was none.
    pub fn begins(&self, form: Form) {
        if self.over {
            return;
        }
        let mut state = self.flight.lock();
        let begun = state.log.was_seen();
        self.flight.clear(&mut state.log);
        state.log = Log::of(form);
        if begun {
            // Whoever had some of it cannot go on with this one.
            state.leads = state.leads.wrapping_add(1);
        }
    }

    /// A piece of the provider's stream. `seen`: its caller has the first token, so the others may.
    pub fn came(&mut self, piece: &[u8], seen: bool) {
        if self.over {
            return;
        }
        let followed = {
            let mut state = self.flight.lock();
            if !self.flight.takes(piece.len()) {
                drop(state);
                return self.leave();
            }
            state.log.push(piece, seen);
            state.followers > 0
        };
        if followed && seen {
            self.flight.tell();
        }
    }

    /// All of an answer that came in one piece.
    pub fn whole(&mut self, body: Bytes) {
        if self.over {
            return;
        }
        let mut state = self.flight.lock();
        if !self.flight.takes(body.len()) {
            drop(state);
            return self.leave();
        }
        state.log.fill(body);
    }

    /// Somebody waits for it.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        !self.over && self.flight.lock().followers > 0
    }

    /// For whoever is to know later whether somebody waits.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched { flights: Arc::clone(&self.flights), flight: Arc::clone(&self.flight) }
    }

    /// The answer is complete: how it is to be read, and its bytes. `None`: nothing was noted.
    pub fn lands(&mut self) -> Option<(Form, Bytes, Landing)> {
        if self.over {
            return None;
        }
        let taken = {
            let mut state = self.flight.lock();
            state.complete = true;
            state.log.taken()
        };
        let Some((form, bytes)) = taken else {
            self.leave();
            return None;
        };
        self.over = true;
        let landing =
            Landing { flights: Arc::clone(&self.flights), flight: Arc::clone(&self.flight), done: false };
        Some((form, bytes, landing))
    }

    /// The answer was found elsewhere, where it stays.
    pub fn found(&mut self, landed: Arc<Landed>) {
        if !std::mem::replace(&mut self.over, true) {
            self.end(End::Landed(landed));
        }
    }

    /// It failed. `None`: not at a provider. One of those who wait asks instead.
    pub fn fails(&mut self, broken: Option<Broken>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let mut map = self.flights.lock();
        let mut state = self.flight.lock();
        state.led = false;
        state.failed += u32::from(broken.is_some());
        state.broken = broken.map(Arc::new);
        self.flight.clear(&mut state.log);
        let last = state.broken.clone().filter(|_| state.failed >= MOST_LEADS);
        let gone = state.followers == 0;
        if gone || last.is_some() {
            state.end = Some(last.map_or(End::Alone, End::Failed));
            drop(state);
            remove(&mut map, &self.flight);
        } else {
            drop(state);
        }
        drop(map);
        self.flight.tell();
    }

    /// Goes on alone: what it gets is for its caller only.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.end(End::Alone);
        }
    }

    fn end(&self, end: End) {
        finish(&self.flights, &self.flight, end);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.fails(None);
    }
}

/// Whether somebody waits for a flight.
pub struct Watched {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Watched {
    /// The caller of the one who asks has left. True: others wait, and the answer is read to its end for them; else nobody can
    /// join any more.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        let mut map = self.flights.lock();
        let mut state = self.flight.lock();
        match &state.end {
            Some(_) => false,
            None if state.followers > 0 => true,
            None => {
                state.end = Some(End::Alone);
                drop(state);
                remove(&mut map, &self.flight);
                false
            }
        }
    }
}

impl Landing {
    /// Everybody may have it. It is found here until [`Self::settled`].
    pub fn landed(&mut self, landed: Arc<Landed>) {
        self.done = true;
        let mut state = self.flight.lock();
        state.end = Some(End::Landed(landed));
        self.flight.held.fetch_sub(state.log.noted(), Ordering::Relaxed);
        state.log.forget();
        drop(state);
        self.flight.tell();
    }

    /// It is in memory, or is not to be kept.
    pub fn settled(self) {
        self.flights.close(&self.flight);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.done {
            finish(&self.flights, &self.flight, End::Alone);
        }
    }
}

fn finish(flights: &Flights, flight: &Arc<Flight>, end: End) {
    let mut map = flights.lock();
    let mut state = flight.lock();
    state.end = Some(end);
    drop(state);
    remove(&mut map, flight);
    drop(map);
    flight.tell();
}
