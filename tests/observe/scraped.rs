//! The answer to a scrape: its formats, what is in it, who gets it, what it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bifrost::route::endpoint::template;
use bifrost::telemetry::metrics::{Ended, Finished, Metrics, Pauses};
use serde_json::json;

use crate::support::answers::healthy;
use crate::support::client::{Request, Response};
use crate::support::gateway::{Gateway, write_config};
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::traffic::Traffic;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

fn scrape(gateway: &Gateway, accept: &str) -> Response {
    gateway.ask(&Request::get("/metrics").header("accept", accept))
}

/// Names of families, with their kinds.
fn families(text: &str) -> BTreeMap<String, String> {
    let kinds =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter_map(|line| line.split_once(' '));
    kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[test]
fn a_scrape_has_what_is_documented_and_nothing_else() {
    let traffic = Traffic::once();
    let text = scrape(&traffic.gateway, "*/*").text();
    let metrics = Metrics::new().unwrap();
    let documented: BTreeMap<&str, &str> =
        metrics.known().iter().map(|known| (known.name.as_str(), known.kind.name())).collect();
    let found = families(&text);
    for (name, kind) in &found {
        assert_eq!(
            documented.get(name.as_str()),
            Some(&kind.as_str()),
            "{name} is not documented as a {kind}"
        );
    }
    // What this traffic has nothing of.
    let missing: BTreeSet<&str> =
        documented.keys().copied().filter(|name| !found.contains_key(*name)).collect();
    let absent = [
        "bifrost_backend_healthy",
        "bifrost_cache_shadow_hits_total",
        "bifrost_cache_unkept_total",
        "bifrost_cluster_leased",
        "bifrost_mirror_cost_total",
        "bifrost_mirrored_requests_total",
        "bifrost_rule_errors_total",
        "bifrost_rule_matches_total",
        "bifrost_stream_events_skipped_total",
        "bifrost_target_max_open_requests",
    ];
    assert_eq!(missing, BTreeSet::from(absent));
}

#[test]
fn both_formats_tell_the_same_and_openmetrics_leads_to_requests() {
    let traffic = Traffic::once();
    let plain = scrape(&traffic.gateway, "text/plain;version=0.0.4");
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let open = scrape(&traffic.gateway, OPEN_METRICS);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let (plain, open) = (plain.text(), open.text());
    assert!(open.ends_with("\n# EOF\n") && !plain.contains("# EOF"));
    let named: BTreeMap<String, String> = families(&open)
        .into_iter()
        .map(|(name, kind)| if kind == "counter" { (format!("{name}_total"), kind) } else { (name, kind) })
        .collect();
    assert_eq!(named, families(&plain));
    assert!(!plain.contains(" # {"), "the text format has no exemplars");
    // From now on they are kept.
    until("an exemplar", || {
        let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]});
        traffic
            .gateway
            .ask(&Request::json("/v1/chat/completions", &body).header("x-request-id", "look-at-me"));
        let text = scrape(&traffic.gateway, OPEN_METRICS).text();
        text.contains("# {request_id=\"look-at-me\"}").then_some(())
    });
}

#[test]
fn callers_label_their_requests_and_a_reload_changes_the_labels() {
    let traffic = Traffic::once();
    let gateway = &traffic.gateway;
    let count = |labels: &[(&str, &str)]| gateway.metric("bifrost_caller_requests_total", labels);
    assert!(
        count(&[("cost_center", "research"), ("virtual_key_id", "vk-app"), ("team_name", "Search")]) >= 4.0
    );
    assert!(count(&[("cost_center", "research"), ("virtual_key_id", "")]) >= 4.0);
    assert!(gateway.metric("bifrost_caller_cost_total", &[("cost_center", "research")]) > 0.0);
    let text = gateway.get("/metrics").text();
    let elsewhere =
        text.lines().filter(|line| line.contains("cost_center=") && !line.starts_with("bifrost_caller_"));
    assert_eq!(elsewhere.filter(|line| !line.starts_with("bifrost_metric_label_overflow")).count(), 0);

    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(gateway.config_file()).unwrap()).unwrap();
    config["client"]["prometheus_labels"] = json!(["project"]);
    write_config(gateway.folder.path(), &config);
    until("the new label", || {
        let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]});
        gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-bf-dim-project", "p1"));
        (count(&[("project", "p1")]) > 0.0).then_some(())
    });
    assert!(!gateway.get("/metrics").text().contains("cost_center=\"research\""));
}

