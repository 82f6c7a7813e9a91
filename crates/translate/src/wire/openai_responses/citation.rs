//! Citations of this wire: the `annotations` of an output text.

use serde_json::{Map, Value, json};

use super::OWN;
use crate::ir::Citation;

/// Why a citation is left out.
pub(super) const PAGES_ONLY: &str = "only citations of web pages are carried";

/// What the other wires know of an annotation: page, title, place in the text.
pub(super) fn read(raw: Value) -> Citation {
    let text = |name: &str| raw.get(name).and_then(Value::as_str).map(str::to_owned);
    let count = |name: &str| raw.get(name).and_then(Value::as_u64);
    let title = text("title").or_else(|| text("filename"));
    let (url, start, end) = (text("url"), count("start_index"), count("end_index"));
    Citation { url, title, start, end, ..Citation::of(OWN, raw) }
}

/// As a caller gets it; `None` when it names no web page. `length` of the text, in characters, is the end of a
/// citation that has none.
pub(super) fn write(citation: &Citation, length: u64) -> Option<Value> {
    if let Some(raw) = citation.for_wire(OWN) {
        return Some(raw.clone());
    }
    let mut map = Map::new();
    map.insert("type".to_owned(), json!("url_citation"));
    map.insert("start_index".to_owned(), citation.start.unwrap_or(0).into());
    map.insert("end_index".to_owned(), citation.end.unwrap_or(length).into());
    map.insert("url".to_owned(), json!(citation.url.as_deref()?));
    map.insert("title".to_owned(), json!(citation.title.as_deref().unwrap_or_default()));
    Some(Value::Object(map))
}
