//! How much memory a million virtual keys take, and how long a request looks them up and holds of their budgets.
//!
//! Alone in its process, since it measures that: `make money-memory`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bifrost::account::meters::Meters;
use bifrost::auth::{Directory, hash};
use bifrost::config::governance::{Grant, Names, Owner, Quotas, VirtualKey};
use govern::allowance::{Consumption, Fit, Measure, Quota};
use govern::window::Window;

const KEYS: usize = 1_000_000;
/// For all of them.
const ROOM_KB: u64 = 1024 * 1024;
/// More for each that was used and has a budget and a limit: bytes.
const IN_USE: u64 = 768;

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn quota(measure: Measure, max: u64, window: &str) -> Quota {
    Quota { measure, max, window: Window::parse(window, false).unwrap() }
}

fn value(number: usize) -> String {
    format!("sk-bf-{number:036}")
}

/// As keys are in earnest: a team, one provider with two models, a budget and a limit of requests.
fn key(number: usize, teams: &[Arc<str>], models: &[Arc<str>], provider: &Arc<str>) -> VirtualKey {
    let id: Arc<str> = format!("8d0c1f5e-4a5f-4c38-9d2b-{number:012}").into();
    let list = [quota(Measure::Cost, 10_000_000_000, "1M"), quota(Measure::Requests, 100, "1m")];
    let grant = Grant {
        provider: Arc::clone(provider),
        weight: Some(1_000),
        models: Names::Listed(models.into()),
        denied: Box::default(),
        keys: Names::All,
        quotas: Quotas::default(),
    };
    VirtualKey {
        id,
        name: format!("person {number} of some department").into(),
        hashes: [(hash(&value(number)), None)].into(),
        active: true,
        expires_ms: None,
        team: Some(Arc::clone(&teams[number % teams.len()])),
        customer: None,
        grants: Some([grant].into()),
        quotas: Quotas { list: list.into(), concurrency: None },
        log_content: None,
    }
}

fn once(directory: &Directory, meters: &Meters, number: usize, now_ms: u64) {
    let found = directory.find(&hash(&value(number)), now_ms).expect("a key");
    let expected = Consumption { cost: 1_000, requests: 1, input_tokens: 10, output_tokens: 10 };
    let owners = [(Owner::VirtualKey(Arc::clone(&found.id)), &found.quotas)];
    let hold = meters.hold(&owners, &expected, Fit::default(), now_ms).expect("room");
    hold.settle(&expected);
}

#[test]
#[ignore = "takes some seconds and more than a gigabyte; `make money-memory` runs it alone"]
fn a_million_keys_fit_in_a_gigabyte() {
    let before = resident_kb();
    let names = |kind: &str, count: usize| -> Vec<Arc<str>> {
        (0..count).map(|number| Arc::from(format!("{kind}-{number}"))).collect()
    };
    let (teams, models, provider) = (names("team", 1_000), names("model", 2), Arc::from("openai"));
    let directory = Directory::default();
    for number in 0..KEYS {
        directory.put(Arc::new(key(number, &teams, &models, &provider)));
    }
    let known = resident_kb() - before;
    let meters = Meters::default();
    let now_ms = 1_700_000_000_000;
    for number in 0..KEYS {
        once(&directory, &meters, number, now_ms);
    }
    let used = resident_kb() - before;
    let mut took: Vec<u128> = (0..200_000)
        .map(|round| {
            // Spread over all of them: nothing is in a cache.
            let number = round * 7_919 % KEYS;
            let start = Instant::now();
            once(black_box(&directory), black_box(&meters), number, now_ms + 1);
            start.elapsed().as_nanos()
        })
        .collect();
    took.sort_unstable();
    let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!(
        "{KEYS} keys: {known} kB known ({} bytes each), {used} kB when each was used once; hash, lookup, hold and settle: p50 {half} ns, p99 {most} ns",
        known * 1024 / KEYS as u64
    );
    assert_eq!(directory.len(), KEYS);
    assert!(known < ROOM_KB, "{known} kB");
    let each = (used - known) * 1024 / KEYS as u64;
    assert!(each < IN_USE, "{each} bytes for a key in use");
}
