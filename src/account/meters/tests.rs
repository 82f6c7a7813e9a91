use govern::allowance::Quota;

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn quotas(list: &[(Measure, u64, &str)]) -> Quotas {
    let list = list.iter().map(|(measure, max, window)| {
        let window = Window::parse(window, false).unwrap();
        Quota { measure: *measure, max: *max, window }
    });
    Quotas { list: list.collect(), concurrency: None }
}

fn asks(cost: u64) -> Consumption {
    Consumption { cost, requests: 1, input_tokens: 0, output_tokens: 0 }
}

fn key(name: &str) -> Owner {
    Owner::VirtualKey(name.into())
}

fn stands(meters: &Meters, owner: &Owner) -> Vec<(u64, u64)> {
    meters.levels(owner, NOW).iter().map(|standing| (standing.level.used, standing.level.held)).collect()
}

#[test]
fn a_request_holds_of_all_its_owners_or_of_none() {
    let meters = Meters::default();
    let (rich, poor) = (quotas(&[(Measure::Cost, 100, "1d")]), quotas(&[(Measure::Cost, 10, "1d")]));
    let none = Quotas::default();
    let team = Owner::Team("t".into());
    let owners = [(team.clone(), &rich), (Owner::Customer("c".into()), &none), (key("k"), &poor)];
    let refused = meters.hold(&owners, &asks(11), Fit::Whole, NOW).unwrap_err();
    assert_eq!(refused.owner, key("k"));
    assert_eq!(stands(&meters, &team), [(0, 0)]);
    let mut hold = meters.hold(&owners, &asks(4), Fit::Whole, NOW).unwrap();
    assert_eq!((stands(&meters, &team), stands(&meters, &key("k"))), (vec![(0, 4)], vec![(0, 4)]));
    assert_eq!(hold.raise(&asks(11), NOW).unwrap_err().owner, key("k"));
    assert_eq!((stands(&meters, &team), stands(&meters, &key("k"))), (vec![(0, 4)], vec![(0, 4)]));
    hold.raise(&asks(9), NOW).unwrap();
    hold.count(&asks(2), NOW);
    assert_eq!(stands(&meters, &key("k")), [(2, 9)]);
    hold.settle_at(&asks(3), NOW);
    assert_eq!((stands(&meters, &team), stands(&meters, &key("k"))), (vec![(5, 0)], vec![(5, 0)]));
    assert_eq!(meters.len(), 2, "who has no quotas has no meter");
}

#[test]
fn a_dropped_hold_is_given_back_even_by_a_panic() {
    let meters = Meters::default();
    let quotas = quotas(&[(Measure::Requests, 5, "1d")]);
    let hold = meters.hold(&[(key("k"), &quotas)], &asks(0), Fit::Whole, NOW).unwrap();
    assert_eq!(stands(&meters, &key("k")), [(1, 0)]);
    drop(hold);
    assert_eq!(stands(&meters, &key("k")), [(0, 0)]);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _hold = meters.hold(&[(key("k"), &quotas)], &asks(0), Fit::Whole, NOW).unwrap();
        panic!("a filter broke");
    }));
    assert_eq!(stands(&meters, &key("k")), [(0, 0)]);
}

#[test]
fn other_quotas_change_the_meter_in_place() {
    let meters = Meters::default();
    let before = quotas(&[(Measure::Cost, 10, "1d")]);
    let hold = meters.hold(&[(key("k"), &before)], &asks(6), Fit::Whole, NOW).unwrap();
    let after = quotas(&[(Measure::Cost, 7, "1d"), (Measure::Requests, 9, "1m")]);
    assert!(meters.hold(&[(key("k"), &after)], &asks(2), Fit::Whole, NOW).is_err());
    hold.settle_at(&asks(5), NOW);
    assert_eq!(stands(&meters, &key("k")), [(5, 0), (0, 0)]);
}

