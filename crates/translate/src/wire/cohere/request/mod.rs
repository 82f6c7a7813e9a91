//! Chat requests of this wire, in both directions.
//!
//! `decode` reads the fields around the messages, `turns_in` the messages; `encode` writes a request for one
//! destination and reports what cannot go there, with `tools`, `schema` and `reasoning` for what the wire
//! takes a part of; `turns_out` writes the messages.

mod decode;
mod encode;
mod reasoning;
mod schema;
mod tools;
mod turns_in;
mod turns_out;

pub(super) use decode::decode;
pub(super) use encode::encode;
