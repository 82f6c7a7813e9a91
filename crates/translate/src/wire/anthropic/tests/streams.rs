//! Streams: decoded, written again, and watched.

use serde_json::{Value, json};

use super::sdk::{accumulate, frames};
use super::{decode_lines, encode_events, lost};
use crate::frame::Frame;
use crate::ir::{Delta, Event, FailureKind, Finish, FinishReason, PartKind, Usage};
use crate::wire::anthropic::Anthropic;
use crate::wire::{Codec, Dialect, FrameVerdict, Observation};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":6,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":3},"output_tokens":1}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn block(index: u32, start: &str, deltas: &[&str]) -> String {
    let mut lines =
        format!("{{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{start}}}\n");
    for delta in deltas {
        lines += &format!("{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{delta}}}\n");
    }
    lines + &format!("{{\"type\":\"content_block_stop\",\"index\":{index}}}\n")
}

fn text(index: u32, pieces: &[&str]) -> String {
    let deltas: Vec<String> =
        pieces.iter().map(|p| json!({"type": "text_delta", "text": p}).to_string()).collect();
    let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
    block(index, r#"{"type":"text","text":""}"#, &deltas)
}

fn tool(index: u32, id: &str, pieces: &[&str]) -> String {
    let start = json!({"type": "tool_use", "id": id, "name": "f", "input": {}}).to_string();
    let delta = |p: &&str| json!({"type": "input_json_delta", "partial_json": p}).to_string();
    let deltas: Vec<String> = pieces.iter().map(delta).collect();
    block(index, &start, &deltas.iter().map(String::as_str).collect::<Vec<_>>())
}

fn finish(reason: &str) -> String {
    format!(
        "{{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_sequence\":null}},\
         \"usage\":{{\"output_tokens\":25}}}}\n{STOP}"
    )
}

fn stream(blocks: &[String], reason: &str) -> String {
    format!("{START}\n{}{}", blocks.concat(), finish(reason))
}

/// What a client makes of a stream that went through the pivot.
#[track_caller]
fn through(lines: &str) -> Value {
    let (written, losses) = encode_events(&decode_lines(lines));
    assert_eq!(losses.as_slice(), []);
    accumulate(&written).unwrap_or_else(|err| panic!("{err}\n{written}"))
}

#[test]
fn text_arrives_piece_by_piece() {
    let message = through(&stream(&[text(0, &["Hel", "lo"])], "end_turn"));
    assert_eq!(message["content"], json!([{"type": "text", "text": "Hello"}]));
    assert_eq!((&message["id"], &message["model"]), (&json!("msg_1"), &json!("alias")));
    assert_eq!(message["stop_reason"], "end_turn");
}

#[test]
fn counts_of_both_ends_are_merged() {
    let message = through(&stream(&[text(0, &["x"])], "end_turn"));
    let usage = &message["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(10), &json!(25)));
    assert_eq!(
        usage["cache_creation"],
        json!({"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 3})
    );
    assert_eq!(
        (&usage["cache_creation_input_tokens"], &usage["cache_read_input_tokens"]),
        (&json!(4), &json!(6))
    );
}

#[test]
fn later_counts_win_when_present_zero_included_and_null_not() {
    let lines = format!(
        "{START}\n{}\n{}\n{STOP}",
        r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":5,"input_tokens":null}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9,"cache_read_input_tokens":0,"cache_creation_input_tokens":4}}"#,
    );
    let events = decode_lines(&lines);
    let last = events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    });
    let expected =
        Usage { input_uncached: 10, cache_write: 1, cache_write_1h: 3, output: 9, ..Usage::default() };
    assert_eq!(last, Some(expected));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Finish { .. })).count(), 1);
}

#[test]
fn signed_reasoning_then_text() {
    let thinking = block(
        0,
        r#"{"type":"thinking","thinking":"","signature":""}"#,
        &[
            r#"{"type":"thinking_delta","thinking":"let me "}"#,
            r#"{"type":"thinking_delta","thinking":"see"}"#,
            r#"{"type":"signature_delta","signature":"EqQB+/="}"#,
        ],
    );
    let omitted = block(
        1,
        r#"{"type":"thinking","thinking":"","signature":""}"#,
        &[r#"{"type":"signature_delta","signature":"S2"}"#],
    );
    let message = through(&stream(&[thinking, omitted, text(2, &["ok"])], "end_turn"));
    assert_eq!(
        message["content"],
        json!([
        {"type": "thinking", "thinking": "let me see", "signature": "EqQB+/="},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "text", "text": "ok"}])
    );
}