#[test]
fn http_requests_are_counted_by_route() {
    let upstream = Upstream::start(healthy);
    let network = json!({"base_url": upstream.url()});
    let gateway = Gateway::start(
        &json!({"providers": {"openai": {"keys": [{"name": "k", "value": "k"}], "network_config": network}}}),
    );
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    gateway.ask(&Request::post("/openai/v1/chat/completions?x=1", body.clone()));
    for n in 0..30 {
        gateway.get(&format!("/v1/models/openai/never-heard-of-{n}"));
        gateway.get(&format!("/no/such/path/{n}"));
        gateway.get(&format!("/api/providers/{n}"));
    }
    let document = gateway.get("/openapi.json").json();
    for path in document["paths"].as_object().unwrap().keys() {
        assert_ne!(template(path), "/api/{path}", "{path} has no template");
    }
    let count = |path: &str, method: &str, status: &str| {
        gateway.metric("http_requests_total", &[("path", path), ("method", method), ("status", status)])
    };
    until("all to be counted", || (count("/api/providers/{path}", "GET", "404") >= 30.0).then_some(()));
    assert!((count("/openai/v1/chat/completions", "POST", "200") - 1.0).abs() < 0.1);
    assert!((count("/v1/models/{model}", "GET", "200") - 30.0).abs() < 0.1);
    assert!((count("other", "GET", "404") - 30.0).abs() < 0.1);
    let sum = |name: &str| gateway.metric(name, &[("path", "/openai/v1/chat/completions")]);
    assert!((sum("http_request_size_bytes_sum") - body.len() as f64).abs() < 0.1);
    assert!(sum("http_response_size_bytes_sum") > 100.0);
    assert!((sum("http_request_duration_seconds_count") - 1.0).abs() < 0.1);
}

#[test]
fn attempts_and_what_came_between_them_are_counted() {
    let traffic = Traffic::once();
    let count = |name: &str, labels: &[(&str, &str)]| traffic.gateway.metric(name, labels);
    let retried = [("provider", "openai"), ("reason", "server_error")];
    assert!((count("bifrost_retries_total", &retried) - 1.0).abs() < 0.1);
    let fell = [("from", "broken"), ("to", "openai"), ("reason", "server_error")];
    assert!((count("bifrost_fallbacks_total", &fell) - 1.0).abs() < 0.1);
    let failed =
        [("provider", "openai"), ("model", "gpt-4o"), ("method", "chat_completion"), ("status_code", "500")];
    assert!((count("bifrost_error_requests_total", &failed) - 1.0).abs() < 0.1);
    let all = |name: &str| count(name, &[("model", "gpt-4o")]);
    let (asked, good, bad) = (
        all("bifrost_upstream_requests_total"),
        all("bifrost_success_requests_total"),
        all("bifrost_error_requests_total"),
    );
    assert!((asked - good - bad).abs() < 0.1 && (asked - 2.0).abs() < 0.1, "{asked} = {good} + {bad}");
    assert!((all("bifrost_upstream_latency_seconds_count") - 2.0).abs() < 0.1);
    assert!(
        count(
            "bifrost_key_attempts_total",
            &[("provider", "broken"), ("key", "only"), ("outcome", "server_error")]
        ) >= 1.0
    );
    let model = [("provider", "openai"), ("model", "gpt-4o-mini")];
    assert!(count("bifrost_stream_first_token_latency_seconds_count", &model) >= 1.0);
    assert!(count("bifrost_stream_inter_token_latency_seconds_count", &model) >= 3.0);
    // The healthy stream pauses two milliseconds between its events.
    assert!(count("bifrost_stream_inter_token_latency_seconds_sum", &model) >= 0.006);
    let requests = count("bifrost_attempts_per_request_count", &[]);
    assert!(requests >= 10.0, "{requests}");
}

