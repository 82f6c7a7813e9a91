//! Traces, end to end: the real binary, and collectors made of OTLP's official messages and service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod attributes;
mod collector;
mod context;
mod trouble;
