//! JSON as decoders read it: objects are lists of members, looked through by name.
//!
//! The objects of a chat body have a handful of members, and decoders ask for many that are not there:
//! comparing names is several times cheaper than hashing them. What a decoder keeps unread becomes a
//! [`Value`] only then. No meaning is given to any member here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::told;

/// Above this many members names are looked up by hashing: a hostile body must not cost the square of
/// its members.
const FEW: usize = 24;

/// Members whose values are never looked into: built at once as they are kept.
const WHOLE: [&str; 5] = ["parameters", "schema", "input_schema", "metadata", "logprobs"];

/// One JSON value.
#[derive(Debug, Clone)]
pub(crate) enum Json<'a> {
    /// A scalar, an empty list, or whatever is already built.
    Value(Value),
    /// Not empty.
    List(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// The members of an object, in their order; of those that stand twice the last one's value counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// Reads a whole body. The text is checked once as a whole, which is cheaper than string by string; one
/// that is no text is left to the parser, whose error names the place.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

impl<'a> Json<'a> {
    /// As the pivot keeps it.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::List(list) => Value::Array(list.into_iter().map(Json::into_value).collect()),
            Self::Object(members) => Value::Object(members.into_map()),
        }
    }

    /// The value, as far as can be seen without building it: a stand-in for what has members of its own.
    pub(crate) fn look(&self) -> &Value {
        static SOME_LIST: LazyLock<Value> = LazyLock::new(|| Value::Array(vec![Value::Null]));
        static NO_MEMBERS: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
        static SOME_MEMBERS: LazyLock<Value> = LazyLock::new(|| serde_json::json!({"": null}));
        match self {
            Self::Value(value) => value,
            Self::List(_) => &SOME_LIST,
            Self::Object(members) if members.is_empty() => &NO_MEMBERS,
            Self::Object(_) => &SOME_MEMBERS,
        }
    }

    /// The text member `name` of an object.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        match self {
            Self::Value(value) => value.get(name)?.as_str(),
            Self::List(_) => None,
            Self::Object(members) => members.get(name)?.look().as_str(),
        }
    }

    /// Nothing is lost with it: see [`told::says_nothing`].
    pub(crate) fn says_nothing(&self) -> bool {
        match self {
            Self::Value(value) => told::says_nothing(value),
            Self::List(_) => false,
            Self::Object(members) => members.iter().all(|(_, value)| value.says_nothing()),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }

    /// The members, when it is an object.
    pub(crate) fn members(self) -> Result<Members<'a>, Self> {
        match self {
            Self::Object(members) => Ok(members),
            Self::Value(Value::Object(map)) => Ok(Members::from(map)),
            other => Err(other),
        }
    }

    /// The items, when it is a list.
    pub(crate) fn items(self) -> Result<Vec<Json<'a>>, Self> {
        match self {
            Self::List(list) => Ok(list),
            Self::Value(Value::Array(list)) => Ok(list.into_iter().map(Json::Value).collect()),
            other => Err(other),
        }
    }
}

impl From<Value> for Json<'_> {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<Map<String, Value>> for Members<'_> {
    fn from(map: Map<String, Value>) -> Self {
        Self(map.into_iter().map(|(name, value)| (Cow::Owned(name), Json::Value(value))).collect())
    }
}

impl<'a> Members<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Takes a member out; the order of the others stays.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Sets a member: in its place when it is there, else as the last one.
    pub(crate) fn put(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = Json::Value(value),
            None => self.0.push((Cow::Owned(name.to_owned()), Json::Value(value))),
        }
    }

    /// Keeps the members of which `keep` says so; it may change their values.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Json<'a>) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    pub(crate) fn drop_nulls(&mut self) {
        self.retain(|_, value| !value.is_null());
    }

    /// As the pivot keeps them.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0.into_iter().map(|(name, value)| (name.into_owned(), value.into_value())).collect()
    }

    /// Appends without a look at the others: [`Self::settle`] must follow the last one.
    pub(crate) fn push(&mut self, name: Cow<'a, str>, value: Json<'a>) {
        self.0.push((name, value));
    }

    /// Joins members that stand twice.
    pub(crate) fn settle(&mut self) {
        if self.0.len() > FEW {
            return self.settle_many();
        }
        let mut at = 1;
        while let Some((name, _)) = self.0.get(at) {
            match self.0.iter().take(at).position(|(known, _)| known == name) {
                None => at += 1,
                Some(first) => {
                    let (_, last) = self.0.remove(at);
                    if let Some(member) = self.0.get_mut(first) {
                        member.1 = last;
                    }
                }
            }
        }
    }

    fn settle_many(&mut self) {
        let list = std::mem::take(&mut self.0);
        let mut places = HashMap::with_capacity(list.len());
        for (name, value) in list {
            let next = self.0.len();
            let place = *places.entry(name.clone()).or_insert(next);
            match self.0.get_mut(place) {
                Some(member) => member.1 = value,
                None => self.0.push((name, value)),
            }
        }
    }
}

/// A member's name, borrowed where it holds no escapes.
#[derive(Debug)]
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any valid JSON value")
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Value(Value::Bool(flag)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Value(number.into()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Value(number.into()))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Json::Value(number.into()))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Value(Value::String(text.to_owned())))
    }
    fn visit_string<E>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::Value(Value::String(text)))
    }
    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Value(Value::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(if list.is_empty() { Json::Value(Value::Array(Vec::new())) } else { Json::List(list) })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json<'de>, A::Error> {
        MembersVisitor.visit_map(map).map(Json::Object)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members(Vec::with_capacity(4));
        while let Some(Name(name)) = map.next_key()? {
            let value = member(&name, &mut map)?;
            members.push(name, value);
        }
        members.settle();
        Ok(members)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The value of the member `name`, whose turn it is.
pub(crate) fn member<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Json<'de>, A::Error> {
    if WHOLE.contains(&name) { map.next_value().map(Json::Value) } else { map.next_value() }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_the_value_the_parser_would_have_built() {
        let many: Vec<String> = (0..60).map(|n| format!("\"k{}\":{n}", n % 50)).collect();
        let many = format!("{{{}}}", many.join(","));
        let texts = [
            r#"{"a":1,"b":{"c":[],"d":[1,{"e":null}]},"a":-2,"\u0062":1.5}"#,
            r#"{"metadata":{"z":1,"y":2,"z":3},"x":true}"#,
            r#"[{},"a\nb",[[]],1e400]"#,
            &many,
        ];
        for text in texts {
            let tree = serde_json::from_str::<Json<'_>>(text).map(Json::into_value);
            let value = serde_json::from_str::<Value>(text);
            assert_eq!(
                tree.map(|value| value.to_string()).map_err(|error| error.to_string()),
                value.map(|value| value.to_string()).map_err(|error| error.to_string()),
            );
        }
    }

    #[test]
    fn members_keep_their_order_when_one_is_taken_or_set() {
        let json: Json<'_> = serde_json::from_str(r#"{"a":1,"b":[2],"c":{}}"#).unwrap();
        let mut members = json.members().unwrap();
        assert!(members.get("b").unwrap().look().is_array() && members.take("x").is_none());
        assert_eq!(members.take("b").unwrap().items().unwrap().len(), 1);
        members.put("a", 3.into());
        members.put("d", Value::Null);
        members.drop_nulls();
        assert_eq!(Value::Object(members.into_map()).to_string(), r#"{"a":3,"c":{}}"#);
    }
}
