//! What was changed, when and by whom: `/api/changes`. And back to how it was.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Asker, Path, Query};
use super::edit::{Draft, Set, expected, refused, slot};
use super::fault::{ErrorBody, Refused};
use super::keyring::rfc3339;
use super::shape;
use crate::config::overlay::said;
use crate::config::{Slot, secrets};
use crate::store::Store;
use crate::store::entity::{Expected, Kind, Recorded, RecordedEdit};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read)).routes(routes!(rollback))
}

/// Changes read at once.
const BATCH: u32 = 200;
/// The most that one roll-back undoes.
const DEEPEST: usize = 10_000;

/// Which changes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Wanted {
    /// Those before this revision. Absent: from the newest one.
    before: Option<u64>,
    /// At most so many, by default 50.
    limit: Option<u32>,
}

/// Changes, the newest first.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeList {
    changes: Vec<ChangeShown>,
    /// `before` of the next page; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<u64>,
}

/// A change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeShown {
    revision: u64,
    /// RFC 3339.
    at: String,
    who: String,
    /// `provider.update`, `virtual_key.create`, `rollback`, …
    action: String,
    edits: Vec<EditShown>,
}

/// What a change did to one entity.
#[derive(Debug, Serialize, ToSchema)]
struct EditShown {
    /// `provider`, `virtual_key`, `team`, …, `section`
    kind: String,
    id: String,
    name: String,
    /// `create`, `update` or `delete`
    what: String,
    diff: Vec<Difference>,
}

/// A field before and after. Secrets are masked: where both look alike another secret was set.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Difference {
    path: String,
    /// Absent: it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// Absent: it is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// What was changed, the newest first.
#[utoipa::path(get, path = "/api/changes", tag = "history", params(Wanted),
    responses((status = 200, body = ChangeList), (status = "default", body = ErrorBody)))]
async fn list(
    State(state): State<AdminState>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ChangeList>, Refused> {
    let limit = wanted.limit.unwrap_or(50).clamp(1, BATCH);
    let before = wanted.before.unwrap_or(i64::MAX as u64);
    let found = state.store()?.changes(before, limit).await.map_err(refused)?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count == limit);
    let next_before = found.last().map(|last| last.revision).filter(|last| full && *last > 1);
    Ok(Json(ChangeList { changes: found.iter().map(change_shown).collect(), next_before }))
}

/// One change.
#[utoipa::path(get, path = "/api/changes/{revision}", tag = "history", params(("revision" = u64, Path)),
    responses((status = 200, body = ChangeShown), (status = "default", body = ErrorBody)))]
async fn read(
    State(state): State<AdminState>,
    Path(revision): Path<u64>,
) -> Result<Json<ChangeShown>, Refused> {
    let found = state.store()?.changes(revision.saturating_add(1), 1).await.map_err(refused)?;
    let found = found.first().filter(|change| change.revision == revision);
    found
        .map(|change| Json(change_shown(change)))
        .ok_or_else(|| Refused::not_found(format!("there is no change {revision}")))
}

/// Makes everything as it was after this change (0: before the first one). That is a change too: it can be undone.
#[utoipa::path(post, path = "/api/changes/{revision}/rollback", tag = "history",
    params(("revision" = u64, Path)),
    responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
async fn rollback(
    State(state): State<AdminState>,
    Path(revision): Path<u64>,
    asker: Asker,
) -> Result<Response, Refused> {
    let store = state.store()?.clone();
    let undone = since(&store, revision).await?;
    if undone.is_empty() {
        return match store.revision().await.map_err(refused)? {
            last if last == revision => Ok(done(&format!("nothing was changed since {revision}"))),
            _ => Err(Refused::not_found(format!("there is no change {revision}"))),
        };
    }
    let mut sets = Vec::new();
    for ((kind, id), edit) in first_touches(&undone) {
        sets.extend(as_before(&state, &store, (kind, id), edit).await?);
    }
    state.make(&asker, Draft { action: format!("rollback to {revision}"), sets }).await?;
    Ok(done(&format!("rolled back to revision {revision}")))
}

fn done(message: &str) -> Response {
    Json(json!({ "message": message })).into_response()
}

