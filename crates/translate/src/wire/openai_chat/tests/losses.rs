//! What a translated stream cannot carry is told, once; what can travel travels.

use serde_json::{Value, json};

use super::{PLAIN_RULES, decode, decode_response, encode, encode_response, events, paths, quirks, to};
use crate::ir::{Event, Part, PartKind, Usage};
use crate::provider::{ModelRules, ReasoningField};

fn told(events: &[Event]) -> Vec<&str> {
    let paths = events.iter().filter_map(|event| match event {
        Event::Lost { path, .. } => Some(path.as_str()),
        _ => None,
    });
    paths.collect()
}

fn chunk(index: u32, delta: Value) -> String {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "obfuscation": "zz",
        "choices": [{"index": index, "delta": delta, "logprobs": null, "finish_reason": null}]})
    .to_string()
}

#[test]
fn custom_calls_of_a_stream_are_told_and_open_no_part() {
    let stream = [
        chunk(
            0,
            json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "patch", "input": ""}}]}),
        ),
        chunk(0, json!({"tool_calls": [{"index": 0, "custom": {"input": "*** Begin"}}]})),
        chunk(
            0,
            json!({"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
        ),
    ];
    let events = events(&stream.each_ref().map(String::as_str));
    assert_eq!(told(&events), ["choices[0].delta.tool_calls[0].custom"]);
    let starts = events.iter().filter(|event| matches!(event, Event::PartStart { .. })).count();
    assert_eq!(starts, 1);
}

#[test]
fn unknown_fields_of_a_stream_are_told_once_each() {
    let mut noisy: Value = serde_json::from_str(&chunk(0, json!({
        "role": "assistant", "content": [{"type": "text", "text": "x", "tint": "red"}], "audio": {"id": "a"}, "refusal": null, "mood": {}, "context": "",
        "tool_calls": [{"index": 0, "id": "c", "type": "builtin_function", "function": {"name": "f", "arguments": "{}", "x": 1}, "extra_content": {"google": {"thought_signature": "S"}, "x": 1}}],
        "reasoning_details": [{"type": "reasoning.text", "text": "t", "id": "r1", "format": "anthropic-claude-v1"}, {"type": "reasoning.encrypted", "data": "D", "id": "r2", "signature": "S"}],
    })))
    .unwrap();
    noisy["service_tier"] = "default".into();
    noisy["system_fingerprint"] = "fp".into();
    noisy["provider"] = "P".into();
    noisy["choices"][0]["content_filter_results"] = json!({"hate": {"filtered": false}});
    let noisy = noisy.to_string();
    let second = noisy.replace("\"index\":0,\"delta\"", "\"index\":1,\"delta\"");
    assert_ne!(second, noisy);
    let expected = [
        "provider",
        "service_tier",
        "system_fingerprint",
        "choices[0].content_filter_results",
        "choices[0].delta.audio",
        "choices[0].delta.content[].tint",
        "choices[0].delta.tool_calls[0].type",
        "choices[0].delta.tool_calls[0].extra_content",
        "choices[0].delta.tool_calls[0].x",
        "choices[0].delta.reasoning_details[].id",
        "choices[0].delta.reasoning_details[].format",
        "choices[0].delta.reasoning_details[].signature",
    ];
    assert_eq!(told(&events(&[&noisy, &noisy, &second])), expected);
}

#[test]
fn plain_stream_tells_of_no_loss() {
    let stream = [
        chunk(0, json!({"role": "assistant", "content": "", "refusal": null})),
        chunk(0, json!({"reasoning_content": "hm"})),
        chunk(0, json!({"content": "x", "annotations": [], "tool_calls": null})),
        chunk(
            0,
            json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
        ),
    ];
    assert_eq!(told(&events(&stream.each_ref().map(String::as_str))), [] as [&str; 0]);
}

#[test]
fn encrypted_entry_of_an_unknown_maker_travels_whole() {
    let entry = json!({"type": "reasoning.encrypted", "data": "D", "id": "r", "format": "xai-responses-v1"});
    let events = events(&[&chunk(0, json!({"reasoning_details": [entry]}))]);
    assert_eq!(told(&events), [] as [&str; 0]);
    assert!(events.iter().any(|event| matches!(event, Event::PartStart { kind: PartKind::Opaque { value, .. }, .. } if value["id"] == "r")));
}

