//! Answers that are given again: to the same request, to equal requests at once, and to nobody else.

mod dialects;
mod flights;
mod kept;

use serde_json::{Value, json};

use crate::stage::{chat, providers};
use crate::support::answers::healthy;
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Hit, Script, Upstream};

/// A gateway whose cache keeps exact answers in memory, over an upstream that answers so.
fn stage_of(
    answer: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    plugin: Value,
    more: Value,
) -> (Upstream, Gateway) {
    let upstream = Upstream::start(answer);
    let mut config = json!({
        "providers": providers(&upstream),
        "vector_store": {"enabled": false},
        "plugins": [{"name": "semantic_cache", "config": plugin}],
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let gateway = Gateway::start(&config);
    (upstream, gateway)
}

fn stage(plugin: Value) -> (Upstream, Gateway) {
    stage_of(healthy, plugin, json!({}))
}

fn asked(key: &str) -> Request {
    of(key, &chat("oa/m"))
}

fn of(key: &str, body: &Value) -> Request {
    Request::json("/v1/chat/completions", body).header("x-bf-cache-key", key)
}

/// `hit` or `miss`.
fn word(response: &Response) -> &str {
    assert_eq!(response.status(), 200, "{}", response.text());
    response.header("x-bf-cache").unwrap_or("none")
}

fn debug(response: &Response) -> Value {
    response.json()["extra_fields"]["cache_debug"].clone()
}
