//! The model lists, in each dialect's shape: from configuration and catalog, never from a provider.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::config::snapshot::{ModelRef, Snapshot};
use crate::proxy::Gateway;
use crate::proxy::respond::Reply;
use crate::route::endpoint::Family;
use crate::route::model::known;

/// Whose list is meant: `/v1/models` is a path of three dialects, told apart by what their SDKs send.
#[must_use]
pub fn shape(family: Family, headers: &HeaderMap) -> Family {
    let sent = |name: &str| headers.contains_key(name);
    match family {
        Family::Unified if sent("anthropic-version") => Family::Anthropic,
        Family::Unified if sent("x-goog-api-client") || sent("x-goog-api-key") => Family::Gemini,
        own => own,
    }
}

/// The list, in a family's shape. Query: `provider` keeps one provider's models.
#[must_use]
pub fn list(gateway: &Gateway, snapshot: &Snapshot, family: Family, query: &str) -> Reply {
    let wanted = parameter(query, "provider");
    let models: Vec<ModelRef> = known(snapshot, gateway.catalog)
        .into_iter()
        .filter(|model| wanted.is_none_or(|wanted| &*model.provider == wanted))
        .collect();
    let body = match family {
        Family::Anthropic => anthropic_list(&models),
        Family::Bedrock => bedrock_list(&models),
        Family::Cohere => cohere_list(&models),
        Family::Gemini => gemini_list(&models),
        Family::OpenAi | Family::Unified => openai_list(&models, family),
    };
    Reply::json(200, body.to_string())
}

fn openai_list(models: &[ModelRef], family: Family) -> Value {
    let entries: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "id": id(model, if family == Family::OpenAi { "openai" } else { "" }),
                "object": "model",
                "created": 0,
                "owned_by": &*model.provider,
            })
        })
        .collect();
    json!({ "object": "list", "data": entries })
}

fn anthropic_list(models: &[ModelRef]) -> Value {
    let entries: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "type": "model",
                "id": id(model, "anthropic"),
                "display_name": &*model.model,
                "created_at": "1970-01-01T00:00:00Z",
            })
        })
        .collect();
    let edge = |entry: Option<&Value>| entry.and_then(|e| e.get("id")).cloned().unwrap_or(Value::Null);
    json!({
        "first_id": edge(entries.first()),
        "last_id": edge(entries.last()),
        "has_more": false,
        "data": entries,
    })
}

/// All on one page: `pageSize` is a wish there, and no token means that there is no next page.
fn gemini_list(models: &[ModelRef]) -> Value {
    let entries: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "name": format!("models/{}", id(model, "gemini")),
                "version": "001",
                "displayName": &*model.model,
                "supportedGenerationMethods": gemini_methods(&model.model),
            })
        })
        .collect();
    json!({ "models": entries })
}

/// As Cohere lists models, all on one page.
fn cohere_list(models: &[ModelRef]) -> Value {
    let entries: Vec<Value> = models
        .iter()
        .map(|model| {
            let endpoint = match &*model.model {
                name if name.contains("rerank") => "rerank",
                name if name.contains("embed") => "embed",
                _ => "chat",
            };
            json!({ "name": id(model, "cohere"), "endpoints": [endpoint], "finetuned": false })
        })
        .collect();
    json!({ "models": entries })
}

/// As Bedrock's control plane lists foundation models.
fn bedrock_list(models: &[ModelRef]) -> Value {
    let entries: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "modelId": id(model, "bedrock"),
                "modelName": &*model.model,
                "providerName": &*model.provider,
                "responseStreamingSupported": true,
                "inferenceTypesSupported": ["ON_DEMAND"],
                "modelLifecycle": { "status": "ACTIVE" },
            })
        })
        .collect();
    json!({ "modelSummaries": entries })
}

/// A model's name is all we know: those that make vectors say so.
fn gemini_methods(model: &str) -> &'static [&'static str] {
    if model.contains("embed") {
        &["embedContent", "batchEmbedContents"]
    } else {
        &["generateContent", "streamGenerateContent", "countTokens"]
    }
}

/// Bare for the family's own provider, else with its provider: as the caller would write it.
fn id(model: &ModelRef, own: &str) -> String {
    if &*model.provider == own {
        model.model.to_string()
    } else {
        format!("{}/{}", model.provider, model.model)
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, v)| v))
}
