//! What an answer cost: in its head, its `extra_fields`, the log and the metrics, by every source of prices.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::answers::{json_answer, whole};
use crate::support::client::{Request, Response};
use crate::support::gateway::{Gateway, run, write_config, write_text};
use crate::support::upstream::{Hit, Script, Upstream};
use crate::support::{Wire, until};

/// 1,000 input tokens, 200 of them cached, and 100 of output.
fn counted(hit: &Hit) -> Script {
    let mut answer = whole(Wire::OpenAi, hit.model());
    answer["usage"] = json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 200}});
    if let Some(tier) = hit.json["service_tier"].as_str() {
        answer["service_tier"] = tier.into();
    }
    json_answer(200, &[], &answer)
}

fn config(upstream: &Upstream, more: &Value) -> Value {
    let mut config = json!({"providers": {"openai": {"keys": [{"name": "main", "value": "k"}],
        "network_config": {"base_url": upstream.url(), "max_retries": 0}}}});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn asked(gateway: &Gateway, body: Value, id: &str) -> (Response, Value) {
    let mut body = body;
    body["messages"] = json!([{"role": "user", "content": "hi"}]);
    let answer = gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-request-id", id));
    (answer, gateway.request_line(id))
}

/// The numbers as they are written: a float would hide digits.
fn text_of(line: &Value, field: &str) -> String {
    line[field].to_string()
}

#[test]
fn one_number_is_told_by_head_body_log_and_metrics() {
    let upstream = Upstream::start(counted);
    let gateway = Gateway::start(&config(&upstream, &json!({})));
    let (answer, line) = asked(&gateway, json!({"model": "openai/gpt-4o-mini"}), "whole");
    // 800 × $0.15 + 200 × $0.075 + 100 × $0.60, per million
    assert_eq!(answer.header("x-bifrost-cost"), Some("0.000195"));
    let cost = &answer.json()["extra_fields"]["cost"];
    assert_eq!(cost["total_cost"], json!(0.000195));
    assert_eq!(cost["source"], "catalog");
    assert_eq!(
        cost["lines"],
        json!([
            {"what": "input", "quantity": 800, "unit_cost": 0.00000015, "cost": 0.00012},
            {"what": "cache_read", "quantity": 200, "unit_cost": 0.000000075, "cost": 0.000015},
            {"what": "output", "quantity": 100, "unit_cost": 0.0000006, "cost": 0.00006},
        ])
    );
    assert_eq!(text_of(&line, "cost"), "0.000195");
    assert_eq!(line["priced"], Value::Null, "said only where it is not");
    let metric = gateway.metric("bifrost_cost_total", &[("model", "gpt-4o-mini")]);
    assert!((metric - 0.000195).abs() < 1e-12, "{metric}");
    assert_eq!(gateway.metric("bifrost_unpriced_requests_total", &[]), 0.0);
}

#[test]
fn the_tier_of_the_answer_decides_not_the_one_asked_for() {
    let upstream = Upstream::start(counted);
    let gateway = Gateway::start(&config(&upstream, &json!({})));
    for (asked_for, cost) in [("flex", "0.0002025"), ("priority", "0.000729"), ("default", "0.000405")] {
        let body = json!({"model": "openai/gpt-5-mini", "service_tier": asked_for});
        let (answer, _) = asked(&gateway, body, asked_for);
        // gpt-5-mini: 0.25/0.025/2, flex 0.125/0.0125/1, priority 0.45/0.045/3.60
        assert_eq!(answer.header("x-bifrost-cost"), Some(cost), "{asked_for}");
    }
}

#[test]
fn an_unpriced_model_is_seen_and_costs_nothing_known() {
    let upstream = Upstream::start(counted);
    let gateway = Gateway::start(&config(&upstream, &json!({})));
    let (answer, line) = asked(&gateway, json!({"model": "openai/my-own-model"}), "unknown");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("x-bifrost-cost"), None);
    assert_eq!(answer.json()["extra_fields"]["cost"], Value::Null);
    assert_eq!((&line["priced"], &line["cost"]), (&json!(false), &Value::Null));
    let labels = [("provider", "openai"), ("model", "my-own-model")];
    assert_eq!(gateway.metric("bifrost_unpriced_requests_total", &labels), 1.0);
}

