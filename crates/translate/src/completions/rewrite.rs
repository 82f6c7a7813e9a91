//! Between chat's JSON and that of text completions, both ways. Knows the few members in which they differ.

use serde_json::{Map, Value};

use super::logprobs;
use crate::loss::Losses;
use crate::wire::Echo;

/// A text answer or chunk in chat's words; `None` when it is no such thing, and is to be read as it is.
pub(super) fn to_chat(body: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let choices = value.get_mut("choices")?.as_array_mut()?;
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        let Some(text) = choice.shift_remove("text") else { continue };
        if let Some(newer) = choice.get("logprobs").and_then(logprobs::newer) {
            choice.insert("logprobs".to_owned(), newer);
        }
        // The stream's reader takes it too: as the delta of a provider that does not stream.
        let said = Map::from_iter([("content".to_owned(), text)]);
        choice.insert("message".to_owned(), Value::Object(said));
    }
    value.as_object_mut()?.insert("object".to_owned(), "chat.completion".into());
    serde_json::to_vec(&value).ok()
}

/// Chat's whole answer in the words of text completions.
pub(super) fn answer(chat: &[u8], nameless: bool, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(chat) else { return chat.to_vec() };
    body.insert("object".to_owned(), "text_completion".into());
    if nameless {
        body.insert("id".to_owned(), format!("cmpl-{}", echo.unique).into());
    }
    if let Some(Value::Array(choices)) = body.get_mut("choices") {
        for (index, choice) in choices.iter_mut().enumerate() {
            let Value::Object(old) = std::mem::take(choice) else { continue };
            *choice = Value::Object(rewritten(old, "message", &mut 0, (index, losses)));
        }
    }
    serde_json::to_vec(&body).unwrap_or_default()
}

/// One choice; `offset` is where its text stands in the whole, in characters.
fn rewritten(
    mut choice: Map<String, Value>,
    said: &str,
    offset: &mut u64,
    (index, losses): (usize, &mut Losses),
) -> Map<String, Value> {
    let mut said = match choice.shift_remove(said) {
        Some(Value::Object(said)) => said,
        _ => Map::new(),
    };
    let mut text = match said.shift_remove("content") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    if let Some(Value::String(refusal)) = said.shift_remove("refusal") {
        text.push_str(&refusal);
    }
    said.shift_remove("role");
    for (name, _) in said.iter().filter(|(_, value)| !value.is_null()) {
        losses.report(format!("choices[{index}].{name}"), "has no counterpart in text completions");
    }
    let older = choice.shift_remove("logprobs").and_then(|chat| logprobs::older(&chat, *offset));
    let finish = match choice.shift_remove("finish_reason") {
        // The format has no calls: what they were was reported.
        Some(Value::String(word)) if word == "tool_calls" => "stop".into(),
        other => other.unwrap_or_default(),
    };
    let logprobs = older.map(|(older, end)| {
        *offset = end;
        older
    });
    let mut new = Map::new();
    new.insert("text".to_owned(), text.into());
    new.insert("index".to_owned(), choice.shift_remove("index").unwrap_or_else(|| index.into()));
    new.insert("logprobs".to_owned(), logprobs.unwrap_or_default());
    new.insert("finish_reason".to_owned(), finish);
    new.append(&mut choice);
    new
}

/// What becomes of one of chat's frames.
#[derive(Debug)]
pub(super) enum Chunk {
    /// The terminator, an error, a sign of life.
    AsItIs,
    /// It told a role, or a part of what has no counterpart.
    Nothing,
    Json(Vec<u8>),
}

/// The chunks of one stream.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Stands for the provider's id where it gave none.
    made: String,
    nameless: bool,
    /// Per choice, where the next log-probability's token stands, in characters.
    offsets: Vec<(u64, u64)>,
}

impl Chunks {
    pub(super) fn new(echo: &Echo) -> Self {
        Self { made: format!("cmpl-{}", echo.unique), nameless: true, offsets: Vec::new() }
    }

    /// The provider's id is known.
    pub(super) fn start(&mut self, id: &str) {
        self.nameless = id.is_empty();
    }

    pub(super) fn chunk(&mut self, data: &[u8], losses: &mut Losses) -> Chunk {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(data) else { return Chunk::AsItIs };
        let Some(Value::Array(choices)) = body.shift_remove("choices") else { return Chunk::AsItIs };
        let had_choices = !choices.is_empty();
        let mut kept = Vec::with_capacity(choices.len());
        for choice in choices {
            let Value::Object(choice) = choice else { continue };
            let number = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let offset = self.offset(number);
            let index = usize::try_from(number).unwrap_or_default();
            let choice = rewritten(choice, "delta", offset, (index, losses));
            let says = |name: &str| choice.get(name).is_some_and(|value| !value.is_null());
            let has_text = choice.get("text").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            if has_text || says("finish_reason") || says("logprobs") {
                kept.push(Value::Object(choice));
            }
        }
        if had_choices && kept.is_empty() {
            return Chunk::Nothing;
        }
        body.insert("object".to_owned(), "text_completion".into());
        if self.nameless {
            body.insert("id".to_owned(), self.made.clone().into());
        }
        body.insert("choices".to_owned(), Value::Array(kept));
        Chunk::Json(serde_json::to_vec(&body).unwrap_or_default())
    }

    fn offset(&mut self, choice: u64) -> &mut u64 {
        let known = self.offsets.iter().position(|(number, _)| *number == choice);
        let at = known.unwrap_or_else(|| {
            self.offsets.push((choice, 0));
            self.offsets.len() - 1
        });
        // It was found or added above.
        #[expect(clippy::indexing_slicing, reason = "the position was found or added above")]
        &mut self.offsets[at].1
    }
}
