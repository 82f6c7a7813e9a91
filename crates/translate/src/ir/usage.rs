//! Token counts by class, in disjoint buckets.
//!
//! Wires disagree on what their totals include (OpenAI's prompt tokens contain the cached ones,
//! Anthropic's do not). Decoders sort into buckets that never overlap; encoders
//! and prices add up what they need, so nothing is counted twice.

use serde::Serialize;

/// What one answer consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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
    /// Predicted-output tokens (OpenAI): parts of `output`.
    pub accepted_prediction: u64,
    pub rejected_prediction: u64,
    /// Searches the provider ran and bills by piece.
    pub web_searches: u64,
    /// What the provider says it charged, in nano-dollars, where it says so (OpenRouter).
    pub provider_cost_nanos: Option<u64>,
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

    /// The counts of two attempts together. What a provider charged is known only where both told it.
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
            accepted_prediction: self.accepted_prediction.saturating_add(other.accepted_prediction),
            rejected_prediction: self.rejected_prediction.saturating_add(other.rejected_prediction),
            web_searches: self.web_searches.saturating_add(other.web_searches),
            provider_cost_nanos: charged,
        }
    }

    /// Input and output tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output)
    }
}
