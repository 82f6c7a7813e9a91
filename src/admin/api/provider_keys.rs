//! The keys of one provider, one by one: `/api/providers/{provider}/keys`.
//!
//! A key has no life of its own: each change is one of its provider.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{self, Asker, Body, Path};
use super::edit::{Entity, unchanged};
use super::fault::{ErrorBody, Refused, Wrong};
use super::providers::{self, dressed, find, plain_key, read_body};
use super::resource::{new_id, tagged};
use super::shape;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, replace, patch, delete))
}

/// The provider's keys.
#[utoipa::path(get, path = "/api/providers/{provider}/keys", tag = "providers",
    params(("provider" = String, Path)),
    responses((status = 200, body = shape::ProviderKeyList), (status = "default", body = ErrorBody)))]
async fn list(State(state): State<AdminState>, Path(name): Path<String>) -> Result<Response, Refused> {
    let provider = find(&state, &name)?;
    let keys = shown_keys(&state, &provider);
    Ok(tagged(&provider.tag(), json!({ "count": keys.len(), "keys": keys })))
}

/// Adds a key.
#[utoipa::path(post, path = "/api/providers/{provider}/keys", tag = "providers",
    params(("provider" = String, Path)), request_body = shape::ProviderKey,
    responses((status = 200, body = shape::ProviderKeyAnswer), (status = "default", body = ErrorBody)))]
async fn create(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    asker: Asker,
    Body(mut sent): Body,
) -> Result<Response, Refused> {
    let provider = find(&state, &name)?;
    unchanged(&asker, &provider.tag())?;
    sent.entry("id").or_insert_with(|| json!(new_id()));
    let mut keys = own_keys(&state, &provider);
    keys.push(Value::Object(sent));
    let at = keys.len() - 1;
    store(&state, &asker, ("provider_key.create", &provider), keys, at).await
}

/// One of its keys, by its id or its name.
#[utoipa::path(get, path = "/api/providers/{provider}/keys/{key}", tag = "providers",
    params(("provider" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = shape::ProviderKeyAnswer), (status = "default", body = ErrorBody)))]
async fn read(
    State(state): State<AdminState>,
    Path((name, key)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let provider = find(&state, &name)?;
    let at = position(&state, &provider, &key)?;
    answer(&state, &name, at)
}

/// Puts another one in its place: what is not named is as if it had never been.
#[utoipa::path(put, path = "/api/providers/{provider}/keys/{key}", tag = "providers",
    params(("provider" = String, Path), ("key" = String, Path)), request_body = shape::ProviderKey,
    responses((status = 200, body = shape::ProviderKeyAnswer), (status = "default", body = ErrorBody)))]
async fn replace(
    State(state): State<AdminState>,
    Path((name, key)): Path<(String, String)>,
    asker: Asker,
    Body(mut sent): Body,
) -> Result<Response, Refused> {
    let provider = find(&state, &name)?;
    unchanged(&asker, &provider.tag())?;
    let at = position(&state, &provider, &key)?;
    let mut keys = own_keys(&state, &provider);
    let Some(own) = keys.get_mut(at) else { return Err(Refused::not_found("the key is gone")) };
    sent.insert("id".to_owned(), own.get("id").cloned().unwrap_or(Value::Null));
    *own = Value::Object(sent);
    store(&state, &asker, ("provider_key.update", &provider), keys, at).await
}

/// Changes what the body names (JSON merge patch): null takes a field away, all else stays.
#[utoipa::path(patch, path = "/api/providers/{provider}/keys/{key}", tag = "providers",
    params(("provider" = String, Path), ("key" = String, Path)), request_body = shape::ProviderKeyPatch,
    responses((status = 200, body = shape::ProviderKeyAnswer), (status = "default", body = ErrorBody)))]
async fn patch(
    State(state): State<AdminState>,
    Path((name, key)): Path<(String, String)>,
    asker: Asker,
    Body(mut sent): Body,
) -> Result<Response, Refused> {
    let provider = find(&state, &name)?;
    unchanged(&asker, &provider.tag())?;
    let at = position(&state, &provider, &key)?;
    let mut keys = own_keys(&state, &provider);
    let Some(own) = keys.get_mut(at) else { return Err(Refused::not_found("the key is gone")) };
    sent.remove("id");
    let mut change = Value::Object(sent);
    plain_key(&mut change);
    body::patch(own, &change);
    store(&state, &asker, ("provider_key.update", &provider), keys, at).await
}

