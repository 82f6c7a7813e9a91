//! Budgets under load: never passed by more than their bound, and never locked by requests that are over.

use serde_json::{Value, json};

use crate::bill::Bill;
use crate::shop::{MOST, Shop, ask, budget, key, price, request, serve};
use crate::support::answers::json_answer;
use crate::support::client::Request;
use crate::support::until;
use crate::support::upstream::{Act, Gate, Hit, Script};
use crate::wires;

const CALLERS: usize = 48;

fn mode(mode: &str, keys: &[Value]) -> Value {
    json!({"reservations": mode, "virtual_keys": keys})
}

#[test]
fn a_strict_budget_is_never_passed_and_is_used_to_its_end() {
    let limit = 70 * price() + price() / 2;
    let shop = Shop::open(&mode("strict", &[key("a", &budget(limit))]), serve);
    let tally = shop.rush("a", CALLERS, 6);
    assert!(shop.billed() <= limit, "billed {} of {limit}: {tally:?}", shop.billed());
    assert_eq!(shop.billed(), tally.answered() * price(), "{tally:?}");
    assert_eq!(tally.broken(), 0, "{tally:?}");
    assert!(tally.over_budget() > 0, "{tally:?}");
    // Nothing is held any more: what is left can be used, down to less than a request may cost.
    shop.use_up("a");
    let billed = shop.billed();
    assert!(billed <= limit && limit - billed < MOST, "billed {billed} of {limit}");
}

#[test]
fn without_strictness_a_budget_is_passed_by_requests_under_way_at_most() {
    for name in ["adaptive", "off"] {
        let limit = 30 * price();
        let shop = Shop::open(&mode(name, &[key("a", &budget(limit))]), serve);
        let tally = shop.rush("a", CALLERS, 4);
        let bound = limit + CALLERS as u64 * price();
        assert!(shop.billed() <= bound, "{name}: billed {} of {limit}, {tally:?}", shop.billed());
        assert_eq!(tally.broken(), 0, "{name}: {tally:?}");
        shop.use_up("a");
        assert!(shop.billed() + MOST > limit, "{name}: locked at {} of {limit}", shop.billed());
        assert_eq!(shop.use_up("a"), 0, "{name}: it was over");
    }
}

#[test]
fn a_second_request_waits_for_no_hold_of_one_that_failed() {
    // Enough for one request under way, and for two that are over.
    let limit = MOST + price();
    let shop = Shop::open(&mode("strict", &[key("a", &budget(limit))]), |hit, bill| {
        let failed =
            || json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
        match hit.nth {
            1..=20 => json_answer(500, &[], &failed()),
            21..=40 => vec![Act::Reset],
            41..=60 => json_answer(400, &[], &failed()),
            _ => serve(hit, bill),
        }
    });
    for number in 1..=60 {
        let reply = shop.ask("a", number % 2 == 0);
        assert!(![200, 402].contains(&reply.status), "{number}: {reply:?}");
        if reply.status == 503 {
            // The provider rests: nobody was asked.
            break;
        }
    }
    until("the provider to have rested", || (shop.ask("a", false).status == 200).then_some(()));
    assert!(shop.billed() >= price());
}

#[test]
fn who_leaves_takes_no_hold_along() {
    let limit = 60 * MOST;
    let gate = Gate::shut();
    let wait = gate.clone();
    let shop = Shop::open(&mode("strict", &[key("a", &budget(limit))]), move |hit, bill| {
        bill.add("m", price());
        let mut script: Script = vec![Act::Wait(wait.clone())];
        script.extend(wires::answer(hit, crate::shop::COUNTS));
        script
    });
    // All of it is held, and all leave.
    let mut left = Vec::new();
    for number in 0..55 {
        let mut connection = shop.gateway.connect();
        connection.send(&request("a", "house-oa/m", number % 2 == 0)).unwrap();
        left.push(connection);
    }
    crate::shop::until_asked(&shop, 55);
    drop(left);
    gate.open();
    // What they cost at most, estimated as it is, leaves room for some more.
    until("a place in the budget", || (shop.ask("a", false).status == 200).then_some(()));
    shop.use_up("a");
    // Each of them is counted at no more than a request may cost.
    let used = shop.billed();
    assert!(used + 55 * MOST + MOST > limit, "locked at {used} of {limit}");
}

