use proptest::prelude::*;

use super::*;
use crate::seeded::Seeded;

fn rolling(max: u64, window: &str) -> Meter {
    Meter::new(max, Window::parse(window, false).unwrap())
}

fn calendar(max: u64, window: &str) -> Meter {
    Meter::new(max, Window::parse(window, true).unwrap())
}

#[test]
fn what_is_held_nobody_else_can_have_and_what_was_not_used_comes_back() {
    let mut meter = rolling(100, "1m");
    assert!(meter.hold(60, Fit::Whole, 0).is_ok());
    let refusal = meter.hold(41, Fit::Whole, 0).unwrap_err();
    assert_eq!((refusal.used, refusal.held, refusal.wait), (0, 60, Wait::ForOthers));
    meter.settle(60, 10, 5);
    assert!(meter.hold(90, Fit::Whole, 6).is_ok());
    meter.settle(90, 90, 7);
    assert_eq!(meter.level(8), Level { max: 100, used: 100, held: 0, full_in_ms: 59_999 });
}

#[test]
fn the_wait_is_the_moment_when_enough_has_left_the_window() {
    let mut meter = rolling(10, "1m");
    for at in [0, 1_000, 2_000] {
        meter.count(3, at);
    }
    assert_eq!(meter.hold(2, Fit::Whole, 3_000).unwrap_err().wait, Wait::Millis(57_000));
    assert_eq!(meter.hold(5, Fit::Whole, 3_000).unwrap_err().wait, Wait::Millis(58_000));
    assert!(meter.hold(2, Fit::Whole, 59_999).is_err());
    assert!(meter.hold(2, Fit::Whole, 60_000).is_ok());
    assert_eq!(meter.hold(11, Fit::Whole, 60_000).unwrap_err().wait, Wait::Never);
}

#[test]
fn a_calendar_period_ends_at_once_and_with_all_it_has_used() {
    let day = 86_400_000;
    let mut meter = calendar(10, "1d");
    meter.count(10, day + 5);
    assert_eq!(meter.hold(0, Fit::Whole, 2 * day - 1).unwrap_err().wait, Wait::Millis(1));
    assert_eq!(meter.used(2 * day - 1), 10);
    assert!(meter.hold(10, Fit::Whole, 2 * day).is_ok());
    // What began yesterday and ends today is today's.
    meter.settle(10, 4, 2 * day + 1);
    assert_eq!(meter.used(2 * day + 2), 4);
    // A clock that went back over midnight neither refunds nor forgets.
    assert_eq!(meter.used(2 * day - 5), 4);
}

#[test]
fn with_nothing_left_or_nothing_allowed_even_nothing_is_refused() {
    let mut meter = rolling(0, "1h");
    assert_eq!(meter.hold(0, Fit::Whole, 0).unwrap_err().wait, Wait::Never);
    let mut meter = rolling(5, "1h");
    meter.count(9, 0);
    assert!(meter.hold(0, Fit::Whole, 1).is_err());
    assert_eq!(meter.level(1).left(), 0);
}

#[test]
fn an_expectation_that_is_too_high_leaves_no_rest_that_nobody_can_use() {
    let mut meter = rolling(100, "1m");
    meter.count(60, 0);
    assert!(meter.hold(41, Fit::Whole, 1).is_err());
    assert!(meter.hold(41, Fit::Alone, 1).is_ok(), "something is left, and nobody else is under way");
    assert_eq!(meter.hold(1, Fit::Alone, 1).unwrap_err().wait, Wait::ForOthers);
    assert_eq!(
        meter.hold(500, Fit::Alone, 1).unwrap_err().wait,
        Wait::Millis(59_999),
        "never is for strict ones"
    );
    meter.settle(41, 10, 2);
    assert_eq!((meter.held(), meter.used(3)), (0, 70));
    assert!(meter.hold(500, Fit::Alone, 3).is_ok());
    meter.settle(500, 30, 4);
    assert_eq!(meter.hold(1, Fit::Alone, 5).unwrap_err().wait, Wait::Millis(59_995));
}

