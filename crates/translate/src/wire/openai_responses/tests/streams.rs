//! Streams, in both directions.

use serde_json::{Value, json};

use super::sdk::{accumulate, frames};
use super::{OpenAiResponses, answer, decode_response, echo, events, finish, responses, written};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Delta, Event, FinishReason, PartKind, Signature, Usage};
use crate::wire::{Codec, Dialect, Echo};

/// An answer as events of this wire: everything in its own event, as the reference has it.
pub(super) fn stream_of(output: &Value) -> Vec<Value> {
    let whole = answer(output.clone());
    let mut start = whole.clone();
    start["status"] = "in_progress".into();
    start["output"] = json!([]);
    start["usage"] = Value::Null;
    let mut stream = vec![
        json!({"type": "response.created", "response": start}),
        json!({"type": "response.in_progress", "response": start}),
    ];
    for (index, item) in output.as_array().unwrap().iter().enumerate() {
        item_events(index, item, &mut stream);
    }
    stream.push(json!({"type": "response.completed", "response": whole}));
    for (number, event) in stream.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
        event["obfuscation"] = "x9".into();
    }
    stream
}

fn item_events(index: usize, item: &Value, out: &mut Vec<Value>) {
    let mut bare = item.clone();
    for (field, empty) in
        [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
    {
        if bare.get(field).is_some() {
            bare[field] = empty;
        }
    }
    bare.as_object_mut().unwrap().remove("encrypted_content");
    out.push(json!({"type": "response.output_item.added", "output_index": index, "item": bare}));
    let halves = |text: &str| {
        let at = text.floor_char_boundary(text.len() / 2);
        [text[..at].to_owned(), text[at..].to_owned()]
    };
    let mut push = |name: &str, more: Value| {
        let mut event =
            json!({"type": format!("response.{name}"), "output_index": index, "item_id": item["id"]});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        out.push(event);
    };
    for (number, piece) in item["summary"].as_array().into_iter().flatten().enumerate() {
        push(
            "reasoning_summary_part.added",
            json!({"summary_index": number, "part": {"type": "summary_text", "text": ""}}),
        );
        for half in halves(piece["text"].as_str().unwrap()) {
            push("reasoning_summary_text.delta", json!({"summary_index": number, "delta": half}));
        }
        push("reasoning_summary_text.done", json!({"summary_index": number, "text": piece["text"]}));
        push("reasoning_summary_part.done", json!({"summary_index": number, "part": piece}));
    }
    for (number, piece) in item["content"].as_array().into_iter().flatten().enumerate() {
        let (name, field) =
            if piece["type"] == "refusal" { ("refusal", "refusal") } else { ("output_text", "text") };
        push(
            "content_part.added",
            json!({"content_index": number, "part": {"type": piece["type"], field: ""}}),
        );
        for half in halves(piece[field].as_str().unwrap()) {
            push(&format!("{name}.delta"), json!({"content_index": number, "delta": half}));
        }
        for (at, annotation) in piece["annotations"].as_array().into_iter().flatten().enumerate() {
            push(
                "output_text.annotation.added",
                json!({"content_index": number, "annotation_index": at, "annotation": annotation}),
            );
        }
        push(&format!("{name}.done"), json!({"content_index": number, field: piece[field]}));
        push("content_part.done", json!({"content_index": number, "part": piece}));
    }
    for (name, field) in [("function_call_arguments", "arguments"), ("custom_tool_call_input", "input")] {
        if let Some(text) = item[field].as_str() {
            for half in halves(text) {
                push(&format!("{name}.delta"), json!({"delta": half}));
            }
            push(&format!("{name}.done"), json!({field: text}));
        }
    }
    out.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
}

/// The answer that a caller of this dialect puts together, for comparison: no tier, no ids.
fn comparable(mut response: Value) -> Value {
    response["service_tier"] = Value::Null;
    response
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    for output in responses::outputs() {
        let plain = Echo { model: String::new(), ..echo() };
        let (stream, _) = written(&events(&stream_of(&output)), plain.clone());
        let whole = decode_response(&answer(output));
        let mut streamed = decode_response(&accumulate(&stream).unwrap());
        let mut expected = whole.clone();
        // Leftovers of parts are told, not carried, in streams.
        for response in [&mut streamed, &mut expected] {
            response.service_tier = None;
            for part in &mut response.choices[0].parts {
                if let crate::ir::Part::Text(text) = part {
                    text.extra = Default::default();
                }
            }
        }
        assert_eq!(streamed, expected, "{stream}");
    }
}

#[test]
fn events_that_come_only_whole_are_told_once() {
    for output in responses::outputs() {
        let full = stream_of(&output);
        let told = written(&events(&full), echo()).0;
        let expected = comparable(accumulate(&told).unwrap());
        for left_out in ["delta", "added", "part.added", "part.done", "_item.done", "text.done"] {
            let rest: Vec<Value> = full
                .iter()
                .filter(|event| {
                    let kind = event["type"].as_str().unwrap();
                    !(kind.ends_with(left_out) && kind != "response.output_text.annotation.added")
                })
                .cloned()
                .collect();
            let stream = written(&events(&rest), echo()).0;
            let told = comparable(accumulate(&stream).unwrap());
            match left_out {
                // Items of which nothing else came are told from the last event, behind the others.
                "_item.done" => assert_eq!(
                    told["output"].as_array().map(Vec::len),
                    expected["output"].as_array().map(Vec::len)
                ),
                _ => assert_eq!(told, expected, "without {left_out}"),
            }
        }
        let ends = [full[0].clone(), full.last().unwrap().clone()];
        let stream = written(&events(&ends), echo()).0;
        assert_eq!(comparable(accumulate(&stream).unwrap()), expected, "only the ends");
    }
}

#[test]
fn deltas_of_two_calls_may_alternate() {
    let added = |index: u64| {
        json!({"type": "response.output_item.added", "output_index": index, "item":
            {"type": "function_call", "call_id": format!("c{index}"), "name": "f", "arguments": ""}})
    };
    let delta = |index: u64, text: &str| json!({"type": "response.function_call_arguments.delta", "output_index": index, "delta": text});
    let stream = [
        added(0),
        added(1),
        delta(1, "{\"a\""),
        delta(0, "{"),
        delta(1, ":1}"),
        delta(0, "}"),
        json!({"type": "response.completed", "response": answer(json!([]))}),
    ];
    let (text, _) = written(&events(&stream), echo());
    let output = accumulate(&text).unwrap()["output"].clone();
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&json!("{}"), &json!("{\"a\":1}")));
}

