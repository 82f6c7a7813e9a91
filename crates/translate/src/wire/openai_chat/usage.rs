//! Token counts of this wire, into disjoint buckets and back. One function for whole answers, streams
//! and observers, so that the three can never disagree.
//!
//! `prompt_tokens` includes what was read from and written to the cache. A cache
//! count is looked for by presence, never by being non-zero: a reported 0 must not fall through to
//! another provider's field.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::types::Count;
use crate::ir::Usage;
use crate::scan::Scanner;
use crate::wire::json::{Json, Members};
use crate::wire::tree::Object;

/// The buckets of a `usage` object, as it is written; `None` when it is no object of counts.
pub(super) fn read(text: &str) -> Option<Usage> {
    let mut scanner = Scanner::new(text);
    let plain = Counts::plain(&mut scanner).filter(|_| scanner.end());
    Some(sort(plain.or_else(|| serde_json::from_str(text).ok())?))
}

/// The same of the `usage` in a text that is being scanned, stepping over it. `None`: the text is broken.
pub(super) fn scan(scanner: &mut Scanner<'_>) -> Option<Option<Usage>> {
    let mut ahead = scanner.clone();
    if let Some(counts) = Counts::plain(&mut ahead) {
        *scanner = ahead;
        return Some(Some(sort(counts)));
    }
    scanner.raw().map(read)
}

fn sort(counts: Counts<'_>) -> Usage {
    let apart = if counts.is_perplexity() { first([counts.reasoning_tokens]) } else { 0 };
    let input = counts.prompt_tokens_details.unwrap_or_default();
    let output = counts.completion_tokens_details.unwrap_or_default();
    let cache_read = first([
        input.cached_tokens,
        counts.prompt_cache_hit_tokens,
        counts.cached_tokens,
        counts.cache_read_input_tokens,
    ]);
    let written = first([input.cache_write_tokens, counts.cache_creation_input_tokens]);
    let cache_write_1h = first([input.cache_write_1h_tokens]).min(written);
    let searches = counts.server_tool_use.unwrap_or_default().web_search_requests;
    Usage {
        input_uncached: first([counts.prompt_tokens]).saturating_sub(cache_read).saturating_sub(written),
        cache_read,
        cache_write: written - cache_write_1h,
        cache_write_1h,
        output: first([counts.completion_tokens]).saturating_add(apart),
        reasoning: first([output.reasoning_tokens, counts.reasoning_tokens]),
        audio_input: first([input.audio_tokens]),
        audio_output: first([output.audio_tokens]),
        accepted_prediction: first([output.accepted_prediction_tokens]),
        rejected_prediction: first([output.rejected_prediction_tokens]),
        web_searches: first([searches, counts.num_search_queries]),
        provider_cost_nanos: counts.cost.and_then(cost_nanos),
        ..Usage::default()
    }
}

/// The members of a `usage` object that [`read`] understands; the others are kept as leftovers.
pub(super) fn leftovers(mut usage: Members<'_>) -> Members<'_> {
    usage.retain(|name, value| !READ.contains(&name) && speaks(name, value));
    usage
}

/// Whether anything is left of a member when what is understood inside of it is taken out.
fn speaks(name: &str, value: &mut Json<'_>) -> bool {
    if let (Json::Object(inner), Some((_, known))) =
        (&mut *value, READ_INSIDE.iter().find(|(of, _)| *of == name))
    {
        inner.retain(|key, value| !known.contains(&key) && !value.is_null());
    }
    !value.is_null() && value.look().as_object().is_none_or(|inner| !inner.is_empty())
}

/// The `usage` object as OpenAI writes it: totals first, cache reads and writes inside `prompt_tokens`.
pub(super) fn write(usage: &Usage) -> Object<'static> {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let mut input = Object::new().with("cached_tokens", usage.cache_read).with("cache_write_tokens", written);
    if usage.cache_write_1h > 0 {
        // Not a field of OpenAI's: without it the dearer hour-long writes could not be told from the others.
        input.put("cache_write_1h_tokens", usage.cache_write_1h);
    }
    input.put("audio_tokens", usage.audio_input);
    let output = Object::new()
        .with("reasoning_tokens", usage.reasoning)
        .with("audio_tokens", usage.audio_output)
        .with("accepted_prediction_tokens", usage.accepted_prediction)
        .with("rejected_prediction_tokens", usage.rejected_prediction);
    let mut object = Object::new()
        .with("prompt_tokens", usage.input_total())
        .with("completion_tokens", usage.output)
        .with("total_tokens", usage.total())
        .with("prompt_tokens_details", input)
        .with("completion_tokens_details", output);
    if usage.web_searches > 0 {
        object.put("server_tool_use", Object::new().with("web_search_requests", usage.web_searches));
    }
    object.put_some("cost", usage.provider_cost_nanos.and_then(dollars).map(Value::Number));
    object
}

