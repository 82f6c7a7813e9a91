use super::*;
use crate::balance::{Candidate, pick};
use crate::seeded::Seeded;

const POLICY: Policy = Policy {
    rate_limited: Ladder { first_ms: 500, max_ms: 30_000 },
    retry_after_cap_ms: 300_000,
    refused: Ladder { first_ms: 60_000, max_ms: 600_000 },
    quota: Ladder { first_ms: 300_000, max_ms: 3_600_000 },
    faults: breaker::Policy::STANDARD,
};

/// A fault of a call that may have been a probe.
fn fault(health: &mut HealthState, class: FaultClass, retry_after_ms: Option<u64>, now: u64) {
    let call = health.begin(&POLICY, now);
    health.on_fault(&POLICY, Noted { class, retry_after_ms, call }, now);
}

fn success(health: &mut HealthState, now: u64) {
    let call = health.begin(&POLICY, now);
    health.on_success(now, call);
}

/// A call that is no probe.
fn call(began_ms: u64) -> Call {
    Call { began_ms, probe: breaker::NO_PROBE }
}

/// Faults one after another, each as soon as the cool-down of the last is over; the cool-downs.
fn ladder(class: FaultClass, times: usize) -> Vec<u64> {
    let (mut health, mut now) = (HealthState::default(), 1_000);
    let mut waits = Vec::new();
    for _ in 0..times {
        fault(&mut health, class, None, now);
        let until = end(&health, now);
        waits.push(until - now);
        now = until;
    }
    waits
}

fn end(health: &HealthState, now: u64) -> u64 {
    match health.verdict(&POLICY, now) {
        Availability::Ready => now,
        Availability::Cooling { until_ms, .. } => until_ms,
    }
}

#[test]
fn the_default_policy_is_the_documented_one() {
    assert_eq!(Policy::STANDARD, POLICY);
}

