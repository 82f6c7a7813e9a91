//! The request log through the administration: what was asked is found, filtered, exported, removed.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admin::{ask, get, open, refusal};
use crate::stage::{chat, failover_stage, plain_chat, providers, streamed};
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, free_port, write_config};
use crate::support::upstream::Upstream;
use crate::support::{Wire, until};

fn stage() -> (Upstream, Gateway) {
    let upstream = Upstream::start(healthy);
    let config = open(json!({
        "providers": providers(&upstream),
        "governance": {"virtual_keys": [{"id": "vk-1", "name": "blue", "value": "sk-bf-0123456789abcdef"}]},
    }));
    let gateway = Gateway::start(&config);
    (upstream, gateway)
}

/// The log's answer once it has so many requests.
fn logged(gateway: &Gateway, query: &str, count: usize) -> Value {
    until(&format!("{count} requests in the log"), || {
        let answer = ask(gateway, "GET", &format!("/api/logs{query}"), &Value::Null);
        let found = answer.json();
        (found["logs"].as_array().is_some_and(|logs| logs.len() == count)).then_some(found)
    })
}

#[test]
fn a_request_is_in_the_log_with_what_is_known_of_it() {
    let (_upstream, gateway) = stage();
    let request =
        Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-bf-vk", "sk-bf-0123456789abcdef");
    let answer = gateway.ask(&request);
    let id = answer.header("x-request-id").unwrap().to_owned();
    let found = logged(&gateway, "", 1);
    let row = &found["logs"][0];
    for (name, value) in [
        ("id", json!(id)),
        ("object", json!("chat_completion")),
        ("provider", json!("oa")),
        ("model", json!("m")),
        ("model_requested", json!("oa/m")),
        ("status", json!("success")),
        ("status_code", json!(200)),
        ("stream", json!(false)),
        ("selected_key_name", json!("main")),
        ("virtual_key_id", json!("vk-1")),
        ("virtual_key_name", json!("blue")),
        ("number_of_retries", json!(0)),
    ] {
        assert_eq!(row[name], value, "{name}: {row}");
    }
    assert!(row["latency"].as_f64().unwrap() > 0.0 && row["overhead_us"].as_u64().unwrap() > 0);
    let usage = answer.json()["usage"].clone();
    assert_eq!(row["token_usage"]["prompt_tokens"], usage["prompt_tokens"]);
    assert_eq!(row["token_usage"]["completion_tokens"], usage["completion_tokens"]);
    assert_eq!(found["pagination"]["total_count"], 1);
    assert_eq!((&found["has_logs"], &found["complete"]), (&json!(true), &json!(true)));
    assert_eq!(found["stats"]["success_rate"], 100.0);
    let detail = get(&gateway, &format!("/api/logs/{id}"));
    assert_eq!(detail["id"], row["id"]);
    assert_eq!((&detail["content"], &detail["request_body"]), (&json!("not_kept"), &Value::Null));
    assert_eq!(detail["attempt_phases"][0]["outcome"], "success");
    assert_eq!(get(&gateway, &format!("/api/logs/{}", row["number"].as_str().unwrap()))["id"], row["id"]);
    assert_eq!(ask(&gateway, "GET", "/api/logs/nobody", &Value::Null).status(), 404);
}

