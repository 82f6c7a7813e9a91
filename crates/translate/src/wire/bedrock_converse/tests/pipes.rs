//! Bedrock's bytes through the pipe: relayed, held, broken, and around another wire's events.

use serde_json::{Value, json};

use super::sdk::{accumulate, messages};
use super::{Wire, echo};
use crate::frame::{FrameParser, Framing, write_chunk, write_exception, write_message};
use crate::ir::{Failure, FailureKind};
use crate::relay::{Flow, StreamPipe, StreamPipeOptions};

fn pipe(caller: Wire, upstream: Wire, hold_last: bool) -> StreamPipe {
    let options = StreamPipeOptions { caller, upstream, echo: echo(), withhold_usage: false, hold_last };
    StreamPipe::new(options, caller.dialect().unwrap())
}

fn own() -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in [
        ("messageStart", json!({"p": "ab", "role": "assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "Hi"}})),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "end_turn"})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 5}}),
        ),
    ] {
        write_message(&mut out, name, data.to_string().as_bytes());
    }
    out
}

const CLAUDE_EVENTS: [&str; 6] = [
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
    r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2}}"#,
];

fn chunks() -> Vec<u8> {
    let mut out = Vec::new();
    CLAUDE_EVENTS.iter().for_each(|event| write_chunk(&mut out, event.as_bytes()));
    out
}

fn sse() -> Vec<u8> {
    let mut out = Vec::new();
    for event in CLAUDE_EVENTS {
        let value: Value = serde_json::from_str(event).unwrap();
        crate::frame::write_event(&mut out, value["type"].as_str().unwrap(), event.as_bytes());
    }
    out
}

/// What the caller gets, whole and byte by byte; the pipe of the last run.
fn run(make: impl Fn() -> StreamPipe, input: &[u8], extra: Option<&str>) -> (Vec<u8>, bool, StreamPipe) {
    let carried = |size: usize| {
        let (mut pipe, mut out) = (make(), Vec::new());
        for chunk in input.chunks(size) {
            if pipe.push(chunk, &mut out) == Flow::Complete {
                break;
            }
        }
        let whole = pipe.end(extra, &mut out);
        if !whole {
            let cut = || Failure {
                status: 502,
                kind: FailureKind::Upstream,
                message: "cut".into(),
                native_type: None,
                code: None,
                param: None,
            };
            let failure = pipe.seen().failure.clone().unwrap_or_else(cut);
            pipe.fail(&failure, "r1", &mut out);
        }
        (out, whole, pipe)
    };
    let (bytewise, ..) = carried(1);
    let whole = carried(input.len());
    assert_eq!(bytewise, whole.0, "the cuts make a difference");
    whole
}

#[test]
fn a_relay_copies_every_byte() {
    for hold in [false, true] {
        let (out, whole, pipe) =
            run(|| pipe(Wire::BedrockConverse, Wire::BedrockConverse, hold), &own(), None);
        assert_eq!((out, whole), (own(), true));
        assert_eq!((pipe.usage().unwrap().output, pipe.seen().done), (2, true));
    }
}

#[test]
fn extra_fields_go_into_the_metadata_and_its_checksum_holds() {
    for (upstream, input) in [(Wire::BedrockConverse, own()), (Wire::Anthropic, sse())] {
        let (out, whole, _) = run(|| pipe(Wire::BedrockConverse, upstream, true), &input, Some("{\"a\":1}"));
        assert!(whole);
        let last = messages(&out).pop().unwrap();
        assert_eq!((last.0.as_str(), &last.1["extra_fields"]), ("metadata", &json!({"a": 1})));
        assert_eq!(accumulate(&out).unwrap()["content"], json!([{"text": "Hi"}]));
    }
}

#[test]
fn a_missing_metadata_does_not_cost_the_answer() {
    let whole = own();
    let mut parser = FrameParser::new(Framing::EventStream);
    parser.push(&whole);
    let lengths: Vec<usize> =
        std::iter::from_fn(|| parser.next_frame().map(|frame| frame.raw.len())).collect();
    let cut = &whole[..lengths[..4].iter().sum()];
    let (out, good, _) = run(|| pipe(Wire::BedrockConverse, Wire::BedrockConverse, true), cut, Some("{}"));
    assert!(good);
    let last = messages(&out).pop().unwrap();
    assert_eq!(last, ("messageStop".to_owned(), json!({"stopReason": "end_turn", "extra_fields": {}})));
    let (out, good, _) = run(|| pipe(Wire::Anthropic, Wire::BedrockConverse, true), cut, Some("{}"));
    assert!(good && String::from_utf8(out).unwrap().contains("message_stop"));
}

#[test]
fn a_broken_message_ends_the_answer_with_an_error() {
    let mut broken = own();
    let at = broken.len() - 100;
    broken[at] ^= 0xFF;
    for caller in [Wire::BedrockConverse, Wire::Anthropic, Wire::OpenAiChat] {
        let (_, whole, pipe) = run(|| pipe(caller, Wire::BedrockConverse, false), &broken, None);
        let failure = pipe.seen().failure.clone().unwrap();
        assert!(!whole && failure.status == 502 && failure.message.contains("checksum"), "{failure:?}");
    }
    let hostile = [&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0][..], &[0; 50]].concat();
    let (out, _, pipe) = run(|| pipe(Wire::BedrockConverse, Wire::BedrockConverse, false), &hostile, None);
    assert!(pipe.seen().failure.is_some());
    assert_eq!(messages(&out)[0].0, "!modelStreamErrorException");
}

