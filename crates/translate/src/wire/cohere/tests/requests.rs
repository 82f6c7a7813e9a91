//! Requests of this dialect, and what providers get.

use serde_json::{Value, json};

use super::{PLAIN, REASONS, decode, encode, lost};
use crate::ir::{
    Effort, Message, OutputFormat, Part, Reasoning, Request, Role, Source, ToolChoice, ToolResult,
};

fn with(fields: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in fields.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// Decode, encode, decode: the same pivot, nothing lost, and each field as it was written.
fn survives(body: &Value) {
    let first = decode(body).unwrap();
    let (bytes, losses) = encode(&first, REASONS).unwrap();
    assert_eq!(losses.as_slice(), [], "{body}");
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(decode(&written).unwrap(), first);
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&written[field], value, "{field}");
    }
}

pub(super) fn agent() -> Value {
    with(json!({
        "stream": true, "temperature": 0.25, "p": 0.5, "k": 40, "seed": 9, "max_tokens": 900,
        "frequency_penalty": 0.5, "presence_penalty": 0.5, "stop_sequences": ["a", "\n"], "logprobs": true,
        "strict_tools": true, "tool_choice": "REQUIRED", "safety_mode": "STRICT", "priority": 3,
        "citation_options": {"mode": "FAST"}, "thinking": {"type": "enabled", "token_budget": 64},
        "documents": [{"id": "d1", "data": {"text": "x"}}, {"id": "d2", "data": {"b": 1, "a": [2]}},
            {"data": {"text": "y"}}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "F", "parameters": {
            "type": "object", "properties": {"z": {}, "a": {}}, "required": ["z"]}}, "x": 1}],
        "messages": [
            {"role": "system", "content": "Be kind.", "x": 1},
            {"role": "user", "content": [{"type": "text", "text": "a", "x": 1},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}],
                "tool_plan": "I look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1.0}"}},
                {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}, "x": 1}]},
            {"role": "tool", "tool_call_id": "c1", "content": [
                {"type": "document", "document": {"id": "r", "data": {"b": 1, "a": 2}}}]},
            {"role": "tool", "tool_call_id": "c2", "content": "plain"},
            {"role": "assistant", "content": "Done.", "citations": [{"start": 0, "end": 4, "text": "Done",
                "sources": [{"type": "tool", "id": "c1:0", "tool_output": {"a": "b"}},
                    {"type": "document", "id": "d1", "document": {"title": "T"}}], "type": "TEXT_CONTENT"}]},
            {"role": "user", "content": "Go on."}
        ]
    }))
}

#[test]
fn an_agents_turn_survives() {
    survives(&agent());
}

#[test]
fn plain_forms_survive() {
    survives(&with(json!({"thinking": {"type": "disabled"}, "raw_prompting": true})));
    survives(&with(json!({"response_format": {"type": "json_object"}})));
    survives(&with(json!({"response_format": {"type": "json_object", "json_schema": {"type": "object"}}})));
}

#[test]
fn complaints_name_the_path() {
    let cases = [
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [{"text": "x"}]}]}), "messages[0].content[0].type"),
        (
            json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]}),
            "messages[0].tool_calls[0].function",
        ),
        (json!({"documents": [{"id": "x"}]}), "documents[0].data"),
        (json!({"documents": {}}), "documents"),
        (json!({"stop_sequences": ["a", 1]}), "stop_sequences[1]"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.type"),
        (json!({"thinking": {"type": "adaptive"}}), "thinking.type"),
        (json!({"thinking": {"token_budget": 4}}), "thinking.type"),
        (json!({"k": -1}), "k"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"strict_tools": 1}), "strict_tools"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
    ];
    for (fields, path) in cases {
        assert_eq!(decode(&with(fields)).unwrap_err().path, path);
    }
}

