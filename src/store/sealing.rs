//! Secrets of entities on their way into the database and out of it.
//!
//! Which texts are secrets is `config::secrets`' word; references (`env.NAME`) are none. A sealed text opens for its
//! entity only. The lock, which says what key it was, is a setting: it is read with every change, so that nobody
//! writes with a key that was replaced meanwhile.

use serde_json::Value;

use super::entity::{Change, Edit, Kind, Recorded, Stored};
use super::error::StoreError;
use super::seal::{Lock, Seal, SealError, is_sealed};
use super::setting;
use super::sql::{Database, Sql, Turn, Work};
use crate::config::secrets;
use crate::config::snapshot::Secret;

/// The setting with the lock.
const LOCK: &str = "seal";

/// Seals and opens secrets of entities.
#[derive(Debug)]
pub(super) struct Sealing {
    seal: Seal,
    /// As it is stored; empty without a key.
    lock: String,
}

impl Sealing {
    /// With a key for the first time, what was plain is sealed.
    ///
    /// # Errors
    /// There is none, or another one than what is stored was sealed with.
    pub(super) async fn open(database: &Database, key: Option<&Secret>) -> Result<Self, StoreError> {
        let found = setting::get(&mut database.read().await?, LOCK).await?;
        match (key, found) {
            (None, None) => Ok(Self { seal: Seal::none(), lock: String::new() }),
            (None, Some(_)) => Err(unreadable(SealError::NoKey)),
            (Some(key), Some(lock)) => Self::again(key, lock),
            (Some(key), None) => {
                let mut work = database.write().await?;
                work.turn(Turn::Change).await?;
                // Another process may have been first.
                if let Some(lock) = setting::get(&mut work, LOCK).await? {
                    return Self::again(key, lock);
                }
                let plain = Self { seal: Seal::none(), lock: String::new() };
                let (sealing, count) = plain.replaced(&mut work, key).await?;
                work.commit().await?;
                log::info!("{count} stored secrets were sealed with the encryption key");
                Ok(sealing)
            }
        }
    }

    fn again(key: &Secret, lock: String) -> Result<Self, StoreError> {
        let read: Lock = serde_json::from_str(&lock).map_err(|_| unreadable(SealError::BadLock))?;
        Ok(Self { seal: Seal::again(key.expose(), &read).map_err(unreadable)?, lock })
    }

    /// That the key is still the one that is in use.
    pub(super) async fn check(&self, work: &mut Work) -> Result<(), StoreError> {
        work.turn(Turn::Change).await?;
        if setting::get(work, LOCK).await?.unwrap_or_default() == self.lock {
            return Ok(());
        }
        let message = "its secrets were sealed with another key meanwhile: start again with that one";
        Err(StoreError::Unavailable(message.to_owned()))
    }

    /// The change as it is stored.
    pub(super) fn sealed(&self, change: &Change) -> Result<Change, StoreError> {
        let mut change = change.clone();
        for edit in &mut change.edits {
            if let Edit::Put { kind, id, body, .. } = edit {
                let plain = self.close(&place(kind.name(), id), body)?;
                if plain > 0 && !self.seal.is_keyed() {
                    log::warn!(
                        "{plain} secrets of the {} {id:?} are stored as they are: set encryption_key, \
                        or BIFROST_ENCRYPTION_KEY, to have them sealed",
                        kind.name()
                    );
                }
            }
        }
        Ok(change)
    }

    /// Entities with their secrets.
    pub(super) fn opened<S: Opens>(&self, mut stored: S) -> Result<S, StoreError> {
        stored.each(&mut |kind, id, body| self.reveal(&place(kind.name(), id), body))?;
        Ok(stored)
    }

    /// Changes with the secrets of before and after.
    pub(super) fn open_history(&self, changes: &mut [Recorded]) -> Result<(), StoreError> {
        for edit in changes.iter_mut().flat_map(|change| &mut change.edits) {
            let place = place(edit.kind.name(), &edit.id);
            for body in edit.before.iter_mut().chain(&mut edit.after) {
                self.reveal(&place, body)?;
            }
        }
        Ok(())
    }

