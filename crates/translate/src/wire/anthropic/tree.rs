//! How JSON of this wire is written: a tree whose leaves borrow from the pivot, so that a 10 MB image
//! is copied once, into the body, and a tool call's arguments are spliced in as they stand. Field order
//! is the order of the calls: the same request always makes the same bytes.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One JSON value.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Count(u64),
    Number(f64),
    Text(Cow<'a, str>),
    Json(Cow<'a, Value>),
    Raw(&'a RawValue),
    Object(Object<'a>),
    List(Vec<Node<'a>>),
}

/// One JSON object, in the order of its writing.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Object<'a> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// An object that begins with its `type`.
    pub(super) fn typed(kind: &'a str) -> Self {
        Self::new().with("type", kind)
    }

    pub(super) fn with(mut self, key: &'a str, node: impl Into<Node<'a>>) -> Self {
        self.put(key, node);
        self
    }

    pub(super) fn put(&mut self, key: &'a str, node: impl Into<Node<'a>>) {
        self.0.push((Cow::Borrowed(key), node.into()));
    }

    pub(super) fn put_some(&mut self, key: &'a str, node: Option<impl Into<Node<'a>>>) {
        if let Some(node) = node {
            self.put(key, node);
        }
    }

    /// Adds the fields of another object behind its own.
    pub(super) fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, when this is a text block with nothing else in it.
    pub(super) fn only_text(self) -> Result<Cow<'a, str>, Self> {
        match <[_; 2]>::try_from(self.0) {
            Ok([(_, Node::Text(kind)), (key, Node::Text(text))]) if kind == "text" && key == "text" => {
                Ok(text)
            }
            Ok(fields) => Err(Self(fields.into())),
            Err(fields) => Err(Self(fields)),
        }
    }

    /// Adds what a decoder of this wire kept aside. Objects are merged, anything else takes the place
    /// of what is there: a decoder never keeps a field aside that it also understood.
    pub(super) fn merge(&mut self, kept: &'a Map<String, Value>) {
        for (key, value) in kept {
            match self.0.iter_mut().find(|(name, _)| name == key) {
                Some((_, node)) => node.merge(value),
                None => self.0.push((Cow::Borrowed(key), Node::from(value))),
            }
        }
    }
}

impl<'a> Node<'a> {
    fn merge(&mut self, kept: &'a Value) {
        match (self, kept) {
            (Node::Object(object), Value::Object(map)) => object.merge(map),
            (node, _) => *node = Node::from(kept),
        }
    }
}

impl<'a> From<&'a str> for Node<'a> {
    fn from(text: &'a str) -> Self {
        Node::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Node<'_> {
    fn from(text: String) -> Self {
        Node::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Node<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Node::Text(text)
    }
}

impl From<bool> for Node<'_> {
    fn from(flag: bool) -> Self {
        Node::Bool(flag)
    }
}

impl From<u64> for Node<'_> {
    fn from(count: u64) -> Self {
        Node::Count(count)
    }
}

impl From<f64> for Node<'_> {
    fn from(number: f64) -> Self {
        Node::Number(number)
    }
}

impl From<Value> for Node<'_> {
    fn from(value: Value) -> Self {
        Node::Json(Cow::Owned(value))
    }
}

impl<'a> From<&'a Value> for Node<'a> {
    fn from(value: &'a Value) -> Self {
        Node::Json(Cow::Borrowed(value))
    }
}

impl<'a> From<Cow<'a, Value>> for Node<'a> {
    fn from(value: Cow<'a, Value>) -> Self {
        Node::Json(value)
    }
}

impl<'a> From<Object<'a>> for Node<'a> {
    fn from(object: Object<'a>) -> Self {
        Node::Object(object)
    }
}

impl<'a> From<Vec<Node<'a>>> for Node<'a> {
    fn from(list: Vec<Node<'a>>) -> Self {
        Node::List(list)
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, node) in &self.0 {
            map.serialize_entry(key, node)?;
        }
        map.end()
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => serializer.serialize_unit(),
            Node::Bool(flag) => serializer.serialize_bool(*flag),
            Node::Count(count) => serializer.serialize_u64(*count),
            // A whole temperature stays as short as callers write it: `1`, not `1.0`.
            Node::Number(number) if *number == 0.0 || *number == 1.0 => {
                serializer.serialize_u64(u64::from(*number == 1.0))
            }
            Node::Number(number) => serializer.serialize_f64(*number),
            Node::Text(text) => serializer.serialize_str(text),
            Node::Json(value) => value.serialize(serializer),
            Node::Raw(raw) => raw.serialize(serializer),
            Node::Object(object) => object.serialize(serializer),
            Node::List(list) => serializer.collect_seq(list),
        }
    }
}

/// The bytes of an object. Every leaf is a JSON value, so this cannot fail; were it to, the answer is an
/// empty object rather than a panic.
pub(super) fn to_bytes(object: &Object<'_>) -> Vec<u8> {
    serde_json::to_vec(object).unwrap_or_else(|_| b"{}".to_vec())
}