#[test]
fn id_and_format_of_encrypted_reasoning_come_back_as_they_were() {
    let list = json!([{"type": "reasoning.encrypted", "data": "E", "id": "r1", "format": "anthropic-claude-v1", "index": 0}]);
    let message = json!({"role": "assistant", "content": "x", "reasoning_details": list});
    let request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    let (body, losses) = encode(&request, &to(&quirks(ReasoningField::Details), &PLAIN_RULES));
    assert_eq!(body["messages"][0]["reasoning_details"], list);
    assert!(losses.is_empty());
    let Part::RedactedThinking { extra, .. } = &request.messages[0].parts[0] else { panic!() };
    assert_eq!(extra.fields.keys().collect::<Vec<_>>(), ["id"], "the maker needs no format beside it");
}

#[test]
fn what_only_the_text_of_reasoning_leaves_behind_is_told() {
    let message = json!({"role": "assistant", "content": "x",
        "reasoning_details": [{"type": "reasoning.text", "text": "t", "id": "r1", "index": 0}]});
    let request = decode(&json!({"model": "m", "messages": [message]}).to_string());
    let (_, losses) = encode(&request, &to(&quirks(ReasoningField::ReasoningContent), &PLAIN_RULES));
    assert_eq!(paths(&losses), ["messages[0].content[0].id"]);
}

#[test]
fn hour_long_cache_writes_survive_this_wire() {
    let counts =
        Usage { input_uncached: 5, cache_write: 3, cache_write_1h: 2, output: 1, ..Usage::default() };
    let mut response = decode_response(r#"{"choices":[]}"#);
    response.usage = Some(counts);
    let (body, _) = encode_response(&response);
    assert_eq!(body["usage"]["prompt_tokens"], 10);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cache_write_tokens"], 5);
    assert_eq!(decode_response(&body.to_string()).usage, Some(counts));
    response.usage = Some(Usage { cache_write_1h: 0, ..counts });
    let (body, _) = encode_response(&response);
    assert!(body["usage"]["prompt_tokens_details"].get("cache_write_1h_tokens").is_none());
}

#[test]
fn efforts_go_to_models_that_take_them_whatever_they_want_echoed() {
    let request =
        decode(r#"{"model":"m","reasoning_effort":"low","messages":[{"role":"user","content":"x"}]}"#);
    let sent = |takes_effort, echo| {
        let rules = ModelRules { takes_effort, ..PLAIN_RULES };
        let (body, losses) = encode(&request, &to(&quirks(echo), &rules));
        assert_eq!(losses.is_empty(), body.get("reasoning_effort").is_some());
        body.get("reasoning_effort").is_some()
    };
    assert!(sent(Some(true), ReasoningField::None) && sent(None, ReasoningField::ReasoningContent));
    assert!(!sent(Some(false), ReasoningField::ReasoningContent) && !sent(None, ReasoningField::None));
}

/// Trap 13: DeepSeek answers 400 to a tool call turn without `reasoning_content`, or with an empty one.
#[test]
fn tool_turn_without_reasoning_gets_a_placeholder_where_the_model_insists() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "content": "plain"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "assistant", "content": null, "reasoning_content": "own", "tool_calls": [call]},
    ]});
    let rules = ModelRules { needs_reasoning_echo: true, ..PLAIN_RULES };
    let request = decode(&body.to_string());
    let (body, losses) = encode(&request, &to(&quirks(ReasoningField::ReasoningContent), &rules));
    assert!(body["messages"][0].get("reasoning_content").is_none());
    assert_eq!(body["messages"][1]["reasoning_content"], "(no reasoning)");
    assert_eq!(body["messages"][2]["reasoning_content"], "own");
    assert_eq!(paths(&losses), ["messages[1].content"]);
    let (body, _) = encode(&request, &to(&quirks(ReasoningField::ReasoningContent), &PLAIN_RULES));
    assert!(body["messages"][1].get("reasoning_content").is_none());
}
