//! When the machine, or the gateway on it, stood still. Limits of seconds are reached by waiting for a processor
//! too; what happened then is told apart from what the gateway did wrong, and is counted.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::gateway;

/// Answers to `/health` that took longer than this are stalls.
const LIMIT: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(100);

/// All stalls of a run.
#[derive(Debug, Default)]
pub struct Stalls(Mutex<Vec<(Instant, Instant)>>);

impl Stalls {
    /// Asks for `/health` again and again until dropped; several times at once, so that each of the gateway's
    /// threads is likely to be asked.
    pub async fn watch(&self, address: SocketAddr) {
        loop {
            let from = Instant::now();
            tokio::time::sleep(EVERY).await;
            let get = || gateway::get(address, "/health");
            let _ = tokio::join!(get(), get(), get(), get());
            if from.elapsed() > EVERY + LIMIT {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push((from, Instant::now()));
            }
        }
    }

    /// There was one between these moments.
    #[must_use]
    pub fn between(&self, from: Instant, until: Instant) -> bool {
        let stalls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stalls.iter().any(|(began, ended)| *began < until && from < *ended)
    }

    /// How many, and the longest in milliseconds.
    #[must_use]
    pub fn summary(&self) -> (usize, u64) {
        let stalls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = stalls.iter().map(|(from, until)| (*until - *from).as_millis()).max().unwrap_or(0);
        (stalls.len(), u64::try_from(longest).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Stalls};

    #[test]
    fn a_stall_concerns_what_it_overlaps() {
        let (stalls, second) = (Stalls::default(), Duration::from_secs(1));
        let now = Instant::now();
        stalls.0.lock().unwrap().push((now + second, now + second * 2));
        assert!(!stalls.between(now, now + second));
        assert!(stalls.between(now, now + second * 3 / 2));
        assert!(!stalls.between(now + second * 2, now + second * 3));
        assert_eq!(stalls.summary(), (1, 1_000));
    }
}
