use serde_json::{Value, json};

use super::super::{Format, is_relayed};
use super::{decode, written};
use crate::Wire;
use crate::base64;

/// As Claude Code asks.
fn anthropic() -> Value {
    json!({
        "model": "claude-sonnet-4-6",
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "How long is this?"}],
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}],
    })
}

#[test]
fn a_question_without_max_tokens_is_whole() {
    let request = decode(Wire::Anthropic, &anthropic()).unwrap();
    assert_eq!((request.max_tokens, request.messages.len(), request.tools.len()), (None, 2, 1));
}

#[test]
fn an_anthropic_question_is_put_into_each_providers_envelope() {
    let request = decode(Wire::Anthropic, &anthropic()).unwrap();
    let (body, losses) = written(Format::Gemini, "gemini-2.5-flash", &request);
    let whole = &body["generateContentRequest"];
    assert_eq!(whole["model"], "models/gemini-2.5-flash");
    assert_eq!(whole["contents"][0]["parts"][0]["text"], "How long is this?");
    assert_eq!(whole["systemInstruction"]["parts"][0]["text"], "Be brief.");
    assert_eq!(whole["tools"][0]["functionDeclarations"][0]["name"], "look");
    assert_eq!((body.as_object().unwrap().len(), losses.len()), (1, 1), "{losses:?}");

    let (body, _) = written(Format::Vertex, "gemini-2.5-flash", &request);
    assert_eq!(names(&body), ["systemInstruction", "tools", "contents"]);

    let (body, _) = written(Format::OpenAiResponses, "gpt-5", &request);
    assert_eq!(body["model"], "gpt-5");
    assert!(body.to_string().contains("Be brief."), "{body}");
    for refused in ["store", "include", "stream", "max_output_tokens", "temperature"] {
        assert!(body.get(refused).is_none(), "{body}");
    }

    let (body, _) = written(Format::BedrockConverse, "anthropic.claude-sonnet-4-6", &request);
    let converse = &body["input"]["converse"];
    assert_eq!(names(converse), ["system", "toolConfig", "messages"]);
    assert_eq!(converse["messages"][0]["content"][0]["text"], "How long is this?");
}

#[test]
fn claudes_own_body_goes_to_bedrock_in_base64_with_what_its_model_needs() {
    let request = decode(Wire::Anthropic, &anthropic()).unwrap();
    let (body, losses) = written(Format::BedrockInvoke, "anthropic.claude-sonnet-4-6", &request);
    let coded = body["input"]["invokeModel"]["body"].as_str().unwrap();
    let inner: Value = serde_json::from_slice(&base64::decode(coded).unwrap()).unwrap();
    assert_eq!(inner["anthropic_version"], "bedrock-2023-05-31");
    assert!(inner["max_tokens"].is_u64() && inner.get("model").is_none(), "{inner}");
    assert_eq!(inner["system"], anthropic()["system"]);
    assert_eq!((inner["messages"].as_array().unwrap().len(), losses.len()), (1, 0));
}

#[test]
fn bedrock_was_asked_to_count_with_fields_whose_beta_was_not_named() {
    let inner = |betas: Option<Value>| {
        let mut asked = anthropic();
        asked["context_management"] = json!({"edits": [{"type": "clear_tool_uses_20250919"}]});
        if let Some(betas) = betas {
            asked["anthropic_beta"] = betas;
        }
        let request = decode(Wire::Anthropic, &asked).unwrap();
        let (body, losses) = written(Format::BedrockInvoke, "anthropic.claude-sonnet-4-6", &request);
        let coded = body["input"]["invokeModel"]["body"].as_str().unwrap();
        (serde_json::from_slice::<Value>(&base64::decode(coded).unwrap()).unwrap(), losses)
    };
    let (sent, losses) = inner(None);
    assert!(sent.get("context_management").is_none(), "{sent}");
    assert_eq!(losses, ["context_management"]);
    let (sent, losses) = inner(Some(json!(["context-management-2025-06-27"])));
    assert!(sent["context_management"]["edits"].is_array(), "{sent}");
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn what_an_answer_needs_is_taken_off_and_what_counts_stays() {
    let question = json!({"generateContentRequest": {
        "model": "models/house/g",
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9, "stopSequences": ["x"], "seed": 1},
    }});
    let request = decode(Wire::Gemini, &question).unwrap();
    let (body, losses) = written(Format::Anthropic, "claude-sonnet-4-6", &request);
    assert_eq!(names(&body), ["model", "messages"]);
    assert!(losses.is_empty(), "{losses:?}");
    let thinks = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5000,
        "stream": true, "metadata": {"user_id": "u"}, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let request = decode(Wire::Anthropic, &thinks).unwrap();
    let (body, _) = written(Format::Anthropic, "claude-sonnet-4-5", &request);
    assert_eq!(names(&body), ["model", "messages", "thinking"]);
    assert_eq!(body["thinking"], thinks["thinking"]);
}

