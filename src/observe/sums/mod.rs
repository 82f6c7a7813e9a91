//! Requests added up: what the dashboard, charts, statistics and facets are answered from, so that none of them reads
//! the request log.
//!
//! Seconds of the last quarter of an hour are in memory. Minutes and quarters (of 48 hours), hours and days (of 400) are in memory
//! while they run and stored when they end; every process has rows of its own, which add up when they are read, so no
//! row is ever changed by two. What is lost when a process is killed is at most what the last minute added.
//!
//! Nobody waits here: a record is added on the observer's thread, whoever asks holds the lock only while what runs is
//! looked at. Times are distributions ([`govern::sketch`]), so percentiles of a day are those of its minutes together.

mod add;
mod book;
mod cell;
mod chart;
mod cover;
pub mod keep;
mod page;
pub mod source;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::add::status;
use self::book::{Ask, Book};
pub use self::book::{LATE, Row, SHELF, Span};
pub use self::cell::{Cell, Count, Depth, Times};
pub use self::chart::{Chart, Only, Question};
pub use self::cover::Frame;
pub use self::page::{Kind, Name};
use super::Listener;
use super::log::RequestLog;
use crate::telemetry::record::Record;

/// All sums of this process.
#[derive(Debug)]
pub struct Sums {
    book: Mutex<Book>,
    /// Rows of this process have its number.
    writer: u64,
}

/// A second that is over.
#[derive(Debug, Clone)]
pub struct Second {
    /// Unix milliseconds of its beginning.
    pub at_ms: u64,
    /// Requests that began in it and have ended.
    pub cell: Cell,
}

impl Sums {
    /// Sums that nobody has added to yet. `stored`: there is a place for spans that have ended.
    #[must_use]
    pub fn new(stored: bool) -> Arc<Self> {
        // Never 0: that is whoever put several together.
        let writer = fastrand::u64(1..1 << 62);
        Arc::new(Self { book: Mutex::new(Book::new(!stored, SHELF)), writer })
    }

    /// The one that adds every request; at the end of the process it stores what is not stored yet.
    #[must_use]
    pub fn listener(self: &Arc<Self>, log: Option<Arc<RequestLog>>) -> Box<dyn Listener> {
        Box::new(Adding { sums: Arc::clone(self), log })
    }

    /// What this process knows in memory: of its own spans that run, and of those that are not stored yet.
    #[must_use]
    pub fn ask(&self, question: &Question, now_ms: u64) -> Chart {
        let mut chart = Chart::new(question);
        self.look(question, &mut chart, now_ms);
        chart
    }

    /// The second that began `back` seconds before the present one.
    #[must_use]
    pub fn second(&self, back: u64, now_ms: u64) -> Second {
        let start = Span::Second.of(now_ms).saturating_sub(back);
        let mut cell = Cell::default();
        let ask = Ask { span: Span::Second, kind: Kind::All, from: start, to: start + 1 };
        self.lock().look(&ask, |_, page| page.cells().for_each(|(_, more)| cell.merge(more, Depth::Times)));
        Second { at_ms: start * Span::Second.millis(), cell }
    }

    /// What is to be stored: see [`Book::unstored`].
    #[must_use]
    pub fn unstored(&self, all: bool, limit: usize) -> Vec<Row> {
        self.lock().unstored(all, limit)
    }

    /// These rows are stored.
    pub fn stored(&self, rows: &[Row]) {
        self.lock().stored(rows);
    }

    /// Bytes of ended spans that are in memory, at most [`SHELF`].
    #[must_use]
    pub fn shelved(&self) -> usize {
        self.lock().shelved()
    }

    /// Rows of ended spans that were given up because there was no room, or no place to store them in a day.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lock().lost()
    }

    /// Adds what is in memory; gives which spans that was.
    fn look(&self, question: &Question, chart: &mut Chart, now_ms: u64) -> HashSet<(Span, u64)> {
        let mut seen = HashSet::new();
        let mut written = Vec::new();
        let book = self.lock();
        for (span, from, to) in question.frame.runs(now_ms) {
            let ask = Ask { span, kind: question.kind, from, to };
            let ended = book.look(&ask, |start, page| {
                seen.insert((span, start));
                chart.add_page(start * span.millis(), page);
            });
            written.extend(ended.into_iter().map(|(start, body)| (span, start, body)));
        }
        drop(book);
        for (span, start, body) in written {
            seen.insert((span, start));
            chart.add_written(start * span.millis(), &body);
        }
        seen
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Adding {
    sums: Arc<Sums>,
    log: Option<Arc<RequestLog>>,
}

impl Listener for Adding {
    fn told(&mut self, records: &[Arc<Record>], now_ms: u64) {
        let mut book = self.sums.lock();
        book.advance(now_ms);
        records.iter().for_each(|record| add::add(&mut book, record));
    }

    fn ended(&mut self) {
        if let Some(log) = &self.log {
            keep::end(&self.sums, log);
        }
    }
}

#[cfg(test)]
mod tests;
