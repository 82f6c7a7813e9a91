//! What the provider gets.

use serde_json::{Value, json};

use super::{SECOND, THIRD, ask, call, encode, encode_bytes, lost, message, result, thinking, user};
use crate::Wire;
use crate::ir::{
    Document, Effort, Extra, Image, JsonSchema, OutputFormat, Part, Reasoning, Request, Role, Source, Tool,
    ToolChoice,
};
use crate::wire::gemini::takes_url;

fn tool(name: &str, parameters: Value) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: Some(parameters),
        strict: None,
        cache: None,
        extra: Extra::default(),
    }
}

fn reasoning(reasoning: Reasoning, model: &str) -> (Value, usize) {
    let (body, losses) = encode(&Request { reasoning: Some(reasoning), ..ask(vec![user("x")]) }, model);
    (body["generationConfig"]["thinkingConfig"].clone(), losses.as_slice().len())
}

fn effort(effort: Effort) -> Reasoning {
    Reasoning { effort: Some(effort), ..Reasoning::default() }
}

fn budget(tokens: u64) -> Reasoning {
    Reasoning { budget: Some(tokens), ..Reasoning::default() }
}

fn off() -> Reasoning {
    Reasoning { enabled: Some(false), ..Reasoning::default() }
}

#[test]
fn budgets_and_levels_fit_the_model() {
    let lite = "gemini-2.5-flash-lite";
    let pro = "gemini-2.5-pro";
    let third_pro = "google/gemini-3-pro-preview";
    let cases = [
        (effort(Effort::Low), SECOND, json!({"thinkingBudget": 1024, "includeThoughts": true}), 0),
        (effort(Effort::High), pro, json!({"thinkingBudget": 24576, "includeThoughts": true}), 0),
        (effort(Effort::Max), pro, json!({"thinkingBudget": 32768, "includeThoughts": true}), 0),
        (budget(100), lite, json!({"thinkingBudget": 512, "includeThoughts": true}), 1),
        (budget(99_999), SECOND, json!({"thinkingBudget": 24576, "includeThoughts": true}), 1),
        (off(), SECOND, json!({"thinkingBudget": 0}), 0),
        (off(), pro, json!({"thinkingBudget": 128}), 1),
        (off(), THIRD, json!({"thinkingLevel": "minimal"}), 1),
        (off(), third_pro, json!({"thinkingLevel": "low"}), 1),
        (effort(Effort::Medium), third_pro, json!({"thinkingLevel": "high", "includeThoughts": true}), 1),
        (effort(Effort::Medium), THIRD, json!({"thinkingLevel": "medium", "includeThoughts": true}), 0),
        (effort(Effort::XHigh), THIRD, json!({"thinkingLevel": "high", "includeThoughts": true}), 1),
        (
            budget(5000),
            "gemini-4-of-the-future",
            json!({"thinkingLevel": "medium", "includeThoughts": true}),
            1,
        ),
        (effort(Effort::High), "gemini-2.0-flash", Value::Null, 1),
        (off(), "gemini-2.0-flash", Value::Null, 0),
    ];
    for (given, model, expected, losses) in cases {
        assert_eq!(reasoning(given.clone(), model), (expected, losses), "{given:?} {model}");
    }
    let dynamic = Reasoning { enabled: Some(true), display: Some("omitted".into()), ..Reasoning::default() };
    assert_eq!(reasoning(dynamic.clone(), SECOND).0, json!({"thinkingBudget": -1}));
    assert_eq!(reasoning(dynamic, THIRD).0, Value::Null);
    let shown = Reasoning { display: Some("summarized".into()), ..Reasoning::default() };
    assert_eq!(reasoning(shown, THIRD).0, json!({"includeThoughts": true}));
}

#[test]
fn results_stand_behind_their_calls_in_their_order() {
    let request = ask(vec![
        user("go"),
        message(
            Role::Assistant,
            vec![call("a", "f", "{\"x\": 1}"), call("b", "g", ""), call("c", "f", "[1]")],
        ),
        message(Role::Tool, vec![result("c", vec![Part::text("three")])]),
        message(
            Role::User,
            vec![
                Part::text("and"),
                result("b", vec![Part::text(" {\"deg\": 2}")]),
                result("a", vec![Part::text("1"), Part::text("2")]),
            ],
        ),
    ]);
    let (body, losses) = encode(&request, SECOND);
    let expected = json!([
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {"x": 1}}},
            {"functionCall": {"name": "g", "args": {}}},
            {"functionCall": {"name": "f", "args": {"_raw": "[1]"}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"output": "1\n2"}}},
            {"functionResponse": {"name": "g", "response": {"deg": 2}}},
            {"functionResponse": {"name": "f", "response": {"output": "three"}}}]},
        {"role": "user", "parts": [{"text": "and"}]}]);
    assert_eq!(body["contents"], expected);
    assert_eq!(lost(&losses), ["messages[1].content[2].arguments"]);
}

