//! Entities in their table: read, and changed with their history and the audit row in one transaction.

use serde_json::{Value, json};

use super::audit::Action;
use super::entity::{Change, Edit, Expected, Kind, Provenance, Recorded, RecordedEdit, Stored};
use super::error::StoreError;
use super::record;
use super::sql::{Row, Sql, Turn, Work};

/// The last change's number; 0 before the first.
pub(super) async fn revision(work: &mut Work) -> Result<u64, StoreError> {
    let row = work.row("SELECT COALESCE(MAX(revision), 0) FROM bifrost_changes", &[]).await?;
    row.map_or(Ok(0), |row| row.number(0))
}

/// All of a kind, by name.
pub(super) async fn entities(work: &mut Work, kind: Kind) -> Result<Vec<Stored>, StoreError> {
    let text = "SELECT kind, id, name, body, replaces, revision, updated_at, updated_by FROM bifrost_entities \
        WHERE kind = $1 ORDER BY name";
    work.rows(text, &[kind.name().into()]).await?.iter().map(read).collect()
}

/// All that is configuration.
pub(super) async fn configuration(work: &mut Work) -> Result<Vec<Stored>, StoreError> {
    let text = "SELECT kind, id, name, body, replaces, revision, updated_at, updated_by FROM bifrost_entities \
        WHERE kind NOT IN ('user', 'token', 'session') ORDER BY kind, name";
    work.rows(text, &[]).await?.iter().map(read).collect()
}

pub(super) async fn entity(work: &mut Work, kind: Kind, id: &str) -> Result<Option<Stored>, StoreError> {
    let text = "SELECT kind, id, name, body, replaces, revision, updated_at, updated_by FROM bifrost_entities \
        WHERE kind = $1 AND id = $2";
    work.row(text, &[kind.name().into(), id.into()]).await?.as_ref().map(read).transpose()
}

/// Makes all edits; gives the revision they have. What is no configuration has that of the last change.
pub(super) async fn make(work: &mut Work, change: &Change) -> Result<u64, StoreError> {
    work.turn(Turn::Change).await?;
    let last = revision(work).await?;
    if let Some(from) = change.from_revision.filter(|from| *from != last) {
        let id = format!("made from {from}");
        return Err(StoreError::Conflict { kind: Kind::Section, id, found: Some(last) });
    }
    let configures = change.edits.iter().any(|edit| edit.kind().is_configuration());
    let revision = if configures { last.saturating_add(1) } else { last };
    let mut recorded = Vec::new();
    for edit in &change.edits {
        recorded.extend(apply(work, change, edit, revision).await?);
    }
    if configures {
        remember(work, change, &recorded, revision).await?;
    }
    record::append(work, &action(change, &recorded, revision)).await?;
    Ok(revision)
}

/// Changes with their number below `before`, newest first.
pub(super) async fn changes(work: &mut Work, before: u64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
    let text = "SELECT revision, at, who, action, edits FROM bifrost_changes WHERE revision < $1 \
        ORDER BY revision DESC LIMIT $2";
    let rows = work.rows(text, &[before.into(), Sql::Int(limit.into())]).await?;
    rows.iter().map(read_change).collect()
}

async fn apply(
    work: &mut Work,
    change: &Change,
    edit: &Edit,
    revision: u64,
) -> Result<Option<RecordedEdit>, StoreError> {
    let (kind, id) = (edit.kind(), edit.id());
    let found = entity(work, kind, id).await?;
    let fits = match (edit.expected(), &found) {
        (Expected::Any, _) | (Expected::Absent, None) => true,
        (Expected::Revision(expected), Some(found)) => found.revision == expected,
        (Expected::Absent, Some(_)) | (Expected::Revision(_), None) => false,
    };
    if !fits {
        let found = found.map(|found| found.revision);
        return Err(StoreError::Conflict { kind, id: id.to_owned(), found });
    }
    let mut recorded = RecordedEdit {
        kind,
        id: id.to_owned(),
        name: found.as_ref().map(|found| found.name.clone()).unwrap_or_default(),
        source_before: found.as_ref().map(|found| found.source.clone()).unwrap_or_default(),
        before: found.map(|found| found.body),
        after: None,
        source_after: Provenance::Store,
    };
    match edit {
        Edit::Put { name, body, source, .. } => {
            put(work, change, edit, revision).await?;
            recorded.name.clone_from(name);
            recorded.after = Some(body.clone());
            recorded.source_after = source.clone();
        }
        Edit::Delete { .. } if recorded.before.is_none() => return Ok(None),
        Edit::Delete { .. } => {
            let text = "DELETE FROM bifrost_entities WHERE kind = $1 AND id = $2";
            work.execute(text, &[kind.name().into(), id.into()]).await?;
        }
    }
    Ok(kind.is_configuration().then_some(recorded))
}

