//! One listener: what it wants, what it has had, and what it lost because it was slow.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::Wish;
use super::flight::{Flights, Moved};
use super::kept::{Kept, Ring};
use super::row::Row;
use super::topic::{Topic, Topics};

/// Batches that may wait for a listener.
pub const WAITING: usize = 16;
/// Rows of one batch: 200 a second.
const ROWS: usize = 50;
/// Rows that somebody who comes back is given at once.
const MISSED: usize = 1_000;

/// An event, by the process that it was of and its number: `<boot>-<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub boot: u64,
    pub number: u64,
}

impl Seen {
    /// What `Last-Event-ID` says.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (boot, number) = text.trim().split_once('-')?;
        Some(Self { boot: u64::from_str_radix(boot, 16).ok()?, number: number.parse().ok()? })
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{}", self.boot, self.number)
    }
}

/// The near side of a listener.
#[derive(Debug)]
pub struct Client {
    wish: Wish,
    to: Sender<Bytes>,
    /// The number of the last event that it was offered.
    at: u64,
    /// One of so many rows is shown.
    shown: usize,
    /// Events and rows that found no place.
    skipped: u64,
    gone: bool,
}

impl Client {
    #[must_use]
    pub fn new(wish: Wish, to: Sender<Bytes>) -> Self {
        Self { wish, to, at: 0, shown: 1, skipped: 0, gone: false }
    }

    #[must_use]
    pub fn topics(&self) -> Topics {
        self.wish.topics
    }

    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone || self.to.is_closed()
    }

    /// The first event, and where it goes on: behind what it has had, else from now.
    pub fn greet(&mut self, ring: &Ring) {
        let lost = match self.wish.since {
            None => {
                self.at = ring.last();
                None
            }
            // Numbers of another process say nothing here.
            Some(since) if since.boot != ring.boot || since.number > ring.last() => {
                self.at = ring.last();
                Some(Value::Null)
            }
            Some(since) => {
                let (lost, _) = ring.after(since.number);
                self.at = since.number.saturating_add(lost);
                (lost > 0).then(|| json!(lost))
            }
        };
        let hello = json!({"topics": self.wish.topics.names(), "version": env!("CARGO_PKG_VERSION"), "now": super::super::unix_ms()});
        let id = Seen { boot: ring.boot, number: self.at };
        self.send(format!("retry: 2000\nid: {id}\nevent: hello\ndata: {hello}\n\n"), 0);
        if let Some(lost) = lost {
            self.send(event("lag", &json!({"skipped": lost})), 0);
        }
    }

    /// The requests under way, to begin with.
    pub fn flying(&mut self, flights: &Flights) {
        if !self.wish.topics.has(Topic::Flight) {
            return;
        }
        let all: Vec<_> = flights.all().filter(|flight| self.wish.filter.may_take(flight)).collect();
        self.send(event(Topic::Flight.name(), &json!({"all": all})), 1);
    }

    /// What came behind that which it has had: rows in one event, each note in one of its own.
    pub fn rows(&mut self, ring: &Ring) {
        let (lost, fresh) = ring.after(self.at);
        let mut rows: Vec<&Arc<Row>> = Vec::new();
        let mut notes: Vec<(Topic, &Arc<str>)> = Vec::new();
        for kept in fresh {
            match kept {
                Kept::Row(row) if self.wish.topics.has(Topic::Request) && self.wish.filter.takes(row) => {
                    rows.push(row);
                }
                Kept::Note(topic, note) if self.wish.topics.has(*topic) => notes.push((*topic, note)),
                _ => {}
            }
        }
        let missed = self.wish.since.take().is_some();
        let id = Seen { boot: ring.boot, number: ring.last() };
        self.at = ring.last();
        self.skipped += lost;
        for (topic, note) in notes {
            self.send(format!("id: {id}\nevent: {}\ndata: {note}\n\n", topic.name()), 1);
        }
        if rows.is_empty() {
            return;
        }
        if missed {
            let skip = rows.len().saturating_sub(MISSED);
            self.skipped += u64::try_from(skip).unwrap_or(u64::MAX);
            self.send(batch(id, rows.iter().skip(skip)), rows.len());
            return;
        }
        let every = rows.len().div_ceil(ROWS).max(1);
        if every != self.shown {
            self.shown = every;
            self.send(event("notice", &json!({"topic": "req", "showing": 1, "in": every})), 0);
        }
        self.send(batch(id, rows.iter().step_by(every)), rows.len());
    }

    /// How requests under way have moved.
    pub fn moved(&mut self, moved: &Moved, flights: &Flights) {
        if !self.wish.topics.has(Topic::Flight) || (moved.ids.is_empty() && moved.ended.is_empty()) {
            return;
        }
        let known = moved.ids.iter().filter_map(|id| flights.get(id));
        let now: Vec<_> = known.filter(|flight| self.wish.filter.may_take(flight)).collect();
        self.send(event(Topic::Flight.name(), &json!({"moved": now, "ended": moved.ended})), 1);
    }

    /// Something that is not kept.
    pub fn say(&mut self, topic: Topic, what: &Value) {
        if self.wish.topics.has(topic) {
            self.send(event(topic.name(), what), 1);
        }
    }

    /// The last event.
    pub fn bye(&mut self, why: &str) {
        self.send(event("bye", &json!({"reason": why})), 0);
    }

    /// `worth` is what is lost with it.
    fn send(&mut self, text: String, worth: usize) {
        if self.skipped > 0 {
            let lag = event("lag", &json!({"skipped": self.skipped}));
            if self.to.try_send(lag.into()).is_ok() {
                self.skipped = 0;
            }
        }
        match self.to.try_send(text.into()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.skipped += u64::try_from(worth).unwrap_or(u64::MAX),
            Err(TrySendError::Closed(_)) => self.gone = true,
        }
    }
}

fn batch<'r>(id: Seen, rows: impl Iterator<Item = &'r &'r Arc<Row>>) -> String {
    let mut out = format!("id: {id}\nevent: req\ndata: {{\"rows\":[");
    for (at, row) in rows.enumerate() {
        // Writing into a String cannot fail.
        let _ = write!(out, "{}{}", if at > 0 { "," } else { "" }, row.text());
    }
    out.push_str("]}\n\n");
    out
}

fn event(name: &str, what: &Value) -> String {
    format!("event: {name}\ndata: {what}\n\n")
}
