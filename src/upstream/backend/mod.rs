//! What is known of the servers behind several base URLs, kept over reloads as long as nothing about them changes.
//!
//! A group of servers stands below a key: which step and which key is decided before ([`super::select`]), and what a
//! server did says nothing of the key as long as another one can answer. Which server takes a request is decided in
//! `govern::balance` and by the ring of [`group`]; [`watch`] has them checked.

mod check;
mod group;
pub mod watch;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

pub use group::{Group, Standing, Visit, Wanted};

use super::ask::Asker;
use crate::config::backend::Backends;
use crate::config::snapshot::{Key, Provider, Snapshot};

/// All groups that were asked or are checked.
pub struct Groups {
    epoch: Instant,
    asker: Arc<Asker>,
    known: RwLock<HashMap<u64, Arc<Group>>>,
}

impl Groups {
    #[must_use]
    pub fn new(asker: Arc<Asker>) -> Self {
        Self { epoch: Instant::now(), asker, known: RwLock::default() }
    }

    /// The servers that `key` of `provider` is asked at; `None` when there is but one.
    #[must_use]
    pub fn of(&self, provider: &Arc<Provider>, key: &Key) -> Option<Arc<Group>> {
        let spec = key.backends.as_ref().or(provider.backends.as_ref())?;
        Some(self.find(provider, spec))
    }

    /// Every group of `snapshot`, with the key it belongs to where it is not the provider's.
    #[must_use]
    pub fn all(&self, snapshot: &Snapshot) -> Vec<(Arc<Group>, Option<Arc<str>>)> {
        let mut all = Vec::new();
        for provider in &snapshot.providers {
            let of_keys = provider.keys.iter().filter(|key| key.disabled.is_none());
            let of_keys =
                of_keys.filter_map(|key| Some((key.backends.as_ref()?, Some(Arc::clone(&key.name)))));
            let own = provider.backends.as_ref().map(|own| (own, None));
            all.extend(own.into_iter().chain(of_keys).map(|(spec, key)| (self.find(provider, spec), key)));
        }
        all
    }

    /// Forgets the groups that are not in `snapshot`; requests under way keep theirs.
    fn keep(&self, snapshot: &Snapshot) {
        let ids: Vec<u64> = self.all(snapshot).iter().map(|(group, _)| group.id()).collect();
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| ids.contains(id));
    }

    fn find(&self, provider: &Arc<Provider>, spec: &Arc<Backends>) -> Arc<Group> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&spec.id) {
            return Arc::clone(found);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Group::new(provider, spec, self.epoch, &self.asker));
        Arc::clone(known.entry(spec.id).or_insert_with(make))
    }
}
