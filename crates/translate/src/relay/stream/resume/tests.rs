//! What can be gone on with, and the seam.

use serde_json::json;

use super::*;
use crate::wire::Wire;

fn options() -> StreamPipeOptions {
    let echo = Echo { unique: "u".into(), now: 7, model: "alias".into(), stream_usage: true, request: None };
    let (caller, upstream) = (Wire::OpenAiChat, Wire::OpenAiChat);
    StreamPipeOptions { caller, upstream, echo, withhold_usage: false, hold_last: false }
}

fn delta(delta: serde_json::Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
    format!(
        "data: {}\n\n",
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "g", "choices": [choice]})
    )
}

fn text(text: &str) -> String {
    delta(json!({ "content": text }))
}

const STOP: &str = "data: {\"id\":\"d\",\"object\":\"chat.completion.chunk\",\"created\":2,\"model\":\"h\",\
    \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn pipe(frames: &[String]) -> (StreamPipe, String) {
    let mut pipe = StreamPipe::new(options(), Wire::OpenAiChat.dialect().unwrap()).with_memory(options());
    let mut out = Vec::new();
    for frame in frames {
        pipe.push(frame.as_bytes(), &mut out);
    }
    (pipe, String::from_utf8(out).unwrap())
}

/// The text of all chunks of a caller's stream.
fn said(stream: &str) -> String {
    let data = stream.split("\n\n").filter_map(|block| block.strip_prefix("data: {"));
    let json = data.map(|rest| serde_json::from_str::<serde_json::Value>(&format!("{{{rest}")).unwrap());
    json.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

fn gone_on(first: &[String], second: &[String]) -> (String, StreamPipe) {
    let (mut pipe, mut out) = pipe(first);
    let broken = pipe.break_off(&Usage::default()).unwrap();
    let mut pipe = StreamPipe::resumed(Wire::OpenAiChat, broken, false);
    let mut rest = Vec::new();
    for frame in second {
        pipe.push(frame.as_bytes(), &mut rest);
    }
    pipe.push(STOP.as_bytes(), &mut rest);
    assert!(pipe.end(None, &mut rest));
    out.push_str(std::str::from_utf8(&rest).unwrap());
    (out, pipe)
}

#[test]
fn white_space_at_the_seam_stands_once() {
    let cases: [(&str, &[&str], &str); 7] = [
        ("The answer", &[" is 42"], "The answer is 42"),
        ("The answer ", &[" is 42"], "The answer is 42"),
        ("The answer ", &["is 42"], "The answer is 42"),
        ("The answer \n\n", &[" ", "\n", "\nis 42"], "The answer \n\nis 42"),
        ("The answer\n", &["\n\nis 42"], "The answer\n\nis 42"),
        ("The answer ", &["\nis 42"], "The answer \nis 42"),
        ("  x = 1\n  ", &["\n  y = 2\n  ", "  z"], "  x = 1\n  y = 2\n    z"),
    ];
    for (before, after, whole) in cases {
        let after: Vec<String> = after.iter().map(|piece| text(piece)).collect();
        let (out, _) = gone_on(&[text(before)], &after);
        assert_eq!(said(&out), whole, "{before:?}");
        assert!(out.ends_with("data: [DONE]\n\n"));
    }
    let (mut pipe, _) = pipe(&[text("The answer \n")]);
    assert_eq!(pipe.break_off(&Usage::default()).unwrap().text(), "The answer");
}

#[test]
fn what_is_more_than_text_is_not_gone_on_with() {
    let call = delta(json!({"tool_calls": [{"index": 0, "id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{"}}]}));
    let second = text("x").replace("\"index\":0", "\"index\":1");
    for last in [call, second, delta(json!({"refusal": "no"})), STOP.replace("data: [DONE]\n\n", "")] {
        let (mut pipe, _) = pipe(&[text("The answer"), last.clone()]);
        assert!(pipe.said().is_none() && pipe.break_off(&Usage::default()).is_none(), "{last}");
        let mut out = Vec::new();
        let failure = Failure {
            status: 502,
            kind: crate::ir::FailureKind::Upstream,
            message: "cut".into(),
            native_type: None,
            code: None,
            param: None,
        };
        pipe.fail(&failure, "r", &mut out);
        assert!(String::from_utf8(out).unwrap().contains("cut"));
    }
    assert!(pipe(&[text("The answer")]).0.said().is_some());
}