#[test]
fn what_is_restored_behind_what_came_since_leaves_at_its_own_time() {
    let mut meter = rolling(100, "1m");
    meter.count(5, 50_000);
    for (at, amount) in [(49_000, 1), (10_000, 2), (51_000, 4), (10_000, 8)] {
        meter.restore(amount, at, 52_000);
    }
    meter.restore(99, 0, 61_000);
    assert_eq!(meter.used(69_999), 20);
    assert_eq!(meter.used(70_000), 10);
    assert_eq!(meter.used(109_000), 9);
    assert_eq!(meter.used(110_000), 4);
    let (mut meter, day) = (calendar(100, "1d"), 86_400_000);
    meter.restore(7, day - 1, day + 9);
    meter.restore(3, day, day + 9);
    assert_eq!(meter.used(day + 10), 3);
}

#[test]
fn what_is_stored_and_restored_counts_the_same() {
    for mut meter in [rolling(1_000, "1h"), calendar(1_000, "1M")] {
        let mut random = Seeded(9);
        for step in 0..50 {
            meter.count(random.next() % 7, 1_700_000_000_000 + step * 1_000);
        }
        let now = 1_700_000_060_000;
        let mut restored = Meter::new(1_000, meter.window());
        for (at, amount) in meter.parts(now) {
            restored.count(amount, at);
        }
        assert_eq!(restored.level(now), meter.level(now));
    }
}

/// A thousand callers, each with a request at a time, until a million were sent. One in ten is cut off and settled with
/// the part it used.
#[test]
fn a_thousand_callers_overdraw_it_by_no_more_than_their_estimates_were_wrong() {
    for (mut meter, requests) in [(rolling(2_000_000, "1m"), 1_000_000), (calendar(2_000_000, "1m"), 200_000)]
    {
        let window = meter.window();
        let mut random = Seeded(1);
        let mut running: Vec<Option<(u64, u64)>> = vec![None; 1_000];
        let mut overruns = std::collections::VecDeque::new();
        let (mut now, mut sent, mut refused, mut overrun) = (1_700_000_000_000_u64, 0_u32, 0_u32, 0_u64);
        while sent < requests {
            now += random.next() % 3;
            let caller = usize::try_from(random.next() % 1_000).unwrap();
            if let Some((held, truth)) = running[caller].take() {
                let truth = if random.next().is_multiple_of(10) { truth / 3 } else { truth };
                meter.settle(held, truth, now);
                overruns.push_back((now, truth.saturating_sub(held)));
                overrun += truth.saturating_sub(held);
            } else {
                let estimate = random.next() % 900;
                match meter.hold(estimate, Fit::Whole, now) {
                    Ok(()) => {
                        sent += 1;
                        running[caller] = Some((estimate, random.next() % 1_000));
                    }
                    Err(refusal) => {
                        refused += 1;
                        assert!(refusal.used + refusal.held + refusal.wanted.max(1) > refusal.max);
                    }
                }
            }
            let start = window.period(now).start_ms;
            while overruns
                .front()
                .is_some_and(|(at, _)| *at < start || (!window.is_calendar() && *at == start))
            {
                overrun -= overruns.pop_front().unwrap().1;
            }
            let level = meter.level(now);
            assert!(level.used + level.held <= level.max + overrun);
            if sent.is_multiple_of(1_000) {
                let held: u64 = running.iter().flatten().map(|(held, _)| held).sum();
                assert_eq!(level.held, held, "no hold outlives its request, none is lost");
            }
        }
        assert!(refused > 1_000, "the allowance was reached: {refused}");
    }
}

proptest! {
    #[test]
    fn a_window_never_uses_more_than_allowed_when_estimates_are_right(
        steps in prop::collection::vec((0_u64..20_000, 0_u64..60), 1..300),
        calendar_aligned: bool,
    ) {
        let window = Window::parse("1m", calendar_aligned).unwrap();
        let mut meter = Meter::new(100, window);
        let (mut now, mut admitted) = (1_700_000_000_000_u64, Vec::new());
        for (pause, amount) in steps {
            now += pause;
            if meter.hold(amount, Fit::Whole, now).is_ok() {
                meter.settle(amount, amount, now);
                admitted.push((now, amount));
            }
            let start = window.period(now).start_ms;
            let inside = |at: u64| if calendar_aligned { at >= start } else { at + 60_000 > now };
            let used: u64 = admitted.iter().filter(|(at, _)| inside(*at)).map(|(_, amount)| amount).sum();
            prop_assert!(used <= 100);
            prop_assert_eq!(used, meter.used(now));
        }
    }
}
