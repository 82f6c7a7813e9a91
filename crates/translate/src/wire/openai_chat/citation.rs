//! Citations of this wire: the `annotations` of a message. They point at web pages only.

use serde_json::{Map, Value, json};

use crate::Wire;
use crate::ir::Citation;

/// Why a citation is left out.
pub(super) const PAGES_ONLY: &str = "only citations of web pages are carried";

/// What the other wires know of an annotation: page, title, place in the text.
pub(super) fn read(raw: Value) -> Citation {
    let inner = raw.get("url_citation");
    let member = |name: &str| inner.and_then(|inner| inner.get(name)).or_else(|| raw.get(name));
    let text = |name: &str| member(name).and_then(Value::as_str).map(str::to_owned);
    let count = |name: &str| member(name).and_then(Value::as_u64);
    let (url, title, quote) = (text("url"), text("title"), text("content"));
    let (start, end) = (count("start_index"), count("end_index"));
    Citation { url, title, quote, start, end, ..Citation::of(Wire::OpenAiChat, raw) }
}

/// As a caller gets it; `None` when it names no web page. `part` is the span, in characters of the whole
/// content, of the text part that it belongs to.
pub(super) fn write(citation: &Citation, part: Option<(u64, u64)>) -> Option<Value> {
    if let Some(raw) = citation.for_wire(Wire::OpenAiChat) {
        return Some(raw.clone());
    }
    let mut inner = Map::new();
    inner.insert("url".to_owned(), json!(citation.url.as_deref()?));
    inner.insert("title".to_owned(), json!(citation.title.as_deref().unwrap_or_default()));
    if let Some((from, to)) = part {
        let place = |at: u64| from.saturating_add(at).min(to);
        inner.insert("start_index".to_owned(), citation.start.map_or(from, place).into());
        inner.insert("end_index".to_owned(), citation.end.map_or(to, place).into());
    }
    Some(json!({"type": "url_citation", "url_citation": inner}))
}
