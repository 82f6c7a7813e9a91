//! Streams, both ways.

use serde_json::json;

use super::sdk::{accumulate, messages};
use super::*;
use crate::ir::{Delta, Finish, FinishReason, PartKind, Usage};
use crate::wire::{FrameVerdict, Observation};

fn text(index: u32, text: &str) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": {"text": text}, "p": "abc"}))
}

fn stop(index: u32) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

fn finish(reason: FinishReason) -> Event {
    let finish = Finish { reason, native: "stop".into(), stop_sequence: None, details: None };
    Event::Finish { choice: 0, finish }
}

fn started(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind }
}

fn fed(part: u32, delta: Delta) -> Event {
    Event::PartDelta { choice: 0, part, delta }
}

#[test]
fn blocks_begin_with_their_first_delta() {
    let events = decode_stream(&[
        ("messageStart", json!({"role": "assistant"})),
        stop(0),
        text(1, "a"),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"reasoningContent": {"text": "r"}}})),
        stop(1),
        ("messageStop", json!({"stopReason": "end_turn"})),
        ("metadata", json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}})),
        text(2, "late"),
    ]);
    let expected = [
        Event::Start { id: String::new(), model: String::new(), created: None },
        started(0, PartKind::Text),
        fed(0, Delta::Text("a".into())),
        Event::PartStop { choice: 0, part: 0 },
        started(1, PartKind::Thinking),
        fed(1, Delta::Thinking("r".into())),
        Event::PartStop { choice: 0, part: 1 },
        Event::Finish {
            choice: 0,
            finish: Finish {
                reason: FinishReason::Stop,
                native: "end_turn".into(),
                stop_sequence: None,
                details: None,
            },
        },
        Event::Usage(Usage { input_uncached: 1, output: 2, ..Usage::default() }),
        Event::End,
    ];
    assert_eq!(events, expected);
}

#[test]
fn encrypted_reasoning_is_given_out_whole() {
    let piece = |data: &str| {
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": data}}}),
        )
    };
    // "hel" and "lo!!", each with a padding of its own.
    let events = decode_stream(&[("messageStart", json!({})), piece("aGVs"), piece("bG8hIQ=="), stop(0)]);
    assert_eq!(events[1], started(0, PartKind::RedactedThinking { data: "aGVsbG8hIQ==".into() }));
}

#[test]
fn what_is_no_event_is_skipped_and_what_is_new_is_told() {
    let mut decoder = BedrockConverse.stream_decoder();
    let mut out = Vec::new();
    for (event, data) in [
        ("contentBlockDelta", "{}"),
        ("contentBlockDelta", "{\"contentBlockIndex\":0}"),
        ("contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"x\"}}}"),
        ("contentBlockStart", "[]"),
        ("messageStop", "{}"),
        ("messageStart", "{\"role\""),
    ] {
        let frame = Frame { raw: b"", event, data: data.as_bytes() };
        assert!(decoder.frame(&frame, &mut out).is_err() || data == "{\"role\"", "{event} {data}");
    }
    out.clear();
    for event in ["newEvent", "newEvent", "initial-response"] {
        decoder.frame(&Frame { raw: b"", event, data: b"{}" }, &mut out).unwrap();
    }
    assert_eq!(out.len(), 1);
    assert!(matches!(&out[0], Event::Lost { path, .. } if path == "newEvent"));
}

#[test]
fn a_stream_of_another_wire_is_one_that_clients_accept() {
    let (written, losses) = encode_events(&[
        Event::Start { id: "x".into(), model: "m".into(), created: None },
        started(0, PartKind::Thinking),
        fed(0, Delta::Thinking("hm".into())),
        started(1, PartKind::Text),
        started(2, PartKind::ToolCall { id: String::new(), name: "f".into() }),
        started(3, PartKind::ToolCall { id: "b".into(), name: "g".into() }),
        fed(3, Delta::Arguments("{\"x\":".into())),
        fed(2, Delta::Arguments("{}".into())),
        fed(3, Delta::Arguments("1}".into())),
        Event::PartStop { choice: 0, part: 2 },
        Event::PartStop { choice: 0, part: 3 },
        Event::Usage(Usage { input_uncached: 3, output: 4, ..Usage::default() }),
        Event::Ping,
        finish(FinishReason::Stop),
        Event::End,
    ]);
    let answer = accumulate(&written).unwrap();
    let expected = json!([
        {"thinking": "hm"},
        {"toolUse": {"toolUseId": "tooluse_u1_1", "name": "f", "input": {}}},
        {"toolUse": {"toolUseId": "b", "name": "g", "input": {"x": 1}}},
    ]);
    assert_eq!(answer["content"], expected, "the empty text is no block");
    assert_eq!((&answer["stopReason"], &answer["usage"]["totalTokens"]), (&json!("tool_use"), &json!(7)));
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn an_end_without_a_reason_is_an_exception() {
    for tail in [vec![Event::End], vec![finish(FinishReason::Error), Event::End]] {
        let (written, _) = encode_events(&tail);
        assert_eq!(messages(&written)[0].0, "!modelStreamErrorException");
    }
}

#[test]
fn a_relay_sees_what_a_decoder_sees() {
    let frames = [
        ("messageStart", json!({"role": "assistant"})),
        text(0, "héllo"),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"reasoningContent": {"text": "ab"}}})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "a", "name": "f"}}}),
        ),
        ("contentBlockDelta", json!({"contentBlockIndex": 2, "delta": {"toolUse": {"input": "{}"}}})),
        ("newEvent", json!({"a": 1})),
        ("messageStop", json!({"stopReason": "tool_use"})),
    ];
    let mut seen = Observation::default();
    for (event, data) in &frames {
        let data = data.to_string();
        let frame = Frame { raw: b"", event, data: data.as_bytes() };
        assert_eq!(BedrockConverse.observe_frame(&frame, &mut seen), FrameVerdict::Relay, "{event}");
    }
    assert!(seen.content && seen.tool_call && !seen.done);
    assert_eq!((seen.output_chars, seen.finish, seen.skipped), (9, Some(FinishReason::ToolCalls), 0));
    let bad = Frame { raw: b"", event: "contentBlockDelta", data: b"{\"delta\":{" };
    assert_eq!(BedrockConverse.observe_frame(&bad, &mut seen), FrameVerdict::Invalid);
    let data = json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}).to_string();
    let end = Frame { raw: b"", event: "metadata", data: data.as_bytes() };
    assert_eq!(BedrockConverse.observe_frame(&end, &mut seen), FrameVerdict::Terminator);
    assert_eq!((seen.usage.unwrap().output, seen.done, seen.skipped), (2, true, 1));
}
