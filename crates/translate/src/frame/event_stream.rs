//! `application/vnd.amazon.eventstream`: binary messages with lengths, headers and checksums.
//!
//! The parser exists because a broken length or checksum must be an error of the stream, told once, and
//! never a panic or an allocation of what a hostile length asks for. It must not interpret payloads.
//!
//! One message, numbers big-endian: u32 total length, u32 length of the headers, u32 CRC-32 of these
//! eight bytes, headers, payload, u32 CRC-32 of everything before it. One header: u8 length of the name,
//! the name, u8 type, the value; the types that name messages are strings: u16 length, text.

use super::Frame;

#[cfg(test)]
mod tests;

/// Most bytes of one message: the format's own limit.
pub const MAX_MESSAGE: usize = 24 * 1024 * 1024;
/// Most bytes of a message's headers: the format's own limit.
pub const MAX_HEADERS: usize = 128 * 1024;

/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// A message without headers and payload.
const LEAST: usize = PRELUDE + CHECKSUM;
const CHECKSUM: usize = 4;

/// Buffers that grew beyond this are given back once they are empty.
const KEPT_CAPACITY: usize = 64 * 1024;

/// The header type of text.
const TEXT: u8 = 7;
const JSON: &str = "application/json";

/// Why a stream cannot be read on. Where its next message begins is not known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("the checksum of a message's lengths is wrong")]
    PreludeChecksum,
    #[error("a message's checksum is wrong")]
    Checksum,
    #[error("a message's lengths are impossible or above the format's limits")]
    Length,
    #[error("a message's headers cannot be read")]
    Headers,
}

/// Cuts a byte stream into messages.
///
/// Where the cuts between pushes fall changes nothing about the frames. `raw` is the whole message,
/// `event` its `:event-type`, or its `:exception-type` or `:error-code` ([`is_exception`] tells), `data`
/// its payload. The data of an exception is never empty: without a payload it is the `:error-message`,
/// or an empty JSON object.
#[derive(Debug, Default)]
pub struct EventStreamParser {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that earlier frames consumed.
    consumed: usize,
    /// The current message's length, once its prelude was checked.
    length: Option<usize>,
    broken: Option<Broken>,
}

impl EventStreamParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes. In a broken stream they are ignored.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.consumed >= self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_CAPACITY);
        } else if self.consumed > 0 {
            self.buffer.drain(..self.consumed);
        }
        self.consumed = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message of what was pushed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let Self { buffer, consumed, length, broken } = self;
        let frame = message(buffer.get(*consumed..).unwrap_or_default(), length, broken)?;
        *consumed += frame.raw.len();
        Some(frame)
    }

    /// As [`Self::next_frame`]: half a message at the end of the body is none.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        self.next_frame()
    }

    /// What is wrong with the stream: no further frames come.
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// Nothing is buffered: [`Self::frame_in`] may read straight from a chunk.
    pub(crate) fn is_drained(&self) -> bool {
        self.consumed >= self.buffer.len()
    }

    /// The message at the beginning of `bytes`, without buffering them. Only for a drained parser. On
    /// `None` the caller must [`Self::push`] these very bytes next: a checked prelude is remembered.
    pub(crate) fn frame_in<'a>(&mut self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        message(bytes, &mut self.length, &mut self.broken)
    }
}

/// Appends an event with a JSON payload. Nothing is appended when it is longer than [`MAX_MESSAGE`].
pub fn write_message(out: &mut Vec<u8>, event_type: &str, payload: &[u8]) {
    write(out, &[(":event-type", event_type), (":content-type", JSON), (":message-type", "event")], payload);
}

/// Appends an exception with a JSON payload, as [`write_message`] does an event.
pub fn write_exception(out: &mut Vec<u8>, exception_type: &str, payload: &[u8]) {
    let kind = (":exception-type", exception_type);
    write(out, &[kind, (":content-type", JSON), (":message-type", "exception")], payload);
}

/// Appends the message `raw` with another payload; its headers stay as they are. False, and nothing
/// appended, when `raw` is no message or the new one would be too long.
pub(crate) fn write_with_payload(out: &mut Vec<u8>, raw: &[u8], payload: &[u8]) -> bool {
    let headers = split(raw).map(|(headers, _)| headers);
    headers.is_some_and(|headers| {
        framed(out, headers.len(), payload, |out| out.extend_from_slice(headers)).is_some()
    })
}

/// Whether the frame is an exception or an error: by its headers, or, for a frame that was made of text,
/// by the ending that all names of exceptions have.
#[must_use]
pub fn is_exception(frame: &Frame<'_>) -> bool {
    frame.event.ends_with("Exception")
        || split(frame.raw)
            .and_then(|(headers, _)| Named::read(headers))
            .is_some_and(|named| named.is_exception())
}

