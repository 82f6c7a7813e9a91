//! Token counts of this wire, and their disjoint buckets.
//!
//! One function sorts the counts of whole answers, of `message_start`, of `message_delta` and of relayed
//! frames, so that they cannot disagree. A field counts when it is present and not null, zero included;
//! only the fields of this wire are read, whatever others a proxy puts beside them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::ir::{ServiceTier, Usage};
use crate::wire::json::{Json, Members};
use crate::wire::tree::{Node, Object};

/// The `usage` object as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_read_input_tokens: Count,
    output_tokens: Count,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerToolUse>,
    iterations: Iterations,
    service_tier: Word,
    inference_geo: Word,
    speed: Word,
}

/// A word of `usage` that says how the answer was served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Word {
    /// Absent, or not one that is known here.
    #[default]
    Silent,
    Tier(ServiceTier),
    /// `us`, as a place of inference.
    Us,
    /// `fast`, as a speed.
    Fast,
}

/// What the provider ran beside the answer and counts apart: the sum over the compactions and the
/// advisor's turns of `iterations`, which the totals leave out. An iteration of the answer itself
/// (`message`) is in the totals already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Iterations {
    input: u64,
    cache_write: u64,
    cache_write_1h: u64,
    cache_read: u64,
    output: u64,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Iteration {
    #[serde(rename = "type")]
    kind: String,
    input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_read_input_tokens: Count,
    output_tokens: Count,
    cache_creation: Option<CacheCreation>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Count,
}

/// The fields of `usage` that [`WireUsage`] reads, with those of its inner objects.
const KNOWN: [(&str, &[&str]); 7] = [
    ("input_tokens", &[]),
    ("cache_creation_input_tokens", &[]),
    ("cache_read_input_tokens", &[]),
    ("output_tokens", &[]),
    ("cache_creation", &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]),
    ("output_tokens_details", &["thinking_tokens"]),
    ("server_tool_use", &["web_search_requests"]),
];

impl WireUsage {
    /// The counts of a `usage` object.
    ///
    /// # Errors
    /// The parser's, for an inner object that is none.
    pub(super) fn read(usage: &Members<'_>) -> Result<Self, serde_json::Error> {
        match Self::plain(usage) {
            Some(counts) => Ok(counts),
            None => serde_json::from_value(Value::Object(usage.clone().into_map())),
        }
    }

    /// The counts of an object of the usual shape; `None` when it must be read by the book.
    fn plain(usage: &Members<'_>) -> Option<Self> {
        let mut counts = Self::default();
        for (name, value) in usage.iter().filter(|(_, value)| !value.is_null()) {
            match name {
                "input_tokens" => counts.input_tokens = Count::of(value),
                "cache_creation_input_tokens" => counts.cache_creation_input_tokens = Count::of(value),
                "cache_read_input_tokens" => counts.cache_read_input_tokens = Count::of(value),
                "output_tokens" => counts.output_tokens = Count::of(value),
                "cache_creation" => {
                    let Json::Object(split) = value else { return None };
                    counts.cache_creation = Some(CacheCreation {
                        ephemeral_5m_input_tokens: Count::inside(split, "ephemeral_5m_input_tokens"),
                        ephemeral_1h_input_tokens: Count::inside(split, "ephemeral_1h_input_tokens"),
                    });
                }
                "output_tokens_details" => {
                    let Json::Object(details) = value else { return None };
                    let thinking_tokens = Count::inside(details, "thinking_tokens");
                    counts.output_tokens_details = Some(OutputDetails { thinking_tokens });
                }
                "server_tool_use" => {
                    let Json::Object(tools) = value else { return None };
                    let web_search_requests = Count::inside(tools, "web_search_requests");
                    counts.server_tool_use = Some(ServerToolUse { web_search_requests });
                }
                "service_tier" => counts.service_tier = Word::of(value),
                "inference_geo" => counts.inference_geo = Word::of(value),
                "speed" => counts.speed = Word::of(value),
                "iterations" => return None,
                _ => {}
            }
        }
        Some(counts)
    }

    /// Overwrites the buckets for which this object has a count; the others stay as they were. What was
    /// counted apart is added to a total only where that total came with it: a stream that repeats its
    /// cumulative counts is never counted twice.
    pub(super) fn apply(&self, usage: &mut Usage) {
        self.input_tokens.plus(self.iterations.input).set(&mut usage.input_uncached);
        self.cache_read_input_tokens.plus(self.iterations.cache_read).set(&mut usage.cache_read);
        self.output_tokens.plus(self.iterations.output).set(&mut usage.output);
        if let Some(details) = self.output_tokens_details {
            details.thinking_tokens.set(&mut usage.reasoning);
        }
        if let Some(server) = self.server_tool_use {
            server.web_search_requests.set(&mut usage.web_searches);
        }
        self.apply_cache_writes(usage);
        if let Word::Tier(tier) = self.service_tier {
            usage.served.tier = tier;
        }
        usage.served.in_us |= self.inference_geo == Word::Us;
        usage.served.fast |= self.speed == Word::Fast;
    }