/// The decimal text of a dollar amount in nano-dollars, exactly: digits below a nano are cut.
pub(in crate::wire) fn nanos_of_decimal(text: &str) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // The point moves right by 9 places for nanos and by the exponent.
    let places = i64::try_from(whole.len()).ok()?.saturating_add(i64::from(exponent)).saturating_add(9);
    let digits = whole.bytes().chain(fraction.bytes());
    let mut nanos: u64 = 0;
    let mut taken: i64 = 0;
    for digit in digits.take(usize::try_from(places).unwrap_or(0)) {
        nanos = nanos.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        taken += 1;
    }
    for _ in taken..places.max(taken) {
        if nanos == 0 {
            return Some(0);
        }
        nanos = nanos.checked_mul(10)?;
    }
    Some(nanos)
}

const READ: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "num_search_queries",
    "cost",
];

const READ_INSIDE: &[(&str, &[&str])] = &[
    (
        "prompt_tokens_details",
        &["cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_tokens"],
    ),
    (
        "completion_tokens_details",
        &["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"],
    ),
    ("server_tool_use", &["web_search_requests"]),
];

#[derive(Default, Deserialize)]
struct Counts<'a> {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<InputDetails>,
    #[serde(default)]
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek: hit + miss = prompt; a miss is no paid write.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
    /// Moonshot.
    #[serde(default)]
    cached_tokens: Count,
    /// Proxies that mix Anthropic's names into this wire.
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    /// Perplexity.
    #[serde(default)]
    reasoning_tokens: Count,
    #[serde(default)]
    citation_tokens: Count,
    #[serde(default)]
    num_search_queries: Count,
    #[serde(default)]
    server_tool_use: Option<ServerTools>,
    #[serde(default, borrow)]
    cost: Option<&'a RawValue>,
}

impl Counts<'_> {
    /// The counts of an object whose numbers are whole, without a parser. `None`: anything else.
    fn plain(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut counts = Self::default();
        scanner.object(|scanner, name| {
            let slot = match name {
                "prompt_tokens" => &mut counts.prompt_tokens,
                "completion_tokens" => &mut counts.completion_tokens,
                "prompt_tokens_details" => {
                    counts.prompt_tokens_details = Some(InputDetails::plain(scanner)?);
                    return Some(());
                }
                "completion_tokens_details" => {
                    counts.completion_tokens_details = Some(OutputDetails::plain(scanner)?);
                    return Some(());
                }
                "prompt_cache_hit_tokens" => &mut counts.prompt_cache_hit_tokens,
                "cached_tokens" => &mut counts.cached_tokens,
                "cache_read_input_tokens" => &mut counts.cache_read_input_tokens,
                "cache_creation_input_tokens" => &mut counts.cache_creation_input_tokens,
                "reasoning_tokens" => &mut counts.reasoning_tokens,
                "citation_tokens" => &mut counts.citation_tokens,
                "num_search_queries" => &mut counts.num_search_queries,
                "server_tool_use" | "cost" => return (scanner.raw()? == "null").then_some(()),
                _ => return scanner.skip(),
            };
            *slot = Count(scanner.count()?);
            Some(())
        })?;
        Some(counts)
    }

    /// Perplexity's deep research counts its reasoning apart from `completion_tokens`.
    fn is_perplexity(&self) -> bool {
        self.citation_tokens.0.is_some() || self.num_search_queries.0.is_some()
    }
}

