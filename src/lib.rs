//! `bifrost`: an LLM gateway on Pingora.
//!
//! This crate is the IO shell: whatever touches a socket, a clock or a disk. What can be decided
//! without them is in the pure crates `translate` (wires) and `govern` (decisions). ARCHITECTURE.md
//! tells the way of a request through the folders.

pub mod account;
pub mod admin;
pub mod auth;
pub mod background;
pub mod cache;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod credential;
pub mod egress;
pub mod inner;
pub mod mock;
pub mod observe;
pub mod proxy;
pub mod route;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
