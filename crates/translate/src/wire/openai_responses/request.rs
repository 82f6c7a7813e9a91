//! Requests of this wire, in both directions.
//!
//! `decode` takes what the pivot has a place for and keeps the rest; `turns_in` gathers items into messages;
//! `tools` reads and writes tools and how they are chosen; `encode` writes a request for one destination and
//! reports what cannot go there; `turns_out` takes messages apart into items.

mod decode;
mod encode;
mod tools;
mod turns_in;
mod turns_out;

pub(super) use decode::decode;
pub(super) use encode::encode;
