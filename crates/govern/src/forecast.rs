//! What is coming if things go on as they do: when a budget is used up, what a month will have cost, whether errors are
//! more than usual.
//!
//! Straight lines only, from what was counted: no forecast is better than one that nobody can check. What cannot be said
//! is `None`.

use crate::window::Window;

const DAY_MS: u64 = 86_400_000;
/// The least time a pace is taken from: a first minute says nothing of a month.
const LEAST_MS: u64 = 3_600_000;

/// Milliseconds until `max` is reached if the rest of the period is used as what has passed of it; `None`: it is not, or
/// the window is a rolling one, where what was used goes away by itself.
#[must_use]
pub fn used_up_in(window: &Window, (used, max): (u64, u64), now_ms: u64) -> Option<u64> {
    if !window.is_calendar() || used == 0 {
        return None;
    }
    let period = window.period(now_ms);
    let passed = now_ms.saturating_sub(period.start_ms);
    let left = u128::from(max.saturating_sub(used)) * u128::from(passed) / u128::from(used);
    let left = u64::try_from(left).ok()?;
    (now_ms.saturating_add(left) < period.end_ms).then_some(left)
}

/// What a period that ends in `left_ms` will have cost: what was spent of it, and the rest at the pace of `recent` over
/// `recent_ms`. `None`: there is less than an hour to take a pace from.
#[must_use]
pub fn at_the_end(spent: u64, (recent, recent_ms): (u64, u64), left_ms: u64) -> Option<u64> {
    if recent_ms < LEAST_MS {
        return None;
    }
    let rest = u128::from(recent) * u128::from(left_ms) / u128::from(recent_ms);
    Some(spent.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX)))
}

/// The calendar month that a moment is in: how long it lasts from its beginning, and how much is left, in milliseconds.
#[must_use]
pub fn month(now_ms: u64) -> (u64, u64) {
    let month = Window::parse("1M", true).unwrap_or(Window::minute());
    let period = month.period(now_ms);
    (period.start_ms, period.end_ms.saturating_sub(now_ms))
}

/// Midnight before a moment (UTC).
#[must_use]
pub fn midnight(now_ms: u64) -> u64 {
    now_ms - now_ms % DAY_MS
}

/// Whether there are more errors than usual: at least five, at least one of a hundred requests, and three times the share
/// of before. Both are errors and requests.
#[must_use]
pub fn is_spike(now: (u64, u64), before: (u64, u64)) -> bool {
    let (errors, requests) = now;
    let often = errors >= 5 && errors.saturating_mul(100) >= requests;
    // errors / requests >= 3 * before.0 / before.1, without a division.
    let more = u128::from(errors) * u128::from(before.1.max(1))
        >= 3 * u128::from(before.0) * u128::from(requests.max(1));
    often && more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        crate::moment::rfc3339(text).unwrap()
    }

    #[test]
    fn a_budget_at_twice_its_pace_is_used_up_half_way() {
        let day = Window::parse("1d", true).unwrap();
        let six = at("2026-11-22T06:00:00Z");
        assert_eq!(used_up_in(&day, (50, 100), six), Some(6 * 3_600_000));
        assert_eq!(used_up_in(&day, (25, 100), six), None, "the day ends first");
        assert_eq!(used_up_in(&day, (0, 100), six), None);
        assert_eq!(used_up_in(&day, (120, 100), six), Some(0));
        assert_eq!(used_up_in(&Window::parse("1d", false).unwrap(), (99, 100), six), None);
    }

    #[test]
    fn a_month_ends_at_what_was_spent_and_the_rest_at_the_present_pace() {
        let now = at("2026-11-21T00:00:00Z");
        let (start, left) = month(now);
        assert_eq!((start, left), (at("2026-11-01T00:00:00Z"), 10 * DAY_MS));
        // 7 a day for the last week.
        assert_eq!(at_the_end(100, (49, 7 * DAY_MS), left), Some(170));
        assert_eq!(at_the_end(100, (1, 60_000), left), None);
    }

    #[test]
    fn errors_are_a_spike_when_they_are_many_and_more_than_before() {
        assert!(is_spike((30, 100), (5, 1_000)));
        assert!(is_spike((5, 5), (0, 0)), "the first errors");
        assert!(!is_spike((4, 4), (0, 1_000)), "too few");
        assert!(!is_spike((30, 100), (200, 1_000)), "it was like that before");
        assert!(!is_spike((30, 10_000), (0, 10_000)), "too seldom");
    }
}
