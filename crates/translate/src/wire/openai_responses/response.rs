//! Whole answers of this wire, in both directions.
//!
//! `shell` is the object around the output, `items` what stands in it: streams write the same.

mod decode;
mod encode;
mod items;
mod shell;

pub(super) use decode::{bad_json, decode, finish, not_an_answer};
pub(super) use encode::{Outcome, encode, outcome};
pub(super) use items::{Made, call, message, refusal, status};
pub(super) use shell::{Shell, Status, answer_id};
