//! `cargo bench -p govern --bench allowances`: what budgets and limits cost a request, at 10,000 virtual keys.

#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use criterion::{Criterion, criterion_group, criterion_main};
use govern::allowance::{Allowance, Consumption, Fit, Measure, Quota};
use govern::window::Window;

const KEYS: usize = 10_000;
const TEAMS: usize = 100;

/// A budget per month, and a minute's requests and tokens.
fn allowance() -> Arc<Mutex<Allowance>> {
    let quota = |measure, max, window: &str| {
        let window = Window::parse(window, false).unwrap_or(Window::minute());
        Quota { measure, max, window }
    };
    let quotas = [
        quota(Measure::Cost, u64::MAX / 2, "1M"),
        quota(Measure::Requests, u64::MAX / 2, "1m"),
        quota(Measure::Tokens, u64::MAX / 2, "1m"),
    ];
    Arc::new(Mutex::new(Allowance::new(&quotas, Some(1_000))))
}

/// As the gateway keeps them: found by name below a lock, each with a lock of its own.
fn owners() -> RwLock<HashMap<String, Arc<Mutex<Allowance>>>> {
    let keys = (0..KEYS).map(|number| format!("key-{number}"));
    let teams = (0..TEAMS).map(|number| format!("team-{number}"));
    RwLock::new(keys.chain(teams).map(|name| (name, allowance())).collect())
}

fn allowances(bench: &mut Criterion) {
    let owners = owners();
    let find = |name: &str| {
        owners.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_else(allowance)
    };
    let names: Vec<[String; 2]> =
        (0..KEYS).map(|key| [format!("key-{key}"), format!("team-{}", key % TEAMS)]).collect();
    let expected = Consumption { cost: 900, requests: 1, input_tokens: 300, output_tokens: 100 };
    let used = Consumption { cost: 800, requests: 1, input_tokens: 290, output_tokens: 70 };
    let (mut at, mut now) = (0_usize, 1_700_000_000_000_u64);
    bench.bench_function("find, hold and settle: a key and its team, three quotas each", |b| {
        b.iter(|| {
            at = (at + 7_919) % KEYS;
            now += 1;
            let Some(names) = names.get(at) else { return };
            let held = names.each_ref().map(|name| {
                let owner = find(black_box(name));
                let mut allowance = owner.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = black_box(allowance.hold(&expected, Fit::Alone, now));
                drop(allowance);
                owner
            });
            for owner in held {
                owner.lock().unwrap_or_else(PoisonError::into_inner).settle(&expected, &used, now);
            }
        });
    });
}

criterion_group!(benches, allowances);
criterion_main!(benches);
