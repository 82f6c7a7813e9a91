//! The current snapshot and how it is replaced.
//!
//! A reload compiles the whole origin anew, with what was set at run time over it. Only a configuration without problems
//! replaces the old snapshot; otherwise the old one stays and the reason is logged and kept for `/health` and metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::document::Document;
use super::environment::Environment;
use super::problem::Problem;
use super::raw;
use super::snapshot::{Origin, Snapshot};
use super::source::{Merged, Overlay, Slot, Source, combine, dotted_place, fingerprint, read};
use crate::telemetry::events::{Event, emit};

/// How reloading went so far.
#[derive(Debug, Clone)]
pub struct ReloadStatus {
    /// When the current snapshot was made.
    pub last_ok: SystemTime,
    /// When the file was read last, however that went.
    pub last_read: SystemTime,
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
    /// What the snapshot was made of.
    text: ArcSwap<Text>,
    /// The version in force, for those who follow it.
    versions: watch::Sender<u64>,
    status: Mutex<ReloadStatus>,
    /// Fingerprint of the file when it was last read, successfully or not. Held over a whole reload, so
    /// that two never run at once.
    seen: Mutex<Option<u64>>,
}

/// What a snapshot was made of.
#[derive(Debug)]
pub struct Text {
    /// What the file says.
    pub file: Arc<Document>,
    /// What was set at run time.
    pub overlay: Arc<Overlay>,
    /// The one over the other.
    pub merged: Merged,
}

/// A configuration that could be put in force.
#[derive(Debug)]
pub struct Prepared {
    snapshot: Snapshot,
    text: Text,
}

impl Prepared {
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    #[must_use]
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// Says which revision the change has that this was prepared for: layers without one are of it.
    pub fn stamp(&mut self, revision: u64) {
        let overlay = Arc::make_mut(&mut self.text.overlay);
        for layer in overlay.layers.values_mut().filter(|layer| layer.revision == 0) {
            layer.revision = revision;
        }
        for source in self.text.merged.sources.values_mut() {
            if let Source::Store { revision: of @ 0, .. } = source {
                *of = revision;
            }
        }
    }
}

impl ConfigHolder {
    /// Loads `origin` for the first time.
    ///
    /// # Errors
    /// Every problem; nothing can be served then.
    pub fn open(origin: Origin, environment: Environment) -> Result<Self, Vec<Problem>> {
        let seen = seen(&origin);
        let (file, overlay) = (Arc::new(read(&origin)?), Arc::default());
        let (loaded, merged) = combine(&file, &overlay, (&environment, 1))?;
        let now = SystemTime::now();
        let status =
            ReloadStatus { last_ok: now, last_read: now, last_error: None, reloads_ok: 0, reloads_failed: 0 };
        Ok(Self {
            origin,
            environment,
            server: loaded.server,
            versions: watch::Sender::new(loaded.snapshot.version),
            snapshot: ArcSwap::from_pointee(loaded.snapshot),
            text: ArcSwap::from_pointee(Text { file, overlay, merged }),
            status: Mutex::new(status),
            seen: Mutex::new(seen),
        })
    }

    /// The current snapshot. A request takes it once and keeps it.
    #[must_use]
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What the snapshot in force was made of.
    #[must_use]
    pub fn text(&self) -> Arc<Text> {
        self.text.load_full()
    }

    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
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

    /// What the configuration would be with `overlay` over the file as it was last read.
    ///
    /// # Errors
    /// Every problem; nothing is logged.
    pub fn prepare(&self, overlay: Arc<Overlay>) -> Result<Prepared, Vec<Problem>> {
        let file = Arc::clone(&self.text.load().file);
        let (loaded, merged) = combine(&file, &overlay, (&self.environment, 0))?;
        Ok(Prepared { snapshot: loaded.snapshot, text: Text { file, overlay, merged } })
    }

    /// Where an entity stands in the configuration with `overlay`, as people write paths.
    #[must_use]
    pub fn dotted_place(&self, overlay: &Overlay, slot: Slot, id: &str) -> Option<String> {
        dotted_place(&self.text.load().file, overlay, (&self.environment, slot, id))
    }

    /// Puts in force what was prepared; anew, when the file was read meanwhile.
    ///
    /// # Errors
    /// Every problem of the file that was read meanwhile with what was set at run time; the old snapshot stays.
    pub fn adopt(&self, prepared: Prepared) -> Result<(), Vec<Problem>> {
        let _alone = unpoisoned(&self.seen);
        let current = Arc::ptr_eq(&self.text.load().file, &prepared.text.file);
        let prepared = if current { prepared } else { self.prepare(prepared.text.overlay)? };
        self.swap(prepared.snapshot, prepared.text);
        Ok(())
    }

    fn reload_locked(&self, last_seen: &mut Option<u64>) -> Result<(), Vec<Problem>> {
        *last_seen = seen(&self.origin);
        let overlay = Arc::clone(&self.text.load().overlay);
        let made = read(&self.origin).and_then(|file| {
            let (loaded, merged) = combine(&file, &overlay, (&self.environment, 0))?;
            Ok((loaded, Text { file: Arc::new(file), overlay, merged }))
        });
        match made {
            Ok((mut loaded, text)) => {
                if loaded.server != self.server {
                    let warning = "changes of \"server\" need a restart; the old values stay until then";
                    loaded.snapshot.warnings.push(warning.to_owned());
                }
                if loaded.snapshot.stores != self.snapshot.load().stores {
                    let warning = "changes of \"config_store\" and \"logs_store\" need a restart";
                    loaded.snapshot.warnings.push(warning.to_owned());
                }
                for warning in &loaded.snapshot.warnings {
                    log::warn!("{warning}");
                }
                let version = self.swap(loaded.snapshot, text);
                let mut status = unpoisoned(&self.status);
                status.last_ok = SystemTime::now();
                status.last_read = status.last_ok;
                status.last_error = None;
                status.reloads_ok += 1;
                emit(Event::ConfigReloaded { version });
                Ok(())
            }
            Err(problems) => {
                for problem in &problems {
                    log::error!("{problem}");
                }
                emit(Event::ConfigRejected { problems: problems.len() });
                let mut status = unpoisoned(&self.status);
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                status.last_read = SystemTime::now();
                status.last_error = Some(lines.join("\n"));
                status.reloads_failed += 1;
                Err(problems)
            }
        }
    }

    /// Puts a snapshot in force and gives its number. The lock of `seen` is held.
    fn swap(&self, mut snapshot: Snapshot, text: Text) -> u64 {
        let version = self.snapshot.load().version + 1;
        snapshot.version = version;
        self.text.store(Arc::new(text));
        self.snapshot.store(Arc::new(snapshot));
        self.versions.send_replace(version);
        version
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