/// Changes after `revision`, the newest first.
async fn since(store: &Store, revision: u64) -> Result<Vec<Recorded>, Refused> {
    let mut found: Vec<Recorded> = Vec::new();
    let mut before = i64::MAX as u64;
    loop {
        let batch = store.changes(before, BATCH).await.map_err(refused)?;
        let last = batch.last().map_or(0, |change| change.revision);
        found.extend(batch.into_iter().filter(|change| change.revision > revision));
        if last <= revision.saturating_add(1) {
            return Ok(found);
        }
        if found.len() > DEEPEST {
            let message = format!("more than {DEEPEST} changes were made since: go back in steps");
            return Err(Refused::conflict(message));
        }
        before = last;
    }
}

/// Of each entity the first edit: what was before it is what it was.
fn first_touches(undone: &[Recorded]) -> BTreeMap<(Kind, &str), &RecordedEdit> {
    let edits = undone.iter().flat_map(|change| &change.edits);
    edits.map(|edit| ((edit.kind, &*edit.id), edit)).collect()
}

async fn as_before(
    state: &AdminState,
    store: &Store,
    (kind, id): (Kind, &str),
    edit: &RecordedEdit,
) -> Result<Option<Set>, Refused> {
    let Some(slot) = slot(kind) else { return Ok(None) };
    let text = state.gateway.config.text();
    let expected = match slot {
        Slot::VirtualKey => {
            let stored = store.entity(kind, id).await.map_err(refused)?;
            stored.map_or(Expected::Absent, |stored| Expected::Revision(stored.revision))
        }
        _ => expected(&text, slot, id),
    };
    let body = match &edit.before {
        // It was not in the store: what the file says counts again.
        None => said(&text.file, slot, id).cloned(),
        Some(Value::Null) => None,
        Some(body) => Some(body.clone()),
    };
    Ok(Some(Set { slot, id: id.to_owned(), name: edit.name.clone(), body, expected }))
}

fn change_shown(change: &Recorded) -> ChangeShown {
    ChangeShown {
        revision: change.revision,
        at: rfc3339(change.at_ms),
        who: change.who.clone(),
        action: change.action.clone(),
        edits: change.edits.iter().map(edit_shown).collect(),
    }
}

fn edit_shown(edit: &RecordedEdit) -> EditShown {
    let seen = |body: &Option<Value>| body.clone().filter(|body| !body.is_null());
    let (before, after) = (seen(&edit.before).map(veiled), seen(&edit.after).map(veiled));
    let what = match (&before, &after) {
        (None, Some(_)) => "create",
        (_, None) => "delete",
        _ => "update",
    };
    let mut diff = Vec::new();
    differences("", (before.as_ref(), after.as_ref()), &mut diff);
    EditShown {
        kind: edit.kind.name().to_owned(),
        id: edit.id.clone(),
        name: edit.name.clone(),
        what: what.to_owned(),
        diff,
    }
}

/// Without what proves a key: enough of it is left to tell one from another.
fn veiled(mut body: Value) -> Value {
    if let Some(hash) = body.get_mut("value_hash") {
        let short: String = hash.as_str().unwrap_or_default().chars().take(8).collect();
        *hash = Value::String(format!("{short}…"));
    }
    for old in body.get_mut("previous").and_then(Value::as_array_mut).into_iter().flatten() {
        *old = old.get("expires_at").cloned().unwrap_or_default();
    }
    body
}

/// Fields that differ, the innermost ones. Compared are the secrets, shown their masks.
fn differences(path: &str, (before, after): (Option<&Value>, Option<&Value>), out: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
        for name in names {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            differences(&inner, (old.get(name), new.get(name)), out);
        }
        return;
    }
    let name = path.rsplit('.').next().unwrap_or(path);
    let masked = |value: Option<&Value>| value.map(|value| masked(name, value));
    out.push(Difference { path: path.to_owned(), before: masked(before), after: masked(after) });
}

fn masked(name: &str, value: &Value) -> Value {
    let mut around = json!({ name: value });
    secrets::mask_all(&mut around);
    around.get_mut(name).map(Value::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_at_its_field_without_its_secret() {
        let (before, after) = (
            json!({"budget": {"max_limit": 1, "reset_duration": "1d"}, "keys": [{"value": "sk-0123456789abcdef"}]}),
            json!({"budget": {"max_limit": 2, "reset_duration": "1d"}, "keys": [{"value": "sk-fedcba9876543210"}]}),
        );
        let mut found = Vec::new();
        differences("", (Some(&before), Some(&after)), &mut found);
        assert_eq!(found[0].path, "budget.max_limit");
        assert_eq!((found[0].before.clone(), found[0].after.clone()), (Some(json!(1)), Some(json!(2))));
        assert_eq!(found.len(), 2);
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains("0123456789") && !text.contains("9876543210"), "{text}");
    }
}
