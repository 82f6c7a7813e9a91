//! The other form of a stream: without `alt=sse` the API answers `:streamGenerateContent` with one JSON array
//! that grows, chunk by chunk. This turns events of the dialect into it, wherever they are cut.
//!
//! Must not look into a chunk: what an event's data is, is the array's next item.

use crate::frame::SseParser;

/// Turns the bytes of an event stream into the bytes of a JSON array.
#[derive(Debug, Default)]
pub struct JsonArray {
    parser: SseParser,
    begun: bool,
    closed: bool,
}

impl JsonArray {
    /// At the start of an answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// More of the event stream; the bytes that may go out now. Comments and empty events make none.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.push(bytes);
        let mut out = Vec::with_capacity(bytes.len());
        while let Some(frame) = self.parser.next_frame() {
            item(&mut self.begun, frame.data, &mut out);
        }
        out
    }

    /// The event stream ended: an event without its blank line, and the end of the array. An answer without
    /// any event is an empty array. A second end says nothing: a stream ends with its last event, and again
    /// with its body.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if std::mem::replace(&mut self.closed, true) {
            return out;
        }
        while let Some(frame) = self.parser.finish() {
            item(&mut self.begun, frame.data, &mut out);
        }
        out.extend_from_slice(if self.begun { b"\n]\n" } else { b"[]\n" });
        out
    }
}

/// Google's separators, which clients that read line by line rely on.
fn item(begun: &mut bool, data: &[u8], out: &mut Vec<u8>) {
    let data = data.trim_ascii();
    if data.is_empty() {
        return;
    }
    out.extend_from_slice(if std::mem::replace(begun, true) { b"\n,\r\n" } else { b"[" });
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: {\"a\":1}\n\n: ping\n\ndata: {\"b\":[2]}\r\n\r\ndata: {\"c\":\"ü\"}";

    #[test]
    fn any_cut_of_the_stream_makes_the_same_array() {
        let whole = carried(STREAM.as_bytes(), STREAM.len());
        assert_eq!(whole, "[{\"a\":1}\n,\r\n{\"b\":[2]}\n,\r\n{\"c\":\"ü\"}\n]\n");
        for size in 1..STREAM.len() {
            assert_eq!(carried(STREAM.as_bytes(), size), whole);
        }
        let value: serde_json::Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(value.as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn an_item_goes_out_as_soon_as_its_event_is_whole() {
        let mut array = JsonArray::new();
        assert_eq!(array.push(b"data: {}\n\ndata: {"), b"[{}");
        assert_eq!(array.push(b"}\n\n"), b"\n,\r\n{}");
    }

    #[test]
    fn nothing_at_all_is_an_empty_array() {
        assert_eq!(carried(b": hello\n\n", 100), "[]\n");
    }

    #[test]
    fn a_stream_that_ends_twice_closes_the_array_once() {
        let mut array = JsonArray::new();
        array.push(b"data: {}\n\n");
        assert_eq!(array.finish(), b"\n]\n");
        assert_eq!(array.finish(), b"");
    }

    fn carried(bytes: &[u8], size: usize) -> String {
        let mut array = JsonArray::new();
        let mut out: Vec<u8> = bytes.chunks(size).flat_map(|chunk| array.push(chunk)).collect();
        out.extend(array.finish());
        String::from_utf8(out).unwrap()
    }
}
