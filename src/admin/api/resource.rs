//! What all entities have in common: listed, read, made, replaced, patched, taken away.
//!
//! What one is made of is not known here; the configuration's compiler checks it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use super::AdminState;
use super::body::{self, Asker};
use super::edit::{Draft, Entity, Set, entities, entity, expected, kind, unchanged};
use super::fault::{Refused, Wrong};
use crate::config::problem_path;
use crate::config::secrets;
use crate::config::{Slot, Source};
use crate::store::entity::Expected;

/// A kind of entity.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    pub slot: Slot,
    /// `team`: the field of its answers.
    pub one: &'static str,
    /// `teams`: the field of lists.
    pub many: &'static str,
    /// For people.
    pub title: &'static str,
    /// Fields of its own answers that come back and say nothing.
    pub shown_only: &'static [&'static str],
}

/// Fields of every answer that come back and say nothing.
const SHOWN: [&str; 7] =
    ["source", "overrides_file", "revision", "config_hash", "created_at", "updated_at", "updated_by"];

/// A part of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Page {
    /// At most so many; absent: all.
    pub limit: Option<usize>,
    /// Without the first ones.
    pub offset: usize,
    /// Those whose name or id has this in it, in any case.
    pub search: Option<String>,
}

impl Page {
    /// Whether the entity is looked for.
    #[must_use]
    pub fn has(&self, id: &str, body: &Value) -> bool {
        let Some(search) = self.search.as_deref().map(str::to_lowercase) else { return true };
        let named = ["name", "model_name"].into_iter().filter_map(|name| body.get(name)?.as_str());
        named.chain([id]).any(|text| text.to_lowercase().contains(&search))
    }

    /// The part, and how many there are in all.
    pub fn part<T>(&self, all: Vec<T>) -> (Vec<T>, usize) {
        let total = all.len();
        let limit = self.limit.unwrap_or(usize::MAX);
        (all.into_iter().skip(self.offset).take(limit).collect(), total)
    }
}

impl Resource {
    /// All of them, with their provenance.
    pub fn list(&self, state: &AdminState, page: &Page) -> Json<Value> {
        let text = state.gateway.config.text();
        let all = entities(&text, self.slot);
        let all: Vec<Value> = all
            .into_iter()
            .filter(|entity| page.has(&entity.id, &entity.body))
            .map(|entity| shown(&entity))
            .collect();
        let (part, total) = page.part(all);
        Json(json!({
            self.many: part,
            "count": part.len(),
            "total_count": total,
            "offset": page.offset,
            "limit": page.limit.unwrap_or(total),
        }))
    }

    /// One of them.
    ///
    /// # Errors
    /// 404.
    pub fn read(&self, state: &AdminState, id: &str) -> Result<Response, Refused> {
        let entity = self.find(state, id)?;
        Ok(tagged(&entity.tag(), json!({ self.one: shown(&entity) })))
    }

    /// Makes a new one.
    ///
    /// # Errors
    /// 409 when it is there, and as [`AdminState::make`].
    pub async fn create(&self, state: &AdminState, asker: &Asker, sent: Value) -> Result<Response, Refused> {
        let mut body = self.read_body(sent, None)?;
        if self.slot != Slot::ProviderGovernance {
            let fields = body.as_object_mut();
            fields.map(|fields| fields.entry("id").or_insert_with(|| json!(new_id())));
        }
        let id = self.slot.id_of(&body).ok_or_else(|| Refused::field("name", "the name is missing"))?;
        let text = state.gateway.config.text();
        if entity(&text, self.slot, &id).is_some_and(|found| found.id == id) {
            return Err(Refused::conflict(format!("there is a {} {id:?} already", self.title)));
        }
        let expected = expected(&text, self.slot, &id);
        self.set(state, asker, ("create", expected), (id.clone(), body)).await?;
        self.answer(state, &id, "created")
    }

    /// Puts another one in its place.
    ///
    /// # Errors
    /// 404, 412, and as [`AdminState::make`].
    pub async fn replace(
        &self,
        state: &AdminState,
        asker: &Asker,
        id: &str,
        sent: Value,
    ) -> Result<Response, Refused> {
        let before = match self.find(state, id) {
            // Of a provider that has none there is nothing to replace, and nothing else to make them with in the original.
            Err(_) if self.slot == Slot::ProviderGovernance => {
                let mut sent = sent;
                sent.as_object_mut().map(|fields| fields.insert("name".to_owned(), json!(id)));
                return self.create(state, asker, sent).await;
            }
            found => found?,
        };
        unchanged(asker, &before.tag())?;
        let body = self.read_body(sent, Some(&before.body))?;
        self.keep(state, asker, before, body).await
    }

    /// Changes what `change` names.
    ///
    /// # Errors
    /// 404, 412, and as [`AdminState::make`].
    pub async fn patch(
        &self,
        state: &AdminState,
        asker: &Asker,
        id: &str,
        change: Value,
    ) -> Result<Response, Refused> {
        let before = self.find(state, id)?;
        unchanged(asker, &before.tag())?;
        let mut body = before.body.clone();
        body::patch(&mut body, &self.read_body_with_nulls(change));
        let body = self.read_body(body, Some(&before.body))?;
        self.keep(state, asker, before, body).await
    }