/// Takes it away.
#[utoipa::path(delete, path = "/api/providers/{provider}/keys/{key}", tag = "providers",
    params(("provider" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
async fn delete(
    State(state): State<AdminState>,
    Path((name, key)): Path<(String, String)>,
    asker: Asker,
) -> Result<Response, Refused> {
    let provider = find(&state, &name)?;
    unchanged(&asker, &provider.tag())?;
    let at = position(&state, &provider, &key)?;
    let mut keys = own_keys(&state, &provider);
    keys.remove(at);
    let mut body = provider.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("keys".to_owned(), Value::Array(keys));
    }
    providers::set(&state, &asker, ("provider_key.delete", &provider.id), body).await?;
    Ok(Json(json!({ "message": "Key deleted successfully" })).into_response())
}

/// The keys as they are written, each with the id that it has in fact: it keeps it whatever becomes of its name.
fn own_keys(state: &AdminState, provider: &Entity) -> Vec<Value> {
    let snapshot = state.gateway.config.load_full();
    let known = snapshot.provider(&provider.id).map(|found| found.keys.as_slice()).unwrap_or_default();
    let written = provider.body.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let with_id = |(index, mut key): (usize, Value)| {
        if let (Some(fields), Some(known)) = (key.as_object_mut(), known.get(index)) {
            fields.insert("id".to_owned(), json!(&*known.id));
            fields.insert("name".to_owned(), json!(&*known.name));
        }
        key
    };
    written.into_iter().enumerate().map(with_id).collect()
}

fn shown_keys(state: &AdminState, provider: &Entity) -> Vec<Value> {
    let snapshot = state.gateway.config.load_full();
    let mut shown = dressed(&snapshot, provider);
    shown.get_mut("keys").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default()
}

fn position(state: &AdminState, provider: &Entity, key: &str) -> Result<usize, Refused> {
    let keys = own_keys(state, provider);
    let by = |field: &str| keys.iter().position(|one| one.get(field).and_then(Value::as_str) == Some(key));
    by("id")
        .or_else(|| by("name"))
        .ok_or_else(|| Refused::not_found(format!("the provider {:?} has no key {key:?}", provider.id)))
}

async fn store(
    state: &AdminState,
    asker: &Asker,
    (action, provider): (&str, &Entity),
    keys: Vec<Value>,
    at: usize,
) -> Result<Response, Refused> {
    let mut before = provider.body.clone();
    let mut body = provider.body.clone();
    for (target, keys) in [(&mut before, own_keys(state, provider)), (&mut body, keys)] {
        if let Some(fields) = target.as_object_mut() {
            fields.insert("keys".to_owned(), Value::Array(keys));
        }
    }
    let of_key = format!("keys[{at}]");
    let body = read_body(body, Some(&before)).map_err(|refused| within(refused, &of_key))?;
    providers::set(state, asker, (action, &provider.id), body)
        .await
        .map_err(|refused| within(refused, &of_key))?;
    answer(state, &provider.id, at)
}

/// The paths of what was sent, which is one key.
fn within(refused: Refused, of_key: &str) -> Refused {
    let short = |wrong: Wrong| match wrong.path.strip_prefix(of_key) {
        Some(rest) => Wrong { path: rest.trim_start_matches('.').to_owned(), ..wrong },
        None => wrong,
    };
    let problems: Vec<Wrong> = refused.problems.into_iter().map(short).collect();
    match refused.status.as_u16() {
        422 => Refused::invalid(problems),
        _ => Refused { problems, ..refused },
    }
}

fn answer(state: &AdminState, provider: &str, at: usize) -> Result<Response, Refused> {
    let provider = find(state, provider)?;
    let key = shown_keys(state, &provider).into_iter().nth(at);
    let key = key.ok_or_else(|| Refused::not_found("the key is gone"))?;
    Ok(tagged(&provider.tag(), json!({ "key": key })))
}
