//! Token counts by class, in disjoint buckets.
//!
//! Wires disagree on what their totals include (OpenAI's prompt tokens contain the cached ones,
//! Anthropic's do not). Decoders sort into buckets that never overlap; encoders
//! and prices add up what they need, so nothing is counted twice.

use serde::{Deserialize, Serialize};

/// What one answer consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens billed at the full price: neither read from nor written to a cache. Audio and
    /// image input tokens are part of it.
    pub input_uncached: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the cache with the short (5 minute) or an unspecified lifetime.
    pub cache_write: u64,
    /// Input tokens written to the cache with the one hour lifetime.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning and audio included.
    pub output: u64,
    /// Reasoning tokens: the part of `output` that was not shown.
    pub reasoning: u64,
    /// Audio tokens: part of `input_uncached`.
    pub audio_input: u64,
    /// Audio tokens: part of `output`.
    pub audio_output: u64,
    /// Audio tokens: part of `cache_read`.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_cached: u64,
    /// Image tokens: part of `input_uncached`.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_input: u64,
    /// Image tokens: part of `output`.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_output: u64,
    /// Predicted-output tokens (OpenAI): parts of `output`.
    pub accepted_prediction: u64,
    pub rejected_prediction: u64,
    /// Searches the provider ran and bills by piece.
    pub web_searches: u64,
    /// Rankings, as providers bill them that bill by the piece.
    #[serde(skip_serializing_if = "is_zero")]
    pub rankings: u64,
    /// What the provider says it charged, in nano-dollars, where it says so (OpenRouter).
    pub provider_cost_nanos: Option<u64>,
    /// How the answer was served, which decides its price.
    #[serde(skip_serializing_if = "Served::is_plain")]
    pub served: Served,
}

/// How an answer was served, as the answer itself says: what was asked is a wish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {
    pub tier: ServiceTier,
    /// Inference was kept in the United States (Anthropic's `inference_geo`).
    pub in_us: bool,
    /// At a higher speed (Anthropic's `speed`).
    pub fast: bool,
}

/// Tiers of service that have prices of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    #[default]
    Standard,
    Batch,
    Flex,
    Priority,
    Ultrafast,
}

impl Served {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl ServiceTier {
    /// The tier an answer names, in any wire's words. Those that say nothing of the price (`default`, `auto`,
    /// `scale`, `on_demand`, `reserved`) and unknown ones are the standard tier.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let is = |names: [&str; 2]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
        if is(["flex", "ON_DEMAND_FLEX"]) {
            Self::Flex
        } else if is(["priority", "ON_DEMAND_PRIORITY"]) {
            Self::Priority
        } else if is(["batch", "batches"]) {
            Self::Batch
        } else if is(["ultrafast", "ultra_fast"]) {
            Self::Ultrafast
        } else {
            Self::Standard
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// All input tokens, cached or not.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        self.input_uncached
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }

    /// The same, served in the tier of this name; empty: as it is.
    #[must_use]
    pub fn in_tier(mut self, word: &str) -> Self {
        if !word.is_empty() {
            self.served.tier = ServiceTier::named(word);
        }
        self
    }

    /// The counts of two attempts together. What a provider charged is known only where both told it; how it was
    /// served is what the other, later one says. The sum is for showing: each attempt is billed on its own terms.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let charged = match (self.provider_cost_nanos, other.provider_cost_nanos) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            _ => None,
        };
        Self {
            input_uncached: self.input_uncached.saturating_add(other.input_uncached),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            audio_input: self.audio_input.saturating_add(other.audio_input),
            audio_output: self.audio_output.saturating_add(other.audio_output),
            audio_cached: self.audio_cached.saturating_add(other.audio_cached),
            image_input: self.image_input.saturating_add(other.image_input),
            image_output: self.image_output.saturating_add(other.image_output),
            accepted_prediction: self.accepted_prediction.saturating_add(other.accepted_prediction),
            rejected_prediction: self.rejected_prediction.saturating_add(other.rejected_prediction),
            web_searches: self.web_searches.saturating_add(other.web_searches),
            rankings: self.rankings.saturating_add(other.rankings),
            provider_cost_nanos: charged,
            served: other.served,
        }
    }

    /// Input and output tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output)
    }
}
