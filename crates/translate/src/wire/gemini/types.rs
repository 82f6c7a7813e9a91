//! The parts of an answer that streams and observers read, typed and borrowed from the body. One shape
//! serves a chunk and a whole answer: they are the same message. Must not interpret.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::usage::WireUsage;
use crate::wire::json::Name;

/// An object whose fields are read by name; the others are kept as they stand. By hand, because serde's
/// `flatten` would copy every field of every chunk. `null` is the same as absent.
macro_rules! object {
    (
        $(#[$about:meta])*
        $name:ident<$life:lifetime> { $($(#[$doc:meta])* $key:literal => $field:ident: $type:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(super) struct $name<$life> {
            $($(#[$doc])* pub $field: Option<$type>,)*
            /// The fields of other names.
            pub rest: Vec<(Cow<$life, str>, &$life RawValue)>,
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
                        while let Some(Name(key)) = map.next_key()? {
                            match key.as_ref() {
                                $($key => read.$field = map.next_value()?,)*
                                _ => {
                                    let value: &RawValue = map.next_value()?;
                                    if value.get() != "null" {
                                        read.rest.push((key, value));
                                    }
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

object! {
    /// A chunk of a stream, or a whole answer.
    Chunk<'a> {
        "candidates" => candidates: Vec<Candidate<'a>>,
        "usageMetadata" => usage: WireUsage<'a>,
        "modelVersion" => model: Name<'a>,
        "responseId" => id: Name<'a>,
        "promptFeedback" => feedback: &'a RawValue,
        "error" => error: &'a RawValue,
        /// Vertex: when the answer was begun.
        "createTime" => created: Name<'a>,
    }
}

object! {
    Candidate<'a> {
        "index" => index: Count,
        "content" => content: Content<'a>,
        "finishReason" => finish: Name<'a>,
        "finishMessage" => message: Name<'a>,
        "groundingMetadata" => grounding: &'a RawValue,
        "citationMetadata" => citations: &'a RawValue,
        "logprobsResult" => logprobs: &'a RawValue,
    }
}

object! {
    Content<'a> {
        "parts" => parts: Vec<WirePart<'a>>,
        "role" => role: Name<'a>,
    }
}

object! {
    WirePart<'a> {
        "text" => text: Name<'a>,
        "thought" => thought: bool,
        "thoughtSignature" => signature: Name<'a>,
        "functionCall" => call: Call<'a>,
    }
}

object! {
    Call<'a> {
        "name" => name: Name<'a>,
        "id" => id: Name<'a>,
        "args" => args: &'a RawValue,
    }
}

/// A count; negative ones and halves are none.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Count(Option<f64>);

impl Count {
    pub(super) fn get(self) -> u64 {
        // `as` saturates; counts above 2^53 are nonsense anyway.
        self.0.unwrap_or_default() as u64
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

/// The text of a name that may be absent.
pub(super) fn text<'n>(name: &'n Option<Name<'_>>) -> &'n str {
    name.as_ref().map(|name| name.0.as_ref()).unwrap_or_default()
}

/// An `error` member that says something.
pub(super) fn speaks(error: Option<&RawValue>) -> bool {
    error.is_some_and(|raw| !matches!(raw.get().trim(), "null" | "{}" | "\"\"" | "false" | "[]"))
}