#[test]
fn what_a_store_remembers_counts_whether_the_quotas_are_known_or_not() {
    let meters = Meters::default();
    let now = now_ms();
    let quotas = quotas(&[(Measure::Cost, 10, "1h")]);
    meters.restore(&key("k"), &[(now - 5_000, asks(6)), (now - 4_000, asks(1)), (now - 7_200_000, asks(9))]);
    assert!(meters.hold(&[(key("k"), &quotas)], &asks(4), Fit::Whole, now).is_err());
    drop(meters.hold(&[(key("k"), &quotas)], &asks(3), Fit::Whole, now).unwrap());
    meters.restore(&key("k"), &[(now - 3_000, asks(1))]);
    let level = meters.levels(&key("k"), now)[0].level;
    assert_eq!((level.used, level.held), (8, 0));
    assert_eq!(meters.levels(&key("k"), now + 3_595_000)[0].level.used, 2, "each leaves at its own time");
}

#[test]
fn what_others_spent_counts_for_owners_that_are_known() {
    let meters = Meters::default();
    let quotas = quotas(&[(Measure::Cost, 10, "1d")]);
    drop(meters.hold(&[(key("k/1"), &quotas)], &asks(0), Fit::Whole, NOW).unwrap());
    let owners = [key("k/1"), key("else")].map(|owner| owner.to_string().into()).to_vec();
    let (id, target) = ("1".into(), "p/m".into());
    let entry = Entry {
        id,
        at: NOW,
        owners,
        target,
        cost: 4,
        requests: 1,
        input_tokens: 0,
        output_tokens: 0,
        estimated: false,
    };
    meters.count(&entry);
    assert_eq!(stands(&meters, &key("k/1")), [(4, 0)]);
    assert_eq!(meters.len(), 1);
}

#[test]
fn idle_owners_are_forgotten_and_nobody_else() {
    let meters = Meters::default();
    let quotas = quotas(&[(Measure::Cost, 10, "1m")]);
    let owners = ["used", "held", "idle"].map(key);
    let hold = |owner: &Owner| meters.hold(&[(owner.clone(), &quotas)], &asks(1), Fit::Whole, NOW).unwrap();
    hold(&owners[0]).settle_at(&asks(1), NOW);
    let held = hold(&owners[1]);
    drop(hold(&owners[2]));
    meters.sweep(NOW);
    assert_eq!(meters.len(), 2);
    drop(held);
    meters.sweep(NOW + 59_999);
    assert_eq!(meters.len(), 1);
    meters.sweep(NOW + 60_000);
    assert!(meters.is_empty());
}

/// `cargo test --release -p bifrost --lib -- --ignored --nocapture what_a_request_of_ten_thousand_keys`
#[test]
#[ignore = "a measurement"]
fn what_a_request_of_ten_thousand_keys_costs_here() {
    use crate::auth::Directory;
    use crate::config::governance::{KeyHash, VirtualKey};
    use std::time::Instant;

    const KEYS: usize = 10_000;
    let own = quotas(&[
        (Measure::Cost, u64::MAX / 2, "30d"),
        (Measure::Requests, u64::MAX / 2, "1m"),
        (Measure::Tokens, u64::MAX / 2, "1m"),
    ]);
    let (meters, directory) = (Meters::default(), Directory::default());
    let shown: Vec<String> = (0..KEYS).map(|key| format!("sk-bf-{key:0>32}")).collect();
    for (number, key) in shown.iter().enumerate() {
        directory.put(Arc::new(VirtualKey {
            id: format!("k{number}").into(),
            name: format!("k{number}").into(),
            hashes: [(KeyHash::of(key), None)].into(),
            active: true,
            expires_ms: None,
            team: None,
            customer: None,
            grants: None,
            quotas: own.clone(),
            log_content: None,
        }));
    }
    let (team, customer) = (Owner::Team("t".into()), Owner::Customer("c".into()));
    let request = |number: usize| {
        let found = directory.find(&KeyHash::of(&shown[number * 7_919 % KEYS]), NOW).unwrap();
        let owners = [
            (Owner::VirtualKey(Arc::clone(&found.id)), &found.quotas),
            (team.clone(), &own),
            (customer.clone(), &own),
        ];
        let hold = meters.hold(&owners, &asks(9), Fit::Alone, now_ms()).unwrap();
        hold.settle(&asks(7));
    };
    (0..KEYS).for_each(request);
    let mut times: Vec<u128> = (0..200_000)
        .map(|number| {
            let began = Instant::now();
            request(number);
            began.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let at = |permille: usize| times[times.len() * permille / 1_000];
    println!("lookup, hold and settle for three owners: p50 {} ns, p99 {} ns", at(500), at(990));
}
