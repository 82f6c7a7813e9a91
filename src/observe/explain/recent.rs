//! The last few thousand requests in memory, for whoever asks about one of them. Bounded, and without contents.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::observe::Listener;
use crate::telemetry::record::Record;

/// Requests that are kept.
const MOST: usize = 4_096;

/// The latest requests.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Arc<Record>>>);

impl Recent {
    /// The latest request with this id.
    #[must_use]
    pub fn find(&self, request_id: &str) -> Option<Arc<Record>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find(|record| *record.request_id == *request_id).cloned()
    }

    /// Keeps what it is told.
    #[must_use]
    pub fn listener(self: &Arc<Self>) -> Box<dyn Listener> {
        Box::new(Keeping(Arc::clone(self)))
    }
}

struct Keeping(Arc<Recent>);

impl Listener for Keeping {
    fn told(&mut self, records: &[Arc<Record>], _now_ms: u64) {
        if records.is_empty() {
            return;
        }
        let bare = records.iter().map(bare);
        let mut kept = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bare);
        let over = kept.len().saturating_sub(MOST);
        // Dropped outside of the lock: whoever asks does not wait for that.
        let gone: Vec<Arc<Record>> = kept.drain(..over).collect();
        drop(kept);
        drop(gone);
    }
}

/// Without contents: those are the log's.
fn bare(record: &Arc<Record>) -> Arc<Record> {
    match record.content {
        None => Arc::clone(record),
        Some(_) => {
            let mut bare = Record::clone(record);
            bare.content = None;
            Arc::new(bare)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Arc<Record> {
        Arc::new(Record { request_id: id.into(), content: Some(Box::default()), ..Record::default() })
    }

    #[test]
    fn the_latest_are_found_without_contents_and_the_oldest_go() {
        let recent = Arc::new(Recent::default());
        let mut listener = recent.listener();
        listener.told(&[record("first"), record("twice"), record("twice")], 0);
        assert!(recent.find("first").is_some_and(|found| found.content.is_none()));
        let many: Vec<_> = (0..MOST - 2).map(|number| record(&number.to_string())).collect();
        listener.told(&many, 0);
        assert!(recent.find("first").is_none(), "beyond the bound");
        assert!(recent.find("twice").is_some());
        assert!(recent.find("nobody").is_none());
    }
}
