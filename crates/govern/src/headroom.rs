//! How much of a provider's rate limits is left to a target, as its own answers tell.
//!
//! Most providers say with every answer what remains of each limit ("buckets" of requests or tokens) and when
//! it is full again. Between two answers we count ourselves: each call that began since takes its share, and
//! the bucket refills evenly until the moment it is said to be full. So a key near its limit is left in peace
//! before it has to refuse.
//!
//! Vendors differ in names, not in the idea, and none is named here: a header of a rate limit with `remaining`
//! in its name makes a bucket; its siblings have `limit` and `reset` in that place. What cannot be read is
//! ignored: no header is ever required.
//!
//! Times are milliseconds of any one clock that does not run backwards, but for the provider's own moments.

use crate::moment;
use crate::retry_hint::{bucket, position};

/// Limits that are followed at once; providers send four at most.
const BUCKETS: usize = 6;

/// What one answer said of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    /// Of the names around `remaining`: the same limit in the next answer has the same.
    name: u64,
    counts: Counts,
    limit: Option<u64>,
    remaining: u64,
    /// Milliseconds from the answer until it is full again.
    refilled_in_ms: Option<u64>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Calls,
    Tokens,
    InputTokens,
    OutputTokens,
}

/// What one answer said of all limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    told: [Option<Told>; BUCKETS],
    /// The provider says that it is near its limit, without a number.
    pub strained: bool,
}

/// What is left to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headroom {
    buckets: [Option<Bucket>; BUCKETS],
    strained_until_ms: u64,
    /// Calls begun so far; each knows its number, so that an answer tells which calls it does not know of.
    begun: u64,
    /// The number of the latest call whose answer was read.
    heard: u64,
    /// Tokens of a call, smoothed: input, output.
    per_call: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    told: Told,
    /// As told, or the most that was ever seen.
    limit: u64,
    /// When the limit was told, or the most was seen.
    limit_ms: u64,
    seen_ms: u64,
    /// Calls that had begun when the answer's own call did.
    counted: u64,
}

/// A warning without numbers is believed this long.
const STRAINED_MS: u64 = 5_000;
/// A bucket that does not say when it refills, or says that it has, does so within a minute, as most limits are per
/// minute.
const REFILL_MS: u64 = 60_000;
/// Nothing is believed longer than this without being told again: one call shows how things are.
const BELIEVED_MS: u64 = 300_000;
/// What a call is taken to need before one was seen: input, output.
const PER_CALL: (u64, u64) = (400, 100);

/// All of it is left.
pub const FULL: u32 = 1_000;

impl Headroom {
    /// A call begins; its number goes back to [`Headroom::hear`].
    pub fn begin(&mut self) -> u64 {
        self.begun = self.begun.saturating_add(1);
        self.begun
    }

    /// The answer to call `number` has come. Answers to earlier calls than one that was heard say nothing new.
    pub fn hear(&mut self, number: u64, report: &Report, now_ms: u64) {
        if number < self.heard {
            return;
        }
        self.heard = number;
        if report.strained {
            self.strained_until_ms = now_ms.saturating_add(STRAINED_MS);
        }
        let before = self.buckets;
        for (slot, told) in self.buckets.iter_mut().zip(report.told) {
            let Some(told) = told else {
                // It may be silent about a limit once; for good only when the others are told without it.
                if report.told.iter().any(Option::is_some) {
                    *slot = None;
                }
                continue;
            };
            let known = before.iter().flatten().find(|bucket| bucket.told.name == told.name);
            // Limits change: what was seen a while ago says nothing of now.
            let most = known.filter(|bucket| {
                bucket.limit > told.remaining && now_ms.saturating_sub(bucket.limit_ms) < REFILL_MS
            });
            let (limit, limit_ms) = match (told.limit.filter(|&limit| limit > 0), most) {
                (Some(limit), _) => (limit, now_ms),
                (None, Some(most)) => (most.limit, most.limit_ms),
                (None, None) => (told.remaining, now_ms),
            };
            *slot = Some(Bucket { told, limit, limit_ms, seen_ms: now_ms, counted: number });
        }
    }

    /// What an answer cost that limits count: input that no cache had, and output.
    pub fn used(&mut self, input: u64, output: u64) {
        let smooth = |before: u64, now: u64| (before.saturating_mul(7).saturating_add(now)) / 8;
        self.per_call = Some(match self.per_call {
            None => (input, output),
            Some(before) => (smooth(before.0, input), smooth(before.1, output)),
        });
    }

    /// The share of the scarcest limit that is left, 0 to 1,000; 1,000 as well when nothing is known. Zero: not
    /// even one more call is expected to pass.
    #[must_use]
    pub fn permille(&self, now_ms: u64) -> u32 {
        let least = self.buckets.iter().flatten().map(|bucket| self.left(bucket, now_ms)).min();
        let least = least.unwrap_or(FULL);
        if now_ms < self.strained_until_ms { least.min(FULL / 10) } else { least }
    }

