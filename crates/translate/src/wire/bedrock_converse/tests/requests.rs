//! Requests, both ways.

use serde_json::{Value, json};

use super::*;
use crate::ir::{
    CacheMark, Document, Effort, Image, JsonSchema, OutputFormat, Reasoning, Signature, Source, Text,
    Thinking, Tool, ToolChoice,
};

/// Everything the dialect can say.
pub(super) fn full() -> Value {
    serde_json::from_str(include_str!("../../../../fuzz/corpus/request_bedrock_converse/full.json")).unwrap()
}

fn tool(name: &str) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
        extra: Default::default(),
    }
}

fn with(messages: Vec<Message>, change: impl FnOnce(&mut Request)) -> Request {
    let mut request = ask(messages);
    change(&mut request);
    request
}

#[test]
fn what_is_read_and_written_is_read_again_the_same() {
    let mut body = full();
    // Claude cannot hear.
    body["messages"][0]["content"].as_array_mut().unwrap().pop();
    let first = decode(&body);
    let (written, losses) = encode(&first, CLAUDE).unwrap();
    // What cannot stand beside reasoning with a budget.
    let lost_values = ["reasoning", "tool_choice", "temperature", "top_p", "top_k"];
    assert_eq!(lost(&losses), lost_values, "{losses:?}");
    let second = decode(&written);
    let mut expected = first.clone();
    // Reasoning and a forced call exclude each other; so do it and these values.
    expected.tool_choice = Some(ToolChoice::Auto);
    assert_eq!(second.messages, expected.messages);
    assert_eq!(second.tools, expected.tools);
    assert_eq!(second.extra, expected.extra);
    assert_eq!((second.metadata, second.service_tier), (expected.metadata, expected.service_tier));
}

#[test]
fn every_part_of_a_body_is_read() {
    let request = decode(&full());
    assert_eq!(request.messages[0].role, Role::System);
    let Part::Text(system) = &request.messages[0].parts[0] else { panic!() };
    assert_eq!(system.cache.as_ref().unwrap().raw, json!({"type": "ephemeral", "ttl": "1h"}));
    let kinds: Vec<&str> = request.messages[1]
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(_) => "text",
            Part::Image(_) => "image",
            Part::Document(document) if document.cache.is_some() => "marked document",
            Part::Opaque { .. } => "opaque",
            Part::Audio { .. } => "audio",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["text", "image", "marked document", "opaque", "opaque", "audio"]);
    let Part::ToolCall(call) = &request.messages[2].parts[2] else { panic!() };
    assert_eq!(call.arguments, "{\"a\":1.0}", "as it was written");
    let Part::Text(cited) = &request.messages[2].parts[3] else { panic!() };
    assert_eq!(cited.citations[0].url.as_deref(), Some("https://e.x"));
    let Part::ToolResult(result) = &request.messages[3].parts[0] else { panic!() };
    assert_eq!((result.is_error, result.parts.len()), (Some(true), 3));
    assert_eq!(result.parts[1], Part::text("{\"a\":1}"));
    assert_eq!((request.max_tokens, request.sampling.top_k), (Some(5000), Some(3)));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    let reasoning = request.reasoning.unwrap();
    assert_eq!((reasoning.budget, reasoning.effort), (Some(2000), Some(Effort::Low)));
    assert!(matches!(
        request.output_format,
        Some(OutputFormat::JsonSchema(JsonSchema { name: Some(_), .. }))
    ));
    assert_eq!(request.extra.fields["additionalModelRequestFields"], json!({"anthropic_beta": ["b"]}));
}

