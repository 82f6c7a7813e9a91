//! Text to a JSON value plus the place of every field, for both formats.
//!
//! One tree for JSON with comments and for YAML, so that everything after this knows neither. Text is
//! never trusted: nesting, size and alias expansion are bounded, and nothing here panics.

mod json;
mod yaml;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::problem::{Position, Problem, dotted};

/// Deepest nesting of a configuration.
const MAX_DEPTH: usize = 64;
/// Largest configuration text, in bytes.
const MAX_TEXT: usize = 16 * 1024 * 1024;

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON with `//` and `/* */` comments and trailing commas.
    Json,
    Yaml,
}

impl Format {
    /// By the file's extension; for others by the first character.
    #[must_use]
    pub fn of(path: &Path, text: &str) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json" | "jsonc") => Self::Json,
            _ if text.trim_start().starts_with(['{', '/']) => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Where a field stands: its name and its value. Equal for list items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub name: Position,
    pub value: Position,
}

/// Which end of a field a message points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Name,
    Value,
}

/// A parsed configuration text.
#[derive(Debug, Clone)]
pub struct Document {
    /// The name used in messages; `None` for a configuration that came from no file.
    pub file: Option<Arc<str>>,
    /// Where relative `file:` references start.
    pub directory: PathBuf,
    /// Fields that are null are left out: null means "not set" everywhere.
    pub root: Value,
    places: HashMap<String, Place>,
}

impl Document {
    /// A document without text.
    #[must_use]
    pub fn empty() -> Self {
        let root = Value::Object(Map::new());
        Self { file: None, directory: PathBuf::new(), root, places: HashMap::new() }
    }

    /// Parses `text`, named `file` in messages.
    ///
    /// # Errors
    /// All syntax errors that were found (at least one), duplicate fields among them.
    pub fn parse(file: &str, text: &str, format: Format) -> Result<Self, Vec<Problem>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut tree = Tree::default();
        if text.len() > MAX_TEXT {
            tree.fault(None, "", "the text is larger than 16 MiB");
        } else {
            match format {
                Format::Json => json::read(text, &mut tree),
                Format::Yaml => yaml::read(text, &mut tree),
            }
        }
        let file: Arc<str> = Arc::from(file);
        if !tree.faults.is_empty() {
            let named = |mut fault: Problem| {
                fault.file = Some(Arc::clone(&file));
                fault
            };
            return Err(tree.faults.into_iter().map(named).collect());
        }
        let mut root = tree.root.unwrap_or(Value::Null);
        if root.is_null() {
            root = Value::Object(Map::new());
        }
        drop_nulls(&mut root);
        Ok(Self { file: Some(file), directory: PathBuf::new(), root, places: tree.places })
    }

    /// A problem at a field; for a field that is not there, at the nearest one around it.
    #[must_use]
    pub fn problem(&self, pointer: &str, at: At, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            position: self.position(pointer, at),
            path: dotted(pointer),
            message: message.into(),
            suggestion: None,
        }
    }

    fn position(&self, pointer: &str, at: At) -> Option<Position> {
        if let Some(place) = self.places.get(pointer) {
            return Some(if at == At::Name { place.name } else { place.value });
        }
        let mut rest = pointer;
        while let Some((parent, _)) = rest.rsplit_once('/') {
            if let Some(place) = self.places.get(parent) {
                return Some(place.name);
            }
            rest = parent;
        }
        None
    }
}

/// What the two readers fill.
#[derive(Default)]
struct Tree {
    root: Option<Value>,
    places: HashMap<String, Place>,
    faults: Vec<Problem>,
}

impl Tree {
    fn fault(&mut self, position: Option<Position>, pointer: &str, message: impl Into<String>) {
        self.faults.push(Problem { position, path: dotted(pointer), ..Problem::new(message) });
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
