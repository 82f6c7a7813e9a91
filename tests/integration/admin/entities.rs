//! Providers, teams and all that is made, replaced, patched and taken away.

use serde_json::{Value, json};

use super::{ask, done, get, plain, refusal};
use crate::stage::{chat, provider};
use crate::support::Wire;
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

#[test]
fn a_provider_that_is_added_answers_at_once_and_is_gone_when_it_is_taken_away() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&plain());
    let mut body = provider(Wire::OpenAi, &upstream.url());
    body["provider"] = json!("mine");
    let made = done(&gateway, "POST", "/api/providers", &body);
    assert_eq!((made["name"].as_str(), made["source"].as_str()), (Some("mine"), Some("store")));
    let asked = Request::json("/v1/chat/completions", &chat("mine/m"));
    assert_eq!(gateway.ask(&asked).status(), 200);
    assert_eq!(upstream.hits()[0].key(), "provider-key");
    assert_eq!(refusal(&ask(&gateway, "POST", "/api/providers", &body)).0, 409);
    done(&gateway, "DELETE", "/api/providers/mine", &Value::Null);
    assert_ne!(gateway.ask(&asked).status(), 200);
    assert_eq!(upstream.hits().len(), 1);
    assert_eq!(ask(&gateway, "GET", "/api/providers/mine", &Value::Null).status(), 404);
}

#[test]
fn the_originals_typical_body_of_a_provider_is_taken_as_it_is_printed() {
    let gateway = Gateway::start(&plain());
    let body = json!({
        "provider": "groq",
        "keys": [{"name": "k1", "value": "env.GROQ_API_KEY", "models": [], "weight": 1, "enabled": true}],
        "network_config": {"default_request_timeout_in_seconds": 30, "max_retries": 1},
        "concurrency_and_buffer_size": {"concurrency": 1000, "buffer_size": 5000},
        "proxy_config": {"type": "none"},
        "send_back_raw_response": false,
        "custom_provider_config": null,
    });
    let made = done(&gateway, "POST", "/api/providers", &body);
    let value = &made["keys"][0]["value"];
    assert_eq!(*value, json!({"value": "", "env_var": "env.GROQ_API_KEY", "from_env": true}));
    // What was read is sent back, with one change.
    let mut again = get(&gateway, "/api/providers/groq");
    again["network_config"]["max_retries"] = json!(2);
    let kept = done(&gateway, "PUT", "/api/providers/groq", &again);
    assert_eq!(kept["keys"][0]["value"], *value);
    assert_eq!(kept["network_config"]["max_retries"], 2);
}

#[test]
fn a_secret_is_never_sent_out_and_its_mask_sent_back_changes_nothing() {
    let upstream = Upstream::start(healthy);
    let mut config = plain();
    config["providers"]["oa"] = provider(Wire::OpenAi, &upstream.url());
    config["providers"]["oa"]["keys"][0]["value"] = json!("sk-secret-0123456789");
    let gateway = Gateway::start(&config);
    let mut read = get(&gateway, "/api/providers/oa");
    assert_eq!(read["keys"][0]["value"]["value"], "sk-s************************6789");
    read["network_config"]["max_retries"] = json!(0);
    done(&gateway, "PUT", "/api/providers/oa", &read);
    assert_eq!(gateway.ask(&Request::json("/v1/chat/completions", &chat("oa/m"))).status(), 200);
    assert_eq!(upstream.hits()[0].key(), "sk-secret-0123456789");
    // Of no secret here.
    let new = json!({"name": "n", "value": "sk-x************************6789"});
    let refused = ask(&gateway, "POST", "/api/providers/oa/keys", &new);
    assert_eq!(refusal(&refused), (422, "invalid_field".to_owned(), "value".to_owned()));
    for path in ["/api/providers", "/api/providers/oa/keys", "/api/keys", "/api/changes", "/api/config"] {
        let text = get(&gateway, path).to_string();
        assert!(!text.contains("secret-0123456789"), "{path}: {text}");
    }
}

