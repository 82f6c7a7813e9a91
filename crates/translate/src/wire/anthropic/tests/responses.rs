//! Whole answers: the way back to the same wire, answers of other wires, and what a relay sees.

use serde_json::{Value, json};

use super::echo;
use crate::Wire;
use crate::ir::{Choice, Extra, Finish, FinishReason, Part, Response, Served, Thinking, ToolCall, Usage};
use crate::loss::Losses;
use crate::wire::anthropic::Anthropic;
use crate::wire::{BadResponse, Codec, Dialect, Echo};

fn usage() -> Value {
    json!({"input_tokens": 3, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 11,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 13, "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 2},
        "service_tier": "standard", "inference_geo": "us", "iterations": [{"type": "message"}]})
}

fn answer(content: Value, stop_reason: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": usage()})
}

fn survives(body: &Value) {
    let first = Anthropic.decode_response(&serde_json::to_vec(body).unwrap()).unwrap();
    let echo = Echo { model: first.model.clone(), ..echo() };
    let mut losses = Losses::default();
    let bytes = Anthropic.encode_response(&first, &echo, &mut losses);
    assert_eq!(losses.as_slice(), []);
    assert_eq!(&serde_json::from_slice::<Value>(&bytes).unwrap(), body);
    assert_eq!(Anthropic.decode_response(&bytes).unwrap(), first);
}

