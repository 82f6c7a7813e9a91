//! Chunked transfer coding, read piece by piece. Strict: a body that ends without its last chunk, or
//! whose framing is wrong, is a failure the bench must see, not something to be lenient about.

/// Where the reader is in the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    Body(usize),
    BodyEnd,
    Trailer,
    Done,
}

/// An incremental decoder of one chunked body.
#[derive(Debug)]
pub struct ChunkedReader {
    at: At,
    line: Vec<u8>,
}

impl Default for ChunkedReader {
    fn default() -> Self {
        Self { at: At::Size, line: Vec::new() }
    }
}

impl ChunkedReader {
    /// Whether the last chunk and the trailer's empty line were read.
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Decodes `input` into `body` and returns how many bytes of `input` belong to this message.
    ///
    /// # Errors
    /// The framing is not chunked coding.
    pub fn feed(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, &'static str> {
        let mut rest = input;
        while self.at != At::Done && !rest.is_empty() {
            rest = match self.at {
                At::Body(left) => self.take_body(left, rest, body),
                At::Size | At::BodyEnd | At::Trailer => self.take_line(rest)?,
                At::Done => break,
            };
        }
        Ok(input.len() - rest.len())
    }

    fn take_body<'a>(&mut self, left: usize, input: &'a [u8], body: &mut Vec<u8>) -> &'a [u8] {
        let (now, rest) = input.split_at(left.min(input.len()));
        body.extend_from_slice(now);
        self.at = if now.len() == left { At::BodyEnd } else { At::Body(left - now.len()) };
        rest
    }

    fn take_line<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.line.extend_from_slice(input);
            return if self.line.len() > 1024 { Err("chunk line too long") } else { Ok(&[]) };
        };
        let (now, rest) = input.split_at(end + 1);
        self.line.extend_from_slice(now);
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").ok_or("chunk line without CRLF")?;
        self.at = match self.at {
            At::BodyEnd if line.is_empty() => At::Size,
            At::BodyEnd => return Err("chunk longer than its size"),
            At::Trailer if line.is_empty() => At::Done,
            At::Trailer => At::Trailer,
            _ => match size(line).ok_or("bad chunk size")? {
                0 => At::Trailer,
                bytes => At::Body(bytes),
            },
        };
        Ok(rest)
    }
}

fn size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::ChunkedReader;

    const MESSAGE: &[u8] = b"3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nNEXT";

    #[test]
    fn decodes_the_same_at_every_cut() {
        for cut in 0..MESSAGE.len() - 4 {
            let (mut reader, mut body) = (ChunkedReader::default(), Vec::new());
            let first = reader.feed(&MESSAGE[..cut], &mut body).unwrap();
            assert_eq!(first, cut);
            let second = reader.feed(&MESSAGE[cut..], &mut body).unwrap();
            assert!(reader.is_done());
            assert_eq!(body, b"abc0123456789");
            assert_eq!(&MESSAGE[cut + second..], b"NEXT");
        }
    }

    #[test]
    fn wrong_framing_is_an_error_and_a_missing_end_is_not_done() {
        let mut body = Vec::new();
        assert!(ChunkedReader::default().feed(b"zz\r\n", &mut body).is_err());
        assert!(ChunkedReader::default().feed(b"1\r\nab\r\n", &mut body).is_err());
        let mut reader = ChunkedReader::default();
        reader.feed(b"1\r\na\r\n", &mut body).unwrap();
        assert!(!reader.is_done());
    }
}
