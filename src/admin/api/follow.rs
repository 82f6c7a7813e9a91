//! What the store holds, put in force: at the start, and whenever another process changed it.
//!
//! A store that is slow or gone changes nothing: the last good state stays. A file that says something new has the last
//! word; that is said loudly, kept in the history, and the store's version ends there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::AdminState;
use super::edit::{kind, refused, slot};
use super::fault::Refused;
use super::keyring::BESIDE;
use crate::config::{Known, Layer, Overlay, Place, Slot, virtual_key_of};
use crate::store::Store;
use crate::store::entity::{Change, Edit, Expected, Kind, Provenance, Recorded, Stored};
use crate::telemetry::clock;

/// How far the store's changes are in force. `None`: nothing of it was read yet.
#[derive(Debug, Default)]
pub struct Applied {
    revision: Option<u64>,
}

/// After a failed read.
const AGAIN: Duration = Duration::from_secs(2);
/// Changes read at once: after more of them all is read anew.
const BATCH: u32 = 200;

/// Kinds that are part of the compiled configuration.
const COMPILED: [Kind; 7] = [
    Kind::Provider,
    Kind::Team,
    Kind::Customer,
    Kind::ModelConfig,
    Kind::ProviderGovernance,
    Kind::RoutingRule,
    Kind::Section,
];

/// The longest that a start waits for what is stored.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows the store as long as the process lives. What is stored is in force when this returns, or the store does not
/// answer. Without a store it does nothing.
pub fn start(state: &AdminState) {
    let Some(store) = state.gateway.store.clone() else { return };
    // Keys that are asked for meanwhile may still come.
    state.gateway.directory.set_complete(false);
    let runtime = state.gateway.background.clone();
    let (state, loaded) = (state.clone(), watch::Sender::new(false));
    let mut is_loaded = loaded.subscribe();
    runtime.spawn(async move { state.follow(&store, &loaded).await });
    let waited = runtime
        .block_on(async move { timeout(PATIENCE, is_loaded.wait_for(|loaded| *loaded)).await.is_ok() });
    if !waited {
        log::warn!("what was set at run time is not known yet: the file alone holds until it is");
    }
}