    /// Seals all anew under a key of its own salt; gives the number of secrets.
    pub(super) async fn rotate(&self, work: &mut Work, key: &Secret) -> Result<usize, StoreError> {
        Ok(self.replaced(work, key).await?.1)
    }

    async fn replaced(&self, work: &mut Work, key: &Secret) -> Result<(Self, usize), StoreError> {
        let (seal, lock) = Seal::begin(key.expose()).map_err(unreadable)?;
        let lock = serde_json::to_string(&lock).map_err(|_| unreadable(SealError::BadLock))?;
        let next = Self { seal, lock };
        let mut count = 0;
        for row in work.rows("SELECT kind, id, body FROM bifrost_entities", &[]).await? {
            let (kind, id, text) = (row.text(0)?, row.text(1)?, row.text(2)?);
            let mut body = document(&text)?;
            count += self.move_to(&next, &place(&kind, &id), &mut body)?;
            let (body, update) =
                (body.to_string(), "UPDATE bifrost_entities SET body = $1 WHERE kind = $2 AND id = $3");
            work.execute(update, &[(&body).into(), (&kind).into(), (&id).into()]).await?;
        }
        for row in work.rows("SELECT revision, edits FROM bifrost_changes", &[]).await? {
            let (revision, mut edits) = (row.number(0)?, document(&row.text(1)?)?);
            for edit in edits.as_array_mut().into_iter().flatten() {
                let named =
                    |name: &str| edit.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let place = place(&named("kind"), &named("id"));
                for side in ["before", "after"] {
                    if let Some(body) = edit.get_mut(side) {
                        self.move_to(&next, &place, body)?;
                    }
                }
            }
            let edits = edits.to_string();
            let values: [Sql<'_>; 2] = [(&edits).into(), revision.into()];
            work.execute("UPDATE bifrost_changes SET edits = $1 WHERE revision = $2", &values).await?;
        }
        setting::set(work, (LOCK, &next.lock), None).await?;
        Ok((next, count))
    }

    fn move_to(&self, next: &Self, place: &str, body: &mut Value) -> Result<usize, StoreError> {
        self.reveal(place, body)?;
        next.close(place, body)
    }

    /// Seals every secret of a body; gives their number.
    fn close(&self, place: &str, body: &mut Value) -> Result<usize, StoreError> {
        let (mut count, mut failed) = (0, None);
        let mut seal = |text: &mut String| match self.seal.seal(text, place) {
            Ok(sealed) => *text = sealed,
            Err(error) => failed = Some(error),
        };
        // What only looks sealed is no secret, but is to come back as it is.
        texts(body, &mut |text| {
            if is_sealed(text) {
                seal(text);
            }
        });
        secrets::each(body, &mut |_, text| {
            // References are shown as they are: they are no secrets.
            if !is_sealed(text) && secrets::mask(text) != *text {
                seal(text);
                count += 1;
            }
        });
        failed.map_or(Ok(count), |error| Err(unreadable(error)))
    }

    /// Opens every sealed text of a body.
    fn reveal(&self, place: &str, body: &mut Value) -> Result<(), StoreError> {
        let mut failed = None;
        texts(body, &mut |text| {
            if is_sealed(text) {
                match self.seal.open(text, place) {
                    Ok(plain) => *text = plain,
                    Err(error) => failed = Some(error),
                }
            }
        });
        failed.map_or(Ok(()), |error| Err(unreadable(error)))
    }
}

/// What entities are read in.
pub(super) trait Opens {
    fn each(
        &mut self,
        open: &mut dyn FnMut(Kind, &str, &mut Value) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

impl Opens for Option<Stored> {
    fn each(
        &mut self,
        open: &mut dyn FnMut(Kind, &str, &mut Value) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.iter_mut().try_for_each(|stored| open(stored.kind, &stored.id, &mut stored.body))
    }
}

impl Opens for Vec<Stored> {
    fn each(
        &mut self,
        open: &mut dyn FnMut(Kind, &str, &mut Value) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.iter_mut().try_for_each(|stored| open(stored.kind, &stored.id, &mut stored.body))
    }
}

fn place(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

fn document(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable("a document is no JSON".to_owned()))
}

fn texts(value: &mut Value, each: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, each)),
        Value::Object(map) => map.values_mut().for_each(|item| texts(item, each)),
        _ => {}
    }
}

