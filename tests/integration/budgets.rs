//! Budgets and limits: what is let through, what is refused and how that is told, and what is left afterwards.

use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::stage::{chat, providers, streamed};
use crate::support::answers::{events, healthy, open_stream, refusal};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{Wire, until};

/// Eleven tokens of input and four of output, at [`priced`].
const ANSWER: u64 = 11 * 1_000 + 4 * 10_000;

fn value(name: &str) -> String {
    format!("sk-bf-{name:x<32}")
}

fn priced(upstream: &Upstream) -> Value {
    let mut all = providers(upstream);
    for provider in all.as_object_mut().unwrap().values_mut() {
        provider["pricing_overrides"] = json!([{
            "model_pattern": "*", "match_type": "wildcard",
            "input_cost_per_token": "1000e-9", "output_cost_per_token": "10000e-9",
        }]);
    }
    all
}

fn dollars(nanos: u64) -> Value {
    serde_json::from_str(&format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)).unwrap()
}

fn stage_with(upstream: &Upstream, governance: Value) -> Gateway {
    Gateway::start(&json!({"providers": priced(upstream), "governance": governance}))
}

/// A key `me` with this.
fn stage(more: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(healthy);
    let mut key = json!({"name": "me", "value": value("me")});
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let gateway = stage_with(&upstream, json!({"virtual_keys": [key]}));
    (upstream, gateway)
}

fn request(body: &Value) -> Request {
    Request::json("/v1/chat/completions", body).header("x-bf-vk", &value("me"))
}

fn ask(gateway: &Gateway) -> Response {
    gateway.ask(&request(&chat("oa/m")))
}

fn refused(response: &Response) -> (u16, String) {
    let body = response.json();
    let word = body["error"]["type"].as_str().or_else(|| body["type"].as_str()).unwrap_or_default();
    (response.status(), word.to_owned())
}

fn number(response: &Response, header: &str) -> u64 {
    response.header(header).unwrap_or_else(|| panic!("no {header}")).parse().unwrap()
}

#[test]
fn a_budget_lets_through_what_it_has_and_refuses_in_each_dialect_what_it_has_not() {
    let (upstream, gateway) =
        stage(json!({"budget": {"max_limit": dollars(3 * ANSWER), "reset_duration": "1h"}}));
    for _ in 0..3 {
        assert_eq!(ask(&gateway).status(), 200);
    }
    let response = ask(&gateway);
    assert_eq!(refused(&response), (402, "budget_exceeded".to_owned()));
    let message = response.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("budget exceeded: 0.000153 of 0.000153 dollars used per 1h"), "{message}");
    assert!((3_590..=3_600).contains(&number(&response, "retry-after")), "{message}");
    let anthropic = Request::json("/anthropic/v1/messages", &chat("an/m")).header("x-api-key", &value("me"));
    let response = gateway.ask(&anthropic);
    assert_eq!((response.status(), response.json()["type"].clone()), (402, json!("error")));
    assert_eq!(upstream.hits().len(), 3, "a refused request asks nobody");
    let metrics = gateway.get("/metrics").text();
    let line = r#"bifrost_budget_used_dollars{kind="virtual_key",owner="me",window="1h"} 0.000153"#;
    assert!(metrics.contains(line), "{metrics}");
    let line = r#"bifrost_limit_refused_total{kind="virtual_key",type="budget_exceeded"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn callers_side_by_side_spend_a_budget_to_its_end_and_never_beyond() {
    let (upstream, gateway) =
        stage(json!({"budget": {"max_limit": dollars(20 * ANSWER), "reset_duration": "1h"}}));
    let gateway = Arc::new(gateway);
    let callers = (0..8).map(|_| {
        let gateway = Arc::clone(&gateway);
        thread::spawn(move || (0..10).filter(|_| ask(&gateway).status() == 200).count())
    });
    let callers: Vec<_> = callers.collect();
    let served: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    assert!(served <= 20, "{served}");
    let rest = (0..30).take_while(|_| ask(&gateway).status() == 200).count();
    assert_eq!(served + rest, 20, "what nobody holds any more can be spent");
    assert_eq!(upstream.hits().len(), 20);
}

