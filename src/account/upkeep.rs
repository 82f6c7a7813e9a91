//! What meters and books need now and then without a request: owners that are idle are forgotten, and spends that
//! could not be written are tried again.
//!
//! Nothing depends on when this runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::ledger::Books;
use super::meters::{Meters, now_ms};

/// Between two times.
const ROUND: Duration = Duration::from_secs(2);
/// Owners are looked at each so many rounds.
const SWEEP_EACH: u32 = 30;

/// Goes on for as long as the process lives.
pub async fn run(meters: Arc<Meters>, books: Arc<Books>) {
    let mut round = 0_u32;
    loop {
        sleep(ROUND).await;
        books.catch_up();
        round = (round + 1) % SWEEP_EACH;
        if round == 0 {
            meters.sweep(now_ms());
        }
    }
}
