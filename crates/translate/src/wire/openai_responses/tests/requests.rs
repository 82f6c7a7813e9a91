//! Reading and writing requests.

use serde_json::{Value, json};

use super::{CHAT_RULES, OPEN_WEIGHTS, OPENAI, RULES, decode, encode, encode_for, paths, refused};
use crate::Wire;
use crate::ir::{
    Effort, Extra, Message, OutputFormat, Part, Reasoning, Request, Role, Signature, Source, Thinking, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::wire::Dialect;
use crate::wire::openai_responses::OpenAiResponses;

/// Realistic bodies, with unknown members at every level. `strict` is said and `store` is off, since both are
/// always written.
pub(super) fn bodies() -> Vec<Value> {
    vec![
        json!({"model": "m", "input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}]}]}),
        json!({"model": "m", "instructions": "Be brief.", "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "No jokes."}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "one", "flavour": 7},
                {"type": "input_image", "image_url": "https://e.com/a.png", "detail": "low", "x": 1},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
                {"type": "input_image", "file_id": "file_1"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                {"type": "input_file", "file_url": "https://e.com/a.pdf"},
                {"type": "input_file", "file_id": "file_2"},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "input_hologram", "h": [1]}], "weight": 2}],
            "temperature": 0.5, "top_p": 0.25, "max_output_tokens": 100, "user": "u",
            "metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k", "truncation": "auto"}),
        json!({"model": "m", "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"},
                {"type": "summary_text", "text": "b"}], "encrypted_content": "gAAA", "future": 1},
            {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
            {"type": "message", "role": "assistant", "phase": "commentary",
                "content": [{"type": "output_text", "text": "Looking."}]},
            {"type": "message", "role": "assistant", "phase": "final_answer", "content": [
                {"type": "output_text", "text": "Hm.", "annotations": [{"type": "file_citation", "file_id": "f"}]},
                {"type": "refusal", "refusal": "No."}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"b\": 1, \"a\":2}",
                "namespace": "n"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** \"x\"\n"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
            {"type": "function_call_output", "call_id": "c1", "output": "r"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [
                {"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://e.com/i.png"}]},
            {"type": "local_shell_call_output", "id": "l", "output": "x"}],
            "tools": [
                {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object",
                    "additionalProperties": false}, "strict": true, "vendor": 1},
                {"type": "custom", "name": "patch", "description": "p",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
                {"type": "web_search", "filters": {"allowed_domains": []}}],
            "tool_choice": {"type": "custom", "name": "patch"}, "parallel_tool_calls": false,
            "reasoning": {"effort": "high", "summary": "detailed", "context": "x"}, "stream": true}),
        json!({"model": "m", "input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "x"}]}],
            "tools": [{"type": "mcp", "server_label": "s"}], "tool_choice": {"type": "mcp", "server_label": "s"},
            "text": {"format": {"type": "json_schema", "name": "n", "description": "d",
                "schema": {"type": "object", "properties": {"y": {}, "x": {}}}, "strict": true, "future": 1},
                "verbosity": "low"}, "include": ["file_search_call.results"], "vendor_field": {"a": 1}}),
        json!({"model": "m", "input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "x, as JSON"}]}],
            "text": {"format": {"type": "json_object"}}, "top_logprobs": 3,
            "include": ["message.output_text.logprobs"], "tools": [], "store": true}),
        grouped(),
        searched(),
    ]
}

/// A conversation with tools in groups.
fn grouped() -> Value {
    json!({"model": "m", "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
            {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}", "namespace": "mcp__fs"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "write", "input": "x", "namespace": "mcp__fs"},
            {"type": "function_call_output", "call_id": "c1", "output": "r"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "r"}],
            "tools": [
                {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false},
                {"type": "namespace", "name": "mcp__fs", "description": "Files.", "tools": [
                    {"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": false,
                        "defer_loading": true},
                    {"type": "custom", "name": "write"}]},
                {"type": "namespace", "name": "mcp__db__", "tools": [
                    {"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": false}]}],
            "tool_choice": {"type": "allowed_tools", "mode": "required",
                "tools": [{"type": "function", "name": "f"}]}})
}

/// A conversation with the tools of the wire's own that the caller runs.
fn searched() -> Value {
    json!({"model": "m", "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
        {"type": "tool_search_call", "call_id": "c1", "execution": "client", "status": "completed",
            "arguments": {"query": "files"}},
        {"type": "local_shell_call", "call_id": "c2", "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "tool_search_output", "call_id": "c1", "execution": "client", "status": "completed", "tools": [
            {"type": "namespace", "name": "mcp__fs", "description": "Files.", "tools": [{"type": "function",
                "name": "read", "defer_loading": true, "parameters": {"type": "object"}}]}]},
        {"type": "local_shell_call_output", "id": "c2", "output": "a.txt"}],
        "tools": [{"type": "tool_search", "execution": "client", "description": "Finds tools.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}},
            {"type": "local_shell"}]})
}

