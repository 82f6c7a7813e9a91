//! Streamed answers of this wire: frames into events, events into frames.

mod decode;
mod encode;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
