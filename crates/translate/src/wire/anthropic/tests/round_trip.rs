//! Decode, encode, decode on this wire: nothing changes and nothing is reported lost.

use serde_json::{Value, json};

use super::{ADAPTIVE, FREE, encode_bytes};
use crate::provider::ModelRules;
use crate::wire::Dialect;
use crate::wire::anthropic::Anthropic;

fn survives(body: &Value, rules: &ModelRules) {
    let first = Anthropic.decode_request(&serde_json::to_vec(body).unwrap()).unwrap();
    let (bytes, losses) = encode_bytes(&first, rules).unwrap();
    assert_eq!(losses.as_slice(), [], "{body}");
    let second = Anthropic.decode_request(&bytes).unwrap();
    assert_eq!(first, second);
    // And the wire itself says the same, whatever the order of top-level fields.
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&written[field], value, "{field}");
    }
}

fn with(fields: Value) -> Value {
    let mut body = json!({"model": "claude-x", "max_tokens": 2048, "messages": [
        {"role": "user", "content": "hi"}
    ]});
    for (key, value) in fields.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

pub(super) fn coding_agent() -> Value {
    let tools: Vec<Value> = (0..20)
        .map(|n| {
            json!({"name": format!("Tool{n}"), "description": "does things", "input_schema": {
                "type": "object", "additionalProperties": false, "required": ["path"],
                "properties": {"path": {"type": "string"}, "limit": {"type": "number"}}},
                "eager_input_streaming": n % 2 == 0})
        })
        .collect();
    with(json!({
        "max_tokens": 32000, "stream": true, "temperature": 1, "tools": tools,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch=1;"},
            {"type": "text", "text": "You are a coding agent.",
             "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}}],
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh", "task_budget": {"total": 9}},
        "metadata": {"user_id": "user_ab_account_cd_session_ef"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>be kind</system-reminder>"},
                {"type": "text", "text": "read it", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "", "signature": "EqQBCg=="},
                {"type": "redacted_thinking", "data": "ZZ"},
                {"type": "text", "text": "Reading."},
                {"type": "tool_use", "id": "toolu_1", "name": "Tool1", "input": {"path": "a"}},
                {"type": "tool_use", "id": "toolu_2", "name": "Tool2", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    {"type": "text", "text": "1: fn main"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iV"}}]},
                {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": "no"},
                {"type": "text", "text": "<system-reminder>go on</system-reminder>"}]}
        ]
    }))
}

#[test]
fn a_coding_agents_turn() {
    survives(&coding_agent(), &ADAPTIVE);
}

#[test]
fn plain_chat_with_sampling() {
    survives(
        &with(json!({"system": "Be short.", "temperature": 0.25, "top_p": 0.5, "top_k": 5,
            "stop_sequences": ["END", "\n\nHuman:"], "service_tier": "standard_only"})),
        &FREE,
    );
}

#[test]
fn images_by_bytes_address_and_file() {
    survives(
        &with(json!({"messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_011"},
             "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "compare"}]}]})),
        &FREE,
    );
}

#[test]
fn documents_of_every_source() {
    survives(
        &with(json!({"messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVB"},
             "title": "t", "context": "c", "citations": {"enabled": true}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "b"}]},
            {"type": "text", "text": "which?"}]}]})),
        &FREE,
    );
}

#[test]
fn a_thinking_budget() {
    survives(
        &with(json!({"thinking": {"type": "enabled", "budget_tokens": 1500, "display": "omitted"}})),
        &FREE,
    );
}

#[test]
fn thinking_turned_off() {
    survives(&with(json!({"thinking": {"type": "disabled"}})), &FREE);
}

#[test]
fn each_choice_of_tool() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object", "additionalProperties": false}, "strict": true}]);
    for choice in [
        json!({"type": "auto"}),
        json!({"type": "any", "disable_parallel_tool_use": true}),
        json!({"type": "tool", "name": "f", "disable_parallel_tool_use": false}),
        json!({"type": "none"}),
        json!({"type": "later_kind", "of": 1}),
    ] {
        survives(&with(json!({"tools": tools, "tool_choice": choice})), &FREE);
    }
}

#[test]
fn server_tools_and_their_blocks() {
    survives(
        &with(json!({
            "tools": [
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
                {"name": "g", "input_schema": {"type": "object"}, "defer_loading": true,
                 "cache_control": {"type": "ephemeral"}}],
            "container": "c1", "mcp_servers": [{"type": "url", "url": "https://m"}],
            "messages": [
                {"role": "user", "content": "find"},
                {"role": "assistant", "content": [
                    {"type": "text", "text": "Looking."},
                    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search",
                     "input": {"query": "q"}},
                    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
                        {"type": "web_search_result", "url": "u", "encrypted_content": "E"}]},
                    {"type": "text", "text": "Found.", "citations": [
                        {"type": "web_search_result_location", "url": "u", "cited_text": "c"}]}]},
                {"role": "user", "content": "more"}]})),
        &FREE,
    );
}

#[test]
fn structured_output() {
    survives(
        &with(json!({"output_config": {"format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {"a": {"type": "string", "format": "date"}},
            "required": ["a"], "additionalProperties": false}}}})),
        &FREE,
    );
}

#[test]
fn a_paused_turn_is_sent_back_as_it_was() {
    survives(
        &with(json!({"messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Wait."},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}]}]})),
        &ModelRules { prefill: false, ..FREE },
    );
}

#[test]
fn several_thinking_blocks_between_calls_keep_their_places() {
    survives(
        &with(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "one", "signature": "S1"},
                {"type": "text", "text": "and"},
                {"type": "thinking", "thinking": "two", "signature": "S2"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"b": 1, "a": 2}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]})),
        &FREE,
    );
}

#[test]
fn a_prefill_for_a_model_that_takes_one() {
    survives(
        &with(json!({"messages": [
            {"role": "user", "content": "JSON please"}, {"role": "assistant", "content": "{"}]})),
        &FREE,
    );
}

#[test]
fn fields_and_words_from_a_newer_api() {
    survives(
        &with(json!({"thinking": {"type": "dreaming", "depth": 3}, "output_config": {"effort": "ultra"},
            "speed": "fast", "cache_control": {"type": "ephemeral"}, "messages": [{"role": "user", "priority": 2, "content": [
                {"type": "hologram", "data": [1, 2]},
                {"type": "text", "text": "see", "glow": true}]}]})),
        &FREE,
    );
}

#[test]
fn a_tool_calls_input_keeps_key_order_and_number_spelling() {
    let input = r#"{"z":1.50,"a":1e3,"m":{"y":12345678901234567890123,"x":"\u00e9"}}"#;
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}},{{"role":"assistant",
        "content":[{{"type":"tool_use","id":"t","name":"f","input":{input}}}]}},{{"role":"user","content":
        [{{"type":"tool_result","tool_use_id":"t","content":"ok"}}]}}]}}"#
    );
    let request = Anthropic.decode_request(body.as_bytes()).unwrap();
    let (bytes, _) = encode_bytes(&request, &FREE).unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains(input));
}