#[test]
fn exceptions_reach_every_caller_in_its_own_words() {
    let mut input = Vec::new();
    write_message(&mut input, "messageStart", b"{\"role\":\"assistant\"}");
    write_exception(&mut input, "throttlingException", b"{\"message\":\"slow\"}");
    let (out, _, pipe_seen) = run(|| pipe(Wire::BedrockConverse, Wire::BedrockConverse, true), &input, None);
    assert_eq!(messages(&out)[1], ("!throttlingException".to_owned(), json!({"message": "slow"})));
    assert_eq!(pipe_seen.seen().failure.as_ref().unwrap().kind, FailureKind::RateLimited);
    let (out, ..) = run(|| pipe(Wire::Anthropic, Wire::BedrockConverse, true), &input, None);
    assert!(String::from_utf8(out).unwrap().contains("rate_limit_error"));
}

#[test]
fn invoked_claude_is_relayed_to_the_byte_and_seen() {
    let chunked = || {
        pipe(Wire::Anthropic, Wire::Anthropic, true)
            .with_framing(Framing::EventStreamChunks, Framing::EventStreamChunks)
    };
    let (out, whole, seen) = run(chunked, &chunks(), None);
    assert_eq!((out, whole), (chunks(), true));
    let usage = seen.usage().unwrap();
    assert_eq!((usage.input_uncached, usage.output, seen.seen().model.as_deref()), (3, 2, Some("claude")));
    let (out, ..) = run(chunked, &chunks(), Some("{\"a\":1}"));
    let mut parser = FrameParser::new(Framing::EventStreamChunks);
    parser.push(&out);
    let mut last = Value::Null;
    while let Some(frame) = parser.next_frame() {
        last = serde_json::from_slice(frame.data).unwrap();
    }
    assert_eq!((&last["type"], &last["extra_fields"]), (&json!("message_stop"), &json!({"a": 1})));
}

#[test]
fn invoked_claude_and_the_messages_api_stand_for_each_other() {
    let (from, to) = (Framing::EventStreamChunks, Framing::Sse);
    let (out, whole, _) =
        run(|| pipe(Wire::Anthropic, Wire::Anthropic, false).with_framing(from, to), &chunks(), None);
    assert_eq!((String::from_utf8(out).unwrap(), whole), (String::from_utf8(sse()).unwrap(), true));
    for hold in [false, true] {
        let (out, whole, _) =
            run(|| pipe(Wire::Anthropic, Wire::Anthropic, hold).with_framing(to, from), &sse(), None);
        assert_eq!((out, whole), (chunks(), true));
    }
}

#[test]
fn any_wire_answers_a_caller_that_invokes() {
    let make = |hold| {
        move || {
            pipe(Wire::Anthropic, Wire::BedrockConverse, hold)
                .with_framing(Framing::EventStream, Framing::EventStreamChunks)
        }
    };
    for hold in [false, true] {
        let (out, whole, _) = run(make(hold), &own(), Some("{}").filter(|_| hold));
        assert!(whole);
        let mut parser = FrameParser::new(Framing::EventStreamChunks);
        parser.push(&out);
        let mut kinds = Vec::new();
        while let Some(frame) = parser.next_frame() {
            let value: Value = serde_json::from_slice(frame.data).unwrap();
            kinds.push(value["type"].as_str().unwrap().to_owned());
        }
        let expected = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ];
        assert_eq!(kinds, expected);
    }
}

#[test]
fn exceptions_around_chunks_are_failures() {
    let mut input = Vec::new();
    write_chunk(&mut input, CLAUDE_EVENTS[0].as_bytes());
    write_exception(&mut input, "modelStreamErrorException", b"{\"message\":\"broke\"}");
    let (from, sse) = (Framing::EventStreamChunks, Framing::Sse);
    let (out, whole, seen) =
        run(|| pipe(Wire::Anthropic, Wire::Anthropic, false).with_framing(from, sse), &input, None);
    assert!(!whole && String::from_utf8(out).unwrap().contains("event: error"));
    assert_eq!(seen.seen().failure.as_ref().unwrap().message, "broke");
    let (out, ..) =
        run(|| pipe(Wire::Anthropic, Wire::Anthropic, false).with_framing(from, from), &input, None);
    assert!(messages(&out).last().unwrap().0.starts_with('!'));
    let mut odd = Vec::new();
    write_message(&mut odd, "chunk", b"{\"bytes\":\"!\"}");
    write_message(&mut odd, "chunk", b"[]");
    odd.extend(chunks());
    let (out, whole, _) =
        run(|| pipe(Wire::Anthropic, Wire::Anthropic, false).with_framing(from, sse), &odd, None);
    assert!(whole && String::from_utf8(out).unwrap().contains("message_stop"));
}
