//! The parts of an answer that streams and observers read, typed and borrowed from the body.
//!
//! One shape serves both a chunk (`delta`) and a whole answer (`message`). Providers bend the types of
//! scalars (ids as numbers, counts as floats, content as a list), so scalars are read leniently: a
//! misshapen one becomes "absent" or its text, and never spoils the frame. Must not interpret.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ir::FinishReason;

/// An object whose fields are read by name; the names of the others are kept, so that a translation can
/// say what it left out. By hand, because serde's `flatten` would copy every field of every chunk.
/// Behind `ignores` stand the fields that carry nothing for a caller.
macro_rules! object {
    (
        $(#[$about:meta])*
        $name:ident<$life:lifetime> {
            $($(#[$doc:meta])* $key:literal => $field:ident: $type:ty,)*
        }
        ignores [$($ignored:literal),*]
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(super) struct $name<$life> {
            $($(#[$doc])* pub $field: $type,)*
            /// The fields of other names that say something.
            pub unknown: Vec<Cow<$life, str>>,
        }

        impl<'de: $life, $life> Deserialize<'de> for $name<$life> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> Visitor<'de> for Fields {
                    type Value = $name<'de>;

                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str("an object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key::<Str<'de>>()? {
                            match key.get() {
                                $($key => read.$field = map.next_value()?,)*
                                $($ignored => drop(map.next_value::<IgnoredAny>()?),)*
                                _ => {
                                    let value: &RawValue = map.next_value()?;
                                    read.unknown.extend(key.0.filter(|_| speaks(Some(value))));
                                }
                            }
                        }
                        Ok(read)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}
pub(in crate::wire) use object;

object! {
    /// A chunk of a stream, or a whole answer.
    Answer<'a> {
        "id" => id: Str<'a>,
        "model" => model: Str<'a>,
        "object" => object: Str<'a>,
        "created" => created: Count,
        "choices" => choices: Option<Vec<AnswerChoice<'a>>>,
        "usage" => usage: Option<&'a RawValue>,
        "error" => error: Option<&'a RawValue>,
        "service_tier" => service_tier: Str<'a>,
        "system_fingerprint" => system_fingerprint: Str<'a>,
        /// Groq repeats the usage here in streams.
        "x_groq" => x_groq: Option<Groq<'a>>,
    }
    // Padding against guesses from the length of a frame.
    ignores ["obfuscation"]
}

#[derive(Debug, Deserialize)]
pub(super) struct Groq<'a> {
    #[serde(default, borrow)]
    pub usage: Option<&'a RawValue>,
}

object! {
    AnswerChoice<'a> {
        "index" => index: Count,
        "delta" => delta: Option<Said<'a>>,
        "message" => message: Option<Said<'a>>,
        "finish_reason" => finish_reason: Str<'a>,
        "native_finish_reason" => native_finish_reason: Str<'a>,
        "logprobs" => logprobs: Option<&'a RawValue>,
        /// OpenRouter reports a provider's failure inside the choice.
        "error" => error: Option<&'a RawValue>,
    }
    ignores []
}

object! {
    /// A message, or more of one.
    Said<'a> {
        "content" => content: Content<'a>,
        "refusal" => refusal: Str<'a>,
        "reasoning_content" => reasoning_content: Str<'a>,
        "reasoning" => reasoning: Str<'a>,
        "reasoning_details" => reasoning_details: Option<Vec<Detail<'a>>>,
        "tool_calls" => tool_calls: Option<Vec<Call<'a>>>,
        "function_call" => function_call: Option<Function<'a>>,
        "annotations" => annotations: Option<Vec<Value>>,
        "images" => images: Option<Vec<Value>>,
    }
    // There is one role an answer can have.
    ignores ["role"]
}

object! {
    /// One entry of `reasoning_details` (OpenRouter).
    Detail<'a> {
        "index" => index: Count,
        "id" => id: Str<'a>,
        /// Whose encryption or signature it is: `anthropic-claude-v1`, `openai-responses-v1`, ….
        "format" => format: Str<'a>,
        "text" => text: Str<'a>,
        "summary" => summary: Str<'a>,
        "signature" => signature: Str<'a>,
        "data" => data: Str<'a>,
    }
    ignores ["type"]
}

object! {
    Call<'a> {
        "index" => index: Count,
        "id" => id: Str<'a>,
        "type" => kind: Str<'a>,
        "function" => function: Option<Function<'a>>,
        /// A call whose input is free text.
        "custom" => custom: Option<IgnoredAny>,
        /// Google's signature of the call, and what else is not of this wire.
        "extra_content" => extra_content: Option<Value>,
    }
    ignores []
}

object! {
    Function<'a> {
        "name" => name: Str<'a>,
        "arguments" => arguments: Str<'a>,
    }
    ignores []
}

/// `content`: nothing, a string, or a list of parts.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    None,
    Text(Cow<'a, str>),
    Parts(Vec<Value>),
}

/// A string, borrowed where it holds no escapes; `null` and absent are `None`, anything else its text.
#[derive(Debug, Default)]
pub(in crate::wire) struct Str<'a>(pub Option<Cow<'a, str>>);

impl Str<'_> {
    /// The text, empty when absent.
    pub(in crate::wire) fn get(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A number of 0 or more; `None` for anything else.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::wire) struct Count(pub Option<u64>);

/// The reasons this wire and its relatives spell; `None` for a word we do not know.
pub(super) fn finish_alias(word: &str) -> Option<FinishReason> {
    Some(match word {
        "stop" | "end_turn" | "stop_sequence" | "eos" | "eos_token" | "STOP" | "COMPLETE" | "completed" => {
            FinishReason::Stop
        }
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" | "max_output_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" | "TOOL_CALL" => FinishReason::ToolCalls,
        "content_filter" | "refusal" | "safety" | "SAFETY" | "sensitive" => FinishReason::ContentFilter,
        "error" | "insufficient_system_resource" | "network_error" | "abort" => FinishReason::Error,
        _ => return None,
    })
}

/// The word this wire has for a reason.
pub(super) fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Error => "error",
    }
}

/// An `error` field that says something: not null, `{}`, `""` or `false`.
pub(in crate::wire) fn speaks(error: Option<&RawValue>) -> bool {
    error.is_some_and(|raw| says_something(raw.get()))
}

/// The same of the error's text; empty: there is none.
pub(super) fn says_something(error: &str) -> bool {
    !matches!(error.trim(), "" | "null" | "{}" | "\"\"" | "false" | "[]")
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrVisitor)
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Owned(text.to_owned()))))
    }
    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Owned(text))))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Str(None))
    }
    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Owned(flag.to_string()))))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Str(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Str(Some(Cow::Owned(value.to_string()))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        let value = Value::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Str(Some(Cow::Owned(value.to_string()))))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string, a list of parts or null")
    }
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Content::None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Parts)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number")
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(Some(number)))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(number).ok()))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count, E> {
        // `as` saturates; a count above 2^53 is nonsense anyway.
        Ok(Count((number >= 0.0).then_some(number as u64)))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
        Ok(Count(text.parse().ok()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
        IgnoredAny::deserialize(MapAccessDeserializer::new(map)).map(|_| Count(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Count, A::Error> {
        IgnoredAny::deserialize(SeqAccessDeserializer::new(seq)).map(|_| Count(None))
    }
}
