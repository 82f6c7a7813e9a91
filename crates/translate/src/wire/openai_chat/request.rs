//! Chat requests of this wire, in both directions.
//!
//! `decode` takes what the pivot has a place for and keeps the rest; `turns_in` reads messages;
//! `encode` writes a request for one destination and reports what cannot go there; `turns_out` writes
//! messages, where the order of tool results matters most.

mod decode;
mod encode;
mod json_word;
mod turns_in;
mod turns_out;

pub(in crate::wire) use decode::allowed;
pub(super) use decode::decode;
pub(super) use encode::encode;
pub(in crate::wire) use encode::{CLIENT_TOOLS, MAX_USER, effort_of, fnv1a};
pub(in crate::wire) use json_word::{LINE as JSON_LINE, REASON as JSON_REASON, is_missing as no_json_word};