#[test]
fn redacted_reasoning_is_whole_at_its_start() {
    let message =
        through(&stream(&[block(0, r#"{"type":"redacted_thinking","data":"R=="}"#, &[])], "end_turn"));
    assert_eq!(message["content"], json!([{"type": "redacted_thinking", "data": "R=="}]));
}

#[test]
fn parallel_calls_and_a_call_without_arguments() {
    let blocks =
        [text(0, &["go"]), tool(1, "a", &["", "{\"x\":", "1}"]), tool(2, "b", &[""]), tool(3, "c", &[])];
    let events = decode_lines(&stream(&blocks, "tool_use"));
    let arguments = |part| -> String {
        let fragment = |event: &Event| match event {
            Event::PartDelta { part: p, delta: Delta::Arguments(text), .. } if *p == part => {
                Some(text.clone())
            }
            _ => None,
        };
        events.iter().filter_map(fragment).collect()
    };
    assert_eq!([arguments(1), arguments(2), arguments(3)], ["{\"x\":1}", "{}", "{}"]);
    let message = through(&stream(&blocks, "tool_use"));
    assert_eq!(message["content"][1]["input"], json!({"x": 1}));
    assert_eq!(message["content"][3]["input"], json!({}));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn a_call_whose_input_is_whole_at_its_start() {
    let start = r#"{"type":"tool_use","id":"a","name":"f","input":{"b":1,"a":2}}"#;
    let message = through(&stream(&[block(0, start, &[])], "tool_use"));
    assert_eq!(message["content"][0]["input"], json!({"b": 1, "a": 2}));
}

#[test]
fn server_tools_and_citations_pass_whole() {
    let server = block(
        0,
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
        &[r#"{"type":"input_json_delta","partial_json":"{\"query\":\"q\"}"}"#],
    );
    let found = r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[{"url":"u"}]}"#;
    let cited = block(
        2,
        r#"{"type":"text","text":"","citations":[]}"#,
        &[
            r#"{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"u"}}"#,
            r#"{"type":"text_delta","text":"said"}"#,
        ],
    );
    let message = through(&stream(&[server, block(1, found, &[]), cited], "pause_turn"));
    assert_eq!(message["content"][0]["input"], json!({"query": "q"}));
    assert_eq!(message["content"][1], serde_json::from_str::<Value>(found).unwrap());
    assert_eq!(message["content"][2]["citations"][0]["url"], "u");
    assert_eq!(message["stop_reason"], "pause_turn");
}

#[test]
fn a_refusal_keeps_its_details() {
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"category":"bio"}},"usage":{"output_tokens":2}}"#;
    let events = decode_lines(&format!("{START}\n{delta}\n{STOP}"));
    let (written, _) = encode_events(&events);
    let end = frames(&written).into_iter().find(|(name, _)| name == "message_delta").unwrap().1;
    assert_eq!(
        end["delta"],
        json!({"stop_reason": "refusal", "stop_sequence": null, "stop_details": {"category": "bio"}})
    );
    assert!(events.iter().any(|event| matches!(
        event,
        Event::Finish { finish: Finish { reason: FinishReason::ContentFilter, .. }, .. }
    )));
}

#[test]
fn an_error_inside_the_stream_is_the_last_thing_heard() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let events = decode_lines(&format!("{START}\n{error}\n{}", finish("end_turn")));
    let Some(Event::Failure(failure)) = events.last() else { panic!("{events:?}") };
    assert_eq!((failure.kind, failure.status), (FailureKind::Overloaded, 529));
    let (written, _) = encode_events(&[events, vec![Event::Ping, Event::End]].concat());
    let last = frames(&written).pop().unwrap();
    assert_eq!((last.0.as_str(), &last.1["error"]["type"]), ("error", &json!("overloaded_error")));
}

#[test]
fn a_stream_that_breaks_off_is_closed_but_not_finished() {
    let events = decode_lines(&format!(
        "{START}\n{}",
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"par"}}"#
    ));
    assert_eq!(events.last(), Some(&Event::PartStop { choice: 0, part: 0 }));
    assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. } | Event::End)));
    let (written, _) = encode_events(&[events, vec![Event::End]].concat());
    assert!(accumulate(&written).unwrap_err().contains("api_error"));
}