#[test]
fn keys_of_a_provider_are_added_patched_and_taken_away_one_by_one() {
    let gateway = Gateway::start(&plain());
    let keys = "/api/providers/openai/keys";
    let first = get(&gateway, keys)["keys"][0]["id"].clone();
    let body = json!({"name": "spare", "value": "sk-proj-zyxwvutsrq", "weight": 0.5});
    let id = done(&gateway, "POST", keys, &body)["key"]["id"].as_str().unwrap().to_owned();
    let path = format!("{keys}/{id}");
    let patched = done(&gateway, "PATCH", &path, &json!({"models": ["gpt-4o"], "name": "other"}));
    assert_eq!(patched["key"]["weight"], 0.5);
    assert_eq!(patched["key"]["value"]["value"], "sk-p************************vrq".replace("vrq", "tsrq"));
    assert_eq!(refusal(&ask(&gateway, "PATCH", &path, &json!({"weight": -1}))).2, "weight");
    done(&gateway, "DELETE", &path, &Value::Null);
    let left = get(&gateway, keys);
    // The other one is still who it was: what is known of it stays known.
    assert_eq!((left["count"].as_u64(), &left["keys"][0]["id"]), (Some(1), &first));
}

#[test]
fn put_replaces_and_patch_keeps_what_is_not_named() {
    let gateway = Gateway::start(&plain());
    let body =
        json!({"name": "Three", "budget": {"max_limit": 1.5, "reset_duration": "1d"}, "profile": {"x": 1}});
    let made = done(&gateway, "POST", "/api/governance/teams", &body);
    let path = format!("/api/governance/teams/{}", made["team"]["id"].as_str().unwrap());
    let patched = done(&gateway, "PATCH", &path, &json!({"budget": {"max_limit": 2}, "profile": null}));
    assert_eq!(patched["team"]["budget"], json!({"max_limit": 2, "reset_duration": "1d"}));
    assert!(patched["team"].get("profile").is_none());
    let put = done(&gateway, "PUT", &path, &json!({"name": "Three"}));
    assert!(put["team"].get("budget").is_none());
    assert_eq!(put["team"]["id"], made["team"]["id"]);
    assert_eq!(refusal(&ask(&gateway, "PATCH", &path, &json!({"id": "other"}))).2, "id");
}

#[test]
fn a_change_of_a_version_that_was_not_seen_is_refused() {
    let gateway = Gateway::start(&plain());
    let path = "/api/governance/teams/t1";
    let tag = gateway.get(path).header("etag").unwrap().to_owned();
    let rename = |name: &str, tag: &str| {
        let request = Request::json(path, &json!({ "name": name })).method("PATCH").header("if-match", tag);
        gateway.ask(&request)
    };
    let first = rename("One more", &tag);
    assert_eq!(first.status(), 200);
    assert_eq!(rename("Late", &tag).status(), 412);
    assert_eq!(rename("In time", first.header("etag").unwrap()).status(), 200);
    assert_eq!(get(&gateway, path)["team"]["name"], "In time");
}