#[test]
fn filters_pages_and_orders_are_those_of_the_query() {
    let (_upstream, gateway) = stage();
    for n in 0..6 {
        let (wire, model) = if n % 2 == 0 { (Wire::OpenAi, "oa/m") } else { (Wire::Anthropic, "an/c") };
        let body = if n < 2 { streamed(model) } else { chat(model) };
        gateway.ask(&Request::json(wire.path(), &body));
    }
    gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("nobody/m")));
    let all = logged(&gateway, "", 7);
    let times: Vec<&str> =
        all["logs"].as_array().unwrap().iter().map(|row| row["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    for (query, count) in [
        ("?providers=oa", 3),
        ("?providers=oa,an", 6),
        ("?providers=oa&models=c", 0),
        ("?status=error", 1),
        ("?status=success&stream=true", 2),
        ("?status=processing", 0),
        ("?objects=chat_completion_stream", 2),
        ("?min_latency=600000", 0),
        ("?min_tokens=1", 6),
        ("?start_time=2000-01-01T00:00:00Z&end_time=2001-01-01T00:00:00Z", 0),
        ("?dialects=anthropic", 3),
        ("?limit=4&offset=5", 2),
    ] {
        assert_eq!(logged(&gateway, query, count)["logs"].as_array().unwrap().len(), count, "{query}");
    }
    let first = get(&gateway, "/api/logs?limit=3");
    let second =
        get(&gateway, &format!("/api/logs?limit=3&cursor={}", first["next_cursor"].as_str().unwrap()));
    let third =
        get(&gateway, &format!("/api/logs?limit=3&cursor={}", second["next_cursor"].as_str().unwrap()));
    assert_eq!(third["logs"].as_array().unwrap().len(), 1);
    assert_eq!(third["next_cursor"], Value::Null);
    let pages: Vec<&Value> =
        [&first, &second, &third].iter().flat_map(|page| page["logs"].as_array().unwrap()).collect();
    assert_eq!(pages, all["logs"].as_array().unwrap().iter().collect::<Vec<_>>());
    let back =
        format!("/api/logs?limit=3&direction=back&cursor={}", second["previous_cursor"].as_str().unwrap());
    assert_eq!(get(&gateway, &back)["logs"], first["logs"]);
    let slowest = get(&gateway, "/api/logs?sort_by=latency");
    let latencies: Vec<f64> =
        slowest["logs"].as_array().unwrap().iter().map(|row| row["latency"].as_f64().unwrap()).collect();
    assert!(latencies.is_sorted_by(|slower, faster| slower >= faster), "{latencies:?}");
    for (query, kind) in [
        ("?provider=oa", "invalid_request"),
        ("?min_latency=much", "invalid_field"),
        ("?sort_by=colour", "invalid_field"),
        ("?start_time=yesterday", "invalid_field"),
        ("?cursor=x", "invalid_field"),
        ("?limit=5000", "invalid_field"),
    ] {
        let answer = ask(&gateway, "GET", &format!("/api/logs{query}"), &Value::Null);
        assert_eq!(refusal(&answer).1, kind, "{query}: {}", answer.text());
    }
}

#[test]
fn attempts_are_told_with_the_request_that_they_were_made_for() {
    let (_bad, _good, gateway) = failover_stage(json!({}));
    let body =
        json!({"model": "bad/m", "fallbacks": ["oa/m"], "messages": [{"role": "user", "content": "?"}]});
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body));
    assert_eq!(answer.status(), 200);
    let row = logged(&gateway, "?outcomes=failed_over", 1)["logs"][0].clone();
    let outcomes: Vec<&str> =
        row["attempts"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.last(), Some(&"success"), "{row}");
    assert!(outcomes.len() > 1, "{row}");
    assert_eq!((&row["status"], &row["fallback_index"]), (&json!("success"), &json!(1)), "{row}");
}

#[test]
fn an_export_has_every_request_of_the_filter() {
    let (_upstream, gateway) = stage();
    for _ in 0..5 {
        gateway.ask(&plain_chat());
    }
    gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("=cmd()/m")));
    logged(&gateway, "", 6);
    let csv = gateway.get("/api/logs/export?format=csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    assert!(lines[0].starts_with("id,timestamp,status"));
    assert!(text.contains("'=cmd()/m") && !text.contains(",=cmd"), "{text}");
    let text = gateway.get("/api/logs/export?format=jsonl&providers=oa").text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert_eq!(lines[5], json!({"exported": 5, "limited": false}));
    let text = gateway.get("/api/logs/export?format=jsonl&limit=2").text();
    assert_eq!(text.lines().count(), 3);
    assert!(text.ends_with("{\"exported\":2,\"limited\":true}\n"), "{text}");
    assert!(gateway.get("/api/logs/export?limit=2").text().contains("# 2 requests; there are more"));
}

