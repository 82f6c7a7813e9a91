//! Token counts of this wire, into disjoint buckets and back. One function for whole answers, streams and
//! observers, so that the three can never disagree.
//!
//! `input_tokens` includes what was read from and written to the cache, `output_tokens` the reasoning.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ir::Usage;
use crate::wire::openai_chat::{Count, dollars, nanos_of_decimal};
use crate::wire::tree::Object;

/// The buckets of an answer's `usage`; `None` when it is no object of counts. `searches` are counted in the
/// output: the object has no place for them.
pub(super) fn read(raw: &RawValue, searches: u64) -> Option<Usage> {
    let counts: Counts<'_> = serde_json::from_str::<Option<Counts<'_>>>(raw.get()).ok()??;
    let input = counts.input_tokens_details.unwrap_or_default();
    let output = counts.output_tokens_details.unwrap_or_default();
    let total = counts.input_tokens.0.unwrap_or(0);
    let cache_read = input.cached_tokens.0.unwrap_or(0);
    let written = input.cache_write_tokens.0.unwrap_or(0);
    let cache_write_1h = input.cache_write_1h_tokens.0.unwrap_or(0).min(written);
    // A tick of xAI's is a tenth of a nano-dollar.
    let ticks = counts.cost_in_usd_ticks.0.map(|ticks| ticks / 10);
    Some(Usage {
        input_uncached: total.saturating_sub(cache_read).saturating_sub(written),
        cache_read,
        cache_write: written - cache_write_1h,
        cache_write_1h,
        output: counts.output_tokens.0.unwrap_or(0),
        reasoning: output.reasoning_tokens.0.unwrap_or(0),
        audio_input: input.audio_tokens.0.unwrap_or(0),
        audio_output: output.audio_tokens.0.unwrap_or(0),
        web_searches: searches,
        provider_cost_nanos: counts.cost.and_then(|cost| nanos_of_decimal(cost.get().trim())).or(ticks),
        ..Usage::default()
    })
}

/// The `usage` object; the details are there even when they are zero: clients read them unchecked.
pub(super) fn write(usage: &Usage) -> Object<'static> {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let mut input = Object::new().with("cached_tokens", usage.cache_read).with("cache_write_tokens", written);
    if usage.cache_write_1h > 0 {
        // Not a field of OpenAI's: without it the dearer hour-long writes could not be told from the others.
        input.put("cache_write_1h_tokens", usage.cache_write_1h);
    }
    let mut output = Object::new().with("reasoning_tokens", usage.reasoning);
    // Counts that other wires have are shown where there are any.
    let some = |count: u64| (count > 0).then_some(count);
    input.put_some("audio_tokens", some(usage.audio_input));
    output.put_some("audio_tokens", some(usage.audio_output));
    output.put_some("accepted_prediction_tokens", some(usage.accepted_prediction));
    output.put_some("rejected_prediction_tokens", some(usage.rejected_prediction));
    let mut object = Object::new()
        .with("input_tokens", usage.input_total())
        .with("input_tokens_details", input)
        .with("output_tokens", usage.output)
        .with("output_tokens_details", output)
        .with("total_tokens", usage.total());
    if usage.web_searches > 0 {
        object.put("server_tool_use", Object::new().with("web_search_requests", usage.web_searches));
    }
    object.put_some("cost", usage.provider_cost_nanos.and_then(dollars).map(Value::Number));
    object
}

#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    /// OpenRouter, in dollars.
    #[serde(default, borrow)]
    cost: Option<&'a RawValue>,
    /// xAI.
    #[serde(default)]
    cost_in_usd_ticks: Count,
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
}
