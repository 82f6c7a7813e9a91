//! Why answers were not counted as good.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One reason an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("connect")]
    Connect,
    /// The connection ended or broke before the answer was whole.
    #[error("cut")]
    Cut,
    /// A status other than 200.
    #[error("status {0}")]
    Status(u16),
    /// The head or the framing cannot be read.
    #[error("framing")]
    Framing,
    /// The body is not the mock's answer.
    #[error("wrong body")]
    Body,
    /// A stream with fewer or more chunks than were sent.
    #[error("wrong chunk count")]
    ChunkCount,
    /// A stream without its dialect's last event.
    #[error("no ending")]
    Ending,
    /// Still open when the run was over.
    #[error("unfinished")]
    Unfinished,
}

/// Good answers, and failures by reason.
#[derive(Debug, Default)]
pub struct Tally {
    good: u64,
    failures: BTreeMap<Failure, u64>,
}

impl Tally {
    /// Counts one outcome.
    pub fn count(&mut self, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => self.good += 1,
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }

    /// Takes over the counts of another.
    pub fn absorb(&mut self, other: Tally) {
        self.good += other.good;
        for (failure, count) in other.failures {
            *self.failures.entry(failure).or_default() += count;
        }
    }

    /// Good answers so far.
    pub fn good(&self) -> u64 {
        self.good
    }

    /// Failures so far.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// `{"<reason>": count}`; empty when all is well.
    pub fn reasons(&self) -> Value {
        self.failures.iter().map(|(reason, count)| (reason.to_string(), json!(count))).collect()
    }
}
