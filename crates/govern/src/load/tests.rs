use super::*;
use crate::balance::{Outlook, Strategy, choose};
use crate::seeded::Seeded;

#[test]
fn streams_and_whole_answers_are_kept_apart() {
    let mut load = Load::default();
    load.first_token(200, 0);
    load.whole(9_000, 0);
    assert_eq!(load.latency_us(true, 0), Some(200));
    assert_eq!(load.latency_us(false, 0), Some(9_000));
}

#[test]
fn the_latest_value_counts_a_fifth_and_silence_fades() {
    let mut load = Load::default();
    load.whole(1_000, 0);
    load.whole(6_000, 10);
    assert_eq!(load.latency_us(false, 10), Some(2_000));
    assert_eq!(load.latency_us(false, 15_009), Some(2_000));
    assert_eq!(load.latency_us(false, 15_010), None);
    load.whole(7_000, 20_000);
    assert_eq!(load.latency_us(false, 20_000), Some(7_000));
}

#[test]
fn faults_are_a_share_of_recent_calls() {
    let mut load = Load::default();
    load.outcome(true, 0);
    assert_eq!(load.faults_permille(0), 1_000);
    load.outcome(false, 1);
    assert_eq!(load.faults_permille(1), 800);
    assert_eq!(load.faults_permille(20_000), 0);
}

#[test]
fn calls_under_way_never_go_below_none() {
    let mut load = Load::default();
    load.end();
    load.begin();
    assert_eq!(load.in_flight(), 1);
}

/// Five keys at 20 calls a second. From 60 s to 180 s key 0 takes ten times as long. Its share of the calls by
/// periods of 15 s.
fn shares(strategy: Strategy, seed: u64) -> Vec<f64> {
    let mut random = Seeded(seed);
    let mut loads: [Load; 5] = std::array::from_fn(|_| Load::default());
    let mut under_way: Vec<(u64, usize, u64)> = Vec::new();
    let mut counts = [[0_u32; 2]; 20];
    for now in 0..300_000_u64 {
        under_way.retain(|&(due, key, latency)| {
            if due == now {
                loads[key].end();
                loads[key].whole(latency * 1_000, now);
                loads[key].outcome(false, now);
            }
            due != now
        });
        if random.next() % 1_000 >= 20 {
            continue;
        }
        let outlook = |load: &Load| Outlook {
            latency_us: load.latency_us(false, now),
            faults: load.faults_permille(now),
            in_flight: load.in_flight(),
            ..Outlook::of(1)
        };
        let key = choose(strategy, loads.iter().map(outlook), random.next()).unwrap();
        let slow = key == 0 && (60_000..180_000).contains(&now);
        let latency = (300 + random.next() % 400) * if slow { 10 } else { 1 };
        loads[key].begin();
        under_way.push((now + latency, key, latency));
        let count = &mut counts[usize::try_from(now / 15_000).unwrap()];
        count[0] += u32::from(key == 0);
        count[1] += 1;
    }
    counts.iter().map(|[own, all]| f64::from(*own) / f64::from(*all)).collect()
}

#[test]
fn a_slow_key_loses_its_traffic_within_seconds_and_wins_it_back() {
    for seed in 1..=5 {
        let shares = shares(Strategy::Adaptive, seed);
        let mean = |from: usize, to: usize| shares[from..to].iter().sum::<f64>() / (to - from) as f64;
        println!("seed {seed}: {shares:.2?}");
        // A fair share is 20 %.
        assert!((0.15..0.25).contains(&mean(0, 4)), "seed {seed}: {shares:?}");
        // The first 15 s hold the time it takes to find out.
        assert!(shares[4] < 0.12, "seed {seed}: {shares:?}");
        assert!(mean(5, 12) < 0.06, "seed {seed}: {shares:?}");
        assert!(mean(14, 20) > 0.15, "seed {seed}: {shares:?}");
    }
}

#[test]
fn by_weights_alone_a_slow_key_keeps_its_share() {
    let shares = shares(Strategy::Weighted, 1);
    assert!(shares.iter().all(|share| *share > 0.12), "{shares:?}");
}

#[test]
fn the_other_strategies_leave_a_slow_key_too() {
    for strategy in [Strategy::LeastLatency, Strategy::LeastInflight] {
        let shares = shares(strategy, 1);
        let slow = shares[5..12].iter().sum::<f64>() / 7.0;
        assert!(slow < 0.10, "{strategy:?}: {shares:?}");
    }
}

#[test]
fn a_call_that_nobody_answered_took_at_least_as_long_as_was_waited() {
    let mut load = Load::default();
    load.waited(2_000, 0);
    assert_eq!((load.latency_us(true, 0), load.latency_us(false, 0)), (Some(2_000), Some(2_000)));
    load.waited(10, 1);
    assert_eq!(load.latency_us(false, 1), Some(2_000));
}
