//! Calls of the gateway itself: tokens are fetched over [`http`], media of a prompt by [`fetch`].
//!
//! Requests of callers never go this way. Must not know providers, keys or wires.

pub mod address;
pub mod fetch;
pub mod http;
pub mod media;
