//! Configuration: from text to the one immutable [`Snapshot`] the request path reads.
//!
//! One direction, three shapes. [`document`] turns JSON or YAML into a value with places; [`validate`]
//! reports every structural fault; [`raw`] is what was written; [`compile`] resolves references, checks
//! meaning and makes types that cannot be wrong. [`ConfigHolder`] keeps the current snapshot, reloads it
//! from its [`Origin`] and keeps the old one when the new text is wrong. Nothing here opens a socket.

pub mod access;
pub mod backend;
pub mod cache;
mod check;
pub mod cluster;
mod compile;
mod document;
mod environment;
pub mod expression;
pub mod governance;
pub mod policy;
pub mod prices;
mod problem;
pub mod raw;
mod reference;
mod reload;
pub mod routing;
pub mod schema;
pub mod secrets;
pub mod snapshot;
mod source;
pub mod span;
pub mod stores;
pub mod telemetry;
pub mod traces;
mod validate;
mod watch;

pub use check::{Report, check, summary};
pub use compile::governance::{Known, compile_customer, compile_team, compile_virtual_key, virtual_key_of};
pub use compile::{Loaded, compile, compile_environment};
pub use document::{At, Document, Format};
pub use environment::Environment;
pub use problem::{Position, Problem, did_you_mean, dotted as problem_path};
pub use reference::is_whole as is_reference;
pub use reload::{ConfigHolder, Prepared, ReloadStatus, Text};
pub use snapshot::*;
pub use source::{Layer, Merged, Overlay, Place, Slot, Source, default_app_dir, discover, load, overlay};
pub use watch::WatchGuard;

#[cfg(test)]
mod tests;