#[test]
fn documents_stand_before_the_last_question() {
    let body = with(json!({"documents": ["x"], "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}));
    let request = decode(&body).unwrap();
    assert_eq!(request.messages[0].parts.len(), 1);
    let Part::Document(document) = &request.messages[2].parts[0] else { panic!("no document") };
    assert_eq!(document.source, Source::Text { media_type: "text/plain".into(), text: "x".into() });
    let alone = decode(&with(json!({"documents": ["x"], "messages": [{"role": "system", "content": "s"}]})));
    assert_eq!(alone.unwrap().extra.names(), ["documents"]);
}

#[test]
fn both_names_of_a_schema_are_read() {
    for name in ["json_schema", "schema"] {
        let mut format = json!({"type": "json_object"});
        format[name] = json!({"type": "object"});
        let request = decode(&with(json!({"response_format": format}))).unwrap();
        assert!(matches!(request.output_format, Some(OutputFormat::JsonSchema(_))), "{name}");
        assert!(request.extra.is_empty());
    }
}

fn ask(fields: Request) -> Request {
    let user =
        Message { role: Role::User, name: None, parts: vec![Part::text("hi")], extra: Default::default() };
    Request { model: "m".into(), messages: vec![user], ..fields }
}

fn written(request: &Request, model: &str) -> (Value, Vec<String>) {
    let (body, losses) = encode(request, model).unwrap();
    let paths = lost(&losses).into_iter().map(str::to_owned).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

#[test]
fn efforts_become_budgets_where_the_model_reasons() {
    let wants = |effort, budget| Request {
        reasoning: Some(Reasoning { effort, budget, ..Reasoning::default() }),
        max_tokens: Some(1000),
        ..Request::default()
    };
    let cases = [
        (Some(Effort::Low), None, json!({"type": "enabled", "token_budget": 200})),
        (Some(Effort::Max), None, json!({"type": "enabled", "token_budget": 950})),
        (Some(Effort::None), None, json!({"type": "disabled"})),
        (None, Some(0), json!({"type": "disabled"})),
        (None, Some(77), json!({"type": "enabled", "token_budget": 77})),
    ];
    for (effort, budget, expected) in cases {
        assert_eq!(written(&ask(wants(effort, budget)), REASONS).0["thinking"], expected);
    }
    let (body, losses) = written(&ask(wants(Some(Effort::High), None)), PLAIN);
    assert_eq!((body.get("thinking"), losses), (None, vec!["reasoning".to_owned()]));
    let tiny = Request { max_tokens: Some(1), ..wants(Some(Effort::Minimal), None) };
    assert_eq!(written(&ask(tiny), REASONS).0["thinking"]["token_budget"], 1);
}

#[test]
fn a_tool_without_required_parameters_keeps_strictness_out() {
    let tools = decode(&with(json!({"strict_tools": true, "tools": [
        {"type": "function", "function": {"name": "a", "parameters": {"required": ["x"]}}},
        {"type": "function", "function": {"name": "b"}}]})));
    let (body, losses) = written(&tools.unwrap(), PLAIN);
    assert_eq!(body.get("strict_tools"), None);
    assert_eq!(losses, ["strict_tools"]);
}

#[test]
fn a_choice_without_its_tool_is_any_choice() {
    let tools = decode(&with(json!({"tools": [{"type": "function", "function": {"name": "a"}}]}))).unwrap();
    let named = |name: &str| Request { tool_choice: Some(ToolChoice::Named(name.into())), ..tools.clone() };
    let (body, losses) = written(&named("b"), PLAIN);
    assert_eq!((&body["tool_choice"], body["tools"].as_array().unwrap().len()), (&json!("REQUIRED"), 1));
    assert_eq!(losses, ["tool_choice"]);
    let none = Request { tools: Vec::new(), ..named("a") };
    assert_eq!(written(&none, PLAIN).0.get("tool_choice"), None);
}

#[test]
fn failed_results_say_so() {
    let result = ToolResult {
        call_id: "c".into(),
        parts: vec![Part::text("no")],
        is_error: Some(true),
        cache: None,
        extra: Default::default(),
    };
    let mut request = ask(Request::default());
    request.messages[0].parts = vec![Part::ToolResult(result), Part::text("and?")];
    let (body, losses) = written(&request, PLAIN);
    assert_eq!(body["messages"][0]["content"], "Error: no");
    assert_eq!(body["messages"][1], json!({"role": "user", "content": "and?"}));
    assert!(losses.is_empty());
}

#[test]
fn text_in_base64_is_a_document() {
    let mut request = ask(Request::default());
    let source = Source::Base64 { media_type: "text/csv".into(), data: "YSxi".into() };
    let document = crate::ir::Document { source, name: None, cache: None, extra: Default::default() };
    request.messages[0].parts.push(Part::Document(document));
    assert_eq!(written(&request, PLAIN).0["documents"], json!([{"data": {"text": "a,b"}}]));
}

#[test]
fn a_budget_by_its_name_here_joins_the_callers_words() {
    let fields = json!({"thinking": {"token_budget": 9}, "k": 3, "x": 1});
    let extra = crate::ir::Extra::of(crate::Wire::OpenAiChat, fields.as_object().unwrap().clone());
    let reasoning = Some(Reasoning { enabled: Some(true), ..Reasoning::default() });
    let (body, losses) =
        written(&ask(Request { extra: extra.clone(), reasoning, ..Request::default() }), REASONS);
    assert_eq!(body["thinking"], json!({"type": "enabled", "token_budget": 9}));
    assert_eq!((&body["k"], losses), (&json!(3), vec!["x".to_owned()]));
    let (body, losses) = written(&ask(Request { extra, ..Request::default() }), REASONS);
    assert_eq!(
        (body.get("thinking"), losses),
        (None, vec!["thinking.token_budget".to_owned(), "x".to_owned()])
    );
}