#[test]
fn requests_can_be_removed_and_priced_anew() {
    let (_upstream, gateway) = stage();
    for _ in 0..3 {
        gateway.ask(&plain_chat());
    }
    let rows = logged(&gateway, "", 3)["logs"].clone();
    let ids = json!({"ids": [rows[0]["id"], rows[1]["number"], "nobody"]});
    let answer = ask(&gateway, "DELETE", "/api/logs", &ids);
    assert_eq!((answer.status(), &answer.json()["deleted"]), (200, &json!(2)), "{}", answer.text());
    assert_eq!(logged(&gateway, "", 1)["logs"][0]["id"], rows[2]["id"]);
    assert_eq!(refusal(&ask(&gateway, "DELETE", "/api/logs", &json!({"ids": []}))).1, "invalid_field");
    // Nobody knows a price of `oa/m`.
    let answer = ask(&gateway, "POST", "/api/logs/recalculate-cost", &json!({}));
    assert_eq!(
        (&answer.json()["total_matched"], &answer.json()["updated"]),
        (&json!(1), &json!(0)),
        "{}",
        answer.text()
    );
}

#[test]
fn a_price_that_is_known_later_is_put_into_the_log() {
    let upstream = Upstream::start(healthy);
    let mut config = open(json!({"providers": providers(&upstream)}));
    let gateway = Gateway::start(&config);
    gateway.ask(&plain_chat());
    let row = logged(&gateway, "?missing_cost_only=true", 1)["logs"][0].clone();
    assert_eq!(row["cost"], Value::Null, "{row}");
    config["providers"]["oa"]["pricing_overrides"] = json!([{"model_pattern": "m", "match_type": "exact", "input_cost_per_token": 0.001, "output_cost_per_token": 0.002}]);
    write_config(gateway.folder.path(), &config);
    gateway.signal(1);
    let answer = until("the price to be known", || {
        let answer =
            ask(&gateway, "POST", "/api/logs/recalculate-cost", &json!({"filters": {"providers": ["oa"]}}));
        (answer.json()["updated"] == 1).then_some(answer)
    });
    assert_eq!(answer.json()["remaining"], false);
    let tokens = |name: &str| row["token_usage"][name].as_f64().unwrap();
    let expected = tokens("prompt_tokens") * 0.001 + tokens("completion_tokens") * 0.002;
    let priced = get(&gateway, "/api/logs?sort_by=cost")["logs"][0].clone();
    assert!((priced["cost"].as_f64().unwrap() - expected).abs() < 1e-9, "{priced}");
}

#[test]
fn what_was_asked_last_is_in_the_log_after_a_restart() {
    let upstream = Upstream::start(healthy);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    write_config(folder.path(), &open(json!({"providers": providers(&upstream)})));
    let mut gateway = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[]);
    logged(&gateway, "", 0);
    for _ in 0..20 {
        gateway.ask(&plain_chat());
    }
    gateway.signal(15);
    gateway.wait_for_exit();
    assert!(folder.path().join("bifrost-requests.db").is_file());
    let gateway = Gateway::launch(folder, free_port(), &[], &[]);
    logged(&gateway, "?limit=100", 20);
    let dropped = get(&gateway, "/api/logs/dropped");
    assert_eq!((&dropped["dropped"], &dropped["available"]), (&json!(0), &json!(true)));
}

#[test]
fn without_a_log_nothing_is_kept() {
    let upstream = Upstream::start(healthy);
    for off in [json!({"client": {"enable_logging": false}}), json!({"logs_store": {"enabled": false}})] {
        let mut config = open(json!({"providers": providers(&upstream)}));
        config.as_object_mut().unwrap().extend(off.as_object().unwrap().clone());
        let gateway = Gateway::start(&config);
        gateway.ask(&plain_chat());
        assert_eq!(ask(&gateway, "GET", "/api/logs", &Value::Null).status(), 404);
        assert!(!gateway.folder.path().join("bifrost-requests.db").exists());
    }
}
