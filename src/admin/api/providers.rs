//! Providers and their keys: `/api/providers`, `/api/keys`.
//!
//! Shown is what was written, secrets masked, with the identifiers that keys have in fact. The body of a provider is that
//! of the configuration file; its name stands in `provider` where one is made.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{self, Asker, Body, Path, Query};
use super::edit::{Draft, Entity, Set, entities, entity, expected, unchanged};
use super::fault::{ErrorBody, Refused, Wrong};
use super::resource::{Page, provenance, restored, shown, tagged};
use super::shape;
use crate::config::{Slot, Snapshot, Source};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, replace, patch, delete))
        .routes(routes!(all_keys))
}

/// Fields of answers that come back and say nothing.
const SHOWN: [&str; 9] = [
    "config_hash",
    "name",
    "overrides_file",
    "provider",
    "provider_status",
    "revision",
    "source",
    "status",
    "updated_at",
];
/// The same of keys.
const KEY_SHOWN: [&str; 6] = ["config_hash", "description", "provider", "source", "status", "reason"];

/// Providers.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape for the document")]
struct ProviderList {
    providers: Vec<shape::ProviderShown>,
    total: usize,
}

/// A provider key, for choosing one.
#[derive(Debug, Serialize, ToSchema)]
struct KeyChoice {
    key_id: String,
    name: String,
    provider: String,
    models: Vec<String>,
}

/// All providers that are configured, with their keys.
#[utoipa::path(get, path = "/api/providers", tag = "providers",
    responses((status = 200, body = ProviderList), (status = "default", body = ErrorBody)))]
async fn list(State(state): State<AdminState>, Query(page): Query<Page>) -> Json<Value> {
    let (text, snapshot) = (state.gateway.config.text(), state.gateway.config.load_full());
    let mut all = entities(&text, Slot::Provider);
    all.retain(|entity| page.has(&entity.id, &entity.body));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let all: Vec<Value> = all.iter().map(|entity| dressed(&snapshot, entity)).collect();
    let (part, total) = page.part(all);
    Json(json!({ "providers": part, "total": total }))
}

/// Adds a provider, of a known name or with `custom_provider_config`.
#[utoipa::path(post, path = "/api/providers", tag = "providers", request_body = shape::NewProvider,
    responses((status = 200, body = shape::ProviderShown), (status = "default", body = ErrorBody)))]
async fn create(
    State(state): State<AdminState>,
    asker: Asker,
    Body(sent): Body,
) -> Result<Response, Refused> {
    let name =
        ["provider", "name"].into_iter().find_map(|field| sent.get(field)?.as_str().map(str::to_owned));
    let name = name.ok_or_else(|| Refused::field("provider", "the name of the provider is missing"))?;
    let text = state.gateway.config.text();
    if entity(&text, Slot::Provider, &name).is_some() {
        return Err(Refused::conflict(format!("the provider {name:?} is configured already")));
    }
    let body = read_body(Value::Object(sent), None)?;
    keep(&state, &asker, ("provider.create", &name), body).await.map_err(named)
}

/// What is wrong with a provider as a whole is its name.
fn named(refused: Refused) -> Refused {
    let place = |wrong: Wrong| match wrong.path.is_empty() {
        true => Wrong { path: "provider".to_owned(), ..wrong },
        false => wrong,
    };
    match refused.status.as_u16() {
        422 => Refused::invalid(refused.problems.into_iter().map(place).collect()),
        _ => refused,
    }
}

/// One provider.
#[utoipa::path(get, path = "/api/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    responses((status = 200, body = shape::ProviderShown), (status = "default", body = ErrorBody)))]
async fn read(State(state): State<AdminState>, Path(name): Path<String>) -> Result<Response, Refused> {
    answer(&state, &name)
}

/// Puts another one in its place: what is not named is as if it had never been.
#[utoipa::path(put, path = "/api/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    request_body = shape::NewProvider,
    responses((status = 200, body = shape::ProviderShown), (status = "default", body = ErrorBody)))]
async fn replace(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    asker: Asker,
    Body(sent): Body,
) -> Result<Response, Refused> {
    let before = find(&state, &name)?;
    unchanged(&asker, &before.tag())?;
    let body = read_body(Value::Object(sent), Some(&before.body))?;
    keep(&state, &asker, ("provider.update", &before.id), body).await
}

/// Changes what the body names (JSON merge patch): null takes a field away, all else stays.
#[utoipa::path(patch, path = "/api/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    request_body = shape::ProviderPatch,
    responses((status = 200, body = shape::ProviderShown), (status = "default", body = ErrorBody)))]
async fn patch(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    asker: Asker,
    Body(mut sent): Body,
) -> Result<Response, Refused> {
    let before = find(&state, &name)?;
    unchanged(&asker, &before.tag())?;
    sent.retain(|name, _| !SHOWN.contains(&name.as_str()));
    let mut changed = before.body.clone();
    body::patch(&mut changed, &Value::Object(sent));
    let body = read_body(changed, Some(&before.body))?;
    keep(&state, &asker, ("provider.update", &before.id), body).await
}

/// Takes it away.
#[utoipa::path(delete, path = "/api/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
async fn delete(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    asker: Asker,
) -> Result<Response, Refused> {
    let before = find(&state, &name)?;
    unchanged(&asker, &before.tag())?;
    if before.source == Source::Environment {
        let message = "the provider is there because its variable is set: unset it, or configure providers";
        return Err(Refused::conflict(message));
    }
    state.unused(Slot::Provider, &before.id).await?;
    let expected = expected(&state.gateway.config.text(), Slot::Provider, &before.id);
    let set = Set { slot: Slot::Provider, name: before.id.clone(), id: before.id, body: None, expected };
    state.make(&asker, Draft { action: "provider.delete".to_owned(), sets: vec![set] }).await?;
    Ok(Json(json!({ "message": "Provider deleted successfully" })).into_response())
}

