//! Metrics are pushed, and a push gateway that is gone is nobody's trouble.

use serde_json::{Value, json};

use crate::servers::PushGateway;
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, write_config};
use crate::support::until;
use crate::support::upstream::Upstream;

fn config(upstream: &Upstream, push: &Value) -> Value {
    let network = json!({"base_url": upstream.url()});
    json!({
        "providers": {"openai": {"keys": [{"name": "k", "value": "k"}], "network_config": network}},
        "plugins": [{"name": "telemetry", "config": {"push_gateway": push}}],
    })
}

fn ask(gateway: &Gateway) -> u16 {
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]});
    gateway.ask(&Request::json("/openai/v1/chat/completions", &body)).status()
}

fn pushed(gateway: &Gateway, result: &str) -> f64 {
    gateway.metric("bifrost_metrics_pushes_total", &[("result", result)])
}

#[test]
fn a_push_gateway_has_the_metrics_and_may_go_and_come_back() {
    let Some(mut push_gateway) = PushGateway::start() else { return };
    let upstream = Upstream::start(healthy);
    let push = json!({"enabled": true, "push_gateway_url": push_gateway.url(), "job_name": "llm", "instance_id": "node/1",
        "push_interval": 1});
    let gateway = Gateway::start(&config(&upstream, &push));
    assert_eq!(ask(&gateway), 200);
    let has = |push_gateway: &PushGateway, wanted: &str| {
        let text = push_gateway.metrics();
        let line = text.lines().find(|line| line.starts_with(wanted));
        line.filter(|line| line.contains("job=\"llm\"") && line.contains("instance=\"node/1\""))
            .map(str::to_owned)
    };
    let line = until("the metrics to be pushed", || has(&push_gateway, "bifrost_requests_total{"));
    assert!(line.contains("model=\"gpt-4o-mini\"") && line.ends_with(" 1"), "{line}");
    until("the push to be counted", || (pushed(&gateway, "success") >= 1.0).then_some(()));
    assert!(gateway.metric("bifrost_metrics_push_last_success_timestamp_seconds", &[]) > 1.7e9);

    push_gateway.replace(|| {
        until("a push to fail", || (pushed(&gateway, "failure") >= 1.0).then_some(()));
        assert_eq!(ask(&gateway), 200, "requests are served on");
        gateway.wait_for_log("metrics could not be pushed");
    });
    until("the metrics to be there again", || has(&push_gateway, "bifrost_requests_total{"));
    gateway.wait_for_log("the push gateway takes metrics again");
    let said = gateway.log().iter().filter(|line| line.contains("could not be pushed")).count();
    assert!(said <= 2, "said {said} times");
}

#[test]
fn a_push_gateway_that_says_nothing_holds_nobody_up_and_gets_the_login() {
    let silent = Upstream::start(|_| vec![crate::support::upstream::Act::Hold]);
    let upstream = Upstream::start(healthy);
    let push = json!({"push_gateway_url": silent.url(), "push_interval": "1",
        "basic_auth": {"username": "pusher", "password": "env.PUSH_PASSWORD"}});
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    write_config(folder.path(), &config(&upstream, &push));
    let port = crate::support::gateway::free_port();
    let gateway = Gateway::launch(folder, port, &[], &[("PUSH_PASSWORD", "it is secret")]);
    let hit = silent.wait_for("a push", |hits| hits.first().cloned());
    assert_eq!(
        (hit.method.as_str(), hit.header("authorization")),
        ("PUT", Some("Basic cHVzaGVyOml0IGlzIHNlY3JldA=="))
    );
    assert!(hit.path.starts_with("/metrics/job/bifrost/instance/"), "{}", hit.path);
    assert_eq!(ask(&gateway), 200);
    assert_eq!(silent.hits().len(), 1, "one push at a time");
}
