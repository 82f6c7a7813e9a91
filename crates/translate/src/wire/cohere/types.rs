//! The words of this wire, and what an observer reads of an answer: typed and borrowed from the body.
//!
//! Scalars are read leniently: a misshapen one is absent. Decoders do not read through these types: they
//! must know what is left over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::ir::{Finish, FinishReason};

/// Why a field of another wire is left out.
pub(super) const NO_COUNTERPART: &str = "has no counterpart on cohere";

/// The finish a word stands for; `None` when there is no word. Tools were called: then `COMPLETE` means
/// `TOOL_CALL`.
pub(super) fn finish(word: &str, calls: bool) -> Option<Finish> {
    if word.is_empty() {
        return None;
    }
    let reason = match word {
        "MAX_TOKENS" | "ERROR_LIMIT" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        "ERROR" | "TIMEOUT" => FinishReason::Error,
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Some(Finish { reason, native: word.to_owned(), stop_sequence: None, details: None })
}

/// The word to write for a finish.
pub(super) fn finish_word(finish: Option<&Finish>, calls: bool) -> &'static str {
    let Some(finish) = finish else { return if calls { "TOOL_CALL" } else { "COMPLETE" } };
    let native = finish.native.as_str();
    match finish.reason {
        FinishReason::ToolCalls => "TOOL_CALL",
        FinishReason::Stop if calls => "TOOL_CALL",
        FinishReason::Stop if finish.stop_sequence.is_some() || native == "STOP_SEQUENCE" => "STOP_SEQUENCE",
        FinishReason::Stop => "COMPLETE",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::Error if native == "TIMEOUT" => "TIMEOUT",
        FinishReason::Error | FinishReason::ContentFilter => "ERROR",
    }
}

/// Why the sequence that ended the answer is left out: the word tells only that there was one.
pub(super) const SEQUENCE: &str = "which sequence was hit is not told on cohere";

/// What becomes of a refusal in an answer.
pub(super) const REFUSAL: &str = "a refusal is told as text on cohere";

/// Why the words of a finish do not say all of it; `None` when they do.
pub(super) fn untold(finish: &Finish) -> Option<String> {
    const SAID: [&str; 21] = [
        "",
        "stop",
        "length",
        "tool_calls",
        "function_call",
        "error",
        "end_turn",
        "max_tokens",
        "tool_use",
        "stop_sequence",
        "eos",
        "eos_token",
        "completed",
        "tool_call",
        "STOP",
        "COMPLETE",
        "STOP_SEQUENCE",
        "MAX_TOKENS",
        "TOOL_CALL",
        "ERROR",
        "TIMEOUT",
    ];
    if finish.reason == FinishReason::ContentFilter {
        return Some("filtered content has no word on cohere: sent as ERROR".to_owned());
    }
    let native = finish.native.as_str();
    (!SAID.contains(&native)).then(|| format!("{native:?} {NO_COUNTERPART}"))
}

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Word<'a>,
    #[serde(borrow)]
    pub delta: Option<SeenDelta<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenDelta<'a> {
    #[serde(borrow)]
    pub message: Option<SeenMessage<'a>>,
    #[serde(borrow)]
    pub finish_reason: Word<'a>,
    #[serde(borrow)]
    pub error: Word<'a>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenMessage<'a> {
    #[serde(borrow)]
    pub content: OneOrMore<SeenContent<'a>>,
    #[serde(borrow)]
    pub tool_plan: Word<'a>,
    #[serde(borrow)]
    pub tool_calls: OneOrMore<SeenCall<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenContent<'a> {
    #[serde(borrow)]
    pub text: Word<'a>,
    #[serde(borrow)]
    pub thinking: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenCall<'a> {
    #[serde(borrow)]
    pub function: Option<SeenFunction<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenFunction<'a> {
    #[serde(borrow)]
    pub arguments: Word<'a>,
}

/// A whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct SeenAnswer<'a> {
    #[serde(default, borrow)]
    pub message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub finish_reason: Word<'a>,
    #[serde(default, borrow)]
    pub usage: Option<&'a RawValue>,
}

/// A string, borrowed where it holds no escapes; anything else is absent.
#[derive(Debug, Default)]
pub(super) struct Word<'a>(pub Option<Cow<'a, str>>);

impl Word<'_> {
    /// The text, empty when absent.
    pub(super) fn get(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// An object where streams have one, a list of them where whole answers do; anything else is none.
#[derive(Debug)]
pub(super) struct OneOrMore<T>(pub Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Owned(text.to_owned()))))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Word(None))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Word(None))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Word(None))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Word(None))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Word(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor(std::marker::PhantomData))
    }
}

struct OneOrMoreVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object or a list of objects")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| OneOrMore(vec![one]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(OneOrMore)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(OneOrMore::default())
    }
    fn visit_borrowed_str<E>(self, _: &'de str) -> Result<Self::Value, E> {
        Ok(OneOrMore::default())
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(OneOrMore::default())
    }
}