#[test]
fn a_denied_model_is_never_asked_and_the_next_one_is() {
    let upstream = Upstream::start(counted);
    let policy = json!({"framework": {"pricing": {"unpriced": {"policy": "deny"}}}});
    let gateway = Gateway::start(&config(&upstream, &policy));
    let (answer, line) = asked(&gateway, json!({"model": "openai/my-own-model"}), "denied");
    assert_eq!(answer.status(), 403);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "model_not_priced");
    assert!(error["message"].as_str().unwrap().contains("openai/my-own-model"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("pricing_overrides"), "{error}");
    assert_eq!(line["status"], 403);
    assert_eq!(upstream.hits().len(), 0);
    let body = json!({"model": "openai/my-own-model", "fallbacks": ["openai/gpt-4o"]});
    let (answer, _) = asked(&gateway, body, "next");
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.hits()[0].model(), "gpt-4o");
}

#[test]
fn a_ceiling_counts_for_what_nobody_knows() {
    let upstream = Upstream::start(counted);
    let ceiling = json!({"policy": "ceiling", "ceiling_per_million_tokens": "12.5"});
    let gateway =
        Gateway::start(&config(&upstream, &json!({"framework": {"pricing": {"unpriced": ceiling}}})));
    let (answer, line) = asked(&gateway, json!({"model": "openai/my-own-model"}), "ceiling");
    // 1,100 tokens at $12.50 per million
    assert_eq!(answer.header("x-bifrost-cost"), Some("0.01375"));
    assert_eq!(answer.json()["extra_fields"]["cost"]["source"], "ceiling");
    assert_eq!((text_of(&line, "cost").as_str(), &line["priced"]), ("0.01375", &json!(false)));
    assert_eq!(gateway.metric("bifrost_unpriced_requests_total", &[]), 1.0);
}

#[test]
fn overrides_of_keys_come_before_those_of_providers_before_the_table() {
    let upstream = Upstream::start(counted);
    let mut config = config(&upstream, &json!({}));
    let provider = &mut config["providers"]["openai"];
    provider["pricing_overrides"] = json!([
        {"model_pattern": "gpt-4o-mini", "input_cost_per_token": 1e-6, "request_types": ["embedding"]},
        {"model_pattern": "gpt-4o-mini", "input_cost_per_token": 1e-6},
        {"model_pattern": "mine-*", "match_type": "wildcard", "input_cost_per_token": "0.000002", "output_cost_per_token": 0},
        {"model_pattern": "^(a|b)-\\d+$", "match_type": "regex", "input_cost_per_request": 0.5},
    ]);
    provider["keys"] = json!([
        {"name": "main", "value": "k", "models": ["gpt-4o-mini", "mine-1", "a-7"]},
        {"name": "cheap", "value": "k2", "models": ["gpt-4o"],
         "pricing_overrides": [{"model_pattern": "*", "match_type": "wildcard", "input_cost_per_token": 0,
            "output_cost_per_token": 0, "cache_read_input_token_cost": 0}]},
    ]);
    let gateway = Gateway::start(&config);
    for (model, cost, source) in [
        // What an override does not name stays: 800 × $1 + 200 × $0.075 + 100 × $0.60, per million
        ("gpt-4o-mini", "0.000875", "provider"),
        ("mine-1", "0.002", "provider"),
        ("a-7", "0.5", "provider"),
        ("gpt-4o", "0", "key"),
    ] {
        let (answer, _) = asked(&gateway, json!({"model": format!("openai/{model}")}), model);
        assert_eq!(answer.header("x-bifrost-cost"), Some(cost), "{model}");
        assert_eq!(answer.json()["extra_fields"]["cost"]["source"], source, "{model}");
    }
}

const TABLE: &str = r#"{"sample_spec": {"litellm_provider": "one of"},
    "gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 0, "max_tokens": 1}}"#;