/// Keys of all providers, for choosing one: no secrets.
#[utoipa::path(get, path = "/api/keys", tag = "providers",
    responses((status = 200, body = Vec<KeyChoice>), (status = "default", body = ErrorBody)))]
async fn all_keys(State(state): State<AdminState>) -> Json<Vec<KeyChoice>> {
    let snapshot = state.gateway.config.load_full();
    let keys = snapshot.providers.iter().flat_map(|provider| {
        provider.keys.iter().map(|key| KeyChoice {
            key_id: key.id.to_string(),
            name: key.name.to_string(),
            provider: provider.name.to_string(),
            models: key.models.iter().map(ToString::to_string).collect(),
        })
    });
    Json(keys.collect())
}

/// The provider of this name.
///
/// # Errors
/// 404.
pub fn find(state: &AdminState, name: &str) -> Result<Entity, Refused> {
    let text = state.gateway.config.text();
    entity(&text, Slot::Provider, name)
        .ok_or_else(|| Refused::not_found(format!("there is no provider {name:?}")))
}

/// Stores a provider and answers with it.
///
/// # Errors
/// As [`AdminState::make`].
pub async fn keep(
    state: &AdminState,
    asker: &Asker,
    (action, name): (&str, &str),
    body: Value,
) -> Result<Response, Refused> {
    set(state, asker, (action, name), body).await?;
    answer(state, name)
}

/// Stores a provider.
///
/// # Errors
/// As [`AdminState::make`].
pub async fn set(
    state: &AdminState,
    asker: &Asker,
    (action, name): (&str, &str),
    body: Value,
) -> Result<u64, Refused> {
    let expected = expected(&state.gateway.config.text(), Slot::Provider, name);
    let set =
        Set { slot: Slot::Provider, id: name.to_owned(), name: name.to_owned(), body: Some(body), expected };
    state.make(asker, Draft { action: action.to_owned(), sets: vec![set] }).await
}

/// What was sent, as it would stand in the file.
///
/// # Errors
/// 422 for masks of no secret.
pub fn read_body(mut sent: Value, before: Option<&Value>) -> Result<Value, Refused> {
    if let Some(fields) = sent.as_object_mut() {
        fields.retain(|name, _| !SHOWN.contains(&name.as_str()));
        for key in fields.get_mut("keys").and_then(Value::as_array_mut).into_iter().flatten() {
            plain_key(key);
        }
    }
    body::without_nulls(&mut sent);
    restored(&mut sent, before)?;
    Ok(sent)
}

/// A key as it would stand in the file: what only answers have is left out, the long form of a value is the short one.
pub fn plain_key(key: &mut Value) {
    let Some(fields) = key.as_object_mut() else { return };
    fields.retain(|name, _| !KEY_SHOWN.contains(&name.as_str()));
    let Some(Value::Object(long)) = fields.get("value") else { return };
    let text = |name: &str| long.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let from_env = long.get("from_env") == Some(&Value::Bool(true));
    let short = match (text("env_var"), text("value")) {
        (Some(name), _) if from_env => format!("env.{}", name.strip_prefix("env.").unwrap_or(name)),
        (_, Some(value)) => value.to_owned(),
        _ => return,
    };
    fields.insert("value".to_owned(), json!(short));
}

/// The secret of a key in the original's long form.
fn long_value(key: &mut Map<String, Value>) {
    let Some(Value::String(text)) = key.get("value") else { return };
    let name = ["env.", "os.environ/", "$"].into_iter().find_map(|prefix| text.strip_prefix(prefix));
    let name = name.map(|name| name.trim_matches(['{', '}']));
    let long = match name {
        Some(name) => json!({ "value": "", "env_var": format!("env.{name}"), "from_env": true }),
        None => json!({ "value": text, "env_var": "", "from_env": false }),
    };
    key.insert("value".to_owned(), long);
}

fn answer(state: &AdminState, name: &str) -> Result<Response, Refused> {
    let entity = find(state, name)?;
    Ok(tagged(&entity.tag(), dressed(&state.gateway.config.load_full(), &entity)))
}

/// A provider as it is shown.
#[must_use]
pub fn dressed(snapshot: &Snapshot, entity: &Entity) -> Value {
    let Value::Object(mut fields) = shown(entity) else { return Value::Null };
    let compiled = snapshot.provider(&entity.id);
    fields.insert("name".to_owned(), json!(entity.id));
    let usable = compiled.is_some_and(|provider| provider.keys.iter().any(|key| key.disabled.is_none()));
    fields.insert("status".to_owned(), json!(if usable { "active" } else { "error" }));
    let keys = fields.entry("keys").or_insert_with(|| json!([]));
    let known = compiled.map(|provider| provider.keys.as_slice()).unwrap_or_default();
    for (index, key) in keys.as_array_mut().into_iter().flatten().enumerate() {
        let Some(key) = key.as_object_mut() else { continue };
        long_value(key);
        if let Some(known) = known.get(index) {
            key.insert("id".to_owned(), json!(&*known.id));
            key.insert("name".to_owned(), json!(&*known.name));
            let status = if known.disabled.is_none() { "active" } else { "disabled" };
            key.insert("status".to_owned(), json!(status));
            key.extend(known.disabled.as_ref().map(|why| ("reason".to_owned(), json!(why))));
        }
    }
    provenance(&mut fields, entity.source);
    Value::Object(fields)
}
