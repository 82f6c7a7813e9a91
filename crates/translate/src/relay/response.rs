//! The gateway's own facts put into a relayed answer.

use super::members::Members;
use crate::frame::{Frame, FrameParser, Framing, chunk_payload, write_event, write_with_payload};

const FIELD: &[u8] = b"\"extra_fields\"";

/// Appends `body` to `out` with `"extra_fields":<extra_fields>` before its final `}`; `extra_fields`
/// must be JSON. An answer that already has the member (a gateway behind this one made it) is appended
/// as it is. False, and nothing appended, when the body is no JSON object.
pub fn splice_extra_fields(body: &[u8], extra_fields: &str, out: &mut Vec<u8>) -> bool {
    let Some(close) = closing_brace(body) else { return false };
    if has_extra_fields(body) {
        out.extend_from_slice(body);
        return true;
    }
    let (head, tail) = body.split_at(close);
    insert(head, head.trim_ascii() == b"{", extra_fields, out);
    out.extend_from_slice(tail);
    true
}

/// The same for the object in a frame's data; all other bytes of the frame stay. False, and nothing
/// appended, when the data is no object. Data of several lines is put on one.
pub(super) fn splice_frame(raw: &[u8], framing: Framing, extra_fields: &str, out: &mut Vec<u8>) -> bool {
    let mut parser = FrameParser::new(framing);
    parser.push(raw);
    let Some(frame) = parser.finish() else { return false };
    if framing != Framing::Sse {
        return splice_message(&frame, framing, extra_fields, out);
    }
    let Some(close) = closing_brace(frame.data) else { return false };
    if has_extra_fields(frame.data) {
        out.extend_from_slice(raw);
        return true;
    }
    if let Some(offset) = data_offset(raw, &frame) {
        let (head, tail) = raw.split_at((offset + close).min(raw.len()));
        let is_empty = frame.data.get(..close).unwrap_or_default().trim_ascii() == b"{";
        insert(head, is_empty, extra_fields, out);
        out.extend_from_slice(tail);
        return true;
    }
    let mut json = Vec::with_capacity(frame.data.len() + extra_fields.len() + 32);
    splice_extra_fields(frame.data, extra_fields, &mut json);
    // A line feed in JSON is white space: inside strings it is always escaped.
    json.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    match frame.event {
        "" => crate::frame::write_data(out, &json),
        event => write_event(out, event, &json),
    }
    true
}

/// The same for the payload of a binary message; its headers stay.
fn splice_message(frame: &Frame<'_>, framing: Framing, extra_fields: &str, out: &mut Vec<u8>) -> bool {
    let mut json = Vec::with_capacity(frame.data.len() + extra_fields.len() + 32);
    if !splice_extra_fields(frame.data, extra_fields, &mut json) {
        return false;
    }
    match framing {
        Framing::EventStreamChunks if frame.event.is_empty() => {
            write_with_payload(out, frame.raw, chunk_payload(&json).as_bytes())
        }
        _ => write_with_payload(out, frame.raw, &json),
    }
}

fn insert(head: &[u8], is_empty: bool, extra_fields: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(head);
    if !is_empty {
        out.push(b',');
    }
    out.extend_from_slice(FIELD);
    out.push(b':');
    out.extend_from_slice(extra_fields.as_bytes());
}

/// Where the object's last `}` stands; `None` when the text neither begins nor ends as an object.
fn closing_brace(json: &[u8]) -> Option<usize> {
    let trimmed = json.trim_ascii_end();
    let is_object = trimmed.trim_ascii_start().starts_with(b"{") && trimmed.ends_with(b"}");
    is_object.then(|| trimmed.len().saturating_sub(1))
}

fn has_extra_fields(json: &[u8]) -> bool {
    memchr::memmem::find(json, FIELD).is_some()
        && Members::scan(json).is_ok_and(|members| members.span(json, "extra_fields").is_some())
}

/// Where the frame's data stands in the frame's bytes, when it is one line of them.
fn data_offset(raw: &[u8], frame: &Frame<'_>) -> Option<usize> {
    let base = frame.raw.as_ptr() as usize;
    let offset = (frame.data.as_ptr() as usize).checked_sub(base)?;
    (raw.get(offset..offset.checked_add(frame.data.len())?)? == frame.data && frame.raw.len() == raw.len())
        .then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(body: &str) -> Option<String> {
        let mut out = Vec::new();
        splice_extra_fields(body.as_bytes(), "{\"p\":1}", &mut out).then(|| String::from_utf8(out).unwrap())
    }

    fn frame(raw: &str) -> Option<String> {
        let mut out = Vec::new();
        splice_frame(raw.as_bytes(), Framing::Sse, "{\"p\":1}", &mut out)
            .then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn objects_get_the_member_last_and_keep_their_white_space() {
        assert_eq!(spliced("{\"a\": {} }\n ").unwrap(), "{\"a\": {} ,\"extra_fields\":{\"p\":1}}\n ");
        assert_eq!(spliced(" { } ").unwrap(), " { \"extra_fields\":{\"p\":1}} ");
        assert_eq!(spliced("{}").unwrap(), "{\"extra_fields\":{\"p\":1}}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[]", "null", "\"}\"", "{", "<html>"] {
            assert_eq!(spliced(body), None, "{body}");
        }
    }

    #[test]
    fn extra_fields_of_a_gateway_behind_us_stay() {
        let body = "{\"a\":1,\"extra_fields\":{}}";
        assert_eq!(spliced(body).unwrap(), body);
        let nested = "{\"a\":{\"extra_fields\":{}}}";
        assert_eq!(spliced(nested).unwrap(), "{\"a\":{\"extra_fields\":{}},\"extra_fields\":{\"p\":1}}");
    }

    #[test]
    fn frames_keep_their_other_bytes() {
        let raw = ": x}\r\nevent: stop}\r\ndata:{\"a\":1} \r\nid: }\r\n\r\n";
        let expected = ": x}\r\nevent: stop}\r\ndata:{\"a\":1,\"extra_fields\":{\"p\":1}} \r\nid: }\r\n\r\n";
        assert_eq!(frame(raw).unwrap(), expected);
        assert_eq!(frame("data: {}\n\n").unwrap(), "data: {\"extra_fields\":{\"p\":1}}\n\n");
        assert_eq!(frame("data: [DONE]\n\n"), None);
        assert_eq!(frame(": }\n\n"), None);
    }

    #[test]
    fn data_of_several_lines_is_put_on_one() {
        let expected = "event: e\ndata: {\"a\": 1 ,\"extra_fields\":{\"p\":1}}\n\n";
        assert_eq!(frame("event: e\ndata: {\"a\":\ndata: 1\ndata: }\n\n").unwrap(), expected);
    }
}
