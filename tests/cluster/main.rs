//! Several gateways and a real Redis: leases, what they tell each other, and what becomes of them without it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod support;

mod budgets;
mod script;
mod server;
mod settings;
mod stage;
mod targets;
