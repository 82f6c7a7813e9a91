//! Tools across the wires: names, schemas, the choice among them, calls and their results.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use serde_json::{Value, json};
use translate::ir::{Part, Request, Response};
use translate::provider::{self, Destination, ModelRules};
use translate::relay::{StreamPipe, StreamPipeOptions};
use translate::wire::openai_responses::echo_of;
use translate::wire::{Echo, ToolNames};
use translate::{Losses, Wire};

/// A provider of each wire and a model of it.
const TARGETS: [(Wire, &str, &str); 6] = [
    (Wire::Anthropic, "anthropic", "claude-sonnet-4-5"),
    (Wire::BedrockConverse, "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (Wire::Cohere, "cohere", "command-a-03-2025"),
    (Wire::Gemini, "gemini", "gemini-2.5-flash"),
    (Wire::OpenAiChat, "openai", "gpt-4.1"),
    (Wire::OpenAiResponses, "openai", "gpt-4.1"),
];

/// The longest name Claude Code makes of an MCP server's tool is near this.
const LONG: &str = "mcp__plugin_a-server-with-a-long-name_its-namespace__and_a_tool_that_is_longer";

fn read(dialect: Wire, body: &Value) -> Request {
    let mut request =
        dialect.dialect().expect("a dialect").decode_request(body.to_string().as_bytes()).expect("a request");
    request.model = "m".to_owned();
    request
}

fn sent(wire: Wire, request: &Request) -> (Value, Vec<String>) {
    let target = TARGETS.iter().find(|target| target.0 == wire).expect("a target");
    sent_to(*target, request)
}

fn sent_to((wire, provider, model): (Wire, &str, &str), request: &Request) -> (Value, Vec<String>) {
    let spec = provider::find(provider).expect("a provider");
    let rules = ModelRules::of(provider, wire, model);
    let to = Destination { quirks: &spec.quirks, rules: &rules, model };
    let mut losses = Losses::default();
    let body = wire.codec().encode_request(request, &to, &mut losses).expect("a body");
    let lost = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).expect("JSON"), lost)
}

fn echo(request: Option<&Value>) -> Echo {
    let request = request.map(|body| Arc::new(echo_of(body.to_string().as_bytes())));
    Echo { unique: "u".into(), now: 1, model: "m".into(), stream_usage: true, request }
}

/// An answer of a chat provider that calls `name`, as a caller of `dialect` gets it.
fn answered(dialect: Wire, request: &Request, asked: &Value, name: &str) -> String {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}});
    let answer = json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
        "index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": [call]}}]});
    let mut response: Response =
        Wire::OpenAiChat.codec().decode_response(answer.to_string().as_bytes()).expect("an answer");
    ToolNames::of(request, Wire::OpenAiChat).restore(&mut response);
    let out = dialect.dialect().expect("a dialect").encode_response(
        &response,
        &echo(Some(asked)),
        &mut Losses::default(),
    );
    String::from_utf8(out).expect("UTF-8")
}

/// The same, streamed.
fn streamed(dialect: Wire, request: &Request, asked: &Value, name: &str) -> String {
    let options = StreamPipeOptions {
        caller: dialect,
        upstream: Wire::OpenAiChat,
        echo: echo(Some(asked)),
        withhold_usage: false,
        hold_last: false,
    };
    let mut pipe = StreamPipe::new(options, dialect.dialect().expect("a dialect"))
        .with_tool_names(ToolNames::of(request, Wire::OpenAiChat));
    let call = json!([{"index": 0, "id": "call_1", "type": "function",
        "function": {"name": name, "arguments": "{}"}}]);
    let mut out = Vec::new();
    for (delta, finish) in [(json!({"tool_calls": call}), Value::Null), (json!({}), json!("tool_calls"))] {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice]});
        pipe.push(format!("data: {chunk}\n\n").as_bytes(), &mut out);
    }
    pipe.push(b"data: [DONE]\n\n", &mut out);
    assert!(pipe.end(None, &mut out), "the stream is whole");
    String::from_utf8_lossy(&out).into_owned()
}

