//! What a key opens, and where its requests go.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{answered, ask, ask_with, key, refused, stage, value};
use crate::stage::{chat, provider};
use crate::support::Wire;
use crate::support::answers::{healthy, refusal};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

fn grants(list: Value) -> Value {
    json!({"virtual_keys": [key("me", json!({"provider_configs": list}))]})
}

#[test]
fn a_key_opens_the_providers_and_models_of_its_grants_and_no_others() {
    let (upstream, gateway) = stage(
        json!({}),
        grants(
            json!([{"provider": "oa", "allowed_models": ["good", "oa/also"], "blacklisted_models": ["also"]}]),
        ),
    );
    assert_eq!(answered(&ask(&gateway, "me", "oa/good")), "oa/good");
    for (model, word) in [
        ("an/good", "provider_blocked"),
        ("oa/other", "model_blocked"),
        ("oa/also", "model_blocked"),
        ("mock/x", "provider_blocked"),
    ] {
        let response = ask(&gateway, "me", model);
        assert_eq!(refused(&response), (403, word.to_owned()), "{model}");
        let message = response.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("`me`") && !message.contains("sk-bf-"), "{message}");
    }
    assert_eq!(upstream.hits().len(), 1);
}

#[test]
fn absent_lists_open_everything_and_empty_ones_nothing() {
    let keys = json!({"virtual_keys": [
        key("all", json!({})),
        key("none", json!({"provider_configs": []})),
        key("nomodel", json!({"provider_configs": [{"provider": "oa", "allowed_models": []}]})),
        key("nokey", json!({"provider_configs": [{"provider": "oa", "key_ids": []}]})),
        key("star", json!({"provider_configs": [{"provider": "oa", "allowed_models": ["*"], "key_ids": ["*"]}]})),
    ]});
    let (_upstream, gateway) = stage(json!({}), keys);
    assert_eq!(answered(&ask(&gateway, "all", "an/m")), "an/m");
    assert_eq!(answered(&ask(&gateway, "star", "oa/m")), "oa/m");
    for (name, word) in
        [("none", "provider_blocked"), ("nomodel", "model_blocked"), ("nokey", "provider_blocked")]
    {
        assert_eq!(refused(&ask(&gateway, name, "oa/m")), (403, word.to_owned()), "{name}");
    }
}

#[test]
fn fallbacks_that_the_key_does_not_open_are_skipped_and_shown() {
    let bad = Upstream::start(|hit| refusal(hit, 503, "overloaded_error", "at capacity", &[]));
    let good = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": {"bad": provider(Wire::OpenAi, &bad.url()), "oa": provider(Wire::OpenAi, &good.url()),
            "an": provider(Wire::Anthropic, &good.url())},
        "governance": grants(json!([{"provider": "bad"}, {"provider": "oa", "allowed_models": ["fine"]}])),
    }));
    let mut body = chat("bad/m");
    body["fallbacks"] = json!(["an/m", "oa/not", "oa/fine"]);
    let response = ask_with(&gateway, "me", body);
    assert_eq!(answered(&response), "oa/fine");
    let attempts = response.json()["extra_fields"]["attempts"].clone();
    let told: Vec<(&str, &str)> = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["provider"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told[..2], [("an", "provider_blocked"), ("oa", "model_blocked")], "{attempts}");
    assert_eq!(told.last(), Some(&("oa", "success")));
    assert!(good.hits().iter().all(|hit| hit.model() == "fine"));
}

