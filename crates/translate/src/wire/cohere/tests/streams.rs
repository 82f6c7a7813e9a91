//! Streams, read and written.

use serde_json::{Value, json};

use super::super::Cohere;
use super::sdk::accumulate;
use super::{decode_lines, encode_events, lost};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, FailureKind, Finish, FinishReason, PartKind, Signature, Usage};
use crate::wire::{Codec, Dialect, FrameVerdict, Observation};

const STREAM: &str = r#"
    {"id":"i","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}
    {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}}
    {"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"Hm."}}}}
    {"type":"content-end","index":0}
    {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I "}}}
    {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"look."}}}
    {"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c","type":"function","function":{"name":"f","arguments":""}}}}}
    {"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{}"}}}}}
    {"type":"tool-call-end","index":0}
    {"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":1,"output_tokens":2}}}}
    [DONE]"#;

fn start(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::PartDelta { choice: 0, part, delta }
}

fn stop(part: u32) -> Event {
    Event::PartStop { choice: 0, part }
}

fn finish(word: &str) -> Event {
    let finish =
        Finish { reason: FinishReason::Stop, native: word.into(), stop_sequence: None, details: None };
    Event::Finish { choice: 0, finish }
}

#[test]
fn events_come_in_the_order_of_the_wire() {
    let usage = Usage { input_uncached: 1, output: 2, ..Usage::default() };
    let tool = Finish {
        reason: FinishReason::ToolCalls,
        native: "TOOL_CALL".into(),
        stop_sequence: None,
        details: None,
    };
    let expected = [
        Event::Start { id: "i".into(), model: String::new(), created: None },
        start(0, PartKind::Thinking),
        delta(0, Delta::Thinking("Hm.".into())),
        stop(0),
        start(1, PartKind::Text),
        delta(1, Delta::Text("I ".into())),
        delta(1, Delta::Text("look.".into())),
        stop(1),
        start(2, PartKind::ToolCall { id: "c".into(), name: "f".into() }),
        delta(2, Delta::Arguments("{}".into())),
        stop(2),
        Event::Usage(usage),
        Event::Finish { choice: 0, finish: tool },
        Event::End,
    ];
    assert_eq!(decode_lines(STREAM), expected);
}

#[test]
fn an_observer_counts_what_a_decoder_tells() {
    let mut seen = Observation::default();
    for line in STREAM.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let frame = Frame { raw: line.as_bytes(), event: "", data: line.as_bytes() };
        let verdict = Cohere.observe_frame(&frame, &mut seen);
        let expected = if line == "[DONE]" { FrameVerdict::Terminator } else { FrameVerdict::Relay };
        assert_eq!(verdict, expected, "{line}");
    }
    assert_eq!((seen.finish, seen.tool_call, seen.done), (Some(FinishReason::ToolCalls), true, true));
    assert_eq!((seen.output_chars, seen.usage.unwrap().output), (12, 2));
}

#[test]
fn a_stream_read_and_written_is_the_same_message() {
    let (written, losses) = encode_events(&decode_lines(STREAM));
    assert!(lost(&losses).is_empty());
    let message = accumulate(&written).unwrap();
    assert_eq!(message["message"]["content"][0]["thinking"], "Hm.");
    assert_eq!(message["message"]["content"][1]["text"], "I look.");
    assert_eq!(message["message"]["tool_calls"][0]["id"], "c");
    assert_eq!((&message["id"], &message["finish_reason"]), (&json!("i"), &json!("TOOL_CALL")));
    assert_eq!(message["usage"]["billed_units"], json!({"input_tokens": 1, "output_tokens": 2}));
}

#[test]
fn calls_that_arrive_at_once_are_written_one_after_the_other() {
    let call = |id: &str| PartKind::ToolCall { id: id.into(), name: "f".into() };
    let events = [
        start(0, PartKind::Text),
        delta(0, Delta::Text("t".into())),
        start(1, call("a")),
        start(2, call("")),
        delta(2, Delta::Arguments("{\"b\":".into())),
        delta(1, Delta::Arguments("{\"a\":1}".into())),
        delta(2, Delta::Arguments("2}".into())),
        stop(1),
        stop(2),
        finish("stop"),
        Event::End,
    ];
    let message = accumulate(&encode_events(&events).0).unwrap();
    let calls = &message["message"]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(calls[1]["function"]["arguments"], "{\"b\":2}");
    assert_eq!((&calls[1]["id"], &message["finish_reason"]), (&json!("call_u1_1"), &json!("TOOL_CALL")));
}