#[test]
fn both_forms_of_bedrocks_question_are_read() {
    let converse = json!({"input": {"converse": {
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
    }}});
    let own = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}]});
    let invoke = json!({"input": {"invokeModel": {"body": base64::encode(own.to_string().as_bytes())}}});
    for question in [converse, invoke] {
        let request = decode(Wire::BedrockConverse, &question).unwrap();
        assert_eq!((request.messages.len(), request.model.as_str()), (2, ""), "{question}");
        let (body, _) = written(Format::Anthropic, "claude-sonnet-4-6", &request);
        assert_eq!(body["system"], "Be brief.");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let inner = |body: &str| json!({"input": {"invokeModel": {"body": base64::encode(body.as_bytes())}}});
    for (dialect, question, path) in [
        (Wire::Anthropic, json!({"model": "m", "messages": []}), "messages"),
        (
            Wire::Anthropic,
            json!({"model": "m", "messages": [{"role": "user", "content": 3}]}),
            "messages[0].content",
        ),
        (Wire::Gemini, json!({}), "contents"),
        (Wire::Gemini, json!({"generateContentRequest": {}}), "generateContentRequest.contents"),
        (Wire::Gemini, json!({"generateContentRequest": 3}), "generateContentRequest"),
        (Wire::Gemini, json!({"contents": [{"parts": 3}]}), "contents[0].parts"),
        (Wire::Gemini, json!({"contents": [], "generateContentRequest": {"contents": []}}), "contents"),
        (Wire::OpenAiResponses, json!({"model": "m", "input": 3}), "input"),
        (Wire::BedrockConverse, json!({}), "input"),
        (Wire::BedrockConverse, json!({"input": 3}), "input"),
        (Wire::BedrockConverse, json!({"input": {}}), "input"),
        (Wire::BedrockConverse, json!({"input": {"converse": []}}), "input.converse"),
        (Wire::BedrockConverse, json!({"input": {"converse": {}, "invokeModel": {}}}), "input"),
        (
            Wire::BedrockConverse,
            json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": 3}]}]}}}),
            "input.converse.messages[0].content[0].text",
        ),
        (Wire::BedrockConverse, json!({"input": {"invokeModel": {}}}), "input.invokeModel.body"),
        (Wire::BedrockConverse, json!({"input": {"invokeModel": {"body": "%"}}}), "input.invokeModel.body"),
        (Wire::BedrockConverse, inner("no JSON"), "input.invokeModel.body"),
        (Wire::BedrockConverse, inner("{}"), "input.invokeModel.body.messages"),
        (Wire::Cohere, json!({}), ""),
    ] {
        let bad = decode(dialect, &question).unwrap_err();
        assert_eq!(bad.path, path, "{question}: {}", bad.message);
        assert!(bad.message.contains(path), "{question}: {}", bad.message);
    }
}

#[test]
fn profiles_are_counted_as_their_models() {
    for (named, counted) in [
        ("us.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6"),
        ("apac.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("global.anthropic.claude-x", "anthropic.claude-x"),
        ("us-gov.anthropic.claude-x", "anthropic.claude-x"),
        ("anthropic.claude-x", "anthropic.claude-x"),
        ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-x", "anthropic.claude-x"),
        (
            "arn:aws:bedrock:us-east-1:1:provisioned-model/p",
            "arn:aws:bedrock:us-east-1:1:provisioned-model/p",
        ),
    ] {
        assert_eq!(Format::BedrockConverse.model(named), counted);
        assert_eq!(Format::Anthropic.model(named), named);
    }
}

#[test]
fn bytes_are_relayed_where_the_provider_takes_them_as_they_are() {
    use Format::{Anthropic, BedrockConverse, BedrockInvoke, Gemini, OpenAiResponses, Vertex};
    let flat = r#"{"contents":[]}"#;
    let wrapped = r#"{"generateContentRequest":{}}"#;
    let with_tools = r#"{"contents":[],"tools":[]}"#;
    for (dialect, format, body, expected) in [
        (Wire::Anthropic, Anthropic, "{}", true),
        (Wire::Anthropic, BedrockInvoke, "{}", false),
        (Wire::Anthropic, Gemini, "{}", false),
        (Wire::BedrockConverse, BedrockConverse, "{}", true),
        (Wire::OpenAiResponses, OpenAiResponses, "{}", true),
        (Wire::Gemini, Gemini, flat, true),
        (Wire::Gemini, Gemini, wrapped, true),
        (Wire::Gemini, Gemini, with_tools, false),
        (Wire::Gemini, Vertex, flat, true),
        (Wire::Gemini, Vertex, with_tools, true),
        (Wire::Gemini, Vertex, wrapped, false),
    ] {
        assert_eq!(is_relayed(dialect, format, body.as_bytes()), expected, "{dialect:?} {format:?} {body}");
    }
}

fn names(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}
