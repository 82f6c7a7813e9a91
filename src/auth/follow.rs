//! The configuration file's keys, kept as the file has them.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::Directory;
use crate::config::ConfigHolder;

/// A directory with the keys of the configuration in force, and of each that replaces it.
#[must_use]
pub fn start(holder: &Arc<ConfigHolder>, background: &Handle) -> Arc<Directory> {
    let directory = Arc::new(Directory::default());
    let mut versions = holder.versions();
    versions.mark_unchanged();
    fill(&directory, holder);
    let (kept, holder) = (Arc::downgrade(&directory), Arc::clone(holder));
    background.spawn(async move {
        while versions.changed().await.is_ok() {
            let Some(directory) = kept.upgrade() else { return };
            fill(&directory, &holder);
        }
    });
    directory
}

fn fill(directory: &Directory, holder: &ConfigHolder) {
    directory.replace_file(holder.load_full().governance.virtual_keys.clone());
}
