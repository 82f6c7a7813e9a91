//! Citations of this wire: a span of the answer with the documents and tool results it rests on. The other
//! wires know one source per citation: here one is read per source, and neighbours of one span are joined
//! again when they are written.

use serde_json::{Map, Value};

use crate::Wire;
use crate::ir::Citation;
use crate::wire::tree::{Node, Object};

/// Why a citation is left out.
pub(super) const NOT_SENT: &str = "citations of other makers are not sent back";

/// A citation, one for each of its sources.
pub(super) fn read(raw: Value) -> Vec<Citation> {
    let sources = raw.get("sources").and_then(Value::as_array).cloned().unwrap_or_default();
    if sources.len() < 2 {
        let only = sources.first().cloned().unwrap_or_default();
        return vec![one(raw, &only)];
    }
    let alone = |source: Value| {
        let mut raw = raw.clone();
        if let Some(list) = raw.get_mut("sources") {
            *list = Value::Array(vec![source.clone()]);
        }
        one(raw, &source)
    };
    sources.into_iter().map(alone).collect()
}

fn one(raw: Value, source: &Value) -> Citation {
    let inner = source.get("document").or_else(|| source.get("tool_output")).and_then(Value::as_object);
    let word = |names: &[&str]| names.iter().find_map(|name| inner?.get(*name)?.as_str()).map(str::to_owned);
    let url = word(&["url", "link", "source"]).filter(|url| url.contains("://"));
    let title = word(&["title"]).or_else(|| source.get("id").and_then(Value::as_str).map(str::to_owned));
    let quote = word(&["snippet", "text", "content"]);
    let place = |name: &str| raw.get(name).and_then(Value::as_u64);
    let (start, end) = (place("start"), place("end"));
    Citation { url, title, quote, start, end, ..Citation::of(Wire::Cohere, raw) }
}

/// The text that is cited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cited<'t> {
    pub text: &'t str,
    /// Its content block; `None` for a plan.
    pub index: Option<u64>,
    /// Characters of a plan that stand before it.
    pub from: u64,
}

/// The citations of one text.
pub(super) fn write_all<'a>(citations: &'a [Citation], cited: Cited<'_>, list: &mut Vec<Node<'a>>) {
    let mut last: Option<Value> = None;
    for citation in citations {
        let Some(raw) = citation.for_wire(Wire::Cohere) else {
            list.extend(last.take().map(Node::from));
            list.push(made(citation, cited).into());
            continue;
        };
        match last.as_mut().filter(|last| of_one_span(last, raw)) {
            Some(joined) => join(joined, raw),
            None => list.extend(last.replace(raw.clone()).map(Node::from)),
        }
    }
    list.extend(last.map(Node::from));
}

/// One citation of another wire, as this one tells it.
pub(super) fn made<'a>(citation: &'a Citation, cited: Cited<'_>) -> Object<'a> {
    let whole = cited.text.chars().count() as u64;
    let start = citation.start.unwrap_or(0).min(whole);
    let end = citation.end.unwrap_or(whole).clamp(start, whole);
    let count = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let words: String = cited.text.chars().skip(count(start)).take(count(end - start)).collect();
    let mut document = Object::new();
    document.put_some("title", citation.title.as_deref());
    document.put_some("url", citation.url.as_deref());
    document.put_some("snippet", citation.quote.as_deref());
    let id = citation.url.as_deref().or(citation.title.as_deref()).unwrap_or("source");
    let source = Object::typed("document").with("id", id).with("document", document);
    let mut object = Object::new()
        .with("start", cited.from.saturating_add(start))
        .with("end", cited.from.saturating_add(end))
        .with("text", words)
        .with("sources", vec![source.into()]);
    object.put_some("content_index", cited.index);
    object.put("type", if cited.index.is_some() { "TEXT_CONTENT" } else { "PLAN" });
    object
}

/// The same but for their sources.
fn of_one_span(a: &Value, b: &Value) -> bool {
    let rest = |value: &Value| -> Option<Map<String, Value>> {
        let mut map = value.as_object()?.clone();
        map.shift_remove("sources")?;
        Some(map)
    };
    rest(a).is_some_and(|a| Some(a) == rest(b))
}

fn join(into: &mut Value, from: &Value) {
    let more = from.get("sources").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(Value::Array(list)) = into.get_mut("sources") {
        list.extend(more);
    }
}
