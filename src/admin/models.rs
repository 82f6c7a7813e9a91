//! The model lists, in each dialect's shape: from configuration and catalog, never from a provider.

use serde_json::{Value, json};

use crate::config::snapshot::{ModelRef, Snapshot};
use crate::proxy::Gateway;
use crate::proxy::respond::Reply;
use crate::route::endpoint::Family;
use crate::route::model::known;

/// The list. `anthropic`: the caller sent `anthropic-version`, so `/v1/models` answers in that shape.
/// Query: `provider` keeps one provider's models.
#[must_use]
pub fn list(gateway: &Gateway, snapshot: &Snapshot, family: Family, anthropic: bool, query: &str) -> Reply {
    let wanted = parameter(query, "provider");
    let models: Vec<ModelRef> = known(snapshot, gateway.catalog)
        .into_iter()
        .filter(|model| wanted.is_none_or(|wanted| &*model.provider == wanted))
        .collect();
    let anthropic = family == Family::Anthropic || (family == Family::Unified && anthropic);
    let body = if anthropic { anthropic_list(&models) } else { openai_list(&models, family) };
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
