//! Streams of this wire, in both directions. Both halves hold state of one stream and nothing else;
//! neither knows where the bytes come from or go to.

mod calls;
mod decode;
mod encode;
mod left_out;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
