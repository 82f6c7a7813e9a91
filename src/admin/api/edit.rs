//! A change of the configuration: made over what is in force, checked as the file is, stored, put in force.
//!
//! One at a time in this process; what other processes changed meanwhile is a conflict. Nothing is stored that would not
//! compile, and nothing is in force that was not stored.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;

use super::AdminState;
use super::body::Asker;
use super::fault::{Refused, Wrong};
use super::follow::compiled_body;
use crate::config::governance::VirtualKey;
use crate::config::overlay::{hash, said};
use crate::config::{Known, Layer, Overlay, Place, Prepared, Problem, Slot, Source, Text, virtual_key_of};
use crate::store::entity::{Change, Edit, Expected, Kind, Provenance};
use crate::store::{Store, StoreError};
use crate::telemetry::clock;
use crate::telemetry::events::{Event, emit};

/// What is to be changed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// For the history: `virtual_key.create`.
    pub action: String,
    pub sets: Vec<Set>,
}

/// One entity as it is to be.
#[derive(Debug, Clone)]
pub struct Set {
    pub slot: Slot,
    pub id: String,
    /// Unique among its kind.
    pub name: String,
    /// `None`: it is not to be there any more.
    pub body: Option<Value>,
    /// What the store has of it now.
    pub expected: Expected,
}

/// An entity as the configuration in force has it.
#[derive(Debug, Clone)]
pub struct Entity {
    pub slot: Slot,
    pub id: String,
    pub body: Value,
    pub source: Source,
}

impl Entity {
    /// Changes with it.
    #[must_use]
    pub fn tag(&self) -> String {
        match self.source {
            Source::Store { revision, .. } => format!("\"r{revision}\""),
            Source::File | Source::Environment => format!("\"f{}\"", hash(&self.body)),
        }
    }
}

/// The kind under which a store keeps what stands in a slot.
#[must_use]
pub fn kind(slot: Slot) -> Kind {
    match slot {
        Slot::Provider => Kind::Provider,
        Slot::Team => Kind::Team,
        Slot::Customer => Kind::Customer,
        Slot::ModelConfig => Kind::ModelConfig,
        Slot::ProviderGovernance => Kind::ProviderGovernance,
        Slot::RoutingRule => Kind::RoutingRule,
        Slot::VirtualKey => Kind::VirtualKey,
        Slot::Field => Kind::Section,
    }
}

/// The slot of what a store keeps under a kind; `None`: it is no part of the configuration.
#[must_use]
pub fn slot(kind: Kind) -> Option<Slot> {
    match kind {
        Kind::Provider => Some(Slot::Provider),
        Kind::Team => Some(Slot::Team),
        Kind::Customer => Some(Slot::Customer),
        Kind::ModelConfig => Some(Slot::ModelConfig),
        Kind::ProviderGovernance => Some(Slot::ProviderGovernance),
        Kind::RoutingRule => Some(Slot::RoutingRule),
        Kind::VirtualKey => Some(Slot::VirtualKey),
        Kind::Section => Some(Slot::Field),
        Kind::User | Kind::Token | Kind::Session => None,
    }
}

/// All entities of a slot, in their order.
#[must_use]
pub fn entities(text: &Text, slot: Slot) -> Vec<Entity> {
    let root = &text.merged.document.root;
    let source = |id: &str| {
        let place: Place = (slot, id.to_owned());
        text.merged.sources.get(&place).copied().unwrap_or(Source::File)
    };
    let entity = |id: String, body: &Value| Entity { slot, source: source(&id), id, body: body.clone() };
    let mut found: Vec<Entity> = match slot.pointer().and_then(|pointer| root.pointer(pointer)) {
        Some(Value::Object(map)) => map.iter().map(|(id, body)| entity(id.clone(), body)).collect(),
        Some(Value::Array(list)) => {
            list.iter().filter_map(|body| Some(entity(slot.id_of(body)?, body))).collect()
        }
        _ => Vec::new(),
    };
    // Those that are there without being written anywhere.
    for ((of, id), source) in &text.merged.sources {
        if *of == slot && *source == Source::Environment && found.iter().all(|entity| entity.id != *id) {
            found.push(Entity {
                slot,
                id: id.clone(),
                body: Value::Object(Default::default()),
                source: *source,
            });
        }
    }
    found
}

/// One entity, by its id, else by its name.
#[must_use]
pub fn entity(text: &Text, slot: Slot, id: &str) -> Option<Entity> {
    let named = |entity: &Entity| entity.body.get("name").and_then(Value::as_str) == Some(id);
    let mut all = entities(text, slot);
    let at = all.iter().position(|entity| entity.id == id).or_else(|| all.iter().position(named))?;
    Some(all.swap_remove(at))
}