#[test]
fn each_cause_doubles_up_to_its_own_limit() {
    assert_eq!(ladder(FaultClass::RateLimited, 8), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    for class in [FaultClass::Authentication, FaultClass::Permission] {
        assert_eq!(ladder(class, 6), [60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
    }
    assert_eq!(ladder(FaultClass::Quota, 5), [300_000, 600_000, 1_200_000, 2_400_000, 3_600_000]);
    for class in [FaultClass::ServerError, FaultClass::ConnectFailed, FaultClass::FirstByteTimeout] {
        assert_eq!(ladder(class, 8), [0, 0, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    }
    assert_eq!(ladder(FaultClass::RateLimited, 200)[199], 30_000);
}

#[test]
fn errors_of_the_request_never_cool_the_target() {
    for class in FaultClass::ALL.into_iter().filter(|&class| reason(class).is_none()) {
        assert_eq!(ladder(class, 50), [0; 50], "{}", class.label());
    }
    let counted = FaultClass::ALL.into_iter().filter(|&class| reason(class).is_some()).count();
    assert_eq!(counted, 12);
}

#[test]
fn retry_after_is_kept_to_the_millisecond_and_capped() {
    let mut health = HealthState::default();
    fault(&mut health, FaultClass::RateLimited, Some(2_000), 10);
    assert_eq!(
        health.verdict(&POLICY, 2_009),
        Availability::Cooling { until_ms: 2_010, why: CoolReason::RateLimited }
    );
    assert_eq!(health.verdict(&POLICY, 2_010), Availability::Ready);
    fault(&mut health, FaultClass::RateLimited, Some(86_400_000), 5_000);
    assert_eq!(end(&health, 5_000), 305_000);
}

#[test]
fn a_retry_after_of_zero_cools_like_none() {
    let mut health = HealthState::default();
    fault(&mut health, FaultClass::RateLimited, Some(0), 0);
    assert_eq!(end(&health, 0), 500);
}

#[test]
fn success_resets_the_ladders() {
    let mut health = HealthState::default();
    for now in [0, 1] {
        fault(&mut health, FaultClass::ServerError, None, now);
    }
    success(&mut health, 2);
    fault(&mut health, FaultClass::ServerError, None, 3);
    assert_eq!(health.verdict(&POLICY, 3), Availability::Ready);
    fault(&mut health, FaultClass::RateLimited, None, 4);
    success(&mut health, 504);
    fault(&mut health, FaultClass::RateLimited, None, 505);
    assert_eq!(end(&health, 505), 1_005);
}

#[test]
fn an_old_call_that_succeeds_does_not_cut_a_retry_after_short() {
    let mut health = HealthState::default();
    fault(&mut health, FaultClass::RateLimited, Some(5_000), 0);
    success(&mut health, 100);
    assert_eq!(end(&health, 100), 5_000);
    // Nor an open circuit: what began before the outage says nothing of now. A call made since does.
    let mut health = HealthState::default();
    for _ in 0..3 {
        fault(&mut health, FaultClass::ServerError, None, 0);
    }
    health.on_success(1, call(0));
    assert_eq!(end(&health, 1), 2_000);
    success(&mut health, 1);
    assert_eq!(health.verdict(&POLICY, 1), Availability::Ready);
}

#[test]
fn a_hundred_parallel_failures_are_one_step_of_the_ladder() {
    for class in [FaultClass::ServerError, FaultClass::RateLimited, FaultClass::Authentication] {
        let mut health = HealthState::default();
        for late in 0..100 {
            let late_news = Noted { class, retry_after_ms: None, call: call(0) };
            health.on_fault(&POLICY, late_news, 50 + late);
        }
        let first = match class {
            FaultClass::ServerError => POLICY.faults.open,
            FaultClass::RateLimited => POLICY.rate_limited,
            _ => POLICY.refused,
        }
        .first_ms;
        let begun = if class == FaultClass::ServerError { 52 } else { 50 };
        assert_eq!(end(&health, 150), begun + first, "{}", class.label());
    }
}

#[test]
fn one_401_rested_a_key_that_other_calls_were_accepted_with_since() {
    let refused =
        |began_ms| Noted { class: FaultClass::Authentication, retry_after_ms: None, call: call(began_ms) };
    let mut health = HealthState::default();
    // A call that began later was accepted: the 401 was not about the key.
    health.on_success(50, call(20));
    health.on_fault(&POLICY, refused(10), 60);
    assert_eq!(health.verdict(&POLICY, 60), Availability::Ready);
    // One that began before, and lasted, says nothing of it.
    health.on_success(70, call(5));
    health.on_fault(&POLICY, refused(30), 80);
    assert_eq!(end(&health, 80), 60_080);
    health.on_success(90, call(29));
    assert_eq!(end(&health, 90), 60_080);
    // A later one that is accepted ends the rest at once, and the next refusal is the first of its kind.
    health.on_success(100, call(31));
    assert_eq!(health.verdict(&POLICY, 100), Availability::Ready);
    health.on_fault(&POLICY, refused(110), 120);
    assert_eq!(end(&health, 120), 60_120);
}

#[test]
fn a_key_that_was_withdrawn_rests_though_streams_that_it_opened_go_on_to_end_well() {
    let mut health = HealthState::default();
    let mut refusals = 0;
    // A stream of a minute ends every 100 ms; the key is withdrawn at 60 s, and each new call takes 50 ms to fail.
    for now in (0..120_000).step_by(100) {
        if now >= 60_000 && health.verdict(&POLICY, now) == Availability::Ready {
            refusals += 1;
            let noted = Noted { class: FaultClass::Authentication, retry_after_ms: None, call: call(now) };
            health.on_fault(&POLICY, noted, now + 50);
        }
        health.on_success(now + 60, call(now.saturating_sub(60_000)));
    }
    assert_eq!(refusals, 1);
}

#[test]
fn a_bill_that_was_paid_is_noticed_by_the_first_call_that_is_answered() {
    let mut health = HealthState::default();
    fault(&mut health, FaultClass::Quota, None, 0);
    success(&mut health, 1_000);
    assert_eq!(health.verdict(&POLICY, 1_000), Availability::Ready);
}

/// A circuit that was open for longer hid a `Retry-After`, so that the key was asked to see whether it was well again.
#[test]
fn a_limit_that_was_passed_is_known_whatever_else_lasts_longer() {
    let mut health = HealthState::default();
    assert_eq!(health.limited_until_ms(), 0);
    fault(&mut health, FaultClass::RateLimited, Some(3_000), 1_000);
    fault(&mut health, FaultClass::Quota, None, 1_100);
    let verdict = health.verdict(&POLICY, 2_000);
    assert!(matches!(verdict, Availability::Cooling { why: CoolReason::Quota, .. }), "{verdict:?}");
    assert_eq!(health.limited_until_ms(), 4_000);
    fault(&mut health, FaultClass::RateLimited, Some(1_000), 1_200);
    assert_eq!(health.limited_until_ms(), 4_000, "a shorter one does not take a longer one back");
    health.told(&POLICY, None, CoolReason::RateLimited, 1_300);
    assert_eq!(health.limited_until_ms(), 0, "another gateway has seen that it is over");
}

#[test]
fn of_overlapping_causes_the_longest_is_in_force() {
    let mut health = HealthState::default();
    fault(&mut health, FaultClass::Quota, None, 0);
    fault(&mut health, FaultClass::RateLimited, Some(1_000), 10);
    assert_eq!(
        health.verdict(&POLICY, 20),
        Availability::Cooling { until_ms: 300_000, why: CoolReason::Quota }
    );
    fault(&mut health, FaultClass::RateLimited, Some(300_000), 20);
    assert_eq!(
        health.verdict(&POLICY, 20),
        Availability::Cooling { until_ms: 300_020, why: CoolReason::RateLimited }
    );
}

#[test]
fn an_overloaded_target_that_names_a_longer_wait_gets_it_once_it_cools() {
    let mut health = HealthState::default();
    for _ in 0..3 {
        fault(&mut health, FaultClass::Overloaded, Some(7_000), 0);
    }
    assert_eq!(end(&health, 0), 7_000);
}

/// A minute of outage, one request each 4 s with three attempts: few probes, back within 30 s.
#[test]
fn an_outage_costs_few_attempts_and_recovery_is_found_within_30_s() {
    let mut health = HealthState::default();
    let (mut attempts, mut back) = (0, None);
    for now in (0..120_000).step_by(4_000) {
        let up = now >= 60_000;
        for _ in 0..3 {
            if health.verdict(&POLICY, now) != Availability::Ready {
                break;
            }
            if up {
                success(&mut health, now);
                back = back.or(Some(now));
                break;
            }
            attempts += 1;
            fault(&mut health, FaultClass::Overloaded, None, now);
        }
    }
    // Three that open it at 0 s, then one each at 4, 8, 16, 32 and 48 s.
    assert_eq!(attempts, 8);
    assert!(back.unwrap() < 90_000, "served again at {back:?}");
}

/// 1,000 callers over four keys for ten minutes of fake time. Key 0 answers 429 with a Retry-After to
/// one call in ten, key 3 answers 401 to all; keys 1 and 2 are well.
#[test]
fn a_thousand_callers_never_touch_a_cooling_key_and_the_others_keep_their_shares() {
    let weights = [4_u32, 2, 1, 1];
    for seed in 1..=5 {
        let mut random = Seeded(seed);
        let mut keys: Vec<HealthState> = vec![HealthState::default(); 4];
        let mut forbidden_until = 0;
        let (mut picks, mut while_out) = ([0_u32; 4], [0_u32; 4]);
        let mut due: Vec<u64> = (0..1_000).map(|_| random.next() % 1_000).collect();
        for now in 0..600_000_u64 {
            let caller = (now % 1_000) as usize;
            if due[caller] > now {
                continue;
            }
            due[caller] = now + 500 + random.next() % 1_000;
            let candidates: Vec<Candidate> = weights
                .iter()
                .zip(&keys)
                .map(|(&weight, key)| Candidate {
                    weight: weight.into(),
                    eligible: key.verdict(&POLICY, now) == Availability::Ready,
                })
                .collect();
            let key = pick(&candidates, random.next()).unwrap();
            picks[key] += 1;
            if now < forbidden_until && !candidates[3].eligible {
                while_out[key] += 1;
            }
            match key {
                0 if random.next().is_multiple_of(10) => {
                    assert!(now >= forbidden_until, "picked {} ms early", forbidden_until - now);
                    let hint = 50 + random.next() % 2_000;
                    forbidden_until = now + hint;
                    fault(&mut keys[0], FaultClass::RateLimited, Some(hint), now);
                }
                0 => {
                    assert!(now >= forbidden_until, "picked {} ms early", forbidden_until - now);
                    success(&mut keys[0], now);
                }
                3 => fault(&mut keys[3], FaultClass::Authentication, None, now),
                _ => success(&mut keys[key], now),
            }
        }
        // 0 s, 60, 180 and 420 s: 60 + 120 + 240 + 480.
        assert_eq!(picks[3], 4, "seed {seed}");
        assert_eq!(while_out[0], 0);
        let (two, one) = (f64::from(while_out[1]), f64::from(while_out[2]));
        let total = two + one;
        assert!(total > 50_000.0, "seed {seed}: the simulation hardly ran: {total}");
        // Chi-square with one degree of freedom: 15.1 is exceeded by chance once in 10,000.
        let (a, b) = (total * 2.0 / 3.0, total / 3.0);
        let chi = (two - a).powi(2) / a + (one - b).powi(2) / b;
        assert!(chi < 15.1, "seed {seed}: {two} and {one}");
    }
}

#[test]
fn what_another_gateway_saw_rests_it_here_and_what_it_saw_end_ends_here() {
    let mut health = HealthState::default();
    let ready = |health: &HealthState, now| health.verdict(&POLICY, now) == Availability::Ready;
    health.told(&POLICY, Some(9_000), CoolReason::RateLimited, 1_000);
    assert_eq!(end(&health, 1_000), 9_000);
    health.told(&POLICY, Some(4_000), CoolReason::RateLimited, 1_000);
    assert_eq!(end(&health, 1_000), 9_000, "the one that ends last is in force");
    health.told(&POLICY, None, CoolReason::Refused, 1_000);
    assert!(!ready(&health, 1_000), "another cause ended");
    health.told(&POLICY, None, CoolReason::RateLimited, 1_000);
    assert!(ready(&health, 1_000));

    health.told(&POLICY, Some(3_000), CoolReason::Faults, 1_000);
    assert_eq!(health.breaker(&POLICY, 1_000), State::Open { until_ms: 3_000 });
    health.told(&POLICY, None, CoolReason::Faults, 1_500);
    assert_eq!(health.breaker(&POLICY, 1_500), State::Closed);
}

#[test]
fn a_probe_that_is_under_way_here_decides_whatever_others_say() {
    let mut health = HealthState::default();
    health.told(&POLICY, Some(3_000), CoolReason::Faults, 1_000);
    let probe = health.begin(&POLICY, 3_000);
    assert_ne!(probe.probe, breaker::NO_PROBE);
    for until in [None, Some(9_000)] {
        health.told(&POLICY, until, CoolReason::Faults, 3_100);
        assert!(matches!(health.breaker(&POLICY, 3_100), State::HalfOpen { probe_until_ms: Some(_) }));
    }
    health.on_success(3_200, probe);
    assert_eq!(health.breaker(&POLICY, 3_200), State::Closed);
}