    /// `cache_creation_input_tokens` is the sum of both lifetimes; the split comes in a field of its own,
    /// which older answers and many `message_delta` lack.
    fn apply_cache_writes(&self, usage: &mut Usage) {
        let split = self.cache_creation.unwrap_or_default();
        split.ephemeral_5m_input_tokens.set(&mut usage.cache_write);
        split.ephemeral_1h_input_tokens.set(&mut usage.cache_write_1h);
        let Some(total) = self.cache_creation_input_tokens.0 else { return };
        let short = total.saturating_sub(usage.cache_write_1h);
        usage.cache_write = if self.cache_creation.is_some() { usage.cache_write.max(short) } else { short };
        let (mut short, mut hour) = (self.iterations.cache_write, self.iterations.cache_write_1h);
        if self.cache_creation.is_none() {
            // The hour's bucket was not set anew: what is added to it would be added at every repeat.
            (short, hour) = (short.saturating_add(hour), 0);
        }
        usage.cache_write = usage.cache_write.saturating_add(short);
        usage.cache_write_1h = usage.cache_write_1h.saturating_add(hour);
    }
}

impl Word {
    fn of(value: &Json<'_>) -> Self {
        Self::deserialize(value.look()).unwrap_or_default()
    }
}

/// Never an error, as the counts.
impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)?.as_str() {
            Some("us") => Self::Us,
            Some("fast") => Self::Fast,
            Some(word @ ("standard" | "priority" | "batch" | "flex")) => Self::Tier(ServiceTier::named(word)),
            _ => Self::Silent,
        })
    }
}

impl Iterations {
    fn add(&mut self, one: &Iteration) {
        if !matches!(one.kind.as_str(), "compaction" | "advisor_message") {
            return;
        }
        let split = one.cache_creation.unwrap_or_default();
        let written = one.cache_creation_input_tokens.0.unwrap_or(0);
        let hour = split.ephemeral_1h_input_tokens.0.unwrap_or(0).min(written);
        let sum = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        sum(&mut self.input, one.input_tokens.0.unwrap_or(0));
        sum(&mut self.cache_read, one.cache_read_input_tokens.0.unwrap_or(0));
        sum(&mut self.output, one.output_tokens.0.unwrap_or(0));
        sum(&mut self.cache_write, written - hour);
        sum(&mut self.cache_write_1h, hour);
    }
}

/// Never an error: whatever the list holds, it must not cost the caller the answer it stands in.
impl<'de> Deserialize<'de> for Iterations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let mut sum = Self::default();
        for one in value.as_array().into_iter().flatten() {
            if let Ok(one) = Iteration::deserialize(one) {
                sum.add(&one);
            }
        }
        Ok(sum)
    }
}

/// What a `usage` object holds besides the counts that [`WireUsage`] reads.
pub(super) fn leftovers(mut usage: Members<'_>) -> Members<'_> {
    usage.retain(|name, value| {
        if let Some((_, known)) = KNOWN.iter().find(|(of, _)| *of == name) {
            match value {
                Json::Object(inner) if !known.is_empty() => {
                    inner.retain(|name, value| !known.contains(&name) && !value.says_nothing());
                }
                _ => return false,
            }
        }
        !value.is_null() && value.look().as_object().is_none_or(|inner| !inner.is_empty())
    });
    usage
}

/// The `usage` object to write: every field, zeros included, because newer clients read them unchecked.
pub(super) fn object(usage: &Usage) -> Object<'static> {
    let split = Object::new()
        .with("ephemeral_5m_input_tokens", usage.cache_write)
        .with("ephemeral_1h_input_tokens", usage.cache_write_1h);
    Object::new()
        .with("input_tokens", usage.input_uncached)
        .with("cache_creation_input_tokens", usage.cache_write.saturating_add(usage.cache_write_1h))
        .with("cache_read_input_tokens", usage.cache_read)
        .with("cache_creation", split)
        .with("output_tokens", usage.output)
        .with("output_tokens_details", Object::new().with("thinking_tokens", usage.reasoning))
        .with("server_tool_use", server_tool_use(usage))
}

fn server_tool_use(usage: &Usage) -> Node<'static> {
    Object::new().with("web_search_requests", usage.web_searches).with("web_fetch_requests", 0_u64).into()
}

/// A count that may be absent, null, or (from sloppy servers) a float; anything else counts as absent,
/// because a bad count must not cost the caller the answer it stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

impl Count {
    /// As the deserialiser reads it.
    fn of(value: &Json<'_>) -> Self {
        Self::deserialize(value.look()).unwrap_or_default()
    }

    fn inside(members: &Members<'_>, name: &str) -> Self {
        members.get(name).map(Self::of).unwrap_or_default()
    }

    /// More of what is there; an absent count stays absent.
    fn plus(self, more: u64) -> Self {
        Self(self.0.map(|count| count.saturating_add(more)))
    }

    fn set(self, bucket: &mut u64) {
        if let Some(count) = self.0 {
            *bucket = count;
        }
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

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(Count(Some(count)))
    }

    fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(count).ok()))
    }

    fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
        // The cast saturates: negative becomes 0, too large becomes the largest.
        Ok(Count(count.is_finite().then_some(count as u64)))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
}
