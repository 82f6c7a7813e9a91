//! Streams side by side: time to the first content chunk, and how long each chunk was under way,
//! from the mock's write (the time is in the chunk's text) to this client's read.

use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::Reopening;
use super::tally::{Failure, Tally};
use super::{Dialect, Target};
use crate::clock::monotonic_ns;
use crate::spread::Spread;
use crate::stamp::StampReader;

/// How many streams, and what each must hold.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Streams open at the same time.
    pub streams: u32,
    /// Streams after each other on each connection; if more than one, the first is left out of the
    /// time to the first chunk.
    pub repeat: u32,
    /// Content chunks each stream must carry.
    pub chunks: u64,
    /// The streams start spread over this time, so that they do not beat in step.
    pub spread_start: Duration,
    /// A stream that takes longer is unfinished.
    pub longest: Duration,
}

#[derive(Default)]
struct Worker {
    tally: Tally,
    first: Spread,
    chunk: Spread,
}

/// Runs the streams and returns first-chunk and per-chunk times.
pub async fn run(target: Target, extent: Extent) -> Value {
    let target = Arc::new(target);
    let mut workers = JoinSet::new();
    for index in 0..extent.streams {
        let target = Arc::clone(&target);
        workers.spawn(async move {
            tokio::time::sleep(extent.spread_start * index / extent.streams.max(1)).await;
            let mut worker = Worker::default();
            let mut connection = Reopening::new(target.address);
            for turn in 0..extent.repeat {
                // The first stream on a connection also pays for the gateway's accept and connect.
                let warm = turn > 0 || extent.repeat == 1;
                let one = stream(&mut worker, &mut connection, &target, (extent.chunks, warm));
                let outcome = timeout(extent.longest, one).await.unwrap_or(Err(Failure::Unfinished));
                if outcome.is_err() {
                    connection = Reopening::new(target.address);
                }
                worker.tally.count(outcome);
            }
            worker
        });
    }
    let mut total = Worker::default();
    while let Some(worker) = workers.join_next().await {
        match worker {
            Ok(worker) => {
                total.tally.absorb(worker.tally);
                total.first.absorb(worker.first);
                total.chunk.absorb(worker.chunk);
            }
            Err(_) => total.tally.count(Err(Failure::Unfinished)),
        }
    }
    json!({
        "mode": "streams",
        "streams": extent.streams,
        "good": total.tally.good(),
        "failed": total.tally.failed(),
        "reasons": total.tally.reasons(),
        "chunks": total.chunk.count(),
        "first_chunk": total.first.summary(),
        "per_chunk": total.chunk.summary(),
    })
}

async fn stream(
    worker: &mut Worker,
    connection: &mut Reopening,
    target: &Target,
    (chunks, warm): (u64, bool),
) -> Result<(), Failure> {
    let (mut reader, mut seen) = (StampReader::default(), 0);
    connection.connect().await?;
    let sent = monotonic_ns();
    let (first, chunk) = (&mut worker.first, &mut worker.chunk);
    let arrived = |body: &[u8]| {
        let now = monotonic_ns();
        reader.scan(body, |stamp| {
            if seen == 0 && warm {
                first.add(now.saturating_sub(sent));
            }
            seen += 1;
            chunk.add(now.saturating_sub(stamp));
        });
    };
    connection.exchange(&target.request, arrived, |body| check_ending(target.dialect, body)).await?;
    if seen == chunks { Ok(()) } else { Err(Failure::ChunkCount) }
}

/// Whether the stream closes with its dialect's last event.
///
/// # Errors
/// `Failure::Ending`.
pub fn check_ending(dialect: Dialect, body: &[u8]) -> Result<(), Failure> {
    let text = body.trim_ascii_end();
    let last = text.get(memchr::memrchr(b'\n', text).map_or(0, |at| at + 1)..).unwrap_or_default();
    let good = match dialect {
        Dialect::OpenAi => last == b"data: [DONE]",
        Dialect::Anthropic => last.starts_with(b"data:") && memmem::find(last, b"\"message_stop\"").is_some(),
    };
    if good { Ok(()) } else { Err(Failure::Ending) }
}
