//! Text that a caller retrieved and gave as more than text: search results, documents made of pieces, guarded
//! text. Two wires have the first two alike, each in its own spelling; to every other wire they are text.
//!
//! Must not read what the pivot has a typed place for.

use serde_json::Value;

use super::Wire;
use crate::loss::Losses;

/// What it was given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Document,
    /// Text that a guardrail is to look at.
    Guarded,
    SearchResult,
}

/// A block of another wire that holds retrieved text.
#[derive(Debug)]
pub(crate) struct Retrieved<'a> {
    pub(crate) kind: Kind,
    pub(crate) title: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) context: Option<&'a str>,
    /// `{enabled}`, as both wires have it.
    pub(crate) citations: Option<&'a Value>,
    pub(crate) pieces: Vec<&'a str>,
    /// Something in it is no text.
    partial: bool,
    /// It carries a cache mark.
    marked: bool,
}

impl<'a> Retrieved<'a> {
    /// Reads a block of `wire`; `None` for every other kind of block, and for one without text.
    pub(crate) fn of(wire: Wire, value: &'a Value) -> Option<Self> {
        let found = match wire {
            Wire::Anthropic => anthropic(value),
            Wire::BedrockConverse => bedrock(value),
            _ => None,
        }?;
        found.pieces.iter().any(|piece| !piece.trim().is_empty()).then_some(found)
    }

    /// Reports what neither form of it carries.
    pub(crate) fn report(&self, path: &str, losses: &mut Losses) {
        if self.partial {
            losses.report(format!("{path}.content"), "only the text of retrieved blocks is carried");
        }
        if self.marked {
            let reason = "a mark on a retrieved block is not carried to another wire";
            losses.report(format!("{path}.cache_control"), reason);
        }
    }

    /// Title and source, then the text: what a reader needs.
    pub(crate) fn text(&self) -> String {
        let mut head: Vec<&str> = [self.title, self.source, self.context].into_iter().flatten().collect();
        head.retain(|line| !line.trim().is_empty());
        head.dedup();
        let body = self.pieces.join("\n\n");
        if head.is_empty() { body } else { format!("{}\n\n{body}", head.join("\n")) }
    }

    fn new(kind: Kind, block: &'a Value) -> Self {
        let text = |name: &str| block.get(name).and_then(Value::as_str);
        Self {
            kind,
            title: text("title"),
            source: text("source"),
            context: text("context"),
            citations: block.get("citations").filter(|value| !value.is_null()),
            pieces: Vec::new(),
            partial: false,
            marked: block.get("cache_control").is_some_and(|mark| !mark.is_null()),
        }
    }

    /// The texts of a list of blocks, or the one text that stands there.
    fn with_pieces(mut self, content: &'a Value) -> Self {
        match content {
            Value::String(text) => self.pieces.push(text),
            content => {
                for piece in content.as_array().into_iter().flatten() {
                    match piece.get("text").and_then(Value::as_str) {
                        Some(text) => self.pieces.push(text),
                        None => self.partial = true,
                    }
                }
            }
        }
        self
    }
}

/// The same as plain text, for a wire that has no such block. Reports the change.
pub(crate) fn as_text(wire: Wire, value: &Value, path: &str, losses: &mut Losses) -> Option<String> {
    let found = Retrieved::of(wire, value)?;
    let reason = match found.kind {
        Kind::Document => "a document of pieces is sent as plain text",
        Kind::Guarded => "guarded text is sent as plain text",
        Kind::SearchResult => "a search result is sent as plain text",
    };
    losses.report(path, reason);
    found.report(path, losses);
    Some(found.text())
}

fn anthropic(block: &Value) -> Option<Retrieved<'_>> {
    match block.get("type")?.as_str()? {
        "search_result" => Some(Retrieved::new(Kind::SearchResult, block).with_pieces(block.get("content")?)),
        "document" => {
            let content = block.get("source")?.get("content")?;
            Some(Retrieved::new(Kind::Document, block).with_pieces(content))
        }
        _ => None,
    }
}

fn bedrock(block: &Value) -> Option<Retrieved<'_>> {
    if let Some(inner) = block.get("searchResult") {
        return Some(Retrieved::new(Kind::SearchResult, inner).with_pieces(inner.get("content")?));
    }
    if let Some(inner) = block.get("document") {
        let content = inner.get("source")?.get("content")?;
        let title = inner.get("name").and_then(Value::as_str);
        return Some(Retrieved { title, ..Retrieved::new(Kind::Document, inner) }.with_pieces(content));
    }
    let guarded = block.get("guardContent")?.get("text")?;
    Some(Retrieved::new(Kind::Guarded, &Value::Null).with_pieces(guarded.get("text")?))
}
