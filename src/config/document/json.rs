//! JSON with comments and trailing commas, over `jsonc-parser`'s tree.
//!
//! Only what editors call JSONC: no unquoted names, no missing commas, no hexadecimal numbers, so that
//! a slip of the pen is an error with a place and never another value.

use std::str::FromStr;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use serde_json::{Map, Number, Value};

use super::{MAX_DEPTH, Place, Tree};
use crate::config::problem::{Position, child};

/// Reads `text` into `tree`.
pub(super) fn read(text: &str, tree: &mut Tree) {
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    match parse_to_ast(text, &collect, &options()) {
        Ok(parsed) => {
            let mut reader = Reader { lines: Lines::of(text), tree };
            let root = parsed.value.as_ref().map(|value| reader.value(value, "", 0));
            if let Some(value) = &parsed.value {
                let at = reader.lines.position(value.range().start);
                reader.tree.places.insert(String::new(), Place { name: at, value: at });
            }
            tree.root = root;
        }
        Err(error) => {
            let at = Position { line: error.line_display(), column: error.column_display() };
            tree.fault(Some(at), "", format!("not valid JSON: {}", lower_first(&error.kind().to_string())));
        }
    }
}

fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

struct Reader<'a, 't> {
    lines: Lines<'a>,
    tree: &'t mut Tree,
}

impl Reader<'_, '_> {
    fn value(&mut self, node: &ast::Value<'_>, pointer: &str, depth: usize) -> Value {
        let at = self.lines.position(node.range().start);
        if depth > MAX_DEPTH {
            self.tree.fault(Some(at), pointer, format!("nested deeper than {MAX_DEPTH} levels"));
            return Value::Null;
        }
        match node {
            ast::Value::NullKeyword(_) => Value::Null,
            ast::Value::BooleanLit(lit) => Value::Bool(lit.value),
            ast::Value::StringLit(lit) => Value::String(lit.value.to_string()),
            ast::Value::NumberLit(lit) => match Number::from_str(lit.value) {
                Ok(number) => Value::Number(number),
                Err(_) => {
                    self.tree.fault(Some(at), pointer, "not a number that can be represented");
                    Value::Null
                }
            },
            ast::Value::Array(array) => self.array(array, pointer, depth),
            ast::Value::Object(object) => self.object(object, pointer, depth),
        }
    }

    fn array(&mut self, array: &ast::Array<'_>, pointer: &str, depth: usize) -> Value {
        let mut items = Vec::with_capacity(array.elements.len());
        for (index, element) in array.elements.iter().enumerate() {
            let pointer = child(pointer, &index.to_string());
            let at = self.lines.position(element.range().start);
            self.tree.places.insert(pointer.clone(), Place { name: at, value: at });
            items.push(self.value(element, &pointer, depth + 1));
        }
        Value::Array(items)
    }

    fn object(&mut self, object: &ast::Object<'_>, pointer: &str, depth: usize) -> Value {
        let mut map = Map::new();
        for property in &object.properties {
            let name = property.name.as_str();
            let pointer = child(pointer, name);
            let at = self.lines.position(property.name.range().start);
            if map.contains_key(name) {
                self.tree.fault(Some(at), &pointer, "the field is there twice");
                continue;
            }
            let value_at = self.lines.position(property.value.range().start);
            self.tree.places.insert(pointer.clone(), Place { name: at, value: value_at });
            let value = self.value(&property.value, &pointer, depth + 1);
            map.insert(name.to_owned(), value);
        }
        Value::Object(map)
    }
}

/// Byte offsets to lines and columns, in a time that does not grow with the length of a line: a file that a program
/// wrote is often one line of megabytes.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// Characters before each [`STEP`]th byte.
    counted: Vec<usize>,
}

const STEP: usize = 1024;

/// Characters begin at bytes that continue none.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let mut counted = vec![0];
        let mut sum = 0;
        for step in text.as_bytes().chunks(STEP) {
            sum += characters(step);
            counted.push(sum);
        }
        Self { text, starts: std::iter::once(0).chain(breaks).collect(), counted }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.before(offset).saturating_sub(self.before(start)) + 1;
        Position { line, column }
    }

    /// Characters before that byte.
    fn before(&self, offset: usize) -> usize {
        let step = offset / STEP;
        let rest = self.text.as_bytes().get(step * STEP..offset).map_or(0, characters);
        self.counted.get(step).copied().unwrap_or(0) + rest
    }
}
