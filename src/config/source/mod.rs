//! Where a configuration comes from: a file, or the environment alone.

mod file;
pub mod overlay;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compile::{Loaded, compile, present};
use super::document::Document;
use super::environment::Environment;
use super::problem::{Problem, child, dotted};
use super::snapshot::Origin;

pub(super) use file::{document, fingerprint};
pub use overlay::{Layer, Merged, Overlay, Place, Slot, Source};

/// File names looked for in the app directory, in this order.
const NAMES: [&str; 3] = ["config.json", "config.yaml", "config.yml"];

/// `$XDG_CONFIG_HOME/bifrost`, else `~/.config/bifrost`; `None` without a home.
#[must_use]
pub fn default_app_dir(environment: &Environment) -> Option<PathBuf> {
    let xdg = environment.filled("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = xdg.or_else(|| environment.filled("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(base.join("bifrost"))
}

/// The named file, else the first configuration in the app directory, else the environment.
///
/// A named file is taken even when it is not there: reading it then says so.
#[must_use]
pub fn discover(config: Option<&Path>, app_dir: Option<&Path>) -> Origin {
    if let Some(path) = config {
        return Origin::File(path.to_owned());
    }
    let found = app_dir.and_then(|dir| NAMES.iter().map(|name| dir.join(name)).find(|path| path.is_file()));
    found.map_or(Origin::Environment, Origin::File)
}

/// Reads and compiles an origin. `version` is the new snapshot's number.
///
/// # Errors
/// Every problem of the file, or that it cannot be read.
pub fn load(origin: &Origin, environment: &Environment, version: u64) -> Result<Loaded, Vec<Problem>> {
    compile(&read(origin)?, environment, version)
}

/// The text of an origin.
///
/// # Errors
/// That it cannot be read, or its syntax errors.
pub(super) fn read(origin: &Origin) -> Result<Document, Vec<Problem>> {
    match origin {
        Origin::Environment => Ok(Document::empty()),
        Origin::File(path) => document(path),
    }
}

/// Where an entity stands with what was set at run time, as people write paths.
pub(super) fn dotted_place(
    file: &Document,
    overlay: &Overlay,
    (environment, slot, id): (&Environment, Slot, &str),
) -> Option<String> {
    let Some(pointer) = slot.pointer() else { return Some(dotted(&format!("/{id}"))) };
    let merged = overlay::merge(file, overlay, &present(environment));
    match merged.document.root.pointer(pointer)? {
        Value::Array(list) => {
            let at = list.iter().position(|entity| slot.id_of(entity).as_deref() == Some(id))?;
            Some(dotted(&child(pointer, &at.to_string())))
        }
        _ => Some(dotted(&child(pointer, id))),
    }
}

/// Compiles what an origin says with what was set at run time over it.
///
/// # Errors
/// Every problem; those of what was set at run time have no place in the file.
pub(super) fn combine(
    file: &Document,
    overlay: &Overlay,
    (environment, version): (&Environment, u64),
) -> Result<(Loaded, Merged), Vec<Problem>> {
    let merged = overlay::merge(file, overlay, &present(environment));
    let loaded = compile(&merged.document, environment, version)?;
    Ok((loaded, merged))
}
