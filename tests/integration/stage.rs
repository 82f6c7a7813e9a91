//! Providers and requests that most tests here use.

use serde_json::{Value, json};

use crate::support::Wire;
use crate::support::answers::{healthy, refusal};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// A provider of `wire` at `url` with one key.
pub fn provider(wire: Wire, url: &str) -> Value {
    let base = match wire {
        Wire::OpenAi => "openai",
        Wire::Anthropic => "anthropic",
    };
    json!({
        "keys": [{"name": "main", "value": "provider-key"}],
        "custom_provider_config": {"base_provider_type": base},
        "network_config": {
            "base_url": url, "max_retries": 1, "retry_backoff_initial": 20, "retry_backoff_max": 100,
        },
    })
}

/// `oa` and `an` at one healthy upstream.
pub fn providers(upstream: &Upstream) -> Value {
    json!({
        "oa": provider(Wire::OpenAi, &upstream.url()),
        "an": provider(Wire::Anthropic, &upstream.url()),
    })
}

/// A healthy upstream and a gateway with [`providers`] and these client settings.
pub fn healthy_stage(client: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({"providers": providers(&upstream), "client": client}));
    (upstream, gateway)
}

/// A gateway whose `bad` refuses twice with 503 before `oa` answers.
pub fn failover_stage(client: Value) -> (Upstream, Upstream, Gateway) {
    let bad = Upstream::start(|hit| refusal(hit, 503, "overloaded_error", "at capacity", &[]));
    let good = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": {"bad": provider(Wire::OpenAi, &bad.url()), "oa": provider(Wire::OpenAi, &good.url())},
        "client": client,
    }));
    (bad, good, gateway)
}

/// A chat in either dialect.
pub fn chat(model: &str) -> Value {
    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "What is the answer?"}]})
}

/// A streamed chat in either dialect.
pub fn streamed(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = json!(true);
    body
}

/// A chat with the model at `oa`.
pub fn plain_chat() -> Request {
    Request::json(Wire::OpenAi.path(), &chat("oa/m"))
}

/// The message of an error, in its dialect's place.
pub fn message(response: &Response) -> String {
    response.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{}", response.text())).to_owned()
}
