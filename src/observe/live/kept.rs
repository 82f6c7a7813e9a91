//! The last events, for those who come back for them: rows, and notes of what changed.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::row::Row;
use super::topic::Topic;

/// Events that are kept; with the text of a row that is some megabytes.
const MOST: usize = 4_096;

/// One of them.
#[derive(Debug, Clone)]
pub enum Kept {
    Row(Arc<Row>),
    Note(Topic, Arc<str>),
}

/// All of them, numbered without gaps.
#[derive(Debug)]
pub struct Ring {
    events: VecDeque<Kept>,
    /// The number of the first one that is here.
    first: u64,
    pub boot: u64,
}

impl Ring {
    #[must_use]
    pub fn new(boot: u64) -> Self {
        Self { events: VecDeque::new(), first: 1, boot }
    }

    pub fn push_row(&mut self, row: Row) {
        self.push(Kept::Row(Arc::new(row)));
    }

    pub fn push_note(&mut self, topic: Topic, note: &Value) {
        self.push(Kept::Note(topic, note.to_string().into()));
    }

    /// The number of the last one; 0: there was none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first + u64::try_from(self.events.len()).unwrap_or(u64::MAX) - 1
    }

    /// Those behind a number, and how many of them are not here any more.
    pub fn after(&self, number: u64) -> (u64, impl Iterator<Item = &Kept>) {
        let next = number.saturating_add(1);
        let lost = self.first.saturating_sub(next);
        let at = usize::try_from(next.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (lost, self.events.iter().skip(at))
    }

    /// Nobody will come back: what is kept goes, its numbers stay used.
    pub fn forget(&mut self) {
        self.first = self.last() + 1;
        self.events = VecDeque::new();
    }

    fn push(&mut self, event: Kept) {
        if self.events.len() == MOST {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event);
    }
}
