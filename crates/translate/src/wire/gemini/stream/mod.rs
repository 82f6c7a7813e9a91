//! Streams of this wire, in both directions. Every event is a whole `GenerateContentResponse`; there is no
//! terminator. Both halves hold the state of one stream and nothing else.

mod decode;
mod encode;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
