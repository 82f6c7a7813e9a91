//! How JSON is written: a tree whose leaves borrow from the pivot, so that a 10 MB image
//! is copied once, into the body, and a tool call's arguments are spliced in as they stand. Field order
//! is the order of the calls: the same request always makes the same bytes.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One JSON value.
#[derive(Debug, Clone)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Count(u64),
    Number(f64),
    Text(Cow<'a, str>),
    Json(Cow<'a, Value>),
    Fields(&'a Map<String, Value>),
    Raw(&'a RawValue),
    Object(Object<'a>),
    List(Vec<Node<'a>>),
}

/// One JSON object, in the order of its writing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Object<'a> {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(8))
    }

    /// An object that begins with its `type`.
    pub(crate) fn typed(kind: &'a str) -> Self {
        Self::new().with("type", kind)
    }

    pub(crate) fn with(mut self, key: &'a str, node: impl Into<Node<'a>>) -> Self {
        self.put(key, node);
        self
    }

    pub(crate) fn put(&mut self, key: &'a str, node: impl Into<Node<'a>>) {
        self.0.push((Cow::Borrowed(key), node.into()));
    }

    pub(crate) fn put_some(&mut self, key: &'a str, node: Option<impl Into<Node<'a>>>) {
        if let Some(node) = node {
            self.put(key, node);
        }
    }

    /// Puts a field in the place of the one of that name, where there is one.
    pub(crate) fn set(&mut self, key: &'a str, node: impl Into<Node<'a>>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = node.into(),
            None => self.put(key, node),
        }
    }

    /// The text of a field, to be changed.
    pub(crate) fn text_mut(&mut self, key: &str) -> Option<&mut String> {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, Node::Text(text))) => Some(text.to_mut()),
            Some((_, Node::Json(value))) if value.is_string() => match value.to_mut() {
                Value::String(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds the fields of another object behind its own.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, when this is a text block with nothing else in it.
    pub(crate) fn only_text(self) -> Result<Cow<'a, str>, Self> {
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
    pub(crate) fn merge(&mut self, kept: &'a Map<String, Value>) {
        // What is kept has no name twice: only the fields of before are looked through.
        let own = self.0.len();
        for (key, value) in kept {
            match self.0.iter_mut().take(own).find(|(name, _)| name == key) {
                Some((_, node)) => node.merge(value),
                None => self.0.push((Cow::Borrowed(key), Node::from(value))),
            }
        }
    }
}

impl<'a> Object<'a> {
    /// Takes the text out of a text part that holds nothing else.
    pub(crate) fn take_only_text(&mut self) -> Option<Node<'a>> {
        if self.0.len() != 2 || !self.0.iter().any(|(key, node)| key == "type" && node.is_text("text")) {
            return None;
        }
        let (_, text) = self.0.iter_mut().find(|(key, _)| key == "text")?;
        Some(std::mem::replace(text, Node::Null))
    }

    /// Adds one field without overwriting what was written; objects on both sides are joined.
    pub(crate) fn adopt_one(&mut self, key: &'a str, value: &'a Value) {
        match (self.0.iter_mut().find(|(name, _)| name == key), value) {
            (None, _) => self.0.push((Cow::Borrowed(key), Node::from(value))),
            (Some((_, node)), Value::Object(more)) => {
                node.object_mut().into_iter().for_each(|inner| inner.adopt(more));
            }
            (Some(_), _) => {}
        }
    }

    /// Adds what a decoder kept aside without overwriting what was written; objects on both sides are
    /// joined.
    pub(crate) fn adopt(&mut self, kept: &'a Map<String, Value>) {
        // What is kept has no name twice: only the fields of before are looked through.
        let own = self.0.len();
        for (key, value) in kept {
            match (self.0.iter_mut().take(own).find(|(name, _)| name == key), value) {
                (None, _) => self.0.push((Cow::Borrowed(key), Node::from(value))),
                (Some((_, node)), Value::Object(more)) => {
                    node.object_mut().into_iter().for_each(|inner| inner.adopt(more));
                }
                (Some(_), _) => {}
            }
        }
    }
}

impl<'a> Node<'a> {
    fn is_text(&self, expected: &str) -> bool {
        match self {
            Node::Text(text) => text == expected,
            Node::Json(value) => value.as_str() == Some(expected),
            _ => false,
        }
    }

    /// A number as `Value` spells it (`1.0`).
    pub(crate) fn float(number: f64) -> Self {
        Value::from(number).into()
    }

    /// The object, to be added to; one that was carried whole is opened first.
    pub(crate) fn object_mut(&mut self) -> Option<&mut Object<'a>> {
        if let Node::Json(value) = self
            && value.is_object()
        {
            let value = std::mem::replace(value, Cow::Owned(Value::Null));
            *self = Node::Object(opened(value));
        }
        match self {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    fn merge(&mut self, kept: &'a Value) {
        match (self, kept) {
            (Node::Object(object), Value::Object(map)) => object.merge(map),
            (node, _) => *node = Node::from(kept),
        }
    }
}

/// The fields of an object that was carried whole.
fn opened(value: Cow<'_, Value>) -> Object<'_> {
    Object(match value {
        Cow::Borrowed(Value::Object(map)) => {
            map.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), Node::from(value))).collect()
        }
        Cow::Owned(Value::Object(map)) => {
            map.into_iter().map(|(key, value)| (Cow::Owned(key), Node::from(value))).collect()
        }
        _ => Vec::new(),
    })
}

impl<'a, T: Into<Node<'a>>> From<Option<T>> for Node<'a> {
    fn from(node: Option<T>) -> Self {
        node.map_or(Node::Null, Into::into)
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

impl<'a> From<&'a Map<String, Value>> for Node<'a> {
    fn from(map: &'a Map<String, Value>) -> Self {
        Node::Fields(map)
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
            Node::Fields(map) => map.serialize(serializer),
            Node::Raw(raw) => raw.serialize(serializer),
            Node::Object(object) => object.serialize(serializer),
            Node::List(list) => serializer.collect_seq(list),
        }
    }
}

