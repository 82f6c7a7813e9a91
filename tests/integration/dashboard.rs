//! The numbers of the dashboard are those of the requests that were sent, and outlive the process.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admin::open;
use crate::support::answers::{error_body, events, json_answer, stream, whole};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, free_port, write_config};
use crate::support::upstream::{Hit, Script, Upstream};
use crate::support::{Wire, until};

/// 1,000 input tokens, 200 of them cached, and 100 of output; `bad-…` is refused, the key `worn` is always limited.
fn provider(hit: &Hit) -> Script {
    if hit.key() == "worn" {
        return json_answer(429, &[], &error_body(Wire::OpenAi, "rate_limit_error", "slow down"));
    }
    if hit.model().starts_with("bad") {
        return json_answer(400, &[], &error_body(Wire::OpenAi, "invalid_request_error", "no"));
    }
    if hit.streams() {
        return stream(&events(Wire::OpenAi, hit.model()), std::time::Duration::ZERO);
    }
    let mut answer = whole(Wire::OpenAi, hit.model());
    answer["usage"] = json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 200}});
    json_answer(200, &[], &answer)
}

fn config(upstream: &Upstream) -> Value {
    let provider =
        |keys: Value| json!({"keys": keys, "network_config": {"base_url": upstream.url(), "max_retries": 0}});
    open(json!({
        "providers": {
            "openai": provider(json!([{"name": "main", "value": "k1"}])),
            "groq": provider(json!([{"name": "only", "value": "k2"}])),
            "mistral": provider(json!([{"name": "worn", "value": "worn"}])),
        },
        "governance": {"virtual_keys": [
            {"id": "vk-a", "name": "Anna", "value": "sk-bf-anna-0123456789abcdef0123456789", "team_id": "t1"}],
            "teams": [{"id": "t1", "name": "One"}]},
    }))
}

fn chat(gateway: &Gateway, body: Value, key: Option<&str>) -> u16 {
    let mut body = body;
    body["messages"] = json!([{"role": "user", "content": "hi"}]);
    let request = Request::json("/v1/chat/completions", &body);
    let request = match key {
        Some(key) => request.header("x-bf-vk", key),
        None => request,
    };
    gateway.ask(&request).status()
}

fn get(gateway: &Gateway, path: &str) -> Value {
    let answer = gateway.get(path);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    answer.json()
}

/// Waits until so many requests have been counted.
fn counted(gateway: &Gateway, requests: u64) -> Value {
    until("all requests to be counted", || {
        let stats = get(gateway, "/api/logs/stats");
        (stats["total_requests"] == requests).then_some(stats)
    })
}

fn sum(values: &Value) -> f64 {
    values.as_array().unwrap().iter().filter_map(Value::as_f64).sum()
}

/// Five for OpenAI (one of them by Anna), two for Groq (one a stream), two that are refused, one that fails over.
fn traffic(gateway: &Gateway) {
    for _ in 0..4 {
        assert_eq!(chat(gateway, json!({"model": "openai/gpt-4o-mini"}), None), 200);
    }
    let anna = Some("sk-bf-anna-0123456789abcdef0123456789");
    assert_eq!(chat(gateway, json!({"model": "openai/gpt-4o-mini"}), anna), 200);
    assert_eq!(chat(gateway, json!({"model": "groq/llama-3.3-70b-versatile"}), None), 200);
    assert_eq!(chat(gateway, json!({"model": "groq/llama-3.3-70b-versatile", "stream": true}), None), 200);
    for _ in 0..2 {
        assert_eq!(chat(gateway, json!({"model": "openai/bad-model"}), None), 400);
    }
    let fallbacks = json!({"model": "mistral/mistral-small-latest", "fallbacks": ["openai/gpt-4o-mini"]});
    assert_eq!(chat(gateway, fallbacks, None), 200);
}

/// Six answers by gpt-4o-mini: 800 × $0.15 + 200 × $0.075 + 100 × $0.60, per million.
const MINI: &str = "0.00117";

