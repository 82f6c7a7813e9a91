//! The control socket: where a successor asks for the listeners, and `bifrost upgrade` for a successor.
//!
//! A Unix socket that only the same user and root may use. One line asks, lines answer. Nothing of the request
//! path comes here; a thread waits, and each caller has one of its own.

use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::handover::{self, PATIENCE, SOCKETS};
use super::life::Life;
use super::neighbour::trusted;
use super::sockets::Kept;
use super::successor::Launch;
use crate::telemetry::events::{Event, emit, step};

/// Asks the gateway to start a successor: `upgrade /path/to/binary`, the path may be absent.
pub const UPGRADE: &str = "upgrade";
/// Begins the last line of an upgrade that succeeded, and of one that did not.
pub const DONE: &str = "done: ";
pub const FAILED: &str = "failed: ";

/// What the control socket needs to answer.
pub struct Control {
    pub path: PathBuf,
    pub life: Arc<Life>,
    pub kept: Arc<Kept>,
    pub launch: Launch,
    closed: AtomicBool,
    /// Device and inode of the file that was made.
    made: OnceLock<(u64, u64)>,
}

impl Control {
    #[must_use]
    pub fn new(path: PathBuf, life: Arc<Life>, kept: Arc<Kept>, launch: Launch) -> Arc<Self> {
        Arc::new(Self { path, life, kept, launch, closed: AtomicBool::new(false), made: OnceLock::new() })
    }

    /// Listens from now on; `succeeds` when the socket's former owner has handed over.
    ///
    /// # Errors
    /// The path cannot be used, or another gateway answers there.
    pub fn open(self: &Arc<Self>, succeeds: bool) -> io::Result<()> {
        if !succeeds && UnixStream::connect(&self.path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another gateway answers there"));
        }
        let listener = bind(&self.path)?;
        if let Some(file) = file(&self.path) {
            let _ = self.made.set(file);
        }
        let control = Arc::clone(self);
        let accept = move || {
            for caller in listener.incoming() {
                if control.closed.load(Ordering::Acquire) {
                    return;
                }
                let control = Arc::clone(&control);
                let served = caller.and_then(|caller| {
                    let serve = move || control.serve(caller);
                    std::thread::Builder::new().name("control".to_owned()).spawn(serve)
                });
                if let Err(error) = served {
                    log::error!("a caller of the control socket was not served: {error}");
                    // No descriptors, no threads: not the next moment either.
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(accept).map(drop)
    }

    /// Answers nobody any more. The file goes unless a successor comes (`is_last`) or it is another gateway's.
    pub fn close(&self, is_last: bool) {
        let first = !self.closed.swap(true, Ordering::AcqRel);
        if first && is_last && self.made.get().is_some_and(|made| file(&self.path) == Some(*made)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn serve(&self, caller: UnixStream) {
        if let Err(error) = self.answer(caller) {
            log::warn!("a caller of the control socket was not served: {error}");
        }
    }

    fn answer(&self, caller: UnixStream) -> io::Result<()> {
        let pid = trusted(&caller)?;
        caller.set_read_timeout(Some(PATIENCE))?;
        let mut caller = BufReader::new(caller);
        let mut line = String::new();
        caller.read_line(&mut line)?;
        match line.trim().strip_prefix(UPGRADE) {
            Some(binary) => self.upgrade(caller, binary.trim()),
            None if line.trim() == SOCKETS => self.offer(caller, pid),
            // Somebody who only looks whether the gateway is there.
            None => log::debug!("the control socket was asked for nothing known"),
        }
        Ok(())
    }

    fn offer(&self, successor: BufReader<UnixStream>, pid: Option<u32>) {
        let named = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
        step(&format!("{named} asks for the listeners"));
        match handover::offer(successor, pid, &self.kept, &self.life) {
            Ok(true) => step(&format!("{named} has taken over")),
            Ok(false) => log::warn!("{named} came too late to take over"),
            Err(error) => log::error!("{named} did not take over, this one serves on: {error}"),
        }
    }

    /// Has a successor started and tells how it went; the connection stays open until this process ends.
    fn upgrade(&self, caller: BufReader<UnixStream>, binary: &str) {
        let mut caller = caller;
        let binary = (!binary.is_empty()).then(|| PathBuf::from(binary));
        let mut say = |line: &str| {
            step(line);
            // Whoever asked may have left: the upgrade goes on.
            let _ = writeln!(caller.get_mut(), "{line}");
        };
        let last = match self.launch.run(binary, &self.life, &mut say) {
            Ok(pid) => format!(
                "{DONE}process {pid} serves; process {} ends with its last request",
                std::process::id()
            ),
            Err(reason) => {
                emit(Event::UpgradeFailed { why: &reason.to_string() });
                format!("{FAILED}{reason}")
            }
        };
        let _ = writeln!(caller.get_mut(), "{last}");
        // It reads the end of this process from the end of the connection.
        if last.starts_with(DONE) {
            std::mem::forget(caller);
        }
    }
}

fn file(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

/// A socket at `path` in one step: never half made, never open to others.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    let named = std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&fresh, path));
    if let Err(error) = named {
        let _ = std::fs::remove_file(&fresh);
        return Err(error);
    }
    Ok(listener)
}