/// A body may end within the blank line behind a frame: its word was remembered, and never sent.
#[test]
fn the_last_word_of_a_body_that_ended_is_said_once() {
    let cut = |ends: &str| text(" is").trim_end().to_owned() + ends;
    for ends in ["", "\n", "\n\n"] {
        let (mut first, mut out) = pipe(&[text("The answer"), cut(ends)]);
        let mut none = Vec::new();
        assert!(!first.end(None, &mut none) && none.is_empty());
        let broken = first.break_off(&Usage::default()).unwrap();
        assert_eq!(broken.text(), "The answer is");
        let mut second = StreamPipe::resumed(Wire::OpenAiChat, broken, false);
        let mut rest = Vec::new();
        second.push(text(" 42").as_bytes(), &mut rest);
        second.push(STOP.as_bytes(), &mut rest);
        assert!(second.end(None, &mut rest));
        out.push_str(std::str::from_utf8(&rest).unwrap());
        assert_eq!(said(&out), "The answer is 42", "{ends:?}");
    }
}

#[test]
fn a_call_may_follow_and_is_the_last_that_may() {
    let call = delta(json!({"tool_calls": [{"index": 0, "id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{}"}}]}));
    let (out, mut pipe) = gone_on(&[text("The answer")], &[text(" is"), call]);
    assert_eq!(said(&out), "The answer is");
    assert!(out.contains("\"tool_calls\""));
    assert!(pipe.said().is_none());
}

#[test]
fn reasoning_behind_a_text_is_left_out_and_told() {
    let thinks = delta(json!({"reasoning_content": "hm"}));
    let (out, pipe) = gone_on(&[text("The answer")], &[thinks.clone(), thinks.clone(), text(" is 42")]);
    assert!(!out.contains("hm"), "{out}");
    assert_eq!(pipe.losses().as_slice().len(), 1);
    let (out, pipe) = gone_on(std::slice::from_ref(&thinks), &[thinks.clone(), text("The answer")]);
    assert_eq!(out.matches("hm").count(), 2, "{out}");
    assert!(pipe.losses().is_empty());
}

#[test]
fn a_long_text_is_kept_as_text_and_a_longer_one_not_at_all() {
    let piece = "word ".repeat(2_000);
    let frames: Vec<String> = (0..100).map(|_| text(&piece)).collect();
    let (mut pipe, _) = pipe(&frames);
    let unread = pipe.memory.as_ref().unwrap().recent.len();
    assert!(unread <= 2 * UNREAD, "{unread} bytes were kept unread");
    let (mut out, mut whole) = (Vec::new(), piece.repeat(100));
    assert_eq!(pipe.break_off(&Usage::default()).unwrap().text(), whole.trim_end());
    let (mut pipe, _) = self::pipe(&frames);
    for _ in 0..10 {
        pipe.push(text(&piece).as_bytes(), &mut out);
        whole.push_str(&piece);
    }
    assert!(whole.len() > 1024 * 1024 && pipe.said().is_none());
    assert!(pipe.memory.is_none(), "what cannot be used is not kept");
}

/// The end of the message closed its blocks in what was remembered, though the caller had neither.
#[test]
fn an_end_without_a_finish_reason_closed_the_block_that_is_gone_on_with() {
    let event = |kind: &str, mut body: serde_json::Value| {
        body["type"] = json!(kind);
        format!("event: {kind}\ndata: {body}\n\n")
    };
    let start = |id: &str| {
        let usage = json!({"input_tokens": 3, "output_tokens": 1});
        let message = json!({"id": id, "type": "message", "role": "assistant", "model": "m", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage});
        event("message_start", json!({ "message": message }))
    };
    let block =
        event("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}}));
    let says = |text: &str| {
        event("content_block_delta", json!({"index": 0, "delta": {"type": "text_delta", "text": text}}))
    };
    let stop = event("message_stop", json!({}));
    for caller in [Wire::Anthropic, Wire::OpenAiResponses] {
        let options = StreamPipeOptions { caller, upstream: Wire::Anthropic, ..options() };
        let mut pipe = StreamPipe::new(options.clone(), caller.dialect().unwrap()).with_memory(options);
        let mut out = Vec::new();
        for frame in [start("a"), block.clone(), says("one "), stop.clone()] {
            pipe.push(frame.as_bytes(), &mut out);
        }
        let broken = pipe.break_off(&Usage::default()).unwrap();
        let mut pipe = StreamPipe::resumed(Wire::Anthropic, broken, false);
        let end = event(
            "message_delta",
            json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 2}}),
        );
        let closed = event("content_block_stop", json!({"index": 0}));
        for frame in [start("b"), block.clone(), says("two"), closed, end, stop.clone()] {
            pipe.push(frame.as_bytes(), &mut out);
        }
        assert!(pipe.end(None, &mut out));
        let out = String::from_utf8(out).unwrap();
        let count = |text: &str| out.matches(text).count();
        match caller {
            Wire::Anthropic => {
                assert_eq!(count("event: content_block_start"), 1, "{out}");
                assert_eq!(count("event: content_block_stop"), 1, "{out}");
            }
            _ => {
                assert_eq!(count("event: response.output_text.done"), 1, "{out}");
                assert!(out.contains("one two"), "{out}");
            }
        }
    }
}
