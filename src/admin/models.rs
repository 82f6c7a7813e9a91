//! The model lists and their entries, in each dialect's shape: from configuration and catalog, never from a provider.

use http::HeaderMap;
use serde_json::{Value, json};
use translate::Wire;

use crate::auth::Caller;
use crate::config::snapshot::{ModelRef, Snapshot};
use crate::proxy::exchange::Exchange;
use crate::proxy::request_filter::model_not_found;
use crate::proxy::respond::{Reply, failure_reply};
use crate::proxy::{Gateway, grants};
use crate::route::endpoint::{self, Family};
use crate::route::lead::Names;
use crate::route::model::{UnknownModel, find, known, near};

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
pub fn list(
    gateway: &Gateway,
    snapshot: &Snapshot,
    family: Family,
    (query, caller): (&str, Option<&Caller>),
) -> Reply {
    let names = Names { family, snapshot, catalog: gateway.catalog };
    let wanted = parameter(query, "provider");
    let models: Vec<ModelRef> = known(snapshot, gateway.catalog)
        .into_iter()
        .filter(|model| wanted.is_none_or(|wanted| &*model.provider == wanted))
        .filter(|model| grants::may_see(caller, model, &names))
        .collect();
    let entries: Vec<Value> = models.iter().map(|model| entry(model, family)).collect();
    // All on one page: page sizes are a wish, and no token means that there is no next page.
    let body = match family {
        Family::Anthropic => {
            let edge =
                |entry: Option<&Value>| entry.and_then(|e| e.get("id")).cloned().unwrap_or(Value::Null);
            json!({
                "first_id": edge(entries.first()),
                "last_id": edge(entries.last()),
                "has_more": false,
                "data": entries,
            })
        }
        Family::Bedrock => json!({ "modelSummaries": entries }),
        Family::Cohere | Family::Gemini => json!({ "models": entries }),
        Family::OpenAi | Family::Unified => json!({ "object": "list", "data": entries }),
    };
    Reply::json(200, body.to_string())
}

/// The model that `path` names, in a family's shape; a 404 in its words when no key serves it.
#[must_use]
pub fn one(gateway: &Gateway, snapshot: &Snapshot, family: Family, asked: (&str, &Exchange)) -> Reply {
    let (path, exchange) = asked;
    let name = endpoint::model_named(path).map(|(_, name)| name).unwrap_or_default();
    let full = |model: &ModelRef| {
        !model.provider.is_empty() && format!("{}/{}", model.provider, model.model) == name
    };
    let mut models = known(snapshot, gateway.catalog);
    let listed = models
        .iter()
        .position(|model| id(model, own(family)) == name)
        .or_else(|| models.iter().position(full))
        .map(|at| models.swap_remove(at));
    // Lists cannot name what a key without a list serves: who asks for it by name may have it.
    let served = || find(&name, family, snapshot, gateway.catalog).filter(|model| serves(snapshot, model));
    let names = Names { family, snapshot, catalog: gateway.catalog };
    let seen = |model: &ModelRef| grants::may_see(exchange.caller.as_ref(), model, &names);
    let Some(model) = listed.or_else(served).filter(seen) else {
        let near = near(&name, snapshot, gateway.catalog);
        let fault = model_not_found(&name, &UnknownModel::NoSuchModel { near });
        return failure_reply(&fault, wire(family), &exchange.request_id);
    };
    let entry = entry(&model, family);
    let body = if family == Family::Bedrock { json!({ "modelDetails": entry }) } else { entry };
    Reply::json(200, body.to_string())
}

/// Aliases and groups have no provider: their name is all there is.
fn serves(snapshot: &Snapshot, model: &ModelRef) -> bool {
    let keys = snapshot.provider(&model.provider).map(|provider| provider.keys.iter());
    keys.is_some_and(|mut keys| keys.any(|key| key.serves(&model.model)))
}

fn wire(family: Family) -> Wire {
    match family {
        Family::Anthropic => Wire::Anthropic,
        Family::Bedrock => Wire::BedrockConverse,
        Family::Cohere => Wire::Cohere,
        Family::Gemini => Wire::Gemini,
        Family::OpenAi | Family::Unified => Wire::OpenAiChat,
    }
}

/// The provider whose models stand bare in a family's lists.
fn own(family: Family) -> &'static str {
    match family {
        Family::Anthropic => "anthropic",
        Family::Bedrock => "bedrock",
        Family::Cohere => "cohere",
        Family::Gemini => "gemini",
        Family::OpenAi => "openai",
        Family::Unified => "",
    }
}

/// One model as the family's lists have it; for Bedrock, as its control plane has foundation models.
fn entry(model: &ModelRef, family: Family) -> Value {
    let id = id(model, own(family));
    match family {
        Family::Anthropic => json!({
            "type": "model",
            "id": id,
            "display_name": &*model.model,
            "created_at": "1970-01-01T00:00:00Z",
        }),
        Family::Bedrock => json!({
            "modelId": id,
            "modelName": &*model.model,
            "providerName": if model.provider.is_empty() { "bifrost" } else { &*model.provider },
            "responseStreamingSupported": true,
            "inferenceTypesSupported": ["ON_DEMAND"],
            "modelLifecycle": { "status": "ACTIVE" },
        }),
        Family::Cohere => {
            let endpoint = match &*model.model {
                name if name.contains("rerank") => "rerank",
                name if name.contains("embed") => "embed",
                _ => "chat",
            };
            json!({ "name": id, "endpoints": [endpoint], "finetuned": false })
        }
        Family::Gemini => json!({
            "name": format!("models/{id}"),
            "version": "001",
            "displayName": &*model.model,
            "supportedGenerationMethods": gemini_methods(&model.model),
        }),
        Family::OpenAi | Family::Unified => {
            let owner = if model.provider.is_empty() { "bifrost" } else { &*model.provider };
            json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
        }
    }
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
    if &*model.provider == own || model.provider.is_empty() {
        model.model.to_string()
    } else {
        format!("{}/{}", model.provider, model.model)
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, v)| v))
}
