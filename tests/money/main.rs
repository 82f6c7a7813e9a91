//! Money, seen from outside: the real gateway between callers and a provider that keeps a bill of its own.
//!
//! Nothing here knows how the gateway counts. The provider decides how many tokens each answer has, adds up what they
//! cost at its own prices, and what the gateway says, charges and refuses is held against that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// As the binary has it: one test measures memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod bill;
mod books;
mod budgets;
mod endings;
mod limits;
mod lives;
mod memory;
mod shop;
mod stage;
mod ways;
mod wires;
