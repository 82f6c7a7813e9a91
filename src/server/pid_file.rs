//! The file that holds the process id, where one is configured.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that names the process which serves.
#[derive(Debug, Clone)]
pub struct PidFile(pub Option<PathBuf>);

impl PidFile {
    /// Names this process, in one step: nobody reads half a number.
    pub fn write(&self) {
        let Some(path) = &self.0 else { return };
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let written = write(&fresh).and_then(|()| std::fs::rename(&fresh, path));
        if let Err(error) = written {
            log::warn!("the pid file {} was not written: {error}", path.display());
        }
    }

    /// Removes it, unless it names another process: a successor's is not ours.
    pub fn remove(&self) {
        let Some(path) = &self.0 else { return };
        let own = std::process::id().to_string();
        if std::fs::read_to_string(path).is_ok_and(|text| text.trim() == own) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A new file: what somebody else has put there, in a folder like `/tmp`, is not written to.
fn write(fresh: &Path) -> std::io::Result<()> {
    let _ = std::fs::remove_file(fresh);
    let mut file = std::fs::File::options().write(true).create_new(true).open(fresh)?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::PidFile;

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("pid"), folder.path().join("victim"));
        std::fs::write(&victim, "precious").unwrap();
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        std::os::unix::fs::symlink(&victim, fresh).unwrap();
        PidFile(Some(path.clone())).write();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(path).unwrap().trim(), std::process::id().to_string());
    }
}