#[test]
fn the_search_for_tools_and_the_shell_were_lost() {
    let request = decode(&searched());
    let name = |tool: &Tool| match tool {
        Tool::Function { name, .. } => name.clone(),
        Tool::Opaque { value, .. } => panic!("{value}"),
    };
    let names: Vec<String> = request.tools.iter().map(name).collect();
    assert_eq!(names, ["tool_search", "local_shell", "mcp__fs__read"]);
    let Part::ToolCall(call) = &request.messages[1].parts[1] else { panic!("a call") };
    assert_eq!((call.id.as_str(), call.arguments.as_str()), ("c2", r#"{"command":["ls"],"env":{}}"#));
    let texts: Vec<&Part> = request.messages[2..]
        .iter()
        .flat_map(|message| &message.parts)
        .flat_map(|part| match part {
            Part::ToolResult(result) => &result.parts[..],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, [&Part::text("These tools can be called now: mcp__fs__read"), &Part::text("a.txt")]);
    let hosted = json!({"model": "m", "input": "x", "tools": [{"type": "tool_search"}]});
    assert!(matches!(decode(&hosted).tools[0], Tool::Opaque { .. }), "the provider's own stays its own");
}

#[test]
fn a_request_survives_the_round_trip_on_its_own_wire() {
    for body in bodies() {
        let first = decode(&body);
        let (written, losses) = encode_for(&first, &OPENAI, &CHAT_RULES);
        // Sampling and reasoning are the model's to refuse: each body is for one or the other kind.
        let (written, losses) = match first.reasoning {
            Some(_) => encode(&first),
            None => (written, losses),
        };
        assert!(losses.is_empty(), "{losses:?}\n{body}");
        assert_eq!(decode(&written), first, "{body}\n{written}");
    }
}

#[test]
fn a_request_written_for_its_own_wire_has_every_member_of_the_original() {
    for body in bodies() {
        let first = decode(&body);
        let rules = if first.reasoning.is_some() { &RULES } else { &CHAT_RULES };
        let (mut written, _) = encode_for(&first, &OPENAI, rules);
        let members = written.as_object_mut().unwrap();
        if body.get("store").is_none() {
            assert_eq!(members.remove("store"), Some(json!(false)));
        }
        if rules.openai_reasoning {
            assert_eq!(members.remove("include"), Some(json!(["reasoning.encrypted_content"])));
        }
        let mut expected = body.clone();
        if body["tools"] == json!([]) {
            expected.as_object_mut().unwrap().remove("tools");
        }
        assert_eq!(written, expected);
    }
}

#[test]
fn the_easy_forms_are_read() {
    let request = decode(&json!({"model": "m", "input": "Hello"}));
    assert_eq!(request.messages.len(), 1);
    assert_eq!(
        (request.messages[0].role, &request.messages[0].parts[..]),
        (Role::User, &[Part::text("Hello")][..])
    );
    let request = decode(&json!({"model": "m", "input": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}, {"role": "system", "content": [{"type": "text", "text": "c"}]}]}));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::System]);
}

#[test]
fn what_the_model_did_in_one_turn_is_one_message() {
    let request = decode(&bodies()[2]);
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::Tool]);
    let kinds: Vec<&str> = request.messages[1]
        .parts
        .iter()
        .map(|part| match part {
            Part::Thinking(thinking) if thinking.signature.is_some() => "sealed",
            Part::Thinking(_) => "thinking",
            Part::Text(_) => "text",
            Part::Refusal(_) => "refusal",
            Part::ToolCall(_) => "call",
            Part::Opaque { .. } => "opaque",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["thinking", "sealed", "sealed", "text", "text", "refusal", "call", "call", "opaque"]);
    let Part::ToolCall(call) = &request.messages[1].parts[7] else { panic!("a call") };
    assert_eq!(call.arguments, "{\"input\":\"*** \\\"x\\\"\\n\"}", "free text as the function's argument");
}

#[test]
fn a_custom_tool_becomes_a_function_that_tells_its_grammar() {
    let request = decode(&bodies()[2]);
    let Tool::Function { name, description, parameters, strict, .. } = &request.tools[1] else {
        panic!("a function")
    };
    assert_eq!((name.as_str(), *strict), ("patch", None));
    assert_eq!(description.as_deref(), Some("p\n\n`input` must follow this lark grammar:\nstart: x"));
    assert_eq!(parameters.as_ref().unwrap()["required"], json!(["input"]));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("patch".into())));
    assert!(matches!(&request.tools[2], Tool::Opaque { wire: Wire::OpenAiResponses, .. }));
}

