//! Answers that are given to questions which mean the same, by a real model of embeddings: how often that is right, and that
//! the real binary does it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod lives;
mod model;
mod pairs;
mod seed;