#[test]
fn scrapes_need_a_login_where_that_is_wanted() {
    let login = json!({"admin_username": "ada", "admin_password": "a long password", "disable_auth_on_inference": true});
    let config = |metrics: bool| {
        let mut login = login.clone();
        login["metrics_require_auth"] = json!(metrics);
        json!({"governance": {"auth_config": login}})
    };
    let gateway = Gateway::start(&config(true));
    let refused = gateway.get("/metrics");
    assert_eq!(refused.status(), 401);
    assert!(!refused.text().contains("# TYPE"));
    let told = |header: &str| {
        gateway.ask(&Request::get("/metrics").header("authorization", header).header("accept", OPEN_METRICS))
    };
    assert_eq!(told("Basic YWRhOndyb25n").status(), 401);
    let scraped = told("Basic YWRhOmEgbG9uZyBwYXNzd29yZA==");
    assert_eq!(scraped.status(), 200);
    assert_eq!(
        scraped.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(scraped.text().contains("bifrost_build_info") && scraped.text().ends_with("# EOF\n"));
    assert_eq!(gateway.get("/health").status(), 200, "the rest is as open as before");

    write_config(gateway.folder.path(), &config(false));
    until("an open door", || (gateway.get("/metrics").status() == 200).then_some(()));
}

/// `cargo test --release --test observe scraped::measured -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn measured_what_a_scrape_of_a_thousand_series_costs() {
    let upstream = Upstream::start(healthy);
    let network = json!({"base_url": upstream.url()});
    let gateway = Gateway::start(
        &json!({"providers": {"openai": {"keys": [{"name": "k", "value": "k"}], "network_config": network}}}),
    );
    let mut caller = gateway.connect();
    for n in 0..40 {
        let body =
            json!({"model": format!("openai/model-{n}"), "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(caller.ask(&Request::json("/v1/chat/completions", &body)).unwrap().status(), 200);
    }
    for accept in ["text/plain", OPEN_METRICS] {
        let mut took = Vec::new();
        let mut size = (0, 0);
        for _ in 0..200 {
            let begin = Instant::now();
            let answer = caller.ask(&Request::get("/metrics").header("accept", accept)).unwrap();
            took.push(begin.elapsed().as_micros());
            let text = answer.text();
            size = (text.lines().filter(|line| !line.starts_with('#')).count(), text.len());
        }
        took.sort_unstable();
        println!("{accept}: {} series, {} bytes, p50 {} us, p99 {} us", size.0, size.1, took[100], took[198]);
    }
}

/// The same way. What a request's end adds to the metrics of attempts and of HTTP, and a stream's pieces to theirs.
#[test]
#[ignore = "measures"]
fn measured_what_counting_costs() {
    let metrics = Metrics::new().unwrap();
    let ended = Ended {
        provider: "openai",
        model: "gpt-4o-mini",
        detail: "gpt-4o-mini",
        method: "chat_completion",
        key: Some("main"),
        outcome: "success",
        status: 200,
        took: Duration::from_millis(300),
        success: Some(true),
    };
    let finished =
        Finished { path: "/v1/chat/completions", status: 200, took: ended.took, sizes: (1_000, 2_000) };
    let each = |what: &str, count: &mut dyn FnMut()| {
        const TIMES: u32 = 200_000;
        let begin = Instant::now();
        (0..TIMES).for_each(|_| count());
        println!("{what}: {} ns", begin.elapsed().as_nanos() / u128::from(TIMES));
    };
    each("an attempt", &mut || metrics.upstream.ended(ended));
    each("an HTTP request", &mut || metrics.http.finished(&http::Method::POST, finished));
    each("the template of a path", &mut || assert_eq!(template("/v1/chat/completions").len(), 20));
    let (mut pauses, now) = (Pauses::default(), Instant::now());
    each("a piece of a stream", &mut || pauses.piece(now));
    each("the end of a stream", &mut || {
        metrics.streams.ended(("openai", "gpt-4o-mini"), Some(ended.took), &pauses)
    });
}
