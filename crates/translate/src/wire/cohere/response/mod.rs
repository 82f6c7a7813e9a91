//! Whole answers of this wire, in both directions.

mod decode;
mod encode;

pub(super) use decode::{bad_json, cite, decode, not_an_answer, plan};
pub(super) use encode::encode;