#[test]
fn a_table_by_url_is_taken_and_the_last_good_one_stays() {
    let prices = Upstream::start(|hit| match hit.nth {
        1 => vec![crate::support::upstream::Act::Send(http(TABLE))],
        _ => json_answer(503, &[], &json!({})),
    });
    let upstream = Upstream::start(counted);
    let url = format!("{}/prices.json?token=secret", prices.url());
    let framework = json!({"pricing": {"pricing_url": url, "pricing_sync_interval": 60}});
    let gateway = Gateway::start(&config(&upstream, &json!({"framework": framework})));
    gateway.wait_for_log("prices of 1 models read from");
    let (answer, _) = asked(&gateway, json!({"model": "openai/gpt-4o-mini"}), "listed");
    // Cached tokens have no price in the table: 1,000 × $1 per million
    assert_eq!(answer.header("x-bifrost-cost"), Some("0.001"));
    assert_eq!(answer.json()["extra_fields"]["cost"]["source"], "table");
    let (answer, _) = asked(&gateway, json!({"model": "openai/gpt-4o"}), "not-listed");
    assert_eq!(answer.json()["extra_fields"]["cost"]["source"], "catalog", "what the table lacks");
    assert!(gateway.log().iter().all(|line| !line.contains("secret")));
}

#[test]
fn a_table_that_cannot_be_had_is_told_once_and_stops_nothing() {
    let prices = Upstream::start(|_| json_answer(503, &[], &json!({})));
    let upstream = Upstream::start(counted);
    let framework = json!({"pricing": {"pricing_url": prices.url()}});
    let gateway = Gateway::start(&config(&upstream, &json!({"framework": framework})));
    gateway.wait_for_log("the server answered with status 503");
    let (answer, _) = asked(&gateway, json!({"model": "openai/gpt-4o-mini"}), "shipped");
    assert_eq!(answer.header("x-bifrost-cost"), Some("0.000195"));
    let told = gateway.log().iter().filter(|line| line.contains("prices could not be read")).count();
    assert_eq!(told, 1);
}

#[test]
fn a_table_in_a_file_counts_from_the_start_and_a_wrong_one_keeps_the_gateway_from_starting() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let upstream = Upstream::start(counted);
    std::fs::write(folder.path().join("prices.json"), TABLE).unwrap();
    let framework = json!({"framework": {"pricing": {"pricing_url": "prices.json"}}});
    write_config(folder.path(), &config(&upstream, &framework));
    let file = folder.path().join("config.json").to_string_lossy().into_owned();
    let gateway = Gateway::launch(Arc::clone(&folder), crate::support::gateway::free_port(), &[], &[]);
    let (answer, _) = asked(&gateway, json!({"model": "openai/gpt-4o-mini"}), "file");
    assert_eq!(answer.header("x-bifrost-cost"), Some("0.001"));

    std::fs::write(folder.path().join("prices.json"), TABLE.replace("1e-06", "-1e-06")).unwrap();
    let (code, out, _) = run(&["check", &file]);
    assert_eq!(code, Some(2));
    assert!(out.contains("framework.pricing.pricing_url"), "{out}");
    assert!(out.contains("openai/gpt-4o-mini: input_cost_per_token: -1e-06 is no price"), "{out}");
    // A running gateway keeps what it has.
    gateway.signal(libc::SIGHUP);
    until("the refusal", || gateway.health()["config"]["last_error"].as_str().map(str::to_owned));
    let (answer, _) = asked(&gateway, json!({"model": "openai/gpt-4o-mini"}), "kept");
    assert_eq!(answer.header("x-bifrost-cost"), Some("0.001"));
}

#[test]
fn the_command_line_tells_what_a_model_costs_and_where_from() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"providers": {"openai": {"keys": [{"value": "k"}],
        "pricing_overrides": [{"model_pattern": "mine", "input_cost_per_token": 2.5e-6}]}}});
    write_text(folder.path(), &config.to_string());
    let file = folder.path().join("config.json").to_string_lossy().into_owned();
    let (code, out, err) = run(&["prices", "gpt-4o-mini", "--config", &file]);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "openai/gpt-4o-mini (from: catalog)",
        "  input: $0.15/M",
        "  input, batch: $0.075/M",
        "shipped table: litellm ",
    ] {
        assert!(out.contains(line), "{line:?} is missing in\n{out}");
    }
    let (_, out, _) = run(&["prices", "mine", "--config", &file]);
    assert!(out.contains("openai/mine (from: provider)\n  input: $2.5/M"), "{out}");
    let (code, _, err) = run(&["prices", "nobody-knows-this", "--config", &file]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no configured provider has a price for nobody-knows-this"), "{err}");
    let (_, out, _) = run(&["prices", "--config", &file]);
    assert!(
        out.lines().any(|line| line == "openai/gpt-4o-mini  input $0.15/M  output $0.6/M  (from: catalog)"),
        "{out}"
    );
}

/// A 200 with this body, whatever its numbers look like.
fn http(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