/// What the store has of a place, as the configuration in force knows it.
#[must_use]
pub fn expected(text: &Text, slot: Slot, id: &str) -> Expected {
    let layer = text.overlay.layers.get(&(slot, id.to_owned()));
    layer.map_or(Expected::Absent, |layer| Expected::Revision(layer.revision))
}

/// That the asker has seen the version that is there.
///
/// # Errors
/// 412 when it is another one.
pub fn unchanged(asker: &Asker, tag: &str) -> Result<(), Refused> {
    match &asker.if_match {
        Some(seen) if !seen.split(',').any(|one| one.trim() == tag) => Err(Refused::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            format!("it was changed meanwhile: it is {tag} now"),
        )),
        _ => Ok(()),
    }
}

impl AdminState {
    /// Where changes are kept.
    ///
    /// # Errors
    /// 409 when there is no store.
    pub fn store(&self) -> Result<&Arc<Store>, Refused> {
        self.gateway.store.as_ref().ok_or_else(|| {
            Refused::conflict(
                "nothing can be changed: config_store.enabled is false, the file is the configuration",
            )
        })
    }

    /// Makes a change; gives its revision.
    ///
    /// # Errors
    /// 422 with every problem, 409 where it meets another change or would break what refers to it, 503 while the store
    /// cannot be written. Nothing is changed then.
    pub async fn make(&self, asker: &Asker, draft: Draft) -> Result<u64, Refused> {
        let store = Arc::clone(self.store()?);
        let mut applied = self.changing.lock().await;
        let known = self.catch_up(&store, &mut applied).await?;
        let text = self.gateway.config.text();
        let checked = self.check(&text, &draft).await?;
        let change = Change {
            at_ms: clock::now_ms(),
            who: asker.name.clone(),
            address: asker.address.clone(),
            action: draft.action.clone(),
            edits: draft.sets.iter().map(|set| edit(&text, set)).collect(),
            from_revision: Some(known),
        };
        let revision = store.change(&change).await.map_err(refused)?;
        applied.reached(revision);
        self.take(&draft, checked, revision);
        Ok(revision)
    }

    /// That no stored virtual key refers to an entity that is to go.
    ///
    /// # Errors
    /// 409 with the name of one that does.
    pub async fn unused(&self, slot: Slot, id: &str) -> Result<(), Refused> {
        let refers = |body: &Value| match slot {
            Slot::Team => body.get("team_id").and_then(Value::as_str) == Some(id),
            Slot::Customer => body.get("customer_id").and_then(Value::as_str) == Some(id),
            Slot::Provider => {
                let grants = body.get("provider_configs").and_then(Value::as_array);
                grants.into_iter().flatten().any(|grant| grant.get("provider") == Some(&Value::from(id)))
            }
            _ => false,
        };
        if !matches!(slot, Slot::Team | Slot::Customer | Slot::Provider) {
            return Ok(());
        }
        match self.keys().await?.into_iter().find(|held| refers(&held.body)) {
            Some(held) => Err(Refused::conflict(format!("the virtual key {:?} refers to it", held.id))),
            None => Ok(()),
        }
    }

    /// What the configuration would be.
    async fn check(&self, text: &Arc<Text>, draft: &Draft) -> Result<Checked, Refused> {
        let mut overlay = (*text.overlay).clone();
        draft.sets.iter().for_each(|set| lay(text, &mut overlay, set, 0));
        // Most virtual keys stand beside the configuration: it stays as it is.
        let prepared = match overlay == *text.overlay {
            true => None,
            false => Some(self.prepare(overlay, &draft.sets).await?),
        };
        let current = self.gateway.config.load_full();
        let snapshot = prepared.as_ref().map_or(&*current, Prepared::snapshot);
        let mut keys = Vec::new();
        for set in draft.sets.iter().filter(|set| set.slot == Slot::VirtualKey) {
            let Some(body) = &set.body else { continue };
            let (_, key) =
                virtual_key_of(&compiled_body(body), &Known::of(snapshot), self.gateway.config.environment())
                    .map_err(|problems| Refused::invalid(problems.iter().map(Wrong::of).collect()))?;
            self.nobody_elses(&key, &draft.sets)?;
            keys.push(Arc::new(key));
        }
        Ok(Checked { prepared, keys })
    }

    async fn prepare(&self, overlay: Overlay, sets: &[Set]) -> Result<Prepared, Refused> {
        let (config, overlay) = (Arc::clone(&self.gateway.config), Arc::new(overlay));
        let prepared = {
            let overlay = Arc::clone(&overlay);
            tokio::task::spawn_blocking(move || config.prepare(overlay)).await
        };
        let prepared =
            prepared.map_err(|_| Refused::unavailable("the configuration could not be compiled"))?;
        prepared.map_err(|problems| self.blame(&overlay, sets, &problems))
    }

