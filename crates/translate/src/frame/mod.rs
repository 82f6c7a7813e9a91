//! Framing of streamed bodies: where one event ends and the next begins.

mod chunk;
mod event_stream;
mod parser;
mod sse;
mod surrogate;

pub(crate) use chunk::payload as chunk_payload;
pub use chunk::{ChunkParser, write_chunk};
pub(crate) use event_stream::write_with_payload;
pub use event_stream::{
    Broken, EventStreamParser, MAX_HEADERS, MAX_MESSAGE, is_exception, write_exception, write_message,
};
pub use parser::FrameParser;
pub use sse::{MAX_EVENT, SseParser, write_data, write_event};
pub use surrogate::Mender;

/// How the frames of a stream are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events: text, a blank line ends each.
    Sse,
    /// `application/vnd.amazon.eventstream`: binary messages with lengths, headers and checksums.
    EventStream,
    /// The same around the events of another wire: see [`ChunkParser`].
    EventStreamChunks,
}

/// One event of a stream, borrowed from the parser's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's bytes exactly as they came, with the blank line or checksum that ended it.
    pub raw: &'a [u8],
    /// The `event:` field, or the message's type; empty when absent.
    pub event: &'a str,
    /// The `data:` field, its lines joined by `\n`, or the message's payload. Empty for a comment.
    pub data: &'a [u8],
}
