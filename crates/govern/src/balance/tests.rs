use super::Strategy;
use super::*;
use crate::seeded::Seeded;
use proptest::prelude::*;

fn keys(weights: &[u32]) -> Vec<Candidate> {
    weights.iter().map(|&weight| Candidate { weight: weight.into(), eligible: true }).collect()
}

/// How often each candidate is picked over every residue of `sum`, once each.
fn over_all_residues(candidates: &[Candidate], sum: u64) -> Vec<u64> {
    let mut counts = vec![0; candidates.len()];
    for residue in 0..sum {
        counts[pick(candidates, residue).unwrap()] += 1;
    }
    counts
}

#[test]
fn two_one_one_is_exactly_50_25_25() {
    assert_eq!(over_all_residues(&keys(&[2, 1, 1]), 4), [2, 1, 1]);
    assert_eq!(over_all_residues(&keys(&[2, 1, 1]), 400), [200, 100, 100]);
}

#[test]
fn every_small_set_of_weights_gets_exactly_its_shares() {
    for a in 0..6_u32 {
        for b in 0..6_u32 {
            for c in 0..6_u32 {
                let sum = u64::from(a + b + c);
                let shares = over_all_residues(&keys(&[a, b, c]), sum.max(3));
                let wanted = if sum == 0 { [1, 1, 1] } else { [a, b, c].map(u64::from) };
                if sum == 0 || sum >= 3 {
                    assert_eq!(shares, wanted, "weights {a}:{b}:{c}");
                }
            }
        }
    }
}

#[test]
fn an_ineligible_key_is_skipped_and_the_rest_keep_their_proportions() {
    let mut candidates = keys(&[2, 7, 1, 3]);
    candidates[1].eligible = false;
    assert_eq!(over_all_residues(&candidates, 6), [2, 0, 1, 3]);
}

#[test]
fn zero_weights_are_uniform_only_among_themselves() {
    let mut candidates = keys(&[0, 4, 0]);
    assert_eq!(over_all_residues(&candidates, 4), [0, 4, 0]);
    candidates[1].eligible = false;
    assert_eq!(over_all_residues(&candidates, 2), [1, 0, 1]);
}

#[test]
fn nobody_eligible_is_none() {
    assert_eq!(pick(&[], 7), None);
    assert_eq!(pick(&[Candidate { weight: 5, eligible: false }], 7), None);
}

#[test]
fn the_largest_weights_do_not_overflow() {
    let candidates = keys(&[u32::MAX; 8]);
    for random in [0, 1, u64::MAX / 2, u64::MAX] {
        assert!(pick(&candidates, random).is_some());
    }
}

#[test]
fn random_traffic_stays_within_the_chi_square_bound() {
    let weights = [50_u32, 25, 12, 6, 4, 2, 1, 0];
    let candidates = keys(&weights);
    let (rounds, sum) = (200_000_u32, 100.0);
    for seed in 1..=10 {
        let mut random = Seeded(seed);
        let mut counts = [0_u32; 8];
        for _ in 0..rounds {
            counts[pick(&candidates, random.next()).unwrap()] += 1;
        }
        assert_eq!(counts[7], 0);
        let chi: f64 = (0..7)
            .map(|i| {
                let expected = f64::from(rounds) * f64::from(weights[i]) / sum;
                (f64::from(counts[i]) - expected).powi(2) / expected
            })
            .sum();
        // 6 degrees of freedom: 27.9 is exceeded by chance once in 10,000.
        assert!(chi < 27.9, "seed {seed}: chi-square {chi}, counts {counts:?}");
    }
}

proptest! {
    #[test]
    fn the_pick_is_eligible_and_weighted_if_any_is(
        set in prop::collection::vec((0_u32..5, any::<bool>()), 0..12),
        random in any::<u64>(),
    ) {
        let candidates: Vec<_> =
            set.iter().map(|&(weight, eligible)| Candidate { weight: weight.into(), eligible }).collect();
        let eligible = || candidates.iter().filter(|candidate| candidate.eligible);
        match pick(&candidates, random) {
            None => prop_assert_eq!(eligible().count(), 0),
            Some(index) => {
                prop_assert!(candidates[index].eligible);
                prop_assert!(candidates[index].weight > 0 || eligible().all(|other| other.weight == 0));
            }
        }
    }
}

/// A measurement, not a check: `cargo test -p govern --release -- --ignored --nocapture pick_time`.
#[test]
#[ignore = "prints a measurement"]
fn pick_time_for_eight_keys() {
    let candidates = keys(&[2, 1, 1, 4, 3, 0, 9, 5]);
    let (rounds, mut random, mut sum) = (20_000_000_u64, Seeded(1), 0);
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        sum += pick(std::hint::black_box(&candidates), random.next()).unwrap();
    }
    let nanos = start.elapsed().as_nanos() / u128::from(rounds);
    println!("pick over 8 keys: {nanos} ns (sum {sum})");
}

fn outlooks(weights: &[u32]) -> Vec<(Outlook, u64)> {
    (1..).zip(weights).map(|(identity, &weight)| (Outlook::of(weight), mix(identity))).collect()
}

