//! Streams of this wire, in both directions.
//!
//! `decode` turns a provider's events into the pivot's; `open` knows its items while they arrive. `encode`
//! turns the pivot's events into a caller's; `row` knows the items that were begun, `bytes` what
//! they look like, `write` the events around them. `adopt` takes over from a provider's events that were relayed.

mod adopt;
mod bytes;
mod decode;
mod encode;
mod left_out;
mod open;
mod row;
mod write;

pub(super) use decode::Decoder;
pub(super) use encode::{Encoder, encode_failure, encode_failure_after};
