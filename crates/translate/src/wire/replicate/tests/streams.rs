//! What is read of a stream.

use super::super::Replicate;
use crate::frame::{Frame, SseParser};
use crate::ir::{Delta, Event, FailureKind};
use crate::wire::Codec;

/// Events of a stream's bytes, given in pieces of `size`.
pub(super) fn events(body: &[u8], size: usize) -> Vec<Event> {
    let mut parser = SseParser::new();
    let mut decoder = Replicate.stream_decoder();
    let mut out = Vec::new();
    for chunk in body.chunks(size.max(1)) {
        parser.push(chunk);
        while let Some(frame) = parser.next_frame() {
            let _ = decoder.frame(&frame, &mut out);
        }
    }
    decoder.end(&mut out);
    out
}

fn text(events: &[Event]) -> String {
    let deltas = events.iter().filter_map(|event| match event {
        Event::PartDelta { delta: Delta::Text(text), .. } => Some(text.as_str()),
        _ => None,
    });
    deltas.collect()
}

const STREAM: &str = "event: logs\nid: 1:0\ndata: warm\n\nevent: output\nid: 1:1\ndata: The\n\n\
    : hi\n\nevent: output\nid: 1:2\ndata:  answer\ndata: \ndata: is\n\nevent: output\ndata: \n\nevent: done\ndata: {}\n\n";

#[test]
fn pieces_keep_their_spaces_and_lines_at_any_cut() {
    for size in 1..STREAM.len() {
        let events = events(STREAM.as_bytes(), size);
        assert_eq!(text(&events), "The answer\n\nis", "cut every {size}");
        assert!(matches!(events.last(), Some(Event::End)), "{events:?}");
        assert_eq!(events.iter().filter(|event| matches!(event, Event::Finish { .. })).count(), 1);
    }
}

#[test]
fn a_cut_stream_has_no_finish() {
    let cut = STREAM.split("event: done").next().unwrap();
    assert!(!events(cut.as_bytes(), 7).iter().any(|event| matches!(event, Event::Finish { .. })));
}

#[test]
fn errors_and_cancellations_are_failures_and_the_first_one_stands() {
    for (body, message) in [
        (
            "event: error\ndata: {\"detail\":\"broke\"}\n\nevent: done\ndata: {\"reason\":\"error\"}\n\n",
            "broke",
        ),
        ("event: error\ndata: just words\n\n", "just words"),
        ("event: done\ndata: {\"reason\":\"canceled\"}\n\n", "the prediction was canceled"),
        ("event: done\ndata: {\"reason\":\"error\"}\n\n", "the prediction failed without a word why"),
    ] {
        let events = events(body.as_bytes(), 5);
        let failures: Vec<&str> = events
            .iter()
            .filter_map(|event| match event {
                Event::Failure(failure) => Some(failure.message.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(failures, [message], "{body}");
        assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })));
    }
    let body = b"event: error\ndata: {\"detail\":\"The input was flagged as sensitive (E005)\"}\n\n";
    let flagged = events(body, 9);
    assert!(matches!(&flagged[..], [Event::Failure(failure)] if failure.kind == FailureKind::ContentPolicy));
}

#[test]
fn what_is_no_event_of_the_wire_is_skipped() {
    let mut out = Vec::new();
    let mut decoder = Replicate.stream_decoder();
    let frame = Frame { raw: b"data: x", event: "", data: b"x" };
    assert!(decoder.frame(&frame, &mut out).is_err());
    let frame = Frame { raw: b"data: \xff", event: "output", data: b"\xff" };
    assert!(decoder.frame(&frame, &mut out).is_err());
    assert!(out.is_empty());
}