#[test]
fn a_grant_limits_the_provider_keys_that_are_used() {
    let upstream = Upstream::start(healthy);
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"] = json!([
        {"id": "id-1", "name": "first", "value": "first", "weight": 100.0},
        {"id": "id-2", "name": "second", "value": "second", "weight": 0.1},
        {"id": "id-3", "name": "third", "value": "third", "weight": 0.1, "models": ["special"]},
    ]);
    let keys = json!({"virtual_keys": [
        key("byid", json!({"provider_configs": [{"provider": "oa", "key_ids": ["id-2"]}]})),
        key("byname", json!({"provider_configs": [{"provider": "oa", "key_ids": ["third"]}]})),
    ]});
    let gateway = Gateway::start(&json!({"providers": {"oa": oa}, "governance": keys}));
    for _ in 0..10 {
        assert_eq!(answered(&ask(&gateway, "byid", "oa/m")), "oa/m");
    }
    assert!(upstream.hits().iter().all(|hit| hit.key() == "second"));
    assert_eq!(answered(&ask(&gateway, "byname", "oa/special")), "oa/special");
    assert_eq!(upstream.hits().last().unwrap().key(), "third");
    // Others have it, and they are not for this caller.
    assert_eq!(refused(&ask(&gateway, "byname", "oa/m")), (403, "provider_blocked".to_owned()));
    let pinned = Request::json("/v1/chat/completions", &chat("oa/m"))
        .header("x-bf-vk", &value("byid"))
        .header("x-bf-api-key", "first");
    assert_ne!(gateway.ask(&pinned).status(), 200, "a header does not open what the grant does not");
    assert!(upstream.hits().iter().all(|hit| hit.key() != "first"));
}

#[test]
fn a_model_without_a_provider_goes_by_the_weights_of_the_key() {
    let list = json!([
        {"provider": "oa", "weight": 0.75, "allowed_models": ["shared", "rare"]},
        {"provider": "an", "weight": 0.25, "allowed_models": ["shared"]},
        {"provider": "mock", "allowed_models": ["shared"]},
    ]);
    let (_upstream, gateway) = stage(json!({}), grants(list));
    let mut counts: HashMap<String, i64> = HashMap::new();
    for _ in 0..400 {
        *counts.entry(answered(&ask(&gateway, "me", "shared"))).or_default() += 1;
    }
    // Five standard deviations of a binomial of 400 and 0.75.
    assert!((counts["oa/shared"] - 300).abs() <= 44, "{counts:?}");
    assert_eq!(counts["oa/shared"] + counts["an/shared"], 400, "a provider without weight only stands in");
    assert_eq!(answered(&ask(&gateway, "me", "rare")), "oa/rare");
    // With a provider in front there is no choice.
    for _ in 0..10 {
        assert_eq!(answered(&ask(&gateway, "me", "an/shared")), "an/shared");
    }
    // A session stays with one.
    let session = |name: &str| {
        let request = Request::json("/v1/chat/completions", &chat("shared"))
            .header("x-bf-vk", &value("me"))
            .header("x-bf-session-id", name);
        answered(&gateway.ask(&request))
    };
    for name in ["a", "b", "c"] {
        let first = session(name);
        assert!((0..10).all(|_| session(name) == first));
    }
}

#[test]
fn the_keys_other_providers_stand_in_the_heaviest_first_unless_the_request_names_its_own() {
    let bad = Upstream::start(|hit| refusal(hit, 503, "overloaded_error", "at capacity", &[]));
    let good = Upstream::start(healthy);
    let at = |upstream: &Upstream| provider(Wire::OpenAi, &upstream.url());
    let gateway = Gateway::start(&json!({
        "providers": {"bad": at(&bad), "light": at(&good), "heavy": at(&good), "spare": at(&good)},
        "governance": grants(json!([
            {"provider": "spare", "allowed_models": ["shared"]},
            {"provider": "light", "weight": 0.000001, "allowed_models": ["shared"]},
            {"provider": "bad", "weight": 1_000_000, "allowed_models": ["shared"]},
            {"provider": "heavy", "weight": 0.000002, "allowed_models": ["shared"]},
        ])),
    }));
    // The two light ones are picked once in a million times.
    let response = ask(&gateway, "me", "shared");
    assert!(["heavy/shared", "light/shared"].contains(&answered(&response).as_str()));
    let mut body = chat("shared");
    body["fallbacks"] = json!(["spare/shared"]);
    assert_eq!(answered(&ask_with(&gateway, "me", body.clone())), "spare/shared");
    body["fallbacks"] = json!([]);
    assert_eq!(ask_with(&gateway, "me", body).status(), 503);
}

