//! What a relay needs to know of frames and answers it passes on: typed views of a few fields, borrowed
//! from the bytes. Nothing is kept, nothing is changed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error;
use super::stop;
use super::usage::{Count, WireUsage};
use crate::frame::Frame;
use crate::ir::Usage;
use crate::wire::{BadResponse, FrameVerdict, Observation, json};

/// Looks at one frame.
pub(super) fn frame(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    if frame.data.is_empty() {
        return FrameVerdict::Relay;
    }
    let view: FrameView<'_> = match json::read(frame.data) {
        Ok(view) => view,
        Err(err) if err.is_data() => return FrameVerdict::Relay,
        Err(_) => {
            seen.skipped = seen.skipped.saturating_add(1);
            return FrameVerdict::Invalid;
        }
    };
    let kind = view.kind.as_ref().map_or(frame.event, |kind| &kind.0);
    match kind {
        "content_block_delta" => view.delta.iter().for_each(|delta| delta.note(seen)),
        "content_block_start" => view.content_block.iter().for_each(|block| block.note(seen)),
        "message_start" => {
            seen.choices_open |= 1;
            if let Some(message) = &view.message {
                seen.model = message.model.as_ref().map(|model| model.0.clone().into_owned());
                note_usage(message.usage, seen);
            }
        }
        "message_delta" => {
            let word = view.delta.as_ref().and_then(|delta| delta.stop_reason.as_ref());
            note_stop(word, seen);
            note_usage(view.usage, seen);
        }
        "message_stop" => {
            seen.done = true;
            return FrameVerdict::Terminator;
        }
        "error" => {
            seen.failure = Some(error::decode(200, frame.data));
            return FrameVerdict::Failure;
        }
        _ => {}
    }
    FrameVerdict::Relay
}

/// Looks at one whole answer: of chat, or of `count_tokens`.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    let view: AnswerView<'_> = json::read(body).map_err(|err| {
        if err.is_data() {
            BadResponse::WrongShape(err.to_string())
        } else {
            BadResponse::NotJson(err.to_string())
        }
    })?;
    if view.error.is_some() || view.kind.as_ref().is_some_and(|kind| kind.0 == "error") {
        return Err(BadResponse::Failure(error::decode(200, body)));
    }
    let mut seen = Observation::default();
    match (&view.content, view.input_tokens.and_then(|count| count.0)) {
        (Some(blocks), _) => {
            seen.choices_open = 1;
            blocks.iter().for_each(|block| block.note(&mut seen));
        }
        (None, Some(input_uncached)) => {
            seen.usage = Some(Usage { input_uncached, ..Usage::default() });
        }
        (None, None) => {
            return Err(BadResponse::WrongShape("expected an array in `content`".to_owned()));
        }
    }
    seen.model = view.model.map(|model| model.0.into_owned());
    note_stop(view.stop_reason.as_ref(), &mut seen);
    note_usage(view.usage, &mut seen);
    seen.done = true;
    Ok(seen)
}

fn note_stop(word: Option<&Word<'_>>, seen: &mut Observation) {
    if let Some(word) = word {
        seen.finish = Some(stop::reason(&word.0));
        seen.choices_finished |= 1;
    }
}

fn note_usage(usage: Option<WireUsage>, seen: &mut Observation) {
    if let Some(usage) = usage {
        usage.apply(seen.usage.get_or_insert_default());
    }
}

#[derive(serde::Deserialize)]
struct FrameView<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Word<'a>>,
    #[serde(borrow)]
    delta: Option<DeltaView<'a>>,
    #[serde(borrow)]
    content_block: Option<BlockView<'a>>,
    #[serde(borrow)]
    message: Option<MessageView<'a>>,
    usage: Option<WireUsage>,
}

#[derive(serde::Deserialize)]
struct MessageView<'a> {
    #[serde(borrow)]
    model: Option<Word<'a>>,
    usage: Option<WireUsage>,
}

#[derive(serde::Deserialize)]
struct AnswerView<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Word<'a>>,
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    content: Option<Vec<BlockView<'a>>>,
    #[serde(borrow)]
    model: Option<Word<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Word<'a>>,
    usage: Option<WireUsage>,
    input_tokens: Option<Count>,
}

/// The delta of a block, or of the message.
#[derive(serde::Deserialize)]
#[serde(default)]
#[derive(Default)]
struct DeltaView<'a> {
    text: Chars,
    thinking: Chars,
    partial_json: Chars,
    signature: Chars,
    #[serde(borrow)]
    stop_reason: Option<Word<'a>>,
}

impl DeltaView<'_> {
    fn note(&self, seen: &mut Observation) {
        let chars = self.text.0 + self.thinking.0 + self.partial_json.0;
        seen.output_chars = seen.output_chars.saturating_add(chars);
        seen.content |= chars > 0 || self.signature.0 > 0;
    }
}

#[derive(serde::Deserialize)]
struct BlockView<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Word<'a>>,
    #[serde(default)]
    text: Chars,
    #[serde(default)]
    thinking: Chars,
    #[serde(borrow)]
    input: Option<&'a serde_json::value::RawValue>,
}

impl BlockView<'_> {
    /// Text and reasoning count when there is some; every other block is content by its start.
    fn note(&self, seen: &mut Observation) {
        let chars = self.text.0 + self.thinking.0;
        seen.output_chars = seen.output_chars.saturating_add(chars);
        match self.kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("text" | "thinking") => seen.content |= chars > 0,
            Some("tool_use") => {
                seen.content = true;
                seen.tool_call = true;
                let input = self.input.map_or("", |input| input.get());
                let chars = if input == "{}" { 0 } else { input.chars().count() as u64 };
                seen.output_chars = seen.output_chars.saturating_add(chars);
            }
            _ => seen.content = true,
        }
    }
}

/// A string, borrowed unless it holds escapes. Anything else reads as the empty string: one odd field
/// must not hide the rest of the frame.
#[derive(Debug)]
struct Word<'a>(Cow<'a, str>);

/// The number of characters of a string; 0 for anything else.
#[derive(Debug, Clone, Copy, Default)]
struct Chars(u64);

macro_rules! not_a_string {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::of(""))
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::of(""))
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::of(""))
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::of(""))
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::of(""))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::of(""))
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::of(""))
        }
    };
}

impl<'a> Word<'a> {
    fn of(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;

    not_a_string!();

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
        Ok(Word::of(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
        Ok(Word(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

impl Chars {
    fn of(text: &str) -> Self {
        Self(text.chars().count() as u64)
    }
}

struct CharsVisitor;

impl<'de> Visitor<'de> for CharsVisitor {
    type Value = Chars;

    not_a_string!();

    fn visit_str<E>(self, text: &str) -> Result<Chars, E> {
        Ok(Chars::of(text))
    }
}

impl<'de> Deserialize<'de> for Chars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CharsVisitor)
    }
}
