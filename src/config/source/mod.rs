//! Where a configuration comes from: a file, or the environment alone.

mod file;

use std::path::{Path, PathBuf};

use super::compile::{Loaded, compile, compile_environment};
use super::environment::Environment;
use super::problem::Problem;
use super::snapshot::Origin;

pub(super) use file::{document, fingerprint};

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
    match origin {
        Origin::Environment => compile_environment(environment, version),
        Origin::File(path) => compile(&document(path)?, environment, version),
    }
}
