//! Budgets and limits over several gateways.

use std::sync::Arc;
use std::thread;

use serde_json::json;

use crate::server::Redis;
use crate::stage::{ANSWER, bill, config, dollars, gateways, healthy, request, storm};
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const ANSWERS: u64 = 1_960;

#[test]
fn three_gateways_spend_one_dollar_among_a_thousand_callers_though_one_is_killed() {
    let Some(redis) = Redis::start() else { return };
    let upstream = Arc::new(Upstream::start(healthy));
    let budget = json!({"budget": {"max_limit": 1, "reset_duration": "1d"}});
    let max = 1_000_000_000;
    assert!(ANSWERS * ANSWER < max && (ANSWERS + 1) * ANSWER > max);
    let all = gateways(3, &config(&upstream, &redis, budget, json!({})));
    let mut all: Vec<Arc<Gateway>> = all.into_iter().map(Arc::new).collect();
    let storms: Vec<_> = all
        .iter()
        .zip([334, 333, 333])
        .map(|(gateway, callers)| {
            let gateway = Arc::clone(gateway);
            thread::spawn(move || storm(&gateway, callers, 100))
        })
        .collect();
    upstream.wait_for("a quarter of the budget to be spent", |hits| {
        (hits.len() as u64 * ANSWER > max / 4).then_some(())
    });
    all[0].signal(9);
    // What it has leased may have been spent, and will be leased again.
    let leased = redis.leased(&all[0], "cost");
    for storm in storms {
        storm.join().expect("a storm");
    }
    // What is left of the lease of the dead comes back; then all is spent, and nobody is let in.
    let last = all.split_off(1);
    until("the last of the budget to be spent", || {
        let refused = last.iter().all(|gateway| gateway.ask(&request()).status() == 402);
        (refused && bill(&upstream) + 3 * ANSWER > max).then_some(())
    });
    let spent = bill(&upstream);
    let bound = max + leased;
    println!("spent {spent} of {max}; {leased} leased by the gateway that was killed");
    assert!(spent <= bound, "{spent} of {max}, {leased} lost");
}

#[test]
fn a_limit_of_requests_holds_over_all_gateways() {
    let Some(redis) = Redis::start() else { return };
    let upstream = Upstream::start(healthy);
    let limit = json!({"rate_limit": {"request_max_limit": 60, "request_reset_duration": "1h"}});
    let all: Vec<Arc<Gateway>> =
        gateways(3, &config(&upstream, &redis, limit, json!({}))).into_iter().map(Arc::new).collect();
    let storms: Vec<_> = all
        .iter()
        .map(|gateway| {
            let gateway = Arc::clone(gateway);
            thread::spawn(move || storm(&gateway, 20, 20))
        })
        .collect();
    for storm in storms {
        let (_, refused) = storm.join().expect("a storm");
        assert!(refused.iter().all(|status| *status == 429), "{refused:?}");
    }
    // What one had too much of, the others get.
    until("all of the limit to be used", || {
        all.iter().for_each(|gateway| drop(gateway.ask(&request())));
        (upstream.hits().len() >= 60).then_some(())
    });
    assert_eq!(upstream.hits().len(), 60);
    assert!(all.iter().all(|gateway| gateway.ask(&request()).status() == 429));
}

#[test]
fn a_new_gateway_knows_at_once_what_the_others_have_spent() {
    let Some(redis) = Redis::start() else { return };
    let upstream = Upstream::start(healthy);
    let budget = json!({"budget": {"max_limit": dollars(4 * ANSWER), "reset_duration": "1M"}});
    let config = config(&upstream, &redis, budget, json!({}));
    let first = gateways(1, &config).remove(0);
    until("the first to spend all of it", || (first.ask(&request()).status() == 402).then_some(()));
    let before = upstream.hits().len();
    let second = Gateway::start(&config);
    until("the second to be refused", || (second.ask(&request()).status() == 402).then_some(()));
    assert!(upstream.hits().len() <= before, "{} and {before}", upstream.hits().len());
}

#[test]
fn without_redis_a_gateway_goes_on_within_its_lease_and_then_as_it_shall() {
    for (policy, goes_on) in [("deny", false), ("local", true)] {
        let Some(mut redis) = Redis::start() else { return };
        let upstream = Upstream::start(healthy);
        let budget = json!({"budget": {"max_limit": dollars(2_000 * ANSWER), "reset_duration": "1d"}});
        let config = config(&upstream, &redis, budget, json!({"on_loss": policy}));
        let gateway = gateways(1, &config).remove(0);
        assert_eq!(gateway.ask(&request()).status(), 200);
        redis.stop();
        until("it to see that Redis is gone", || {
            drop(gateway.ask(&request()));
            (gateway.health()["cluster"]["redis"] == "gone").then_some(())
        });
        assert_eq!(gateway.metric("bifrost_cluster_redis_up", &[]) as u64, 0);
        let end = if goes_on { 200 } else { 402 };
        until("its lease to be over", || {
            (gateway.metric("bifrost_cluster_redis_failures_total", &[]) > 4.0
                && gateway.ask(&request()).status() == end)
                .then_some(())
        });
        redis.start_again();
        until("it to be let in again", || (gateway.ask(&request()).status() == 200).then_some(()));
        until("it to see that Redis is back", || {
            (gateway.health()["cluster"]["redis"] == "ok").then_some(())
        });
    }
}

#[test]
fn a_gateway_starts_and_answers_without_redis() {
    let Some(redis) = Redis::start() else { return };
    let upstream = Upstream::start(healthy);
    let budget = json!({"budget": {"max_limit": 1, "reset_duration": "1d"}});
    let config = config(&upstream, &redis, budget, json!({}));
    drop(redis);
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.ask(&request()).status(), 200);
    assert_eq!(gateway.health()["cluster"]["redis"], "gone");
}