#[test]
fn a_result_without_its_call_is_refused_with_its_place() {
    let request = ask(vec![message(Role::Tool, vec![result("nobody", vec![])])]);
    let bad = encode_bytes(&request, SECOND).unwrap_err();
    assert_eq!(bad.path, "messages[0].content[0]");
    assert!(bad.message.contains("\"nobody\"") && bad.message.contains("name"), "{}", bad.message);
    let named = crate::ir::Message { name: Some("f".into()), ..request.messages[0].clone() };
    assert!(encode_bytes(&ask(vec![named]), SECOND).is_ok());
}

#[test]
fn signatures_go_back_on_the_part_they_were_made_for() {
    let own = Some((Wire::Gemini, "c2ln"));
    let request = ask(vec![
        user("x"),
        message(Role::Assistant, vec![thinking("why", own), call("a", "f", ""), call("b", "f", "")]),
        message(Role::Tool, vec![result("a", vec![]), result("b", vec![])]),
        message(Role::Assistant, vec![thinking("t", own), Part::text("said"), thinking("", own)]),
    ]);
    let (body, losses) = encode(&request, THIRD);
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"text": "why", "thought": true},
            {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "f", "args": {}}}])
    );
    assert_eq!(
        body["contents"][3]["parts"],
        json!([
            {"text": "t", "thought": true, "thoughtSignature": "c2ln"},
            {"text": "said"},
            {"text": "", "thoughtSignature": "c2ln"}])
    );
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn calls_of_another_model_get_the_placeholder_in_the_current_turn_only() {
    let turn = |id: &str| message(Role::Assistant, vec![call(id, "f", ""), call("z", "f", "")]);
    let answers = |id: &str| message(Role::Tool, vec![result(id, vec![]), result("z", vec![])]);
    let claude = thinking("secret", Some((Wire::Anthropic, "EqQ")));
    let step = message(Role::Assistant, vec![Part::text("hm"), claude, call("b", "f", "")]);
    let request = ask(vec![
        user("1"),
        turn("a"),
        answers("a"),
        user("2"),
        step,
        message(Role::User, vec![result("b", vec![]), Part::text("<reminder>")]),
        turn("c"),
    ]);
    let signature = |body: &Value, content: usize, part: usize| {
        body["contents"][content]["parts"][part]["thoughtSignature"].clone()
    };
    let (body, losses) = encode(&request, THIRD);
    assert_eq!(signature(&body, 1, 0), Value::Null);
    for (content, part) in [(4, 1), (7, 0)] {
        assert_eq!(signature(&body, content, part), "skip_thought_signature_validator", "{body:#}");
    }
    assert_eq!(signature(&body, 7, 1), Value::Null);
    assert!(!body.to_string().contains("secret"));
    assert_eq!(lost(&losses), ["messages[4].content[1]", "messages"]);
    let (body, _) = encode(&request, SECOND);
    assert_eq!(signature(&body, 7, 0), Value::Null);
}

#[test]
fn media_in_results_goes_where_the_model_reads_it() {
    let image = Part::Image(Image {
        source: Source::Base64 { media_type: "image/png".into(), data: "aGk=".into() },
        detail: None,
        cache: None,
        extra: Extra::default(),
    });
    let request = ask(vec![
        user("x"),
        message(Role::Assistant, vec![call("a", "shot", "")]),
        message(Role::Tool, vec![result("a", vec![image])]),
        user("what is it"),
    ]);
    let (body, _) = encode(&request, THIRD);
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}});
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["parts"], json!([inline]));
    let (body, _) = encode(&request, SECOND);
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["parts"], Value::Null);
    assert_eq!(
        body["contents"][3]["parts"],
        json!([{"text": "Attached to the result of the function shot:"}, inline, {"text": "what is it"}])
    );
}

