//! The request log of a running gateway: who is told of requests puts them into a bounded queue, and a task on a runtime
//! of its own writes them.
//!
//! No request waits for anything here, and the administration's runtime does not either: whoever asks the log awaits an
//! answer of the log's own runtime, whose threads stand behind the proxy's. What does not fit into the queue is dropped,
//! counted and said.

mod bodies;
pub mod conversation;
mod keeping;
mod writer;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::writer::Writer;
use super::Listener;
use crate::background;
use crate::config::stores::RequestLog as Limits;
use crate::store::requests::Requests;
use crate::store::{StoreError, StoreSettings};
use crate::telemetry::record::Record;
use crate::telemetry::redact::Redactors;

/// Records that may wait.
const WAITING: usize = 10_000;
/// Bytes of bodies that may wait: beyond that, requests are kept without theirs.
const WAITING_BYTES: u64 = 64 << 20;
/// How far the log's threads stand back: as `nice` has it.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// The longest that the end of the process waits for what is not written yet.
const LAST: Duration = Duration::from_secs(2);

/// The request log.
#[derive(Debug)]
pub struct RequestLog {
    pub requests: Arc<Requests>,
    /// Where its questions are answered.
    pub runtime: Handle,
    pub counts: Arc<Counts>,
    queue: mpsc::Sender<Told>,
}

/// What became of requests. Counted since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub written: AtomicU64,
    /// The queue was full.
    pub full: AtomicU64,
    /// The database did not take them, and takes others.
    pub refused: AtomicU64,
    /// Bodies that were left out because too many were waiting.
    pub bodies_left_out: AtomicU64,
    /// Records that wait.
    pub waiting: AtomicU64,
    /// Bytes of their bodies.
    pub waiting_bytes: AtomicU64,
}

/// What the writer is told.
enum Told {
    Request(Arc<Record>),
    /// All that was told before is to be written now.
    Flush(oneshot::Sender<()>),
}

/// The observer's side.
struct Teller {
    log: Arc<RequestLog>,
}

impl RequestLog {
    /// Opens it in the background, and begins to write.
    ///
    /// # Errors
    /// Its thread cannot be made.
    pub fn start(
        settings: StoreSettings,
        limits: Limits,
        redactors: Arc<Redactors>,
    ) -> io::Result<Arc<Self>> {
        let runtime = background::start_as("requests", stand_back)?;
        let requests = Requests::start(settings, &runtime);
        let counts = Arc::<Counts>::default();
        let (queue, told) = mpsc::channel(WAITING);
        let writer = Writer::new(Arc::clone(&requests), Arc::clone(&counts), redactors, limits);
        runtime.spawn(writer.run(told));
        Ok(Arc::new(Self { requests, runtime, counts, queue }))
    }

    /// Its database is open and answers.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.requests.is_open() && self.requests.trouble().is_none()
    }

    /// Who is to be told of requests.
    #[must_use]
    pub fn listener(self: &Arc<Self>) -> Box<dyn Listener> {
        Box::new(Teller { log: Arc::clone(self) })
    }

    /// Answers a question on the log's own runtime: those of [`Requests`] must not be awaited elsewhere.
    ///
    /// # Errors
    /// As the question itself.
    pub async fn ask<T, F>(&self, question: impl FnOnce(Arc<Requests>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let answer = self.runtime.spawn(question(Arc::clone(&self.requests))).await;
        answer.unwrap_or_else(|_| Err(StoreError::Unavailable("the question was given up".to_owned())))
    }

    /// Waits until all that was told is written, no longer than `limit`.
    pub async fn flush(&self, limit: Duration) {
        let (done, written) = oneshot::channel();
        let told = async {
            if self.queue.send(Told::Flush(done)).await.is_ok() {
                // Where the writer is gone there is nothing to wait for.
                let _ = written.await;
            }
        };
        let _ = timeout(limit, told).await;
    }

    fn tell(&self, record: &Arc<Record>) {
        let size = size(record);
        let waiting = self.counts.waiting_bytes.load(Ordering::Relaxed);
        let (record, size) = match size > 0 && waiting.saturating_add(size) > WAITING_BYTES {
            false => (Arc::clone(record), size),
            true => {
                self.counts.bodies_left_out.fetch_add(1, Ordering::Relaxed);
                (Arc::new(Record { content: None, ..Record::clone(record) }), 0)
            }
        };
        match self.queue.try_send(Told::Request(record)) {
            Ok(()) => {
                self.counts.waiting.fetch_add(1, Ordering::Relaxed);
                self.counts.waiting_bytes.fetch_add(size, Ordering::Relaxed);
            }
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.counts.full.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Counts {
    /// Requests that are not in the log.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.full.load(Ordering::Relaxed).saturating_add(self.refused.load(Ordering::Relaxed))
    }
}

impl Listener for Teller {
    fn told(&mut self, records: &[Arc<Record>], _now_ms: u64) {
        records.iter().for_each(|record| self.log.tell(record));
    }

    fn ended(&mut self) {
        self.log.runtime.block_on(self.log.flush(LAST));
    }
}

/// Bytes of a record's bodies.
fn size(record: &Record) -> u64 {
    let size = record.content.as_ref().map_or(0, |content| content.size());
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// Threads of the log let the proxy's go first: those of the database are made by this one, and take after it.
fn stand_back() {
    // Elsewhere it would be all threads of the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        log::debug!("the request log's threads have the priority of all others: {error}");
    }
}