#[test]
fn a_citation_repeats_the_words_it_cites() {
    let cited = Citation {
        url: Some("https://x".into()),
        title: Some("T".into()),
        start: Some(1),
        end: Some(3),
        ..Citation::of(Wire::OpenAiChat, Value::Null)
    };
    let events = [
        start(0, PartKind::Text),
        delta(0, Delta::Text("aé".into())),
        delta(0, Delta::Text("çd".into())),
        delta(0, Delta::Citation(Box::new(cited))),
        stop(0),
        finish("stop"),
        Event::End,
    ];
    let message = accumulate(&encode_events(&events).0).unwrap();
    assert_eq!(message["message"]["citations"][0]["text"], "éç");
}

#[test]
fn another_makers_signature_waits_in_the_block() {
    let events = [
        start(0, PartKind::Thinking),
        delta(0, Delta::Signature(Signature::of(Wire::Gemini, "S"))),
        stop(0),
        finish("stop"),
        Event::End,
    ];
    let message = accumulate(&encode_events(&events).0).unwrap();
    assert_eq!(message["message"]["content"][0]["signature"], "bifrost:gemini:S");
}

#[test]
fn a_fault_inside_a_stream_is_a_failure() {
    let line =
        r#"{"type":"message-end","delta":{"error":"the model is overloaded","finish_reason":"ERROR"}}"#;
    let events = decode_lines(line);
    let Some(Event::Failure(failure)) = events.last() else { panic!("{events:?}") };
    assert_eq!(failure.kind, FailureKind::Overloaded);
    let mut seen = Observation::default();
    let frame = Frame { raw: b"", event: "message-end", data: line.as_bytes() };
    assert_eq!(Cohere.observe_frame(&frame, &mut seen), FrameVerdict::Failure);
    assert_eq!(seen.failure.as_ref(), Some(failure));
    let written = Cohere.encode_stream_failure(failure, "r");
    assert!(accumulate(&String::from_utf8(written).unwrap()).is_ok());
}

#[test]
fn a_frame_that_is_no_event_changes_nothing() {
    let mut decoder = Cohere.stream_decoder();
    let mut out = Vec::new();
    for data in ["x", "[]", "{}", "3", "{\"type\":"] {
        let frame = Frame { raw: data.as_bytes(), event: "", data: data.as_bytes() };
        assert!(decoder.frame(&frame, &mut out).is_err(), "{data}");
        let mut seen = Observation::default();
        assert_eq!(Cohere.observe_frame(&frame, &mut seen), FrameVerdict::Invalid, "{data}");
        assert_eq!(seen.skipped, 1);
    }
    assert!(out.is_empty());
}

#[test]
fn a_cut_stream_has_no_finish() {
    let cut: Vec<&str> = STREAM.lines().take(8).collect();
    let events = decode_lines(&cut.join("\n"));
    assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })));
    let (written, _) = encode_events(&[events, vec![Event::End]].concat());
    assert!(!written.contains("[DONE]") && written.contains("\"finish_reason\":\"ERROR\""));
}

/// Run by hand: `cargo test -p translate --release -- --ignored --nocapture cohere_event`.
#[test]
#[ignore = "a measurement"]
fn a_cohere_event_takes_under_three_microseconds() {
    let line = br#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" word"}}}}"#;
    let frame = Frame { raw: line, event: "content-delta", data: line };
    let (mut decoder, mut events) = (Cohere.stream_decoder(), Vec::new());
    let mut encoder = Cohere.stream_encoder(super::echo());
    let (mut out, mut losses) = (Vec::new(), crate::loss::Losses::default());
    let begun = std::time::Instant::now();
    for _ in 0..200_000 {
        decoder.frame(&frame, &mut events).unwrap();
        for event in events.drain(..) {
            encoder.event(&event, &mut out, &mut losses);
        }
        out.clear();
    }
    println!("decode and encode: {} ns", begun.elapsed().as_nanos() / 200_000);
    let mut seen = Observation::default();
    let begun = std::time::Instant::now();
    for _ in 0..200_000 {
        std::hint::black_box(Cohere.observe_frame(&frame, &mut seen));
    }
    println!("observe: {} ns", begun.elapsed().as_nanos() / 200_000);
}
