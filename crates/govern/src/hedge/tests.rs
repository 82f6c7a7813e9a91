use super::*;
use crate::seeded::Seeded;
use proptest::prelude::*;

#[test]
fn too_few_calls_say_nothing() {
    let mut times = Times::new(0);
    for _ in 0..LEAST_CALLS - 1 {
        times.add(100_000, 0);
    }
    assert_eq!(times.within(950, 0), None);
    times.add(100_000, 0);
    assert!(times.within(950, 0).is_some());
}

#[test]
fn the_slowest_twentieth_is_above_the_95th_percentile() {
    let mut times = Times::new(0);
    for n in 1..=1_000_u64 {
        times.add(n * 1_000, 0);
    }
    let told = times.within(950, 0).unwrap();
    assert!((950_000..1_080_000).contains(&told), "{told}");
    let median = times.within(500, 0).unwrap();
    assert!((500_000..570_000).contains(&median), "{median}");
}

#[test]
fn old_calls_are_forgotten() {
    let mut times = Times::new(0);
    for _ in 0..1_000 {
        times.add(5_000_000, 0);
    }
    let later = 10 * HALF_LIFE_MS;
    assert_eq!(times.within(950, later), None);
    for _ in 0..40 {
        times.add(10_000, later);
    }
    assert!(times.within(950, later).unwrap() < 12_000);
}

proptest! {
    #[test]
    fn every_time_lies_within_its_bucket(us in 512_u64..(1 << 30)) {
        let edge = upper_edge(bucket(us));
        prop_assert!(edge > us && edge <= us + us / 8 + 64, "{us} -> {edge}");
    }

    #[test]
    fn buckets_are_in_order(a in any::<u64>(), b in any::<u64>()) {
        prop_assert_eq!(bucket(a.min(b)).cmp(&bucket(a.max(b))).is_gt(), false);
    }
}

#[test]
fn nothing_is_allowed_without_a_share() {
    let mut budget = Budget::default();
    budget.spent(Spend::Tokens(1_000), 0);
    assert!(!budget.begin(Spend::Tokens(1), 0, 0));
}

#[test]
fn a_spent_budget_denies_until_more_was_spent_on_answers() {
    let mut budget = Budget::default();
    let one = Spend::NanoDollars(100);
    assert!(budget.begin(one, 50, 0));
    budget.end(one, Some(one), 0);
    budget.spent(Spend::NanoDollars(1_000), 0);
    assert!(!budget.begin(one, 50, 0), "100 of 1100");
    budget.spent(Spend::NanoDollars(900), 0);
    assert!(budget.begin(one, 50, 0), "100 of 2000");
}

#[test]
fn what_is_under_way_counts_and_is_given_back() {
    let mut budget = Budget::default();
    let one = Spend::Tokens(100);
    budget.spent(Spend::Tokens(2_000), 0);
    assert!(budget.begin(one, 50, 0));
    assert!(budget.begin(one, 50, 0));
    assert!(!budget.begin(one, 50, 0));
    budget.end(one, None, 0);
    assert!(budget.begin(one, 50, 0));
}

#[test]
fn money_and_tokens_are_apart() {
    let mut budget = Budget::default();
    let money = Spend::NanoDollars(1_000_000);
    assert!(budget.begin(money, 50, 0));
    budget.end(money, Some(money), 0);
    assert!(!budget.begin(money, 50, 0));
    assert!(budget.begin(Spend::Tokens(5), 50, 0));
}

#[test]
fn a_cheap_past_does_not_pay_for_a_burst() {
    let mut budget = Budget::default();
    budget.spent(Spend::Tokens(10_000_000), 0);
    let one = Spend::Tokens(1_000);
    let hour = 6 * FORGETS_MS;
    let mut bursts = 0;
    while budget.begin(one, 50, hour) {
        budget.end(one, Some(one), hour);
        bursts += 1;
    }
    assert!(bursts <= 10_000_000 / 64 / 1_000 / 20 + 2, "{bursts}");
}

