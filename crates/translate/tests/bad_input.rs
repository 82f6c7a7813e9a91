//! Requests that are none: each is refused with the place in the body and what was expected there, and none of
//! them costs more than reading it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::too_many_lines, reason = "the cases are lists")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use translate::provider::{self, Destination, ModelRules};
use translate::relay::peek;
use translate::wire::BadRequest;
use translate::{Losses, Wire};

fn refused(dialect: Wire, body: &[u8]) -> BadRequest {
    match dialect.dialect().unwrap().decode_request(body) {
        Err(refusal) => refusal,
        Ok(request) => panic!("{} was read as {request:?}", String::from_utf8_lossy(body)),
    }
}

/// A body of either dialect with these messages and fields.
fn body(messages: Value, fields: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": messages});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn check(dialect: Wire, cases: &[(Value, &str, &str)]) {
    for (body, path, expected) in cases {
        let refusal = refused(dialect, body.to_string().as_bytes());
        assert_eq!(refusal.path, *path, "{refusal}");
        assert!(refusal.message.contains(expected), "{refusal}: {expected}");
        assert!(refusal.message.contains(path), "{refusal}");
    }
}

fn user(content: Value) -> Value {
    json!([{"role": "user", "content": content}])
}

#[test]
fn openai_callers_are_told_the_place() {
    let image = |url: &str| user(json!([{"type": "image_url", "image_url": {"url": url}}]));
    let tool = |parameters: Value| json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]});
    let format = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}});
    let hi = || user(json!("hi"));
    check(
        Wire::OpenAiChat,
        &[
            (body(json!([]), json!({})), "messages", "at least one"),
            (body(json!("hi"), json!({})), "messages", "a list"),
            (body(json!([7]), json!({})), "messages[0]", "an object"),
            (body(json!([{"role": "wizard", "content": "x"}]), json!({})), "messages[0].role", "\"wizard\""),
            (body(json!([{"role": 7, "content": "x"}]), json!({})), "messages[0].role", "a string"),
            (
                body(
                    json!([{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": "r"}]),
                    json!({}),
                ),
                "messages[1].tool_call_id",
                "a tool call in a message before it",
            ),
            (
                body(json!([{"role": "function", "name": "f", "content": "r"}]), json!({})),
                "messages[0]",
                "function_call",
            ),
            (
                body(image("data:text/html;base64,PGI+"), json!({})),
                "messages[0].content[0].image_url.url",
                "an image",
            ),
            (
                body(image("data:image/png;base64,no base64!"), json!({})),
                "messages[0].content[0].image_url.url",
                "base64",
            ),
            (body(image("data:image/png,abc"), json!({})), "messages[0].content[0].image_url.url", "base64"),
            (body(image("a cat"), json!({})), "messages[0].content[0].image_url.url", "a URL"),
            (
                body(
                    user(json!([{"type": "input_audio", "input_audio": {"data": "!", "format": "wav"}}])),
                    json!({}),
                ),
                "messages[0].content[0].input_audio.data",
                "base64",
            ),
            (
                body(
                    user(json!([{"type": "file", "file": {"file_data": "data:application/pdf;base64,@"}}])),
                    json!({}),
                ),
                "messages[0].content[0].file.file_data",
                "base64",
            ),
            (body(hi(), json!({"temperature": "hot"})), "temperature", "a number"),
            (body(hi(), json!({"stream": "yes"})), "stream", "true or false"),
            (body(hi(), tool(json!("x"))), "tools[0].function.parameters", "a JSON schema object"),
            (
                body(hi(), tool(json!({"type": "object", "properties": {"a": {"type": "strin"}}}))),
                "tools[0].function.parameters.properties.a.type",
                "one of object, array",
            ),
            (
                body(hi(), format(json!({"$ref": "#/$defs/none"}))),
                "response_format.json_schema.schema.$ref",
                "the place of a schema",
            ),
            (body(hi(), format(json!([1]))), "response_format.json_schema.schema", "an object"),
            (body(hi(), json!({"tool_choice": "sometimes"})), "tool_choice", "\"required\""),
        ],
    );
}

#[test]
fn anthropic_callers_are_told_the_place() {
    let image = |kind: &str, data: &str| {
        user(json!([{"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}]))
    };
    let tool = |schema: Value| json!({"tools": [{"name": "f", "input_schema": schema}]});
    let hi = || user(json!("hi"));
    check(
        Wire::Anthropic,
        &[
            (body(json!([]), json!({})), "messages", "at least one"),
            (body(json!({"role": "user"}), json!({})), "messages", "an array"),
            (body(json!([7]), json!({})), "messages[0]", "an object"),
            (body(json!([{"role": "tool", "content": "x"}]), json!({})), "messages[0].role", "\"tool\""),
            (
                body(
                    user(json!([{"type": "tool_result", "tool_use_id": "t", "content": "r"}])),
                    json!({"system": "s"}),
                ),
                "messages[0].content[0].tool_use_id",
                "`tool_use` block before it",
            ),
            (
                body(image("text/html", "PGI+"), json!({})),
                "messages[0].content[0].source.media_type",
                "an image",
            ),
            (
                body(image("image/png", "no base64!"), json!({})),
                "messages[0].content[0].source.data",
                "base64",
            ),
            (
                body(
                    json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "x"}]}]),
                    json!({}),
                ),
                "messages[0].content[0].input",
                "an object",
            ),
            (body(hi(), json!({"temperature": "hot"})), "temperature", "a number"),
            (body(hi(), json!({"max_tokens": -1})), "max_tokens", "a whole number"),
            (body(hi(), tool(json!([]))), "tools[0].input_schema", "an object"),
            (
                body(hi(), tool(json!({"type": "object", "properties": {"a": 5}}))),
                "tools[0].input_schema.properties.a",
                "a schema",
            ),
            (
                body(
                    hi(),
                    json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": 5}}}}),
                ),
                "output_config.format.schema.type",
                "the name of a type",
            ),
            (
                body(user(json!([{"type": "text", "text": "x", "citations": "y"}])), json!({})),
                "messages[0].content[0].citations",
                "an array",
            ),
        ],
    );
}

const DIALECTS: [Wire; 2] = [Wire::Anthropic, Wire::OpenAiChat];

#[test]
fn what_is_no_json_is_told_with_line_and_column() {
    let head = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"#;
    let cases = [
        (r#"{"model":"m""#.to_owned(), "EOF"),
        (String::new(), "EOF"),
        (format!("{head}NaN}}]}}"), "expected value"),
        (format!("{head}\"x\"}}],\"temperature\":1e999}}"), "number out of range"),
        (format!("{head}\"\\ud800\"}}]}}"), "half of a surrogate pair"),
        (format!("{head}\"\\udc00x\"}}]}}"), "half of a surrogate pair"),
        (format!("{head}\"\\ud800\\u0041\"}}]}}"), "half of a surrogate pair"),
        (format!("{head}{}{}}}]}}", "[".repeat(5000), "]".repeat(5000)), "nested deeper than 128 levels"),
        (format!("{head}{}", "{\"a\":".repeat(100_000)), "nested deeper than 128 levels"),
    ];
    for dialect in DIALECTS {
        for (body, expected) in &cases {
            let refusal = refused(dialect, body.as_bytes());
            assert!(refusal.message.contains(expected), "{refusal}");
            assert!(refusal.message.contains("line 1 column"), "{refusal}");
        }
        let refusal = refused(dialect, b"{\"model\":\"\xff\"}");
        assert!(refusal.message.contains("line 1 column"), "{refusal}");
    }
}

#[test]
fn members_the_gateway_acts_on_stand_once() {
    for name in ["model", "messages", "stream", "tools", "max_tokens"] {
        let text = format!(r#"{{"model":"m","{name}":1,"{name}":2}}"#);
        let refusal = peek(text.as_bytes()).unwrap_err();
        assert!(refusal.message.contains("twice"), "{refusal}");
    }
}

#[test]
fn ten_thousand_messages_are_only_many() {
    let turns: Vec<Value> = (0..10_000)
        .map(|number| {
            let role = if number % 2 == 0 { "user" } else { "assistant" };
            json!({"role": role, "content": format!("turn {number}")})
        })
        .chain([json!({"role": "user", "content": "last"})])
        .collect();
    let body = body(turns.into(), json!({})).to_string();
    for dialect in DIALECTS {
        let begun = Instant::now();
        let request = dialect.dialect().unwrap().decode_request(body.as_bytes()).unwrap();
        assert_eq!(request.messages.len(), 10_001);
        for name in ["anthropic", "openai", "mistral", "openrouter"] {
            let spec = provider::find(name).unwrap();
            let rules = ModelRules::of(name, spec.wire, "m");
            let to = Destination { quirks: &spec.quirks, rules: &rules, model: "m" };
            let mut losses = Losses::default();
            let written = spec.wire.codec().encode_request(&request, &to, &mut losses).unwrap();
            let written: Value = serde_json::from_slice(&written).unwrap();
            assert_eq!(written["messages"].as_array().unwrap().len(), 10_001, "{name}");
        }
        // Generous for a debug build; the square of the messages would take minutes.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn arguments_nested_without_end_are_text() {
    let deep = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{deep}}}]}},
        {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"r"}}]}}]}}"#
    );
    // Read or refused, but never a fall of the stack; and what was read can be written.
    if let Ok(request) = Wire::Anthropic.dialect().unwrap().decode_request(body.as_bytes()) {
        for name in ["anthropic", "openai"] {
            let spec = provider::find(name).unwrap();
            let rules = ModelRules::of(name, spec.wire, "m");
            let to = Destination { quirks: &spec.quirks, rules: &rules, model: "m" };
            let _encoded = spec.wire.codec().encode_request(&request, &to, &mut Losses::default());
        }
    }
}
