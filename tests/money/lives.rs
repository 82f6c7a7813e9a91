//! What was spent outlives the process: restarts, kills and upgrades neither refund nor bill twice.
//!
//! The books are read from outside: after the last start callers ask until the budget is used up. What the gateway has
//! counted by then is the budget, but for less than one request. Had it lost something that was answered, more would
//! have been answered than the budget has room for; had it counted something twice, the provider would have billed less.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::shop::{MOST, Shop, Tally, budget, key, price, rush, serve};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit};

/// As many kills as `MONEY_KILLS` says; a few by default.
fn kills() -> u64 {
    std::env::var("MONEY_KILLS").ok().map_or(4, |text| text.parse().expect("a number"))
}

fn one_key(limit: u64) -> Value {
    json!({"reservations": "strict", "virtual_keys": [key("a", &budget(limit))]})
}

/// Uses up what is left, and holds the bill against the budget. `unheard`: answers that were billed and may not have
/// reached their caller.
fn settle_up(shop: &Shop, limit: u64, heard: u64, unheard: u64) {
    let rest = shop.use_up("a");
    let (billed, answered) = (shop.billed(), (heard + rest) * price());
    assert!(
        answered <= limit,
        "{answered} was answered, of {limit}: something was forgotten ({rest} in the end)"
    );
    let bound = limit + unheard * price();
    assert!(
        billed <= bound,
        "{billed} was billed, of {limit} and {unheard} under way: something was forgotten"
    );
    assert!(
        billed + MOST > limit,
        "only {billed} was billed, of {limit}: something was counted twice ({rest} in the end)"
    );
}

#[test]
fn a_restart_in_good_order_refunds_nothing_and_bills_nothing_twice() {
    let limit = 50 * price() + price() / 2;
    let mut shop = Shop::open(&one_key(limit), serve);
    let mut heard = 0;
    for _ in 0..3 {
        let tally = shop.rush("a", 4, 3);
        assert_eq!(tally.answered(), 12, "{tally:?}");
        heard += tally.answered();
        shop.gateway.signal(libc::SIGTERM);
        shop.gateway.wait_for_exit();
        shop.start_again();
    }
    settle_up(&shop, limit, heard, 0);
}

/// The control of this file's measure: it sees a gateway that forgets.
#[test]
fn without_a_store_a_restart_forgets_and_that_is_seen() {
    let limit = 20 * price() + price() / 2;
    let more = json!({"config_store": {"enabled": false}, "governance": one_key(limit)});
    let mut shop = Shop::open_with(&more, serve);
    let heard = shop.rush("a", 2, 5).answered();
    shop.gateway.signal(libc::SIGTERM);
    shop.gateway.wait_for_exit();
    shop.start_again();
    let rest = shop.use_up("a");
    assert!((heard + rest) * price() > limit, "{heard} and {rest} were answered");
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_answered_and_counts_nothing_twice() {
    const CALLERS: usize = 8;
    let kills = kills();
    // More than is spent between the kills.
    let limit = (kills * 120 + 200) * price() + price() / 2;
    let slow = |hit: &Hit, bill: &crate::bill::Bill| {
        let mut script = vec![Act::Pause(Duration::from_millis(u64::try_from(hit.nth % 7).unwrap()))];
        script.extend(serve(hit, bill));
        script
    };
    let mut shop = Shop::open(&one_key(limit), slow);
    let heard = Tally::default();
    for round in 1..=kills {
        let address = shop.gateway.address();
        let stop = AtomicBool::new(false);
        let before = shop.provider.upstream.hits().len();
        std::thread::scope(|scope| {
            let callers = scope
                .spawn(|| rush(address, "a", CALLERS, |asked| asked > 14 || stop.load(Ordering::Relaxed)));
            // Another moment each time.
            let moment = usize::try_from(round * 37 % 90).unwrap();
            crate::shop::until_asked(&shop, before + 1 + moment);
            shop.gateway.signal(libc::SIGKILL);
            stop.store(true, Ordering::Relaxed);
            let tally = callers.join().unwrap();
            heard.answered.fetch_add(tally.answered(), Ordering::Relaxed);
        });
        shop.gateway.wait_for_exit();
        shop.start_again();
    }
    settle_up(&shop, limit, heard.answered(), kills * CALLERS as u64);
}

#[test]
fn an_upgrade_under_load_counts_everything_once() {
    let limit = 260 * price() + price() / 2;
    let mut shop = Shop::open(&one_key(limit), serve);
    let address = shop.gateway.address();
    let mut heard = 0;
    for _ in 0..2 {
        let stop = AtomicBool::new(false);
        let before = shop.provider.upstream.hits().len();
        let (next, tally) = std::thread::scope(|scope| {
            let callers =
                scope.spawn(|| rush(address, "a", 8, |asked| asked >= 12 || stop.load(Ordering::Relaxed)));
            crate::shop::until_asked(&shop, before + 20);
            let next = Gateway::launch(Arc::clone(&shop.folder), shop.port, &["--upgrade"], &[]);
            let tally = callers.join().unwrap();
            (next, tally)
        });
        let mut old = std::mem::replace(&mut shop.gateway, next);
        old.wait_for_exit();
        assert_eq!((tally.broken(), tally.over_budget()), (0, 0), "{tally:?}");
        heard += tally.answered();
    }
    settle_up(&shop, limit, heard, 0);
}

#[test]
fn two_processes_that_overlap_share_one_budget() {
    let limit = 80 * price() + price() / 2;
    let mut shop = Shop::open(&one_key(limit), serve);
    // The old process keeps this caller's connection and goes on for it.
    let heard = shop.rush("a", 4, 8).answered();
    let next = Gateway::launch(Arc::clone(&shop.folder), shop.port, &["--upgrade"], &[]);
    let mut old = std::mem::replace(&mut shop.gateway, next);
    old.wait_for_exit();
    settle_up(&shop, limit, heard, 0);
}
