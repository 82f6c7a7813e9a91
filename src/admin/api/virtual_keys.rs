//! Virtual keys: `/api/governance/virtual-keys`.
//!
//! A key's value is shown once, when it is made. What is kept is its hash and, for people, how it looks from outside.
//! Those of the store stand beside the configuration: there may be a million of them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{self, Asker, Body, Path, Query};
use super::fault::{ErrorBody, Refused};
use super::keyring::{Held, fresh, grace, hashed, hidden, retired, shown};
use super::resource::{Page, new_id, tagged};
use super::shape;
use crate::config::governance::KeyHash;
use crate::config::is_reference;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, replace, patch, delete))
        .routes(routes!(rotate))
}

/// Which keys.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Wanted {
    /// At most so many; absent: all.
    limit: Option<usize>,
    /// Without the first ones.
    offset: usize,
    /// Those whose name or id has this in it, in any case.
    search: Option<String>,
    /// Those of a team.
    team_id: Option<String>,
    /// Those of a customer.
    customer_id: Option<String>,
    /// `name` (default), `created_at`.
    sort_by: Option<String>,
    /// `asc` (default) or `desc`.
    order: Option<String>,
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Rotation {
    /// How long the old value is still taken: `30s`, `15m`, `24h`, `7d`. Absent: not at all.
    grace_period: Option<String>,
}

/// Virtual keys: what they may do, not what they are.
#[utoipa::path(get, path = "/api/governance/virtual-keys", tag = "virtual keys", params(Wanted),
    responses((status = 200, body = shape::VirtualKeyList), (status = "default", body = ErrorBody)))]
async fn list(State(state): State<AdminState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Refused> {
    let page = Page { limit: wanted.limit, offset: wanted.offset, search: wanted.search.clone() };
    let is = |held: &Held, field: &str, value: &Option<String>| {
        value.as_ref().is_none_or(|value| held.body.get(field).and_then(Value::as_str) == Some(value))
    };
    let mut all = state.keys().await?;
    all.retain(|held| {
        page.has(&held.id, &held.body)
            && is(held, "team_id", &wanted.team_id)
            && is(held, "customer_id", &wanted.customer_id)
    });
    let by = wanted.sort_by.as_deref().unwrap_or("name");
    all.sort_by_cached_key(|held| held.body.get(by).map(ToString::to_string).unwrap_or_default());
    if wanted.order.as_deref() == Some("desc") {
        all.reverse();
    }
    let (part, total) = page.part(all);
    let part: Vec<Value> = part.iter().map(shown).collect();
    Ok(Json(json!({
        "count": part.len(),
        "virtual_keys": part,
        "total_count": total,
        "offset": wanted.offset,
        "limit": wanted.limit.unwrap_or(total),
    })))
}

/// Makes a key. Its value is in this answer and in no other.
#[utoipa::path(post, path = "/api/governance/virtual-keys", tag = "virtual keys",
    request_body = shape::VirtualKey,
    responses((status = 200, body = shape::VirtualKeyAnswer), (status = "default", body = ErrorBody)))]
async fn create(
    State(state): State<AdminState>,
    asker: Asker,
    Body(sent): Body,
) -> Result<Response, Refused> {
    let mut body = plain(sent)?;
    body.entry("id").or_insert_with(|| json!(new_id()));
    let given = body.get("value").and_then(Value::as_str).map(str::to_owned);
    let value = match (given, body.contains_key("value_hash")) {
        (None, true) => None,
        (Some(given), _) => Some(given),
        (None, false) => Some(fresh()?),
    };
    if let Some(value) = &value {
        body.insert("value".to_owned(), json!(value));
        hashed(&mut body);
    }
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if state.key(&id).await?.is_some_and(|held| held.id == id) {
        return Err(Refused::conflict(format!("there is a virtual key {id:?} already")));
    }
    state.keep_key(&asker, ("virtual_key.create", &id), (None, body)).await?;
    answer(&state, &id, "created", value).await
}

/// One key.
#[utoipa::path(get, path = "/api/governance/virtual-keys/{id}", tag = "virtual keys", params(("id" = String, Path)),
    responses((status = 200, body = shape::VirtualKeyAnswer), (status = "default", body = ErrorBody)))]
async fn read(State(state): State<AdminState>, Path(id): Path<String>) -> Result<Response, Refused> {
    let held = state.find_key(&id).await?;
    Ok(tagged(&held.tag(), json!({ "virtual_key": shown(&held) })))
}

/// Puts another one in its place: what is not named is as if it had never been. Its value stays unless one is named.
#[utoipa::path(put, path = "/api/governance/virtual-keys/{id}", tag = "virtual keys", params(("id" = String, Path)),
    request_body = shape::VirtualKey,
    responses((status = 200, body = shape::VirtualKeyAnswer), (status = "default", body = ErrorBody)))]
async fn replace(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asker: Asker,
    Body(sent): Body,
) -> Result<Response, Refused> {
    let before = state.find_key(&id).await?;
    before.unchanged(&asker)?;
    let body = plain(sent)?;
    update(&state, &asker, before, body).await
}

