//! A configuration file.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use crate::config::document::{Document, Format};
use crate::config::problem::{Position, Problem};

/// Reads and parses a file.
///
/// # Errors
/// That it cannot be read, is not UTF-8, or its syntax errors.
pub(in crate::config) fn document(path: &Path) -> Result<Document, Vec<Problem>> {
    let name = path.display().to_string();
    let fault = |position, message: String| {
        vec![Problem { file: Some(Arc::from(name.as_str())), position, ..Problem::new(message) }]
    };
    let bytes = std::fs::read(path).map_err(|error| fault(None, format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        fault(Some(end_of(&String::from_utf8_lossy(valid))), "the text is not UTF-8".to_owned())
    })?;
    let mut document = Document::parse(&name, &text, Format::of(path, &text))?;
    document.directory = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(document)
}

fn end_of(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

/// A number that changes with the file's content; `None` when it cannot be read.
pub(in crate::config) fn fingerprint(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}
