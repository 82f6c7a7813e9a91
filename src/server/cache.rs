//! What the cache is given: who compares by meaning, and how its stores are made.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::semantic::Semantic;
use crate::cache::vector::embedded::{Bounds, Embedded};
use crate::cache::vector::{VectorError, VectorStore};
use crate::cli::Serve;
use crate::config::cache::{self as settings, StoreKind};
use crate::config::{Environment, default_app_dir};
use crate::proxy::Gateway;

/// The file of the embedded store, in the app directory.
const FILE: &str = "bifrost-cache.db";

/// Before the cache follows the configuration.
pub(super) fn furnish(gateway: &Arc<Gateway>, options: &Serve) {
    let cache = &gateway.cache;
    cache.compares(Arc::new(Semantic::new(Arc::clone(&gateway.inner), Arc::clone(&cache.lookups))));
    let app_dir = options.app_dir.clone().or_else(|| default_app_dir(&Environment::Real));
    let (of, background) = (Arc::downgrade(cache), gateway.background.clone());
    cache.makes(Box::new(move |wanted| {
        let cache = of.upgrade().ok_or_else(|| VectorError::Unavailable("the cache is gone".to_owned()))?;
        match &wanted.kind {
            StoreKind::Embedded(embedded) => {
                let store = Arc::new(made(embedded, app_dir.clone())?);
                store.start(cache.runtime(&background));
                Ok(store as Arc<dyn VectorStore>)
            }
            other => Err(VectorError::Refused(format!("{} is not active in this version", other.name()))),
        }
    }));
}

fn made(wanted: &settings::Embedded, app_dir: Option<PathBuf>) -> Result<Embedded, VectorError> {
    let beside = |path: PathBuf| match &app_dir {
        Some(folder) => folder.join(path),
        None => path,
    };
    let path = match &wanted.path {
        Some(path) => beside(path.clone()),
        None if app_dir.is_some() => beside(FILE.into()),
        None => return Err(VectorError::Refused("there is no app directory for its file".to_owned())),
    };
    Ok(Embedded::new(path, Bounds { entries: wanted.entries, bytes: wanted.bytes }))
}
