//! What a translated stream cannot carry is told, once; what the totals leave out is counted.

use serde_json::json;

use super::{Anthropic, decode_lines, encode_events, lost};
use crate::ir::{Delta, Event, Finish, FinishReason, Part, PartKind, Usage};
use crate::wire::{Codec, Dialect, Observation};

fn told(events: &[Event]) -> Vec<&str> {
    let paths = events.iter().filter_map(|event| match event {
        Event::Lost { path, .. } => Some(path.as_str()),
        _ => None,
    });
    paths.collect()
}

#[test]
fn unknown_fields_of_a_stream_are_told_once_each() {
    let lines = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "container": {"id": "c"}, "usage": {"input_tokens": 3, "output_tokens": 1, "service_tier": "priority", "inference_geo": "eu", "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0}}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}", "hint": "h"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "", "hint": "h"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null, "container": null}, "usage": {"output_tokens": 9, "inference_geo": "eu"}, "context_management": {"applied_edits": [{"type": "x"}]}}),
        json!({"type": "message_stop"}),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let expected = [
        "message.container",
        "usage.service_tier",
        "usage.inference_geo",
        "content_block.caller",
        "delta.hint",
        "context_management",
    ];
    assert_eq!(told(&decode_lines(&lines.join("\n"))), expected);
}

#[test]
fn plain_stream_tells_of_no_loss() {
    let lines = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}}}
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"S"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":""}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}
{"type":"content_block_stop","index":1}
{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}
{"type":"message_stop"}"#;
    assert_eq!(told(&decode_lines(lines)), [] as [&str; 0]);
}

#[test]
fn streamed_arguments_that_are_no_object_are_told() {
    let stream = |arguments: &str| {
        let delta = Delta::Arguments(arguments.to_owned());
        let kind = PartKind::ToolCall { id: "t".into(), name: "f".into() };
        let finish = Finish {
            reason: FinishReason::ToolCalls,
            native: String::new(),
            stop_sequence: None,
            details: None,
        };
        encode_events(&[
            Event::PartStart { choice: 0, part: 0, kind },
            Event::PartDelta { choice: 0, part: 0, delta },
            Event::PartStop { choice: 0, part: 0 },
            Event::Finish { choice: 0, finish },
            Event::End,
        ])
        .1
    };
    for bad in ["{\"a\":", "[1]", "null", "{} {}"] {
        assert_eq!(lost(&stream(bad)), ["content[0].input"], "{bad}");
    }
    for good in ["", "{}", " {\"a\":[1]}\n"] {
        assert!(stream(good).is_empty(), "{good}");
    }
}

#[test]
fn leftovers_of_encrypted_reasoning_are_kept_on_their_own_wire() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "redacted_thinking", "data": "R", "shape": 1}]});
    let response = Anthropic.decode_response(body.to_string().as_bytes()).unwrap();
    let [Part::RedactedThinking { data, extra }] = &response.choices[0].parts[..] else { panic!() };
    assert_eq!((data.as_str(), extra.fields["shape"].as_u64()), ("R", Some(1)));
}

const ITERATIONS: &str = r#"{"input_tokens":100,"output_tokens":40,"cache_read_input_tokens":7,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"iterations":[{"type":"compaction","input_tokens":5000,"output_tokens":300,"cache_read_input_tokens":11,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}},{"type":"message","input_tokens":100,"output_tokens":40},{"type":"advisor_message","model":"m2","input_tokens":1000,"output_tokens":60},{"type":"of the future","input_tokens":9}]}"#;

/// Source: `usage.iterations` of compaction and of the advisor are left out of the totals.
#[test]
fn compactions_and_advice_are_added_to_the_counts() {
    let expected = Usage {
        input_uncached: 6100,
        cache_read: 18,
        cache_write: 10,
        cache_write_1h: 20,
        output: 400,
        ..Usage::default()
    };
    let body = format!(
        r#"{{"id":"msg_1","type":"message","content":[],"stop_reason":"end_turn","usage":{ITERATIONS}}}"#
    );
    let whole = Anthropic.decode_response(body.as_bytes()).unwrap().usage.unwrap();
    assert_eq!(whole, expected);
    let unsplit = ITERATIONS.replacen(
        r#""cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"#,
        "",
        1,
    );
    let unsplit = format!(r#"{{"id":"msg_1","type":"message","content":[],"usage":{unsplit}}}"#);
    let unsplit = Anthropic.decode_response(unsplit.as_bytes()).unwrap().usage.unwrap();
    assert_eq!(unsplit, Usage { cache_write: 30, cache_write_1h: 0, ..expected });
    assert_eq!(Anthropic.observe_response(body.as_bytes()).unwrap().usage, Some(whole));
    // A stream repeats its cumulative counts: they are not added twice.
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":90,"output_tokens":1}}}"#;
    let delta = format!(r#"{{"type":"message_delta","delta":{{}},"usage":{ITERATIONS}}}"#);
    let events = decode_lines(&[start, &delta, &delta].join("\n"));
    let last = events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    });
    assert_eq!(last, Some(whole));
    let mut seen = Observation::default();
    for data in [start, &delta, &delta] {
        let frame = crate::frame::Frame { raw: b"", event: "", data: data.as_bytes() };
        Anthropic.observe_frame(&frame, &mut seen);
    }
    assert_eq!(seen.usage, Some(whole));
}
