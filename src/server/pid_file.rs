//! The file that holds the process id, where one is configured.

use std::path::PathBuf;

/// A file that names the process which serves.
#[derive(Debug, Clone)]
pub struct PidFile(pub Option<PathBuf>);

impl PidFile {
    /// Names this process, in one step: nobody reads half a number.
    pub fn write(&self) {
        let Some(path) = &self.0 else { return };
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let written = std::fs::write(&fresh, format!("{}\n", std::process::id()))
            .and_then(|()| std::fs::rename(&fresh, path));
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