#[test]
fn the_overview_says_what_was_sent() {
    let upstream = Upstream::start(provider);
    let gateway = Gateway::start(&config(&upstream));
    traffic(&gateway);
    counted(&gateway, 10);
    let overview = get(&gateway, "/api/overview?range=1h");
    let tiles = &overview["tiles"];
    assert_eq!(tiles["requests"]["value"], 10.0);
    assert_eq!(tiles["success_rate"]["value"], 80.0);
    assert_eq!(tiles["requests"]["previous"], 0.0);
    assert_eq!(tiles["requests"]["change"], Value::Null, "there was nothing before");
    assert!(tiles["latency_p95_ms"]["value"].as_f64().unwrap() > 0.0);
    assert!(tiles["first_token_p50_ms"]["value"].as_f64().unwrap() > 0.0);
    assert!(tiles["overhead_p50_us"]["value"].as_f64().unwrap() > 0.0);
    let series = &overview["series"];
    let buckets = series["starts"].as_array().unwrap().len();
    assert_eq!(overview["bucket_seconds"], 60);
    for (name, count) in
        [("success", 7.0), ("failed_over", 1.0), ("client_error", 2.0), ("upstream_error", 0.0)]
    {
        assert_eq!(sum(&series["requests"][name]), count, "{name}");
        assert_eq!(series["requests"][name].as_array().unwrap().len(), buckets);
    }
    assert_eq!(sum(&series["tokens"]["cache_read"]), 7.0 * 200.0);
    let mini =
        series["spend_by_model"].as_array().unwrap().iter().find(|line| line["model"] == "gpt-4o-mini");
    assert_eq!(mini.unwrap()["total"].to_string(), MINI);
    assert_eq!(series["errors"][0]["kind"], "invalid_request");
    assert_eq!(series["errors"][0]["total"], 2);
    let keys = series["keys"].as_array().unwrap();
    let worn = keys.iter().find(|key| key["key"] == "worn").expect("the key that failed has a ribbon");
    assert_eq!((sum(&worn["attempts"]), sum(&worn["failed"])), (1.0, 1.0));
    assert_eq!(overview["annotations"][0]["kind"], "start");
    assert_eq!(overview["complete"], true);
}

#[test]
fn what_needs_attention_is_said_with_the_page_to_go_to() {
    let upstream = Upstream::start(provider);
    let mut config = config(&upstream);
    config["governance"]["virtual_keys"][0]["budgets"] =
        json!([{"max_limit": 0.0002, "reset_duration": "1d"}]);
    let gateway = Gateway::start(&config);
    let anna = Some("sk-bf-anna-0123456789abcdef0123456789");
    assert_eq!(chat(&gateway, json!({"model": "openai/gpt-4o-mini"}), anna), 200);
    assert_eq!(chat(&gateway, json!({"model": "mistral/mistral-small-latest"}), None), 429);
    assert_eq!(chat(&gateway, json!({"model": "openai/a-model-without-a-price"}), None), 200);
    counted(&gateway, 3);
    let overview = get(&gateway, "/api/overview");
    let items = overview["attention"].as_array().unwrap();
    let find = |kind: &str| {
        let found = items.iter().find(|item| item["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {items:#?}")).clone()
    };
    let budget = find("budget");
    assert!(budget["text"].as_str().unwrap().contains("virtual_key:vk-a"), "{budget}");
    assert_eq!((&budget["link"], &overview["tiles"]["budgets_at_risk"]), (&json!("/budgets"), &json!(1)));
    assert_eq!(find("key_resting")["link"], "/providers/mistral");
    assert!(find("unpriced_models")["text"].as_str().unwrap().contains("openai/a-model-without-a-price"));
    let ranks: Vec<usize> = items
        .iter()
        .map(|item| ["error", "warning", "notice"].iter().position(|word| item["severity"] == *word).unwrap())
        .collect();
    assert!(ranks.is_sorted(), "the worst first: {items:#?}");
}

