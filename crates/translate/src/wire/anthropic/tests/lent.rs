//! This API's parameters in the hands of callers of another dialect, and the other way round.

use serde_json::{Value, json};

use super::{ADAPTIVE, FREE, encode, lost};
use crate::Wire;
use crate::loss::Losses;
use crate::provider::ModelRules;

/// A body of OpenAI's dialect, as this API gets it.
fn from_openai(fields: Value, rules: &ModelRules) -> (Value, Losses) {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = Wire::OpenAiChat.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
    encode(&request, rules).unwrap()
}

#[test]
fn parameters_pass_by_their_own_names() {
    let own = json!({
        "cache_control": {"type": "ephemeral"}, "container": "c", "context_management": {"edits": []},
        "inference_geo": "eu", "mcp_servers": [{"type": "url", "url": "https://m"}], "speed": "fast",
        "top_k": 5, "stop_sequences": ["END"], "metadata": {"user_id": "u"},
    });
    let (body, losses) = from_openai(own.clone(), &FREE);
    assert_eq!(lost(&losses), [] as [&str; 0]);
    for (name, value) in own.as_object().unwrap() {
        assert_eq!(body[name], *value, "{name}");
    }
}

#[test]
fn reasoning_is_asked_for_in_this_apis_words() {
    for (thinking, rules) in [
        (json!({"type": "enabled", "budget_tokens": 2000}), &FREE),
        (json!({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}), &FREE),
        (json!({"type": "adaptive"}), &ADAPTIVE),
        (json!({"type": "adaptive", "display": "summarized", "later": 1}), &ADAPTIVE),
        (json!({"type": "disabled"}), &FREE),
        (json!({"type": "of_the_future", "x": 1}), &FREE),
    ] {
        let (body, losses) = from_openai(json!({"thinking": thinking}), rules);
        assert_eq!(body["thinking"], thinking);
        assert_eq!(lost(&losses), [] as [&str; 0]);
    }
    let asked =
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max", "task_budget": 7}});
    let (body, losses) = from_openai(asked.clone(), &ADAPTIVE);
    assert_eq!((&body["thinking"], &body["output_config"]), (&asked["thinking"], &asked["output_config"]));
    assert_eq!(lost(&losses), [] as [&str; 0]);
}

#[test]
fn a_system_prompt_may_stand_at_the_top() {
    let marked = json!([{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]);
    for (system, expected) in [(json!("Be brief."), json!("Be brief.")), (marked.clone(), marked)] {
        let (body, losses) = from_openai(json!({"system": system}), &FREE);
        assert_eq!(body["system"], expected);
        assert_eq!(body["messages"], json!([{"role": "user", "content": "hi"}]));
        assert_eq!(lost(&losses), [] as [&str; 0]);
    }
}

#[test]
fn marks_stand_where_openai_callers_put_them() {
    let mark = json!({"type": "ephemeral"});
    let (body, losses) = from_openai(
        json!({
            "messages": [
                {"role": "system", "content": "s", "cache_control": mark},
                {"role": "user", "content": [{"type": "text", "text": "u", "cache_control": mark}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
                    "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "r", "cache_control": mark}],
            "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": mark}],
        }),
        &FREE,
    );
    assert_eq!(body["system"][0]["cache_control"], mark);
    assert_eq!(body["tools"][0]["cache_control"], mark);
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(body["messages"][2]["content"][0]["cache_control"], mark);
    assert_eq!(lost(&losses), [] as [&str; 0]);
}

#[test]
fn server_tools_are_known_by_the_day_in_their_names() {
    let search = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2});
    let (body, losses) = from_openai(json!({"tools": [search, {"type": "web_search"}]}), &FREE);
    assert_eq!(body["tools"], json!([search]));
    assert_eq!(lost(&losses), ["tools[1]"]);
}

#[test]
fn extra_params_pass_whole_and_other_names_are_lost() {
    let (body, losses) = from_openai(
        json!({"extra_params": {"anything": {"a": 1}, "thinking": {"type": "disabled"}}, "unknown": 1}),
        &FREE,
    );
    assert_eq!((&body["anything"], &body["thinking"]["type"]), (&json!({"a": 1}), &json!("disabled")));
    assert!(body.get("extra_params").is_none());
    assert_eq!(lost(&losses), ["unknown"]);
}

#[test]
fn this_dialects_callers_use_openai_parameters() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "seed": 7, "verbosity": "low", "prompt_cache_key": "k", "unknown": 1,
        "extra_params": {"min_p": 0.1}, "response_format": {"type": "json_object"}});
    let request = Wire::Anthropic.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
    let (quirks, mut losses) = (&super::QUIRKS, Losses::default());
    let to = crate::provider::Destination { quirks, rules: &FREE, model: "m" };
    let written = Wire::OpenAiChat.codec().encode_request(&request, &to, &mut losses).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    for name in ["seed", "verbosity", "prompt_cache_key", "response_format"] {
        assert_eq!(written[name], body[name], "{name}");
    }
    assert_eq!(written["min_p"], 0.1);
    assert_eq!(lost(&losses), ["unknown"]);
}
