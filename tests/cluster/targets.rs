//! What one gateway sees of a provider key, all of them know.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::Redis;
use crate::stage::{config, gateways, request};
use crate::support::answers::refusal;
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::support::upstream::Upstream;

fn rests(gateway: &Gateway) -> Option<Value> {
    let keys = gateway.health()["keys"].as_array().cloned().unwrap_or_default();
    keys.into_iter().find(|key| key["provider"] == "oa" && key.to_string().contains("rate_limited"))
}

#[test]
fn a_key_that_one_gateway_finds_limited_rests_on_all_of_them_within_a_second() {
    let Some(redis) = Redis::start() else { return };
    let upstream =
        Upstream::start(|hit| refusal(hit, 429, "rate_limit_error", "slow down", &[("retry-after", "60")]));
    let config = config(&upstream, &redis, json!({}), json!({}));
    let mut all = gateways(2, &config);
    let second = all.pop().expect("two");
    assert!(rests(&second).is_none());
    let since = Instant::now();
    assert_eq!(all[0].ask(&request()).status(), 429);
    until("the second to know", || rests(&second));
    let took = since.elapsed();
    println!("known to the other gateway after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(upstream.hits().len(), 1);
    // One that comes later is told too.
    let third = Gateway::start(&config);
    until("the third to know", || rests(&third));
}

#[test]
fn a_circuit_that_one_gateway_opened_is_open_on_all() {
    let Some(redis) = Redis::start() else { return };
    let upstream = Upstream::start(|hit| refusal(hit, 500, "server_error", "broken", &[]));
    let config = config(&upstream, &redis, json!({}), json!({}));
    let mut all = gateways(2, &config);
    let second = all.pop().expect("two");
    let open = |gateway: &Gateway| gateway.health()["keys"].to_string().contains("\"circuit\":");
    until("the first to open it", || {
        drop(all[0].ask(&request()));
        open(&all[0]).then_some(())
    });
    // Nobody has asked the second one anything, and while it is open the first is asked nothing new.
    drop(all[0].ask(&request()));
    until("the second to know", || {
        drop(all[0].ask(&request()));
        open(&second).then_some(())
    });
}