fn loop_of(name: &str) -> Value {
    json!({"model": "m", "max_tokens": 9, "tools": [{"name": name, "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": name},
        "messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}]}]})
}

/// Where each wire writes the name of the first tool.
fn first_name(wire: Wire, body: &Value) -> &Value {
    match wire {
        Wire::Anthropic | Wire::OpenAiResponses => &body["tools"][0]["name"],
        Wire::BedrockConverse => &body["toolConfig"]["tools"][0]["toolSpec"]["name"],
        Wire::Cohere | Wire::OpenAiChat => &body["tools"][0]["function"]["name"],
        Wire::Gemini => &body["tools"][0]["functionDeclarations"][0]["name"],
        Wire::Replicate => unreachable!("it calls no tools"),
    }
}

#[test]
fn names_that_a_provider_refuses_went_out_as_they_were() {
    for name in ["ns.tool", "fs.read:file", LONG, "1st-tool"] {
        let request = read(Wire::Anthropic, &loop_of(name));
        for (wire, ..) in TARGETS {
            let (body, lost) = sent(wire, &request);
            let written = first_name(wire, &body).as_str().expect("a name").to_owned();
            let most = if wire == Wire::Anthropic { 128 } else { 64 };
            let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            let own = |byte: u8| sign(byte) || (wire == Wire::Gemini && matches!(byte, b'.' | b':'));
            assert!(written.len() <= most && written.bytes().all(own), "{wire:?} {written}");
            // Tool, choice and history name the same; Cohere cannot name a choice.
            let text = body.to_string();
            let times = text.matches(&format!("\"{written}\"")).count();
            assert!(times >= if wire == Wire::Cohere { 2 } else { 3 }, "{wire:?} {text}");
            assert!(written == name || !text.contains(&format!("\"{name}\"")), "{wire:?} {text}");
            assert!(lost.iter().all(|path| !path.contains("name")), "{wire:?} {lost:?}");
        }
    }
}

#[test]
fn a_caller_finds_its_own_names_in_whole_and_streamed_answers() {
    for name in ["ns.tool", LONG, "f"] {
        let asked = loop_of(name);
        let request = read(Wire::Anthropic, &asked);
        let (body, _) = sent(Wire::OpenAiChat, &request);
        let written = first_name(Wire::OpenAiChat, &body).as_str().expect("a name").to_owned();
        for dialect in [Wire::Anthropic, Wire::Cohere, Wire::Gemini, Wire::OpenAiResponses] {
            for out in
                [answered(dialect, &request, &asked, &written), streamed(dialect, &request, &asked, &written)]
            {
                assert!(out.contains(&format!("\"{name}\"")), "{dialect:?} {out}");
                assert!(name == written || !out.contains(&written), "{dialect:?} {out}");
            }
        }
    }
}

fn grouped() -> Value {
    json!({"model": "m", "input": [
        {"type": "message", "role": "user", "content": "x"},
        {"type": "function_call", "call_id": "c1", "name": "read", "namespace": "mcp__fs", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"}],
        "tools": [
            {"type": "function", "name": "shell", "parameters": {"type": "object"}},
            {"type": "namespace", "name": "mcp__fs", "description": "Files.", "tools": [
                {"type": "function", "name": "read", "parameters": {"type": "object"}},
                {"type": "function", "name": "list", "parameters": {"type": "object"}},
                {"type": "custom", "name": "patch"}]},
            {"type": "namespace", "name": "mcp__db__", "tools": [
                {"type": "function", "name": "list", "parameters": {"type": "object"}}]}]})
}

#[test]
fn tools_in_namespaces_were_lost() {
    let request = read(Wire::OpenAiResponses, &grouped());
    let (body, lost) = sent(Wire::OpenAiChat, &request);
    let names: Vec<&Value> =
        body["tools"].as_array().expect("tools").iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["shell", "mcp__fs__read", "mcp__fs__list", "mcp__fs__patch", "mcp__db__list"]);
    assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["name"], "mcp__fs__read");
    // The words about the group, and that a tool takes free text.
    assert_eq!(lost, ["tools[1].namespace", "tools[3].custom"]);
    for wire in [Wire::Anthropic, Wire::Gemini, Wire::BedrockConverse, Wire::Cohere] {
        assert!(sent(wire, &request).0.to_string().contains("mcp__db__list"), "{wire:?}");
    }
}

#[test]
fn calls_of_tools_in_namespaces_come_back_with_both_names() {
    let asked = grouped();
    let request = read(Wire::OpenAiResponses, &asked);
    for (called, expected) in [
        ("mcp__fs__read", json!({"name": "read", "namespace": "mcp__fs"})),
        ("mcp__db__list", json!({"name": "list", "namespace": "mcp__db__"})),
        ("mcp__fs__patch", json!({"name": "patch", "namespace": "mcp__fs", "type": "custom_tool_call"})),
        ("shell", json!({"name": "shell", "namespace": null})),
        // The group left out by the model: known when only one has such a tool.
        ("read", json!({"name": "read", "namespace": "mcp__fs"})),
        ("list", json!({"name": "list", "namespace": null})),
    ] {
        let whole: Value =
            serde_json::from_str(&answered(Wire::OpenAiResponses, &request, &asked, called)).expect("JSON");
        let stream = streamed(Wire::OpenAiResponses, &request, &asked, called);
        let data: Vec<Value> = stream
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
            .collect();
        let done = data.iter().find(|event| event["type"] == "response.output_item.done").expect("an item");
        for item in [&whole["output"][0], &done["item"]] {
            for (field, value) in expected.as_object().expect("an object") {
                assert_eq!(&item[field], value, "{called} {item}");
            }
        }
    }
}

#[test]
fn a_long_name_in_a_namespace_is_fitted_and_found_again() {
    let asked = json!({"model": "m", "input": "x", "tools": [{"type": "namespace", "name": LONG,
        "tools": [{"type": "function", "name": "do.it", "parameters": {"type": "object"}}]}]});
    let request = read(Wire::OpenAiResponses, &asked);
    let (body, _) = sent(Wire::OpenAiChat, &request);
    let written = first_name(Wire::OpenAiChat, &body).as_str().expect("a name").to_owned();
    assert!(written.len() <= 64, "{written}");
    let whole: Value =
        serde_json::from_str(&answered(Wire::OpenAiResponses, &request, &asked, &written)).expect("JSON");
    let item = &whole["output"][0];
    assert_eq!((&item["namespace"], &item["name"]), (&json!(LONG), &json!("do.it")));
}

#[test]
fn a_search_beside_functions_was_refused_by_gemini_3() {
    let third = (Wire::Gemini, "gemini", "gemini-3-pro-preview");
    let function = json!({"type": "function", "name": "shell", "parameters": {"type": "object"}});
    let codex = json!({"model": "m", "input": "x", "tools": [function, {"type": "web_search"}]});
    let (body, lost) = sent_to(third, &read(Wire::OpenAiResponses, &codex));
    assert!(!body.to_string().contains("googleSearch"), "{body}");
    assert!(lost.contains(&"tools[1]".to_owned()), "{lost:?}");
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "web_search_options": {},
        "tools": [{"type": "function", "function": {"name": "f"}}]});
    let (body, lost) = sent_to(third, &read(Wire::OpenAiChat, &chat));
    assert!(!body.to_string().contains("googleSearch"), "{body}");
    assert_eq!(lost, ["web_search_options"]);
    let alone = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]});
    let (body, _) = sent_to(third, &read(Wire::OpenAiResponses, &alone));
    assert_eq!(body["tools"], json!([{"googleSearch": {}}]));
}

