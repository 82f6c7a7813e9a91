//! Trees as bytes, one tree one text: what a fingerprint is taken of.
//!
//! Every value says its kind and where it ends before its content, so no two trees share bytes and none is the
//! beginning of another:
//!
//! ```text
//! null z · true t · false f · number n<decimal>; · text s<bytes>:<text> · bytes b<count>:<bytes>
//! list [<values>] · object {<text><value>…}
//! ```
//!
//! Numbers are written by value (`1` and `1.0` are one), members of JSON objects in the order of their names' bytes.
//! Text stays as it is: nothing is trimmed, folded or composed. Must not know what is written.

use serde_json::{Map, Number, Value};

/// Whole numbers below this are exact in both of JSON's readings.
const WHOLE: f64 = 18_446_744_073_709_551_616.0;

/// A tree being written.
#[derive(Debug, Default)]
pub(super) struct Form {
    out: Vec<u8>,
}

impl Form {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn text(&mut self, text: &str) {
        self.counted(b's', text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.counted(b'b', bytes);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.out.push(if flag { b't' } else { b'f' });
    }

    pub(super) fn count(&mut self, count: u64) {
        self.decimal(&count.to_string());
    }

    pub(super) fn whole(&mut self, number: i64) {
        self.decimal(&number.to_string());
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole and in range, as checked before")]
    pub(super) fn float(&mut self, number: f64) {
        if number.fract() == 0.0 && number.abs() < WHOLE {
            return self.decimal(&(number as i128).to_string());
        }
        self.decimal(&format!("{number:e}"));
    }

    /// A list of whatever `items` writes.
    pub(super) fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.list_open();
        items(self);
        self.list_close();
    }

    /// An object of the fields that `fields` writes, always in the same order.
    pub(super) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.object_open();
        fields(self);
        self.object_close();
    }

    /// The two halves of [`Self::list`] and [`Self::object`], for writers that hold the form themselves.
    pub(super) fn list_open(&mut self) {
        self.out.push(b'[');
    }

    pub(super) fn list_close(&mut self) {
        self.out.push(b']');
    }

    pub(super) fn object_open(&mut self) {
        self.out.push(b'{');
    }

    pub(super) fn object_close(&mut self) {
        self.out.push(b'}');
    }

    /// A field of an object, whatever its value.
    pub(super) fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.text(name);
        value(self);
    }

    /// The other fields are left out where they are not given.
    pub(super) fn text_field(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.field(name, |form| form.text(text));
        }
    }

    pub(super) fn flag_field(&mut self, name: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.field(name, |form| form.flag(flag));
        }
    }

    pub(super) fn count_field(&mut self, name: &str, count: Option<u64>) {
        if let Some(count) = count {
            self.field(name, |form| form.count(count));
        }
    }

    pub(super) fn float_field(&mut self, name: &str, number: Option<f64>) {
        if let Some(number) = number {
            self.field(name, |form| form.float(number));
        }
    }

    /// Any JSON.
    pub(super) fn value(&mut self, value: &Value) {
        self.json(value, false);
    }

    /// A schema that the answer follows: members of `properties` keep their order, in which the answer is written.
    pub(super) fn schema(&mut self, value: &Value) {
        self.json(value, true);
    }

    /// The members that `keep` wants, in the order of their names.
    pub(super) fn members(&mut self, map: &Map<String, Value>, keep: impl Fn(&str, &Value) -> bool) {
        self.object(|form| {
            for (name, value) in sorted(map) {
                if keep(name, value) {
                    form.field(name, |form| form.value(value));
                }
            }
        });
    }

    fn json(&mut self, value: &Value, ordered: bool) {
        match value {
            Value::Null => self.out.push(b'z'),
            Value::Bool(flag) => self.flag(*flag),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.list(|form| items.iter().for_each(|item| form.json(item, ordered)));
            }
            Value::Object(map) => self.object(|form| {
                for (name, value) in sorted(map) {
                    form.text(name);
                    match value.as_object().filter(|_| ordered && name == "properties") {
                        Some(properties) => form.in_order(properties),
                        None => form.json(value, ordered),
                    }
                }
            }),
        }
    }

    fn in_order(&mut self, properties: &Map<String, Value>) {
        self.list(|form| {
            for (name, value) in properties {
                form.text(name);
                form.json(value, true);
            }
        });
    }

    fn number(&mut self, number: &Number) {
        match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(count), ..) => self.count(count),
            (_, Some(whole), _) => self.whole(whole),
            (.., Some(float)) => self.float(float),
            // No feature of the parser's that is in use makes others.
            _ => self.decimal(&number.to_string()),
        }
    }

    fn decimal(&mut self, digits: &str) {
        self.out.push(b'n');
        self.out.extend_from_slice(digits.as_bytes());
        self.out.push(b';');
    }

    fn counted(&mut self, kind: u8, bytes: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(bytes.len().to_string().as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(bytes);
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = map.iter().collect();
    members.sort_unstable_by_key(|member| member.0);
    members
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
