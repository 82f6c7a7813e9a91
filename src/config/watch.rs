//! Reloads when the configuration file changes.
//!
//! The folder is watched, not the file: editors and Kubernetes replace files and links. What counts is
//! the content, so a burst of events is one reload and a touched file is none.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::reload::ConfigHolder;
use super::snapshot::Origin;

/// A change is taken once the file was quiet this long …
const QUIET: Duration = Duration::from_millis(200);
/// … or, when it never is, this long after the first event.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Watching ends when this is dropped.
#[must_use = "watching ends when the guard is dropped"]
pub struct WatchGuard(#[expect(dead_code, reason = "held for its Drop")] Option<RecommendedWatcher>);

impl ConfigHolder {
    /// Watches the file in a thread of its own and reloads on change. Without a file it does nothing.
    ///
    /// # Errors
    /// When the folder cannot be watched or the thread cannot be started.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<WatchGuard> {
        let Origin::File(path) = self.origin() else { return Ok(WatchGuard(None)) };
        let (sender, receiver) = sync_channel(1);
        let watcher = watcher(path, sender).map_err(std::io::Error::other)?;
        let holder = Arc::clone(self);
        std::thread::Builder::new()
            .name("config-watch".to_owned())
            .spawn(move || follow(&holder, &receiver))?;
        Ok(WatchGuard(Some(watcher)))
    }
}

fn watcher(path: &Path, sender: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    // A link's own folder and its target's: either may be the one that changes.
    let targets: Vec<PathBuf> = std::iter::once(path.to_owned()).chain(path.canonicalize()).collect();
    let names: Vec<OsString> = targets.iter().filter_map(|t| t.file_name().map(OsStr::to_owned)).collect();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, |event| concerns(event, &names)) {
            // A full channel already holds a wake-up.
            let _ = sender.try_send(());
        }
    })?;
    let mut folders: Vec<&Path> = targets.iter().filter_map(|target| target.parent()).collect();
    folders.dedup();
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The event may have changed the file. Names that begin with two dots are Kubernetes' volume links.
fn concerns(event: &Event, names: &[OsString]) -> bool {
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| {
            names.iter().any(|own| own == name) || name.to_string_lossy().starts_with("..")
        })
    };
    !matches!(event.kind, EventKind::Access(_)) && (event.paths.is_empty() || event.paths.iter().any(ours))
}

fn follow(holder: &ConfigHolder, events: &Receiver<()>) {
    // The file may have changed between its reading and the start of the watch.
    let _ = holder.reload_if_changed();
    while events.recv().is_ok() {
        let first = Instant::now();
        let open = loop {
            match events.recv_timeout(QUIET) {
                Ok(()) if first.elapsed() < LONGEST_WAIT => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => break true,
                Err(RecvTimeoutError::Disconnected) => break false,
            }
        };
        if !open {
            return;
        }
        // Both outcomes are logged and kept in the status.
        let _ = holder.reload_if_changed();
    }
}