#[test]
fn only_addresses_the_provider_reads_itself_go_as_such() {
    let document = |source: Source| {
        let part = Document { source, name: None, cache: None, extra: Extra::default() };
        ask(vec![message(Role::User, vec![Part::Document(part)])])
    };
    for (source, expected) in [
        (
            Source::Url("gs://b/a.pdf".into()),
            json!({"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}),
        ),
        (
            Source::File("files/x1".into()),
            json!({"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x1"}),
        ),
    ] {
        let (body, _) = encode(&document(source), SECOND);
        assert_eq!(body["contents"][0]["parts"][0]["fileData"], expected);
    }
    for source in [Source::Url("https://example.com/a.pdf".into()), Source::File("file-abc".into())] {
        let bad = encode_bytes(&document(source), SECOND).unwrap_err();
        assert_eq!(bad.path, "messages[0].content[0]");
        assert!(bad.message.contains("base64"), "{}", bad.message);
    }
    assert!(takes_url("https://youtu.be/x") && !takes_url("https://example.com/gs://"));
}

#[test]
fn a_form_of_answer_beside_functions_needs_the_third_generation() {
    let schema = json!({"type": "object", "properties": {"a": {"const": 1}}});
    let format = JsonSchema { name: None, description: None, schema, strict: None };
    let request = Request {
        output_format: Some(OutputFormat::JsonSchema(format)),
        tools: vec![tool("f", json!({"type": "object", "properties": {}})), {
            let value = json!({"googleSearch": {}});
            Tool::Opaque { wire: Wire::Gemini, value }
        }],
        ..ask(vec![user("x")])
    };
    let (body, losses) = encode(&request, THIRD);
    assert_eq!(body["generationConfig"]["responseJsonSchema"]["properties"]["a"], json!({"enum": [1]}));
    assert_eq!(body["tools"], json!([{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]));
    assert!(losses.is_empty(), "{losses:?}");
    let (body, losses) = encode(&request, SECOND);
    assert_eq!(body["generationConfig"], Value::Null);
    assert!(body["systemInstruction"]["parts"][0]["text"].as_str().unwrap().contains("JSON schema"));
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(lost(&losses), ["tools[1]", "response_format"]);
}

#[test]
fn the_choice_among_tools_is_written() {
    let mode = |choice: Option<ToolChoice>| {
        let tools = vec![tool("f", json!({"type": "object", "properties": {"a": {}}}))];
        let request = Request { tools, tool_choice: choice, ..ask(vec![user("x")]) };
        encode(&request, THIRD).0["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(mode(None), Value::Null);
    assert_eq!(mode(Some(ToolChoice::Required)), json!({"mode": "ANY"}));
    let named = json!({"mode": "ANY", "allowedFunctionNames": ["f"]});
    assert_eq!(mode(Some(ToolChoice::Named("f".into()))), named);
    let some = |required| Some(ToolChoice::Among { required, names: vec!["f".into()] });
    assert_eq!(mode(some(true)), named);
    assert_eq!(mode(some(false)), json!({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}));
}

#[test]
fn limits_of_the_wire_are_kept_and_told() {
    let request = Request {
        stop: (0..7).map(|n| n.to_string()).collect(),
        max_tokens: Some(1_000_000),
        parallel_tool_calls: Some(false),
        user: Some("u".into()),
        service_tier: Some("priority".into()),
        sampling: crate::ir::Sampling {
            n: Some(9),
            seed: Some(i64::from(u32::MAX) + 8),
            top_logprobs: Some(3),
            ..Default::default()
        },
        ..ask(vec![user("x")])
    };
    let (body, losses) = encode(&request, SECOND);
    let config = &body["generationConfig"];
    assert_eq!(config["stopSequences"].as_array().unwrap().len(), 5);
    assert_eq!((&config["maxOutputTokens"], &config["candidateCount"]), (&json!(65536), &json!(8)));
    assert_eq!((&config["seed"], &body["serviceTier"]), (&json!(7), &json!("priority")));
    let paths = ["n", "max_tokens", "stop", "seed", "top_logprobs", "user", "parallel_tool_calls"];
    assert_eq!(lost(&losses), paths);
}

#[test]
fn parameters_of_this_wire_pass_under_their_own_names() {
    let fields = json!({"safety_settings": [{"category": "C"}], "verbosity": "low",
        "generation_config": {"media_resolution": "LOW", "temperature": 2},
        "extra_params": {"anything": 1}});
    let mut request = ask(vec![user("x")]);
    request.sampling.temperature = Some(0.5);
    request.extra = Extra::of(Wire::OpenAiChat, fields.as_object().unwrap().clone());
    let (body, losses) = encode(&request, SECOND);
    assert_eq!(body["safetySettings"], json!([{"category": "C"}]));
    assert_eq!(body["generationConfig"], json!({"temperature": 0.5, "mediaResolution": "LOW"}));
    assert_eq!(body["anything"], 1);
    assert_eq!(lost(&losses), ["verbosity"]);
    assert!(body["model"].is_null() && body["stream"].is_null());
}

#[test]
fn a_conversation_begins_with_a_user() {
    let (body, losses) = encode(&ask(vec![message(Role::System, vec![Part::text("s")])]), SECOND);
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": " "}]}]));
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "s"}]}));
    assert_eq!(lost(&losses), ["messages"]);
    let later = ask(vec![user("x"), message(Role::Developer, vec![Part::text("now")])]);
    let (body, _) = encode(&later, SECOND);
    assert_eq!(body["contents"][0]["parts"][1], json!({"text": "<system>\nnow\n</system>"}));
}

#[test]
fn equal_requests_are_equal_bytes() {
    let request = ask(vec![user("x"), message(Role::Assistant, vec![call("a", "f", "{\"b\":1, \"a\":2}")])]);
    let bytes = encode_bytes(&request, SECOND).unwrap().0;
    assert_eq!(bytes, encode_bytes(&request.clone(), SECOND).unwrap().0);
    assert!(String::from_utf8(bytes).unwrap().contains("\"args\":{\"b\":1, \"a\":2}"));
}
