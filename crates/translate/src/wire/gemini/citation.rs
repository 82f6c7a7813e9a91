//! Sources of statements: `groundingMetadata` and `citationMetadata` of a candidate, and back.
//!
//! The API counts bytes; the pivot counts characters of one text part. An offset without a part, or into a
//! part that is no text, counts through all the text of the answer: that is how streams number.

use serde_json::{Map, Value, json};

use super::Wire;
use crate::ir::Citation;

/// The text parts of an answer: their number in the wire's list, and their text.
pub(super) type Texts<'a> = [(u64, &'a str)];

/// The sources a candidate names, each with the text part (its place in `texts`) that it belongs to.
pub(super) fn read(metadata: &Value, texts: &Texts<'_>) -> Vec<(usize, Citation)> {
    let list = |name: &str| metadata.get(name).and_then(Value::as_array).into_iter().flatten();
    let chunks: Vec<&Value> = list("groundingChunks").collect();
    let mut used = vec![false; chunks.len()];
    let mut found = Vec::new();
    for support in list("groundingSupports") {
        let segment = support.get("segment").unwrap_or(&Value::Null);
        let indices = support.get("groundingChunkIndices").and_then(Value::as_array);
        for index in indices.into_iter().flatten().filter_map(Value::as_u64) {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let Some(chunk) = chunks.get(index) else { continue };
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
            let mut citation = of_chunk(chunk, Some(segment));
            found.push((place(segment, texts, &mut citation), citation));
        }
    }
    // Sources that no statement points at are sources of the whole.
    let unused = chunks.iter().zip(used).filter(|(_, used)| !used).map(|(chunk, _)| chunk);
    found.extend(unused.map(|chunk| (0, of_chunk(chunk, None))));
    // The Gemini API calls the list `citationSources`, Vertex `citations`.
    for source in list("citationSources").chain(list("citations")) {
        let text = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        let (url, title) = (text("uri"), text("title"));
        let mut citation = Citation { url, title, ..Citation::of(Wire::Gemini, source.clone()) };
        found.push((place(source, texts, &mut citation), citation));
    }
    found
}

/// Searches the provider ran for this candidate, as it bills them.
pub(super) fn searches(metadata: &Value) -> u64 {
    metadata.get("webSearchQueries").and_then(Value::as_array).map_or(0, |list| list.len() as u64)
}

/// What [`read`] leaves of the metadata.
pub(super) fn rest(mut metadata: Map<String, Value>) -> Map<String, Value> {
    for name in ["groundingChunks", "groundingSupports", "citationSources", "citations"] {
        if metadata.get(name).is_some_and(Value::is_array) {
            metadata.shift_remove(name);
        }
    }
    metadata
}

fn of_chunk(chunk: &Value, segment: Option<&Value>) -> Citation {
    let source = ["web", "retrievedContext", "maps"].iter().find_map(|kind| chunk.get(*kind));
    let text = |name: &str| source.and_then(|source| source.get(name)?.as_str()).map(str::to_owned);
    let (url, title, quote) = (text("uri"), text("title"), text("text"));
    let raw = match segment {
        Some(segment) => json!({"groundingChunk": chunk, "segment": segment}),
        None => json!({"groundingChunk": chunk}),
    };
    Citation { url, title, quote, ..Citation::of(Wire::Gemini, raw) }
}

/// Sets where in its part the statement stands, and says which part that is.
fn place(segment: &Value, texts: &Texts<'_>, citation: &mut Citation) -> usize {
    let count = |name: &str| segment.get(name).and_then(Value::as_u64);
    let Some(end) = count("endIndex") else { return 0 };
    let start = count("startIndex").unwrap_or(0);
    let named = count("partIndex").and_then(|index| texts.iter().position(|(number, _)| *number == index));
    let mut skipped = 0;
    for (slot, (_, text)) in texts.iter().enumerate() {
        let length = text.len() as u64;
        let last = slot + 1 == texts.len();
        let here = match named {
            Some(named) => slot == named,
            None => last || start < skipped + length,
        };
        if here {
            let base = if named.is_some() { 0 } else { skipped };
            citation.start = Some(characters(text, start.saturating_sub(base)));
            citation.end = Some(characters(text, end.saturating_sub(base)));
            return slot;
        }
        skipped += length;
    }
    0
}

