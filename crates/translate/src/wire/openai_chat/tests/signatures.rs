//! Signatures of reasoning: whose they are, and the way back to their maker.

use serde_json::{Value, json};

use super::{
    OPENAI, OPENROUTER, PLAIN_RULES, chunks, decode, decode_response, echo, encode, encode_response,
};
use super::{events, paths, quirks, to};
use crate::Wire;
use crate::ir::{Choice, Delta, Event, Part, PartKind, Response, Signature, Thinking, ToolCall};
use crate::provider::ReasoningField;

const GOOGLE: crate::provider::Quirks = quirks(ReasoningField::CallSignature);

fn signature(by: Wire, text: &str) -> Signature {
    Signature { by, text: text.into() }
}

fn thinking(text: &str, by: Wire, signed: &str) -> Part {
    Part::Thinking(Thinking {
        text: text.into(),
        signature: Some(signature(by, signed)),
        ..Thinking::default()
    })
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: "{}".into(),
        cache: None,
        extra: Default::default(),
    })
}

fn answer(parts: Vec<Part>) -> Response {
    let choice = Choice { parts, finish: None, logprobs: None, extra: Default::default() };
    Response { id: "i".into(), model: "m".into(), choices: vec![choice], ..Response::default() }
}

/// The answer, sent back by the caller as it came.
fn sent_back(written: &Value) -> Vec<Part> {
    let message = &written["choices"][0]["message"];
    let mut request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    request.messages.remove(0).parts
}

#[test]
fn every_maker_gets_its_own_back_through_a_caller() {
    let parts = vec![
        thinking("claude thought", Wire::Anthropic, "A1"),
        thinking("gpt thought", Wire::OpenAiResponses, "O1"),
        thinking("", Wire::Gemini, "G1"),
        call("c1"),
        thinking("twice", Wire::Gemini, "G2"),
        call("c2"),
    ];
    let (written, losses) = encode_response(&answer(parts.clone()));
    assert!(losses.is_empty(), "{losses:?}");
    let back: Vec<Part> = sent_back(&written)
        .into_iter()
        .map(|part| match part {
            // A summary stays one.
            Part::Thinking(one) => Part::Thinking(Thinking { extra: Default::default(), ..one }),
            part => part,
        })
        .collect();
    assert_eq!(back, parts);
}

#[test]
fn a_foreign_signature_is_marked_for_callers_and_named_by_its_format() {
    let (written, _) = encode_response(&answer(vec![thinking("t", Wire::Gemini, "G"), call("c")]));
    let message = &written["choices"][0]["message"];
    let entries = json!([
        {"type": "reasoning.text", "text": "t", "format": "google-gemini-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "bifrost:gemini:G", "format": "google-gemini-v1", "id": "c", "index": 0},
    ]);
    assert_eq!(message["reasoning_details"], entries);
    assert_eq!(message["tool_calls"][0]["extra_content"], json!({"google": {"thought_signature": "G"}}));
}

#[test]
fn a_signature_on_the_call_alone_is_enough() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "G", "later": 1}}});
    let message = json!({"role": "assistant", "content": "Well.", "tool_calls": [call]});
    let request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    let parts = &request.messages[0].parts;
    assert_eq!(parts[..2], [Part::text("Well."), thinking("", Wire::Gemini, "G")]);
    let Part::ToolCall(read) = &parts[2] else { panic!("the call") };
    assert_eq!(read.extra.fields["extra_content"], json!({"google": {"later": 1}}));

    let (body, losses) = encode(&request, &to(&GOOGLE, &PLAIN_RULES));
    assert!(losses.is_empty(), "{losses:?}");
    let written = &body["messages"][0]["tool_calls"][0]["extra_content"]["google"];
    assert_eq!(*written, json!({"thought_signature": "G", "later": 1}));
    let (body, losses) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert!(!body.to_string().contains("thought_signature"), "{body}");
    assert_eq!(paths(&losses), ["messages[0].content[1]"]);
    let whole = decode_response(&json!({"choices": [{"index": 0, "message": message}]}).to_string());
    assert_eq!(whole.choices[0].parts, *parts);
}

#[test]
fn the_same_signature_in_both_places_is_one() {
    let detail =
        json!({"type": "reasoning.encrypted", "data": "G", "format": "google-gemini-v1", "index": 0});
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "G"}}});
    let message =
        json!({"role": "assistant", "content": "x", "reasoning_details": [detail], "tool_calls": [call]});
    let request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    let kinds = [Part::text("x"), thinking("", Wire::Gemini, "G")];
    assert_eq!(request.messages[0].parts[..2], kinds, "it stands directly before its call");
    assert_eq!(request.messages[0].parts.len(), 3);

    let chunk = |delta: Value| json!({"id": "i", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]});
    let first = chunk(json!({"reasoning_details": [detail]})).to_string();
    let second = chunk(json!({"tool_calls": [call]})).to_string();
    let seen = events(&[&first, &second]);
    let signed = |event: &&Event| matches!(event, Event::PartDelta { delta: Delta::Signature(_), .. });
    assert_eq!(seen.iter().filter(signed).count(), 1, "{seen:?}");
}

