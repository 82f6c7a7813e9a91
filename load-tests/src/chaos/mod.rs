//! `make chaos`: the gateway between callers that check every answer and providers that misbehave as a
//! seeded schedule says. Nothing here knows how the gateway works; it knows what a caller must see
//! (`docs/faults.md`).
//!
//! `errand` one request and its right answer · `fault`, `script` what goes wrong, and its bytes ·
//! `schedule` when · `provider` does it · `ledger` what was done · `caller` asks · `judge` judges the
//! answer · `explain` judges it by the ledger · `stalls` what was the machine's fault · `soak` runs it all ·
//! `report` tells.

pub mod caller;
pub mod dice;
pub mod errand;
pub mod explain;
pub mod fault;
pub mod gateway;
pub mod judge;
pub mod ledger;
pub mod provider;
pub mod providers;
pub mod report;
pub mod schedule;
pub mod script;
pub mod soak;
pub mod sse;
pub mod stalls;
pub mod wire;
