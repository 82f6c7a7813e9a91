//! How often a secret may be guessed: the first few times at once, then ever more slowly.
//!
//! An attempt counts as failed from its beginning, so that a thousand at once are not the first one a thousand times. What is
//! known is bounded: whoever comes with ever new keys makes the oldest ones forgotten, and should be counted by another key
//! beside.

use std::collections::HashMap;
use std::hash::Hash;

use crate::backoff::Ladder;

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failures before the first wait.
    pub free: u32,
    /// Waits after each further failure.
    pub waits: Ladder,
    /// Without a failure for so long everything is forgotten, in milliseconds.
    pub forget_ms: u64,
    /// Most keys that are known at once.
    pub most: usize,
}

/// Failed attempts by key.
#[derive(Debug)]
pub struct Attempts<K> {
    policy: Policy,
    known: HashMap<K, Standing>,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    failures: u32,
    last_ms: u64,
    /// The next attempt may begin then.
    next_ms: u64,
}

/// Not yet: milliseconds until the next attempt may begin, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSoon(pub u64);

impl<K: Hash + Eq + Clone> Attempts<K> {
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, known: HashMap::new() }
    }

    /// Milliseconds until an attempt for `key` may begin; nothing is counted.
    #[must_use]
    pub fn wait(&self, key: &K, now_ms: u64) -> Option<TooSoon> {
        let standing = self.known.get(key).filter(|standing| !self.is_over(standing, now_ms))?;
        let left = standing.next_ms.saturating_sub(now_ms);
        (left > 0).then_some(TooSoon(left))
    }

    /// Begins an attempt, which counts as failed until it is said that it was not.
    ///
    /// # Errors
    /// It may not begin yet. It is not counted then.
    pub fn begin(&mut self, key: &K, now_ms: u64) -> Result<(), TooSoon> {
        if let Some(too_soon) = self.wait(key, now_ms) {
            return Err(too_soon);
        }
        self.make_room(key, now_ms);
        let fresh = Standing { failures: 0, last_ms: now_ms, next_ms: now_ms };
        let before = self.known.get(key).copied().filter(|standing| !self.is_over(standing, now_ms));
        let mut standing = before.unwrap_or(fresh);
        standing.failures = standing.failures.saturating_add(1);
        standing.last_ms = now_ms;
        if let Some(step) = standing.failures.checked_sub(self.policy.free.saturating_add(1)) {
            standing.next_ms = now_ms.saturating_add(self.policy.waits.after(step));
        }
        self.known.insert(key.clone(), standing);
        Ok(())
    }

    /// The attempt was right: all of the key's failures are forgotten.
    pub fn right(&mut self, key: &K) {
        self.known.remove(key);
    }

    /// The attempt was right, but says nothing of the others of its key: who has one right answer must not get as many
    /// wrong ones as he likes.
    pub fn take_back(&mut self, key: &K) {
        if let Some(standing) = self.known.get_mut(key) {
            standing.failures = standing.failures.saturating_sub(1);
            standing.next_ms = standing.last_ms;
        }
    }

    fn is_over(&self, standing: &Standing, now_ms: u64) -> bool {
        now_ms.saturating_sub(standing.last_ms) > self.policy.forget_ms && now_ms >= standing.next_ms
    }

    fn make_room(&mut self, key: &K, now_ms: u64) {
        if self.known.len() < self.policy.most || self.known.contains_key(key) {
            return;
        }
        let forget_ms = self.policy.forget_ms;
        self.known.retain(|_, standing| now_ms.saturating_sub(standing.last_ms) <= forget_ms);
        if self.known.len() >= self.policy.most {
            let oldest = self.known.iter().min_by_key(|(_, standing)| standing.last_ms);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    const MINUTE: u64 = 60_000;
    const POLICY: Policy = Policy {
        free: 5,
        waits: Ladder { first_ms: 1_000, max_ms: MINUTE },
        forget_ms: 15 * MINUTE,
        most: 100,
    };

    #[test]
    fn the_first_failures_cost_nothing_and_then_waits_double() {
        let mut attempts = Attempts::new(POLICY);
        for _ in 0..6 {
            assert_eq!(attempts.begin(&"ada", 0), Ok(()));
        }
        assert_eq!(attempts.begin(&"ada", 0), Err(TooSoon(1_000)));
        assert_eq!(attempts.begin(&"ada", 999), Err(TooSoon(1)));
        assert_eq!(attempts.begin(&"ada", 1_000), Ok(()));
        assert_eq!(attempts.begin(&"ada", 1_001), Err(TooSoon(1_999)));
        assert_eq!(attempts.begin(&"bob", 1_001), Ok(()), "another key is free");
    }

    #[test]
    fn a_right_attempt_forgets_and_time_does_too() {
        let mut attempts = Attempts::new(POLICY);
        (0..6).for_each(|_| attempts.begin(&"ada", 0).unwrap());
        attempts.right(&"ada");
        assert_eq!(attempts.wait(&"ada", 0), None);
        (0..6).for_each(|_| attempts.begin(&"ada", 0).unwrap());
        let later = 16 * MINUTE;
        (0..6).for_each(|_| attempts.begin(&"ada", later).unwrap());
        assert!(attempts.begin(&"ada", later).is_err());
    }

    #[test]
    fn one_right_answer_does_not_buy_wrong_ones() {
        let mut attempts = Attempts::new(POLICY);
        let mut wrong = 0;
        for _ in 0..1_000 {
            wrong += u32::from(attempts.begin(&"address", 0).is_ok());
            if attempts.begin(&"address", 0).is_ok() {
                attempts.take_back(&"address");
            }
        }
        assert_eq!(wrong, 6);
    }

    #[test]
    fn whoever_guesses_for_a_day_gets_little_more_than_a_guess_a_minute() {
        let (mut attempts, mut random) = (Attempts::new(POLICY), Seeded(7));
        let (mut now, mut guesses) = (0, 0);
        while now < 24 * 60 * MINUTE {
            // Many at once, at any moment.
            for _ in 0..20 {
                guesses += u32::from(attempts.begin(&"ada", now).is_ok());
            }
            now += random.next() % 2_000;
        }
        assert!((1_300..1_460).contains(&guesses), "{guesses}");
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut attempts = Attempts::new(POLICY);
        for key in 0..10_000_u64 {
            attempts.begin(&key, key).unwrap();
        }
        assert_eq!(attempts.known.len(), 100);
        assert!(attempts.known.contains_key(&9_999) && !attempts.known.contains_key(&9_000));
    }
}