#[test]
fn arguments_keep_their_spelling() {
    let body = br#"{"messages":[{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"f","input":{ "z": 1.50, "a": 12345678901234567890123 }}},{"text":"x"}]}]}"#;
    let request = BedrockConverse.decode_request(body).unwrap();
    let Part::ToolCall(call) = &request.messages[0].parts[0] else { panic!() };
    assert_eq!(call.arguments, r#"{ "z": 1.50, "a": 12345678901234567890123 }"#);
}

#[test]
fn wrong_fields_are_told_with_their_place() {
    let at = |path: &str, value: Value| {
        let mut body = full();
        *body.pointer_mut(path).unwrap() = value;
        refusal(&body).path
    };
    let cases = [
        ("/messages", json!({}), "messages"),
        ("/messages/0/role", json!("system"), "messages[0].role"),
        ("/messages/0/content", json!("text"), "messages[0].content"),
        ("/messages/0/content/0/text", json!(1), "messages[0].content[0].text"),
        ("/messages/0/content/0", json!({}), "messages[0].content[0]"),
        ("/messages/0/content/0", json!({"text": "a", "image": {}}), "messages[0].content[0].image"),
        ("/messages/0/content/1/image/format", json!("bmp"), "messages[0].content[1].image.format"),
        ("/messages/0/content/1/image/source", json!({}), "messages[0].content[1].image.source.bytes"),
        ("/messages/0/content/2/document/name", json!(null), "messages[0].content[2].document.name"),
        ("/messages/1/content/2/toolUse/input", json!("x"), "messages[1].content[2].toolUse.input"),
        (
            "/messages/2/content/0/toolResult/status",
            json!("maybe"),
            "messages[2].content[0].toolResult.status",
        ),
        (
            "/messages/2/content/0/toolResult/content/0/text",
            json!([]),
            "messages[2].content[0].toolResult.content[0].text",
        ),
        ("/inferenceConfig/maxTokens", json!("5"), "inferenceConfig.maxTokens"),
        ("/inferenceConfig/stopSequences/0", json!(5), "inferenceConfig.stopSequences[0]"),
        ("/toolConfig/tools/0/toolSpec/name", json!(null), "toolConfig.tools[0].toolSpec.name"),
        ("/toolConfig/toolChoice", json!({"some": {}}), "toolConfig.toolChoice"),
        (
            "/additionalModelRequestFields/thinking/budget_tokens",
            json!(-1),
            "additionalModelRequestFields.thinking.budget_tokens",
        ),
        (
            "/outputConfig/textFormat/structure/jsonSchema/schema",
            json!("{"),
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
        ("/requestMetadata/k", json!(1), "requestMetadata.k"),
        ("/serviceTier", json!("flex"), "serviceTier"),
    ];
    for (pointer, value, path) in cases {
        assert_eq!(at(pointer, value), path, "{pointer}");
    }
    assert_eq!(refusal(&json!({})).path, "messages");
    assert!(BedrockConverse.decode_request(b"{\"messages\":[").unwrap_err().message.contains("line 1"));
    let deep = format!("{{\"messages\":{}", "[".repeat(100_000));
    assert!(BedrockConverse.decode_request(deep.as_bytes()).is_err());
    assert!(
        BedrockConverse
            .decode_request(br#"{"messages":[{"role":"user","content":[{"text":"\ud800"}]}]}"#)
            .is_err()
    );
}

#[test]
fn turns_alternate_and_results_come_first() {
    let request = ask(vec![
        message(Role::Assistant, vec![Part::text("Hello.")]),
        message(Role::Assistant, vec![call("a b", "f", ""), call("", "g", "{\"x\":1}"), call("", "g", "[]")]),
        message(Role::User, vec![Part::text("  "), Part::text("now")]),
        message(
            Role::Tool,
            vec![result("a b", vec![Part::text("r")]), result("", vec![]), result("", vec![])],
        ),
    ]);
    let (body, losses) = encode(&request, CLAUDE).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&Value> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(messages[0]["content"], json!([{"text": "Continue."}]));
    let calls = &messages[1]["content"];
    let answers = &messages[2]["content"];
    for at in 0..3 {
        assert_eq!(calls[at + 1]["toolUse"]["toolUseId"], answers[at]["toolResult"]["toolUseId"], "{at}");
    }
    assert_ne!(calls[2]["toolUse"]["toolUseId"], calls[3]["toolUse"]["toolUseId"]);
    assert_eq!(calls[1]["toolUse"]["input"], json!({}));
    assert_eq!(calls[3]["toolUse"]["input"], json!({"_raw": "[]"}));
    assert_eq!(answers[1]["toolResult"]["content"], json!([{"text": "(no output)"}]));
    assert_eq!(answers[3], json!({"text": "now"}));
    let names: Vec<&Value> = body["toolConfig"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["toolSpec"]["name"])
        .collect();
    assert_eq!(names, ["f", "g"], "made up: the history calls them");
    let paths = lost(&losses);
    for path in ["tools", "messages", "messages[2].content[0]", "messages[1].content[2].arguments"] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}

#[test]
fn tools_stay_for_the_history_even_when_none_may_be_called() {
    let history = vec![
        user("x"),
        message(Role::Assistant, vec![call("a", "f", "{}")]),
        message(Role::Tool, vec![result("a", vec![Part::text("r")])]),
    ];
    let none = |messages| {
        with(messages, |request| {
            request.tools = vec![tool("f")];
            request.tool_choice = Some(ToolChoice::None);
        })
    };
    let (body, losses) = encode(&none(history), CLAUDE).unwrap();
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!((&body["toolConfig"]["toolChoice"], lost(&losses)), (&Value::Null, vec!["tool_choice"]));
    let (body, losses) = encode(&none(vec![user("x")]), CLAUDE).unwrap();
    assert_eq!((&body["toolConfig"], lost(&losses)), (&Value::Null, vec!["tool_choice"]));
}

#[test]
fn media_are_bytes_and_documents_named_once() {
    let image = |source| Part::Image(Image { source, detail: None, cache: None, extra: Default::default() });
    let pdf = |name: Option<&str>| {
        Part::Document(Document {
            source: Source::Base64 { media_type: "application/pdf".into(), data: "aGk=".into() },
            name: name.map(str::to_owned),
            cache: None,
            extra: Default::default(),
        })
    };
    let text = Part::Document(Document {
        source: Source::Text { media_type: "text/x-rust".into(), text: "fn".into() },
        name: None,
        cache: None,
        extra: Default::default(),
    });
    let data_url = image(Source::Url("data:image/jpg;base64,aGk=".into()));
    let (body, losses) =
        encode(&ask(vec![message(Role::User, vec![data_url, pdf(Some("a")), pdf(Some("a")), text])]), CLAUDE)
            .unwrap();
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0], json!({"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}));
    assert_eq!(content[1]["document"], json!({"format": "pdf", "name": "a", "source": {"bytes": "aGk="}}));
    assert_eq!(content[2]["document"]["name"], "a 2");
    assert_eq!(
        content[3]["document"],
        json!({"format": "txt", "name": "document", "source": {"bytes": "Zm4="}})
    );
    assert_eq!(content[4], json!({"text": "See the document."}));
    assert_eq!(lost(&losses), ["messages[0].content[2].name", "messages"]);
    let refused = |part| encode(&ask(vec![message(Role::User, vec![part])]), CLAUDE).unwrap_err();
    for source in [
        Source::Url("https://e.x/a.png".into()),
        Source::File("file_1".into()),
        Source::Base64 { media_type: "image/tiff".into(), data: String::new() },
    ] {
        assert_eq!(refused(image(source)).path, "messages[0].content[0]");
    }
    let audio = || Part::Audio { data: "aGk=".into(), format: "wav".into() };
    assert!(refused(audio()).message.contains("audio"));
    assert!(encode(&ask(vec![message(Role::User, vec![audio()])]), NOVA).is_ok());
}

#[test]
fn cache_marks_become_points_behind_their_block_four_at_most() {
    let mark = |ttl: Option<&str>| {
        let raw = match ttl {
            Some(ttl) => json!({"type": "ephemeral", "ttl": ttl}),
            None => json!({"type": "ephemeral"}),
        };
        Some(CacheMark { raw })
    };
    let marked = |ttl| Part::Text(Text { text: "t".into(), cache: mark(ttl), ..Text::default() });
    let inside = result("a", vec![marked(None)]);
    let request = ask(vec![
        message(Role::System, vec![marked(Some("1h"))]),
        message(Role::User, vec![marked(None)]),
        message(Role::Assistant, vec![call("a", "f", "{}")]),
        message(Role::Tool, vec![inside]),
        message(Role::User, vec![marked(None), marked(Some("5m")), marked(None)]),
    ]);
    let (body, losses) = encode(&request, CLAUDE).unwrap();
    assert_eq!(body["system"], json!([{"text": "t"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]));
    let count = body.to_string().matches("cachePoint").count();
    assert_eq!(count, 4, "{body}");
    let last = body["messages"][2]["content"].as_array().unwrap();
    assert!(last[0].get("toolResult").is_some(), "the mark inside the result was one too many");
    assert_eq!(last[4], json!({"cachePoint": {"type": "default", "ttl": "5m"}}));
    assert_eq!(losses.as_slice().len(), 3, "two marks and the stand-in for the tool: {losses:?}");
    let one = ask(vec![
        user("x"),
        message(Role::Assistant, vec![call("a", "f", "{}")]),
        message(Role::Tool, vec![result("a", vec![marked(None)])]),
    ]);
    let (body, _) = encode(&one, CLAUDE).unwrap();
    assert_eq!(
        body["messages"][2]["content"][1],
        json!({"cachePoint": {"type": "default"}}),
        "beside, not inside"
    );
    assert_eq!(body["messages"][2]["content"][0]["toolResult"]["content"], json!([{"text": "t"}]));
}

#[test]
fn reasoning_goes_back_to_its_maker_alone() {
    let thought = |by| {
        Part::Thinking(Thinking {
            text: "hm".into(),
            signature: Some(Signature::of(by, "sig")),
            extra: Default::default(),
        })
    };
    let said =
        |by| ask(vec![user("x"), message(Role::Assistant, vec![thought(by), Part::text("y")]), user("z")]);
    let (body, losses) = encode(&said(Wire::Anthropic), CLAUDE).unwrap();
    let shown = json!({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}});
    assert_eq!((&body["messages"][1]["content"][0], losses.is_empty()), (&shown, true));
    for (by, model) in [(Wire::Gemini, CLAUDE), (Wire::Anthropic, NOVA), (Wire::Anthropic, LLAMA)] {
        let (body, losses) = encode(&said(by), model).unwrap();
        assert_eq!(body["messages"][1]["content"], json!([{"text": "y"}]));
        assert_eq!(lost(&losses), ["messages[1].content[0]"]);
    }
}

#[test]
fn an_open_tool_loop_without_its_reasoning_turns_reasoning_off() {
    let request = with(
        vec![
            user("x"),
            message(Role::Assistant, vec![call("a", "f", "{}")]),
            message(Role::Tool, vec![result("a", vec![Part::text("r")])]),
        ],
        |request| {
            request.tools = vec![tool("f")];
            request.max_tokens = Some(4096);
            request.reasoning = Some(Reasoning { effort: Some(Effort::High), ..Reasoning::default() });
        },
    );
    let (body, losses) = encode(&request, CLAUDE).unwrap();
    assert_eq!(body["additionalModelRequestFields"]["thinking"], json!({"type": "disabled"}));
    assert_eq!(lost(&losses), ["reasoning"]);
    let (body, losses) = encode(&request, NEWEST).unwrap();
    assert_eq!(body["additionalModelRequestFields"]["output_config"], json!({"effort": "high"}));
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn every_family_is_asked_to_reason_in_its_own_way() {
    let asked = |model: &str, reasoning: Reasoning| {
        let request = with(vec![user("x")], |request| {
            request.reasoning = Some(reasoning);
            request.max_tokens = Some(10_000);
            request.sampling.temperature = Some(0.3);
            request.sampling.top_k = Some(7);
        });
        let (body, losses) = encode(&request, model).unwrap();
        (
            body["additionalModelRequestFields"].clone(),
            body["inferenceConfig"].clone(),
            lost(&losses).join(" "),
        )
    };
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let limit = json!({"maxTokens": 10_000});
    let warm = json!({"maxTokens": 10_000, "temperature": 0.3});
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 5000}});
    assert_eq!(
        asked(CLAUDE, effort(Effort::Medium)),
        (budget, limit.clone(), "temperature top_k".to_owned())
    );
    let nova = |word| json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}, "inferenceConfig": {"topK": 7}});
    assert_eq!(asked(NOVA_2, effort(Effort::Low)), (nova("low"), warm.clone(), String::new()));
    assert_eq!(
        asked(NOVA_2, effort(Effort::High)),
        (nova("high"), Value::Null, "max_tokens temperature".to_owned())
    );
    let oss = json!({"reasoning_effort": "high"});
    assert_eq!(
        asked("openai.gpt-oss-120b-1:0", effort(Effort::Max)),
        (oss, warm, "reasoning top_k".to_owned())
    );
    let most = json!({"maxTokens": 8192, "temperature": 0.3});
    let lost = "reasoning max_tokens top_k".to_owned();
    assert_eq!(asked(LLAMA, effort(Effort::Low)), (Value::Null, most, lost));
    let off = Reasoning { enabled: Some(false), ..Reasoning::default() };
    assert_eq!(asked(CLAUDE, off).0, json!({"thinking": {"type": "disabled"}, "top_k": 7}));
}

