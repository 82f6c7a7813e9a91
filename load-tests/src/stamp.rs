//! Timestamps inside the text of a stream's chunks: `@T<nanoseconds>@`. Text survives every
//! translation, so the client can time each chunk whatever dialect it arrives in.

use memchr::memmem;

const OPEN: &[u8] = b"@T";

/// The text one chunk carries.
pub fn stamped(nanos: u64) -> String {
    format!("@T{nanos}@ ")
}

/// Finds stamps in a body that arrives in pieces.
#[derive(Default)]
pub struct StampReader {
    scanned: usize,
}

impl StampReader {
    /// Calls `found` with each stamp completed since the last call; `body` is the whole body so far.
    pub fn scan(&mut self, body: &[u8], mut found: impl FnMut(u64)) {
        while let Some(rest) = body.get(self.scanned..) {
            let Some(open) = memmem::find(rest, OPEN) else {
                // The mark itself may be cut: keep its first byte for the next call.
                self.scanned = body.len().saturating_sub(OPEN.len() - 1).max(self.scanned);
                return;
            };
            let digits = rest.get(open + OPEN.len()..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'@', digits) else {
                self.scanned += open;
                return;
            };
            if let Some(nanos) = digits.get(..length).and_then(number) {
                found(nanos);
            }
            self.scanned += open + OPEN.len() + length;
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{StampReader, stamped};

    #[test]
    fn every_stamp_is_found_once_at_every_cut() {
        let text = format!("data: {}\n\ndata: {}\n\n tail", stamped(12), stamped(345));
        for cut in 0..=text.len() {
            let mut reader = StampReader::default();
            let mut seen = Vec::new();
            reader.scan(&text.as_bytes()[..cut], |nanos| seen.push(nanos));
            reader.scan(text.as_bytes(), |nanos| seen.push(nanos));
            assert_eq!(seen, [12, 345], "cut at {cut}");
        }
    }

    #[test]
    fn text_that_looks_like_a_mark_is_no_stamp() {
        let mut seen = Vec::new();
        StampReader::default().scan(b"@Tx@ @T@ @T7@", |nanos| seen.push(nanos));
        assert_eq!(seen, [7]);
    }
}