#[test]
fn key_team_and_customer_are_each_charged_once() {
    let limit = 20 * price() + price() / 2;
    let governance = json!({
        "reservations": "strict",
        "customers": [{"id": "c", "name": "customer", "budget": budget(limit)["budget"]}],
        "teams": [
            {"id": "t1", "name": "one", "customer_id": "c"},
            {"id": "t2", "name": "two", "customer_id": "c", "budget": budget(10 * limit)["budget"]},
        ],
        "virtual_keys": [key("a", &json!({"team_id": "t1"})), key("b", &json!({"team_id": "t2"})),
            key("c", &json!({"customer_id": "c"})), key("other", &budget(limit))],
    });
    let shop = Shop::open(&governance, serve);
    let mut answered = 0;
    for round in 0..100 {
        let name = ["a", "b", "c"][round % 3];
        match shop.ask(name, round % 2 == 0).status {
            200 => answered += 1,
            402 => break,
            status => panic!("{status}"),
        }
    }
    let billed = answered * price();
    assert!(billed <= limit && limit - billed < MOST, "the customer paid {billed} of {limit}");
    for name in ["a", "b", "c"] {
        assert_eq!(shop.ask(name, false).status, 402, "{name}");
    }
    assert_eq!(shop.ask("other", false).status, 200);
}

#[test]
fn a_provider_whose_budget_is_used_up_is_passed_over() {
    let limit = 5 * price() + price() / 2;
    let governance = json!({
        "reservations": "strict",
        "providers": [{"name": "house-oa", "budget": budget(limit)["budget"]}],
        "virtual_keys": [key("a", &json!({})), key("b", &json!({}))],
    });
    let shop = Shop::open(&governance, |hit: &Hit, bill: &Bill| {
        bill.add(&hit.path, price());
        wires::answer(hit, crate::shop::COUNTS)
    });
    let mut by_next = 0;
    for round in 0..30 {
        let name = if round % 2 == 0 { "a" } else { "b" };
        let mut body = json!({"model": "house-oa/m", "max_tokens": 40, "fallbacks": ["house-an/m"],
            "messages": [{"role": "user", "content": "Count this."}]});
        body["stream"] = json!(round % 3 == 0);
        let request =
            Request::json("/v1/chat/completions", &body).header("x-bf-vk", &crate::shop::value_of(name));
        let reply = ask(&mut shop.gateway.connect(), &request).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        by_next += u64::from(reply.header("x-bf-provider") == Some("house-an"));
    }
    let paid = shop.provider.bill.of("/v1/chat/completions");
    assert!(paid <= limit && limit - paid < MOST, "{paid} of {limit}");
    assert_eq!(shop.provider.bill.of("/v1/messages"), by_next * price());
    // Without another one the caller is told.
    let reply = shop.ask("a", false);
    assert_eq!(reply.status, 402, "{reply:?}");
}

#[test]
fn a_reload_in_the_middle_gives_nobody_a_fresh_budget() {
    let limit = 60 * price() + price() / 2;
    let mut shop = Shop::open(&mode("strict", &[key("a", &budget(limit))]), serve);
    let address = shop.gateway.address();
    let tally = std::thread::scope(|scope| {
        let callers = scope.spawn(move || crate::shop::rush(address, "a", 16, |asked| asked >= 12));
        for round in 0..6 {
            crate::shop::until_asked(&shop, round * 8);
            shop.config["governance"]["virtual_keys"][0]["description"] = json!(format!("round {round}"));
            // A limit that comes and goes must not touch the budget.
            shop.config["governance"]["virtual_keys"][0]["rate_limit"] = match round % 2 {
                0 => json!({"request_max_limit": 1_000_000, "request_reset_duration": "1h"}),
                _ => Value::Null,
            };
            crate::support::gateway::write_config(shop.folder.path(), &shop.config);
            shop.gateway.signal(libc::SIGHUP);
        }
        callers.join().unwrap()
    });
    assert_eq!(tally.broken(), 0, "{tally:?}");
    shop.use_up("a");
    let billed = shop.billed();
    assert!(billed <= limit && limit - billed < MOST, "billed {billed} of {limit}: {tally:?}");
}

#[test]
fn a_budget_comes_back_as_its_window_slides_and_says_when() {
    let limit = 4 * price() + price() / 2;
    let shop = Shop::open(&mode("off", &[key("a", &crate::shop::budget_per(limit, "2s"))]), serve);
    let mut waits = Vec::new();
    for _ in 0..3 {
        shop.use_up("a");
        let refused = std::time::Instant::now();
        let reply = shop.ask("a", false);
        if reply.status != 402 {
            continue;
        }
        let told: u64 = reply.header("retry-after").expect("retry-after").parse().unwrap();
        assert!((1..=2).contains(&told), "{told}");
        until("the budget to come back", || (shop.ask("a", false).status == 200).then_some(()));
        waits.push((refused.elapsed(), told));
    }
    assert!(!waits.is_empty());
    for (waited, told) in &waits {
        assert!(waited.as_secs() <= *told, "{waits:?}");
    }
}