#[test]
fn sessions_are_shared_by_weight_and_stay_where_they_are() {
    let all = outlooks(&[2, 1, 1]);
    let mut counts = [0_u32; 3];
    for session in 0..40_000 {
        let home = affine(all.iter().copied(), mix(session)).unwrap();
        assert_eq!(affine(all.iter().copied(), mix(session)), Some(home));
        counts[home] += 1;
        // When another target goes, nobody else moves.
        let mut fewer = all.clone();
        let gone = (home + 1) % 3;
        fewer[gone].0.candidate.eligible = false;
        assert_eq!(affine(fewer.iter().copied(), mix(session)), Some(home));
        // When its own goes, it has another, and it comes back.
        fewer = all.clone();
        fewer[home].0.headroom = 0;
        assert_ne!(affine(fewer.iter().copied(), mix(session)), Some(home));
    }
    let share = |nth: usize| f64::from(counts[nth]) / 40_000.0;
    assert!((share(0) - 0.5).abs() < 0.01 && (share(1) - 0.25).abs() < 0.01, "{counts:?}");
}

#[test]
fn sessions_of_those_who_leave_are_shared_by_weight_among_the_others() {
    let all = outlooks(&[1, 3, 1]);
    let mut counts = [0_u32; 3];
    for session in 0..60_000 {
        if affine(all.iter().copied(), mix(session)) != Some(0) {
            continue;
        }
        let mut fewer = all.clone();
        fewer[0].0.candidate.eligible = false;
        counts[affine(fewer.iter().copied(), mix(session)).unwrap()] += 1;
    }
    let share = f64::from(counts[1]) / f64::from(counts[1] + counts[2]);
    assert!((share - 0.75).abs() < 0.02, "{counts:?}");
}

#[test]
fn large_weights_were_cut_to_one_size() {
    let all = [Outlook::of(10_000_000), Outlook::of(4_300_000)];
    let sum = 14_300_000_u64 * 1_000;
    let first = (0..1_430)
        .filter(|nth| choose(super::Strategy::Weighted, all.into_iter(), nth * (sum / 1_430)) == Some(0));
    assert_eq!(first.count(), 1_000);
}

#[test]
fn the_fastest_and_the_idlest_are_eased_off_near_a_limit_too() {
    let near = Outlook { headroom: 20, latency_us: Some(100), in_flight: 0, ..Outlook::of(1) };
    let far = Outlook { headroom: FULL, latency_us: Some(300), in_flight: 3, ..Outlook::of(1) };
    for strategy in [super::Strategy::LeastLatency, super::Strategy::LeastInflight] {
        // The upper half says whether this is one of the calls that go by weight.
        assert_eq!(choose(strategy, [near, far].into_iter(), 1 << 32), Some(1), "{strategy:?}");
    }
}

#[test]
fn a_key_that_hangs_is_not_the_fastest() {
    let hangs = Outlook { latency_us: None, in_flight: 1, ..Outlook::of(1) };
    let well = Outlook { latency_us: Some(20_000), in_flight: 5, ..Outlook::of(1) };
    assert_eq!(choose(super::Strategy::LeastLatency, [hangs, well].into_iter(), 1 << 32), Some(1));
    let unknown = Outlook { in_flight: 0, ..hangs };
    assert_eq!(choose(super::Strategy::LeastLatency, [unknown, well].into_iter(), 1 << 32), Some(0));
}

fn priced(price: Option<u64>, weight: u32) -> Outlook {
    Outlook { price, ..Outlook::of(weight) }
}

/// How often each target is chosen by price over many random numbers.
fn by_cost(outlooks: &[Outlook]) -> Vec<u64> {
    let mut random = Seeded(11);
    let mut counts = vec![0; outlooks.len()];
    for _ in 0..4_000 {
        counts[choose(Strategy::Cost, outlooks.iter().copied(), random.next()).unwrap()] += 1;
    }
    counts
}

#[test]
fn cost_takes_the_cheapest_and_an_unknown_price_last() {
    assert_eq!(by_cost(&[priced(Some(300), 1), priced(Some(200), 1), priced(None, 9)]), [0, 4_000, 0]);
    assert_eq!(by_cost(&[priced(None, 1), priced(Some(u64::MAX / 2), 1)]), [0, 4_000]);
    let mut cheapest_rests = [priced(Some(300), 1), priced(Some(200), 1), priced(None, 1)];
    cheapest_rests[1].candidate.eligible = false;
    assert_eq!(by_cost(&cheapest_rests), [4_000, 0, 0]);
}

