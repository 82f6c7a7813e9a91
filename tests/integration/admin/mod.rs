//! The administration over HTTP: what it changes holds at once, survives a restart, and is checked as the file is.

mod document;
mod entities;
mod files;
mod keys;

use serde_json::{Value, json};

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;

/// A configuration whose administration is open: the tests' client calls the gateway by a name of its own.
pub fn open(mut config: Value) -> Value {
    config["governance"]["auth_config"] = json!({"is_enabled": false, "allow_remote_without_login": true});
    config
}

/// One provider, the built-in mock, two teams.
pub fn plain() -> Value {
    open(json!({
        "providers": {"mock": {}, "openai": {"keys": [{"name": "main", "value": "sk-proj-0123456789abcdef0123"}]}},
        "governance": {"teams": [{"id": "t1", "name": "One"}, {"id": "t2", "name": "Two"}]},
    }))
}

pub fn ask(gateway: &Gateway, method: &'static str, path: &str, body: &Value) -> Response {
    let request = match body {
        Value::Null => Request::get(path),
        body => Request::json(path, body),
    };
    gateway.ask(&request.method(method))
}

/// The same, which must succeed.
pub fn done(gateway: &Gateway, method: &'static str, path: &str, body: &Value) -> Value {
    let answer = ask(gateway, method, path, body);
    assert_eq!(answer.status(), 200, "{method} {path}: {}", answer.text());
    answer.json()
}

pub fn get(gateway: &Gateway, path: &str) -> Value {
    done(gateway, "GET", path, &Value::Null)
}

/// Status, type and path of a refusal.
pub fn refusal(answer: &Response) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (answer.status(), text("type"), text("path"))
}
