use super::*;
use crate::seeded::Seeded;
use proptest::prelude::*;

fn policy() -> Policy {
    Policy::STANDARD
}

fn opened(now: u64) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..3 {
        breaker.on_fault(&policy(), None, now, false);
    }
    breaker
}

#[test]
fn three_in_a_row_open_it_and_a_success_between_starts_anew() {
    let mut breaker = Breaker::default();
    breaker.on_fault(&policy(), None, 0, false);
    breaker.on_fault(&policy(), None, 1, false);
    breaker.on_success(2, false);
    breaker.on_fault(&policy(), None, 3, false);
    breaker.on_fault(&policy(), None, 4, false);
    assert_eq!(breaker.state(&policy(), 5), State::Closed);
    breaker.on_fault(&policy(), None, 5, false);
    assert_eq!(breaker.state(&policy(), 5), State::Open { until_ms: 2_005 });
}

#[test]
fn one_probe_at_a_time_and_its_success_closes() {
    let mut breaker = opened(0);
    assert_eq!(breaker.state(&policy(), 1_999), State::Open { until_ms: 2_000 });
    assert!(breaker.begin(&policy(), 2_000));
    assert_eq!(breaker.state(&policy(), 2_001), State::HalfOpen { probe_until_ms: Some(32_000) });
    assert!(!breaker.begin(&policy(), 2_001), "one is under way");
    breaker.on_success(2_500, true);
    assert_eq!(breaker.state(&policy(), 2_500), State::Closed);
    assert!(!breaker.begin(&policy(), 2_501), "nothing to probe");
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_its_limit() {
    let (mut breaker, mut now) = (opened(0), 0);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let State::Open { until_ms } = breaker.state(&policy(), now) else { panic!("not open") };
        waits.push(until_ms - now);
        now = until_ms;
        assert!(breaker.begin(&policy(), now));
        breaker.on_fault(&policy(), None, now, true);
    }
    assert_eq!(waits, [2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
}

#[test]
fn a_probe_that_never_ends_does_not_keep_the_target_out_for_ever() {
    let mut breaker = opened(0);
    assert!(breaker.begin(&policy(), 2_000));
    assert!(!breaker.begin(&policy(), 31_999));
    assert!(breaker.begin(&policy(), 32_000));
}

#[test]
fn a_call_that_is_made_all_the_same_is_a_probe() {
    let mut breaker = opened(0);
    assert!(breaker.begin(&policy(), 500));
    assert!(!breaker.begin(&policy(), 501), "one is enough");
    breaker.on_success(600, true);
    assert_eq!(breaker.state(&policy(), 600), State::Closed);
}

#[test]
fn a_probe_without_news_lets_the_next_one_go() {
    let mut breaker = opened(0);
    assert!(breaker.begin(&policy(), 2_000));
    breaker.on_nothing(true);
    assert!(breaker.begin(&policy(), 2_001));
}

#[test]
fn calls_from_before_it_opened_say_nothing() {
    let mut breaker = opened(0);
    breaker.on_success(100, false);
    assert_eq!(breaker.state(&policy(), 100), State::Open { until_ms: 2_000 });
    for late in 100..200 {
        breaker.on_fault(&policy(), None, late, false);
    }
    assert_eq!(breaker.state(&policy(), 200), State::Open { until_ms: 2_000 });
    // But what the provider asks for is kept.
    breaker.on_fault(&policy(), Some(7_000), 300, false);
    assert_eq!(breaker.state(&policy(), 300), State::Open { until_ms: 7_300 });
}

#[test]
fn half_of_the_calls_failing_open_it_though_never_three_in_a_row() {
    let mut breaker = Breaker::default();
    for call in 0..19 {
        breaker.on_fault(&policy(), None, call, false);
        breaker.on_success(call, false);
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
        (0..20).for_each(|now| breaker.on_success(now, false));
        for now in (20..600_000_u64).step_by(10) {
            if random.next().is_multiple_of(5) {
                breaker.on_fault(&policy(), None, now, false);
            } else {
                breaker.on_success(now, false);
            }
            assert_eq!(breaker.state(&policy(), now), State::Closed, "seed {seed} at {now} ms");
        }
    }
}

#[test]
fn a_sudden_outage_under_traffic_is_seen_after_ten_calls() {
    let mut breaker = Breaker::default();
    (0..1_000).for_each(|now| breaker.on_success(now, false));
    (0..9).for_each(|_| breaker.on_fault(&policy(), None, 1_000, false));
    assert_eq!(breaker.state(&policy(), 1_000), State::Closed);
    breaker.on_fault(&policy(), None, 1_000, false);
    assert!(matches!(breaker.state(&policy(), 1_000), State::Open { .. }));
}

#[test]
fn faults_of_ten_seconds_ago_are_forgotten() {
    let mut calm = Breaker::default();
    (0..9).for_each(|now| {
        calm.on_fault(&policy(), None, now, false);
        calm.on_success(now, false);
    });
    assert_eq!(calm.window.counts(9), (18, 9));
    (0..30).for_each(|call| calm.on_success(11_000 + call, false));
    assert_eq!(calm.window.counts(11_100), (30, 0));
}

proptest! {
    /// Whatever happens: at most one probe per opening, never a call let through while it is open.
    #[test]
    fn never_two_probes_at_once(
        steps in proptest::collection::vec((0_u64..4_000, 0_u8..4), 1..300),
    ) {
        let (mut breaker, mut now, mut probe): (_, u64, Option<u64>) = (Breaker::default(), 0, None);
        for (pause, what) in steps {
            now += pause;
            let began = breaker.begin(&policy(), now);
            if began {
                prop_assert!(probe.is_none_or(|since| now - since >= policy().probe_lease_ms));
                probe = Some(now);
            }
            match what {
                0 => { breaker.on_success(now, probe.take().is_some()); }
                1 => { breaker.on_fault(&policy(), None, now, probe.take().is_some()); }
                2 => { breaker.on_nothing(probe.take().is_some()); }
                _ => {}
            }
            if let State::Open { until_ms } = breaker.state(&policy(), now) {
                prop_assert!(until_ms - now <= policy().open.max_ms);
            }
        }
    }
}