/// The bytes of an object. Written by hand: text is copied in one piece where nothing needs an escape, which
/// a serialiser, going byte by byte, takes several times as long for.
pub(crate) fn to_bytes(object: &Object<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_object(object, &mut out);
    out
}

fn write_object(object: &Object<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (key, node)) in object.0.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        write_node(node, out);
    }
    out.push(b'}');
}

fn write_node(node: &Node<'_>, out: &mut Vec<u8>) {
    match node {
        Node::Text(text) => write_text(text, out),
        Node::Object(object) => write_object(object, out),
        Node::List(list) => {
            out.push(b'[');
            for (at, node) in list.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_node(node, out);
            }
            out.push(b']');
        }
        Node::Json(value) if value.is_string() => write_text(value.as_str().unwrap_or_default(), out),
        leaf => write_leaf(leaf, out),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    if is_plain(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        write_leaf(text, out);
    }
}

fn write_leaf<T: Serialize + ?Sized>(leaf: &T, out: &mut Vec<u8>) {
    let begun = out.len();
    // Every leaf is a JSON value, so this cannot fail; were it to, a null is better than half a body.
    if serde_json::to_writer(&mut *out, leaf).is_err() {
        out.truncate(begun);
        out.extend_from_slice(b"null");
    }
}

/// Nothing in it needs an escape. Looked at in blocks without a branch inside, which compilers vectorise.
fn is_plain(text: &[u8]) -> bool {
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let (blocks, rest) = text.as_chunks::<16>();
    let has_special = |block: &[u8; 16]| block.iter().fold(false, |found, byte| found | is_special(byte));
    !blocks.iter().any(has_special) && !rest.iter().any(is_special)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_serialiser() {
        let kept = serde_json::json!({"a\"b": [1.0, null, {"x": "\u{1}"}], "type": "no", "o": {"q": "é\n"}});
        let texts: Vec<String> =
            (0..40).map(|n| format!("{}\\{}", "é".repeat(n), "x".repeat(40 - n))).collect();
        let mut object =
            Object::typed("t").with("o", Object::new().with("n", 1.0)).with("f", Node::float(1.0));
        object.put("list", texts.iter().map(|text| text.as_str().into()).collect::<Vec<Node<'_>>>());
        object.put("none", None::<u64>);
        object.put("empty", Vec::new());
        object.adopt(kept.as_object().unwrap());
        assert_eq!(String::from_utf8(to_bytes(&object)).unwrap(), serde_json::to_string(&object).unwrap());
    }

    #[test]
    fn adopted_fields_never_overwrite() {
        let kept = serde_json::json!({"a": 1, "o": {"x": 1, "y": 2}, "j": {"z": 3}});
        let whole = serde_json::json!({"w": 0});
        let mut object = Object::new().with("a", 0_u64).with("o", Object::new().with("x", 0_u64));
        object.put("j", &whole);
        object.adopt(kept.as_object().unwrap());
        let expected = r#"{"a":0,"o":{"x":0,"y":2},"j":{"w":0,"z":3}}"#;
        assert_eq!(String::from_utf8(to_bytes(&object)).unwrap(), expected);
    }
}
