//! Streams of this wire, in both directions. Both halves hold state of one stream and nothing else.

mod decode;
mod encode;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
