//! Events as bytes: named, and numbered without a gap.

use serde::Serialize;

use crate::frame::write_event;
use crate::wire::tree::{Object, to_bytes};

/// Writes events, one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The number of the next event.
    sequence: u64,
    json: Vec<u8>,
}

/// Where in the output something stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    /// The id of the item.
    pub item: &'a str,
    pub output: usize,
    /// The field that numbers the piece inside the item, and its number.
    pub inside: Option<(&'static str, usize)>,
}

impl Writer {
    /// Goes on where another stopped.
    pub(super) fn from(next: u64) -> Self {
        Self { sequence: next, json: Vec::new() }
    }

    /// An event with an object of its own: `response`.
    pub(super) fn whole(
        &mut self,
        name: &'static str,
        field: &'static str,
        object: &Object<'_>,
        out: &mut Vec<u8>,
    ) {
        self.begin(name);
        self.key(field);
        self.json.extend_from_slice(&to_bytes(object));
        self.end(name, out);
    }

    /// An event about an item: `output_index` and the item.
    pub(super) fn item(&mut self, name: &'static str, output: usize, object: &[u8], out: &mut Vec<u8>) {
        self.begin(name);
        self.key("output_index");
        push(&mut self.json, &output);
        self.key("item");
        self.json.extend_from_slice(object);
        self.end(name, out);
    }

    /// An event about a piece of an item, with the given fields.
    pub(super) fn piece(
        &mut self,
        name: &'static str,
        spot: Spot<'_>,
        fields: &[(&'static str, &dyn Text)],
        out: &mut Vec<u8>,
    ) {
        self.begin(name);
        self.key("item_id");
        push(&mut self.json, spot.item);
        self.key("output_index");
        push(&mut self.json, &spot.output);
        if let Some((field, number)) = spot.inside {
            self.key(field);
            push(&mut self.json, &number);
        }
        for (field, value) in fields {
            self.key(field);
            value.write(&mut self.json);
        }
        self.end(name, out);
    }

    /// An event whose object is given but for its number.
    pub(super) fn numbered(
        &mut self,
        name: &str,
        make: impl FnOnce(u64) -> serde_json::Value,
        out: &mut Vec<u8>,
    ) {
        let object = make(self.sequence);
        self.sequence += 1;
        write_event(out, name, object.to_string().as_bytes());
    }

    fn begin(&mut self, name: &str) {
        self.json.clear();
        self.json.extend_from_slice(b"{\"type\":\"");
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\",\"sequence_number\":");
        push(&mut self.json, &self.sequence);
        self.sequence += 1;
    }

    fn key(&mut self, name: &str) {
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
    }

    fn end(&mut self, name: &str, out: &mut Vec<u8>) {
        self.json.push(b'}');
        write_event(out, name, &self.json);
    }
}

/// What can stand in a field: a string, or JSON that is written already.
pub(super) trait Text {
    fn write(&self, json: &mut Vec<u8>);
}

impl Text for str {
    fn write(&self, json: &mut Vec<u8>) {
        push(json, self);
    }
}

impl Text for &str {
    fn write(&self, json: &mut Vec<u8>) {
        push(json, self);
    }
}

impl Text for usize {
    fn write(&self, json: &mut Vec<u8>) {
        push(json, self);
    }
}

/// JSON as it stands.
pub(super) struct Json<'a>(pub &'a [u8]);

impl Text for Json<'_> {
    fn write(&self, json: &mut Vec<u8>) {
        json.extend_from_slice(self.0);
    }
}

pub(super) fn push<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Text, numbers and trees of them always serialise, and a Vec takes every write.
    let _written = serde_json::to_writer(out, value);
}
