//! What was spent, on disk before the caller has its last byte: an append-only file per process.
//!
//! A record is one line, written by one `write` into the page cache: some microseconds, and it outlives the process however
//! that ends (a crash of the machine may lose what the kernel had not written yet). Whoever keeps the ledger reads the
//! lines behind, in batches, and remembers in the ledger's own transaction how far it came: so each line counts exactly
//! once, whenever the process is killed. Files of processes that are gone are found by their lock, and finished by
//! whoever finds them.
//!
//! This file knows neither what a line says nor who reads it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file is closed and a new one begun beyond this.
const LARGEST: u64 = 64 * 1024 * 1024;
/// Most bytes of one batch: read, understood and counted in one go.
const BATCH: u64 = 256 * 1024;
const ENDING: &str = "journal";

/// The writer's side, shared by all requests.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    writer: String,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    name: String,
    /// Of the process's files.
    number: u32,
    length: u64,
    /// Full files whose lock is kept until they are read: nobody else may take them.
    full: Vec<(String, File)>,
}

/// Lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The file's name.
    pub file: String,
    /// Whole lines, each with its line feed.
    pub lines: Vec<u8>,
    /// The place of the first of them, and the one behind the last.
    pub from: u64,
    pub end: u64,
}

impl Journal {
    /// Opens a new file in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let writer = format!("{since:015}-{process}-{number}");
        let current = Current::begin(folder, &writer, 0)?;
        Ok(Self { folder: folder.to_owned(), writer, current: Mutex::new(current) })
    }

    /// Who writes this journal: no two processes have the same name.
    #[must_use]
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// Who wrote a file.
    #[must_use]
    pub fn writer_of(file: &str) -> &str {
        file.rsplit_once('-').map_or(file, |(writer, _)| writer)
    }

    /// Appends one record: `line` must end with its only line feed.
    ///
    /// # Errors
    /// It could not be written (the disk is full, or gone): nothing of it will be read.
    pub fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.length >= LARGEST {
            // Where no other can be begun, this one grows on.
            if let Ok(next) = Current::begin(&self.folder, &self.writer, current.number.wrapping_add(1)) {
                let before = std::mem::replace(&mut *current, next);
                current.full = before.full;
                current.full.push((before.name, before.file));
            }
        }
        match current.file.write(line) {
            Ok(written) if written == line.len() => {
                current.length = current.length.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
                Ok(())
            }
            // A half line would spoil the one behind it.
            Ok(_) => current.undo().and(Err(io::ErrorKind::WriteZero.into())),
            Err(error) => current.undo().and(Err(error)),
        }
    }

    /// The files that this process may read: its own, and those of processes that are gone. Oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn readable(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.extension().is_some_and(|ending| ending == ENDING)
                && (self.owns(name) || is_orphan(&path))
            {
                found.push(name.to_owned());
            }
        }
        found.sort();
        Ok(found)
    }

    /// The whole lines of `file` from `from` on, up to a quarter of a mebibyte of them; `None` when there is none.
    ///
    /// # Errors
    /// The file cannot be read, or a line is longer than a batch.
    pub fn read(&self, file: &str, from: u64) -> io::Result<Option<Batch>> {
        let mut source = File::open(self.folder.join(file))?;
        source.seek(SeekFrom::Start(from))?;
        let mut lines = Vec::new();
        source.take(BATCH).read_to_end(&mut lines)?;
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole == 0 {
            let full = u64::try_from(lines.len()).is_ok_and(|length| length >= BATCH);
            return if full { Err(io::Error::other("a journal line has no end")) } else { Ok(None) };
        }
        lines.truncate(whole);
        let end = from.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
        Ok(Some(Batch { file: file.to_owned(), lines, from, end }))
    }

    /// Removes a file that was read to its end. The one that is being written stays.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, file: &str) -> io::Result<()> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.name == file {
            return Ok(());
        }
        current.full.retain(|(name, _)| name != file);
        match std::fs::remove_file(self.folder.join(file)) {
            // Somebody else has read it too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// It is being written by this process.
    #[must_use]
    pub fn is_current(&self, file: &str) -> bool {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).name == file
    }

    /// Bytes of all files, read or not.
    #[must_use]
    pub fn size(&self) -> u64 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let lengths = entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len());
        lengths.fold(0, u64::saturating_add)
    }

    /// Has the kernel write what it holds: against a crash of the machine.
    ///
    /// # Errors
    /// The disk refused.
    pub fn sync(&self) -> io::Result<()> {
        let file = self.current.lock().unwrap_or_else(PoisonError::into_inner).file.try_clone()?;
        file.sync_data()
    }

    fn owns(&self, file: &str) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.name == file || current.full.iter().any(|(name, _)| name == file)
    }
}

