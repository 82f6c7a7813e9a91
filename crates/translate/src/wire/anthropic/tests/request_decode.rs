//! What a caller may send, and what it is told about what it may not.

use serde_json::{Value, json};

use crate::ir::{Effort, Part, Role, ToolChoice};
use crate::wire::anthropic::Anthropic;
use crate::wire::{BadRequest, Dialect};

fn decode(body: Value) -> Result<crate::ir::Request, BadRequest> {
    Anthropic.decode_request(&serde_json::to_vec(&body).unwrap())
}

fn with_content(content: Value) -> Value {
    json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": content}]})
}

#[track_caller]
fn refused(body: Value, path: &str, words: &[&str]) {
    let err = decode(body).unwrap_err();
    assert_eq!(err.path, path, "{err}");
    for word in words {
        assert!(err.message.contains(word), "{:?} in {err}", word);
    }
}

#[test]
fn a_wrong_field_is_named_by_its_exact_path() {
    let ok = json!({"role": "user", "content": "x"});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": 5, "data": ""}});
    refused(
        json!({"model": "m", "max_tokens": 1, "messages": [ok, ok, ok, {"role": "user", "content": [image]}]}),
        "messages[3].content[0].source.media_type",
        &["messages[3].content[0].source.media_type", "expected a string", "the number 5"],
    );
    refused(
        json!({"max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}),
        "model",
        &["required"],
    );
    refused(
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        "max_tokens",
        &["required"],
    );
    refused(
        json!({"model": "m", "max_tokens": -1, "messages": [{"role": "user", "content": "hi"}]}),
        "max_tokens",
        &["-1"],
    );
    refused(json!({"model": "m", "max_tokens": 1}), "messages", &["required"]);
    refused(json!({"model": "m", "max_tokens": 1, "messages": "x"}), "messages", &["array", "\"x\""]);
    refused(json!({"model": "m", "max_tokens": 1, "messages": [7]}), "messages[0]", &["the number 7"]);
    refused(with_content(Value::Null), "messages[0].content", &["null"]);
    refused(with_content(json!([{"text": "x"}])), "messages[0].content[0].type", &["required"]);
    refused(with_content(json!([{"type": "text"}])), "messages[0].content[0].text", &["required"]);
    refused(
        with_content(json!([{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}])),
        "messages[0].content[0].input",
        &["expected an object", "the string \"{}\""],
    );
    refused(
        with_content(json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}])),
        "messages[0].content[0].content[0].text",
        &["required"],
    );
    refused(
        with_content(json!([{"type": "image", "source": {"type": "telepathy"}}])),
        "messages[0].content[0].source.type",
        &["telepathy", "base64"],
    );
}

#[test]
fn an_unknown_role_is_named() {
    refused(
        json!({"model": "m", "max_tokens": 1, "messages": [{"role": "tool", "content": "x"}]}),
        "messages[0].role",
        &["\"tool\"", "user, assistant or system"],
    );
}

#[test]
fn broken_json_is_told_by_line_and_column() {
    let err = Anthropic.decode_request(b"{\n  \"model\": }").unwrap_err();
    assert_eq!(err.path, "");
    assert!(err.message.contains("line 2 column"), "{err}");
    assert!(Anthropic.decode_request(b"[]").unwrap_err().message.contains("found an array"));
    assert!(Anthropic.decode_request(b"").is_err());
}

#[test]
fn system_and_mid_conversation_system_keep_their_places() {
    let request = decode(json!({"model": "m", "max_tokens": 1, "system": [
        {"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "now"}]}))
    .unwrap();
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::System]);
    let [Part::Text(_), Part::Text(second)] = request.messages[0].parts.as_slice() else { panic!() };
    assert_eq!(second.cache.as_ref().unwrap().raw, json!({"type": "ephemeral"}));
}

#[test]
fn the_gateways_own_fields_are_not_the_providers() {
    let request =
        decode(json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}],
        "fallbacks": ["a/b"], "extra_fields": {}, "speed": "fast", "nothing": null}))
        .unwrap();
    assert_eq!(request.extra.fields.keys().collect::<Vec<_>>(), ["speed"]);
    assert!(request.stream_usage && !request.stream);
}

#[test]
fn settings_reach_their_typed_places() {
    let request =
        decode(json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "high"},
        "output_format": {"type": "json_schema", "schema": {"type": "object"}},
        "metadata": {"user_id": "u", "k": 1}, "service_tier": "standard_only", "stop_sequences": ["a"]}))
        .unwrap();
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.parallel_tool_calls, Some(false));
    let reasoning = request.reasoning.unwrap();
    assert_eq!((reasoning.budget, reasoning.effort), (Some(2000), Some(Effort::High)));
    assert!(request.output_format.is_some());
    assert_eq!(request.user.as_deref(), Some("u"));
    assert_eq!(request.metadata.unwrap().len(), 2);
    assert_eq!(request.service_tier.as_deref(), Some("default"));
    assert!(request.extra.is_empty());
}

#[test]
fn an_empty_signature_is_none() {
    let content = json!([{"type": "thinking", "thinking": "hm", "signature": ""}]);
    let request = decode(with_content(content)).unwrap();
    let Part::Thinking(thinking) = &request.messages[0].parts[0] else { panic!() };
    assert_eq!((thinking.text.as_str(), &thinking.signature), ("hm", &None));
}
