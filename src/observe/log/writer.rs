//! The one task that writes to the request log: requests in batches, and between them what is removed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::keeping::Keeping;
use super::{Counts, Told, bodies, size};
use crate::config::stores::RequestLog as Limits;
use crate::store::StoreError;
use crate::store::requests::Requests;
use crate::store::requests::entry::Entry;
use crate::telemetry::events::{Event, emit};
use crate::telemetry::record::Record;
use crate::telemetry::redact::Redactors;

/// Rows of one transaction at most.
const BATCH: usize = 1_000;
/// Bytes of bodies in one transaction at most, or one body.
const BATCH_BYTES: u64 = 8 << 20;
/// A request waits this long for others.
const GATHER: Duration = Duration::from_secs(1);
/// And this long while something is to be removed.
const SHORT: Duration = Duration::from_millis(20);
/// Between two tries, while the log is not available.
const REST: Duration = Duration::from_secs(1);
/// Between two times that losses are said.
const SAY: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    requests: Arc<Requests>,
    counts: Arc<Counts>,
    redactors: Arc<Redactors>,
    keeping: Keeping,
    /// Losses that were said, and when.
    said: (u64, Option<Instant>),
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        requests: Arc<Requests>,
        counts: Arc<Counts>,
        redactors: Arc<Redactors>,
        limits: Limits,
    ) -> Self {
        Self { requests, counts, redactors, keeping: Keeping::new(limits), said: (0, None), failing: false }
    }

    /// Writes for as long as the process lives.
    pub(super) async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        while let Some((batch, flushed)) = gather(&mut told, self.keeping.is_busy()).await {
            if !batch.is_empty() {
                self.write(&batch).await;
                self.count(&batch);
            }
            if let Some(flushed) = flushed {
                // Who asked may not wait any more.
                let _ = flushed.send(());
            }
            // What fails here fails for who writes as well, and is said there.
            if let Err(error) = self.keeping.step(&self.requests).await {
                log::debug!("nothing is removed from the request log: {error}");
            }
            self.say();
        }
    }

    /// However long it takes: meanwhile the queue fills, and what does not fit is dropped by who tells.
    async fn write(&mut self, batch: &[Arc<Record>]) {
        match self.append_at_last(batch).await {
            Ok(()) => drop(self.counts.written.fetch_add(count(batch), Ordering::Relaxed)),
            // One by one: so that one that the database does not take is lost alone.
            Err(_) => {
                for record in batch {
                    let counted = match self.append_at_last(std::slice::from_ref(record)).await {
                        Ok(()) => &self.counts.written,
                        Err(error) => {
                            log::debug!("request {} is not in the log: {error}", record.request_id);
                            &self.counts.refused
                        }
                    };
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Tries again until they are written, or refused.
    async fn append_at_last(&mut self, batch: &[Arc<Record>]) -> Result<(), StoreError> {
        loop {
            let appended = self.append(batch).await;
            match appended {
                Ok(()) | Err(StoreError::Refused(_)) => {
                    self.note(None);
                    return appended;
                }
                Err(error) => self.note(Some(&error)),
            }
            sleep(REST).await;
        }
    }

    async fn append(&self, batch: &[Arc<Record>]) -> Result<(), StoreError> {
        let mut entries: Vec<Entry<'_>> = batch.iter().map(|record| Entry::of(record)).collect();
        let redactor = self.redactors.current();
        let mut bodies: Vec<_> = batch.iter().filter_map(|record| bodies::of(record, &redactor)).collect();
        self.requests.append(&mut entries, &mut bodies).await
    }

    fn count(&self, batch: &[Arc<Record>]) {
        self.counts.waiting.fetch_sub(count(batch), Ordering::Relaxed);
        let bytes = batch.iter().map(|record| size(record)).sum();
        self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn note(&mut self, error: Option<&StoreError>) {
        let failed_before = std::mem::replace(&mut self.failing, error.is_some());
        match error {
            Some(error) if !failed_before => {
                emit(Event::RequestLogBehind { why: &error.to_string() });
            }
            None if failed_before => emit(Event::RequestLogBack {}),
            _ => {}
        }
    }

    /// Says what was lost, now and then.
    fn say(&mut self) {
        let dropped = self.counts.dropped();
        let due = self.said.1.is_none_or(|at| at.elapsed() >= SAY);
        if dropped > self.said.0 && due {
            let new = dropped - self.said.0;
            emit(Event::RequestsUnlogged { requests: new });
            self.said = (dropped, Some(Instant::now()));
        }
    }
}

/// Requests for one transaction, and who waits for it. Comes back with none now and then, at once where it is `busy`.
/// `None`: nobody tells any more.
async fn gather(
    told: &mut mpsc::Receiver<Told>,
    busy: bool,
) -> Option<(Vec<Arc<Record>>, Option<oneshot::Sender<()>>)> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let end = Instant::now() + if busy { SHORT } else { GATHER };
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(next) = timeout_at(end, told.recv()).await else { break };
        match next {
            Some(Told::Request(record)) => {
                bytes = size(&record).saturating_add(bytes);
                batch.push(record);
            }
            Some(Told::Flush(flushed)) => return Some((batch, Some(flushed))),
            None if batch.is_empty() => return None,
            None => break,
        }
    }
    Some((batch, None))
}

fn count(batch: &[Arc<Record>]) -> u64 {
    u64::try_from(batch.len()).unwrap_or(u64::MAX)
}