#[test]
fn a_choice_among_functions_became_auto() {
    let functions: Vec<Value> = ["a", "b", "c"].iter().map(|name| json!({"name": name})).collect();
    let gemini = |mode: &str| {
        json!({"contents": "x", "tools": [{"functionDeclarations": functions}], "toolConfig":
            {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": ["a", "c"]}}})
    };
    let must = read(Wire::Gemini, &gemini("ANY"));
    let may = read(Wire::Gemini, &gemini("VALIDATED"));
    let names = |wire: Wire, body: &Value| match wire {
        Wire::BedrockConverse => body["toolConfig"]["tools"].as_array().map(Vec::len),
        _ => body["tools"].as_array().map(Vec::len),
    };
    for (wire, choice) in [
        (Wire::Anthropic, json!({"type": "any"})),
        (Wire::BedrockConverse, json!({"any": {}})),
        (Wire::Cohere, json!("REQUIRED")),
        (Wire::OpenAiChat, json!("required")),
    ] {
        let (body, lost) = sent(wire, &must);
        let written = if wire == Wire::BedrockConverse {
            &body["toolConfig"]["toolChoice"]
        } else {
            &body["tool_choice"]
        };
        assert_eq!((written, names(wire, &body)), (&choice, Some(2)), "{wire:?}");
        assert_eq!(lost, ["tools[1]"], "{wire:?}");
    }
    let (body, lost) = sent(Wire::Anthropic, &may);
    assert_eq!((&body["tool_choice"], names(Wire::Anthropic, &body)), (&json!({"type": "auto"}), Some(2)));
    assert_eq!(lost, ["tools[1]"]);
    // Those that know the choice keep all tools in sight.
    let flat = |name: &str| json!({"type": "function", "name": name});
    let (body, lost) = sent(Wire::OpenAiResponses, &must);
    let expected = json!({"type": "allowed_tools", "mode": "required", "tools": [flat("a"), flat("c")]});
    assert_eq!((&body["tool_choice"], names(Wire::OpenAiResponses, &body)), (&expected, Some(3)));
    assert!(lost.is_empty(), "{lost:?}");
    let (body, lost) = sent_to((Wire::OpenAiChat, "openai", "gpt-5"), &may);
    assert_eq!(body["tool_choice"]["allowed_tools"]["mode"], "auto");
    assert_eq!(
        (body["tool_choice"]["allowed_tools"]["tools"][1]["function"]["name"].as_str(), lost.len()),
        (Some("c"), 0)
    );
    let responses =
        json!({"model": "m", "input": "x", "tools": [flat("a"), flat("b")], "tool_choice": expected});
    let (body, _) = sent(Wire::Gemini, &read(Wire::OpenAiResponses, &responses));
    let config = json!({"mode": "ANY", "allowedFunctionNames": ["a", "c"]});
    assert_eq!(body["toolConfig"]["functionCallingConfig"], config);
}

#[test]
fn what_the_user_said_between_calls_and_results_stood_between_them() {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": id});
    let said = |text: &str| json!({"role": "user", "content": text});
    let body = json!({"model": "m", "tools": [{"type": "function", "name": "f"}], "input": [
        said("go"), call("c1"), call("c2"), said("wait"), output("c1"), said("well"), output("c2"), said("on")]});
    let request = read(Wire::OpenAiResponses, &body);
    let shown: Vec<String> = request
        .messages
        .iter()
        .map(|message| match &message.parts[0] {
            Part::Text(text) => text.text.clone(),
            Part::ToolResult(result) => result.call_id.clone(),
            _ => "calls".to_owned(),
        })
        .collect();
    assert_eq!(shown, ["go", "calls", "c1", "c2", "wait", "well", "on"]);
    let (body, _) = sent(Wire::OpenAiChat, &request);
    let roles: Vec<&Value> =
        body["messages"].as_array().expect("messages").iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user", "user", "user"]);
    let (body, _) = sent(Wire::Gemini, &request);
    assert!(body["contents"][2]["parts"][1].get("functionResponse").is_some(), "{body}");
}

fn strict(schema: &Value) -> Request {
    read(
        Wire::Cohere,
        &json!({"model": "m", "strict_tools": true, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
    )
}

#[test]
fn strict_was_sent_with_schemas_and_to_models_that_refuse_it() {
    let open = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}, "o": {}},
        "required": ["n"]});
    let closed = json!({"type": "object", "properties": {"n": {"type": "integer", "description": "minimum: 1"},
        "o": {}}, "required": ["n"], "additionalProperties": false});
    let (body, lost) = sent(Wire::Anthropic, &strict(&open));
    assert_eq!((&body["tools"][0]["input_schema"], &body["tools"][0]["strict"]), (&closed, &json!(true)));
    assert_eq!(lost, ["tools[0].parameters.properties.n.minimum"]);
    let (body, _) = sent(Wire::BedrockConverse, &strict(&open));
    let spec = &body["toolConfig"]["tools"][0]["toolSpec"];
    assert_eq!((&spec["inputSchema"]["json"], &spec["strict"]), (&closed, &json!(true)));
    let haiku = (Wire::Anthropic, "anthropic", "claude-3-5-haiku-latest");
    let (body, lost) = sent_to(haiku, &strict(&open));
    assert_eq!((&body["tools"][0]["input_schema"], body["tools"][0].get("strict")), (&open, None));
    assert_eq!(lost, ["tools[0].strict"]);
    let (body, lost) = sent(Wire::OpenAiChat, &strict(&open));
    assert_eq!(
        (body["tools"][0]["function"].get("strict"), lost),
        (None, vec!["tools[0].strict".to_owned()])
    );
    let (body, _) = sent(Wire::OpenAiResponses, &strict(&open));
    assert_eq!(body["tools"][0]["strict"], false);
    let whole =
        json!({"type": "object", "properties": {"n": {}}, "required": ["n"], "additionalProperties": false});
    let (body, lost) = sent(Wire::OpenAiChat, &strict(&whole));
    assert_eq!((&body["tools"][0]["function"]["strict"], lost.len()), (&json!(true), 0));
}

#[test]
fn branches_at_the_top_of_a_schema_cost_the_whole_request() {
    let branch = |name: &str| json!({"properties": {name: {"type": "string"}}, "required": [name, "id"]});
    let schema = json!({"type": "object", "properties": {"id": {}}, "anyOf": [branch("a"), branch("b")]});
    let merged = json!({"type": "object", "properties": {"id": {}, "a": {"type": "string"},
        "b": {"type": "string"}}, "required": ["id"]});
    let request = read(
        Wire::Cohere,
        &json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
    );
    for (wire, pointer) in [
        (Wire::Anthropic, "/tools/0/input_schema"),
        (Wire::BedrockConverse, "/toolConfig/tools/0/toolSpec/inputSchema/json"),
        (Wire::OpenAiChat, "/tools/0/function/parameters"),
        (Wire::OpenAiResponses, "/tools/0/parameters"),
    ] {
        let (body, lost) = sent(wire, &request);
        assert_eq!(body.pointer(pointer), Some(&merged), "{wire:?}");
        assert_eq!(lost, ["tools[0].parameters.anyOf"], "{wire:?}");
    }
}

#[test]
fn calls_of_the_callers_search_and_shell_come_back_in_their_form() {
    let asked = json!({"model": "m", "input": "x", "tools": [{"type": "local_shell"},
        {"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object"}}]});
    let request = read(Wire::OpenAiResponses, &asked);
    let (body, _) = sent(Wire::Anthropic, &request);
    assert_eq!(
        (&body["tools"][0]["name"], &body["tools"][1]["name"]),
        (&json!("local_shell"), &json!("tool_search"))
    );
    for (name, expected) in [
        (
            "local_shell",
            json!({"type": "local_shell_call", "action": {"type": "exec", "command": [], "env": {}}}),
        ),
        ("tool_search", json!({"type": "tool_search_call", "execution": "client", "arguments": {}})),
    ] {
        let whole: Value =
            serde_json::from_str(&answered(Wire::OpenAiResponses, &request, &asked, name)).expect("JSON");
        let stream = streamed(Wire::OpenAiResponses, &request, &asked, name);
        assert!(!stream.contains("function_call_arguments"), "{stream}");
        let events = stream.lines().filter_map(|line| line.strip_prefix("data: "));
        let data: Vec<Value> = events.filter_map(|data| serde_json::from_str(data).ok()).collect();
        let done = data.iter().find(|event| event["type"] == "response.output_item.done").expect("an item");
        for item in [&whole["output"][0], &done["item"]] {
            assert_eq!((&item["call_id"], &item["status"]), (&json!("call_1"), &json!("completed")));
            for (field, value) in expected.as_object().expect("an object") {
                assert_eq!(&item[field], value, "{item}");
            }
        }
    }
}
