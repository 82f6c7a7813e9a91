//! The end of a stream, kept back until it is known how the stream ends.
//!
//! Nothing is held before a finish reason was seen: until then every frame goes out at once.

use super::super::response::splice_frame;
use crate::frame::Framing;

/// What waits for the next data frame or for the end.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// One data frame, or nothing.
    last: Vec<u8>,
    /// Comments that came behind it.
    after: Vec<u8>,
    /// The terminator as it came, where it is no data frame itself (`[DONE]`).
    terminator: Vec<u8>,
}

impl Hold {
    /// A data frame: what was held goes out, then this one goes out or is held.
    pub(super) fn data(&mut self, raw: &[u8], hold: bool, out: &mut Vec<u8>) {
        self.flush(out);
        match hold {
            true => self.last.extend_from_slice(raw),
            false => out.extend_from_slice(raw),
        }
    }

    /// A frame without data: it keeps its place behind a held frame.
    pub(super) fn comment(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        match self.last.is_empty() {
            true => out.extend_from_slice(raw),
            false => self.after.extend_from_slice(raw),
        }
    }

    /// The stream's terminator, where it is no data frame.
    pub(super) fn terminator(&mut self, raw: &[u8]) {
        self.terminator.clear();
        self.terminator.extend_from_slice(raw);
    }

    /// Everything held but the terminator: more of the answer, or an error, follows.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.last);
        out.append(&mut self.after);
    }

    /// The end of a whole answer: the held frame with the extra fields, and the terminator, or
    /// `missing` where none came.
    pub(super) fn close(
        &mut self,
        extra_fields: Option<&str>,
        missing: &[u8],
        framing: Framing,
        out: &mut Vec<u8>,
    ) {
        let spliced = extra_fields.is_some_and(|extra| splice_frame(&self.last, framing, extra, out));
        if spliced {
            self.last.clear();
        }
        self.flush(out);
        match self.terminator.is_empty() {
            true => out.extend_from_slice(missing),
            false => out.append(&mut self.terminator),
        }
    }
}
