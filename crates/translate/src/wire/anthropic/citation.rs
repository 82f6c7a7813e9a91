//! Citations of this wire: pages, documents and search results, each with the words it quotes.

use serde_json::Value;

use super::Wire;
use super::types::Fields;
use crate::ir::Citation;
use crate::wire::BadRequest;
use crate::wire::tree::{Node, Object};

/// What the other wires know of a citation: page, title, quote. The whole is kept beside.
pub(super) fn read(raw: Value) -> Citation {
    let text = |name: &str| raw.get(name).and_then(Value::as_str).map(str::to_owned);
    let url = text("url").or_else(|| text("source").filter(|source| source.contains("://")));
    let title = text("title").or_else(|| text("document_title"));
    let quote = text("cited_text");
    Citation { url, title, quote, ..Citation::of(Wire::Anthropic, raw) }
}

/// As a caller gets it. One of another wire becomes the result of a web search when it names a page;
/// `None` when it does not: every other kind points into documents of the request.
pub(super) fn write(citation: &Citation) -> Option<Node<'_>> {
    if let Some(raw) = citation.for_wire(Wire::Anthropic) {
        return Some(raw.into());
    }
    let url = citation.url.as_deref()?;
    let made = Object::typed("web_search_result_location")
        .with("url", url)
        .with("title", citation.title.as_deref())
        .with("cited_text", citation.quote.as_deref().unwrap_or_default())
        .with("encrypted_index", "");
    Some(made.into())
}

/// As a request holds it. The API checks the `encrypted_index` of what it is sent back: one that was made
/// here of another wire's citation, or that another wire wrote, stays out.
pub(super) fn sent_back(citation: &Citation) -> Option<&Value> {
    let raw = citation.for_wire(Wire::Anthropic)?;
    (raw.get("encrypted_index").and_then(Value::as_str) != Some("")).then_some(raw)
}

/// The citations of a text block, taken out of its fields.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<Vec<Citation>, BadRequest> {
    let place = fields.place().field("citations");
    let mut citations = Vec::new();
    for (index, item) in fields.list("citations")?.unwrap_or_default().into_iter().enumerate() {
        match item.into_value() {
            raw @ Value::Object(_) => citations.push(read(raw)),
            other => return Err(place.item(index).wrong(&other, "an object")),
        }
    }
    Ok(citations)
}