#[test]
fn a_restart_keeps_every_number() {
    let upstream = Upstream::start(provider);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    write_config(folder.path(), &config(&upstream));
    let mut first = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[]);
    traffic(&first);
    let before = counted(&first, 10);
    first.signal(libc::SIGTERM);
    assert!(first.wait_for_exit().success());
    let second = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[]);
    assert_eq!(counted(&second, 10), before);
    assert_eq!(chat(&second, json!({"model": "openai/gpt-4o-mini"}), None), 200);
    let after = counted(&second, 11);
    assert_eq!(after["total_tokens"], before["total_tokens"].as_u64().unwrap() + 1_100);
    let models = get(&second, "/api/logs/histogram/models?period=1h");
    let all: u64 = models["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|bucket| bucket["by_model"]["gpt-4o-mini"]["total"].as_u64())
        .sum();
    assert_eq!(all, 7, "{models}");
    let latency = get(&second, "/api/logs/histogram/latency?period=1h");
    let all: u64 = latency["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|bucket| bucket["total_requests"].as_u64())
        .sum();
    assert_eq!(all, 11);
}

#[test]
fn statistics_take_the_filters_of_the_list_and_say_how_they_were_found() {
    let upstream = Upstream::start(provider);
    let gateway = Gateway::start(&config(&upstream));
    traffic(&gateway);
    counted(&gateway, 10);
    let total = |query: &str| {
        let stats = get(&gateway, &format!("/api/logs/stats?{query}"));
        (stats["total_requests"].as_u64().unwrap(), stats["source"].as_str().unwrap().to_owned())
    };
    let sums = |count| (count, "sums".to_owned());
    assert_eq!(total("providers=openai"), sums(8));
    assert_eq!(total("providers=openai&models=gpt-4o-mini"), sums(6));
    assert_eq!(total("models=gpt-4o-mini,llama-3.3-70b-versatile"), sums(8));
    assert_eq!(total("virtual_key_ids=vk-a"), sums(1));
    assert_eq!(total("team_ids=t1"), sums(1));
    assert_eq!(total("status=error"), sums(2));
    assert_eq!(total("errors=invalid_request&period=1h"), sums(2));
    assert_eq!(total("providers=nobody"), sums(0));
    let stats = get(&gateway, "/api/logs/stats?models=gpt-4o-mini&compare_to_previous=true&period=1h");
    assert_eq!(stats["total_cost"].to_string(), MINI);
    assert_eq!(
        (&stats["has_previous_period"], &stats["previous"]["total_requests"]),
        (&json!(true), &json!(0))
    );
    // What sums do not know is counted in the log, as soon as it is there.
    until("the log to have them", || {
        (total("providers=openai&virtual_key_ids=vk-a") == (1, "log".to_owned())).then_some(())
    });
    until("the log to have them", || (total("min_tokens=1000") == (7, "log".to_owned())).then_some(()));
    let wrong = gateway.get("/api/logs/stats?model=gpt-4o");
    assert_eq!(wrong.status(), 400, "{}", wrong.text());
}

#[test]
fn rankings_and_facets_count_what_was_asked() {
    let upstream = Upstream::start(provider);
    let gateway = Gateway::start(&config(&upstream));
    traffic(&gateway);
    counted(&gateway, 10);
    let rankings = get(&gateway, "/api/logs/rankings");
    let first = &rankings["rankings"][0];
    assert_eq!(
        (&first["model"], &first["provider"], &first["total_requests"]),
        (&json!("gpt-4o-mini"), &json!("openai"), &json!(6))
    );
    assert_eq!(first["trend"]["has_previous_period"], false);
    let keys = get(&gateway, "/api/logs/rankings?dimension=virtual_key");
    assert_eq!((&keys["rankings"][0]["id"], &keys["rankings"][0]["name"]), (&json!("vk-a"), &json!("Anna")));
    let facets = get(&gateway, "/api/logs/filterdata");
    assert_eq!(facets["models"][0], "gpt-4o-mini");
    assert_eq!(facets["counts"]["models"]["gpt-4o-mini"], 6);
    assert_eq!(facets["counts"]["providers"]["openai"], 8);
    assert_eq!(facets["counts"]["status"], json!({"success": 8, "error": 2, "cancelled": 0}));
    assert_eq!(facets["virtual_keys"], json!([{"id": "vk-a", "name": "Anna"}]));
    let keys = facets["selected_keys"].as_array().unwrap();
    assert_eq!(keys.len(), 4, "those that were never used too, and the built-in one: {facets}");
}

#[test]
fn without_a_request_log_sums_are_of_this_process() {
    let upstream = Upstream::start(provider);
    let mut config = config(&upstream);
    config["client"] = json!({"enable_logging": false});
    let gateway = Gateway::start(&config);
    traffic(&gateway);
    counted(&gateway, 10);
    assert_eq!(get(&gateway, "/api/overview")["tiles"]["requests"]["value"], 10.0);
    let combined = gateway.get("/api/logs/stats?providers=openai&virtual_key_ids=vk-a");
    assert_eq!(combined.status(), 409, "{}", combined.text());
}

#[test]
fn every_answer_says_how_long_it_took() {
    let gateway = Gateway::start(&open(json!({"providers": {"mock": {}}})));
    for path in ["/api/version", "/api/overview", "/api/nothing-here"] {
        let answer = gateway.get(path);
        let timings: Vec<&str> = answer
            .head
            .headers
            .iter()
            .filter(|(name, _)| name == "server-timing")
            .map(|(_, value)| value.as_str())
            .collect();
        let total = timings
            .last()
            .and_then(|value| value.strip_prefix("total;dur="))
            .unwrap_or_else(|| panic!("{path}: {timings:?}"));
        assert!(total.parse::<f64>().unwrap() > 0.0);
    }
}
