//! `usageMetadata` into disjoint buckets and back. One function for answers, streams and observers, so that
//! the three can never disagree.
//!
//! `promptTokenCount` includes what was read from the cache; `candidatesTokenCount` excludes the thoughts;
//! what a tool's results cost is counted apart and billed as input.

use serde::Deserialize;
use serde_json::Value;

use super::types::Count;
use crate::ir::Usage;
use crate::wire::json::Name;
use crate::wire::tree::{Node, Object};

/// The counts of an answer, as they stand.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireUsage<'a> {
    prompt_token_count: Count,
    cached_content_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    tool_use_prompt_token_count: Count,
    #[serde(borrow)]
    prompt_tokens_details: Option<Vec<Modality<'a>>>,
    #[serde(borrow)]
    cache_tokens_details: Option<Vec<Modality<'a>>>,
    #[serde(borrow)]
    candidates_tokens_details: Option<Vec<Modality<'a>>>,
    #[serde(borrow)]
    traffic_type: Option<Name<'a>>,
    #[serde(borrow)]
    service_tier: Option<Name<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Modality<'a> {
    #[serde(borrow)]
    modality: Option<Name<'a>>,
    token_count: Count,
}

impl<'a> WireUsage<'a> {
    /// Out of a value that was built.
    pub(super) fn read(value: &'a Value) -> Result<Usage, serde_json::Error> {
        WireUsage::deserialize(value).map(|counts| counts.usage())
    }

    /// What stands beside the counts.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'static str> {
        let named = [("trafficType", &self.traffic_type), ("serviceTier", &self.service_tier)];
        named.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name)
    }

    /// The buckets.
    pub(super) fn usage(&self) -> Usage {
        let cache_read = self.cached_content_token_count.get();
        let prompt = self.prompt_token_count.get().saturating_sub(cache_read);
        let audio = of_kind("AUDIO", self.prompt_tokens_details.as_deref());
        let audio_cached = of_kind("AUDIO", self.cache_tokens_details.as_deref());
        let image = of_kind("IMAGE", self.prompt_tokens_details.as_deref());
        let image_cached = of_kind("IMAGE", self.cache_tokens_details.as_deref());
        // Vertex says it in the one, Google AI Studio in the other.
        let tier = [&self.traffic_type, &self.service_tier].into_iter().flatten().next();
        Usage {
            input_uncached: prompt.saturating_add(self.tool_use_prompt_token_count.get()),
            cache_read,
            output: self.candidates_token_count.get().saturating_add(self.thoughts_token_count.get()),
            reasoning: self.thoughts_token_count.get(),
            audio_input: audio.saturating_sub(audio_cached),
            audio_output: of_kind("AUDIO", self.candidates_tokens_details.as_deref()),
            audio_cached,
            image_input: image.saturating_sub(image_cached),
            image_output: of_kind("IMAGE", self.candidates_tokens_details.as_deref()),
            ..Usage::default()
        }
        .in_tier(tier.map_or("", |tier| &tier.0))
    }
}

/// The object as the API writes it.
pub(super) fn write(usage: &Usage) -> Object<'static> {
    // Some hosts count reasoning beside the output: the sum of both must stay what was told.
    let thoughts = usage.reasoning.min(usage.output);
    let shown = usage.output - thoughts;
    let mut object = Object::new()
        .with("promptTokenCount", usage.input_total())
        .with("candidatesTokenCount", shown)
        .with("totalTokenCount", usage.total());
    if usage.cache_read > 0 {
        object.put("cachedContentTokenCount", usage.cache_read);
    }
    if thoughts > 0 {
        object.put("thoughtsTokenCount", thoughts);
    }
    let audio_input = usage.audio_input.saturating_add(usage.audio_cached);
    if audio_input > 0 || usage.image_input > 0 {
        let details = by_modality(usage.input_total(), audio_input, usage.image_input);
        object.put("promptTokensDetails", details);
    }
    if usage.audio_cached > 0 {
        object.put("cacheTokensDetails", by_modality(usage.cache_read, usage.audio_cached, 0));
    }
    if usage.audio_output > 0 || usage.image_output > 0 {
        object.put("candidatesTokensDetails", by_modality(shown, usage.audio_output, usage.image_output));
    }
    object
}

fn by_modality(total: u64, audio: u64, image: u64) -> Vec<Node<'static>> {
    let entry = |modality, count: u64| Object::new().with("modality", modality).with("tokenCount", count);
    let text = total.saturating_sub(audio).saturating_sub(image);
    let others = [("AUDIO", audio), ("IMAGE", image)].into_iter().filter(|(_, count)| *count > 0);
    [("TEXT", text)].into_iter().chain(others).map(|(kind, count)| entry(kind, count).into()).collect()
}

/// Tokens of a kind of content.
fn of_kind(kind: &str, list: Option<&[Modality<'_>]>) -> u64 {
    let is_meant = |entry: &&Modality<'_>| entry.modality.as_ref().is_some_and(|modality| modality.0 == kind);
    list.unwrap_or_default()
        .iter()
        .filter(is_meant)
        .fold(0, |sum, entry| sum.saturating_add(entry.token_count.get()))
}
