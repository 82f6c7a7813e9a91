//! How long to wait before the same target is asked again.
//!
//! Exponential with jitter, so that callers who failed together do not come back together; the
//! provider's own `Retry-After` wins. Whether the wait still fits the request's deadline is for the
//! caller to see: a wait is never shortened here below what the provider asked for.

/// `retry_backoff_initial` and `retry_backoff_max` of a provider, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub initial_ms: u64,
    /// No wait of our own choosing is longer, jitter included.
    pub max_ms: u64,
}

impl Default for Backoff {
    /// Half a second is long enough for a bad replica to leave the rotation; five seconds is about what
    /// an interactive caller still sits through.
    fn default() -> Self {
        Self { initial_ms: 500, max_ms: 5_000 }
    }
}

/// A wait that doubles while its cause repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    pub first_ms: u64,
    pub max_ms: u64,
}

impl Ladder {
    /// `first × 2^step`, at most `max`.
    #[must_use]
    pub fn after(self, step: u32) -> u64 {
        let doubled = u128::from(self.first_ms) << step.min(63);
        u64::try_from(doubled).unwrap_or(u64::MAX).min(self.max_ms)
    }
}

/// Milliseconds to wait before retry number `attempt` (the first is 0).
///
/// Without a hint: `min(initial × 2^attempt, max)` × 0.8 to 1.2, never above `max`. With a hint: the hint
/// plus 0 to 10 %, never less than it and not bounded by `max`. A hint of zero says nothing.
#[must_use]
pub fn delay(policy: &Backoff, attempt: u32, retry_after_ms: Option<u64>, random: u64) -> u64 {
    match retry_after_ms {
        Some(hint) if hint > 0 => hint.saturating_add(share(hint, random % 100_001)),
        _ => {
            let doubled = u128::from(policy.initial_ms) << attempt.min(63);
            let base = u64::try_from(doubled).unwrap_or(u64::MAX).min(policy.max_ms);
            share(base, 800_000 + random % 400_001).min(policy.max_ms)
        }
    }
}

/// `value` × `millionths` / 1,000,000, without overflow on the way.
fn share(value: u64, millionths: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(millionths) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Backoff = Backoff { initial_ms: 100, max_ms: 2_000 };

    #[test]
    fn doubles_from_initial_to_max_within_the_jitter() {
        for (attempt, base) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1_600)] {
            assert_eq!(delay(&POLICY, attempt, None, 0), base * 8 / 10);
            assert_eq!(delay(&POLICY, attempt, None, 200_000), base);
            assert_eq!(delay(&POLICY, attempt, None, 400_000), (base * 12 / 10).min(2_000));
        }
        for attempt in [5, 63, 64, 1_000, u32::MAX] {
            assert_eq!(delay(&POLICY, attempt, None, 400_000), 2_000);
            assert_eq!(delay(&POLICY, attempt, None, 0), 1_600);
        }
    }

    #[test]
    fn a_hint_is_never_undercut_even_above_max() {
        assert_eq!(delay(&POLICY, 0, Some(2_000), 0), 2_000);
        assert_eq!(delay(&POLICY, 9, Some(60_000), 0), 60_000);
        assert_eq!(delay(&POLICY, 0, Some(60_000), 100_000), 66_000);
        assert_eq!(delay(&POLICY, 0, Some(u64::MAX), 100_000), u64::MAX);
    }

    #[test]
    fn a_hint_of_zero_does_not_make_a_busy_loop() {
        assert_eq!(delay(&POLICY, 2, Some(0), 200_000), delay(&POLICY, 2, None, 200_000));
    }

    proptest! {
        #[test]
        fn never_overflows_and_keeps_its_bounds(
            initial_ms in any::<u64>(), max_ms in any::<u64>(),
            attempt in any::<u32>(), hint in any::<u64>(), random in any::<u64>(),
        ) {
            let policy = Backoff { initial_ms, max_ms };
            prop_assert!(delay(&policy, attempt, None, random) <= max_ms);
            if hint > 0 {
                let wait = delay(&policy, attempt, Some(hint), random);
                prop_assert!(wait >= hint && wait - hint <= hint / 10);
            }
        }
    }
}
