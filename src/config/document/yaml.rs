//! YAML 1.2 over `saphyr-parser`'s events.
//!
//! Events, not a ready tree: the builder keeps its own stack, so depth and alias expansion are bounded
//! by us, and the scalars follow the core schema (`yes` and `on` stay strings).

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

use super::{MAX_DEPTH, Place, Tree};
use crate::config::problem::{Position, child};

/// Most values that aliases may add.
const MAX_ALIASED: usize = 100_000;

/// Reads the only document of `text` into `tree`.
pub(super) fn read(text: &str, tree: &mut Tree) {
    let mut builder = Builder { tree, open: Vec::new(), anchors: HashMap::new(), aliased: 0, documents: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                if !builder.event(event, span) {
                    return;
                }
            }
            Err(error) => {
                let message = format!("not valid YAML: {}", error.info());
                builder.tree.fault(Some(position(error.marker())), "", message);
                return;
            }
        }
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A leaf as the parser reports it.
struct Scalar<'s> {
    text: &'s str,
    style: ScalarStyle,
    /// 0: none.
    anchor: usize,
    tag: Option<&'s Tag>,
}

/// A list or mapping that is not finished.
struct Open {
    pointer: String,
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Value>),
    /// The second part is the name that waits for its value, `None` for one that is left out.
    Mapping(Map<String, Value>, Option<Waiting>),
}

struct Waiting {
    name: String,
    pointer: String,
    at: Position,
    /// A second field of that name: reported, its value thrown away.
    twice: bool,
}

struct Builder<'t> {
    tree: &'t mut Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    aliased: usize,
    documents: usize,
}

impl Builder<'_> {
    /// Takes one event; false to stop reading.
    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        let at = position(&span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.tree.fault(Some(at), "", "a second document begins here; a configuration is one");
                    return false;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                return self.scalar(&Scalar { text: &text, style, anchor, tag: tag.as_deref() }, at);
            }
            Event::SequenceStart(anchor, _) => return self.begin(Body::List(Vec::new()), anchor, at),
            Event::MappingStart(anchor, _) => return self.begin(Body::Mapping(Map::new(), None), anchor, at),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        true
    }

    fn alias(&mut self, anchor: usize, at: Position) -> bool {
        if self.awaits_name() {
            self.tree.fault(Some(at), "", "an alias cannot be a field name");
            return false;
        }
        let pointer = self.arrive(at);
        let Some(value) = self.anchors.get(&anchor).cloned() else {
            self.tree.fault(Some(at), &pointer, "an alias inside its own anchor");
            return false;
        };
        self.aliased += count(&value);
        if self.aliased > MAX_ALIASED {
            self.tree.fault(Some(at), &pointer, "aliases expand to too many values");
            return false;
        }
        if self.open.len() + depth(&value) > MAX_DEPTH {
            self.tree.fault(Some(at), &pointer, format!("nested deeper than {MAX_DEPTH} levels"));
            return false;
        }
        self.put(value);
        true
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, at: Position) -> bool {
        if self.awaits_name() {
            self.name(scalar.text, at);
            return true;
        }
        let pointer = self.arrive(at);
        match resolve(scalar) {
            Ok(value) => {
                if scalar.anchor != 0 {
                    self.anchors.insert(scalar.anchor, value.clone());
                }
                self.put(value);
            }
            Err(message) => {
                self.tree.fault(Some(at), &pointer, message);
                self.put(Value::Null);
            }
        }
        true
    }

    fn awaits_name(&self) -> bool {
        matches!(self.open.last(), Some(Open { body: Body::Mapping(_, None), .. }))
    }

    fn name(&mut self, text: &str, at: Position) {
        let Some(Open { pointer, body: Body::Mapping(map, waiting), .. }) = self.open.last_mut() else {
            return;
        };
        let pointer = child(pointer, text);
        let twice = map.contains_key(text);
        *waiting = Some(Waiting { name: text.to_owned(), pointer: pointer.clone(), at, twice });
        if twice {
            self.tree.fault(Some(at), &pointer, "the field is there twice");
        }
    }

    /// Notes the place of the value that begins here, and says where it is.
    fn arrive(&mut self, at: Position) -> String {
        let (pointer, name, twice) = match self.open.last() {
            None => (String::new(), at, false),
            Some(Open { pointer, body: Body::List(items), .. }) => {
                (child(pointer, &items.len().to_string()), at, false)
            }
            Some(Open { body: Body::Mapping(_, Some(waiting)), .. }) => {
                (waiting.pointer.clone(), waiting.at, waiting.twice)
            }
            Some(Open { pointer, .. }) => (pointer.clone(), at, false),
        };
        if !twice {
            self.tree.places.insert(pointer.clone(), Place { name, value: at });
        }
        pointer
    }

    fn begin(&mut self, body: Body, anchor: usize, at: Position) -> bool {
        if self.awaits_name() {
            self.tree.fault(Some(at), "", "a field name must be plain text");
            return false;
        }
        let pointer = self.arrive(at);
        if self.open.len() >= MAX_DEPTH {
            self.tree.fault(Some(at), &pointer, format!("nested deeper than {MAX_DEPTH} levels"));
            return false;
        }
        self.open.push(Open { pointer, anchor, body });
        true
    }

    fn end(&mut self) {
        let Some(Open { anchor, body, .. }) = self.open.pop() else { return };
        let value = match body {
            Body::List(items) => Value::Array(items),
            Body::Mapping(map, _) => Value::Object(map),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        self.put(value);
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.tree.root = Some(value),
            Some(Body::List(items)) => items.push(value),
            Some(Body::Mapping(map, waiting)) => {
                if let Some(Waiting { name, twice: false, .. }) = waiting.take() {
                    map.insert(name, value);
                }
            }
        }
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A scalar's value by YAML's core schema.
fn resolve(scalar: &Scalar<'_>) -> Result<Value, String> {
    let &Scalar { text, style, tag, .. } = scalar;
    let forced_text = tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
    if style != ScalarStyle::Plain || forced_text {
        return Ok(Value::String(text.to_owned()));
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Err("NaN is no number here".to_owned()),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" => {
            return Err("an infinite number is no number here".to_owned());
        }
        _ => {}
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Ok(Value::Number(integer.into()));
    }
    let begins_as_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if begins_as_number
        && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        && let Ok(float) = text.parse::<f64>()
    {
        let number = Number::from_f64(float).map(Value::Number);
        return number.ok_or_else(|| "not a number that can be represented".to_owned());
    }
    Ok(Value::String(text.to_owned()))
}
