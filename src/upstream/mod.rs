//! Towards providers: which key, which address, how to connect.

pub mod ask;
pub mod backend;
pub mod capacity;
pub mod group;
pub mod handover;
pub mod health;
pub mod hedging;
pub mod looked;
pub mod peer;
pub mod resolve;
pub mod select;
pub mod steps;
pub mod target;
mod tunnel;