/// What callers of a simulated provider saw.
struct Seen {
    p99_us: u64,
    mean_us: u64,
    hedged: u64,
    /// Per thousand.
    extra: u64,
}

/// Microseconds to a first token: 200 to 400 ms, but for `slow` calls per thousand, which take 8 s.
fn first_token(random: &mut Seeded, slow: u64) -> u64 {
    if random.next() % 1_000 < slow { 8_000_000 } else { 200_000 + random.next() % 200_000 }
}

/// `calls` one after another, ten a second. A loser costs its input, an answer twice that.
fn simulate(seed: u64, slow: u64, permille: Option<u32>) -> Seen {
    const CALLS: u64 = 20_000;
    let (mut random, mut times, mut budget) = (Seeded(seed), Times::new(0), Budget::default());
    let (mut seen, mut hedged, mut lost, mut all) = (Vec::new(), 0, 0_u64, 0_u64);
    for n in 0..CALLS {
        let now_ms = n * 100;
        let input = 200 + random.next() % 800;
        let first = first_token(&mut random, slow);
        let moment = permille.and_then(|_| times.within(950, now_ms)).filter(|moment| *moment < first);
        let second = match (moment, permille) {
            (Some(moment), Some(permille)) if budget.begin(Spend::Tokens(input), permille, now_ms) => {
                Some(moment + first_token(&mut random, slow))
            }
            _ => None,
        };
        let took = second.map_or(first, |second| second.min(first));
        if second.is_some() {
            hedged += 1;
            lost += input;
            all += input;
            budget.end(Spend::Tokens(input), Some(Spend::Tokens(input)), now_ms);
        }
        times.add(first.min(took), now_ms);
        all += input * 2;
        budget.spent(Spend::Tokens(input * 2), now_ms);
        seen.push(took);
    }
    seen.sort_unstable();
    let p99_us = seen[seen.len() * 99 / 100];
    let mean_us = seen.iter().sum::<u64>() / CALLS;
    Seen { p99_us, mean_us, hedged, extra: lost * 1_000 / all }
}

#[test]
fn two_percent_slow_answers_no_longer_make_the_99th_percentile() {
    for seed in [1, 2, 3] {
        let without = simulate(seed, 20, None);
        let with = simulate(seed, 20, Some(50));
        println!(
            "seed {seed}: p99 {} -> {} ms, mean {} -> {} ms, hedged {} of 20000, extra {} permille",
            without.p99_us / 1_000,
            with.p99_us / 1_000,
            without.mean_us / 1_000,
            with.mean_us / 1_000,
            with.hedged,
            with.extra
        );
        assert_eq!(without.p99_us, 8_000_000);
        assert!(with.p99_us < 1_000_000, "p99 is {} us", with.p99_us);
        assert!(with.extra <= 50, "{} permille extra", with.extra);
        assert!(with.hedged > 300);
    }
}

#[test]
fn extra_spend_stays_within_the_limit_when_every_second_answer_is_slow() {
    for permille in [10, 50, 200] {
        for seed in [4, 5, 6] {
            let seen = simulate(seed, 500, Some(permille));
            assert!(seen.extra <= u64::from(permille), "{} of {permille} permille", seen.extra);
        }
    }
}

#[test]
fn one_call_in_twenty_is_hedged_for_ever_because_given_up_attempts_count() {
    let (mut random, mut times) = (Seeded(7), Times::new(0));
    let mut hedged = [0_u64; 10];
    for n in 0..50_000_u64 {
        let now_ms = n * 50;
        let (first, second) = (first_token(&mut random, 0), first_token(&mut random, 0));
        let moment = times.within(950, now_ms).filter(|moment| *moment < first);
        hedged[usize::try_from(n / 5_000).unwrap()] += u64::from(moment.is_some());
        times.add(moment.map_or(first, |moment| first.min(moment + second)), now_ms);
    }
    // Buckets end above the exact percentile: somewhat fewer than one in twenty.
    assert!(hedged.iter().all(|count| (50..=300).contains(count)), "{hedged:?}");
}
