//! Reading an object field by field, so that what is left over is known and kept.
//!
//! Every decoder takes the fields it understands out of the object and hands the rest to
//! `Extra`. A field of the wrong type is answered with its exact path. Must not know any field's meaning.

use std::fmt;

use serde_json::{Map, Value};

use super::json::{Json, Members};
use super::tree::Object;
use crate::Wire;
use crate::ir::Extra;
use crate::loss::Losses;
use crate::wire::BadRequest;

/// Where in a body something stands. Borrowed step by step: a path costs nothing until it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'p> {
    Body,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    /// The field `name` of what stands here.
    pub(crate) fn field(&'p self, name: &'p str) -> Self {
        Self::Field(self, name)
    }

    /// The item `index` of the list that stands here.
    pub(crate) fn item(&'p self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Field(Path::Body, name) => out.write_str(name),
            Self::Field(parent, name) => write!(out, "{parent}.{name}"),
            Self::Item(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

/// An object whose known fields are taken out one by one.
#[derive(Debug)]
pub(crate) struct Fields<'p> {
    members: Members<'p>,
    path: &'p Path<'p>,
}

impl<'p> Fields<'p> {
    /// Expects an object at `path`.
    pub(crate) fn of(value: impl Into<Json<'p>>, path: &'p Path<'p>) -> Result<Self, BadRequest> {
        match value.into().members() {
            Ok(members) => Ok(Self { members, path }),
            Err(other) => Err(wrong(path, other.look(), "an object")),
        }
    }

    /// Where the object stands.
    pub(crate) fn path(&self) -> &'p Path<'p> {
        self.path
    }

    /// Takes the field out. An explicit `null` is the same as an absent field.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.take_json(name).map(Json::into_value)
    }

    /// The same, for a value that will be read field by field.
    pub(crate) fn take_json(&mut self, name: &str) -> Option<Json<'p>> {
        self.members.take(name).filter(|value| !value.is_null())
    }

    /// Looks without taking: a list that is not empty and an object are seen as such, not what they hold.
    pub(crate) fn peek(&self, name: &str) -> Option<&Value> {
        self.members.get(name).map(Json::look).filter(|value| !value.is_null())
    }

    /// Puts a field (back) among the leftovers.
    pub(crate) fn put(&mut self, name: &str, value: Value) {
        self.members.put(name, value);
    }

    /// Keeps unknown members of a nested object among the leftovers, nested as they were.
    pub(crate) fn keep_nested(&mut self, name: &str, rest: Map<String, Value>) {
        if !rest.is_empty() {
            self.put(name, Value::Object(rest));
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, BadRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, &other, "a string")),
        }
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, BadRequest> {
        self.text(name)?.ok_or_else(|| self.missing(name, "a string"))
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, BadRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(name, &other, "true or false")),
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, BadRequest> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(name, &value, "a number"))
    }

    /// A whole number of 0 or more; `100.0` counts as one.
    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, BadRequest> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let whole = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number));
        let count = value.as_u64().or_else(|| whole.map(|number| number as u64));
        count.map(Some).ok_or_else(|| self.wrong(name, &value, "a whole number of 0 or more"))
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, BadRequest> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| self.wrong(name, &value, "a whole number"))
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Json<'p>>>, BadRequest> {
        let Some(value) = self.take_json(name) else { return Ok(None) };
        value.items().map(Some).map_err(|other| self.wrong(name, other.look(), "a list"))
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, BadRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.wrong(name, &other, "an object")),
        }
    }

    /// What nobody took, in its order.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.members.into_map()
    }

    /// What nobody took, as the pivot keeps it.
    pub(crate) fn extra(self, wire: Wire) -> Extra {
        Extra::of(wire, self.rest())
    }

    /// A complaint about the field `name`.
    pub(crate) fn wrong(&self, name: &str, found: &Value, expected: &str) -> BadRequest {
        wrong(&self.path.field(name), found, expected)
    }

    /// A complaint that the field `name` is not there.
    pub(crate) fn missing(&self, name: &str, expected: &str) -> BadRequest {
        let path = self.path.field(name).to_string();
        let message = format!("`{path}` is missing, expected {expected}");
        BadRequest::at(path, message)
    }
}

/// A complaint about what stands at `path`.
pub(crate) fn wrong(path: &Path<'_>, found: &Value, expected: &str) -> BadRequest {
    let path = path.to_string();
    let place = if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") };
    let message = format!("{place} is {}, expected {expected}", kind(found));
    BadRequest::at(path, message)
}

/// Writes leftovers of `wire` back; those of another wire are reported, one loss per field.
pub(crate) fn write_extra<'a>(
    object: &mut Object<'a>,
    extra: &'a Extra,
    path: &Path<'_>,
    wire: Wire,
    losses: &mut Losses,
) {
    match extra.for_wire(wire) {
        Some(fields) => object.adopt(fields),
        None => lose_extra(extra, path, wire, losses),
    }
}

/// Reports every leftover: there is no object to write them to.
pub(crate) fn lose_extra(extra: &Extra, path: &Path<'_>, wire: Wire, losses: &mut Losses) {
    for name in extra.names() {
        losses.report(path.field(&name).to_string(), no_counterpart(wire));
    }
}

/// Why a field of another wire is left out.
pub(crate) fn no_counterpart(wire: Wire) -> String {
    format!("has no counterpart on {}", wire.name())
}

/// How a complaint names what it found. Short strings are shown: they are usually the mistake.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("{flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.len() <= 40 => format!("the string {text:?}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
