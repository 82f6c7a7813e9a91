//! Money: what answers cost, and where the prices come from.
//!
//! The arithmetic is `govern::price`; here are the tables, the configured overrides and the clock that
//! refreshes them. Nothing here knows a session, and the request path never waits for a table.

pub mod charge;
pub mod entry;
pub mod estimate;
pub mod ledger;
pub mod meters;
pub mod prices;
pub mod refresh;
pub mod settle;
pub mod show;
pub mod upkeep;