fn unreadable(error: SealError) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::seal::is_plain;
    use super::*;
    use crate::store::audit::Action;
    use crate::store::entity::{Expected, Provenance};
    use crate::store::{Store, StoreSettings};
    use serde_json::json;

    fn body() -> Value {
        json!({
            "keys": [{"name": "k", "value": "sk-live-0123456789abcdef"}, {"name": "e", "value": "env.KEY"}],
            "network_config": {"base_url": "https://user:hunter22@host/x"},
            "description": "bf1:looks sealed",
        })
    }

    fn put(body: Value) -> Change {
        let (kind, source, expected) = (Kind::Provider, Provenance::Store, Expected::Any);
        let edit = Edit::Put { kind, id: "p".into(), name: "p".into(), body, source, expected };
        Change {
            at_ms: 1,
            who: "ada".into(),
            address: String::new(),
            action: "provider.put".into(),
            edits: vec![edit],
            from_revision: None,
        }
    }

    fn told() -> Action {
        let (who, address) = ("ada".to_owned(), String::new());
        Action { at_ms: 2, who, address, action: "secrets.rotate".into(), detail: Value::Null }
    }

    fn key(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    /// All that is in the files of the database.
    fn bytes(folder: &tempfile::TempDir) -> String {
        let files = std::fs::read_dir(folder.path()).unwrap();
        files
            .map(|file| String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned())
            .collect()
    }

    async fn held(store: &Store) -> (Value, Value) {
        let stored = store.entity(Kind::Provider, "p").await.unwrap().unwrap().body;
        let history = store.changes(u64::MAX >> 1, 1).await.unwrap().remove(0).edits.remove(0);
        (stored, history.after.unwrap())
    }

    #[tokio::test]
    async fn secrets_are_sealed_in_the_file_and_open_with_the_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::Sqlite { path: folder.path().join("s.db") };
        let store = Store::open_sealed(&settings, key("first key")).await.unwrap();
        store.change(&put(body())).await.unwrap();
        assert_eq!(held(&store).await, (body(), body()));
        store.close().await;
        let kept = bytes(&folder);
        assert!(kept.contains("env.KEY") && !kept.contains("0123456789abcdef") && !kept.contains("hunter22"));
        for (wrong, why) in [(key("other key"), "is not the one"), (None, "are sealed")] {
            let error = Store::open_sealed(&settings, wrong).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let store = Store::open_sealed(&settings, key("first key")).await.unwrap();
        assert_eq!(held(&store).await, (body(), body()));
    }

    #[tokio::test]
    async fn a_first_key_seals_what_was_plain_and_a_rotation_seals_all_anew() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::Sqlite { path: folder.path().join("s.db") };
        let plain = Store::open(&settings).await.unwrap();
        plain.change(&put(body())).await.unwrap();
        assert_eq!(held(&plain).await, (body(), body()));
        plain.close().await;
        let first = Store::open_sealed(&settings, key("first key")).await.unwrap();
        let running = Store::open_sealed(&settings, key("first key")).await.unwrap();
        assert_eq!(held(&first).await, (body(), body()));
        assert_eq!(first.rotate(&Secret::new("second key"), &told()).await, Ok(2));
        let refused = running.change(&put(body())).await.unwrap_err().to_string();
        assert!(refused.contains("another key"), "{refused}");
        first.close().await;
        running.close().await;
        assert!(Store::open_sealed(&settings, key("first key")).await.is_err());
        let second = Store::open_sealed(&settings, key("second key")).await.unwrap();
        assert_eq!(held(&second).await, (body(), body()));
    }

    #[test]
    fn without_a_key_nothing_plain_is_mistaken_for_sealed() {
        let (sealing, mut kept) = (Sealing { seal: Seal::none(), lock: String::new() }, body());
        assert_eq!(sealing.close("provider/p", &mut kept).unwrap(), 2);
        assert!(is_plain(kept["keys"][0]["value"].as_str().unwrap()));
        sealing.reveal("provider/p", &mut kept).unwrap();
        assert_eq!(kept, body());
    }
}
