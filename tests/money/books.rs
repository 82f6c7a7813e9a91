//! The ledger against the provider's own bill, read from the store's file.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bifrost::store::ledger::{DAY, SpendQuery};
use bifrost::store::{Store, StoreSettings};
use serde_json::json;

use crate::shop::{Shop, budget, key, price, rush, serve};
use crate::support::until;
use crate::support::upstream::{Act, Hit};

/// Answers, tokens and nano-dollars that the ledger has for an owner.
fn ledger(shop: &Shop, owner: &str) -> (u64, u64) {
    let settings = StoreSettings::Sqlite { path: shop.folder.path().join("bifrost.db") };
    let query = SpendQuery { owner: owner.to_owned(), from_ms: 0, to_ms: u64::MAX / 2, span: DAY };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&settings).await.unwrap();
        let sums = store.spend(&query).await.unwrap();
        store.close().await;
        let sum = |what: fn(&govern::allowance::Consumption) -> u64| {
            sums.iter().map(|sum| what(&sum.consumption)).sum()
        };
        (sum(|used| used.requests), sum(|used| used.cost))
    })
}

fn governance() -> serde_json::Value {
    json!({"virtual_keys": [key("a", &budget(1_000_000_000_000))]})
}

#[test]
fn the_ledger_is_the_bill() {
    let shop = Shop::open(&governance(), serve);
    let heard = shop.rush("a", 8, 12).answered();
    assert_eq!(heard, 96);
    assert_eq!(shop.billed(), 96 * price());
    until("the ledger to have it all", || {
        (ledger(&shop, "virtual_key:vk-a") == (96, shop.billed())).then_some(())
    });
    assert_eq!(ledger(&shop, "provider:house-oa").1, shop.billed());
}

/// As many kills as `MONEY_KILLS` says; a few by default.
#[test]
fn whenever_it_is_killed_the_ledger_has_what_was_answered_and_no_more_than_was_billed() {
    const CALLERS: usize = 8;
    let kills: u64 = std::env::var("MONEY_KILLS").ok().map_or(4, |text| text.parse().expect("a number"));
    let slow = |hit: &Hit, bill: &crate::bill::Bill| {
        let mut script = vec![Act::Pause(Duration::from_millis(u64::try_from(hit.nth % 5).unwrap()))];
        script.extend(serve(hit, bill));
        script
    };
    let mut shop = Shop::open(&governance(), slow);
    let mut heard = 0;
    for round in 1..=kills {
        let address = shop.gateway.address();
        let stop = AtomicBool::new(false);
        let before = shop.provider.upstream.hits().len();
        heard += std::thread::scope(|scope| {
            let callers = scope.spawn(|| rush(address, "a", CALLERS, |_| stop.load(Ordering::Relaxed)));
            // Another moment each time: within a batch, between two, while one is written.
            let moment = usize::try_from(round * 53 % 211).unwrap();
            crate::shop::until_asked(&shop, before + 1 + moment);
            shop.gateway.signal(libc::SIGKILL);
            stop.store(true, Ordering::Relaxed);
            callers.join().unwrap().answered()
        });
        shop.gateway.wait_for_exit();
        shop.start_again();
    }
    // One more, so that all journals before it are known to be read.
    heard += shop.rush("a", 1, 1).answered();
    until("what was answered to be in the ledger", || {
        (ledger(&shop, "virtual_key:vk-a").0 >= heard).then_some(())
    });
    let left = || std::fs::read_dir(shop.folder.path()).unwrap().flatten();
    let journals = || left().filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-"));
    let files = || journals().flat_map(|folder| std::fs::read_dir(folder.path()).unwrap()).count();
    until("the journals of dead processes to be gone", || (files() == 1).then_some(()));
    let (requests, cost) = ledger(&shop, "virtual_key:vk-a");
    let billed = shop.billed();
    println!("{kills} kills: {heard} answered, {requests} in the ledger, {} billed", billed / price());
    assert_eq!(cost % price(), 0);
    assert!(cost >= heard * price(), "{cost} in the ledger, {heard} answers were heard");
    assert!(cost <= billed, "{cost} in the ledger, {billed} billed: counted twice");
    let under_way = kills * CALLERS as u64;
    assert!(
        cost + under_way * price() >= billed,
        "{cost} in the ledger, {billed} billed: too much is missing"
    );
}