#[test]
fn strict_left_out_stays_left_out_and_is_false_for_callers_of_other_dialects() {
    let request = decode(&json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f"}]}));
    assert!(matches!(&request.tools[0], Tool::Function { strict: None, .. }));
    let (written, _) = encode(&request);
    assert_eq!(written["tools"][0]["strict"], false, "left out it would be true on this wire");
}

#[test]
fn sealed_reasoning_of_another_maker_comes_back_to_it() {
    let read = |seal: &str| {
        let body = json!({"model": "m", "input": [{"role": "user", "content": "x"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}],
             "encrypted_content": seal}, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]});
        decode(&body).messages[1].parts[0].clone()
    };
    let Part::Thinking(thinking) = read("bifrost:anthropic:EqQ=") else { panic!("thinking") };
    assert_eq!(thinking.signature, Some(Signature::of(Wire::Anthropic, "EqQ=")));
    let redacted = Part::RedactedThinking { data: "Emw".into(), extra: Extra::default() };
    assert_eq!(read("bifrost:anthropic:redacted:Emw"), redacted);
    let Part::Thinking(own) = read("gAAA") else { panic!("thinking") };
    assert_eq!(own.signature, Some(Signature::of(Wire::OpenAiResponses, "gAAA")));
}

fn thought(text: &str, signature: Option<Signature>) -> Part {
    Part::Thinking(Thinking { text: text.into(), signature, ..Thinking::default() })
}

fn turn(parts: Vec<Part>) -> Request {
    let message = |role, parts| Message { role, name: None, parts, extra: Extra::default() };
    Request {
        messages: vec![message(Role::User, vec![Part::text("x")]), message(Role::Assistant, parts)],
        ..Request::default()
    }
}