#[test]
fn answers_of_this_wire_come_back_as_they_were() {
    survives(&answer(json!([{"type": "text", "text": "Hello"}]), "end_turn"));
    survives(&answer(
        json!([
        {"type": "thinking", "thinking": "hm", "signature": "S1"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "redacted_thinking", "data": "R"},
        {"type": "text", "text": "a"}]),
        "max_tokens",
    ));
    survives(&answer(
        json!([
        {"type": "text", "text": "calling"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": [2]}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}, "caller": {"type": "direct"}}]),
        "tool_use",
    ));
    survives(&answer(
        json!([
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": "c"}]}]),
        "pause_turn",
    ));
    let mut refused = answer(json!([]), "refusal");
    refused["stop_details"] = json!({"type": "refusal", "category": "bio"});
    survives(&refused);
    let mut stopped = answer(json!([{"type": "text", "text": "x"}]), "stop_sequence");
    stopped["stop_sequence"] = json!("END");
    survives(&stopped);
    let mut newer = answer(json!([{"type": "hologram", "rays": 3}]), "model_context_window_exceeded");
    newer["container"] = json!({"id": "c"});
    newer["mood"] = json!("fine");
    survives(&newer);
    survives(&answer(json!([{"type": "compaction", "content": "short"}]), "compaction"));
}

#[test]
fn counts_fall_into_disjoint_buckets() {
    let body = answer(json!([]), "end_turn");
    let response = Anthropic.decode_response(body.to_string().as_bytes()).unwrap();
    let found = response.usage.unwrap();
    let expected = Usage {
        input_uncached: 3,
        cache_read: 11,
        cache_write: 5,
        cache_write_1h: 2,
        output: 13,
        reasoning: 4,
        web_searches: 1,
        served: Served { in_us: true, ..Served::default() },
        ..Usage::default()
    };
    assert_eq!(found, expected);
    assert_eq!(found.input_total(), 21);
    let seen = Anthropic.observe_response(body.to_string().as_bytes()).unwrap();
    assert_eq!(seen.usage, Some(expected));
}

#[test]
fn counts_are_read_by_presence_and_only_from_this_wires_fields() {
    let counted = |usage: Value| {
        let body = json!({"content": [], "usage": usage}).to_string();
        Anthropic.decode_response(body.as_bytes()).unwrap().usage.unwrap()
    };
    assert_eq!(counted(json!({"input_tokens": 5, "cache_creation_input_tokens": 9})).cache_write, 9);
    let mixed = counted(json!({"input_tokens": 5, "cache_read_input_tokens": 0, "prompt_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 40}}));
    assert_eq!((mixed.input_uncached, mixed.cache_read), (5, 0));
    let odd = counted(json!({"input_tokens": 5.0, "output_tokens": null, "cache_read_input_tokens": "7",
        "cache_creation": null}));
    assert_eq!((odd.input_uncached, odd.output, odd.cache_read), (5, 0, 0));
}

#[test]
fn an_answer_of_another_wire_has_every_field_clients_read() {
    let call = ToolCall {
        id: String::new(),
        name: "f".to_owned(),
        arguments: "{\"z\": 1.0, \"a\": oops".to_owned(),
        cache: None,
        extra: Extra::default(),
    };
    let thinking = Thinking { text: "hm".to_owned(), ..Thinking::default() };
    let parts = vec![
        Part::text(""),
        Part::Thinking(thinking),
        Part::ToolCall(ToolCall {
            id: "call_1".to_owned(),
            arguments: " {\"z\": 1.0}".to_owned(),
            ..call.clone()
        }),
        Part::ToolCall(call),
        Part::Opaque { wire: Wire::OpenAiChat, value: json!({}) },
    ];
    let finish =
        Finish { reason: FinishReason::Stop, native: "stop".to_owned(), stop_sequence: None, details: None };
    let choice = Choice { parts, finish: Some(finish), logprobs: Some(json!({})), extra: Extra::default() };
    let choices = vec![choice.clone(), choice];
    let response = Response { id: "chatcmpl-1".to_owned(), choices, ..Response::default() };
    let mut losses = Losses::default();
    let bytes = Anthropic.encode_response(&response, &echo(), &mut losses);
    assert!(String::from_utf8_lossy(&bytes).contains(r#""input":{"z": 1.0}"#));
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (&body["id"], &body["model"], &body["stop_reason"]),
        (&json!("msg_u1"), &json!("alias"), &json!("tool_use"))
    );
    assert_eq!(body["content"][0], json!({"type": "thinking", "thinking": "hm", "signature": ""}));
    assert_eq!(body["content"][2]["id"], "toolu_u1_3");
    assert_eq!(body["content"][2]["input"], json!({"_raw": "{\"z\": 1.0, \"a\": oops"}));
    assert_eq!(
        body["usage"]["cache_creation"],
        json!({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0})
    );
    for field in ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
        assert_eq!(body["usage"][field], 0);
    }
    assert_eq!(losses.as_slice().len(), 4, "{losses:?}");
}

#[test]
fn reasons_of_other_wires_get_this_wires_words() {
    let word = |reason, parts: Vec<Part>| {
        let finish = Finish { reason, native: "x".to_owned(), stop_sequence: None, details: None };
        let choice = Choice { parts, finish: Some(finish), logprobs: None, extra: Extra::default() };
        let response = Response { choices: vec![choice], ..Response::default() };
        let bytes = Anthropic.encode_response(&response, &echo(), &mut Losses::default());
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    assert_eq!(word(FinishReason::Stop, vec![])["stop_reason"], "end_turn");
    assert_eq!(word(FinishReason::Length, vec![])["stop_reason"], "max_tokens");
    assert_eq!(word(FinishReason::ContentFilter, vec![])["stop_reason"], "refusal");
    let refused = word(FinishReason::Stop, vec![Part::Refusal("no".to_owned())]);
    assert_eq!((&refused["stop_reason"], &refused["content"][0]["text"]), (&json!("refusal"), &json!("no")));
    let empty = Anthropic.encode_response(&Response::default(), &echo(), &mut Losses::default());
    assert_eq!(serde_json::from_slice::<Value>(&empty).unwrap()["content"], json!([]));
}

#[test]
fn what_is_no_answer_is_refused_by_decoding_and_by_watching() {
    let whole = answer(json!([{"type": "text", "text": "Hello"}]), "end_turn").to_string();
    let cut = &whole[..whole.len() - 9];
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    for (body, kind) in [
        (cut, "json"),
        ("<html>502</html>", "json"),
        ("", "json"),
        (error, "failure"),
        (r#"{"error":{"message":"no"}}"#, "failure"),
        (r#"{"id":"msg_1"}"#, "shape"),
        (r#"{"content":"text"}"#, "shape"),
        (r#"{"choices":[]}"#, "shape"),
        ("7", "shape"),
    ] {
        let kind_of = |err: &BadResponse| match err {
            BadResponse::NotJson(_) => "json",
            BadResponse::WrongShape(_) => "shape",
            BadResponse::Failure(failure) => {
                assert!(failure.status >= 400);
                "failure"
            }
        };
        assert_eq!(kind_of(&Anthropic.decode_response(body.as_bytes()).unwrap_err()), kind, "{body}");
        assert_eq!(kind_of(&Anthropic.observe_response(body.as_bytes()).unwrap_err()), kind, "{body}");
    }
}

#[test]
fn watching_a_whole_answer_sees_what_accounting_needs() {
    let body = answer(
        json!([{"type": "text", "text": "häh"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a":1}}]),
        "tool_use",
    );
    let seen = Anthropic.observe_response(body.to_string().as_bytes()).unwrap();
    assert!(seen.content && seen.tool_call && seen.done);
    assert_eq!(seen.finish, Some(FinishReason::ToolCalls));
    assert_eq!(seen.model.as_deref(), Some("claude-x"));
    assert_eq!(seen.output_chars, 3 + 7);
    let counted = Anthropic.observe_response(br#"{"input_tokens": 42}"#).unwrap();
    assert_eq!(counted.usage.unwrap().input_uncached, 42);
    assert!(!counted.content);
}
