//! Virtual keys that are made, rotated and taken away while requests run.

use serde_json::{Value, json};

use super::{ask, done, get, plain, refusal};
use crate::support::client::Request;
use crate::support::gateway::Gateway;

const KEYS: &str = "/api/governance/virtual-keys";

fn status(gateway: &Gateway, key: &str) -> u16 {
    let body = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "hi"}]});
    gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-bf-vk", key)).status()
}

fn make(gateway: &Gateway, body: &Value) -> (String, String) {
    let made = done(gateway, "POST", KEYS, body);
    let text = |name: &str| made["virtual_key"][name].as_str().unwrap().to_owned();
    (text("id"), text("value"))
}

#[test]
fn a_key_opens_the_door_at_once_and_its_value_is_shown_once() {
    let gateway = Gateway::start(&plain());
    // As the reference prints it.
    let body = json!({
        "name": "x", "description": "",
        "provider_configs": [{"provider": "mock", "weight": 0.5, "allowed_models": ["echo"], "key_ids": ["*"],
            "budget": {"max_limit": 10, "reset_duration": "1d"},
            "rate_limit": {"request_max_limit": 100, "request_reset_duration": "1m"}}],
        "mcp_configs": [{"mcp_client_name": "m", "tools_to_execute": ["*"]}],
        "team_id": null, "customer_id": null,
        "budget": {"max_limit": 10, "reset_duration": "1d"},
        "rate_limit": {"token_max_limit": 100000, "token_reset_duration": "1h"}, "is_active": true,
    });
    let (id, value) = make(&gateway, &body);
    assert!(value.starts_with("sk-bf-") && value.len() > 40, "{value}");
    assert_eq!(status(&gateway, &value), 200);
    let read = get(&gateway, &format!("{KEYS}/{id}"));
    let shown = read["virtual_key"]["value"].as_str().unwrap();
    assert!(shown.starts_with("sk-b*") && shown.ends_with(&value[value.len() - 4..]), "{shown}");
    for path in [KEYS.to_owned(), format!("{KEYS}/{id}"), "/api/changes".to_owned()] {
        let text = get(&gateway, &path).to_string();
        let whole = text.split("value_hash\":\"").skip(1).any(|rest| rest.find('"').unwrap() > 16);
        assert!(!text.contains(&value) && !whole, "{path}: {text}");
    }
    let files = std::fs::read_dir(gateway.folder.path()).unwrap().filter_map(Result::ok);
    for file in files.filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
        assert!(!found, "{} has the key", file.path().display());
    }
}

#[test]
fn a_changed_key_keeps_its_value_and_a_disabled_one_opens_nothing() {
    let gateway = Gateway::start(&plain());
    let (id, value) = make(&gateway, &json!({"name": "k"}));
    let path = format!("{KEYS}/{id}");
    let mut read = get(&gateway, &path)["virtual_key"].clone();
    read["description"] = json!("of mine");
    done(&gateway, "PUT", &path, &read);
    assert_eq!(status(&gateway, &value), 200);
    done(&gateway, "PATCH", &path, &json!({"is_active": false}));
    assert_eq!(status(&gateway, &value), 403);
    done(&gateway, "PATCH", &path, &json!({"is_active": true}));
    assert_eq!(status(&gateway, &value), 200);
    assert_eq!(get(&gateway, &path)["virtual_key"]["description"], "of mine");
    done(&gateway, "DELETE", &path, &Value::Null);
    assert_eq!(status(&gateway, &value), 403);
    assert_eq!(ask(&gateway, "GET", &path, &Value::Null).status(), 404);
}

#[test]
fn a_rotated_key_has_a_new_value_and_the_old_one_lives_as_long_as_was_said() {
    let gateway = Gateway::start(&plain());
    let (id, old) = make(&gateway, &json!({"name": "k"}));
    let rotate = format!("{KEYS}/{id}/rotate");
    let value = |answer: Value| answer["virtual_key"]["value"].as_str().unwrap().to_owned();
    let second = value(done(&gateway, "POST", &rotate, &json!({"grace_period": "1h"})));
    assert_eq!((status(&gateway, &old), status(&gateway, &second)), (200, 200));
    // Another change of it does not end that.
    done(&gateway, "PATCH", &format!("{KEYS}/{id}"), &json!({"description": "d"}));
    assert_eq!(status(&gateway, &old), 200);
    let third = value(done(&gateway, "POST", &rotate, &json!({})));
    assert_eq!((status(&gateway, &second), status(&gateway, &third)), (403, 200));
    let wrong = ask(&gateway, "POST", &rotate, &json!({"grace_period": "soon"}));
    assert_eq!(refusal(&wrong).2, "grace_period");
}

#[test]
fn two_keys_never_have_one_name_nor_one_value() {
    let mut config = plain();
    config["governance"]["virtual_keys"] =
        json!([{"id": "f", "name": "of the file", "value": "sk-bf-0123456789abcdef0123456789"}]);
    let gateway = Gateway::start(&config);
    make(&gateway, &json!({"id": "mine", "name": "k", "value": "sk-bf-abcdefghijklmnopqrstuvwxyz"}));
    for body in [
        json!({"name": "k"}),
        json!({"name": "of the file"}),
        json!({"id": "mine", "name": "other"}),
        json!({"id": "f", "name": "other"}),
        json!({"name": "other", "value": "sk-bf-abcdefghijklmnopqrstuvwxyz"}),
        json!({"name": "other", "value": "sk-bf-0123456789abcdef0123456789"}),
    ] {
        let answer = ask(&gateway, "POST", KEYS, &body);
        assert_eq!(answer.status(), 409, "{body}: {}", answer.text());
    }
    assert_eq!(get(&gateway, KEYS)["total_count"], 2);
}

#[test]
fn lists_are_searched_and_paged() {
    let gateway = Gateway::start(&plain());
    for name in ["alpha", "beta", "gamma"] {
        make(&gateway, &json!({"name": name, "team_id": if name == "beta" { "t1" } else { "t2" }}));
    }
    let names = |query: &str| -> Vec<String> {
        let list = get(&gateway, &format!("{KEYS}?{query}"));
        list["virtual_keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("search=AM"), ["gamma"]);
    assert_eq!(names("team_id=t2"), ["alpha", "gamma"]);
    assert_eq!(names("limit=1&offset=1"), ["beta"]);
    assert_eq!(names("order=desc&limit=2"), ["gamma", "beta"]);
    let wrong = ask(&gateway, "GET", &format!("{KEYS}?limit=x"), &Value::Null);
    assert_eq!(refusal(&wrong).0, 400);
    assert_eq!(refusal(&wrong).1, "invalid_request");
}