#[test]
fn reasoning_goes_back_to_its_own_maker_only() {
    let own = || Some(Signature::of(Wire::OpenAiResponses, "gAAA"));
    let foreign = Some(Signature::of(Wire::Anthropic, "EqQ="));
    let request = turn(vec![
        thought("a", None),
        thought("b", own()),
        thought("c", foreign),
        thought("d", None),
        Part::text("answer"),
        Part::RedactedThinking { data: "x".into(), extra: Extra::default() },
    ]);
    let (written, losses) = encode(&request);
    let pieces = json!([{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]);
    let sealed = json!({"type": "reasoning", "summary": pieces, "encrypted_content": "gAAA"});
    assert_eq!(written["input"][1], sealed);
    assert_eq!(written["input"][2]["role"], "assistant");
    let at = |part| format!("messages[1].content[{part}]");
    assert_eq!(paths(&losses), [at(2), at(3), at(5)]);
    let (written, losses) = encode_for(&request, &OPEN_WEIGHTS, &RULES);
    assert_eq!(written["input"][2]["summary"], json!([{"type": "summary_text", "text": "d"}]));
    assert_eq!(paths(&losses), [at(2), at(5)]);
}

#[test]
fn the_provider_is_told_to_keep_nothing_and_to_seal_its_reasoning() {
    let (written, losses) = encode(&turn(vec![Part::text("y")]));
    assert_eq!(
        (&written["store"], &written["include"]),
        (&json!(false), &json!(["reasoning.encrypted_content"]))
    );
    assert!(losses.is_empty());
    let (written, _) = encode_for(&turn(vec![Part::text("y")]), &OPENAI, &CHAT_RULES);
    assert_eq!(written.get("include"), None, "models that do not reason refuse it");
}

#[test]
fn a_summary_is_asked_for_where_reasoning_is_to_be_seen() {
    let summary = |reasoning| {
        let request = Request { reasoning: Some(reasoning), ..turn(vec![Part::text("y")]) };
        encode(&request).0["reasoning"].clone()
    };
    let effort = Some(Effort::Medium);
    assert_eq!(summary(Reasoning { effort, ..Reasoning::default() }), json!({"effort": "medium"}));
    let budget = Reasoning { budget: Some(9000), enabled: Some(true), ..Reasoning::default() };
    assert_eq!(summary(budget.clone()), json!({"effort": "medium", "summary": "auto"}));
    assert_eq!(summary(Reasoning { display: Some("omitted".into()), ..budget }), json!({"effort": "medium"}));
    let off = Reasoning { enabled: Some(false), ..Reasoning::default() };
    assert_eq!(summary(off), json!({"effort": "none"}));
    assert_eq!(
        summary(Reasoning { effort: Some(Effort::Max), ..Reasoning::default() }),
        json!({"effort": "xhigh"})
    );
}

#[test]
fn calls_and_results_get_ids_the_wire_takes_and_the_same_ones() {
    let call = |id: &str| {
        Part::ToolCall(ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: String::new(),
            cache: None,
            extra: Extra::default(),
        })
    };
    let result = |id: &str, is_error| {
        Part::ToolResult(ToolResult {
            call_id: id.into(),
            parts: vec![Part::text("r")],
            is_error,
            cache: None,
            extra: Extra::default(),
        })
    };
    let long = "é".repeat(50);
    let mut request = turn(vec![call(&long), call(""), call("c")]);
    request.messages.push(Message {
        role: Role::User,
        name: None,
        parts: vec![result(&long, None), result("", Some(true)), result("c", None), Part::text("go on")],
        extra: Extra::default(),
    });
    let (written, _) = encode(&request);
    let ids = |from: usize| -> Vec<String> {
        (from..from + 3).map(|n| written["input"][n]["call_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(1), ids(4));
    assert!(ids(1)[0].len() <= 64 && ids(1)[0].starts_with('é') && ids(1)[2] == "c");
    assert_eq!(written["input"][1]["arguments"], "{}");
    assert_eq!(written["input"][5]["output"], "Error: r");
    assert_eq!(written["input"][7]["content"][0]["text"], "go on");
}

#[test]
fn instructions_are_the_first_system_text() {
    let body = |input: Value| json!({"model": "m", "input": input});
    let (written, _) = encode(&decode(&body(json!([{"role": "system", "content": "s"},
        {"role": "system", "content": "t"}, {"role": "user", "content": "x"}]))));
    assert_eq!(written["instructions"], "s");
    assert_eq!(written["input"][0]["role"], "system");
    let (written, _) = encode(&decode(&body(json!([{"role": "system", "content": "alone"}]))));
    assert_eq!((written.get("instructions"), &written["input"][0]["role"]), (None, &json!("system")));
}

#[test]
fn what_this_wire_has_no_word_for_is_told() {
    let mut request = turn(vec![Part::text("y")]);
    request.stop = vec!["END".into()];
    request.sampling.seed = Some(1);
    request.sampling.n = Some(2);
    request.sampling.temperature = Some(0.3);
    request.max_tokens = Some(3);
    let (written, losses) = encode(&request);
    assert_eq!(paths(&losses), ["temperature", "n", "seed", "stop", "max_tokens"]);
    assert_eq!(written["max_output_tokens"], 16);
}

#[test]
fn parameters_of_chat_completions_that_are_the_same_here_pass() {
    let mut request = turn(vec![Part::text("y")]);
    let fields = json!({"verbosity": "low", "prompt_cache_key": "k", "store": true, "modalities": ["text"],
        "include": ["x"]});
    request.extra = Extra::of(Wire::OpenAiChat, fields.as_object().unwrap().clone());
    let (written, losses) = encode(&request);
    assert_eq!(written["text"], json!({"verbosity": "low"}));
    assert_eq!((&written["prompt_cache_key"], &written["store"]), (&json!("k"), &json!(true)));
    assert_eq!(written["include"], json!(["x", "reasoning.encrypted_content"]));
    assert_eq!(paths(&losses), ["modalities"]);
}

#[test]
fn every_complaint_names_the_place() {
    let with = |input: Value| json!({"model": "m", "input": input});
    let cases = [
        (json!([]), ""),
        (json!({"input": "x"}), "model"),
        (json!({"model": "m"}), "input"),
        (with(json!([])), "input"),
        (with(json!(3)), "input"),
        (with(json!(["x"])), "input[0]"),
        (with(json!([{"role": "wizard", "content": "x"}])), "input[0].role"),
        (with(json!([{"content": "x"}])), "input[0].type"),
        (with(json!([{"role": "user"}])), "input[0].content"),
        (with(json!([{"role": "user", "content": [{"type": "input_text"}]}])), "input[0].content[0].text"),
        (with(json!([{"role": "user", "content": [{"text": "x"}]}])), "input[0].content[0].type"),
        (
            with(json!([{"role": "user", "content": [{"type": "input_image"}]}])),
            "input[0].content[0].image_url",
        ),
        (with(json!([{"type": "function_call", "name": "f", "arguments": "{}"}])), "input[0].call_id"),
        (
            with(json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}])),
            "input[0].arguments",
        ),
        (with(json!([{"type": "function_call_output", "output": "x"}])), "input[0].call_id"),
        (with(json!([{"type": "reasoning", "summary": [{}]}])), "input[0].summary[0].text"),
        (with(json!([{"type": "item_reference", "id": "x"}])), "input[0]"),
        (with(json!([{"type": "reasoning", "summary": []}])), "input"),
        (json!({"model": "m", "input": "x", "tools": [{"name": "f"}]}), "tools[0].type"),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "function": {}}]}),
            "tools[0].function",
        ),
        (json!({"model": "m", "input": "x", "tool_choice": "maybe"}), "tool_choice"),
        (
            json!({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}),
            "text.format.schema",
        ),
        (json!({"model": "m", "input": "x", "include": [1]}), "include[0]"),
        (json!({"model": "m", "input": "x", "max_output_tokens": -1}), "max_output_tokens"),
        (json!({"model": "m", "input": "x", "previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"model": "m", "input": "x", "conversation": {"id": "c"}}), "conversation"),
        (json!({"model": "m", "prompt": {"id": "p"}}), "prompt"),
        (json!({"model": "m", "input": "x", "background": true}), "background"),
    ];
    for (body, path) in cases {
        let (found, message) = refused(&body);
        assert_eq!(found, path, "{body}: {message}");
        assert!(path.is_empty() || message.contains(&format!("`{path}`")), "{message}");
    }
}

#[test]
fn defaults_that_every_wire_has_anyway_are_no_losses() {
    let request = decode(&json!({"model": "m", "input": "x", "store": false, "truncation": "disabled",
        "background": false, "previous_response_id": null, "include": ["reasoning.encrypted_content"],
        "stream_options": {"include_obfuscation": false}, "text": {"format": {"type": "text"}}, "metadata": {}}));
    assert!(request.extra.is_empty(), "{:?}", request.extra);
    assert_eq!((request.output_format, request.metadata), (None, None));
}

#[test]
fn structured_output_and_its_schema_keep_their_order() {
    let request = decode(&bodies()[3]);
    let Some(OutputFormat::JsonSchema(schema)) = &request.output_format else { panic!("a schema") };
    assert_eq!(schema.schema["properties"].to_string(), r#"{"y":{},"x":{}}"#);
    assert_eq!(request.extra.names(), ["vendor_field", "text.verbosity", "text.format", "include"]);
}

#[test]
fn media_is_carried_as_it_came() {
    let request = decode(&bodies()[1]);
    let Part::Image(image) = &request.messages[2].parts[1] else { panic!("an image") };
    assert_eq!(
        (&image.source, image.detail.as_deref()),
        (&Source::Url("https://e.com/a.png".into()), Some("low"))
    );
    let Part::Document(document) = &request.messages[2].parts[5] else { panic!("a document") };
    assert_eq!(document.source, Source::Url("https://e.com/a.pdf".into()));
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = format!("{{\"model\":\"m\",\"input\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(OpenAiResponses.decode_request(deep.as_bytes()).is_err());
}

#[test]
fn logprobs_are_told_where_a_reasoning_model_refuses_them() {
    let body = json!({"model": "m", "input": "x", "include": ["message.output_text.logprobs"]});
    let (written, losses) = encode(&decode(&body));
    assert_eq!((written.pointer("/include/1"), paths(&losses)), (None, vec!["logprobs"]));
    let (written, losses) = encode_for(&decode(&body), &OPENAI, &CHAT_RULES);
    assert_eq!(written["include"], json!(["message.output_text.logprobs"]));
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn many_tools_and_calls_took_time_by_their_product() {
    const MANY: usize = 40_000;
    let began = std::time::Instant::now();
    let function = |n: usize| json!({"type": "function", "name": format!("f{n}"), "parameters": {}});
    let functions: Vec<Value> = (0..MANY).map(function).collect();
    let call = |n: usize| {
        json!({"type": "function_call", "call_id": format!("c{n}"), "name": format!("f{n}"), "arguments": "{}",
            "namespace": "group"})
    };
    let mut input: Vec<Value> = (0..MANY).map(call).collect();
    let found: Vec<Value> = (MANY / 2..MANY * 3 / 2).map(function).collect();
    input.push(json!({"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": found}));
    let body = json!({"model": "m", "input": input, "tools": [
        {"type": "tool_search", "execution": "client", "parameters": {}},
        {"type": "namespace", "name": "group", "tools": functions}]});
    let request = decode(&body);
    assert_eq!(request.tools.len(), 1 + MANY + MANY);
    let mut calls = request.messages.iter().flat_map(|message| &message.parts);
    assert!(matches!(calls.next(), Some(Part::ToolCall(call)) if call.name == "group__f0"));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