#[test]
fn a_prefill_stays_where_the_model_takes_one() {
    let request = ask(vec![user("x"), message(Role::Assistant, vec![Part::text("So: ")])]);
    let (body, losses) = encode(&request, CLAUDE).unwrap();
    assert_eq!(body["messages"][1]["content"], json!([{"text": "So:"}]));
    assert_eq!(lost(&losses), ["messages"]);
    let (body, losses) = encode(&request, MISTRAL).unwrap();
    assert_eq!(body["messages"][2], json!({"role": "user", "content": [{"text": "Continue."}]}));
    assert_eq!(lost(&losses), ["messages"]);
}

#[test]
fn parameters_of_this_wire_pass_from_another_dialect() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "guardrailConfig": {"guardrailIdentifier": "g"},
        "additionalModelRequestFields": {"anthropic_beta": ["b"], "top_k": 1},
        "extra_params": {"promptVariables": {"v": {"text": "t"}}},
        "metadata": {"team": "a", "odd": "{}"}, "user": "u", "odd": 1});
    let mut request =
        Wire::OpenAiChat.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
    request.sampling.top_k = Some(7);
    let (body, losses) = encode(&request, CLAUDE).unwrap();
    assert_eq!(body["guardrailConfig"], json!({"guardrailIdentifier": "g"}));
    assert_eq!(body["additionalModelRequestFields"], json!({"top_k": 7, "anthropic_beta": ["b"]}));
    assert_eq!(body["promptVariables"], json!({"v": {"text": "t"}}));
    assert_eq!(body["requestMetadata"], json!({"team": "a", "user_id": "u"}));
    assert_eq!(lost(&losses), ["metadata.odd", "odd"]);
}

