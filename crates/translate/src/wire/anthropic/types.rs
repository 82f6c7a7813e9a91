//! How JSON of this wire is read: by hand, field by field, so that an error names its exact place and
//! nothing that was not asked for is lost. The text of a tool call's `input` is kept as it was written,
//! because a prompt cache sees key order and number spelling. No meaning is given to fields here.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Wire;
use crate::ir::{CacheMark, Extra};
use crate::wire::BadRequest;
use crate::wire::json::{self, Json, Members, Name};

/// A place in a body; printed as a dotted path, built only when somebody asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    /// What stands here is not what belongs here.
    pub(super) fn wrong(&self, found: &Value, expected: &str) -> BadRequest {
        self.bad(&format!("expected {expected}, found {}", Found(found)))
    }

    /// What belongs here is not here.
    pub(super) fn missing(&self, expected: &str) -> BadRequest {
        self.bad(&format!("this field is required: expected {expected}, found nothing"))
    }

    /// Any other complaint about this place.
    pub(super) fn bad(&self, complaint: &str) -> BadRequest {
        let path = self.to_string();
        let named = if path.is_empty() { "the request body" } else { &path };
        BadRequest { message: format!("{named}: {complaint}"), path }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A JSON object of which one field has a type of its own, or whatever else stood in its place.
#[derive(Debug)]
pub(super) enum Item<'a, T> {
    /// `fields` holds `null` where the special field stood, so that its position is known.
    Object {
        fields: Members<'a>,
        special: Option<T>,
    },
    Other(Value),
}

/// A JSON array, or whatever else stood in its place.
#[derive(Debug)]
pub(super) enum List<T> {
    Items(Vec<T>),
    Other(Value),
}

/// The field of an [`Item`] that has a type of its own.
pub(super) trait Special {
    const KEY: &'static str;
}

/// One content block; the text of `input` is kept raw.
pub(super) type Block<'a> = Item<'a, Box<RawValue>>;
/// One message, or a whole answer: both have their blocks in `content`.
pub(super) type Message<'a> = Item<'a, List<Block<'a>>>;
/// A request body.
pub(super) type Body<'a> = Item<'a, List<Message<'a>>>;

impl Special for Box<RawValue> {
    const KEY: &'static str = "input";
}

impl Special for List<Block<'_>> {
    const KEY: &'static str = "content";
}

impl Special for List<Message<'_>> {
    const KEY: &'static str = "messages";
}

/// The fields of one object, taken out one by one. `null` counts as absent.
#[derive(Debug)]
pub(super) struct Fields<'p> {
    members: Members<'p>,
    place: &'p Place<'p>,
}

impl<'p> Fields<'p> {
    pub(super) fn new(members: impl Into<Members<'p>>, place: &'p Place<'p>) -> Self {
        Self { members: members.into(), place }
    }

    /// The object in a value.
    pub(super) fn of(value: impl Into<Json<'p>>, place: &'p Place<'p>) -> Result<Self, BadRequest> {
        match value.into().members() {
            Ok(members) => Ok(Self { members, place }),
            Err(other) => Err(place.wrong(other.look(), "an object")),
        }
    }

    pub(super) fn place(&self) -> &'p Place<'p> {
        self.place
    }

    /// Looks without taking: a list that is not empty and an object are seen as such, not what they hold.
    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.members.get(key).map(Json::look)
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.take_json(key).map(Json::into_value)
    }

    /// The same, for a value that will be read field by field.
    pub(super) fn take_json(&mut self, key: &str) -> Option<Json<'p>> {
        self.members.take(key).filter(|value| !value.is_null())
    }

    /// Keeps a field among those that were not understood.
    pub(super) fn put_back(&mut self, key: &str, value: Value) {
        self.members.put(key, value);
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, BadRequest> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.place.field(key).wrong(&other, "a string")),
        }
    }

    pub(super) fn need_text(&mut self, key: &str) -> Result<String, BadRequest> {
        self.text(key)?.ok_or_else(|| self.place.field(key).missing("a string"))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, BadRequest> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.place.field(key).wrong(&other, "true or false")),
        }
    }

    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, BadRequest> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let wrong = || self.place.field(key).wrong(&value, "a whole number from 0 up");
        value.as_u64().map(Some).ok_or_else(wrong)
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, BadRequest> {
        let Some(value) = self.take(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.place.field(key).wrong(&value, "a number"))
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Map<String, Value>>, BadRequest> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.place.field(key).wrong(&other, "an object")),
        }
    }

    /// The members of an object that will be read one by one.
    pub(super) fn members(&mut self, key: &str) -> Result<Option<Members<'p>>, BadRequest> {
        let Some(value) = self.take_json(key) else { return Ok(None) };
        value.members().map(Some).map_err(|other| self.place.field(key).wrong(other.look(), "an object"))
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<Json<'p>>>, BadRequest> {
        let Some(value) = self.take_json(key) else { return Ok(None) };
        value.items().map(Some).map_err(|other| self.place.field(key).wrong(other.look(), "an array"))
    }

    pub(super) fn cache(&mut self) -> Option<CacheMark> {
        self.take("cache_control").map(|raw| CacheMark { raw })
    }

    /// Keeps what is left of an inner object under its own name.
    pub(super) fn keep_rest_of(&mut self, key: &str, inner: Map<String, Value>) {
        if !inner.is_empty() {
            self.put_back(key, Value::Object(inner));
        }
    }

    /// What nobody took, without nulls.
    pub(super) fn rest(self) -> Map<String, Value> {
        let mut members = self.members;
        members.drop_nulls();
        members.into_map()
    }

    pub(super) fn extra(self) -> Extra {
        Extra::of(Wire::Anthropic, self.rest())
    }
}

/// Words for a value in an error message: strings are shown, cut short.
struct Found<'a>(&'a Value);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "the number {number}"),
            Value::String(text) => {
                let shown: String = text.chars().take(40).collect();
                let dots = if shown.len() < text.len() { "…" } else { "" };
                write!(f, "the string {shown:?}{dots}")
            }
            Value::Array(_) => f.write_str("an array"),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

/// The scalar half of a visitor that takes any shape.
macro_rules! other_scalars {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON value")
        }
        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(value.into()))
        }
        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(value.into()))
        }
        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(value.into()))
        }
        fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(value.into()))
        }
        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(value.into()))
        }
        fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(value.into()))
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::Other(Value::Null))
        }
    };
}

struct ItemVisitor<T>(PhantomData<T>);

impl<'de, T: Special + Deserialize<'de>> Visitor<'de> for ItemVisitor<T> {
    type Value = Item<'de, T>;

    other_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item<'de, T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Item::Other(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<'de, T>, A::Error> {
        let mut fields = Members::default();
        let mut special = None;
        while let Some(Name(key)) = map.next_key()? {
            let value = if key == T::KEY {
                special = Some(map.next_value()?);
                Json::Value(Value::Null)
            } else {
                json::member(&key, &mut map)?
            };
            fields.push(key, value);
        }
        fields.settle();
        Ok(Item::Object { fields, special })
    }
}

impl<'de: 'a, 'a, T: Special + Deserialize<'de>> Deserialize<'de> for Item<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    other_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(List::Items(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
        let mut fields = Map::new();
        while let Some((key, value)) = map.next_entry()? {
            fields.insert(key, value);
        }
        Ok(List::Other(Value::Object(fields)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}
