//! Other processes: who is at the far end of the control socket, and whether one still runs.
//!
//! Decides nothing about upgrades. Where the system does not tell the far end's user, the socket's mode (0600) is
//! what protects it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

/// The process at the other end, if it belongs to the same user or to root.
///
/// # Errors
/// It belongs to somebody else.
pub fn trusted(stream: &UnixStream) -> io::Result<Option<u32>> {
    believed(stream, false)
}

/// The process at the other end of the socket at `place`. Root believes any user there, as long as that user alone
/// can have put it there: services run as users of their own, and it is root that upgrades them.
///
/// # Errors
/// It belongs to somebody else.
pub fn trusted_at(place: &Path, stream: &UnixStream) -> io::Result<Option<u32>> {
    believed(stream, rustix::process::geteuid().is_root() && !is_open_to_others(place))
}

/// Whether more than one user can make files where `place` is, as in `/tmp`.
fn is_open_to_others(place: &Path) -> bool {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(folder).map_or(true, |about| about.permissions().mode() & 0o022 != 0)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn believed(stream: &UnixStream, whoever: bool) -> io::Result<Option<u32>> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() && !whoever {
        let said = format!("the process there belongs to user {}", peer.uid.as_raw());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, said));
    }
    Ok(u32::try_from(peer.pid.as_raw_nonzero().get()).ok())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn believed(_stream: &UnixStream, _whoever: bool) -> io::Result<Option<u32>> {
    Ok(None)
}

/// A process id as the system's calls take it.
#[must_use]
pub fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Whether a process runs. One that has ended may wait long for its parent to bury it.
#[must_use]
pub fn lives(process: u32) -> bool {
    let buried = pid(process).is_none_or(|pid| test_kill_process(pid).is_err());
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !buried && !matches!(state, Some('Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_to_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("control.sock");
        for (mode, open) in [(0o755, false), (0o700, false), (0o1777, true), (0o775, true)] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_others(&place), open, "{mode:o}");
        }
        assert!(is_open_to_others(Path::new("/nonexistent/control.sock")));
    }

    #[test]
    fn a_process_that_ended_and_was_not_buried_does_not_live() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(lives(child.id()));
        child.kill().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while lives(child.id()) {
            assert!(std::time::Instant::now() < until);
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
