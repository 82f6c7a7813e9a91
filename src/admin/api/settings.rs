//! What is configured of the gateway as a whole: `/api/config`, and prices fetched now.
//!
//! Each field has one owner. A field that is set here to something else than the file says is the store's from then on,
//! until it is taken away here or the file says something new of it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{self, Asker, Body};
use super::edit::{Draft, Set, expected};
use super::fault::{ErrorBody, Refused, Wrong};
use super::resource::restored;
use super::shape;
use crate::account::prices::Fresh;
use crate::account::refresh;
use crate::config::overlay::said;
use crate::config::{Slot, Source, Text, raw, secrets};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(read, replace, patch)).routes(routes!(sync))
}

/// Sections of the configuration, and what they are called here.
const SECTIONS: [(&str, &str); 2] = [("client_config", "client"), ("framework_config", "framework")];

/// The gateway as a whole.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape for the document")]
struct Settings {
    client_config: shape::ClientShown,
    framework_config: shape::FrameworkShown,
    /// Who says what, by the field's path: `file` or `store`. What is not here is the default.
    sources: std::collections::BTreeMap<String, String>,
    /// Changes can be stored.
    is_db_connected: bool,
    is_cache_connected: bool,
    is_logs_connected: bool,
}

/// What is to be changed.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape for the document")]
struct SettingsPatch {
    client_config: Option<shape::ClientPatch>,
    framework_config: Option<shape::FrameworkPatch>,
}

/// A table of prices that was read.
#[derive(Debug, Serialize, ToSchema)]
struct Synced {
    message: String,
    models: usize,
}

/// Settings as they hold, with who says so.
#[utoipa::path(get, path = "/api/config", tag = "config",
    responses((status = 200, body = Settings), (status = "default", body = ErrorBody)))]
async fn read(State(state): State<AdminState>) -> Json<Value> {
    let text = state.gateway.config.text();
    let root = &text.merged.document.root;
    let mut config: raw::Config = Default::default();
    // What holds has been compiled: it fits.
    let section = |name: &str| root.get(name).cloned().unwrap_or_else(|| json!({}));
    config.client = serde_json::from_value(section("client")).unwrap_or_default();
    config.framework = serde_json::from_value(section("framework")).ok();
    let mut answer = json!({
        "client_config": config.client,
        "framework_config": config.framework,
        "is_db_connected": state.gateway.store.as_ref().is_some_and(|store| store.is_open()),
        "is_cache_connected": false,
        "is_logs_connected": false,
    });
    body::without_nulls(&mut answer);
    secrets::mask_all(&mut answer);
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("sources".to_owned(), Value::Object(sources(&text)));
    }
    Json(answer)
}

/// Sets the sections that the body names to just what it says: a field it leaves out is the file's again, or the default.
#[utoipa::path(put, path = "/api/config", tag = "config", request_body = SettingsPatch,
    responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
async fn replace(
    State(state): State<AdminState>,
    asker: Asker,
    Body(sent): Body,
) -> Result<Response, Refused> {
    let text = state.gateway.config.text();
    let mut sets = Vec::new();
    for (section, named) in sections(sent)? {
        let mut fields = leaves(&Value::Object(named), &section);
        // What was set before and is not named now.
        let before = text.overlay.layers.keys().filter(|(slot, id)| {
            *slot == Slot::Field && id.strip_prefix(&section).is_some_and(|rest| rest.starts_with('/'))
        });
        let gone: Vec<String> = before
            .map(|(_, id)| id.clone())
            .filter(|id| fields.iter().all(|(named, _)| named != id))
            .collect();
        fields.extend(gone.into_iter().map(|id| {
            let file = said(&text.file, Slot::Field, &id).cloned();
            (id, file)
        }));
        sets.extend(fields);
    }
    keep(&state, &asker, &text, sets).await
}

/// Changes the fields that the body names: null makes it the file's again, or the default; all others stay.
#[utoipa::path(patch, path = "/api/config", tag = "config", request_body = SettingsPatch,
    responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
async fn patch(State(state): State<AdminState>, asker: Asker, Body(sent): Body) -> Result<Response, Refused> {
    let text = state.gateway.config.text();
    let mut sets = Vec::new();
    for (section, named) in sections(sent)? {
        for (id, value) in leaves(&Value::Object(named), &section) {
            let value = value.or_else(|| said(&text.file, Slot::Field, &id).cloned());
            sets.push((id, value));
        }
    }
    keep(&state, &asker, &text, sets).await
}

/// Reads the configured table of prices now.
#[utoipa::path(post, path = "/api/pricing/force-sync", tag = "config",
    responses((status = 200, body = Synced), (status = "default", body = ErrorBody)))]
