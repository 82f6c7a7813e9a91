//! What becomes of finished requests: the request log, rollups, the live stream, traces.
//!
//! A request leaves its [`Record`] in a bounded queue and goes; a thread of its own empties the queue and tells every
//! [`Listener`]. Nothing here is waited for by a request: what does not fit is counted and dropped.

mod exemplars;
pub mod explain;
pub mod lines;
pub mod live;
pub mod log;
pub mod push;
#[cfg(test)]
pub mod samples;
pub mod sums;
pub mod traces;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_queue::ArrayQueue;

use crate::telemetry::record::Record;

/// Records that may wait.
const WAITING: usize = 16_384;
/// Bytes of contents that may wait with them. A record goes without where there are more.
const CONTENTS: usize = 64 * 1024 * 1024;
/// Records that listeners are told at once.
const BATCH: usize = 1_024;
/// Between two looks at the queue: nobody is woken by a request.
const ROUND: Duration = Duration::from_millis(50);

/// Somebody who is told of finished requests, on the observer's thread: must be quick, and never waits.
pub trait Listener: Send {
    /// Some requests ended. Called with none of them when a round has passed without.
    fn told(&mut self, records: &[Arc<Record>], now_ms: u64);

    /// The process ends: what is not written yet can be written now. Must come back within seconds.
    fn ended(&mut self) {}
}

/// Where requests leave their records.
#[derive(Debug)]
pub struct Observer {
    queue: ArrayQueue<Box<Record>>,
    told: AtomicU64,
    dropped: AtomicU64,
    /// Bytes of contents that wait.
    held: AtomicUsize,
    /// Records that went without their contents.
    bare: AtomicU64,
    /// The process is about to end, and listeners know it.
    ending: AtomicBool,
    ended: AtomicBool,
}

impl Default for Observer {
    fn default() -> Self {
        Self {
            queue: ArrayQueue::new(WAITING),
            told: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            bare: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }
}

impl Observer {
    /// Leaves a record. Never waits.
    pub fn tell(&self, mut record: Box<Record>) {
        let size = size(&record);
        if size > 0 && self.held.fetch_add(size, Ordering::Relaxed).saturating_add(size) > CONTENTS {
            self.held.fetch_sub(size, Ordering::Relaxed);
            self.bare.fetch_add(1, Ordering::Relaxed);
            record.content = None;
        }
        if let Err(record) = self.queue.push(record) {
            self.held.fetch_sub(self::size(&record), Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records whose contents were left out because too many bytes of them waited.
    #[must_use]
    pub fn without_content(&self) -> u64 {
        self.bare.load(Ordering::Relaxed)
    }

    /// Bytes of contents that wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Records that listeners were told.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Records that were lost because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Empties the queue for as long as the process lives.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(self: &Arc<Self>, mut listeners: Vec<Box<dyn Listener>>) -> io::Result<()> {
        let observer = Arc::clone(self);
        thread::Builder::new()
            .name("observe".to_owned())
            .spawn(move || {
                loop {
                    let ending = observer.ending.load(Ordering::Acquire);
                    let more = observer.round(&mut listeners);
                    if ending && !more {
                        listeners.iter_mut().for_each(|listener| listener.ended());
                        observer.ended.store(true, Ordering::Release);
                        return;
                    }
                    if !more {
                        thread::sleep(ROUND);
                    }
                }
            })
            .map(drop)
    }

    /// Has listeners told of all that waits, and that the process ends. Waits for them no longer than `limit`.
    pub fn finish(&self, limit: Duration) {
        let began = Instant::now();
        self.ending.store(true, Ordering::Release);
        while !self.ended.load(Ordering::Acquire) && began.elapsed() < limit {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// True when more may wait.
    fn round(&self, listeners: &mut [Box<dyn Listener>]) -> bool {
        let batch: Vec<Arc<Record>> =
            std::iter::from_fn(|| self.queue.pop()).take(BATCH).map(Arc::from).collect();
        let now_ms = unix_ms();
        listeners.iter_mut().for_each(|listener| listener.told(&batch, now_ms));
        let held: usize = batch.iter().map(|record| size(record)).sum();
        self.held.fetch_sub(held, Ordering::Relaxed);
        self.told.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        batch.len() == BATCH
    }
}

/// Bytes of a record's contents.
fn size(record: &Record) -> usize {
    record.content.as_ref().map_or(0, |content| content.size())
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bytes::Bytes;

    use super::*;
    use crate::telemetry::record::Content;

    struct Told(mpsc::Sender<Arc<Record>>);

    impl Listener for Told {
        fn told(&mut self, records: &[Arc<Record>], _now_ms: u64) {
            records.iter().for_each(|record| drop(self.0.send(Arc::clone(record))));
        }
    }

    fn with(size: usize) -> Box<Record> {
        let content = Content { request: Bytes::from(vec![0; size]), ..Content::default() };
        Box::new(Record { content: Some(Box::new(content)), ..Record::default() })
    }

    #[test]
    fn contents_that_are_too_many_are_left_out_and_counted() {
        let observer = Arc::new(Observer::default());
        observer.tell(with(CONTENTS - 10));
        observer.tell(with(11));
        observer.tell(with(10));
        assert_eq!((observer.waiting(), observer.without_content(), observer.held()), (3, 1, CONTENTS));
        let (sender, told) = mpsc::channel();
        assert!(!observer.round(&mut [Box::new(Told(sender))]));
        let told: Vec<bool> = told.try_iter().map(|record| record.content.is_some()).collect();
        assert_eq!(told, [true, false, true]);
        assert_eq!((observer.held(), observer.told(), observer.dropped()), (0, 3, 0));
    }

    #[test]
    fn a_full_queue_drops_counts_and_holds_nothing_of_it() {
        let observer = Observer::default();
        for _ in 0..WAITING {
            observer.tell(Box::default());
        }
        observer.tell(with(100));
        assert_eq!((observer.dropped(), observer.held()), (1, 0));
    }
}
