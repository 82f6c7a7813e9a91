//! Model names resolved before: the catalog is asked once per name and configuration.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use govern::catalog::Catalog;

use super::endpoint::Family;
use super::model::{self, UnknownModel};
use crate::config::snapshot::{ModelRef, Snapshot};

/// Resolved names of one configuration.
#[derive(Debug, Default)]
pub struct Routes {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Of the snapshot they were resolved against.
    version: u64,
    /// By family, then by the name as the caller wrote it.
    names: [HashMap<Box<str>, ModelRef>; Family::COUNT],
}

impl Routes {
    /// Names per family; callers can write any name, memory must not follow them.
    const MOST: usize = 1024;

    /// As [`model::resolve`].
    ///
    /// # Errors
    /// As there; failures are not kept.
    pub fn resolve(
        &self,
        name: &str,
        family: Family,
        snapshot: &Snapshot,
        catalog: &Catalog<'_>,
    ) -> Result<ModelRef, UnknownModel> {
        if let Some(found) = self.find(name, family, snapshot.version) {
            return Ok(found);
        }
        let found = model::resolve(name, family, snapshot, catalog)?;
        self.keep(name, family, snapshot.version, &found);
        Ok(found)
    }

    fn find(&self, name: &str, family: Family, version: u64) -> Option<ModelRef> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.version != version {
            return None;
        }
        known.names.get(family as usize)?.get(name).cloned()
    }

    fn keep(&self, name: &str, family: Family, version: u64, found: &ModelRef) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.version > version {
            // A request that began before a reload: its names are of the past.
            return;
        }
        if known.version < version {
            *known = Known { version, ..Known::default() };
        }
        if let Some(names) = known.names.get_mut(family as usize)
            && names.len() < Self::MOST
        {
            names.insert(name.into(), found.clone());
        }
    }
}
