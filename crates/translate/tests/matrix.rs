//! Every dialect against every wire: what a caller asked reaches the provider, what the provider answered
//! reaches the caller, and what differs was reported.
//!
//! `golden` takes the bodies of the golden exchanges through all pairs; `table` takes one feature after the
//! other through all pairs and writes `docs/translation.md` (`BIFROST_BLESS=1`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::too_many_lines, reason = "the features are lists")]

#[path = "goldens/exchange.rs"]
#[allow(dead_code, reason = "the replay of the goldens uses the rest")]
mod exchange;
#[path = "matrix/features.rs"]
mod features;
#[path = "matrix/golden.rs"]
mod golden;
#[path = "matrix/pair.rs"]
mod pair;
#[path = "matrix/reading.rs"]
mod reading;
#[path = "matrix/table.rs"]
mod table;

use translate::Wire;

fn wires() -> Vec<Wire> {
    Wire::ALL.to_vec()
}