#[test]
fn settings_are_changed_field_by_field_and_say_who_owns_them() {
    let mut config = plain();
    config["client"] = json!({"max_request_body_size_mb": 50});
    let gateway = Gateway::start(&config);
    done(&gateway, "PATCH", "/api/config", &json!({"client_config": {"drop_excess_requests": true}}));
    let settings = get(&gateway, "/api/config");
    assert_eq!(settings["client_config"]["max_request_body_size_mb"], 50);
    assert_eq!(settings["client_config"]["drop_excess_requests"], true);
    assert_eq!(settings["sources"]["client.drop_excess_requests"], "store");
    assert_eq!(settings["sources"]["client.max_request_body_size_mb"], "file");
    // What was read is sent back: nothing changes hands.
    done(&gateway, "PUT", "/api/config", &settings);
    assert_eq!(get(&gateway, "/api/config")["sources"], settings["sources"]);
    // What is not named is the file's again.
    done(&gateway, "PUT", "/api/config", &json!({"client_config": {"max_request_body_size_mb": 60}}));
    let settings = get(&gateway, "/api/config");
    assert_eq!(settings["client_config"]["max_request_body_size_mb"], 60);
    assert_eq!(settings["client_config"]["drop_excess_requests"], false);
    let wrong =
        ask(&gateway, "PATCH", "/api/config", &json!({"client_config": {"max_request_body_size_mb": 0}}));
    assert_eq!(refusal(&wrong).2, "client.max_request_body_size_mb");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn bad_input_is_refused_with_its_path_and_leaves_nothing_behind() {
    let gateway = Gateway::start(&plain());
    let teams = "/api/governance/teams";
    let keys = "/api/governance/virtual-keys";
    let budget =
        |max: Value, span: &str| json!({"name": "x", "budget": {"max_limit": max, "reset_duration": span}});
    let key = |more: Value| {
        let mut body = json!({"name": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (method, path, body, status, at) in [
        ("POST", teams, budget(json!(-1), "1d"), 422, "budget.max_limit"),
        ("POST", teams, budget(json!(0), "1d"), 422, "budget.max_limit"),
        ("POST", teams, budget(json!("NaN"), "1d"), 422, "budget.max_limit"),
        ("POST", teams, budget(json!(1e30), "1d"), 422, "budget.max_limit"),
        ("POST", teams, budget(json!(1), "0s"), 422, "budget.reset_duration"),
        ("POST", teams, budget(json!(1), "soon"), 422, "budget.reset_duration"),
        ("POST", teams, json!({"name": "One"}), 422, "name"),
        ("POST", teams, json!({"nam": "x"}), 422, "nam"),
        ("POST", teams, json!({"name": "x", "budgte": {}}), 422, "budgte"),
        ("POST", teams, json!({"name": "x", "customer_id": "nobody"}), 422, "customer_id"),
        ("POST", keys, key(json!({"team_id": "t1", "customer_id": "c"})), 422, "customer_id"),
        ("POST", keys, key(json!({"team_id": "nobody"})), 422, "team_id"),
        (
            "POST",
            keys,
            key(json!({"provider_configs": [{"provider": "opnai"}]})),
            422,
            "provider_configs[0].provider",
        ),
        (
            "POST",
            keys,
            key(json!({"rate_limit": {"request_max_limit": 0}})),
            422,
            "rate_limit.request_max_limit",
        ),
        ("POST", keys, key(json!({"expires_at": "soon"})), 422, "expires_at"),
        ("POST", keys, key(json!({"value": "short"})), 422, "value"),
        ("POST", keys, json!({"description": "nameless"}), 422, "name"),
        ("POST", "/api/providers", json!({"provider": "opnai"}), 422, "provider"),
        ("POST", "/api/providers", json!({"keys": []}), 422, "provider"),
        ("PATCH", "/api/providers/openai", json!({"keys": "x"}), 422, "keys"),
        (
            "POST",
            "/api/governance/routing-rules",
            json!({"name": "r", "cel_expression": "model =="}),
            422,
            "cel_expression",
        ),
        (
            "POST",
            "/api/governance/model-configs",
            json!({"model_name": "m", "provider": "opnai"}),
            422,
            "provider",
        ),
    ] {
        let answer = ask(&gateway, method, path, &body);
        let (found, kind, field) = refusal(&answer);
        assert_eq!((found, field.as_str()), (status, at), "{method} {path} {body}: {}", answer.text());
        assert!(!kind.is_empty());
    }
    for (body, kind, status) in [
        ("{\"name\": \"x\"", "application/json", 400),
        ("[1]", "application/json", 400),
        ("", "application/json", 400),
        ("{\"name\": \"x\", \"name\": \"y\"}", "application/json", 400),
        ("{\"name\": \"x\"}", "text/plain", 415),
    ] {
        let mut request = Request::post(teams, body);
        request.headers = vec![("content-type".to_owned(), kind.to_owned())];
        assert_eq!(gateway.ask(&request).status(), status, "{body}");
    }
    assert_eq!(ask(&gateway, "DELETE", "/api/governance/teams/none", &Value::Null).status(), 404);
    assert_eq!(ask(&gateway, "DELETE", teams, &Value::Null).status(), 405);
    assert_eq!(ask(&gateway, "GET", "/api/governance/nothing", &Value::Null).status(), 404);
    assert_eq!(get(&gateway, "/api/changes")["changes"], json!([]));
    assert_eq!(get(&gateway, teams)["count"], 2);
}

#[test]
fn what_others_refer_to_is_not_taken_away() {
    let mut config = plain();
    config["governance"]["virtual_keys"] =
        json!([{"name": "of the file", "team_id": "t1", "value": "sk-bf-0123456789abcdef0123456789"}]);
    let gateway = Gateway::start(&config);
    let of_file = ask(&gateway, "DELETE", "/api/governance/teams/t1", &Value::Null);
    assert_eq!(refusal(&of_file).0, 409, "{}", of_file.text());
    done(&gateway, "POST", "/api/governance/virtual-keys", &json!({"name": "k", "team_id": "t2"}));
    assert_eq!(ask(&gateway, "DELETE", "/api/governance/teams/t2", &Value::Null).status(), 409);
    assert_eq!(get(&gateway, "/api/governance/teams")["count"], 2);
}
