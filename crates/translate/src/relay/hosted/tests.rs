use serde_json::{Value, json};

use super::*;
use crate::provider::find;
use crate::relay::apply_quirks;

fn bedrock() -> &'static Quirks {
    &find("bedrock").unwrap().services[0].quirks
}

fn vertex() -> &'static Quirks {
    &find("vertex").unwrap().services[0].quirks
}

fn fixed(body: &Value, quirks: &Quirks) -> (Value, Vec<String>) {
    fixed_beside(body, "", quirks)
}

fn fixed_beside(body: &Value, header: &str, quirks: &Quirks) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = apply_quirks(body.to_string().into_bytes(), quirks, &mut losses);
    let body = without_unasked(&body, header, quirks, &mut losses).unwrap_or(body);
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    body.as_object_mut().unwrap().remove("anthropic_version");
    (body, losses.as_slice().iter().map(|loss| loss.path.clone()).collect())
}

#[test]
fn claude_code_was_refused_by_bedrock_for_what_only_anthropic_takes() {
    let body = json!({
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
            {"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral", "scope": "global"}},
        ],
        "cache_control": {"type": "ephemeral"},
        "tools": [
            {"name": "a", "input_schema": {}, "cache_control": {"scope": "global", "type": "ephemeral", "ttl": "1h"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "context_management": {"edits": []},
        "messages": [
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "\"scope\"", "cache_control": {"type": "ephemeral", "scope": "global"}},
            ]}]},
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"scope": "global"}}]},
        ],
    });
    let (sent, lost) = fixed(&body, bedrock());
    let expected = json!({
        "system": [{"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "a", "input_schema": {}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "\"scope\"", "cache_control": {"type": "ephemeral"}},
            ]}]},
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]},
        ],
    });
    assert_eq!(sent, expected);
    let told = ["cache_control", "system[0]", "cache_control.scope", "tools[1]", "context_management"];
    assert_eq!(lost, told);
}

#[test]
fn context_management_stays_with_its_beta() {
    let body =
        |betas: Value| json!({"context_management": {"edits": []}, "anthropic_beta": betas, "messages": []});
    let asked = body(json!(["effort-2025-11-24", "context-management-2025-06-27"]));
    assert_eq!(fixed(&asked, bedrock()), (asked, Vec::new()));
    let compacts = body(json!(["compact-2026-01-12"]));
    assert_eq!(fixed(&compacts, bedrock()), (compacts, Vec::new()));
    for betas in [json!([]), json!(null), json!("context-management-2025-06-27"), json!([1, "effort"])] {
        let (sent, lost) = fixed(&body(betas.clone()), bedrock());
        assert_eq!((sent.get("context_management"), lost.len()), (None, 1), "{betas}");
    }
}

#[test]
fn fields_of_refused_betas_stayed_and_had_the_call_refused() {
    let tool = |strict: Option<bool>| match strict {
        Some(strict) => json!({"strict": strict, "name": "f", "input_schema": {}}),
        None => json!({"name": "f", "input_schema": {}}),
    };
    let format = json!({"type": "json_schema", "schema": {}});
    let body = json!({
        "tools": [tool(Some(true)), tool(None), tool(Some(false))],
        "output_format": format,
        "speed": "fast",
        "output_config": {"effort": "low", "format": format},
        "context_management": {"edits": []},
        "messages": [],
    });
    let (sent, lost) = fixed(&body, vertex());
    let config = &body["output_config"];
    let tools = [tool(None), tool(None), tool(None)];
    assert_eq!(sent, json!({"tools": tools, "output_config": config, "messages": []}));
    assert_eq!(lost, ["tools[].strict", "context_management", "output_format", "speed"]);
    let (sent, lost) = fixed(&body, bedrock());
    assert_eq!(sent, json!({"tools": body["tools"], "output_config": config, "messages": []}));
    assert_eq!(lost, ["context_management", "output_format", "speed"]);
    let azure = find("azure").unwrap().services.iter().find(|service| service.path.contains("anthropic"));
    let (sent, lost) = fixed(&body, &azure.unwrap().quirks);
    assert_eq!((sent.get("speed"), lost.len()), (None, 1));
    assert_eq!(sent["output_format"], format);
}