#[test]
fn requests_never_hold_a_mark() {
    let entries = json!([
        {"type": "reasoning.text", "text": "a", "signature": "A", "index": 0},
        {"type": "reasoning.encrypted", "data": "bifrost:gemini:G", "index": 1},
        {"type": "reasoning.encrypted", "data": "bifrost:openai_responses:O", "id": "rs_1", "index": 2},
    ]);
    let message = json!({"role": "assistant", "content": "x", "reasoning_details": entries});
    let request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    for quirks in [&OPENROUTER, &OPENAI, &GOOGLE, &quirks(ReasoningField::Reasoning)] {
        let (body, _) = encode(&request, &to(quirks, &PLAIN_RULES));
        assert!(!body.to_string().contains("bifrost:"), "{body}");
    }
    let (body, losses) = encode(&request, &to(&OPENROUTER, &PLAIN_RULES));
    assert!(losses.is_empty(), "{losses:?}");
    let expected = json!([
        {"type": "reasoning.text", "text": "a", "signature": "A", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "G", "format": "google-gemini-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "O", "format": "openai-responses-v1", "id": "rs_1", "index": 2},
    ]);
    assert_eq!(body["messages"][0]["reasoning_details"], expected);
}

#[test]
fn a_stream_of_googles_endpoint_keeps_the_signature_of_its_call() {
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "G"}}});
    let chunk = json!({"id": "i", "object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let seen = events(&[&chunk.to_string(), "[DONE]"]);
    assert!(!seen.iter().any(|event| matches!(event, Event::Lost { .. })), "{seen:?}");
    let kinds: Vec<_> = seen
        .iter()
        .filter_map(|event| match event {
            Event::PartStart { kind, .. } => Some(kind.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [PartKind::Thinking, PartKind::ToolCall { id: "c".into(), name: "f".into() }]);
    // And a caller gets it on the call, where it was.
    let written = chunks(&seen, echo());
    let calls: Vec<Value> = written
        .iter()
        .filter_map(|one| serde_json::from_str::<Value>(one).ok())
        .filter_map(|one| one["choices"][0]["delta"]["tool_calls"][0].get("extra_content").cloned())
        .collect();
    assert_eq!(calls, [json!({"google": {"thought_signature": "G"}})]);
}

#[test]
fn summary_and_seal_of_one_block_are_one_reasoning() {
    let entries = json!([
        {"type": "reasoning.summary", "summary": "short", "format": "openai-responses-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "O", "id": "rs_1", "format": "openai-responses-v1", "index": 0},
    ]);
    let message = json!({"role": "assistant", "content": "x", "reasoning_details": entries});
    let request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    let Part::Thinking(one) = &request.messages[0].parts[0] else { panic!("reasoning") };
    assert_eq!((one.text.as_str(), &one.signature), ("short", &Some(signature(Wire::OpenAiResponses, "O"))));
    assert_eq!(request.messages[0].parts.len(), 2);
    let chunk =
        json!({"id": "i", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": message}]});
    let seen = events(&[&chunk.to_string()]);
    let starts = |event: &&Event| matches!(event, Event::PartStart { kind: PartKind::Thinking, .. });
    assert_eq!(seen.iter().filter(starts).count(), 1, "{seen:?}");
}

#[test]
fn calls_without_ids_get_some_that_differ_whole_and_streamed() {
    let (written, _) = encode_response(&answer(vec![call(""), call("own"), call("")]));
    let calls = written["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    let ids: Vec<&str> = calls.iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["call_u1_0", "own", "call_u1_2"]);

    let start = |choice, part| {
        let kind = PartKind::ToolCall { id: String::new(), name: "f".into() };
        Event::PartStart { choice, part, kind }
    };
    let streamed: Vec<String> = chunks(&[start(0, 0), start(0, 1), start(1, 0)], echo())
        .iter()
        .filter_map(|one| serde_json::from_str::<Value>(one).ok())
        .filter_map(|one| one["choices"][0]["delta"]["tool_calls"][0]["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(streamed, ["call_u1_0", "call_u1_1", "call_u1_2"]);
}

#[test]
fn a_summary_repeated_for_its_signature_is_no_more_reasoning() {
    let plain = |text: &str| json!({"index": 0, "delta": {"reasoning_content": text}, "finish_reason": null});
    let entries = json!([
        {"type": "reasoning.summary", "summary": "hm", "format": "openai-responses-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "S", "format": "openai-responses-v1", "index": 0}]);
    let signs = json!({"index": 0, "delta": {"reasoning_details": entries}, "finish_reason": "stop"});
    let bodies =
        [plain("h"), plain("m"), signs].map(|choice| json!({"id": "a", "choices": [choice]}).to_string());
    let deltas: Vec<Delta> = events(&[&bodies[0], &bodies[1], &bodies[2], "[DONE]"])
        .into_iter()
        .filter_map(|event| match event {
            Event::PartDelta { part: 0, delta, .. } => Some(delta),
            _ => None,
        })
        .collect();
    let signature = Delta::Signature(signature(Wire::OpenAiResponses, "S"));
    assert_eq!(deltas, [Delta::Thinking("h".into()), Delta::Thinking("m".into()), signature]);
}

#[test]
fn what_is_left_of_thinking_is_not_sent_without_its_type() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "thinking": {"type": "enabled", "token_budget": 9}});
    let (body, losses) = encode(&decode(&body.to_string()), &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(body.get("thinking"), None);
    assert!(paths(&losses).contains(&"thinking.token_budget"), "{losses:?}");
}
