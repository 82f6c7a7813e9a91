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

    /// Input and output tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output)
    }
}