async fn sync(State(state): State<AdminState>) -> Result<Json<Synced>, Refused> {
    let snapshot = state.gateway.config.load_full();
    let source = snapshot.pricing.source.clone().ok_or_else(|| {
        Refused::conflict(
            "no table is configured (framework.pricing.pricing_url): the one in the program holds",
        )
    })?;
    let catalog = refresh::read(&source).await.map_err(|reason| {
        Refused::unavailable(format!("the table could not be read from {source}: {reason}"))
    })?;
    let models = catalog.len();
    state.gateway.prices.take(Fresh { source, catalog: std::sync::Arc::new(catalog) });
    Ok(Json(Synced { message: "Pricing synced successfully".to_owned(), models }))
}

/// A section's name in the configuration, and what is said of it.
type Section = (String, Map<String, Value>);

/// The sections of a body by their names in the configuration.
fn sections(sent: Map<String, Value>) -> Result<Vec<Section>, Refused> {
    let mut found = Vec::new();
    for (name, value) in sent {
        let known = SECTIONS.iter().find(|(shown, _)| *shown == name);
        match (known, value) {
            (Some((_, section)), Value::Object(fields)) => found.push(((*section).to_owned(), fields)),
            (Some(_), _) => return Err(Refused::field(name, "expected an object")),
            // Of answers: they come back.
            (None, value) if value.is_null() || name == "sources" || name.starts_with("is_") => {}
            (None, _) if name == "auth_config" => {
                let message = "the login is not changed here: see /api/session";
                return Err(Refused::field(name, message));
            }
            (None, _) => return Err(Refused::field(name, "unknown field")),
        }
    }
    Ok(found)
}

/// Fields by their ids. Objects are gone into as far as the file's own sections go: lists and maps are fields.
fn leaves(value: &Value, at: &str) -> Vec<(String, Option<Value>)> {
    let Value::Object(map) = value else { return vec![(at.to_owned(), Some(value.clone()))] };
    let inner = |(name, value): (&String, &Value)| {
        let id = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match value {
            Value::Null => vec![(id, None)],
            Value::Object(_) if id == "framework/pricing" => leaves(value, &id),
            value => {
                let mut value = value.clone();
                body::without_nulls(&mut value);
                vec![(id, Some(value))]
            }
        }
    };
    map.iter().flat_map(inner).collect()
}

/// Stores the fields that say something else than what holds now.
async fn keep(
    state: &AdminState,
    asker: &Asker,
    text: &Text,
    fields: Vec<(String, Option<Value>)>,
) -> Result<Response, Refused> {
    let framework = json!({ "pricing": raw::Pricing::default() });
    let mut plain = json!({ "client": raw::Client::default(), "framework": framework });
    body::without_nulls(&mut plain);
    let mut sets = Vec::new();
    for (id, mut value) in fields {
        let pointer = format!("/{id}");
        let holds = text.merged.document.root.pointer(&pointer);
        if let Some(value) = &mut value {
            wrapped(&id, value, holds)?;
        }
        let default = plain.pointer(&pointer);
        // What is said nowhere and is as it is anyhow needs no owner.
        let alike = |other: Option<&Value>| match (&value, other) {
            (Some(value), Some(other)) => same(value, other),
            (value, other) => value.is_none() && other.is_none(),
        };
        let same = alike(holds) || (holds.is_none() && alike(default));
        if !same {
            let expected = expected(text, Slot::Field, &id);
            sets.push(Set { slot: Slot::Field, name: id.clone(), id, body: value, expected });
        }
    }
    if !sets.is_empty() {
        state.make(asker, Draft { action: "config.update".to_owned(), sets }).await?;
    }
    Ok(Json(json!({ "message": "Configuration updated successfully" })).into_response())
}

/// Equal, however numbers are written: `30` is `30.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let alike =
                |(name, value): (&String, &Value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(alike)
        }
        _ => one == other,
    }
}

/// Restores the secrets of one field.
fn wrapped(id: &str, value: &mut Value, holds: Option<&Value>) -> Result<(), Refused> {
    let name = id.rsplit('/').next().unwrap_or(id).to_owned();
    let mut around = json!({ name.clone(): value.take() });
    let before = holds.map(|holds| json!({ name.clone(): holds }));
    restored(&mut around, before.as_ref()).map_err(|refused| {
        let path = |wrong: Wrong| Wrong { path: format!("{}.{}", id.replace('/', "."), wrong.path), ..wrong };
        Refused { problems: refused.problems.into_iter().map(path).collect(), ..refused }
    })?;
    *value = around.get_mut(&name).map(Value::take).unwrap_or_default();
    Ok(())
}

/// Who says each field that is not the default.
fn sources(text: &Text) -> Map<String, Value> {
    let mut found = Map::new();
    for (_, section) in SECTIONS {
        let Some(value) = text.file.root.get(section) else { continue };
        for (id, _) in leaves(value, section) {
            found.insert(id.replace('/', "."), json!("file"));
        }
    }
    for ((slot, id), source) in &text.merged.sources {
        if let (Slot::Field, Source::Store { .. }) = (slot, source) {
            found.insert(id.replace('/', "."), json!("store"));
        }
    }
    found
}
