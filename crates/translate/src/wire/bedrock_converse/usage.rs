//! Token counts of this wire, and their disjoint buckets: `inputTokens` leaves the cached ones out. One
//! function sorts the counts of answers, of the stream's `metadata` and of relayed bytes.

use serde::Deserialize;
use serde_json::Value;

use crate::ir::Usage;
use crate::wire::json::Members;
use crate::wire::told::says_nothing;
use crate::wire::tree::{Node, Object};

/// The `usage` object as it came. A count that is none must not cost the caller the answer it stands in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireUsage {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
    cache_details: Option<Vec<Detail>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    ttl: String,
    input_tokens: Count,
}

/// The members of `usage` that are read, and those that say the same once more.
const KNOWN: [&str; 8] = [
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheDetails",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
];

impl WireUsage {
    pub(super) fn read(usage: &Members<'_>) -> Self {
        let count = |name| usage.get(name).map(|value| Count::of(value.look())).unwrap_or_default();
        let details = usage.get("cacheDetails").map(|details| details.clone().into_value());
        Self {
            input_tokens: count("inputTokens"),
            output_tokens: count("outputTokens"),
            cache_read_input_tokens: count("cacheReadInputTokens"),
            cache_write_input_tokens: count("cacheWriteInputTokens"),
            cache_details: details.and_then(|details| Vec::deserialize(details).ok()),
        }
    }

    pub(super) fn sorted(&self) -> Usage {
        let written = self.cache_write_input_tokens.0;
        let hours = self.cache_details.iter().flatten().filter(|detail| detail.ttl == "1h");
        let hour = hours.fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens.0)).min(written);
        Usage {
            input_uncached: self.input_tokens.0,
            cache_read: self.cache_read_input_tokens.0,
            cache_write: written - hour,
            cache_write_1h: hour,
            output: self.output_tokens.0,
            ..Usage::default()
        }
    }
}

/// What a `usage` object holds besides the counts that are read.
pub(super) fn leftovers(mut usage: Members<'_>) -> serde_json::Map<String, Value> {
    usage.retain(|name, _| !KNOWN.contains(&name));
    let mut rest = usage.into_map();
    rest.retain(|_, value| !says_nothing(value));
    rest
}

/// The `usage` object to write: the three counts that SDKs read unchecked, and the caches' ones.
pub(super) fn object(usage: &Usage) -> Object<'static> {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let mut object = Object::new()
        .with("inputTokens", usage.input_uncached)
        .with("outputTokens", usage.output)
        .with("totalTokens", usage.total())
        .with("cacheReadInputTokens", usage.cache_read)
        .with("cacheWriteInputTokens", written);
    let detail = |ttl: &'static str, count: u64| {
        (count > 0).then(|| Object::new().with("ttl", ttl).with("inputTokens", count).into())
    };
    let details: Vec<Node<'static>> =
        [detail("5m", usage.cache_write), detail("1h", usage.cache_write_1h)].into_iter().flatten().collect();
    if !details.is_empty() {
        object.put("cacheDetails", details);
    }
    object
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count(u64);

impl Count {
    fn of(value: &Value) -> Self {
        // The cast saturates: negative becomes 0, too large becomes the largest.
        Self(value.as_u64().or_else(|| value.as_f64().map(|count| count as u64)).unwrap_or(0))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::of(&value))
    }
}
