//! Where virtual keys are: in the configuration file, or in the store; and what of them may be seen.

use std::time::{Duration, UNIX_EPOCH};

use govern::window::Window;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};

use super::AdminState;
use super::body::Asker;
use super::edit::{Draft, Set, entities, refused, unchanged};
use super::fault::Refused;
use super::resource::provenance;
use crate::config::governance::KeyHash;
use crate::config::overlay::{hash, said};
use crate::config::{Slot, Source, secrets};
use crate::store::entity::{Expected, Kind, Provenance, Stored};
use crate::telemetry::clock;

/// Fields that a stored key has beside those of the configuration.
pub const BESIDE: [&str; 2] = ["created_at", "value_hint"];

/// A virtual key and where it is from.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: String,
    /// As it is written, its hash included.
    pub body: Value,
    pub source: Source,
    /// What the store has of it.
    pub expected: Expected,
}

impl Held {
    /// Changes with it.
    #[must_use]
    pub fn tag(&self) -> String {
        match self.source {
            Source::Store { revision, .. } => format!("\"r{revision}\""),
            _ => format!("\"f{}\"", hash(&self.body)),
        }
    }

    /// That the asker has seen this version.
    ///
    /// # Errors
    /// 412.
    pub fn unchanged(&self, asker: &Asker) -> Result<(), Refused> {
        unchanged(asker, &self.tag())
    }
}

impl AdminState {
    /// All virtual keys.
    ///
    /// # Errors
    /// 503 while the store cannot be read.
    pub async fn keys(&self) -> Result<Vec<Held>, Refused> {
        let text = self.gateway.config.text();
        let mut all: Vec<Held> = entities(&text, Slot::VirtualKey)
            .into_iter()
            .map(|entity| Held {
                id: entity.id,
                body: entity.body,
                source: entity.source,
                expected: Expected::Absent,
            })
            .collect();
        if let Some(store) = &self.gateway.store {
            let stored = store.entities(Kind::VirtualKey).await.map_err(refused)?;
            all.extend(stored.into_iter().filter_map(|stored| self.held(stored)));
        }
        Ok(all)
    }