#[test]
fn counting_at_google_was_refused_for_what_its_chat_leaves_out() {
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let fetch = json!({"type": "web_fetch_20250910", "name": "web_fetch"});
    let body = json!({
        "model": "m",
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
            {"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral", "scope": "global"}},
        ],
        "cache_control": {"type": "ephemeral"},
        "tools": [fetch, search, {"name": "f", "input_schema": {}, "strict": true}],
        "anthropic_beta": ["effort-2025-11-24"],
        "context_management": {"edits": []},
        "output_format": {},
        "speed": "fast",
        "messages": [],
    });
    let counting = find("vertex").unwrap().services[0].counting.unwrap();
    let (sent, lost) = fixed(&body, &counting.quirks);
    let system = json!([{"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}}]);
    let tools = json!([search, {"name": "f", "input_schema": {}}]);
    assert_eq!(sent, json!({"model": "m", "system": system, "tools": tools, "messages": []}));
    assert_eq!(lost.len(), 9, "{lost:?}");
}

#[test]
fn a_beta_beside_the_body_keeps_its_field() {
    let body = json!({"context_management": {"edits": []}, "output_format": {}, "messages": []});
    let (sent, lost) = fixed_beside(&body, "effort-2025-11-24, context-management-2025-06-27", vertex());
    assert_eq!(sent, json!({"context_management": {"edits": []}, "messages": []}));
    assert_eq!(lost, ["output_format"]);
    assert_eq!(fixed_beside(&body, "compact-2026-01-12,structured-outputs-2025-11-13", bedrock()).0, body);
}

#[test]
fn billing_line_goes_in_every_form_of_the_system() {
    let line = "x-anthropic-billing-header: cc";
    let cases = [
        (json!(line), None),
        (json!(format!("{line}\nBe brief.")), Some(json!("Be brief."))),
        (json!([{"type": "text", "text": line}]), None),
        (json!([{"text": "a"}, {"text": line}, {"text": "b"}]), Some(json!([{"text": "a"}, {"text": "b"}]))),
        (json!(format!("Say {line}")), Some(json!(format!("Say {line}")))),
    ];
    for (system, expected) in cases {
        let (sent, _) = fixed(&json!({"system": system, "messages": []}), bedrock());
        assert_eq!(sent.get("system"), expected.as_ref(), "{system}");
    }
}

#[test]
fn tools_of_anthropics_go_unless_the_host_runs_them_and_take_their_choice_along() {
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let fetch = json!({"type": "web_fetch_20250910", "name": "web_fetch"});
    let mine = json!({"type": "custom", "name": "mine", "input_schema": {}});
    let choice = json!({"type": "tool", "name": "web_fetch"});
    let body = json!({"tools": [fetch, search, mine], "tool_choice": choice, "messages": []});
    let (sent, lost) = fixed(&body, vertex());
    assert_eq!(sent, json!({"tools": [search, mine], "messages": []}));
    assert_eq!(lost, ["tools[0]", "tool_choice"]);
    let (sent, _) = fixed(&body, bedrock());
    assert_eq!(sent, json!({"tools": [mine], "messages": []}));
    let only = json!({"tools": [search], "tool_choice": {"type": "auto"}, "messages": []});
    assert_eq!(fixed(&only, bedrock()).0, json!({"messages": []}));
    let memory = json!({"tools": [{"type": "memory_20250818", "name": "memory"}], "messages": []});
    assert_eq!(fixed(&memory, bedrock()), (memory, Vec::new()));
}

#[test]
fn bytes_that_hold_none_of_it_are_not_touched() {
    let body = br#"{ "messages" : [{"role":"user","content":"\"scope\" cache_control"}],
        "system":[ {"type":"text","text":"a","cache_control":{"type":"ephemeral"}} ] }"#;
    let mut losses = Losses::default();
    let sent = apply_quirks(body.to_vec(), bedrock(), &mut losses);
    let kept = &body[..body.len() - 2];
    assert!(sent.starts_with(kept), "{}", String::from_utf8_lossy(&sent));
    assert!(losses.is_empty());
}