#[test]
fn a_finish_that_was_not_sent_is_not_made_up() {
    let mut stream = stream_of(&responses::outputs()[0]);
    stream.pop();
    let events = events(&stream);
    assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. } | Event::End)));
    let (text, _) = written(&[events, vec![Event::End]].concat(), echo());
    let last = frames(&text).pop().unwrap();
    assert_eq!((last.0.as_str(), &last.1["response"]["status"]), ("response.failed", &json!("failed")));
}

#[test]
fn a_failure_ends_the_stream_whatever_its_shape() {
    let created = || stream_of(&json!([])).remove(0);
    let error = json!({"code": "context_length_exceeded", "message": "too long"});
    for event in [
        json!({"type": "response.failed", "response": {"status": "failed", "error": error}}),
        json!({"type": "error", "code": "context_length_exceeded", "message": "too long", "param": null}),
        json!({"type": "error", "error": error}),
        json!({"error": error}),
    ] {
        let events = events(&[created(), event.clone(), created()]);
        let Some(Event::Failure(failure)) = events.last() else { panic!("{event}: {events:?}") };
        assert_eq!(failure.kind, crate::ir::FailureKind::ContextLength, "{event}");
        assert_eq!(failure.message, "too long");
    }
}

#[test]
fn unknown_events_and_members_are_told_once() {
    let mut stream = stream_of(&responses::outputs()[0]);
    for _ in 0..2 {
        stream.insert(2, json!({"type": "response.brand_new", "x": 1}));
        stream.insert(2, json!({"type": "response.web_search_call.searching", "output_index": 5}));
        stream.insert(2, json!({"type": "keepalive", "sequence_number": 3}));
    }
    stream.last_mut().unwrap()["response"]["vendor"] = 1.into();
    let lost: Vec<String> = events(&stream)
        .into_iter()
        .filter_map(|event| match event {
            Event::Lost { path, .. } => Some(path),
            _ => None,
        })
        .collect();
    assert_eq!(lost, ["response.brand_new", "x", "vendor"]);
}