    fn left(&self, bucket: &Bucket, now_ms: u64) -> u32 {
        let (input, output) = self.per_call.unwrap_or(PER_CALL);
        let per_call = match bucket.told.counts {
            Counts::Calls => 1,
            Counts::Tokens => input.saturating_add(output),
            Counts::InputTokens => input,
            Counts::OutputTokens => output,
        }
        .max(1);
        let span = bucket.told.refilled_in_ms.filter(|&span| span > 0).unwrap_or(REFILL_MS);
        let elapsed = now_ms.saturating_sub(bucket.seen_ms);
        if elapsed >= span.min(BELIEVED_MS) {
            return FULL;
        }
        let missing = bucket.limit.saturating_sub(bucket.told.remaining);
        let refilled = u128::from(missing) * u128::from(elapsed) / u128::from(span);
        let refilled = u64::try_from(refilled).unwrap_or(missing);
        let taken = self.begun.saturating_sub(bucket.counted).saturating_mul(per_call);
        let left = bucket.told.remaining.saturating_add(refilled).saturating_sub(taken);
        // A bucket that is full takes a call of any size, as far as anybody can tell.
        if left < per_call && left < bucket.limit.max(1) {
            return 0;
        }
        let share = u128::from(left) * u128::from(FULL) / u128::from(bucket.limit.max(1));
        u32::try_from(share).unwrap_or(FULL).clamp(1, FULL)
    }
}

/// Reads an answer's headers, names in any case. `now_unix_ms` is for resets that are moments.
///
/// The iterator is walked once, and twice more per bucket; nothing is allocated.
#[must_use]
pub fn read<'a, I>(headers: I, now_unix_ms: u64) -> Report
where
    I: Iterator<Item = (&'a str, &'a str)> + Clone,
{
    let mut report = Report::default();
    let mut slots = report.told.iter_mut();
    for (name, value) in headers.clone() {
        report.strained |= name.eq_ignore_ascii_case("x-ratelimit-over-limit") && value.trim() == "yes";
        let told = Named { headers: headers.clone(), name, value: value.trim(), now_unix_ms }.told();
        if told.is_some()
            && let Some(slot) = slots.next()
        {
            *slot = told;
        }
    }
    report
}

/// Whether a header (name in lower case) may have to do with a rate limit: the others need not be given to [`read`].
#[must_use]
pub fn concerns(name: &str) -> bool {
    ["limit", "call-remaining", "concurrent-requests"].into_iter().any(|word| name.contains(word))
}

/// One header among its siblings.
struct Named<'a, I> {
    headers: I,
    name: &'a str,
    value: &'a str,
    now_unix_ms: u64,
}

/// A share is counted in millionths.
const WHOLE: u64 = 1_000_000;

impl<'a, I: Iterator<Item = (&'a str, &'a str)> + Clone> Named<'a, I> {
    fn told(&self) -> Option<Told> {
        self.counted().or_else(|| self.utilised()).or_else(|| self.concurrent())
    }

    /// `x-ratelimit-remaining-tokens: 149984` with `-limit-` and `-reset-`.
    fn counted(&self) -> Option<Told> {
        let around = bucket(self.name, "remaining")?;
        Some(Told {
            name: hash(around),
            counts: Counts::of(around),
            limit: self.sibling(around, "limit").and_then(whole),
            remaining: whole(self.value)?,
            refilled_in_ms: self.reset(around),
        })
    }

    /// `…ratelimit-unified-5h-utilization: 0.83` with `-reset`.
    fn utilised(&self) -> Option<Told> {
        let around = bucket(self.name, "utilization")?;
        let used = self.value.parse::<f64>().ok().filter(|share| *share >= 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between nothing and all"
        )]
        let remaining = ((1.0 - used.min(1.0)) * WHOLE as f64) as u64;
        let refilled_in_ms = self.reset(around);
        Some(Told {
            name: hash(around),
            counts: Counts::Calls,
            limit: Some(WHOLE),
            remaining,
            refilled_in_ms,
        })
    }

    /// `maximum-concurrent-requests: 10` with `current-concurrent-requests`.
    fn concurrent(&self) -> Option<Told> {
        const MAXIMUM: &str = "maximum-concurrent-requests";
        if !self.name.eq_ignore_ascii_case(MAXIMUM) {
            return None;
        }
        let maximum = whole(self.value)?;
        let current = self.sibling(("current-concurrent-requests", ""), "").and_then(whole)?;
        Some(Told {
            name: hash((MAXIMUM, "")),
            counts: Counts::Calls,
            limit: Some(maximum),
            remaining: maximum.saturating_sub(current),
            // Each ends by itself, soon.
            refilled_in_ms: Some(10_000),
        })
    }

    fn reset(&self, around: (&str, &str)) -> Option<u64> {
        self.sibling(around, "reset").and_then(|value| moment::until(value, self.now_unix_ms))
    }

    /// The value of the header whose name has `word` in that place.
    fn sibling(&self, (before, after): (&str, &str), word: &str) -> Option<&'a str> {
        let is = |name: &str| {
            name.len() == before.len() + word.len() + after.len()
                && [(0, before), (before.len(), word), (before.len() + word.len(), after)].into_iter().all(
                    |(at, part)| {
                        name.get(at..at + part.len()).is_some_and(|found| found.eq_ignore_ascii_case(part))
                    },
                )
        };
        self.headers.clone().find(|(name, _)| is(name)).map(|(_, value)| value.trim())
    }
}

impl Counts {
    fn of((before, after): (&str, &str)) -> Self {
        let named = |word: &str| position(before, word).is_some() || position(after, word).is_some();
        match () {
            () if !named("token") => Self::Calls,
            () if named("output") || named("generated") => Self::OutputTokens,
            () if named("input") || named("prompt") => Self::InputTokens,
            () => Self::Tokens,
        }
    }
}

/// A count; providers below zero have nothing left, and parts of one are none.
fn whole(text: &str) -> Option<u64> {
    let (digits, _) = text.split_once('.').unwrap_or((text, ""));
    match digits.strip_prefix('-') {
        Some(below) => below.parse::<u64>().ok().map(|_| 0),
        None => digits.parse().ok(),
    }
}

/// FNV-1a over both parts, in lower case.
fn hash((before, after): (&str, &str)) -> u64 {
    let bytes = before.bytes().chain([0]).chain(after.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