fn characters(text: &str, bytes: u64) -> u64 {
    let end = text.floor_char_boundary(usize::try_from(bytes).unwrap_or(usize::MAX).min(text.len()));
    text.get(..end).unwrap_or_default().chars().count() as u64
}

fn bytes(text: &str, characters: u64) -> usize {
    let characters = usize::try_from(characters).unwrap_or(usize::MAX);
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}

/// `groundingMetadata` while it is put together.
#[derive(Debug, Default)]
pub(super) struct Grounding {
    chunks: Vec<Value>,
    supports: Vec<Value>,
}

impl Grounding {
    /// Adds one source of the text part `text`. `part` is its number in the list; in a stream there is none,
    /// and `before` counts the bytes of text that went before.
    pub(super) fn add(&mut self, citation: &Citation, text: &str, part: Option<u64>, before: u64) {
        let chunk = chunk(citation);
        let index = match self.chunks.iter().position(|known| *known == chunk) {
            Some(index) => index,
            None => {
                self.chunks.push(chunk);
                self.chunks.len() - 1
            }
        };
        let start = citation.start.map_or(0, |start| bytes(text, start));
        let end = citation.end.map_or(text.len(), |end| bytes(text, end)).max(start);
        let mut segment = Map::new();
        if let Some(part) = part.filter(|part| *part > 0) {
            segment.insert("partIndex".into(), part.into());
        }
        segment.insert("startIndex".into(), (before + start as u64).into());
        segment.insert("endIndex".into(), (before + end as u64).into());
        segment.insert("text".into(), text.get(start..end).unwrap_or_default().into());
        self.supports.push(json!({"segment": segment, "groundingChunkIndices": [index]}));
    }

    /// The object; `None` when nothing was added.
    pub(super) fn finish(self) -> Option<Value> {
        (!self.chunks.is_empty())
            .then(|| json!({"groundingChunks": self.chunks, "groundingSupports": self.supports}))
    }
}

/// A page as a web source, anything else as a passage that was looked up.
fn chunk(citation: &Citation) -> Value {
    match &citation.url {
        Some(url) => json!({"web": {"uri": url, "title": citation.title.as_deref().unwrap_or_default()}}),
        None => json!({"retrievedContext": {"title": citation.title, "text": citation.quote}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_bytes_there_and_characters_here() {
        let metadata = json!({
            "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"web": {"uri": "https://b"}}],
            "groundingSupports": [
                {"segment": {"startIndex": 3, "endIndex": 5, "text": "ü"}, "groundingChunkIndices": [0, 9]},
                {"segment": {"partIndex": 2, "endIndex": 2}, "groundingChunkIndices": [0]},
            ],
        });
        let found = read(&metadata, &[(1, "é-"), (2, "ün")]);
        let spots: Vec<_> = found.iter().map(|(slot, one)| (*slot, one.start, one.end)).collect();
        assert_eq!(spots, [(1, Some(0), Some(1)), (1, Some(0), Some(1)), (0, None, None)]);
        assert_eq!(found[2].1.url.as_deref(), Some("https://b"));
    }

    #[test]
    fn hostile_offsets_are_cut() {
        let metadata = json!({"groundingChunks": [{}], "groundingSupports": [
            {"segment": {"startIndex": u64::MAX, "endIndex": 1, "partIndex": 7}, "groundingChunkIndices": [0]}]});
        assert_eq!(read(&metadata, &[(0, "ü")])[0].1.start, Some(1));
        assert_eq!(read(&metadata, &[]).len(), 1);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let text = "Grüße aus Köln";
        let mut citation = Citation::of(Wire::Anthropic, Value::Null);
        (citation.url, citation.title) = (Some("https://k".into()), Some("K".into()));
        (citation.start, citation.end) = (Some(10), Some(14));
        let mut grounding = Grounding::default();
        grounding.add(&citation, text, Some(1), 0);
        grounding.add(&citation, text, Some(1), 0);
        let written = grounding.finish().unwrap();
        assert_eq!(written["groundingChunks"].as_array().unwrap().len(), 1);
        assert_eq!(written["groundingSupports"][0]["segment"]["text"], "Köln");
        let found = read(&written, &[(1, text)]);
        assert_eq!((found[0].1.start, found[0].1.end), (Some(10), Some(14)));
    }
}
