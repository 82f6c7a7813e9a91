//! What providers did, request by request: the truth that callers' answers and the gateway's manners are
//! judged by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fault::Fault;

/// How an answer ended at the provider's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Still being sent.
    Open,
    /// Sent to its end.
    Sent,
    /// The other side left before.
    Left,
}

/// One attempt that reached a provider.
#[derive(Debug, Clone)]
pub struct Visit {
    pub provider: usize,
    pub fault: Fault,
    pub at: Instant,
    pub took: Duration,
    pub ended: Ended,
    /// It was asked to go on from a text.
    pub continued: bool,
}

/// A place of a [`Visit`].
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    id: u64,
    nth: usize,
}

/// What of it concerns all requests.
#[derive(Debug, Default)]
pub struct Totals {
    pub visits: u64,
    pub faults: BTreeMap<Fault, u64>,
    /// Visits of a key and model inside the time that its 429 had asked to be left alone.
    pub early: Vec<Early>,
    /// The same after a 503: an overload may be one replica's, so it is told and no violation.
    pub early_after_503: u64,
    /// Visits that asked to go on from a text.
    pub continued: u64,
    /// Milliseconds from a caller's leaving to the end of its last visit.
    pub left_after_ms: Vec<u64>,
    /// Visits in outages, but for their first fifth: of requests that others could still answer, and of others.
    pub outage_visits: (u64, u64),
    /// By outage: milliseconds from its end to the first visit.
    pub returns: BTreeMap<usize, u64>,
}

/// A visit that came too early.
#[derive(Debug)]
pub struct Early {
    pub id: u64,
    /// Of the request that was told to stay away.
    pub told: u64,
    /// When that was, and when it came.
    pub between: (Instant, Instant),
    pub detail: String,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    from: Instant,
    until: Instant,
    why: Fault,
    told: u64,
}

#[derive(Debug, Default)]
struct Book {
    visits: HashMap<u64, Vec<Visit>>,
    /// Requests that are over while visits of theirs are open, since when, and with whom.
    over: HashMap<u64, (Instant, bool)>,
    /// Provider, key and model; from when until when it is to be left alone, and what said so.
    resting: HashMap<(usize, String, String), Rest>,
    harm: HashMap<(usize, String), Instant>,
    totals: Totals,
}

/// Shared by providers and callers.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Book>);

/// Visits that were under way when a rest was told are no disregard of it: two thirds of what is asked for, so
/// that a busy machine is no excuse.
const UNDER_WAY: Duration = Duration::from_millis(2_000);

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came to `provider`. How often one of this id has before is what decides its fault.
    pub fn nth(&self, id: u64, provider: usize) -> usize {
        let book = self.book();
        let of = |visits: &Vec<Visit>| visits.iter().filter(|visit| visit.provider == provider).count();
        book.visits.get(&id).map_or(0, of)
    }

    /// All visits of a request so far.
    pub fn count(&self, id: u64) -> usize {
        self.book().visits.get(&id).map_or(0, Vec::len)
    }

    /// An answer begins.
    pub fn begin(&self, id: u64, visit: Visit) -> Ticket {
        let mut book = self.book();
        book.totals.visits += 1;
        book.totals.continued += u64::from(visit.continued);
        *book.totals.faults.entry(visit.fault).or_default() += 1;
        let visits = book.visits.entry(id).or_default();
        visits.push(visit);
        Ticket { id, nth: visits.len() - 1 }
    }

    /// Notes whether a key and model was asked in the time it had asked to be left alone, and what it asks now.
    pub fn rest(&self, target: (usize, &str, &str), fault: Fault, id: u64) {
        let (provider, key, model) = target;
        let place = (provider, key.to_owned(), model.to_owned());
        let (mut book, now) = (self.book(), Instant::now());
        if !fault.is_whole() {
            book.harm.insert((provider, model.to_owned()), now);
        }
        if let Some(rest) = book.resting.get(&place).copied()
            && now > rest.from + UNDER_WAY
            && now + Duration::from_millis(30) < rest.until
        {
            match rest.why {
                Fault::LimitedAfter => {
                    let detail = format!("{key} {model}: {} ms after a 429", (now - rest.from).as_millis());
                    book.totals.early.push(Early { id, told: rest.told, between: (rest.from, now), detail });
                }
                _ => book.totals.early_after_503 += 1,
            }
        }
        if let Some(seconds) = fault.rest_seconds() {
            let until = now + Duration::from_secs(seconds);
            book.resting.insert(place, Rest { from: now, until, why: fault, told: id });
        }
    }

    /// An answer ended.
    pub fn end(&self, ticket: Ticket, ended: Ended) {
        let mut book = self.book();
        let Some(visits) = book.visits.get_mut(&ticket.id) else { return };
        if let Some(visit) = visits.get_mut(ticket.nth) {
            visit.ended = ended;
            visit.took = visit.at.elapsed();
        }
        let open = visits.iter().any(|visit| visit.ended == Ended::Open);
        if open {
            return;
        }
        if let Some((since, left)) = book.over.remove(&ticket.id) {
            book.visits.remove(&ticket.id);
            if left {
                let after = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                book.totals.left_after_ms.push(after);
            }
        }
    }

    /// The request is over for its caller, who (`left`) went before its end. What was done to it.
    pub fn close(&self, id: u64, left: bool) -> Vec<Visit> {
        let mut book = self.book();
        if left {
            // Whoever is left before it has read a refusal was not told of it.
            book.resting.retain(|_, rest| rest.told != id);
            book.totals.early.retain(|early| early.told != id);
        }
        let visits = book.visits.get(&id).cloned().unwrap_or_default();
        if visits.iter().any(|visit| visit.ended == Ended::Open) {
            book.over.insert(id, (Instant::now(), left));
        } else {
            book.visits.remove(&id);
        }
        visits
    }

    /// Requests that have been over for longer than `patience` with a visit still open.
    pub fn forgotten(&self, patience: Duration) -> Vec<(u64, Vec<Visit>)> {
        let mut book = self.book();
        let late: Vec<u64> =
            book.over.iter().filter(|(_, over)| over.0.elapsed() > patience).map(|(id, _)| *id).collect();
        late.into_iter()
            .map(|id| {
                book.over.remove(&id);
                (id, book.visits.remove(&id).unwrap_or_default())
            })
            .collect()
    }

    /// When this provider and model last did any harm.
    pub fn harmed(&self, provider: usize, model: &str) -> Option<Instant> {
        self.book().harm.get(&(provider, model.to_owned())).copied()
    }

    /// Visits that are open now.
    pub fn open(&self) -> usize {
        let book = self.book();
        book.visits.values().flatten().filter(|visit| visit.ended == Ended::Open).count()
    }

    /// Reads the totals.
    pub fn totals<R>(&self, read: impl FnOnce(&mut Totals) -> R) -> R {
        read(&mut self.book().totals)
    }
}
