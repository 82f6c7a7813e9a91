//! Streamed answers of this wire: frames into events, events into frames.

mod decode;
mod encode;
mod queue;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
