use super::*;
use crate::seeded::Seeded;
use proptest::prelude::*;

fn policy() -> Policy {
    Policy::STANDARD
}

fn opened(now: u64) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..3 {
        breaker.on_fault(&policy(), None, now, NO_PROBE);
    }
    breaker
}

#[test]
fn three_in_a_row_open_it_and_a_success_between_starts_anew() {
    let mut breaker = Breaker::default();
    breaker.on_fault(&policy(), None, 0, NO_PROBE);
    breaker.on_fault(&policy(), None, 1, NO_PROBE);
    breaker.on_success(2, NO_PROBE);
    breaker.on_fault(&policy(), None, 3, NO_PROBE);
    breaker.on_fault(&policy(), None, 4, NO_PROBE);
    assert_eq!(breaker.state(&policy(), 5), State::Closed);
    breaker.on_fault(&policy(), None, 5, NO_PROBE);
    assert_eq!(breaker.state(&policy(), 5), State::Open { until_ms: 2_005 });
}

#[test]
fn one_probe_at_a_time_and_its_success_closes() {
    let mut breaker = opened(0);
    assert_eq!(breaker.state(&policy(), 1_999), State::Open { until_ms: 2_000 });
    let probe = breaker.begin(&policy(), 2_000);
    assert_ne!(probe, NO_PROBE);
    assert_eq!(breaker.state(&policy(), 2_001), State::HalfOpen { probe_until_ms: Some(32_000) });
    assert_eq!(breaker.begin(&policy(), 2_001), NO_PROBE, "one is under way");
    breaker.on_success(2_500, probe);
    assert_eq!(breaker.state(&policy(), 2_500), State::Closed);
    assert_eq!(breaker.begin(&policy(), 2_501), NO_PROBE, "nothing to probe");
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_its_limit() {
    let (mut breaker, mut now) = (opened(0), 0);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let State::Open { until_ms } = breaker.state(&policy(), now) else { panic!("not open") };
        waits.push(until_ms - now);
        now = until_ms;
        let probe = breaker.begin(&policy(), now);
        assert_ne!(probe, NO_PROBE);
        breaker.on_fault(&policy(), None, now, probe);
    }
    assert_eq!(waits, [2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
}

#[test]
fn a_probe_that_never_ends_does_not_keep_the_target_out_for_ever() {
    let mut breaker = opened(0);
    let probe = breaker.begin(&policy(), 2_000);
    assert_ne!(probe, NO_PROBE);
    assert_eq!(breaker.begin(&policy(), 31_999), NO_PROBE);
    let probe = breaker.begin(&policy(), 32_000);
    assert_ne!(probe, NO_PROBE);
}

#[test]
fn a_call_that_is_made_all_the_same_is_a_probe() {
    let mut breaker = opened(0);
    let probe = breaker.begin(&policy(), 500);
    assert_ne!(probe, NO_PROBE);
    assert_eq!(breaker.begin(&policy(), 501), NO_PROBE, "one is enough");
    breaker.on_success(600, probe);
    assert_eq!(breaker.state(&policy(), 600), State::Closed);
}

#[test]
fn a_probe_without_news_lets_the_next_one_go() {
    let mut breaker = opened(0);
    let probe = breaker.begin(&policy(), 2_000);
    assert_ne!(probe, NO_PROBE);
    breaker.on_nothing(probe);
    let probe = breaker.begin(&policy(), 2_001);
    assert_ne!(probe, NO_PROBE);
}

#[test]
fn calls_from_before_it_opened_say_nothing() {
    let mut breaker = opened(0);
    breaker.on_success(100, NO_PROBE);
    assert_eq!(breaker.state(&policy(), 100), State::Open { until_ms: 2_000 });
    for late in 100..200 {
        breaker.on_fault(&policy(), None, late, NO_PROBE);
    }
    assert_eq!(breaker.state(&policy(), 200), State::Open { until_ms: 2_000 });
    // But what the provider asks for is kept.
    breaker.on_fault(&policy(), Some(7_000), 300, NO_PROBE);
    assert_eq!(breaker.state(&policy(), 300), State::Open { until_ms: 7_300 });
}

#[test]
fn a_probe_that_is_late_does_not_speak_for_the_next() {
    let mut breaker = opened(0);
    let first = breaker.begin(&policy(), 2_000);
    let second = breaker.begin(&policy(), 32_000);
    assert_ne!(first, second);
    breaker.on_nothing(first);
    assert_eq!(breaker.begin(&policy(), 33_000), NO_PROBE, "the second is under way");
    breaker.on_fault(&policy(), None, 33_000, first);
    breaker.on_success(33_000, first);
    assert!(matches!(breaker.state(&policy(), 33_000), State::HalfOpen { .. }));
    breaker.on_success(33_001, second);
    assert_eq!(breaker.state(&policy(), 33_001), State::Closed);
}

#[test]
fn half_of_the_calls_failing_open_it_though_never_three_in_a_row() {
    let mut breaker = Breaker::default();
    for call in 0..19 {
        breaker.on_fault(&policy(), None, call, NO_PROBE);
        breaker.on_success(call, NO_PROBE);
        if breaker.state(&policy(), call) != State::Closed {
            assert!(call >= 9, "opened after {call} pairs");
            return;
        }
    }
    panic!("never opened");
}

/// A target that fails one call in five at 100 calls a second for ten minutes stays in use.
#[test]
fn a_fifth_of_faults_never_opens_it_by_chance() {
    for seed in 1..=5 {
        let (mut breaker, mut random) = (Breaker::default(), Seeded(seed));
        // The first calls have no company yet.
        (0..20).for_each(|now| breaker.on_success(now, NO_PROBE));
        for now in (20..600_000_u64).step_by(10) {
            if random.next().is_multiple_of(5) {
                breaker.on_fault(&policy(), None, now, NO_PROBE);
            } else {
                breaker.on_success(now, NO_PROBE);
            }
            assert_eq!(breaker.state(&policy(), now), State::Closed, "seed {seed} at {now} ms");
        }
    }
}

#[test]
fn a_sudden_outage_under_traffic_is_seen_after_ten_calls() {
    let mut breaker = Breaker::default();
    (0..1_000).for_each(|now| breaker.on_success(now, NO_PROBE));
    (0..9).for_each(|_| breaker.on_fault(&policy(), None, 1_000, NO_PROBE));
    assert_eq!(breaker.state(&policy(), 1_000), State::Closed);
    breaker.on_fault(&policy(), None, 1_000, NO_PROBE);
    assert!(matches!(breaker.state(&policy(), 1_000), State::Open { .. }));
}

#[test]
fn faults_of_ten_seconds_ago_are_forgotten() {
    let mut calm = Breaker::default();
    (0..9).for_each(|now| {
        calm.on_fault(&policy(), None, now, NO_PROBE);
        calm.on_success(now, NO_PROBE);
    });
    assert_eq!(calm.window.counts(9), (18, 9));
    (0..30).for_each(|call| calm.on_success(11_000 + call, NO_PROBE));
    assert_eq!(calm.window.counts(11_100), (30, 0));
}

proptest! {
    /// Whatever happens: at most one probe per opening, never a call let through while it is open.
    #[test]
    fn never_two_probes_at_once(
        steps in proptest::collection::vec((0_u64..4_000, 0_u8..4), 1..300),
    ) {
        let (mut breaker, mut now): (_, u64) = (Breaker::default(), 0);
        let mut running: Option<(u64, u64)> = None;
        for (pause, what) in steps {
            now += pause;
            let number = breaker.begin(&policy(), now);
            if number != NO_PROBE {
                prop_assert!(running.is_none_or(|(_, since)| now - since >= policy().probe_lease_ms));
                running = Some((number, now));
            }
            let mut told = || running.take().map_or(NO_PROBE, |(number, _)| number);
            match what {
                0 => breaker.on_success(now, told()),
                1 => breaker.on_fault(&policy(), None, now, told()),
                2 => breaker.on_nothing(told()),
                _ => {}
            }
            if let State::Open { until_ms } = breaker.state(&policy(), now) {
                prop_assert!(until_ms - now <= policy().open.max_ms);
            }
        }
    }
}

#[test]
fn a_provider_is_open_only_when_its_targets_agree() {
    let (open, later) = (State::Open { until_ms: 5 }, State::Open { until_ms: 9 });
    let (half, probed) =
        (State::HalfOpen { probe_until_ms: None }, State::HalfOpen { probe_until_ms: Some(7) });
    assert_eq!(of_all([]), State::Closed);
    assert_eq!(of_all([open, State::Closed, later]), State::Closed);
    assert_eq!(of_all([later, open]), open);
    assert_eq!(of_all([later, probed, open]), probed);
    assert_eq!(of_all([probed, half]), half);
}
