//! Text to a JSON value plus the place of every field, for both formats.
//!
//! One tree for JSON with comments and for YAML, so that everything after this knows neither. Text is
//! never trusted: nesting, size and alias expansion are bounded, and nothing here panics.

mod json;
mod yaml;

use std::collections::{HashMap, HashSet};
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
    /// Pointers of what came from elsewhere than the text.
    replaced: HashSet<String>,
}

/// How a document differs from its text.
#[derive(Debug, Clone, Default)]
pub struct Amended {
    /// Pointers of what was put in.
    pub replaced: HashSet<String>,
    /// Lists by their pointers: where each of their items is now; `None`: gone.
    pub moved: HashMap<String, Vec<Option<usize>>>,
}

/// What problems of parts that came from elsewhere are said to be in.
const ELSEWHERE: &str = "set at run time";

impl Document {
    /// A document without text.
    #[must_use]
    pub fn empty() -> Self {
        let root = Value::Object(Map::new());
        Self { file: None, directory: PathBuf::new(), root, places: HashMap::new(), replaced: HashSet::new() }
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
        Ok(Self {
            file: Some(file),
            directory: PathBuf::new(),
            root,
            places: tree.places,
            replaced: HashSet::new(),
        })
    }

    /// A problem at a field; for a field that is not there, at the nearest one around it.
    #[must_use]
    pub fn problem(&self, pointer: &str, at: At, message: impl Into<String>) -> Problem {
        let elsewhere = self.is_replaced(pointer);
        Problem {
            file: if elsewhere { Some(Arc::from(ELSEWHERE)) } else { self.file.clone() },
            position: if elsewhere { None } else { self.position(pointer, at) },
            path: dotted(pointer),
            message: message.into(),
            suggestion: None,
        }
    }

    /// The same text with another `root`; places are those of what is left of the text.
    #[must_use]
    pub fn amended(&self, root: Value, amended: Amended) -> Self {
        let place = |(pointer, place): (&String, &Place)| Some((amended.now(pointer)?, *place));
        let places = match amended.moved.is_empty() {
            true => self.places.clone(),
            false => self.places.iter().filter_map(place).collect(),
        };
        let (file, directory) = (self.file.clone(), self.directory.clone());
        Self { file, directory, root, places, replaced: amended.replaced }
    }

    fn is_replaced(&self, pointer: &str) -> bool {
        let mut rest = pointer;
        while !self.replaced.is_empty() && !rest.is_empty() {
            if self.replaced.contains(rest) {
                return true;
            }
            rest = rest.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        false
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

impl Amended {
    /// Where a pointer of the text leads now.
    fn now(&self, pointer: &str) -> Option<String> {
        for (list, moved) in &self.moved {
            let Some(rest) = pointer.strip_prefix(&**list).and_then(|rest| rest.strip_prefix('/')) else {
                continue;
            };
            let (index, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let at = index.parse::<usize>().ok().and_then(|index| moved.get(index).copied().flatten())?;
            return Some(format!("{list}/{at}{below}"));
        }
        Some(pointer.to_owned())
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