#[test]
fn without_weights_the_usual_provider_answers_if_the_key_opens_it() {
    let upstream = Upstream::start(healthy);
    let mut listing = provider(Wire::OpenAi, &upstream.url());
    listing["keys"][0]["models"] = json!(["listed"]);
    let gateway = Gateway::start(&json!({
        "providers": {"first": listing, "free": provider(Wire::OpenAi, &upstream.url())},
        "governance": {"virtual_keys": [
            key("both", json!({"provider_configs": [{"provider": "free"}, {"provider": "first"}]})),
            key("free", json!({"provider_configs": [{"provider": "free"}]})),
        ]},
    }));
    assert_eq!(answered(&ask(&gateway, "both", "listed")), "first/listed");
    // Whoever lists it is not open to this key; the other may have it.
    assert_eq!(answered(&ask(&gateway, "free", "listed")), "free/listed");
}

#[test]
fn groups_and_rules_lead_only_where_the_key_may_go() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": {"oa": provider(Wire::OpenAi, &upstream.url()), "an": provider(Wire::Anthropic, &upstream.url())},
        "routing": {
            "groups": {"mix": {"targets": [{"model": "an/a", "weight": 1000}, {"model": "oa/b", "weight": 0.001}]}},
            "aliases": {"short": "an/a"},
            "rules": [{"name": "away", "when": "model == 'away'", "targets": [{"model": "an/c"}], "fallbacks": ["oa/d"]}],
        },
        "governance": grants(json!([{"provider": "oa"}])),
    }));
    assert_eq!(answered(&ask(&gateway, "me", "mix")), "oa/b");
    assert_eq!(answered(&ask(&gateway, "me", "oa/away")), "oa/d");
    assert_eq!(refused(&ask(&gateway, "me", "short")), (403, "provider_blocked".to_owned()));
}

#[test]
fn what_is_not_read_needs_a_grant_for_every_model() {
    let keys = json!({"virtual_keys": [
        key("all", json!({"provider_configs": [{"provider": "oa"}]})),
        key("some", json!({"provider_configs": [{"provider": "oa", "allowed_models": ["m"]}]})),
        key("other", json!({"provider_configs": [{"provider": "an"}]})),
    ]});
    let (upstream, gateway) = stage(json!({}), keys);
    let ask = |name: &str| {
        let request = Request::json("/oa_passthrough/v1/things", &json!({})).header("x-bf-vk", &value(name));
        gateway.ask(&request)
    };
    assert_eq!(ask("all").status(), 200);
    assert_eq!(refused(&ask("some")), (403, "model_blocked".to_owned()));
    assert_eq!(refused(&ask("other")), (403, "provider_blocked".to_owned()));
    assert_eq!(upstream.hits().len(), 1);
}

#[test]
fn model_lists_show_a_caller_what_its_key_opens() {
    let upstream = Upstream::start(healthy);
    let with_models = |wire, models: &[&str]| {
        let mut made = provider(wire, &upstream.url());
        made["keys"][0]["models"] = json!(models);
        made
    };
    let gateway = Gateway::start(&json!({
        "providers": {"oa": with_models(Wire::OpenAi, &["one", "two"]), "an": with_models(Wire::Anthropic, &["three"])},
        "routing": {"aliases": {"mine": "oa/one", "theirs": "an/three"}},
        "client": {"enforce_auth_on_inference": true},
        "governance": grants(json!([{"provider": "oa", "blacklisted_models": ["two"]}])),
    }));
    let list = |path: &str| gateway.ask(&Request::get(path).header("x-api-key", &value("me")));
    let ids = |body: Value, list: &str, id: &str| -> Vec<String> {
        body[list].as_array().unwrap().iter().map(|model| model[id].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(list("/v1/models").json(), "data", "id"), ["mine", "oa/one"]);
    assert_eq!(ids(list("/genai/v1beta/models").json(), "models", "name"), ["models/mine", "models/oa/one"]);
    assert_eq!(list("/v1/models/oa/one").status(), 200);
    for hidden in ["oa/two", "an/three", "theirs"] {
        assert_eq!(list(&format!("/v1/models/{hidden}")).status(), 404, "{hidden}");
    }
    assert_eq!(refused(&gateway.get("/v1/models")), (401, "virtual_key_required".to_owned()));
}
