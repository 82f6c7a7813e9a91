//! What a stream decoder could not turn into events, told once per field however often it comes.
//!
//! A field unknown here stands in every one of thousands of chunks; a caller needs to hear of it once.
//! Bounded: a hostile stream must not grow it. Knows no wire.

use std::fmt::Display;

use serde_json::Value;

use crate::ir::Event;
use crate::loss::Losses;

const NO_PLACE: &str = "has no place in a translated stream";
/// The longest field name that is told whole, in bytes.
const MAX_NAME: usize = 64;

/// The fields told so far.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<(&'static str, String)>);

impl Told {
    /// Appends [`Event::Lost`] for the field `name` of what stands at `path`, unless the same name was
    /// told for this `kind` of object before. The path is built only then.
    pub(super) fn once(&mut self, kind: &'static str, name: &str, path: impl Display, out: &mut Vec<Event>) {
        let name = cut(name);
        let known = self.0.iter().any(|(told, field)| *told == kind && field == name);
        if known || self.0.len() >= Losses::MAX {
            return;
        }
        self.0.push((kind, name.to_owned()));
        let path = path.to_string();
        let dot = if path.is_empty() || name.is_empty() { "" } else { "." };
        out.push(Event::Lost { path: format!("{path}{dot}{name}"), reason: NO_PLACE.to_owned() });
    }
}

/// Nothing is lost with these: null, false, zero, empty text, empty lists and objects.
pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(says_nothing),
    }
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_told_once_and_only_so_many() {
        let (mut told, mut out) = (Told::default(), Vec::new());
        told.once("a", "x", "choices[0]", &mut out);
        told.once("a", "x", "choices[1]", &mut out);
        told.once("b", "x", "", &mut out);
        let lost = |path: &str| Event::Lost { path: path.into(), reason: NO_PLACE.into() };
        assert_eq!(out, [lost("choices[0].x"), lost("x")]);
        for number in 0..1000 {
            told.once("a", &format!("{}{number}", "é".repeat(9)), "", &mut out);
        }
        assert_eq!(out.len(), Losses::MAX);
        told.once("c", &"é".repeat(500), "", &mut Vec::new());
    }
}