#[test]
fn users_stand_in_the_request_metadata() {
    let written = |name: &str, metadata: Value| {
        let request = with(vec![user("x")], |request| {
            request.user = Some(name.into());
            request.metadata = metadata.as_object().cloned();
        });
        let (body, losses) = encode(&request, CLAUDE).unwrap();
        let read = Wire::BedrockConverse
            .dialect()
            .unwrap()
            .decode_request(body.to_string().as_bytes())
            .unwrap()
            .user;
        (read, lost(&losses).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(written("u-1", json!({})), (Some("u-1".into()), vec![]));
    assert_eq!(written("u", json!({"user_id": "u"})), (Some("u".into()), vec![]));
    assert_eq!(written("u", json!({"user_id": "v"})), (Some("v".into()), vec!["user".into()]));
    assert_eq!(written("{}", json!({"team": "a"})), (None, vec!["user".into()]));
}

#[test]
fn another_makers_signature_is_told_when_it_cannot_go() {
    let signature = Some(Signature { by: Wire::Gemini, text: "CiQB".into() });
    let parts = vec![Part::Thinking(Thinking { signature, ..Thinking::default() }), Part::text("a")];
    let said = Message { role: Role::Assistant, name: None, parts, extra: Default::default() };
    let (body, losses) = encode(&with(vec![user("x"), said, user("y")], |_| {}), CLAUDE).unwrap();
    assert_eq!(body["messages"][1]["content"], json!([{"text": "a"}]));
    assert_eq!(lost(&losses), ["messages[1].content[0]"]);
}

#[test]
fn schemas_are_closed_or_asked_for() {
    let request = with(vec![user("x")], |request| {
        request.output_format = Some(OutputFormat::JsonSchema(JsonSchema {
            name: Some("a name".into()),
            description: Some("d".into()),
            schema: json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}),
            strict: Some(true),
        }));
    });
    let (body, losses) = encode(&request, CLAUDE).unwrap();
    let schema = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    let text: Value = serde_json::from_str(schema["schema"].as_str().unwrap()).unwrap();
    assert_eq!(text["additionalProperties"], json!(false));
    assert_eq!((schema.get("name"), &schema["description"]), (None, &json!("d")));
    let paths =
        ["response_format.json_schema.schema.properties.n.minimum", "response_format.json_schema.name"];
    assert_eq!(lost(&losses), paths);
    let (body, losses) = encode(&request, NOVA).unwrap();
    assert!(body["system"][0]["text"].as_str().unwrap().contains("\"minimum\":1"));
    assert_eq!((body.get("outputConfig"), lost(&losses)), (None, vec!["response_format"]));
}

#[test]
fn sampling_is_bounded_as_the_model_wants() {
    let request = with(vec![user("x")], |request| {
        request.sampling.temperature = Some(1.7);
        request.sampling.top_p = Some(0.5);
        request.sampling.seed = Some(1);
    });
    let (body, losses) = encode(&request, NOVA).unwrap();
    assert_eq!(body["inferenceConfig"], json!({"temperature": 1, "topP": 0.5}));
    assert_eq!(lost(&losses), ["seed", "temperature"]);
    let (body, losses) = encode(&request, NEWEST).unwrap();
    assert_eq!((body.get("inferenceConfig"), lost(&losses)), (None, vec!["seed", "temperature", "top_p"]));
    let several = with(vec![user("x")], |request| request.sampling.n = Some(2));
    assert_eq!(encode(&several, NOVA).unwrap_err().path, "n");
}
