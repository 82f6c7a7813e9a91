use super::*;
use crate::config::{Document, Environment, Format, compile};
use crate::route::endpoint::Family;

#[test]
fn a_server_that_is_allowed_chat_only_is_not_asked_for_responses() {
    for (allowed, wire, path) in [
        (r#""chat_completion": true"#, Wire::OpenAiChat, "/v1/chat/completions"),
        (r#""chat_completion": true, "responses": true"#, Wire::OpenAiResponses, "/v1/responses"),
    ] {
        let text = format!(
            r#"{{"providers": {{"mine": {{"network_config": {{"base_url": "http://h.example"}},
                "custom_provider_config": {{"base_provider_type": "openai", "is_key_less": true,
                "allowed_requests": {{{allowed}}}}}}}}}}}"#
        );
        let document = Document::parse("c.json", &text, Format::Json).unwrap();
        let snapshot = compile(&document, &Environment::fixed([]), 1).unwrap().snapshot;
        let provider = snapshot.provider("mine").unwrap();
        let endpoint = Endpoint::new(Operation::Chat, Wire::OpenAiResponses, Family::OpenAi);
        let target = choose(provider, &provider.endpoint, endpoint, "m", false).unwrap();
        assert_eq!((target.wire, &*target.path), (wire, path));
    }
}

#[test]
fn models_of_responses_alone_were_asked_for_chat() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "k"}]}}}"#;
    let document = Document::parse("c.json", text, Format::Json).unwrap();
    let snapshot = compile(&document, &Environment::fixed([]), 1).unwrap().snapshot;
    let provider = snapshot.provider("openai").unwrap();
    for dialect in [Wire::OpenAiChat, Wire::Anthropic, Wire::Gemini, Wire::OpenAiResponses] {
        let endpoint = Endpoint::new(Operation::Chat, dialect, Family::Unified);
        let target = |model| choose(provider, &provider.endpoint, endpoint, model, true).unwrap();
        let codex = target("gpt-5-codex");
        assert_eq!((codex.wire, &*codex.path), (Wire::OpenAiResponses, "/v1/responses"), "{dialect:?}");
        if dialect != Wire::OpenAiResponses {
            assert_eq!(target("gpt-5").wire, Wire::OpenAiChat);
        }
    }
}

#[test]
fn models_are_encoded_as_their_hosts_want_them() {
    let bedrock = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-v1:0";
    assert_eq!(
        fill("/model/{model}/converse", bedrock, SEGMENT),
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.anthropic.claude-v1%3A0/converse"
    );
    assert_eq!(fill("/v1beta/models/{model}:x", "a/b@1", PATH), "/v1beta/models/a/b@1:x");
    assert_eq!(fill("/v1beta/models/{model}:x", "tunedModels/t", PATH), "/v1beta/tunedModels/t:x");
    let google = "/v1/publishers/google/models/{model}:predict";
    assert_eq!(fill(google, "google/g", PATH), "/v1/publishers/google/models/g:predict");
    assert_eq!(fill(google, "meta/g", PATH), "/v1/publishers/google/models/meta/g:predict");
    assert_eq!(fill("/v1/x?a=1", "m", PATH), "/v1/x?a=1");
}

/// Who counts for a model: the form and the path, `None` where nobody does.
fn counted(keys: &str, model: &str, dialect: Wire) -> Option<(count::Format, String)> {
    let text = format!(r#"{{"providers": {{{keys}}}}}"#);
    let document = Document::parse("c.json", &text, Format::Json).unwrap();
    let snapshot = compile(&document, &Environment::fixed([]), 1).unwrap().snapshot;
    let name = keys.split('"').nth(1).unwrap();
    let provider = snapshot.provider(name).unwrap();
    let at = provider.keys[0].endpoint.as_deref().unwrap_or(&provider.endpoint);
    let endpoint = Endpoint::new(Operation::CountTokens, dialect, Family::Unified);
    let target = choose(provider, at, endpoint, model, false)?;
    let format = target.count.unwrap();
    assert_eq!(target.wire, format.wire());
    Some((format, target.path.to_string()))
}

#[test]
fn tokens_are_counted_by_the_service_that_serves_the_model() {
    use count::Format::{Anthropic, BedrockConverse, BedrockInvoke, Gemini, OpenAiResponses, Vertex};
    const VERTEX: &str = r#""vertex": {"keys": [{"name": "k", "value": "v",
        "vertex_key_config": {"project_id": "p", "region": "europe-west4"}}]}"#;
    const AZURE: &str = r#""azure": {"keys": [{"name": "k", "value": "v",
        "azure_key_config": {"endpoint": "https://r.openai.azure.com"}}]}"#;
    const BEDROCK: &str = r#""bedrock": {"keys": [{"name": "k", "value": "v", "bedrock_key_config": {}}]}"#;
    const OVERRIDDEN: &str = r#""mine": {"keys": [{"name": "k", "value": "v"}],
        "network_config": {"base_url": "http://h.example"}, "custom_provider_config": {
        "base_provider_type": "groq", "request_path_overrides": {"count_tokens": "/count"}}}"#;
    let plain = |name: &str| format!(r#""{name}": {{"keys": [{{"name": "k", "value": "v"}}]}}"#);
    let at_google = "/v1/projects/p/locations/europe-west4/publishers";
    for (keys, model, dialect, expected) in [
        (VERTEX, "gemini-3-pro", Wire::Anthropic, Some((Vertex, "/google/models/gemini-3-pro:countTokens"))),
        (
            VERTEX,
            "claude-opus-4-5",
            Wire::Gemini,
            Some((Anthropic, "/anthropic/models/count-tokens:rawPredict")),
        ),
        (VERTEX, "meta/llama-4-maverick-17b-128e-instruct-maas", Wire::Gemini, None),
        (AZURE, "claude-opus-4-5", Wire::Gemini, Some((Anthropic, "/anthropic/v1/messages/count_tokens"))),
        (AZURE, "gpt-5", Wire::OpenAiResponses, None),
        (
            BEDROCK,
            "eu.anthropic.claude-x",
            Wire::Gemini,
            Some((BedrockConverse, "/model/anthropic.claude-x/count-tokens")),
        ),
        (
            BEDROCK,
            "anthropic.claude-x",
            Wire::Anthropic,
            Some((BedrockInvoke, "/model/anthropic.claude-x/count-tokens")),
        ),
        (BEDROCK, "amazon.nova-pro-v1:0", Wire::BedrockConverse, None),
        (&plain("anthropic"), "m", Wire::Gemini, Some((Anthropic, "/v1/messages/count_tokens"))),
        (&plain("gemini"), "models/m", Wire::Anthropic, Some((Gemini, "/v1beta/models/m:countTokens"))),
        (&plain("openai"), "m", Wire::Anthropic, Some((OpenAiResponses, "/v1/responses/input_tokens"))),
        (&plain("cohere"), "m", Wire::Anthropic, None),
        (&plain("groq"), "m", Wire::OpenAiResponses, None),
        (OVERRIDDEN, "m", Wire::Anthropic, Some((OpenAiResponses, "/count"))),
    ] {
        let expected = expected.map(|(format, path)| match keys {
            VERTEX => (format, format!("{at_google}{path}")),
            _ => (format, path.to_owned()),
        });
        assert_eq!(counted(keys, model, dialect), expected, "{model} {keys}");
    }
}