/// The message at the beginning of `bytes`.
fn message<'a>(
    bytes: &'a [u8],
    length: &mut Option<usize>,
    broken: &mut Option<Broken>,
) -> Option<Frame<'a>> {
    if broken.is_some() {
        return None;
    }
    let known = match *length {
        Some(known) => known,
        None => match prelude(bytes)? {
            Ok(known) => *length.insert(known),
            Err(reason) => {
                *broken = Some(reason);
                return None;
            }
        },
    };
    let raw = bytes.get(..known)?;
    *length = None;
    match frame(raw) {
        Ok(frame) => Some(frame),
        Err(reason) => {
            *broken = Some(reason);
            None
        }
    }
}

/// The length of the message that begins here; `None` until its prelude is there.
fn prelude(bytes: &[u8]) -> Option<Result<usize, Broken>> {
    let prelude = bytes.get(..PRELUDE)?;
    let (total, headers) = (number(prelude, 0)?, number(prelude, 4)?);
    if number(prelude, 8)? != crc32fast::hash(prelude.get(..8)?) {
        return Some(Err(Broken::PreludeChecksum));
    }
    let (total, headers) = (total as usize, headers as usize);
    let possible = total <= MAX_MESSAGE && headers <= MAX_HEADERS && total >= LEAST + headers;
    Some(if possible { Ok(total) } else { Err(Broken::Length) })
}

/// The frame of one whole message.
fn frame(raw: &[u8]) -> Result<Frame<'_>, Broken> {
    let (checked, checksum) = raw.split_at_checked(raw.len() - CHECKSUM).ok_or(Broken::Length)?;
    if number(checksum, 0) != Some(crc32fast::hash(checked)) {
        return Err(Broken::Checksum);
    }
    let (headers, payload) = split(raw).ok_or(Broken::Length)?;
    let named = Named::read(headers).ok_or(Broken::Headers)?;
    let data = match payload {
        [] if named.is_exception() => match named.error_message {
            "" => b"{}",
            text => text.as_bytes(),
        },
        payload => payload,
    };
    Ok(Frame { raw, event: named.name, data })
}

/// Headers and payload of a whole message.
fn split(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let headers = number(raw, 4)? as usize;
    let inside = raw.get(PRELUDE..raw.len().checked_sub(CHECKSUM)?)?;
    inside.split_at_checked(headers)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// The headers that name a message.
#[derive(Debug, Default)]
struct Named<'a> {
    message_type: &'a str,
    /// `:event-type`, `:exception-type` or `:error-code`.
    name: &'a str,
    error_message: &'a str,
}

impl<'a> Named<'a> {
    /// `None` when they are not well formed.
    fn read(headers: &'a [u8]) -> Option<Self> {
        let mut named = Self::default();
        let mut rest = headers;
        while let Some((length, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(usize::from(*length))?;
            let (kind, after) = after.split_first()?;
            let (value, after) = value(*kind, after)?;
            rest = after;
            let place = match name {
                b":message-type" => &mut named.message_type,
                b":event-type" | b":exception-type" | b":error-code" => &mut named.name,
                b":error-message" => &mut named.error_message,
                _ => continue,
            };
            *place = std::str::from_utf8(value).ok().filter(|_| *kind == TEXT)?;
        }
        Some(named)
    }

    fn is_exception(&self) -> bool {
        matches!(self.message_type, "exception" | "error")
    }
}

/// A header's value, and what stands behind it.
fn value(kind: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | TEXT => {
            let (length, rest) = bytes.split_first_chunk()?;
            return rest.split_at_checked(usize::from(u16::from_be_bytes(*length)));
        }
        _ => return None,
    };
    bytes.split_at_checked(length)
}

fn write(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    let length = headers.iter().map(|(name, value)| 4 + name.len() + text(value).len()).sum();
    framed(out, length, payload, |out| {
        for (name, value) in headers {
            let value = text(value);
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
            out.push(TEXT);
            out.extend_from_slice(&(value.len() as u16).to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    });
}

/// As much of a header's text as its length can say.
fn text(value: &str) -> &str {
    value.get(..value.floor_char_boundary(usize::from(u16::MAX))).unwrap_or_default()
}

/// Writes one message whose headers, of the given length, come from `headers`.
fn framed(
    out: &mut Vec<u8>,
    length: usize,
    payload: &[u8],
    headers: impl FnOnce(&mut Vec<u8>),
) -> Option<()> {
    let total = LEAST.checked_add(length)?.checked_add(payload.len())?;
    if total > MAX_MESSAGE || length > MAX_HEADERS {
        return None;
    }
    let begun = out.len();
    out.reserve(total);
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(length as u32).to_be_bytes());
    let checksum = crc32fast::hash(out.get(begun..)?);
    out.extend_from_slice(&checksum.to_be_bytes());
    headers(out);
    out.extend_from_slice(payload);
    let checksum = crc32fast::hash(out.get(begun..)?);
    out.extend_from_slice(&checksum.to_be_bytes());
    Some(())
}