#[test]
fn a_frame_of_no_meaning_is_refused_and_changes_nothing() {
    let mut decoder = OpenAiResponses.stream_decoder();
    let mut out = Vec::new();
    for data in [
        "{",
        "nonsense",
        "{\"foo\":1}",
        "[1]",
        "{\"type\":\"response.completed\"}",
        "{\"type\":\"response.output_item.added\",\"item\":3}",
        "{\"type\":\"response.content_part.added\"}",
    ] {
        let frame = Frame { raw: b"x", event: "", data: data.as_bytes() };
        assert!(decoder.frame(&frame, &mut out).is_err(), "{data}");
    }
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn the_name_of_the_event_stands_in_for_a_missing_type() {
    let mut decoder = OpenAiResponses.stream_decoder();
    let mut out = Vec::new();
    let data = br#"{"output_index":0,"content_index":0,"delta":"x"}"#;
    decoder.frame(&Frame { raw: b"x", event: "response.output_text.delta", data }, &mut out).unwrap();
    assert!(
        matches!(&out[..], [Event::Start { .. }, Event::PartStart { .. }, Event::PartDelta { .. }]),
        "{out:?}"
    );
}

fn start(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::PartDelta { choice: 0, part, delta }
}

fn stop(part: u32) -> Event {
    Event::PartStop { choice: 0, part }
}

#[test]
fn an_anthropic_answer_becomes_items_in_order() {
    let signature = || Delta::Signature(Signature::of(Wire::Anthropic, "S"));
    let events = [
        Event::Start { id: "msg_1".into(), model: "claude".into(), created: None },
        start(0, PartKind::Thinking),
        delta(0, Delta::Thinking("a".into())),
        delta(0, signature()),
        stop(0),
        start(1, PartKind::Thinking),
        delta(1, signature()),
        stop(1),
        start(2, PartKind::Text),
        delta(2, Delta::Text("x".into())),
        stop(2),
        start(3, PartKind::Text),
        delta(3, Delta::Text("y".into())),
        stop(3),
        start(4, PartKind::ToolCall { id: "t".into(), name: "patch".into() }),
        delta(4, Delta::Arguments("{\"inp".into())),
        delta(4, Delta::Arguments("ut\":\"p\"}".into())),
        stop(4),
        start(5, PartKind::Thinking),
        stop(5),
        Event::Usage(Usage { output: 3, ..Usage::default() }),
        finish(FinishReason::ToolCalls, "tool_use"),
        Event::Ping,
        Event::End,
    ];
    let (stream, losses) = written(&events, echo());
    assert!(losses.is_empty(), "{losses:?}");
    let answer = accumulate(&stream).unwrap();
    let kinds: Vec<&str> =
        answer["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "reasoning", "message", "custom_tool_call"], "empty reasoning is none");
    assert_eq!(answer["output"][1]["encrypted_content"], "bifrost:anthropic:S");
    assert_eq!(answer["output"][2]["content"][1]["text"], "y");
    assert_eq!((&answer["output"][3]["input"], &answer["usage"]["output_tokens"]), (&json!("p"), &json!(3)));
    assert!(stream.contains(": ping\n\n") && !stream.contains("[DONE]"));
}

#[test]
fn an_item_is_whole_before_the_next_but_one_begins() {
    let events = [
        start(0, PartKind::Text),
        stop(0),
        start(1, PartKind::ToolCall { id: "a".into(), name: "f".into() }),
        stop(1),
    ];
    let (stream, _) = written(&events, echo());
    let names: Vec<String> = frames(&stream).into_iter().map(|(name, _)| name).collect();
    let done = names.iter().position(|name| name == "response.output_item.done").unwrap();
    assert_eq!(names[done + 1], "response.output_item.added", "{names:?}");
    assert!(stream.contains("\"delta\":\"{}\""), "a call without arguments has an object of them");
}

#[test]
fn a_stream_that_is_cut_says_so() {
    let events = [
        start(0, PartKind::Text),
        delta(0, Delta::Text("x".into())),
        finish(FinishReason::Length, "max_tokens"),
        Event::End,
    ];
    let answer = accumulate(&written(&events, echo()).0).unwrap();
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(answer["output"][0]["status"], "incomplete");
}

#[test]
fn a_failure_is_told_to_sdks_and_to_agents() {
    let failure = crate::ir::Failure {
        status: 429,
        kind: crate::ir::FailureKind::RateLimited,
        message: "try again in 2s".into(),
        native_type: None,
        code: None,
        param: None,
    };
    let (stream, _) =
        written(&[start(0, PartKind::Text), Event::Failure(failure.clone()), Event::End], echo());
    let all = frames(&stream);
    let (name, error) = &all[all.len() - 2];
    assert_eq!((name.as_str(), &error["code"]), ("error", &json!("rate_limit_exceeded")));
    assert_eq!(error["error"]["message"], "try again in 2s", "the SDKs raise this");
    assert_eq!(error["sequence_number"], json!(all.len() - 2));
    let (name, last) = &all[all.len() - 1];
    assert_eq!(
        (name.as_str(), &last["response"]["error"]["code"]),
        ("response.failed", &json!("rate_limit_exceeded"))
    );
    let alone = String::from_utf8(OpenAiResponses.encode_stream_failure(&failure, "req_1")).unwrap();
    assert_eq!(frames(&alone).len(), 2);
}