impl Current {
    /// The file has its name only once it is locked: until then nobody can take it for one that was left.
    fn begin(folder: &Path, writer: &str, number: u32) -> io::Result<Self> {
        let name = format!("{writer}-{number:06}.{ENDING}");
        let unnamed = folder.join(format!("{name}.new"));
        // One that was begun and not named, when the disk was full.
        drop(std::fs::remove_file(&unnamed));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&unnamed)?;
        file.lock()?;
        std::fs::rename(&unnamed, folder.join(&name))?;
        Ok(Self { file, name, number, length: 0, full: Vec::new() })
    }

    fn undo(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)
    }
}

/// Nobody writes it any more.
fn is_orphan(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    // Taken and let go: whoever reads it remembers in the ledger how far, so that two readers do no harm.
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bifrost-journal-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    /// Reads everything there is to read, and removes what is finished.
    fn drain(journal: &Journal, places: &mut std::collections::HashMap<String, u64>) -> String {
        let mut text = String::new();
        for file in journal.readable().unwrap() {
            let place = places.entry(file.clone()).or_default();
            while let Some(batch) = journal.read(&file, *place).unwrap() {
                text.push_str(std::str::from_utf8(&batch.lines).unwrap());
                *place = batch.end;
            }
            journal.remove(&file).unwrap();
        }
        text
    }

    #[test]
    fn each_line_is_read_once_and_in_order() {
        let folder = folder("order");
        let (journal, mut places) = (Journal::open(&folder).unwrap(), Default::default());
        journal.append(b"one\n").unwrap();
        journal.append(b"two\n").unwrap();
        assert_eq!(drain(&journal, &mut places), "one\ntwo\n");
        assert_eq!(drain(&journal, &mut places), "");
        journal.append(b"three\n").unwrap();
        journal.sync().unwrap();
        assert_eq!(drain(&journal, &mut places), "three\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_file_of_a_process_that_is_gone_is_finished_by_another_and_a_living_ones_is_not() {
        let folder = folder("orphan");
        let first = Journal::open(&folder).unwrap();
        first.append(b"before the crash\n").unwrap();
        // A process that was killed in the middle of a line.
        first.current.lock().unwrap().file.write_all(b"half a li").unwrap();
        let (second, mut places) = (Journal::open(&folder).unwrap(), Default::default());
        assert_eq!(drain(&second, &mut places), "", "the first one lives");
        drop(first);
        assert_eq!(drain(&second, &mut places), "before the crash\n");
        assert_eq!(second.readable().unwrap().len(), 1, "what was read is gone");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_stays_until_it_is_read() {
        let folder = folder("full");
        let (journal, mut places) = (Journal::open(&folder).unwrap(), Default::default());
        journal.append(b"first\n").unwrap();
        journal.current.lock().unwrap().length = LARGEST;
        journal.append(b"second\n").unwrap();
        let other = Journal::open(&folder).unwrap();
        assert_eq!(other.readable().unwrap().len(), 1, "the full file is still its writer's");
        assert_eq!(drain(&journal, &mut places), "first\nsecond\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_line_that_cannot_be_written_leaves_no_half_behind() {
        let folder = folder("undo");
        let journal = Journal::open(&folder).unwrap();
        journal.append(b"whole\n").unwrap();
        let mut current = journal.current.lock().unwrap();
        current.file.write_all(b"hal").unwrap();
        current.undo().unwrap();
        drop(current);
        journal.append(b"next\n").unwrap();
        assert_eq!(drain(&journal, &mut Default::default()), "whole\nnext\n");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
