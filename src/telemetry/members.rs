//! JSON objects of known shape, written member by member, by hand: log lines and `extra_fields` are written for every
//! request, and a serialiser takes three times as long.
//!
//! Knows no field of anybody's: names come from whoever writes.

use std::fmt;

use govern::price::{write_femtos, write_nanos};

/// Members of a JSON object, each with a comma in front. The braces are whoever writes it's.
#[derive(Debug)]
pub struct Members<'o>(pub &'o mut Vec<u8>);

impl Members<'_> {
    /// The name of the next member; its value must follow.
    pub fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// A text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.value(text);
    }

    /// A text, where there is one.
    pub fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A whole number.
    pub fn count(&mut self, name: &str, count: u64) {
        self.name(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }

    /// A whole number, where there is one.
    pub fn count_if(&mut self, name: &str, count: Option<u64>) {
        if let Some(count) = count {
            self.count(name, count);
        }
    }

    /// Nano-dollars as dollars, where there are any.
    pub fn dollars_if(&mut self, name: &str, nanos: Option<u64>) {
        if let Some(nanos) = nanos {
            self.dollars(name, nanos);
        }
    }

    /// Nano-dollars as dollars, exactly.
    pub fn dollars(&mut self, name: &str, nanos: u64) {
        self.name(name);
        // Writing into a Vec cannot fail.
        let _ = write_nanos(nanos, self);
    }

    /// Femto-dollars as dollars, exactly.
    pub fn femtos(&mut self, name: &str, femtos: u64) {
        self.name(name);
        let _ = write_femtos(femtos.into(), self);
    }

    /// True or false.
    pub fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// A text as a JSON string.
    pub fn value(&mut self, text: &str) {
        // Without a branch inside, so that the compiler looks at many bytes at once.
        let escaped = |found: bool, byte: &u8| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
        if text.as_bytes().iter().fold(false, escaped) {
            // Text is always JSON, and a Vec takes every byte.
            let _ = serde_json::to_writer(&mut *self.0, text);
            return;
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }
}

impl fmt::Write for Members<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
