//! Each row of the fault table against a scripted upstream: what the caller sees, what the upstream
//! saw, and what the attempt list, the metrics and the log say about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod circuits;
mod compressed;
mod connections;
mod costs;
mod endings;
mod framings;
mod groups;
mod hedging;
mod hedging_http2;
mod large;
mod limits;
mod overload;
mod recovery;
mod rig;
mod silence;
mod standing;
mod statuses;
mod strays;
mod streams;
mod table;
mod together;
mod unsaid;
