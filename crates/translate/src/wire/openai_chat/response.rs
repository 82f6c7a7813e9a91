//! Whole answers of this wire, in both directions.

mod decode;
mod encode;

pub(super) use decode::{bad_json, decode, finish, images, not_an_answer};
pub(in crate::wire) use encode::foreign_native;
pub(super) use encode::{MadeIds, encode, finish_of, id, refusal_text};
