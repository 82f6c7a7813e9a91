//! Many connections, each a closed loop, as fast as the answers come or at a rate. Every body is checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Target;
use super::connection::Reopening;
use super::latency::check_whole;
use super::tally::{Failure, Tally};
use crate::clock::monotonic_ns;
use crate::spread::Spread;

/// After a failed connect or a cut, so that a dead gateway is not counted a million times a second.
const PAUSE: Duration = Duration::from_millis(5);

/// When a run ends: at `count` requests or after `lasting`, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Connections kept busy.
    pub connections: usize,
    /// Requests over all connections.
    pub count: u64,
    /// Requests per second over all connections; 0: as fast as the answers come.
    pub rate: f64,
    /// No request starts after this time.
    pub lasting: Duration,
    /// What is still open this long after `lasting` counts as unfinished.
    pub grace: Duration,
}

#[derive(Default)]
struct Worker {
    tally: Tally,
    spread: Spread,
    opened: u64,
}

/// Runs and returns counts, rate and latency.
pub async fn run(target: Target, extent: Extent) -> Value {
    let target = Arc::new(target);
    let tickets = Arc::new(AtomicU64::new(extent.count));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..extent.connections {
        let pace = Pace::of(&extent, number, start);
        let (target, tickets) = (Arc::clone(&target), Arc::clone(&tickets));
        workers.spawn(async move {
            let mut worker = Worker::default();
            let end = start + extent.lasting;
            let work = work(&mut worker, &target, (&tickets, pace), end);
            if timeout_at(end + extent.grace, work).await.is_err() {
                worker.tally.count(Err(Failure::Unfinished));
            }
            worker
        });
    }
    let mut total = Worker::default();
    while let Some(worker) = workers.join_next().await {
        match worker {
            Ok(worker) => {
                total.tally.absorb(worker.tally);
                total.spread.absorb(worker.spread);
                total.opened += worker.opened;
            }
            Err(_) => total.tally.count(Err(Failure::Unfinished)),
        }
    }
    report(total, start.elapsed(), extent.connections)
}

/// When the requests of one connection are due.
#[derive(Debug, Clone, Copy)]
struct Pace {
    next: Instant,
    every: Option<Duration>,
}

impl Pace {
    /// The connections take turns, so that requests are spread evenly.
    fn of(extent: &Extent, number: usize, start: Instant) -> Self {
        let every =
            (extent.rate > 0.0).then(|| Duration::from_secs_f64(extent.connections as f64 / extent.rate));
        let turn = every.unwrap_or_default().mul_f64(number as f64 / extent.connections.max(1) as f64);
        Self { next: start + turn, every }
    }

    /// Waits until a request is due. How late it is then: a slow answer delays what is behind it, and that is a part of what
    /// a caller would have waited.
    async fn due(&mut self) -> Duration {
        let Some(every) = self.every else { return Duration::ZERO };
        tokio::time::sleep_until(self.next).await;
        let late = self.next.elapsed();
        self.next += every;
        // Timers are a millisecond coarse.
        if late < Duration::from_millis(2) { Duration::ZERO } else { late }
    }
}

async fn work(worker: &mut Worker, target: &Target, (tickets, mut pace): (&AtomicU64, Pace), end: Instant) {
    let mut connection = Reopening::new(target.address);
    while pace.next.max(Instant::now()) < end && take(tickets) {
        let late = u64::try_from(pace.due().await.as_nanos()).unwrap_or(u64::MAX);
        let sent = monotonic_ns().saturating_sub(late);
        let outcome = connection.exchange(&target.request, |_| (), check_whole).await;
        match outcome {
            Ok(()) => worker.spread.add(monotonic_ns() - sent),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        worker.tally.count(outcome);
        worker.opened = connection.opened();
    }
}

fn take(tickets: &AtomicU64) -> bool {
    tickets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn report(total: Worker, elapsed: Duration, connections: usize) -> Value {
    let seconds = elapsed.as_secs_f64();
    json!({
        "mode": "throughput",
        "connections": connections,
        "connections_opened": total.opened,
        "seconds": seconds,
        "good": total.tally.good(),
        "failed": total.tally.failed(),
        "reasons": total.tally.reasons(),
        "requests_per_second": total.tally.good() as f64 / seconds,
        "latency": total.spread.summary(),
    })
}
