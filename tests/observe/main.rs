//! What watches the gateway, as it is deployed: a real Prometheus scrapes the real binary under traffic, and everything in
//! `deploy/` that asks it something gets an answer; a real push gateway takes what is pushed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod deployed;
mod files;
mod pushed;
mod scraped;
mod servers;
mod traffic;
