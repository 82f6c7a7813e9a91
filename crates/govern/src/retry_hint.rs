//! What a provider's headers say about trying again.
//!
//! Vendors differ in names and units, not in the idea, so no vendor is named here: an explicit
//! `retry-after` wins; else every rate-limit bucket that is empty (its `…remaining…` header is 0) names
//! its own `…reset…` header, and the last of those moments counts, since all buckets must have refilled.
//! The reset of a bucket that is not empty says nothing about this refusal.

use crate::moment;

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryHint {
    /// Milliseconds from now; zero when the moment has passed. Not capped.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
}

/// Reads the hint from response headers, names in any case.
///
/// Forms: `retry-after-ms` (a number), `retry-after` and resets (seconds, Go durations, Unix time in
/// seconds or milliseconds, RFC 3339, HTTP date). What cannot be read is ignored. The iterator is walked
/// a few times; nothing is allocated.
#[must_use]
pub fn read<'a, I>(headers: I, now_unix_ms: u64) -> RetryHint
where
    I: Iterator<Item = (&'a str, &'a str)> + Clone,
{
    let named = |name: &'static str| {
        headers.clone().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let should_retry = named("x-should-retry").find_map(|value| match value.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    });
    let retry_after_ms = named("retry-after-ms")
        .find_map(moment::millis)
        .or_else(|| named("retry-after").find_map(|value| moment::until(value, now_unix_ms)))
        .or_else(|| empty_buckets(&headers, now_unix_ms));
    RetryHint { retry_after_ms, should_retry }
}

/// The latest reset among the buckets that are empty.
fn empty_buckets<'a, I>(headers: &I, now_unix_ms: u64) -> Option<u64>
where
    I: Iterator<Item = (&'a str, &'a str)> + Clone,
{
    headers
        .clone()
        .filter(|(_, value)| is_zero(value))
        .filter_map(|(name, _)| bucket(name, REMAINING))
        .filter_map(|empty| {
            headers
                .clone()
                .filter(|(name, _)| bucket(name, RESET).is_some_and(|reset| same(reset, empty)))
                .find_map(|(_, value)| moment::until(value, now_unix_ms))
        })
        .max()
}

const REMAINING: &str = "remaining";
const RESET: &str = "reset";
/// What the names of rate-limit headers have in common, one of them each.
const LIMITS: [&str; 5] = ["ratelimit", "rate-limit", "tokenlimit", "call-limit", "call-remaining"];

/// The name around `word`, for rate-limit headers only: `x-ratelimit-remaining-tokens` is the bucket
/// `("x-ratelimit-", "-tokens")`.
pub(crate) fn bucket<'a>(name: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let at = position(name, word)?;
    LIMITS.into_iter().find_map(|limit| position(name, limit))?;
    Some((name.get(..at)?, name.get(at.checked_add(word.len())?..)?))
}

fn same(one: (&str, &str), other: (&str, &str)) -> bool {
    one.0.eq_ignore_ascii_case(other.0) && one.1.eq_ignore_ascii_case(other.1)
}

/// Where `word` begins in `name`, in any case.
pub(crate) fn position(name: &str, word: &str) -> Option<usize> {
    name.as_bytes().windows(word.len()).position(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// `0`, `0.0`: the bucket is empty. Some providers go below zero.
fn is_zero(value: &str) -> bool {
    value.trim().parse::<f64>().is_ok_and(|left| left <= 0.0)
}

#[cfg(test)]
mod tests;
