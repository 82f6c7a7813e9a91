//! Framing of streamed bodies: where one event ends and the next begins.

mod sse;
mod surrogate;

pub use sse::{MAX_EVENT, SseParser, write_data, write_event};
pub use surrogate::Mender;

/// One server-sent event, borrowed from the parser's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's bytes exactly as they came, with the blank line that ended it.
    pub raw: &'a [u8],
    /// The `event:` field, empty when absent.
    pub event: &'a str,
    /// The `data:` field, its lines joined by `\n`. Empty for a comment.
    pub data: &'a [u8],
}