#[test]
fn cost_shares_among_equal_prices_by_weight() {
    let counts = by_cost(&[priced(Some(200), 1), priced(Some(200), 3), priced(Some(201), 50)]);
    assert!((900..1_100).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
    let unknown = by_cost(&[priced(None, 1), priced(None, 1)]);
    assert!((1_800..2_200).contains(&unknown[0]), "{unknown:?}");
}

#[test]
fn cost_eases_off_the_cheapest_when_its_rate_limit_is_near() {
    let near = |headroom| Outlook { headroom, ..priced(Some(200), 1) };
    assert_eq!(by_cost(&[near(400), priced(Some(300), 1)]), [4_000, 0]);
    assert_eq!(by_cost(&[near(150), priced(Some(300), 1)]), [0, 4_000]);
    assert_eq!(by_cost(&[near(0), priced(Some(90_000), 1)]), [0, 4_000]);
}

#[test]
fn prompts_that_begin_alike_go_together_until_it_would_be_a_crowd() {
    let all = outlooks(&[1, 1, 2]);
    for prefix in 0..1_000 {
        let prefix = mix(prefix);
        let home = alike(all.iter().copied(), prefix).unwrap();
        assert_eq!(affine(all.iter().copied(), prefix), Some(home), "as a session would");
        // Few calls are no crowd, whatever the others do.
        let mut busy = all.clone();
        busy[home].0.in_flight = 7;
        assert_eq!(alike(busy.iter().copied(), prefix), Some(home));
        busy[home].0.in_flight = 40;
        let second = alike(busy.iter().copied(), prefix).unwrap();
        assert_ne!(second, home);
        // Those that overflow go together too.
        assert_eq!(alike(busy.iter().copied(), prefix), Some(second));
        // Where all are busy, it is at home again.
        busy.iter_mut().for_each(|(outlook, _)| outlook.in_flight = 40 * outlook.candidate.weight as u32);
        assert_eq!(alike(busy.iter().copied(), prefix), Some(home));
        // A rate limit that is near weighs more than a cache.
        let mut near = all.clone();
        near[home].0.headroom = 250;
        assert_ne!(alike(near.iter().copied(), prefix), Some(home));
        near.iter_mut().for_each(|(outlook, _)| outlook.headroom = 250);
        assert_eq!(alike(near.iter().copied(), prefix), None);
    }
}

/// One prompt for everybody: a thousand calls, of which each lasts as long as fifty others take to come.
#[test]
fn one_prompt_for_all_callers_is_spread_over_all_targets() {
    let mut all = outlooks(&[1, 1, 1, 1]);
    let mut under_way = std::collections::VecDeque::new();
    let mut served = [0_u32; 4];
    for _ in 0..1_000 {
        if under_way.len() == 50 {
            let over: usize = under_way.pop_front().unwrap();
            all[over].0.in_flight -= 1;
        }
        let chosen = alike(all.iter().copied(), 7).expect("somebody has room");
        all[chosen].0.in_flight += 1;
        served[chosen] += 1;
        under_way.push_back(chosen);
        let most = all.iter().map(|(outlook, _)| outlook.in_flight).max().unwrap();
        assert!(most <= 50 / 4 * 3 / 2 + 1, "{most} of {} at one of four", under_way.len());
    }
    assert!(served.iter().filter(|count| **count > 100).count() >= 3, "{served:?}");
}

/// Targets of every kind: fast, slow, failing, busy, near a limit, resting, of unknown price.
fn mixed() -> Vec<Outlook> {
    let of = |weight, change: &dyn Fn(&mut Outlook)| {
        let mut outlook = Outlook::of(weight);
        change(&mut outlook);
        outlook
    };
    vec![
        of(3_000, &|outlook| outlook.latency_us = Some(200_000)),
        of(1_000, &|outlook| (outlook.latency_us, outlook.price) = (Some(900_000), Some(7))),
        of(2_000, &|outlook| (outlook.faults, outlook.in_flight) = (400, 30)),
        of(1_000, &|outlook| (outlook.headroom, outlook.price) = (90, Some(9))),
        of(5_000, &|outlook| outlook.candidate.eligible = false),
    ]
}

#[test]
fn shares_are_what_choices_come_to() {
    let outlooks = mixed();
    for strategy in [
        Strategy::Weighted,
        Strategy::Adaptive,
        Strategy::LeastLatency,
        Strategy::LeastInflight,
        Strategy::Cost,
    ] {
        const DRAWS: u32 = 40_000;
        let mut random = Seeded(7);
        let mut counts = [0_u32; 5];
        for _ in 0..DRAWS {
            counts[choose(strategy, outlooks.iter().copied(), random.next()).unwrap()] += 1;
        }
        let shares = shares(strategy, outlooks.iter().copied());
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{strategy:?}: {shares:?}");
        for (count, share) in counts.iter().zip(&shares) {
            let seen = f64::from(*count) / f64::from(DRAWS);
            assert!((seen - share).abs() < 0.02, "{strategy:?}: {counts:?} for {shares:?}");
        }
        assert!(shares[4].abs() < f64::EPSILON, "{strategy:?}: who rests has no share");
    }
}

#[test]
fn nobody_eligible_has_no_share() {
    let mut outlooks = mixed();
    outlooks.iter_mut().for_each(|outlook| outlook.candidate.eligible = false);
    assert!(shares(Strategy::Adaptive, outlooks.into_iter()).iter().all(|share| *share == 0.0));
}