#[test]
fn what_the_api_adds_later_is_skipped_and_what_is_no_event_is_counted() {
    let blocks = [block(
        7,
        r#"{"type":"text","text":""}"#,
        &[r#"{"type":"sparkle_delta","sparkle":1}"#, r#"{"type":"text_delta","text":"x"}"#],
    )];
    let lines = format!(
        "{{\"type\":\"weather\",\"delta\":7}}\n{{\"type\":\"ping\"}}\n{}",
        stream(&blocks, "end_turn")
    );
    let (written, losses) = encode_events(&decode_lines(&lines));
    assert_eq!(accumulate(&written).unwrap()["content"], json!([{"type": "text", "text": "x"}]));
    assert_eq!(lost(&losses), ["weather", "delta.sparkle", "delta.type"]);
    let mut decoder = Anthropic.stream_decoder();
    for bad in [
        "{",
        "[DONE]",
        r#"{"choices":[]}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#,
    ] {
        let mut out = Vec::new();
        let frame = Frame { raw: b"", event: "", data: bad.as_bytes() };
        assert!(decoder.frame(&frame, &mut out).is_err(), "{bad}");
        assert!(out.is_empty());
    }
}

fn start(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::PartDelta { choice: 0, part, delta }
}

fn called(part: u32) -> Event {
    start(part, PartKind::ToolCall { id: format!("call_{part}"), name: "f".to_owned() })
}

fn arguments(part: u32, text: &str) -> Event {
    delta(part, Delta::Arguments(text.to_owned()))
}

fn ended(native: &str, reason: FinishReason) -> Vec<Event> {
    let finish = Finish { reason, native: native.to_owned(), stop_sequence: None, details: None };
    let usage = Usage { input_uncached: 2, output: 3, ..Usage::default() };
    vec![Event::Finish { choice: 0, finish }, Event::Usage(usage), Event::End]
}

fn foreign(middle: Vec<Event>, end: Vec<Event>) -> Vec<Event> {
    let begin = Event::Start { id: "chatcmpl-1".to_owned(), model: "gpt".to_owned(), created: Some(1) };
    [vec![begin], middle, end].concat()
}

#[test]
fn interleaved_calls_are_put_in_a_row() {
    let events = foreign(
        vec![
            start(0, PartKind::Text),
            delta(0, Delta::Text("t".to_owned())),
            called(1),
            called(2),
            arguments(2, "{\"b\""),
            arguments(1, "{\"a\""),
            arguments(2, ":2}"),
            arguments(1, ":1}"),
            called(3),
            Event::PartStop { choice: 0, part: 2 },
            Event::PartStop { choice: 0, part: 1 },
        ],
        ended("tool_calls", FinishReason::ToolCalls),
    );
    let (written, losses) = encode_events(&events);
    let message = accumulate(&written).unwrap();
    assert!(losses.is_empty());
    let inputs: Vec<&Value> =
        message["content"].as_array().unwrap().iter().skip(1).map(|b| &b["input"]).collect();
    assert_eq!(inputs, [&json!({"a": 1}), &json!({"b": 2}), &json!({})]);
    assert_eq!((&message["id"], &message["stop_reason"]), (&json!("msg_u1"), &json!("tool_use")));
    assert_eq!(
        (&message["usage"]["input_tokens"], &message["usage"]["output_tokens"]),
        (&json!(2), &json!(3))
    );
}

#[test]
fn reasoning_gives_way_to_text_that_begins_and_comes_back_as_a_block_of_its_own() {
    let think = |text: &str| delta(0, Delta::Thinking(text.to_owned()));
    let say = |text: &str| delta(1, Delta::Text(text.to_owned()));
    let events = foreign(
        vec![
            start(0, PartKind::Thinking),
            think("a"),
            start(1, PartKind::Text),
            say("x"),
            think("b"),
            say("y"),
        ],
        ended("stop", FinishReason::Stop),
    );
    let (written, losses) = encode_events(&events);
    let message = accumulate(&written).unwrap();
    let shown: Vec<(&Value, &Value)> = message["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| {
            (&block["type"], if block["type"] == "text" { &block["text"] } else { &block["thinking"] })
        })
        .collect();
    let [t, h] = [json!("text"), json!("thinking")];
    assert_eq!(shown, [(&h, &json!("a")), (&t, &json!("x")), (&h, &json!("b")), (&t, &json!("y"))]);
    assert!(losses.is_empty());
}

