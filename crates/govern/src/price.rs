//! What an answer cost, in integer nano-dollars.
//!
//! Prices are nano-dollars per million tokens, so that every published price is an integer; products are
//! summed in 128 bits and rounded once, half up, at the end. Floats never touch money. A price that is
//! not published for a class is taken from the class it belongs to, never invented from a multiplier.

/// Tokens in one unit of price.
const PER: u128 = 1_000_000;

/// Prices of one model at one provider: nano-dollars per million tokens.
///
/// One dollar per million tokens is 1,000,000,000 here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    pub input: Option<u64>,
    pub output: Option<u64>,
    /// Else `input`.
    pub cache_read: Option<u64>,
    /// Else `input`.
    pub cache_write: Option<u64>,
    /// Else `cache_write`, else `input`.
    pub cache_write_1h: Option<u64>,
    /// Else `input`.
    pub audio_input: Option<u64>,
    /// Else `output`.
    pub audio_output: Option<u64>,
    /// Nano-dollars per search, not per million. Else searches cost nothing here.
    pub web_search: Option<u64>,
}

/// What was consumed, in buckets that do not overlap (those of `translate::ir::Usage`), except that the
/// audio counts are parts of their side's text-and-audio count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Input tokens at the full price, audio included.
    pub input_uncached: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_1h: u64,
    /// Output tokens, reasoning and audio included.
    pub output: u64,
    /// Part of `input_uncached`.
    pub audio_input: u64,
    /// Part of `output`.
    pub audio_output: u64,
    /// Searches run by the provider.
    pub web_searches: u64,
}

/// The cost in nano-dollars.
///
/// A side with no price at all costs nothing (embeddings have no output price). More audio tokens than
/// the side has are taken as all of them. Above 18.4 billion dollars it stays at `u64::MAX`.
#[must_use]
pub fn cost(price: &Price, counts: &TokenCounts) -> u64 {
    let input = price.input.unwrap_or(0);
    let output = price.output.unwrap_or(0);
    let cache_write = price.cache_write.unwrap_or(input);
    let audio_input = counts.audio_input.min(counts.input_uncached);
    let audio_output = counts.audio_output.min(counts.output);
    let lines = [
        (counts.input_uncached.saturating_sub(audio_input), input),
        (audio_input, price.audio_input.unwrap_or(input)),
        (counts.cache_read, price.cache_read.unwrap_or(input)),
        (counts.cache_write, cache_write),
        (counts.cache_write_1h, price.cache_write_1h.unwrap_or(cache_write)),
        (counts.output.saturating_sub(audio_output), output),
        (audio_output, price.audio_output.unwrap_or(output)),
    ];
    let tokens = lines.iter().fold(0_u128, |sum, &(count, price)| sum.saturating_add(times(count, price)));
    let searches = times(counts.web_searches, price.web_search.unwrap_or(0));
    let nanos = (tokens.saturating_add(PER / 2) / PER).saturating_add(searches);
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// What a common request costs, to compare models by: three tokens of input to one of output, per million of the
/// four. `None` when neither side has a price.
#[must_use]
pub fn common(price: &Price) -> Option<u64> {
    price.input.or(price.output)?;
    let input = price.input.unwrap_or(0).saturating_mul(3);
    Some(input.saturating_add(price.output.unwrap_or(0)) / 4)
}

/// Cannot overflow: two 64-bit factors.
fn times(count: u64, price: u64) -> u128 {
    u128::from(count) * u128::from(price)
}

#[cfg(test)]
mod tests;