#[test]
fn a_limit_of_requests_counts_them_tells_what_is_left_and_when_there_is_more() {
    let (_upstream, gateway) =
        stage(json!({"rate_limit": {"request_max_limit": 2, "request_reset_duration": "1h",
            "token_max_limit": 1000, "token_reset_duration": "1m"}}));
    let first = ask(&gateway);
    assert_eq!(first.status(), 200);
    assert_eq!(number(&first, "x-ratelimit-limit-requests"), 2);
    assert_eq!(number(&first, "x-ratelimit-remaining-requests"), 1);
    assert!(first.header("x-ratelimit-reset-requests").unwrap().contains('m'));
    assert_eq!(number(&first, "x-ratelimit-limit-tokens"), 1000);
    let second = gateway.ask(&request(&streamed("oa/m")));
    assert_eq!((second.status(), number(&second, "x-ratelimit-remaining-requests")), (200, 0));
    let third = ask(&gateway);
    assert_eq!(refused(&third), (429, "request_limited".to_owned()));
    assert!((3_590..=3_600).contains(&number(&third, "retry-after")));
    let metrics = gateway.get("/metrics").text();
    for line in [
        r#"bifrost_limit_used{kind="virtual_key",measure="requests",owner="me",window="1h"} 2"#,
        r#"bifrost_limit_used{kind="virtual_key",measure="tokens",owner="me",window="1m"} 30"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn a_limit_of_tokens_is_used_up_by_what_answers_really_had() {
    let (_upstream, gateway) = stage(json!({"rate_limit": {"token_max_limit": 30}}));
    assert_eq!((ask(&gateway).status(), ask(&gateway).status()), (200, 200));
    let response = ask(&gateway);
    assert_eq!(refused(&response), (429, "token_limited".to_owned()));
    assert!((1..=60).contains(&number(&response, "retry-after")));
}

#[test]
fn a_caller_that_leaves_frees_its_place_and_pays_for_what_it_had() {
    let upstream = Upstream::start(|hit| {
        if !hit.streams() {
            return healthy(hit);
        }
        let mut script = open_stream(&events(Wire::OpenAi, hit.model())[..3], std::time::Duration::ZERO);
        script.push(crate::support::upstream::Act::Hold);
        script
    });
    let key = json!({"name": "me", "value": value("me"), "rate_limit": {"max_concurrent_requests": 1},
        "budget": {"max_limit": 1, "reset_duration": "1h"}});
    let gateway = stage_with(&upstream, json!({"virtual_keys": [key]}));
    let mut caller = gateway.connect();
    caller.send(&request(&streamed("oa/m"))).unwrap();
    assert_eq!(caller.read_head().unwrap().status, 200);
    caller.read_until("data:");
    let beside = ask(&gateway);
    assert_eq!(refused(&beside), (429, "rate_limited".to_owned()));
    assert_eq!(number(&beside, "retry-after"), 1);
    drop(caller);
    until("the place to be free", || (ask(&gateway).status() == 200).then_some(()));
    let used = r#"bifrost_budget_used_dollars{kind="virtual_key",owner="me",window="1h"} "#;
    let metrics = gateway.get("/metrics").text();
    let used: f64 = metrics.split(used).nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(used > 0.000_051, "the part that was seen, and a whole answer: {used}");
    let held = r#"bifrost_budget_held_dollars{kind="virtual_key",owner="me",window="1h"} 0"#;
    assert!(metrics.contains(held), "{metrics}");
}

#[test]
fn limits_of_providers_and_models_pass_over_a_step_and_say_so() {
    let upstream = Upstream::start(healthy);
    let gateway = stage_with(
        &upstream,
        json!({
            "providers": [{"name": "oa", "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"}}],
            "model_configs": [{"model_name": "n", "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"}}],
        }),
    );
    let mut body = chat("oa/m");
    body["fallbacks"] = json!(["an/n"]);
    let ask = || gateway.ask(&Request::json("/v1/chat/completions", &body));
    assert_eq!(ask().header("x-bf-provider"), Some("oa"));
    let second = ask();
    assert_eq!((second.status(), second.header("x-bf-provider")), (200, Some("an")));
    let attempts = second.json()["extra_fields"]["attempts"].clone();
    assert_eq!(attempts[0]["outcome"], "request_limited", "{attempts}");
    let third = ask();
    assert_eq!(refused(&third), (429, "request_limited".to_owned()));
    assert!(third.text().contains("provider oa"), "the first one's reason: {}", third.text());
    assert_eq!(upstream.hits().len(), 2);
}

#[test]
fn what_a_provider_refuses_costs_nothing_and_holds_nothing() {
    let upstream = Upstream::start(|hit| refusal(hit, 400, "invalid_request_error", "no", &[]));
    let key = json!({"name": "me", "value": value("me"),
        "budget": {"max_limit": dollars(2 * ANSWER), "reset_duration": "1h"},
        "rate_limit": {"request_max_limit": 4, "request_reset_duration": "1h"}});
    let gateway = stage_with(&upstream, json!({"virtual_keys": [key]}));
    for _ in 0..4 {
        assert_eq!(ask(&gateway).status(), 400);
    }
    assert_eq!(
        refused(&ask(&gateway)),
        (429, "request_limited".to_owned()),
        "they were requests all the same"
    );
    let metrics = gateway.get("/metrics").text();
    assert!(!metrics.contains("bifrost_budget_used_dollars{"), "{metrics}");
}

#[test]
fn a_request_that_nobody_could_be_asked_for_is_none() {
    let upstream = Upstream::start(healthy);
    let key = json!({"name": "me", "value": value("me"),
        "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"}});
    let governance = json!({"virtual_keys": [key],
        "providers": [{"name": "oa", "budget": {"max_limit": 1e-9, "reset_duration": "1h"}}],
        "reservations": "strict"});
    let gateway = stage_with(&upstream, governance);
    let never = ask(&gateway);
    assert_eq!(refused(&never), (402, "budget_exceeded".to_owned()));
    assert_eq!(never.header("retry-after"), None, "waiting does not help");
    assert_eq!(gateway.ask(&request(&chat("an/m"))).status(), 200);
    assert_eq!(refused(&gateway.ask(&request(&chat("an/m")))), (429, "request_limited".to_owned()));
}
