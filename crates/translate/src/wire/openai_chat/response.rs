//! Whole answers of this wire, in both directions.

mod decode;
mod encode;

pub(super) use decode::{bad_json, decode, finish, not_an_answer};
pub(super) use encode::{citation, encode, finish_of, foreign_native, id, refusal_text};
