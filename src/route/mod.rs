//! From path and model to an ordered plan of attempts. Pure lookups: no sockets, no waiting.

pub mod cache;
pub mod endpoint;
pub mod lead;
pub mod model;
pub mod plan;