    /// One of them, by its id, else by its name.
    ///
    /// # Errors
    /// 503 while the store cannot be read.
    pub async fn key(&self, id: &str) -> Result<Option<Held>, Refused> {
        if let Some(store) = &self.gateway.store
            && let Some(stored) = store.entity(Kind::VirtualKey, id).await.map_err(refused)?
            && let Some(held) = self.held(stored)
        {
            return Ok(Some(held));
        }
        let all = self.keys().await?;
        let named = |held: &&Held| held.body.get("name").and_then(Value::as_str) == Some(id);
        Ok(all.iter().find(|held| held.id == id).or_else(|| all.iter().find(named)).cloned())
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    /// 404, and as [`Self::key`].
    pub async fn find_key(&self, id: &str) -> Result<Held, Refused> {
        self.key(id).await?.ok_or_else(|| Refused::not_found(format!("there is no virtual key {id:?}")))
    }

    /// Stores a key in the place of `before`.
    ///
    /// # Errors
    /// As [`AdminState::make`].
    pub async fn keep_key(
        &self,
        asker: &Asker,
        (action, id): (&str, &str),
        (before, mut body): (Option<Held>, Map<String, Value>),
    ) -> Result<u64, Refused> {
        let created = before.as_ref().and_then(|held| held.body.get("created_at").cloned());
        body.insert("created_at".to_owned(), created.unwrap_or_else(|| json!(rfc3339(clock::now_ms()))));
        let name = body.get("name").and_then(Value::as_str).unwrap_or(id).to_owned();
        let expected = match before {
            Some(held) => held.expected,
            // That the file's is gone is a version too.
            None => match self.store()?.entity(Kind::VirtualKey, id).await.map_err(refused)? {
                Some(gone) if gone.body.is_null() => Expected::Revision(gone.revision),
                _ => Expected::Absent,
            },
        };
        let set = Set {
            slot: Slot::VirtualKey,
            id: id.to_owned(),
            name,
            body: Some(Value::Object(body)),
            expected,
        };
        self.make(asker, Draft { action: action.to_owned(), sets: vec![set] }).await
    }

    /// Takes a key away.
    ///
    /// # Errors
    /// As [`AdminState::make`].
    pub async fn drop_key(&self, asker: &Asker, before: Held) -> Result<u64, Refused> {
        let name = before.body.get("name").and_then(Value::as_str).unwrap_or(&before.id).to_owned();
        let Held { id, expected, .. } = before;
        let set = Set { slot: Slot::VirtualKey, id, name, body: None, expected };
        self.make(asker, Draft { action: "virtual_key.delete".to_owned(), sets: vec![set] }).await
    }

    /// A stored key; `None`: it says that one of the file is gone, or the file has the last word.
    fn held(&self, stored: Stored) -> Option<Held> {
        if !stored.body.is_object() || !self.counts(&stored) {
            return None;
        }
        let overrides_file = matches!(stored.source, Provenance::Replaces(_));
        let source = Source::Store { revision: stored.revision, overrides_file };
        Some(Held { id: stored.id, body: stored.body, source, expected: Expected::Revision(stored.revision) })
    }

    /// Whether a stored key counts beside what the file says.
    #[must_use]
    pub fn counts(&self, stored: &Stored) -> bool {
        let text = self.gateway.config.text();
        match (said(&text.file, Slot::VirtualKey, &stored.id), &stored.source) {
            (None, _) => true,
            (Some(file), Provenance::Replaces(replaced)) => hash(file) == *replaced,
            (Some(_), Provenance::Store) => false,
        }
    }
}

/// A key as it is shown.
#[must_use]
pub fn shown(held: &Held) -> Value {
    let mut body = held.body.clone();
    let looks = body.get("value_hint").or_else(|| body.get("value")).and_then(Value::as_str);
    let looks = looks.map_or_else(|| "sk-b************************".to_owned(), secrets::mask);
    hidden(&mut body);
    let Value::Object(mut fields) = body else { return body };
    fields.insert("id".to_owned(), json!(held.id));
    fields.insert("value".to_owned(), json!(looks));
    fields.entry("is_active").or_insert(Value::Bool(true));
    fields.extend(held.body.get("created_at").map(|at| ("created_at".to_owned(), at.clone())));
    provenance(&mut fields, held.source);
    Value::Object(fields)
}

/// Takes out what proves a key.
pub fn hidden(body: &mut Value) {
    let Some(fields) = body.as_object_mut() else { return };
    for field in ["value", "value_hash", "previous", "value_hint", "created_at"] {
        fields.remove(field);
    }
}

/// The value becomes its hash and how it looks from outside; a reference to one stays.
pub fn hashed(body: &mut Map<String, Value>) {
    let Some(value) = body.get("value").and_then(Value::as_str).map(str::to_owned) else { return };
    if crate::config::is_reference(&value) {
        body.remove("value_hash");
        body.remove("value_hint");
        return;
    }
    body.remove("value");
    body.insert("value_hash".to_owned(), json!(KeyHash::of(&value).to_string()));
    body.insert("value_hint".to_owned(), json!(secrets::mask(&value)));
}

/// A new value: 192 random bits.
///
/// # Errors
/// 503: the system gives none.
pub fn fresh() -> Result<String, Refused> {
    let mut bits = [0_u8; 24];
    SystemRandom::new()
        .fill(&mut bits)
        .map_err(|_| Refused::unavailable("the system gives no randomness"))?;
    let digits: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}{digits}", KeyHash::PREFIX))
}

/// Until when an old value is taken; `None`: not any more.
///
/// # Errors
/// 422 for what is no span.
pub fn grace(span: Option<&str>) -> Result<Option<u64>, Refused> {
    let Some(span) = span.filter(|span| !span.is_empty() && !span.starts_with("0")) else { return Ok(None) };
    let window = Window::parse(span, false).map_err(|bad| Refused::field("grace_period", bad.to_string()))?;
    Ok(Some(clock::now_ms().saturating_add(window.length_ms())))
}

/// The hash that a key has is one of its old ones from now on, until `until`; those whose end has come are left out.
pub fn retired(state: &AdminState, body: &mut Map<String, Value>, id: &str, until: Option<u64>) {
    let now = clock::now_ms();
    let Some(key) = state.gateway.directory.by_id(id) else { return };
    let old = key.hashes.iter().filter_map(|(hash, end)| {
        let end = end.or(until)?;
        (end > now).then(|| json!({ "value_hash": hash.to_string(), "expires_at": rfc3339(end) }))
    });
    body.insert("previous".to_owned(), Value::Array(old.collect()));
}

/// A moment as people write it.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let mut out = Vec::with_capacity(24);
    clock::write_rfc3339(UNIX_EPOCH + Duration::from_millis(unix_ms), &mut out);
    String::from_utf8(out).unwrap_or_default()
}
