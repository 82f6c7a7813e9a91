//! The current snapshot and how it is replaced.
//!
//! A reload compiles the whole origin anew. Only a configuration without problems replaces the old
//! snapshot; otherwise the old one stays and the reason is logged and kept for `/health` and metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::environment::Environment;
use super::problem::Problem;
use super::raw;
use super::snapshot::{Origin, Snapshot};
use super::source::{fingerprint, load};

/// How reloading went so far.
#[derive(Debug, Clone)]
pub struct ReloadStatus {
    /// When the current snapshot was made.
    pub last_ok: SystemTime,
    /// Every problem of the last reload, one per line; `None` when it succeeded.
    pub last_error: Option<String>,
    /// Successful reloads, the start not counted.
    pub reloads_ok: u64,
    pub reloads_failed: u64,
}

/// The current snapshot, its origin and its history.
#[derive(Debug)]
pub struct ConfigHolder {
    origin: Origin,
    environment: Environment,
    server: raw::Server,
    snapshot: ArcSwap<Snapshot>,
    /// The version in force, for those who follow it.
    versions: watch::Sender<u64>,
    status: Mutex<ReloadStatus>,
    /// Fingerprint of the file when it was last read, successfully or not. Held over a whole reload, so
    /// that two never run at once.
    seen: Mutex<Option<u64>>,
}

impl ConfigHolder {
    /// Loads `origin` for the first time.
    ///
    /// # Errors
    /// Every problem; nothing can be served then.
    pub fn open(origin: Origin, environment: Environment) -> Result<Self, Vec<Problem>> {
        let seen = seen(&origin);
        let loaded = load(&origin, &environment, 1)?;
        let status =
            ReloadStatus { last_ok: SystemTime::now(), last_error: None, reloads_ok: 0, reloads_failed: 0 };
        Ok(Self {
            origin,
            environment,
            server: loaded.server,
            versions: watch::Sender::new(loaded.snapshot.version),
            snapshot: ArcSwap::from_pointee(loaded.snapshot),
            status: Mutex::new(status),
            seen: Mutex::new(seen),
        })
    }

    /// The current snapshot. A request takes it once and keeps it.
    #[must_use]
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The version in force, and each that replaces it.
    #[must_use]
    pub fn versions(&self) -> watch::Receiver<u64> {
        self.versions.subscribe()
    }

    /// The `server` section as it was at start.
    #[must_use]
    pub fn server(&self) -> &raw::Server {
        &self.server
    }

    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        unpoisoned(&self.status).clone()
    }

    /// Reads the origin again and swaps the snapshot.
    ///
    /// # Errors
    /// Every problem, logged too; the old snapshot stays.
    pub fn reload(&self) -> Result<(), Vec<Problem>> {
        let mut last_seen = unpoisoned(&self.seen);
        self.reload_locked(&mut last_seen)
    }

    /// Reloads when the file's content is not the one last read; `None` when it is.
    pub(super) fn reload_if_changed(&self) -> Option<Result<(), Vec<Problem>>> {
        let mut last_seen = unpoisoned(&self.seen);
        let now = seen(&self.origin);
        // A file that is gone for a moment is being replaced: wait for the next event.
        (now.is_some() && now != *last_seen).then(|| self.reload_locked(&mut last_seen))
    }

    fn reload_locked(&self, last_seen: &mut Option<u64>) -> Result<(), Vec<Problem>> {
        *last_seen = seen(&self.origin);
        let version = self.snapshot.load().version + 1;
        match load(&self.origin, &self.environment, version) {
            Ok(mut loaded) => {
                if loaded.server != self.server {
                    let warning = "changes of \"server\" need a restart; the old values stay until then";
                    loaded.snapshot.warnings.push(warning.to_owned());
                }
                for warning in &loaded.snapshot.warnings {
                    log::warn!("{warning}");
                }
                self.snapshot.store(Arc::new(loaded.snapshot));
                self.versions.send_replace(version);
                let mut status = unpoisoned(&self.status);
                status.last_ok = SystemTime::now();
                status.last_error = None;
                status.reloads_ok += 1;
                log::info!("configuration reloaded, version {version}");
                Ok(())
            }
            Err(problems) => {
                for problem in &problems {
                    log::error!("{problem}");
                }
                log::error!("the configuration has {} problem(s); the old one stays", problems.len());
                let mut status = unpoisoned(&self.status);
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                status.last_error = Some(lines.join("\n"));
                status.reloads_failed += 1;
                Err(problems)
            }
        }
    }
}

fn seen(origin: &Origin) -> Option<u64> {
    match origin {
        Origin::Environment => None,
        Origin::File(path) => fingerprint(path),
    }
}

/// The guarded values are whole after any panic: they are only ever replaced.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
