//! What an answer repeats of its request. Clients read these members unchecked, and only the request holds
//! them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::wire::json::Name;

/// The members of a request that its answer repeats.
const REPEATED: [&str; 17] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The members of a request body of this dialect that the answer repeats, as they were written: for
/// [`crate::wire::Echo::request`]. Empty for a body that is no JSON object.
#[must_use]
pub fn echo_of(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice::<Repeated>(body).map(|repeated| repeated.0).unwrap_or_default()
}

struct Repeated(Map<String, Value>);

impl<'de> Deserialize<'de> for Repeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RepeatedVisitor)
    }
}

struct RepeatedVisitor;

impl<'de> Visitor<'de> for RepeatedVisitor {
    type Value = Repeated;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Repeated, A::Error> {
        let mut kept = Map::new();
        while let Some(Name(name)) = map.next_key()? {
            if REPEATED.contains(&name.as_ref()) {
                let value: Value = map.next_value()?;
                kept.insert(name.into_owned(), value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Repeated(kept))
    }
}