/// Changes what the body names (JSON merge patch): null takes a field away, all else stays.
#[utoipa::path(patch, path = "/api/governance/virtual-keys/{id}", tag = "virtual keys",
    params(("id" = String, Path)), request_body = shape::VirtualKeyPatch,
    responses((status = 200, body = shape::VirtualKeyAnswer), (status = "default", body = ErrorBody)))]
async fn patch(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asker: Asker,
    Body(sent): Body,
) -> Result<Response, Refused> {
    let before = state.find_key(&id).await?;
    before.unchanged(&asker)?;
    let mut changed = before.body.clone();
    hidden(&mut changed);
    body::patch(&mut changed, &Value::Object(sent));
    let Value::Object(changed) = changed else { return Err(Refused::unreadable("the key is no object")) };
    let body = plain(changed)?;
    update(&state, &asker, before, body).await
}

/// Takes it away.
#[utoipa::path(delete, path = "/api/governance/virtual-keys/{id}", tag = "virtual keys",
    params(("id" = String, Path)),
    responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
async fn delete(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asker: Asker,
) -> Result<Response, Refused> {
    let before = state.find_key(&id).await?;
    before.unchanged(&asker)?;
    state.drop_key(&asker, before).await?;
    Ok(Json(json!({ "message": "Virtual key deleted successfully" })).into_response())
}

/// Gives it another value, which is in this answer and in no other. The old one is taken for as long as is said.
#[utoipa::path(post, path = "/api/governance/virtual-keys/{id}/rotate", tag = "virtual keys",
    params(("id" = String, Path)), request_body = Rotation,
    responses((status = 200, body = shape::VirtualKeyAnswer), (status = "default", body = ErrorBody)))]
async fn rotate(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asker: Asker,
    sent: axum::body::Bytes,
) -> Result<Response, Refused> {
    let rotation: Rotation = match sent.is_empty() {
        true => Rotation::default(),
        false => serde_json::from_slice(&sent).map_err(|error| Refused::unreadable(error.to_string()))?,
    };
    let until = grace(rotation.grace_period.as_deref())?;
    let before = state.find_key(&id).await?;
    before.unchanged(&asker)?;
    let value = fresh()?;
    let mut body = before.body.as_object().cloned().unwrap_or_default();
    retired(&state, &mut body, &before.id, until);
    body.insert("value".to_owned(), json!(value));
    hashed(&mut body);
    let id = before.id.clone();
    state.keep_key(&asker, ("virtual_key.rotate", &id), (Some(before), body)).await?;
    answer(&state, &id, "rotated", Some(value)).await
}

/// Characters behind the prefix of a value that is given: with fewer it can be guessed.
const LEAST: usize = 18;

fn is_value(text: &str) -> bool {
    text.strip_prefix(KeyHash::PREFIX).is_some_and(|rest| rest.len() >= LEAST)
}

/// A body with its value as it was, unless it names another one.
async fn update(
    state: &AdminState,
    asker: &Asker,
    before: Held,
    mut body: Map<String, Value>,
) -> Result<Response, Refused> {
    if body.get("id").is_some_and(|id| id != &json!(before.id)) {
        return Err(Refused::field("id", "an id never changes"));
    }
    body.insert("id".to_owned(), json!(before.id));
    if !body.contains_key("value") && !body.contains_key("value_hash") {
        for field in ["value", "value_hash", "value_hint"] {
            body.extend(before.body.get(field).map(|old| (field.to_owned(), old.clone())));
        }
    }
    if !body.contains_key("previous") {
        body.extend(before.body.get("previous").map(|old| ("previous".to_owned(), old.clone())));
    }
    hashed(&mut body);
    let id = before.id.clone();
    state.keep_key(asker, ("virtual_key.update", &id), (Some(before), body)).await?;
    answer(state, &id, "updated", None).await
}

async fn answer(
    state: &AdminState,
    id: &str,
    verb: &str,
    value: Option<String>,
) -> Result<Response, Refused> {
    let held = state.find_key(id).await?;
    let mut body = shown(&held);
    if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
        fields.insert("value".to_owned(), json!(value));
    }
    let message = format!("Virtual key {verb} successfully");
    Ok(tagged(&held.tag(), json!({ "message": message, "virtual_key": body })))
}

/// What was sent, without what only answers have.
fn plain(sent: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    const SHOWN: [&str; 8] = [
        "source",
        "overrides_file",
        "revision",
        "config_hash",
        "created_at",
        "updated_at",
        "updated_by",
        "value_hint",
    ];
    let mut body = Value::Object(sent);
    body::without_nulls(&mut body);
    let Value::Object(mut body) = body else { return Ok(Map::new()) };
    body.retain(|name, _| !SHOWN.contains(&name.as_str()));
    // As it looks from outside: the one it has.
    if body.get("value").and_then(Value::as_str).is_some_and(crate::config::secrets::is_masked) {
        body.remove("value");
    }
    let value = body.get("value").and_then(Value::as_str);
    if value.is_some_and(|value| !is_reference(value) && !is_value(value)) {
        let message = format!("expected `{}` and at least {LEAST} characters behind it", KeyHash::PREFIX);
        return Err(Refused::field("value", message));
    }
    match body.get("name").and_then(Value::as_str) {
        Some(name) if !name.trim().is_empty() => Ok(body),
        _ => Err(Refused::field("name", "the name is missing")),
    }
}
