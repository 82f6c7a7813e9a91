//! Closed loop, one connection, one request at a time: what a lone caller waits.

use memchr::memmem;
use serde_json::{Value, json};

use super::Target;
use super::connection::Reopening;
use super::tally::{Failure, Tally};
use crate::clock::monotonic_ns;
use crate::mock::answers::MARKER;
use crate::spread::Spread;

/// Sends `warmup` requests uncounted in the spread, then `count`. Failures of both are counted.
pub async fn run(target: &Target, warmup: u64, count: u64) -> Value {
    let (mut tally, mut spread) = (Tally::default(), Spread::default());
    let mut connection = Reopening::new(target.address);
    for turn in 0..warmup + count {
        let sent = monotonic_ns();
        let outcome = connection.exchange(&target.request, |_| (), check_whole).await;
        if outcome.is_ok() && turn >= warmup {
            spread.add(monotonic_ns() - sent);
        }
        tally.count(outcome);
    }
    json!({
        "mode": "latency",
        "good": tally.good(),
        "failed": tally.failed(),
        "reasons": tally.reasons(),
        "connections_opened": connection.opened(),
        "latency": spread.summary(),
    })
}

/// Whether a whole answer is the mock's.
///
/// # Errors
/// `Failure::Body`: the marker is missing.
pub fn check_whole(body: &[u8]) -> Result<(), Failure> {
    memmem::find(body, MARKER.as_bytes()).map(|_| ()).ok_or(Failure::Body)
}
