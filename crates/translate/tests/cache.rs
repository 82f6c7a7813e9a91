//! What the cache rests on, from outside of the crate: the published fingerprints, the guards over the labelled
//! pairs, and kept answers of every golden exchange.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "broken test data may panic"
)]

#[path = "goldens/exchange.rs"]
#[allow(dead_code, reason = "what is expected of an exchange is tested elsewhere")]
mod exchange;
#[path = "cache/pairs.rs"]
mod pairs;
#[path = "cache/stored.rs"]
mod stored;
#[path = "cache/vectors.rs"]
mod vectors;