    /// Problems of what was sent are its fields'; others are conflicts with what refers to it.
    fn blame(&self, overlay: &Overlay, sets: &[Set], problems: &[Problem]) -> Refused {
        let place = |set: &Set| self.gateway.config.dotted_place(overlay, set.slot, &set.id);
        let bases: Vec<(Slot, String)> =
            sets.iter().filter_map(|set| Some((set.slot, place(set)?))).collect();
        let own = |problem: &Problem| {
            bases.iter().find_map(|(slot, base)| {
                let wrong = Wrong::within(problem, base)?;
                // Fields are named from the top.
                Some(if *slot == Slot::Field { Wrong::of(problem) } else { wrong })
            })
        };
        let own: Vec<Wrong> = problems.iter().filter_map(own).collect();
        if !own.is_empty() {
            return Refused::invalid(own);
        }
        let wrong: Vec<Wrong> = problems.iter().map(Wrong::of).collect();
        let first =
            wrong.first().map(|wrong| format!("{}: {}", wrong.path, wrong.message)).unwrap_or_default();
        Refused { problems: wrong, ..Refused::conflict(format!("what refers to it would be wrong: {first}")) }
    }

    /// A virtual key opens one door, and has a name of its own.
    fn nobody_elses(&self, key: &VirtualKey, sets: &[Set]) -> Result<(), Refused> {
        let (now, directory) = (clock::now_ms(), &self.gateway.directory);
        // One that this very change takes away is nobody's any more.
        let stays = |id: &str| id != &*key.id && sets.iter().all(|set| set.id != id || set.body.is_some());
        if key.hashes.iter().any(|(hash, _)| directory.find(hash, now).is_some_and(|found| stays(&found.id)))
        {
            return Err(Refused::conflict("another virtual key has this value"));
        }
        let snapshot = self.gateway.config.load_full();
        let mut of_file = snapshot.governance.virtual_keys.iter();
        match of_file.find(|other| other.name == key.name && stays(&other.id)) {
            Some(_) => Err(refused(StoreError::NameTaken {
                kind: Kind::VirtualKey,
                name: key.name.to_string(),
                by: "the configuration file".to_owned(),
            })),
            None => Ok(()),
        }
    }

    /// The change is stored: it holds.
    fn take(&self, draft: &Draft, checked: Checked, revision: u64) {
        let directory = &self.gateway.directory;
        for set in draft.sets.iter().filter(|set| set.slot == Slot::VirtualKey && set.body.is_none()) {
            directory.remove(&set.id);
        }
        checked.keys.into_iter().for_each(|key| directory.put(key));
        if let Some(mut prepared) = checked.prepared {
            prepared.stamp(revision);
            if let Err(problems) = self.gateway.config.adopt(prepared) {
                // The file became another one at this very moment, and does not go with the change.
                for problem in problems {
                    log::error!("a stored change cannot be put in force: {problem}");
                }
            }
            // Whoever asked finds it done, and not a moment later.
            directory.replace_file(self.gateway.config.load_full().governance.virtual_keys.clone());
        }
        emit(Event::ConfigChanged { action: &draft.action.to_string(), revision });
    }
}

struct Checked {
    prepared: Option<Prepared>,
    keys: Vec<Arc<VirtualKey>>,
}

/// Puts an entity into an overlay, as the store will hold it.
pub fn lay(text: &Text, overlay: &mut Overlay, set: &Set, revision: u64) {
    let place = (set.slot, set.id.clone());
    let file = said(&text.file, set.slot, &set.id);
    if set.body.as_ref() == file || (file.is_none() && (set.slot == Slot::VirtualKey || set.body.is_none())) {
        // As the file has it, or nowhere.
        overlay.layers.remove(&place);
        return;
    }
    let body = set.body.clone().filter(|_| set.slot != Slot::VirtualKey);
    overlay.layers.insert(place, Layer { body, replaces: file.map(hash), revision });
}

fn edit(text: &Text, set: &Set) -> Edit {
    let (kind, id, expected) = (kind(set.slot), set.id.clone(), set.expected);
    let file = said(&text.file, set.slot, &set.id);
    if set.body.as_ref() == file {
        return Edit::Delete { kind, id, expected };
    }
    let source = file.map_or(Provenance::Store, |file| Provenance::Replaces(hash(file)));
    // Without a body: the file's is not to count.
    let body = set.body.clone().unwrap_or(Value::Null);
    Edit::Put { kind, id, name: set.name.clone(), body, source, expected }
}

/// What a store says no with.
#[must_use]
pub fn refused(error: StoreError) -> Refused {
    match error {
        StoreError::Conflict { .. } => Refused::conflict(error.to_string()),
        StoreError::NameTaken { name, .. } => {
            let wrong = Wrong::new("name", format!("the name {name:?} is taken"));
            Refused {
                problems: vec![wrong],
                ..Refused::conflict(format!("name: the name {name:?} is taken"))
            }
        }
        StoreError::Unavailable(_) | StoreError::Unreadable(_) | StoreError::Refused(_) => {
            Refused::unavailable(error.to_string())
        }
    }
}
