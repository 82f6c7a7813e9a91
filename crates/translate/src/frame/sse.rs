//! Server-sent events, as the WHATWG describes them, over bytes cut anywhere.
//!
//! The parser exists because providers send every legal variant (CR LF, comments as keep-alives,
//! `data:` without a space, code points split across reads). It must not interpret the data, and it
//! must not lose a byte: the `raw` parts of its frames, put together, are the input.

use memchr::memchr2;

use super::Frame;

#[cfg(test)]
mod tests;

/// Most bytes of one event; a longer one is an overflow, not an allocation.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;

/// Buffers that grew beyond this are given back once they are empty.
const KEPT_CAPACITY: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Cuts a byte stream into frames.
///
/// Where the cuts between pushes fall changes nothing about the frames. A CR at the very end of what
/// was pushed is undecided until the next byte, or the end, tells whether it is half of a CR LF.
#[derive(Debug, Default)]
pub struct SseParser {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that earlier frames consumed.
    consumed: usize,
    scan: Scan,
    /// Where data of several lines is joined.
    joined: Vec<u8>,
    /// The first frame was given out: no byte order mark can follow.
    begun: bool,
    overflowed: bool,
}

impl SseParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes. After an overflow they are ignored.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.overflowed {
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

    /// The next whole frame of what was pushed. Blank lines without an event become the beginning of
    /// the next frame's `raw`.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.pull(false)
    }

    /// As [`Self::next_frame`], at the end of the body: an event without its closing blank line is a
    /// frame too (its `raw` ends where the body did). Call it until it answers `None`.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        self.pull(true)
    }

    /// An event was longer than [`MAX_EVENT`]: no further frames come.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Nothing is buffered: [`Self::frame_in`] may read straight from a chunk.
    pub(crate) fn is_drained(&self) -> bool {
        self.consumed >= self.buffer.len()
    }

    /// The frame at the beginning of `bytes`, without buffering them. Only for a drained parser. On
    /// `None` the caller must [`Self::push`] these very bytes next: what was scanned is remembered.
    pub(crate) fn frame_in<'a>(&'a mut self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        if self.overflowed {
            return None;
        }
        let length = self.scan.advance(bytes, self.begun, false);
        let raw = within_limit(bytes, length, &mut self.overflowed)?;
        self.begun = true;
        Some(std::mem::take(&mut self.scan).frame(raw, &mut self.joined))
    }

    fn pull(&mut self, at_end: bool) -> Option<Frame<'_>> {
        if self.overflowed {
            return None;
        }
        let pending = self.buffer.get(self.consumed..).unwrap_or_default();
        let length = self.scan.advance(pending, self.begun, at_end);
        let raw = within_limit(pending, length, &mut self.overflowed)?;
        self.consumed += raw.len();
        self.begun = true;
        Some(std::mem::take(&mut self.scan).frame(raw, &mut self.joined))
    }
}

/// Appends `data: <json>\n\n`.
pub fn write_data(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
}

/// Appends `event: <name>\ndata: <json>\n\n`.
pub fn write_event(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\n");
    write_data(out, json);
}

/// The frame's bytes, or the overflow flag when it (or what there is of it) is too long.
fn within_limit<'a>(pending: &'a [u8], length: Option<usize>, overflowed: &mut bool) -> Option<&'a [u8]> {
    if length.unwrap_or(pending.len()) > MAX_EVENT {
        *overflowed = true;
        return None;
    }
    pending.get(..length?)
}

/// How far the current frame was read. All offsets count from the frame's first byte.
#[derive(Debug, Default)]
struct Scan {
    line_start: usize,
    /// No line end lies before this offset of the current line: it is not searched twice.
    searched: usize,
    /// A line that is not blank was seen.
    any: bool,
    event: Option<Span>,
    /// The first data line.
    data: Option<Span>,
    /// More data lines followed.
    several: bool,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.from..self.to).unwrap_or_default()
    }
}

/// A line that means something to us.
enum Line {
    Blank,
    Event(Span),
    Data(Span),
    Other,
}

