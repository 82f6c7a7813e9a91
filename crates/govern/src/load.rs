//! How fast and how busy one target is, smoothed over its recent calls.
//!
//! Streams and whole answers are kept apart: the first token of a stream and the last byte of an answer are not
//! to be compared. What was learned fades: a target that was not heard of for a while is judged like one that
//! never was, so that a slow minute is not held against it for ever.
//!
//! Times are milliseconds of any one clock that does not run backwards; latencies are microseconds.

/// What a target's recent calls were like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    whole: Smoothed,
    first_token: Smoothed,
    faults: Smoothed,
    in_flight: u32,
}

/// An average in which each new value counts a fifth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Smoothed {
    value: u64,
    at_ms: u64,
    known: bool,
}

/// What is older says nothing of now.
const FADES_MS: u64 = 15_000;
/// A call that failed, as the average of faults counts it.
const FAULT: u64 = 1_000;

impl Load {
    /// A call begins.
    pub fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// A call is over, however it ended.
    pub fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The first token of a stream came after this time.
    pub fn first_token(&mut self, latency_us: u64, now_ms: u64) {
        self.first_token.add(latency_us, now_ms);
    }

    /// A whole answer took this time.
    pub fn whole(&mut self, latency_us: u64, now_ms: u64) {
        self.whole.add(latency_us, now_ms);
    }

    /// A call ended after this time, and no answer had come: it would have taken at least as long.
    pub fn waited(&mut self, latency_us: u64, now_ms: u64) {
        for known in [&mut self.whole, &mut self.first_token] {
            if known.recent(now_ms).is_none_or(|recent| recent < latency_us) {
                known.add(latency_us, now_ms);
            }
        }
    }

    /// Whether a call failed through the target's fault.
    pub fn outcome(&mut self, fault: bool, now_ms: u64) {
        self.faults.add(if fault { FAULT } else { 0 }, now_ms);
    }

    /// Calls under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Microseconds to the first token, or to the whole answer; `None` when nothing recent is known.
    #[must_use]
    pub fn latency_us(&self, stream: bool, now_ms: u64) -> Option<u64> {
        if stream { self.first_token.recent(now_ms) } else { self.whole.recent(now_ms) }
    }

    /// The share of recent calls that failed, 0 to 1,000.
    #[must_use]
    pub fn faults_permille(&self, now_ms: u64) -> u32 {
        u32::try_from(self.faults.recent(now_ms).unwrap_or(0)).unwrap_or(1_000).min(1_000)
    }
}

impl Smoothed {
    fn add(&mut self, value: u64, now_ms: u64) {
        self.value = match self.recent(now_ms) {
            Some(before) => (before.saturating_mul(4).saturating_add(value)) / 5,
            None => value,
        };
        self.at_ms = now_ms;
        self.known = true;
    }

    fn recent(&self, now_ms: u64) -> Option<u64> {
        (self.known && now_ms.saturating_sub(self.at_ms) < FADES_MS).then_some(self.value)
    }
}

#[cfg(test)]
mod tests;
