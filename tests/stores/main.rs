//! What outlives the process, over SQLite and over a real Postgres: settings, their history, the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod keeping;
mod ledger;
mod outages;
mod request_log;
mod requests;
mod rig;
mod settings;
mod sums;
mod versions;
