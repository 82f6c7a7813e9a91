//! The real binary from outside: framing, protocol, keys, bodies, signals, files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod admin;
mod answers;
mod bedrock;
mod budgets;
mod cache;
mod clouds;
mod command_line;
mod counts;
mod dashboard;
mod egress;
mod events;
mod guards;
mod h2c;
mod keys;
mod lifecycle;
mod logs;
mod media;
mod passthrough;
mod predictions;
mod prices;
mod protocol;
mod providers;
mod records;
mod reload;
mod requests;
mod rules;
mod stage;
mod tls;
mod upgrades;
mod virtual_keys;