    /// Takes it away.
    ///
    /// # Errors
    /// 404, 412, and as [`AdminState::make`].
    pub async fn delete(&self, state: &AdminState, asker: &Asker, id: &str) -> Result<Response, Refused> {
        let before = self.find(state, id)?;
        unchanged(asker, &before.tag())?;
        let text = state.gateway.config.text();
        let expected = expected(&text, self.slot, &before.id);
        state.unused(self.slot, &before.id).await?;
        let name = name_of(&before.body, &before.id);
        let set = Set { slot: self.slot, id: before.id, name, body: None, expected };
        state.make(asker, Draft { action: self.action("delete"), sets: vec![set] }).await?;
        let message = format!("{} deleted successfully", capitalised(self.title));
        Ok(Json(json!({ "message": message })).into_response())
    }

    async fn keep(
        &self,
        state: &AdminState,
        asker: &Asker,
        before: Entity,
        mut body: Value,
    ) -> Result<Response, Refused> {
        // An id never changes: others name it.
        let same = self.slot.id_of(&body).as_deref() == Some(&before.id);
        if let (false, Some(fields)) = (same, body.as_object_mut()) {
            if fields.get("id").is_some_and(|id| id != &json!(before.id)) {
                return Err(Refused::field("id", "an id never changes"));
            }
            match self.slot {
                Slot::ProviderGovernance => {
                    fields.insert("name".to_owned(), json!(before.id));
                }
                _ => drop(fields.insert("id".to_owned(), json!(before.id))),
            }
        }
        let text = state.gateway.config.text();
        let expected = expected(&text, self.slot, &before.id);
        self.set(state, asker, ("update", expected), (before.id.clone(), body)).await?;
        self.answer(state, &before.id, "updated")
    }

    async fn set(
        &self,
        state: &AdminState,
        asker: &Asker,
        (verb, expected): (&str, Expected),
        (id, body): (String, Value),
    ) -> Result<u64, Refused> {
        let name = name_of(&body, &id);
        let set = Set { slot: self.slot, id, name, body: Some(body), expected };
        state.make(asker, Draft { action: self.action(verb), sets: vec![set] }).await
    }

    fn find(&self, state: &AdminState, id: &str) -> Result<Entity, Refused> {
        let text = state.gateway.config.text();
        entity(&text, self.slot, id)
            .ok_or_else(|| Refused::not_found(format!("there is no {} {id:?}", self.title)))
    }

    fn answer(&self, state: &AdminState, id: &str, verb: &str) -> Result<Response, Refused> {
        let entity = self.find(state, id)?;
        let message = format!("{} {verb} successfully", capitalised(self.title));
        Ok(tagged(&entity.tag(), json!({ "message": message, self.one: shown(&entity) })))
    }

    fn action(&self, verb: &str) -> String {
        format!("{}.{verb}", kind(self.slot).name())
    }

    /// What was sent, without what only answers have, its masked secrets as they were.
    fn read_body(&self, sent: Value, before: Option<&Value>) -> Result<Value, Refused> {
        let mut body = self.read_body_with_nulls(sent);
        body::without_nulls(&mut body);
        restored(&mut body, before)?;
        Ok(body)
    }

    fn read_body_with_nulls(&self, mut sent: Value) -> Value {
        if let Some(fields) = sent.as_object_mut() {
            fields.retain(|name, _| {
                !SHOWN.contains(&name.as_str()) && !self.shown_only.contains(&name.as_str())
            });
        }
        sent
    }
}

/// Puts secrets where their masks came back.
///
/// # Errors
/// 422 for masks of no secret.
pub fn restored(body: &mut Value, before: Option<&Value>) -> Result<(), Refused> {
    secrets::restore(body, before).map_err(|pointers| {
        let wrong = |pointer: &String| {
            Wrong::new(
                problem_path(pointer),
                "this is what a secret looks like from outside, of none that is here",
            )
        };
        Refused::invalid(pointers.iter().map(wrong).collect())
    })
}

/// An answer with its version.
pub fn tagged(tag: &str, body: Value) -> Response {
    let mut response = (StatusCode::OK, Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// An entity as it is shown: without secrets, with its provenance.
#[must_use]
pub fn shown(entity: &Entity) -> Value {
    let mut body = entity.body.clone();
    secrets::mask_all(&mut body);
    let Value::Object(mut fields) = body else { return body };
    if !matches!(entity.slot, Slot::Provider | Slot::ProviderGovernance) {
        fields.insert("id".to_owned(), json!(entity.id));
    }
    if entity.slot == Slot::ProviderGovernance {
        fields.insert("provider".to_owned(), json!(entity.id));
    }
    provenance(&mut fields, entity.source);
    Value::Object(fields)
}

/// `source`, and with what was set at run time its revision.
pub fn provenance(fields: &mut Map<String, Value>, source: Source) {
    let (word, more) = match source {
        Source::File => ("file", None),
        Source::Environment => ("environment", None),
        Source::Store { revision, overrides_file } => ("store", Some((revision, overrides_file))),
    };
    fields.insert("source".to_owned(), json!(word));
    if let Some((revision, overrides)) = more {
        fields.insert("revision".to_owned(), json!(revision));
        fields.insert("overrides_file".to_owned(), json!(overrides));
    }
}

/// A new identifier: 128 random bits in the form of a UUID of version 4.
#[must_use]
pub fn new_id() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn name_of(body: &Value, id: &str) -> String {
    body.get("name").and_then(Value::as_str).unwrap_or(id).to_owned()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