async fn put(work: &mut Work, change: &Change, edit: &Edit, revision: u64) -> Result<(), StoreError> {
    let Edit::Put { kind, id, name, body, source, .. } = edit else { return Ok(()) };
    let taken = "SELECT id FROM bifrost_entities WHERE kind = $1 AND name = $2 AND id <> $3";
    if let Some(row) = work.row(taken, &[kind.name().into(), name.into(), id.into()]).await? {
        return Err(StoreError::NameTaken { kind: *kind, name: name.clone(), by: row.text(0)? });
    }
    let replaces = match source {
        Provenance::Store => "",
        Provenance::Replaces(hash) => hash,
    };
    let body = body.to_string();
    let values: [Sql<'_>; 8] = [
        kind.name().into(),
        id.into(),
        name.into(),
        (&body).into(),
        replaces.into(),
        revision.into(),
        change.at_ms.into(),
        (&change.who).into(),
    ];
    let text = "INSERT INTO bifrost_entities (kind, id, name, body, replaces, revision, updated_at, updated_by) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, id) DO UPDATE SET name = excluded.name, \
        body = excluded.body, replaces = excluded.replaces, revision = excluded.revision, \
        updated_at = excluded.updated_at, updated_by = excluded.updated_by";
    work.execute(text, &values).await.map(drop)
}

async fn remember(
    work: &mut Work,
    change: &Change,
    edits: &[RecordedEdit],
    revision: u64,
) -> Result<(), StoreError> {
    let edits = serde_json::to_string(edits).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let values: [Sql<'_>; 5] = [
        revision.into(),
        change.at_ms.into(),
        (&change.who).into(),
        (&change.action).into(),
        (&edits).into(),
    ];
    let text = "INSERT INTO bifrost_changes (revision, at, who, action, edits) VALUES ($1, $2, $3, $4, $5)";
    work.execute(text, &values).await?;
    if let Work::Postgres(_) = work {
        // Told to the other nodes when the transaction is committed.
        let revision = revision.to_string();
        work.rows("SELECT pg_notify('bifrost_changes', $1)::text", &[(&revision).into()]).await?;
    }
    Ok(())
}

/// What the audit log says: which entities, not what is in them.
fn action(change: &Change, recorded: &[RecordedEdit], revision: u64) -> Action {
    let touched = |edit: &Edit| {
        let was_there =
            recorded.iter().any(|one| one.kind == edit.kind() && one.id == edit.id() && one.before.is_some());
        let what = match edit {
            Edit::Delete { .. } => "delete",
            Edit::Put { .. } if was_there => "replace",
            Edit::Put { .. } => "put",
        };
        json!({"kind": edit.kind().name(), "id": edit.id(), "what": what})
    };
    let edits: Vec<Value> = change.edits.iter().map(touched).collect();
    Action {
        at_ms: change.at_ms,
        who: change.who.clone(),
        address: change.address.clone(),
        action: change.action.clone(),
        detail: json!({"revision": revision, "edits": edits}),
    }
}

fn read(row: &Row) -> Result<Stored, StoreError> {
    let kind = row.text(0)?;
    let kind = Kind::named(&kind)
        .ok_or_else(|| StoreError::Unreadable(format!("an entity of the unknown kind {kind:?}")))?;
    let replaces = row.text(4)?;
    Ok(Stored {
        kind,
        id: row.text(1)?,
        name: row.text(2)?,
        body: json_of(&row.text(3)?)?,
        source: if replaces.is_empty() { Provenance::Store } else { Provenance::Replaces(replaces) },
        revision: row.number(5)?,
        updated_at_ms: row.number(6)?,
        updated_by: row.text(7)?,
    })
}

fn read_change(row: &Row) -> Result<Recorded, StoreError> {
    Ok(Recorded {
        revision: row.number(0)?,
        at_ms: row.number(1)?,
        who: row.text(2)?,
        action: row.text(3)?,
        edits: json_of(&row.text(4)?)?,
    })
}

/// What serde says of a document may quote it.
fn json_of<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Unreadable("a document is no JSON of its kind".to_owned()))
}
