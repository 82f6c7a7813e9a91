//! One parser for whichever framing a stream has: a closed choice, so that the bytes of a stream cost one
//! branch per frame and no call through a pointer.

use super::chunk::{self, ChunkParser};
use super::event_stream::{self, EventStreamParser};
use super::{Frame, Framing, MAX_EVENT, SseParser, write_data, write_event};

/// Cuts a byte stream into frames. See [`SseParser`] and [`EventStreamParser`]: what they promise of cuts
/// and of `raw` holds for each.
#[derive(Debug)]
pub enum FrameParser {
    Sse(SseParser),
    EventStream(EventStreamParser),
    EventStreamChunks(ChunkParser),
}

/// The same for each framing.
macro_rules! each {
    ($parser:expr, $one:ident => $call:expr) => {
        match $parser {
            FrameParser::Sse($one) => $call,
            FrameParser::EventStream($one) => $call,
            FrameParser::EventStreamChunks($one) => $call,
        }
    };
}

impl FrameParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(SseParser::new()),
            Framing::EventStream => Self::EventStream(EventStreamParser::new()),
            Framing::EventStreamChunks => Self::EventStreamChunks(ChunkParser::default()),
        }
    }

    /// How the stream is framed.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match self {
            Self::Sse(_) => Framing::Sse,
            Self::EventStream(_) => Framing::EventStream,
            Self::EventStreamChunks(_) => Framing::EventStreamChunks,
        }
    }

    /// Takes the next bytes. After an overflow, and in a broken stream, they are ignored.
    #[inline]
    pub fn push(&mut self, chunk: &[u8]) {
        each!(self, parser => parser.push(chunk));
    }

    /// The next whole frame of what was pushed.
    #[inline]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        each!(self, parser => parser.next_frame())
    }

    /// As [`Self::next_frame`], at the end of the body: text without its closing blank line is a frame
    /// too, half a binary message is none.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        match self {
            Self::Sse(parser) => parser.finish(),
            Self::EventStream(parser) => parser.finish(),
            Self::EventStreamChunks(parser) => parser.next_frame(),
        }
    }

    /// What is wrong with the stream, for people: no further frames come.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        let reason = match self {
            Self::Sse(parser) if parser.overflowed() => {
                return Some(format!("the provider sent a stream event of more than {MAX_EVENT} bytes"));
            }
            Self::Sse(_) => None,
            Self::EventStream(parser) => parser.broken(),
            Self::EventStreamChunks(parser) => parser.broken(),
        };
        reason.map(|reason| format!("the provider's stream is broken: {reason}"))
    }

    /// Nothing is buffered: [`Self::frame_in`] may read straight from a chunk.
    #[inline]
    pub(crate) fn is_drained(&self) -> bool {
        each!(self, parser => parser.is_drained())
    }

    /// The frame at the beginning of `bytes`, without buffering them. Only for a drained parser. On
    /// `None` the caller must [`Self::push`] these very bytes next.
    #[inline]
    pub(crate) fn frame_in<'a>(&'a mut self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        each!(self, parser => parser.frame_in(bytes))
    }
}

impl Framing {
    /// Appends one event in this framing. Text framings have no word for an exception, and binary ones
    /// none for a comment: what a frame without data says is not written there.
    pub fn write(self, out: &mut Vec<u8>, frame: &Frame<'_>) {
        match self {
            Self::Sse if frame.event.is_empty() && frame.data.starts_with(b"{") => {
                chunk::write_as_sse(out, frame.data);
            }
            Self::Sse if frame.event.is_empty() => write_data(out, frame.data),
            Self::Sse => write_event(out, frame.event, frame.data),
            _ if frame.data.is_empty() => {}
            Self::EventStream | Self::EventStreamChunks if event_stream::is_exception(frame) => {
                event_stream::write_exception(out, frame.event, frame.data);
            }
            Self::EventStream => event_stream::write_message(out, frame.event, frame.data),
            Self::EventStreamChunks => chunk::write_chunk(out, frame.data),
        }
    }
}
