//! Two gateways on one Postgres: what is set at one holds at the other, without a restart and without a Redis.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::services::Postgres;
use crate::support::until;

/// The time within which a change has to be everywhere.
const EVERYWHERE: Duration = Duration::from_secs(2);

fn chat(gateway: &Gateway, key: &str, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-bf-vk", key)).status()
}

fn change(gateway: &Gateway, method: &'static str, path: &str, body: &Value) -> Value {
    let answer = gateway.ask(&Request::json(path, body).method(method));
    assert_eq!(answer.status(), 200, "{method} {path}: {}", answer.text());
    answer.json()
}

#[test]
fn what_is_set_at_one_gateway_holds_at_the_other_within_two_seconds() {
    let Some(postgres) = Postgres::shared() else { return };
    let config = json!({
        "providers": {"mock": {}},
        "client": {"enforce_auth_on_inference": true},
        "governance": {"auth_config": {"is_enabled": false, "allow_remote_without_login": true}},
        "config_store": postgres.config(&postgres.database()),
    });
    let (one, other) = (Gateway::start(&config), Gateway::start(&config));
    let keys = "/api/governance/virtual-keys";
    let made = change(&one, "POST", keys, &json!({"name": "new"}));
    let (id, key) = (&made["virtual_key"]["id"], &made["virtual_key"]["value"]);
    let (id, key) = (id.as_str().unwrap(), key.as_str().unwrap());
    let soon = |what: &str, met: &dyn Fn() -> bool| {
        let since = Instant::now();
        until(what, || met().then_some(()));
        assert!(since.elapsed() < EVERYWHERE, "{what}: {:?}", since.elapsed());
    };
    soon("a new key", &|| chat(&other, key, "mock/echo") == 200);
    let item = format!("{keys}/{id}");
    change(
        &other,
        "PATCH",
        &item,
        &json!({"provider_configs": [{"provider": "mock", "allowed_models": ["echo"]}]}),
    );
    soon("what a key opens", &|| chat(&one, key, "mock/other") == 403);
    assert_eq!(chat(&one, key, "mock/echo"), 200);
    let rule = json!({"name": "r", "cel_expression": "model == \"fast\"", "targets": [{"provider": "mock", "model": "echo"}]});
    change(&one, "POST", "/api/governance/routing-rules", &rule);
    soon("a rule", &|| chat(&other, key, "mock/fast") == 200);
    change(&one, "DELETE", &item, &Value::Null);
    soon("a key that is gone", &|| chat(&other, key, "mock/echo") == 403);
}
