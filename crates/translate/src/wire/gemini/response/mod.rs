//! Whole answers of this wire, both ways. A chunk of a stream has the same shape.

mod decode;
mod encode;

pub(super) use decode::{bad_json, decode, not_an_answer};
pub(super) use encode::{encode, response_id};