#[test]
fn usage_before_finish_other_choices_and_faults() {
    let mut end = ended("stop", FinishReason::Stop);
    end.swap(0, 1);
    let other = Event::PartStart { choice: 1, part: 0, kind: PartKind::Text };
    let refused =
        vec![other, start(0, PartKind::Refusal), delta(0, Delta::Refusal("no".to_owned())), Event::Ping];
    let (written, losses) = encode_events(&foreign(refused, end));
    let message = accumulate(&written).unwrap();
    assert_eq!((&message["stop_reason"], &message["content"][0]["text"]), (&json!("refusal"), &json!("no")));
    assert_eq!(losses.as_slice()[0].path, "choices[1]");
    let (written, _) = encode_events(&foreign(vec![], ended("error", FinishReason::Error)));
    assert!(accumulate(&written).unwrap_err().contains("api_error"));
}

#[test]
fn message_start_has_every_count_and_comes_once() {
    let begin = Event::Start { id: "msg_9".to_owned(), model: "x".to_owned(), created: None };
    let (written, _) = encode_events(&[begin.clone(), begin]);
    let found = frames(&written);
    assert_eq!(found.len(), 1);
    let message = &found[0].1["message"];
    assert_eq!(message["id"], "msg_9");
    for field in ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"] {
        assert_eq!(message["usage"][field], 0);
    }
    assert_eq!(message["usage"]["cache_creation"]["ephemeral_1h_input_tokens"], 0);
}

#[test]
fn watching_sees_what_decoding_sees() {
    let lines = stream(&[text(0, &["Hél", "lo"]), tool(1, "a", &["", "{}"])], "tool_use");
    let mut seen = Observation::default();
    let mut verdicts = Vec::new();
    for line in lines.lines() {
        let frame = Frame { raw: b"", event: "", data: line.as_bytes() };
        verdicts.push(Anthropic.observe_frame(&frame, &mut seen));
    }
    assert_eq!(verdicts.pop(), Some(FrameVerdict::Terminator));
    assert!(verdicts.iter().all(|verdict| *verdict == FrameVerdict::Relay));
    let decoded = decode_lines(&lines).into_iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(usage),
        _ => None,
    });
    let expected = Observation {
        content: true,
        tool_call: true,
        finish: Some(FinishReason::ToolCalls),
        usage: decoded,
        failure: None,
        model: Some("claude-x".to_owned()),
        done: true,
        skipped: 0,
        output_chars: 7,
        choices_open: 1,
        choices_finished: 1,
        head: Default::default(),
        choices_ending: 0,
    };
    assert_eq!(seen, expected);
}

#[test]
fn watching_tells_errors_nonsense_and_the_unknown_apart() {
    let mut seen = Observation::default();
    let mut look = |data: &str| {
        Anthropic.observe_frame(&Frame { raw: b"", event: "", data: data.as_bytes() }, &mut seen)
    };
    assert_eq!(
        look(r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#),
        FrameVerdict::Failure
    );
    assert_eq!(look(r#"{"type":"weather","delta":7}"#), FrameVerdict::Relay);
    assert_eq!(look(r#"{"type":{}}"#), FrameVerdict::Relay);
    assert_eq!(
        look(r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#),
        FrameVerdict::Relay
    );
    assert_eq!(look(""), FrameVerdict::Relay);
    assert_eq!(look("{\"type\":"), FrameVerdict::Invalid);
    assert_eq!(look("[DONE]"), FrameVerdict::Invalid);
    assert_eq!(seen.failure.as_ref().map(|failure| failure.kind), Some(FailureKind::RateLimited));
    assert_eq!((seen.skipped, seen.content), (2, false));
}
