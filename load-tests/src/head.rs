//! What both sides need of an HTTP/1.1 head: its first line, how the body is framed, whether the
//! connection stays open. Not a general parser: everything else in the head is skipped.

use memchr::memmem;

/// A head that arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The request or status line, without its line end.
    pub first_line: &'a str,
    /// How the body is framed.
    pub framing: Framing,
    /// The sender announced `Connection: close`.
    pub closes: bool,
    /// Bytes of the head, its empty line included.
    pub length: usize,
}

/// How the body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Content-Length`.
    Length(usize),
    /// Neither header.
    Unstated,
}

/// Reads the head at the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// The head is not UTF-8, or a Content-Length is no number.
pub fn read(bytes: &[u8]) -> Result<Option<Head<'_>>, &'static str> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(|_| "head is not text")?;
    let mut lines = text.split("\r\n");
    let first_line = lines.next().unwrap_or_default();
    let mut head = Head { first_line, framing: Framing::Unstated, closes: false, length: end + 4 };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("header without a colon")?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.framing = Framing::Length(value.parse().map_err(|_| "bad Content-Length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            head.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            head.closes = true;
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::{Framing, read};

    #[test]
    fn reads_framing_and_length() {
        let bytes = b"POST /x HTTP/1.1\r\nhost: a\r\nCONTENT-LENGTH: 3\r\nConnection: close\r\n\r\nabc";
        let head = read(bytes).unwrap().unwrap();
        assert_eq!(head.first_line, "POST /x HTTP/1.1");
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.closes);
        assert_eq!(&bytes[head.length..], b"abc");
        let chunked = read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap().unwrap();
        assert_eq!(chunked.framing, Framing::Chunked);
    }

    #[test]
    fn a_cut_head_is_incomplete_and_a_bad_one_an_error() {
        assert_eq!(read(b"POST / HTTP/1.1\r\nhost: a\r\n"), Ok(None));
        assert!(read(b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(read(b"GET / HTTP/1.1\r\nno colon\r\n\r\n").is_err());
    }
}