impl AdminState {
    async fn follow(&self, store: &Store, loaded: &watch::Sender<bool>) {
        let (mut revisions, mut versions) = (store.subscribe(), self.gateway.config.versions());
        loop {
            revisions.mark_unchanged();
            versions.mark_unchanged();
            let caught_up = {
                let mut applied = self.changing.lock().await;
                self.catch_up(store, &mut applied).await
            };
            if let Err(refused) = caught_up {
                log::warn!("what is stored of the configuration was not read: {}", refused.message);
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            loaded.send_replace(true);
            let told = tokio::select! {
                told = revisions.changed() => told,
                told = versions.changed() => told,
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Puts in force what was stored since.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn catch_up(&self, store: &Store, applied: &mut Applied) -> Result<u64, Refused> {
        let revision = match applied.revision {
            None => self.load(store).await?,
            Some(known) => match store.revision().await.map_err(refused)? {
                last if last == known => known,
                last => {
                    let changes = store.changes(last.saturating_add(1), BATCH).await.map_err(refused)?;
                    let all_seen =
                        changes.last().is_none_or(|oldest| oldest.revision <= known.saturating_add(1));
                    match all_seen {
                        true => self.follow_changes(store, &changes, known).await?,
                        false => drop(self.load(store).await?),
                    }
                    last
                }
            },
        };
        applied.revision = Some(revision);
        let overruled = self.overruled(store).await?;
        self.settle(store, applied, overruled).await;
        Ok(applied.revision.unwrap_or(revision))
    }

    /// Reads everything.
    async fn load(&self, store: &Store) -> Result<u64, Refused> {
        let (revision, stored) = store.configuration().await.map_err(refused)?;
        let (keys, others): (Vec<Stored>, Vec<Stored>) =
            stored.into_iter().partition(|stored| stored.kind == Kind::VirtualKey);
        let mut overlay = Overlay::default();
        others.into_iter().for_each(|stored| put(&mut overlay, stored));
        for stored in keys.iter().filter(|stored| is_over_file(stored)) {
            put(&mut overlay, Stored { body: Value::Null, ..stored.clone() });
        }
        self.adopt(overlay).await;
        let count = keys.len();
        let here: BTreeSet<String> = keys.iter().map(|stored| stored.id.clone()).collect();
        for stored in keys {
            self.put_key(&stored);
        }
        self.gateway.directory.set_complete(true);
        if !here.is_empty() {
            log::info!("{count} virtual keys read from the store (revision {revision})");
        }
        Ok(revision)
    }

    /// Reads what changes touched that are newer than `known`.
    async fn follow_changes(&self, store: &Store, changes: &[Recorded], known: u64) -> Result<(), Refused> {
        let newer = changes.iter().filter(|change| change.revision > known);
        let touched: BTreeSet<(Kind, &str)> =
            newer.flat_map(|change| change.edits.iter().map(|edit| (edit.kind, &*edit.id))).collect();
        let mut overlay = (*self.gateway.config.text().overlay).clone();
        if touched.iter().any(|(kind, _)| COMPILED.contains(kind)) {
            overlay.layers.retain(|(slot, _), _| *slot == Slot::VirtualKey);
            for kind in COMPILED {
                let stored = store.entities(kind).await.map_err(refused)?;
                stored.into_iter().for_each(|stored| put(&mut overlay, stored));
            }
        }
        let mut keys = Vec::new();
        for (_, id) in touched.iter().filter(|(kind, _)| *kind == Kind::VirtualKey) {
            overlay.layers.remove(&(Slot::VirtualKey, (*id).to_owned()));
            let stored = store.entity(Kind::VirtualKey, id).await.map_err(refused)?;
            if let Some(stored) = stored.as_ref().filter(|stored| is_over_file(stored)) {
                put(&mut overlay, Stored { body: Value::Null, ..stored.clone() });
            }
            keys.push((*id, stored));
        }
        self.adopt(overlay).await;
        for (id, stored) in keys {
            match stored {
                Some(stored) => self.put_key(&stored),
                None => self.gateway.directory.remove(id),
            }
        }
        Ok(())
    }

    /// Puts an overlay in force. What does not compile is said; the last good configuration stays.
    async fn adopt(&self, overlay: Overlay) {
        if overlay == *self.gateway.config.text().overlay {
            return;
        }
        let (config, overlay) = (Arc::clone(&self.gateway.config), Arc::new(overlay));
        let made = tokio::task::spawn_blocking(move || {
            config.prepare(overlay).and_then(|prepared| config.adopt(prepared))
        });
        match made.await {
            Ok(Ok(())) => {
                let keys = self.gateway.config.load_full().governance.virtual_keys.clone();
                self.gateway.directory.replace_file(keys);
            }
            Ok(Err(problems)) => {
                for problem in &problems {
                    log::error!("{problem}");
                }
                let count = problems.len();
                log::error!(
                    "what is stored does not go with the file ({count} problem(s)): it is not in force"
                );
            }
            Err(error) => log::error!("what is stored could not be compiled: {error}"),
        }
    }

    fn put_key(&self, stored: &Stored) {
        let directory = &self.gateway.directory;
        if !stored.body.is_object() || !self.counts(stored) {
            directory.remove(&stored.id);
            return;
        }
        let snapshot = self.gateway.config.load_full();
        let body = compiled_body(&stored.body);
        match virtual_key_of(&body, &Known::of(&snapshot), self.gateway.config.environment()) {
            Ok((_, key)) => directory.put(Arc::new(key)),
            Err(problems) => {
                // A key whose limits cannot be read opens nothing.
                directory.remove(&stored.id);
                for problem in problems {
                    log::error!("the stored virtual key {:?} is not taken: {problem}", stored.id);
                }
            }
        }
    }

    /// Keys of the store whose id the file has taken since.
    async fn overruled(&self, store: &Store) -> Result<Vec<Place>, Refused> {
        let snapshot = self.gateway.config.load_full();
        let mut found = Vec::new();
        for key in &snapshot.governance.virtual_keys {
            let other = self.gateway.directory.by_id(&key.id).filter(|other| !Arc::ptr_eq(other, key));
            // It may be the file's of a moment ago.
            if other.is_some()
                && let Some(stored) = store.entity(Kind::VirtualKey, &key.id).await.map_err(refused)?
                && !self.counts(&stored)
            {
                found.push((Slot::VirtualKey, key.id.to_string()));
            }
        }
        Ok(found)
    }

    /// What the file has the last word of is taken out of the store, loudly.
    async fn settle(&self, store: &Store, applied: &mut Applied, overruled: Vec<Place>) {
        let text = self.gateway.config.text();
        let mut superseded: Vec<Place> = text.merged.superseded.clone();
        superseded.extend(overruled);
        if superseded.is_empty() {
            return;
        }
        for (slot, id) in &superseded {
            let kind = kind(*slot).name();
            log::warn!("the file says something new of the {kind} {id:?}: what was set at run time is over");
            if *slot == Slot::VirtualKey {
                self.gateway.directory.remove(id);
            }
        }
        let edit =
            |(slot, id): &Place| Edit::Delete { kind: kind(*slot), id: id.clone(), expected: Expected::Any };
        let change = Change {
            at_ms: clock::now_ms(),
            who: "configuration file".to_owned(),
            address: String::new(),
            action: "file.supersede".to_owned(),
            edits: superseded.iter().map(edit).collect(),
            from_revision: applied.revision,
        };
        match store.change(&change).await {
            Ok(revision) => {
                applied.revision = Some(revision);
                let mut overlay = (*text.overlay).clone();
                superseded.iter().for_each(|place| drop(overlay.layers.remove(place)));
                self.adopt(overlay).await;
            }
            Err(error) => log::warn!("that could not be stored yet: {error}"),
        }
    }
}

impl Applied {
    /// A change of this process is in force.
    pub fn reached(&mut self, revision: u64) {
        self.revision = Some(revision);
    }
}

/// A stored key without what stands beside its configuration.
#[must_use]
pub fn compiled_body(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| !BESIDE.contains(&name.as_str()));
    }
    body
}

fn is_over_file(stored: &Stored) -> bool {
    matches!(stored.source, Provenance::Replaces(_))
}

fn put(overlay: &mut Overlay, stored: Stored) {
    let Some(slot) = slot(stored.kind) else { return };
    let replaces = match stored.source {
        Provenance::Store => None,
        Provenance::Replaces(hash) => Some(hash),
    };
    let body = Some(stored.body).filter(|body| !(body.is_null()));
    overlay.layers.insert((slot, stored.id), Layer { body, replaces, revision: stored.revision });
}