#[derive(Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
    /// Ours, part of `cache_write_tokens`: see [`write`].
    #[serde(default)]
    cache_write_1h_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
    #[serde(default)]
    accepted_prediction_tokens: Count,
    #[serde(default)]
    rejected_prediction_tokens: Count,
}

impl InputDetails {
    fn plain(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut details = Self::default();
        scanner.object(|scanner, name| {
            let slot = match name {
                "cached_tokens" => &mut details.cached_tokens,
                "cache_write_tokens" => &mut details.cache_write_tokens,
                "cache_write_1h_tokens" => &mut details.cache_write_1h_tokens,
                "audio_tokens" => &mut details.audio_tokens,
                _ => return scanner.skip(),
            };
            *slot = Count(scanner.count()?);
            Some(())
        })?;
        Some(details)
    }
}

impl OutputDetails {
    fn plain(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut details = Self::default();
        scanner.object(|scanner, name| {
            let slot = match name {
                "reasoning_tokens" => &mut details.reasoning_tokens,
                "audio_tokens" => &mut details.audio_tokens,
                "accepted_prediction_tokens" => &mut details.accepted_prediction_tokens,
                "rejected_prediction_tokens" => &mut details.rejected_prediction_tokens,
                _ => return scanner.skip(),
            };
            *slot = Count(scanner.count()?);
            Some(())
        })?;
        Some(details)
    }
}

#[derive(Default, Deserialize)]
struct ServerTools {
    #[serde(default)]
    web_search_requests: Count,
}

/// The first count that is there, zero included.
fn first<const N: usize>(counts: [Count; N]) -> u64 {
    counts.iter().find_map(|count| count.0).unwrap_or(0)
}

/// OpenRouter gives a number, Perplexity an object with `total_cost`.
fn cost_nanos(raw: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow)]
        total_cost: &'a RawValue,
    }
    match serde_json::from_str::<Parts<'_>>(raw.get()) {
        Ok(parts) => nanos_of_decimal(parts.total_cost.get().trim()),
        Err(_) => nanos_of_decimal(raw.get().trim()),
    }
}

pub(in crate::wire) fn dollars(nanos: u64) -> Option<Number> {
    let (whole, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if fraction == 0 {
        return Some(whole.into());
    }
    // The shortest decimal that reads back is printed, so the text is the exact amount up to 15 digits.
    format!("{whole}.{fraction:09}").parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..5_000_u64).prop_map(|count| count.to_string()),
            Just("null".to_owned()),
            Just("1.0".to_owned()),
            Just("-3".to_owned()),
            Just("\"7\"".to_owned()),
            Just("{}".to_owned()),
            Just(r#"{"cached_tokens":3,"reasoning_tokens":2,"audio_tokens":1,"x":[]}"#.to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn counts_without_a_parser_are_those_of_the_parser(
            members in proptest::collection::btree_map(
                proptest::sample::select([READ, &["prompt_tokens_details", "completion_tokens_details",
                    "server_tool_use", "citation_tokens", "other"]].concat()),
                value(),
                0..8,
            )
        ) {
            let list: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            let text = format!("{{{}}}", list.join(" , "));
            if let Some(plain) = Counts::plain(&mut Scanner::new(&text)) {
                let parsed: Counts<'_> = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(sort(plain), sort(parsed), "{}", text);
            }
        }
    }

    #[test]
    fn usual_counts_need_no_parser() {
        let text = r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"cost":null,
            "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}}"#;
        let plain = |text| Counts::plain(&mut Scanner::new(text)).is_some();
        assert!(plain(text) && !plain(r#"{"cost":0.1}"#) && !plain("null"));
        assert!(!plain(r#"{"prompt\u005ftokens":9}"#) && !plain(r#"{"prompt_tokens":1.5}"#));
    }
}