impl Scan {
    /// Reads lines until one ends the frame; its length, or `None` when more bytes are needed.
    fn advance(&mut self, bytes: &[u8], begun: bool, at_end: bool) -> Option<usize> {
        while let Some((line_end, next)) = self.line_end(bytes, at_end) {
            let ends = self.take_line(bytes, line_end, begun);
            self.line_start = next;
            self.searched = next;
            if ends {
                return Some(next);
            }
        }
        if !at_end || bytes.is_empty() {
            return None;
        }
        if self.line_start < bytes.len() {
            self.take_line(bytes, bytes.len(), begun);
        }
        Some(bytes.len())
    }

    /// Where the current line ends, and where the next one begins.
    fn line_end(&mut self, bytes: &[u8], at_end: bool) -> Option<(usize, usize)> {
        let Some(found) = memchr2(b'\n', b'\r', bytes.get(self.searched..).unwrap_or_default()) else {
            self.searched = bytes.len();
            return None;
        };
        let end = self.searched + found;
        if bytes.get(end) == Some(&b'\n') {
            return Some((end, end + 1));
        }
        match bytes.get(end + 1) {
            Some(b'\n') => Some((end, end + 2)),
            Some(_) => Some((end, end + 1)),
            None if at_end => Some((end, end + 1)),
            None => {
                self.searched = end;
                None
            }
        }
    }

    /// Notes one line. True when it is the blank line that ends the frame.
    fn take_line(&mut self, bytes: &[u8], end: usize, begun: bool) -> bool {
        match line(bytes, Span { from: self.line_start, to: end }, begun) {
            Line::Blank => return self.any,
            Line::Event(value) => self.event = Some(value),
            Line::Data(_) if self.data.is_some() => self.several = true,
            Line::Data(value) => self.data = Some(value),
            Line::Other => {}
        }
        self.any = true;
        false
    }

    fn frame<'a>(self, raw: &'a [u8], joined: &'a mut Vec<u8>) -> Frame<'a> {
        let event = self.event.map_or("", |span| std::str::from_utf8(span.of(raw)).unwrap_or_default());
        let first = self.data.map_or(&[][..], |span| span.of(raw));
        if !self.several {
            return Frame { raw, event, data: first };
        }
        let from = self.data.map_or(0, |span| span.to);
        join(raw, from, first, joined);
        Frame { raw, event, data: joined }
    }
}

/// Sorts one line. Only the stream's first line may begin with a byte order mark.
fn line(bytes: &[u8], span: Span, begun: bool) -> Line {
    let mut from = span.from;
    let mut text = span.of(bytes);
    if from == 0
        && !begun
        && let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK)
    {
        from += BYTE_ORDER_MARK.len();
        text = rest;
    }
    if text.is_empty() {
        return Line::Blank;
    }
    let value = |name: &str| -> Option<Span> {
        let rest = text.strip_prefix(name.as_bytes())?;
        match rest {
            [] => Some(Span { from: span.to, to: span.to }),
            [b':', b' ', ..] => Some(Span { from: from + name.len() + 2, to: span.to }),
            [b':', ..] => Some(Span { from: from + name.len() + 1, to: span.to }),
            _ => None,
        }
    };
    match (value("data"), value("event")) {
        (Some(data), _) => Line::Data(data),
        (None, Some(event)) => Line::Event(event),
        (None, None) => Line::Other,
    }
}

/// Joins the data lines that follow the first one. The rare path.
fn join(raw: &[u8], from: usize, first: &[u8], joined: &mut Vec<u8>) {
    joined.clear();
    joined.shrink_to(KEPT_CAPACITY);
    joined.extend_from_slice(first);
    let mut scan = Scan { line_start: from, searched: from, ..Scan::default() };
    while let Some((end, next)) = scan.line_end(raw, true) {
        append_data(raw, Span { from: scan.line_start, to: end }, joined);
        scan.line_start = next;
        scan.searched = next;
    }
    append_data(raw, Span { from: scan.line_start, to: raw.len() }, joined);
}

fn append_data(raw: &[u8], span: Span, joined: &mut Vec<u8>) {
    if let Line::Data(value) = line(raw, span, true) {
        joined.push(b'\n');
        joined.extend_from_slice(value.of(raw));
    }
}
