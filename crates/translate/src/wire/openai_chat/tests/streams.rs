//! Streams: what providers send, what callers get, what a relay notices.

use serde_json::{Value, json};

use super::{OpenAiChat, chunks, echo, events};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::*;
use crate::loss::Losses;
use crate::wire::{Codec, Dialect, Echo, FrameVerdict, Observation};

fn chunk(delta: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    )
}

fn finish(word: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{{"index":0,"delta":{{}},"finish_reason":"{word}"}}]}}"#
    )
}

const USAGE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}"#;

/// Realistic streams, each from its first frame to `[DONE]`.
pub(super) fn streams() -> Vec<(&'static str, Vec<String>)> {
    let done = || "[DONE]".to_owned();
    let role = || chunk(r#"{"role":"assistant","content":"","refusal":null}"#);
    let call = |index: u32, id: &str, name: &str, arguments: &str| {
        chunk(&format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":"{name}","arguments":{}}}}}]}}"#,
            json!(arguments)
        ))
    };
    let more = |index: u32, arguments: &str| {
        chunk(&format!(
            r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]}}"#,
            json!(arguments)
        ))
    };
    let text = |text: &str| chunk(&json!({"content": text}).to_string());
    vec![
        ("text", vec![role(), text("Hel"), text("lo é\n\"x\""), finish("stop"), USAGE.into(), done()]),
        ("parallel calls", vec![role(), call(0, "a", "f", ""), more(0, "{\"x\""), more(0, ":1}"), call(1, "b", "g", ""), more(1, "{}"), finish("tool_calls"), done()]),
        ("interleaved calls", vec![role(), call(0, "a", "f", ""), call(1, "b", "g", "{"), more(0, "{\"x\":1}"), more(1, "}"), finish("tool_calls"), done()]),
        ("text then call", vec![role(), text("Let me look."), call(0, "a", "f", "{\"q\":\"z\"}"), finish("tool_calls"), USAGE.into(), done()]),
        ("reasoning then text", vec![role(), chunk(r#"{"reasoning_content":"hm","content":null}"#), chunk(r#"{"reasoning_content":"mm"}"#), text("yes"), finish("stop"), done()]),
        ("openrouter details", vec![
            ": OPENROUTER PROCESSING".into(),
            chunk(r#"{"role":"assistant","content":"","reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0,"format":"anthropic-claude-v1"}]}"#),
            chunk(r#"{"content":"","reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b","index":0}]}"#),
            chunk(r#"{"content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"S1","index":0}]}"#),
            chunk(r#"{"content":"","reasoning_details":[{"type":"reasoning.encrypted","data":"E","index":1}]}"#),
            chunk(r#"{"content":"","reasoning":"c","reasoning_details":[{"type":"reasoning.text","text":"c","index":2}]}"#),
            chunk(r#"{"content":"","reasoning_details":[{"type":"reasoning.text","signature":"S2","index":2}]}"#),
            text("answer"), finish("stop"), USAGE.into(), done(),
        ]),
        ("two choices", vec![
            role(),
            r#"{"id":"c1","created":5,"model":"m","choices":[{"index":1,"delta":{"role":"assistant","content":"B"}}]}"#.into(),
            text("A"),
            r#"{"id":"c1","created":5,"model":"m","choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#.into(),
            finish("stop"), done(),
        ]),
        ("refusal", vec![role(), chunk(r#"{"refusal":"I can"}"#), chunk(r#"{"refusal":"not."}"#), finish("content_filter"), done()]),
        ("azure", vec![
            r#"{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#.into(),
            role(), text("x"), finish("stop"), done(),
        ]),
        ("logprobs", vec![
            r#"{"id":"c1","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"x"},"logprobs":{"content":[{"token":"x","logprob":-0.5}]}}]}"#.into(),
            finish("stop"), done(),
        ]),
        ("finish and usage together", vec![
            role(), text("x"),
            r#"{"id":"c1","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"y"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#.into(),
            done(),
        ]),
        ("no stream at all", vec![
            r#"{"id":"c1","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"whole","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#.into(),
            done(),
        ]),
    ]
}

fn read(stream: &[String]) -> Vec<Event> {
    events(&stream.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What an answer says, whatever the steps: parts by choice, finishes, usage, end.
fn meaning(events: &[Event]) -> Value {
    let mut parts: Vec<(u32, u32, Value)> = Vec::new();
    let mut rest = Vec::new();
    for event in events {
        match event {
            Event::PartStart { choice, part, kind } => {
                let start = match kind {
                    PartKind::Text | PartKind::Refusal | PartKind::Thinking => {
                        json!({"kind": format!("{kind:?}")})
                    }
                    other => json!({"kind": format!("{other:?}")}),
                };
                parts.push((*choice, *part, start));
            }
            Event::PartDelta { choice, part, delta } => {
                let slot = parts.iter_mut().find(|one| (one.0, one.1) == (*choice, *part)).expect("open");
                let (name, text) = match delta {
                    Delta::Text(text)
                    | Delta::Refusal(text)
                    | Delta::Thinking(text)
                    | Delta::Arguments(text) => ("text", text.clone()),
                    Delta::Signature(signature) => ("signature", signature.text.clone()),
                    Delta::Citation(citation) => ("value", citation.raw.to_string()),
                    Delta::Opaque(value) => ("value", value.to_string()),
                };
                let sofar = slot.2[name].as_str().unwrap_or_default().to_owned();
                slot.2[name] = (sofar + &text).into();
            }
            Event::PartStop { .. } | Event::Ping | Event::Lost { .. } => {}
            other => rest.push(format!("{other:?}")),
        }
    }
    parts.sort_by_key(|one| (one.0, one.1));
    rest.sort();
    json!({"parts": parts.into_iter().map(|one| json!([one.0, one.2])).collect::<Vec<_>>(), "rest": rest})
}

#[test]
fn a_stream_says_the_same_after_a_round_trip() {
    for (name, stream) in streams() {
        let first = read(&stream);
        let written = chunks(&first, echo());
        assert_eq!(meaning(&read(&written)), meaning(&first), "{name}\n{}", written.join("\n"));
    }
}

#[test]
fn parts_open_once_close_once_and_before_the_finish() {
    for (name, stream) in streams() {
        let (mut open, mut seen, mut starts, mut finished) = (Vec::new(), Vec::new(), 0, Vec::new());
        for event in read(&stream) {
            match event {
                Event::Start { id, .. } => {
                    starts += 1;
                    assert_eq!(id, "c1", "{name}");
                }
                Event::PartStart { choice, part, .. } => {
                    assert!(!seen.contains(&(choice, part)) && !finished.contains(&choice), "{name}");
                    assert_eq!(
                        seen.iter().filter(|one: &&(u32, u32)| one.0 == choice).count(),
                        part as usize
                    );
                    seen.push((choice, part));
                    open.push((choice, part));
                }
                Event::PartDelta { choice, part, .. } => assert!(open.contains(&(choice, part)), "{name}"),
                Event::PartStop { choice, part } => {
                    assert!(open.contains(&(choice, part)), "{name}");
                    open.retain(|one| *one != (choice, part));
                }
                Event::Finish { choice, .. } => {
                    assert!(!open.iter().any(|one| one.0 == choice), "{name}");
                    finished.push(choice);
                }
                Event::End => assert!(open.is_empty(), "{name}"),
                _ => {}
            }
        }
        assert_eq!(starts, 1, "{name}: once (trap 17)");
        assert!(!finished.is_empty(), "{name}");
    }
}

#[test]
fn written_chunks_follow_openai_rules() {
    for (name, stream) in streams() {
        let written = chunks(&read(&stream), echo());
        assert_eq!(written.last().map(String::as_str), Some("[DONE]"), "{name}");
        let bodies: Vec<Value> =
            written.iter().take(written.len() - 1).map(|one| serde_json::from_str(one).expect(one)).collect();
        let mut finishes = std::collections::HashMap::new();
        let mut roles = std::collections::HashSet::new();
        for body in &bodies {
            assert_eq!(
                (&body["id"], &body["created"], &body["model"]),
                (&json!("c1"), &json!(5), &json!("m")),
                "{name}"
            );
            for choice in body["choices"].as_array().unwrap() {
                let index = choice["index"].as_u64().unwrap();
                assert_eq!(
                    roles.insert(index),
                    choice["delta"].get("role").is_some(),
                    "{name}: role first, once"
                );
                if !choice["finish_reason"].is_null() {
                    *finishes.entry(index).or_insert(0) += 1;
                }
            }
            let is_usage = body["choices"].as_array().unwrap().is_empty();
            assert_eq!(is_usage, !body["usage"].is_null(), "{name}: usage apart");
        }
        assert!(finishes.values().all(|count| *count == 1) && finishes.len() == roles.len(), "{name}");
    }
}

fn calls_of(events: &[Event]) -> Vec<(String, String, String)> {
    let mut calls: Vec<(u32, String, String, String)> = Vec::new();
    for event in events {
        match event {
            Event::PartStart { part, kind: PartKind::ToolCall { id, name }, .. } => {
                calls.push((*part, id.clone(), name.clone(), String::new()));
            }
            Event::PartDelta { part, delta: Delta::Arguments(text), .. } => {
                calls.iter_mut().find(|call| call.0 == *part).expect("open").3.push_str(text);
            }
            _ => {}
        }
    }
    calls.into_iter().map(|(_, id, name, arguments)| (id, name, arguments)).collect()
}

fn calls_from(deltas: &[&str]) -> Vec<(String, String, String)> {
    let mut stream: Vec<String> = deltas.iter().map(|delta| chunk(delta)).collect();
    stream.push(finish("tool_calls"));
    calls_of(&read(&stream))
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.into(), name.into(), arguments.into())
}

#[test]
fn calls_are_told_apart_however_the_provider_numbers_them() {
    let zero = calls_from(&[
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
    ]);
    assert_eq!(zero, [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")], "every call numbered 0 (trap 1)");

    let whole = calls_from(&[
        r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
    ]);
    assert_eq!(whole, [call("a", "f", "{}"), call("b", "f", "{}")], "no index, whole (trap 20)");

    let nameless = calls_from(&[
        r#"{"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}"#,
        r#"{"tool_calls":[{"function":{"name":"g","arguments":""}}]}"#,
    ]);
    assert_eq!(nameless, [call("", "f", "{\"x\":1}"), call("", "g", "")], "neither index nor id");

    let by_id = calls_from(&[
        r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"["}}]}"#,
        r#"{"tool_calls":[{"id":"a","function":{"arguments":"}"}}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"]"}}]}"#,
    ]);
    assert_eq!(by_id, [call("a", "f", "{}"), call("b", "g", "[]")]);
}

#[test]
fn a_late_name_or_id_holds_the_start_back() {
    let late = [
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#),
    ];
    assert!(calls_of_open(&late).is_empty(), "nothing to announce yet");
    let late =
        [&late[..], &[chunk(r#"{"tool_calls":[{"index":0,"id":"x","function":{"arguments":"1}"}}]}"#)]]
            .concat();
    assert_eq!(calls_of_open(&late), [call("x", "f", "{\"a\":1}")]);
}

/// Without the end of the body.
fn calls_of_open(stream: &[String]) -> Vec<(String, String, String)> {
    let mut decoder = OpenAiChat.stream_decoder();
    let mut out = Vec::new();
    for one in stream {
        decoder.frame(&Frame { raw: one.as_bytes(), event: "", data: one.as_bytes() }, &mut out).unwrap();
    }
    calls_of(&out)
}

#[test]
fn an_empty_list_of_calls_is_no_call() {
    let stream = [
        chunk(r#"{"content":"a","tool_calls":[]}"#),
        chunk(r#"{"content":"b","tool_calls":[]}"#),
        finish("stop"),
    ];
    let events = read(&stream);
    assert!(calls_of(&events).is_empty());
    let starts = events.iter().filter(|event| matches!(event, Event::PartStart { .. })).count();
    assert_eq!(starts, 1, "one run of text (trap 19)");
}

#[test]
fn reasoning_text_and_calls_each_open_their_own_part() {
    let stream = [
        chunk(r#"{"reasoning":"r"}"#),
        chunk(r#"{"content":"t"}"#),
        chunk(r#"{"reasoning":"s"}"#),
        chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#),
        finish("tool_calls"),
    ];
    let kinds: Vec<_> = read(&stream)
        .into_iter()
        .filter_map(|event| match event {
            Event::PartStart { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    let tool = PartKind::ToolCall { id: "a".into(), name: "f".into() };
    assert_eq!(kinds, [PartKind::Thinking, PartKind::Text, PartKind::Thinking, tool], "trap 16");
}

#[test]
fn each_signature_stays_with_its_own_block() {
    let streams = streams();
    let (_, stream) = streams.iter().find(|(name, _)| *name == "openrouter details").unwrap();
    let parts = meaning(&read(stream))["parts"].clone();
    assert_eq!((&parts[0][1]["text"], &parts[0][1]["signature"]), (&json!("ab"), &json!("S1")));
    assert!(parts[1][1]["kind"].as_str().unwrap().contains("Redacted"));
    assert_eq!((&parts[2][1]["text"], &parts[2][1]["signature"]), (&json!("c"), &json!("S2")), "trap 8");
}

#[test]
fn a_finish_in_the_middle_does_not_end_the_stream() {
    let stream = [
        chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#),
        finish("tool_calls"),
        chunk(r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}"#),
        finish("tool_calls"),
        "[DONE]".into(),
    ];
    let events = read(&stream);
    assert_eq!(calls_of(&events).len(), 2, "trap 32");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Finish { .. })).count(), 1);
}

#[test]
fn a_finish_that_was_not_sent_is_not_made_up() {
    let events = read(&[chunk(r#"{"content":"half"}"#)]);
    assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. } | Event::End)), "trap 30");
    assert!(matches!(events.last(), Some(Event::PartStop { .. })));
}

#[test]
fn stop_with_calls_is_tool_calls_in_streams_too() {
    let stream = [
        chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#),
        finish("stop"),
    ];
    let events = read(&stream);
    let Some(Event::Finish { finish, .. }) = events.last() else { panic!("a finish") };
    assert_eq!(finish.reason, FinishReason::ToolCalls);
}

#[test]
fn usage_and_finish_of_one_chunk_are_both_seen() {
    let streams = streams();
    let (_, stream) = streams.iter().find(|(name, _)| *name == "finish and usage together").unwrap();
    let rest = meaning(&read(stream))["rest"].to_string();
    assert!(rest.contains("Finish") && rest.contains("Usage"), "trap 33: {rest}");
}

#[test]
fn counts_in_the_middle_close_nothing() {
    let stream = [
        chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#),
        USAGE.into(),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#),
        finish("tool_calls"),
    ];
    assert_eq!(calls_of(&read(&stream)), [call("a", "f", "{}")]);
}

#[test]
fn groq_usage_is_found_in_its_own_place() {
    let events = events(&[
        r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":1}}}"#,
    ]);
    assert!(events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.input_uncached == 3)));
}

#[test]
fn an_error_in_the_stream_is_a_failure_and_nothing_follows() {
    for body in [
        r#"{"error":{"message":"overloaded","code":502}}"#,
        r#"{"id":"x","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"gone"}}]}"#,
        r#"{"object":"error","message":"bad","code":400}"#,
    ] {
        let events =
            read(&[chunk(r#"{"content":"a"}"#), body.into(), chunk(r#"{"content":"b"}"#), "[DONE]".into()]);
        assert!(matches!(events.last(), Some(Event::Failure(_))), "{body}: {events:?}");
        let mut seen = Observation::default();
        let frame = Frame { raw: body.as_bytes(), event: "", data: body.as_bytes() };
        assert_eq!(OpenAiChat.observe_frame(&frame, &mut seen), FrameVerdict::Failure);
        assert!(seen.failure.is_some());
    }
}

#[test]
fn an_error_event_is_recognised_by_its_name() {
    let frame = Frame { raw: b"x", event: "error", data: b"upstream went away" };
    let mut out = Vec::new();
    OpenAiChat.stream_decoder().frame(&frame, &mut out).unwrap();
    assert!(
        matches!(&out[..], [Event::Failure(failure)] if failure.message == "upstream went away"),
        "trap 24"
    );
}

#[test]
fn a_frame_of_no_meaning_is_refused_and_changes_nothing() {
    let mut decoder = OpenAiChat.stream_decoder();
    let mut out = Vec::new();
    for data in ["{", "nonsense", "{\"foo\":1}", "[1]"] {
        assert!(
            decoder.frame(&Frame { raw: b"x", event: "", data: data.as_bytes() }, &mut out).is_err(),
            "{data}"
        );
    }
    assert!(out.is_empty());
    let good = chunk(r#"{"content":"a"}"#);
    decoder.frame(&Frame { raw: b"x", event: "", data: good.as_bytes() }, &mut out).unwrap();
    assert_eq!(out.len(), 3);
}

#[test]
fn tool_numbers_count_calls_not_parts() {
    let start = |part, id: &str| Event::PartStart {
        choice: 0,
        part,
        kind: PartKind::ToolCall { id: id.into(), name: "f".into() },
    };
    let events = [
        Event::Start { id: "msg_1".into(), model: "claude".into(), created: None },
        Event::PartStart { choice: 0, part: 0, kind: PartKind::Text },
        Event::PartDelta { choice: 0, part: 0, delta: Delta::Text("x".into()) },
        Event::PartStop { choice: 0, part: 0 },
        start(1, "toolu_1"),
        Event::PartStop { choice: 0, part: 1 },
        start(2, ""),
        Event::PartDelta { choice: 0, part: 2, delta: Delta::Arguments("{\"a\":1}".into()) },
        Event::PartStop { choice: 0, part: 2 },
        Event::Usage(Usage { output: 1, ..Usage::default() }),
        Event::Usage(Usage { output: 2, ..Usage::default() }),
        Event::Finish {
            choice: 0,
            finish: Finish {
                reason: FinishReason::Stop,
                native: "end_turn".into(),
                stop_sequence: None,
                details: None,
            },
        },
        Event::End,
    ];
    let echo = Echo { model: "alias".into(), stream_usage: false, ..echo() };
    let written = chunks(&events, echo.clone());
    let bodies: Vec<Value> = written.iter().filter_map(|one| serde_json::from_str(one).ok()).collect();
    let calls: Vec<&Value> = bodies
        .iter()
        .map(|body| &body["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(
        *calls[0],
        json!({"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}})
    );
    assert_eq!(*calls[1], json!({"index": 0, "function": {"arguments": "{}"}}), "trap 21");
    assert_eq!(
        (&calls[2]["index"], &calls[2]["id"]),
        (&json!(1), &json!("call_u1_1")),
        "traps 1 and 3, never an empty id"
    );
    assert_eq!(calls.len(), 4);
    assert!(bodies.iter().all(|body| body["choices"][0]["index"] == 0), "trap 4");
    assert!(bodies.iter().all(|body| body["model"] == "alias" && body["created"] == 1_700_000_000));
    assert_eq!(bodies.last().unwrap()["choices"][0]["finish_reason"], "tool_calls", "trap 31");
    assert!(!written.iter().any(|one| one.contains("usage")), "not asked for");

    let asked = chunks(&events, Echo { stream_usage: true, ..echo });
    let usage: Value = serde_json::from_str(&asked[asked.len() - 2]).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 2, "the last count stands (trap 36)");
}

#[test]
fn thinking_is_written_as_text_and_its_signature_with_the_whole_block() {
    let delta = |delta| Event::PartDelta { choice: 0, part: 0, delta };
    let events = [
        Event::PartStart { choice: 0, part: 0, kind: PartKind::Thinking },
        delta(Delta::Thinking("a".into())),
        delta(Delta::Thinking("b".into())),
        delta(Delta::Signature(Signature::of(Wire::Anthropic, "S"))),
        Event::PartStop { choice: 0, part: 0 },
    ];
    let written = chunks(&events, echo());
    let bodies: Vec<Value> = written.iter().map(|one| serde_json::from_str(one).unwrap()).collect();
    assert_eq!(bodies[1]["choices"][0]["delta"], json!({"reasoning_content": "a"}));
    let entry = json!({"type": "reasoning.text", "text": "ab", "signature": "S", "format": "anthropic-claude-v1", "index": 0});
    assert_eq!(bodies[3]["choices"][0]["delta"], json!({"reasoning_details": [entry]}));
}

#[test]
fn a_failure_ends_the_stream_without_done() {
    let failure = Failure {
        status: 529,
        kind: FailureKind::Overloaded,
        message: "busy".into(),
        native_type: None,
        code: None,
        param: None,
    };
    let written = chunks(&[Event::Failure(failure.clone()), Event::End], echo());
    assert_eq!(
        written,
        [r#"{"error":{"message":"busy","type":"server_error","param":null,"code":"overloaded"}}"#]
    );
    let frame = OpenAiChat.encode_stream_failure(&failure, "req_1");
    assert_eq!(String::from_utf8(frame).unwrap(), format!("data: {}\n\n", written[0]));
}

#[test]
fn a_relay_sees_what_a_translation_sees() {
    for (name, stream) in streams() {
        let mut seen = Observation::default();
        let verdicts: Vec<_> = stream
            .iter()
            .map(|one| {
                let data = if one.starts_with(':') { &b""[..] } else { one.as_bytes() };
                OpenAiChat.observe_frame(&Frame { raw: one.as_bytes(), event: "", data }, &mut seen)
            })
            .collect();
        let events = read(&stream);
        let usage = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(*usage),
            _ => None,
        });
        let calls = events
            .iter()
            .any(|event| matches!(event, Event::PartStart { kind: PartKind::ToolCall { .. }, .. }));
        assert_eq!(
            (seen.usage, seen.tool_call, seen.content, seen.done),
            (usage, calls, true, true),
            "{name}"
        );
        assert!(seen.finish.is_some() && seen.skipped == 0, "{name}");
        assert_eq!(seen.model.as_deref(), Some("m"), "{name}");
        assert_eq!(verdicts.last(), Some(&FrameVerdict::Terminator), "{name}");
        for (one, verdict) in stream.iter().zip(&verdicts) {
            assert_eq!(*verdict == FrameVerdict::UsageOnly, one == USAGE, "{name}: {one}");
        }
    }
}

#[test]
fn the_finish_is_noted_when_every_choice_has_one() {
    let mut seen = Observation::default();
    let mut look = |data: &str| {
        OpenAiChat.observe_frame(&Frame { raw: b"x", event: "", data: data.as_bytes() }, &mut seen);
        seen.finish
    };
    assert_eq!(
        look(r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"é"}}]}"#),
        None
    );
    assert_eq!(look(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#), None);
    assert_eq!(
        look(r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#),
        Some(FinishReason::Length)
    );
    assert_eq!(look(r#"{"choices":[{"index":2,"delta":{"content":"c"}}]}"#), None);
    assert_eq!(seen.output_chars, 3);
}

#[test]
fn a_frame_of_no_meaning_is_counted_not_fatal() {
    let mut seen = Observation::default();
    let verdict = OpenAiChat.observe_frame(&Frame { raw: b"x", event: "", data: b"{\"trunc" }, &mut seen);
    assert_eq!((verdict, seen.skipped), (FrameVerdict::Invalid, 1));
}

#[test]
fn a_citation_reaches_the_caller_or_is_reported() {
    let mut encoder = OpenAiChat.stream_encoder(echo());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for url in [Some("https://e.com".to_owned()), None] {
        let citation = Citation { url, ..Citation::of(Wire::Anthropic, json!({})) };
        let event = Event::PartDelta { choice: 0, part: 0, delta: Delta::Citation(Box::new(citation)) };
        encoder.event(&event, &mut out, &mut losses);
    }
    assert!(String::from_utf8(out).unwrap().contains(r#""annotations":[{"type":"url_citation""#));
    assert_eq!(losses.as_slice().len(), 1);
}
