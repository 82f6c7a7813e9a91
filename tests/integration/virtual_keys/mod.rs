//! Callers with virtual keys: who is let in, what a key opens, where its requests go, what is told of it.

mod doors;
mod grants;
mod told;

use serde_json::{Value, json};

use crate::stage::{chat, providers};
use crate::support::answers::healthy;
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// A key of this name: `sk-bf-` and the name, padded to the length of a good one.
fn value(name: &str) -> String {
    format!("sk-bf-{name:x<32}")
}

/// A virtual key as it is configured, with what else is said of it.
fn key(name: &str, more: Value) -> Value {
    let mut key = json!({"name": name, "value": value(name)});
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

/// `oa` and `an` at one healthy upstream, with `governance` and these client settings.
fn stage(client: Value, governance: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(healthy);
    let config = json!({"providers": providers(&upstream), "client": client, "governance": governance});
    let gateway = Gateway::start(&config);
    (upstream, gateway)
}

fn ask(gateway: &Gateway, key: &str, model: &str) -> Response {
    ask_with(gateway, key, chat(model))
}

fn ask_with(gateway: &Gateway, key: &str, body: Value) -> Response {
    gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-bf-vk", &value(key)))
}

/// Who answered, as `provider/model`.
fn answered(response: &Response) -> String {
    assert_eq!(response.status(), 200, "{}", response.text());
    let header = |name: &str| response.header(name).unwrap_or_default().to_owned();
    format!("{}/{}", header("x-bf-provider"), header("x-bf-model"))
}

/// The status of a refusal and its word.
fn refused(response: &Response) -> (u16, String) {
    let body = response.json();
    let word = body["error"]["type"].as_str().or_else(|| body["type"].as_str()).unwrap_or_default();
    (response.status(), word.to_owned())
}
