//! Where requests go beside what their model says: rules, aliases, groups, copies.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::stage::{chat, message, provider, providers, streamed};
use crate::support::answers::{USAGE, WORDS, healthy, refusal};
use crate::support::client::{Request, Response};
use crate::support::gateway::{Gateway, run};
use crate::support::told::{Told, attempts};
use crate::support::upstream::{Act, Gate, Upstream};
use crate::support::{Wire, for_each};

/// A healthy upstream behind `oa` and `an`, and a gateway with this `routing`.
fn stage(routing: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({"providers": providers(&upstream), "routing": routing}));
    (upstream, gateway)
}

fn ask(gateway: &Gateway, model: &str) -> Response {
    gateway.ask(&Request::json(Wire::OpenAi.path(), &chat(model)))
}

fn told(dialect: Wire, gateway: &Gateway, request: &Request) -> Told {
    let asked_at = Instant::now();
    Told::new(dialect, gateway.ask(request), asked_at)
}

/// Who answered, as `provider/model`.
fn answered(response: &Response) -> String {
    assert_eq!(response.status(), 200, "{}", response.text());
    let header = |name: &str| response.header(name).unwrap_or_default().to_owned();
    format!("{}/{}", header("x-bf-provider"), header("x-bf-model"))
}

#[test]
fn the_first_rule_that_matches_decides() {
    let (_upstream, gateway) = stage(json!({"rules": [
        {"name": "off", "disabled": true, "targets": [{"model": "oa/never"}]},
        {"name": "free", "when": "headers[\"x-tier\"] == \"free\"", "targets": [{"model": "oa/cheap"}]},
        {"name": "long", "when": "tokens > 200 || stream", "targets": [{"model": "an/long"}]},
        {"name": "anthropic", "when": "provider == \"an\" && model.startsWith(\"claude\")",
            "targets": [{"provider": "oa"}]},
        {"name": "rest", "when": "request_type == \"chat_completion\" && model != \"as-asked\"",
            "targets": [{"model": "oa/rest"}]},
    ]}));
    let plain = Request::json(Wire::OpenAi.path(), &chat("oa/m"));
    let free = Request::json(Wire::OpenAi.path(), &streamed("oa/m")).header("X-Tier", "free");
    let mut long = chat("oa/m");
    long["messages"][0]["content"] = json!("x".repeat(1000));
    for (request, rule, who) in [
        (plain, Some("rest"), "oa/rest"),
        (free, Some("free"), "oa/cheap"),
        (Request::json(Wire::OpenAi.path(), &streamed("oa/m")), Some("long"), "an/long"),
        (Request::json(Wire::Anthropic.path(), &long), Some("long"), "an/long"),
        (Request::json(Wire::Anthropic.path(), &chat("an/claude-x")), Some("anthropic"), "oa/claude-x"),
        (Request::json(Wire::OpenAi.path(), &chat("oa/as-asked")), None, "oa/as-asked"),
    ] {
        let response = gateway.ask(&request);
        assert_eq!(answered(&response), who);
        assert_eq!(response.header("x-bf-rule"), rule);
        let line = gateway.request_line(response.header("x-request-id").unwrap());
        assert_eq!(line.get("rule").and_then(Value::as_str), rule, "{line}");
        if response.header("content-type") == Some("application/json") {
            assert_eq!(response.json()["extra_fields"].get("rule").and_then(Value::as_str), rule);
        }
    }
    assert_eq!(gateway.metric("bifrost_rule_matches_total", &[("rule", "long")]), 2.0);
    assert_eq!(gateway.metric("bifrost_rule_matches_total", &[]), 5.0);
}

#[test]
fn targets_share_the_requests_by_weight_and_a_session_stays_with_one() {
    let (upstream, gateway) = stage(json!({"rules": [{"name": "canary", "targets": [
        {"weight": 0.7}, {"model": "oa/canary", "weight": 0.3}, {"model": "oa/off", "weight": 0},
    ]}]}));
    for_each(&[0; 4], |_| {
        let mut caller = gateway.connect();
        for _ in 0..100 {
            assert_eq!(caller.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m"))).unwrap().status(), 200);
        }
    });
    let mut counts: HashMap<String, i64> = HashMap::new();
    for hit in upstream.hits() {
        *counts.entry(hit.model().to_owned()).or_default() += 1;
    }
    // Five standard deviations: one run in a million fails by chance.
    assert!((counts["canary"] - 120).abs() <= 46 && counts["m"] + counts["canary"] == 400, "{counts:?}");
    let mut seen = HashMap::new();
    for session in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        let request = Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-bf-session-id", session);
        let first = answered(&gateway.ask(&request));
        for _ in 0..3 {
            assert_eq!(answered(&gateway.ask(&request)), first);
        }
        *seen.entry(first).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 2, "sessions are shared too: {seen:?}");
}

#[test]
fn a_rules_fallbacks_stand_before_those_of_the_request() {
    let bad = Upstream::start(|hit| match hit.model() {
        "good" | "last" => healthy(hit),
        _ => refusal(hit, 404, "model_not_found", "gone", &[]),
    });
    let gateway = Gateway::start(&json!({"providers": providers(&bad), "routing": {"rules": [
        {"name": "listed", "when": "model == \"listed\"", "targets": [{"model": "oa/a"}], "fallbacks": ["an/b", "nobody"]},
        {"name": "others", "when": "model == \"others\"",
            "targets": [{"model": "oa/good", "weight": 0.001}, {"model": "oa/a", "weight": 1_000_000}, {"model": "oa/b", "weight": 0.5}]},
        {"name": "none", "when": "model == \"none\"", "targets": [{"model": "oa/a"}, {"model": "oa/b", "weight": 0}],
            "fallbacks": []},
    ]}, "fallbacks": {"order": ["oa/usual"]}}));
    let tried = |model: &str, fallbacks: Option<Value>| {
        let mut body = chat(model);
        if let Some(fallbacks) = fallbacks {
            body["fallbacks"] = fallbacks;
        }
        let response = gateway.ask(&Request::json(Wire::OpenAi.path(), &body));
        // Also where nobody answered.
        assert_eq!(response.header("x-bf-rule"), model.strip_prefix("oa/").filter(|name| *name != "plain"));
        let line = gateway.request_line(response.header("x-request-id").unwrap());
        let models = line["attempts"].as_array().unwrap().iter();
        models.map(|attempt| attempt["model"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tried("oa/listed", Some(json!(["oa/last"]))), ["nobody", "a", "b", "last"]);
    assert_eq!(tried("oa/listed", None), ["nobody", "a", "b"]);
    assert_eq!(tried("oa/others", None), ["a", "b", "good"]);
    assert_eq!(tried("oa/none", None), ["a"]);
    assert_eq!(tried("oa/plain", None), ["plain", "usual"]);
}

#[test]
fn a_rules_limits_of_time_stand_before_the_providers() {
    let slow = Upstream::start(|hit| if hit.model() == "slow" { vec![Act::Hold] } else { healthy(hit) });
    let gateway = Gateway::start(&json!({"providers": providers(&slow), "routing": {"rules": [
        {"name": "hurry", "when": "model == \"slow\"", "fallbacks": ["oa/quick"],
            "timeouts": {"first_byte_in_seconds": 0.2, "ttft_in_seconds": 0.2, "request_in_seconds": 0.2}},
    ]}}));
    let cases = [
        (Wire::OpenAi, "oa/slow", false),
        (Wire::OpenAi, "an/slow", true),
        (Wire::Anthropic, "an/slow", false),
        (Wire::Anthropic, "oa/slow", true),
    ];
    for_each(&cases, |(wire, model, stream)| {
        let body = if stream { streamed(model) } else { chat(model) };
        let told = told(wire, &gateway, &Request::json(wire.path(), &body));
        assert_eq!(told.text(), WORDS.concat());
        assert_eq!(told.response.header("x-bf-model"), Some("quick"));
        // The provider's own limit is thirty seconds.
        assert!(told.took.as_secs() < 10, "{:?}", told.took);
    });
}

#[test]
fn a_rule_pins_a_key_and_a_callers_own_key_does_not_follow_to_another_provider() {
    let upstream = Upstream::start(healthy);
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"] =
        json!([{"name": "one", "value": "first"}, {"id": "two-id", "name": "two", "value": "second"}]);
    let an = provider(Wire::Anthropic, &upstream.url());
    let gateway = Gateway::start(
        &json!({"providers": {"oa": oa, "an": an}, "client": {"allow_direct_keys": true},
        "routing": {"rules": [
            {"name": "named", "when": "key == \"one\"", "targets": [{"model": "an/other"}]},
            {"name": "pin", "when": "model == \"pinned\"", "targets": [{"model": "oa/pinned", "key": "two-id"}]},
            {"name": "away", "when": "model == \"away\"", "targets": [{"model": "an/away"}]},
        ]}}),
    );
    for _ in 0..8 {
        ask(&gateway, "oa/pinned");
    }
    assert!(upstream.hits_for("pinned").iter().all(|hit| hit.key() == "second"));
    let own =
        Request::json(Wire::OpenAi.path(), &chat("oa/away")).header("authorization", "Bearer callers-own");
    assert_eq!(answered(&gateway.ask(&own)), "an/away");
    assert_eq!(upstream.hits_for("away")[0].key(), "provider-key");
    // What names a key of the provider that was asked for means nothing at another.
    let named = Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-bf-api-key", "one");
    assert_eq!(answered(&gateway.ask(&named)), "an/other");
}

#[test]
fn an_alias_is_known_wherever_a_model_is() {
    let (upstream, gateway) =
        stage(json!({"aliases": {"fast": "faster", "faster": "oa/mini", "gpt-4": "an/claude-x"}}));
    for (wire, model, who) in [
        (Wire::OpenAi, "fast", "oa/mini"),
        (Wire::Anthropic, "faster", "oa/mini"),
        (Wire::Anthropic, "gpt-4", "an/claude-x"),
    ] {
        for body in [chat(model), streamed(model)] {
            let told = told(wire, &gateway, &Request::json(wire.path(), &body));
            assert_eq!(told.text(), WORDS.concat());
            assert_eq!(answered(&told.response), who);
            assert_eq!(gateway.request_line(told.id())["model_requested"], model);
        }
    }
    let genai = Request::json(
        "/genai/v1beta/models/fast:generateContent",
        &json!({"contents": [{"parts": [{"text": "Hi"}]}]}),
    );
    assert_eq!(answered(&gateway.ask(&genai)), "oa/mini");
    assert!(upstream.hits().iter().all(|hit| hit.model() == "mini" || hit.model() == "claude-x"));
    let list = gateway.get("/v1/models").json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().filter_map(|entry| entry["id"].as_str()).collect();
    assert!(ids.contains(&"fast") && ids.contains(&"gpt-4"), "{ids:?}");
    assert_eq!(gateway.get("/v1/models/fast").json()["id"], "fast");
}

#[test]
fn a_groups_models_stand_in_for_one_another() {
    let down = Upstream::start(|hit| match hit.model() {
        "down" => refusal(hit, 503, "overloaded_error", "at capacity", &[]),
        _ => healthy(hit),
    });
    let gateway = Gateway::start(&json!({"providers": providers(&down), "routing": {
        "aliases": {"best": "smart"},
        "groups": {"smart": {"targets": [{"model": "oa/down", "weight": 1_000_000}, {"model": "an/up"}, {"model": "oa/spare", "weight": 0}]},
            "calm": {"strategy": "least_inflight", "targets": [{"model": "oa/one"}, {"model": "an/two"}]}},
    }, "fallbacks": {"order": ["calm"]}}));
    let response = ask(&gateway, "best");
    assert_eq!(answered(&response), "an/up");
    let line = gateway.request_line(response.header("x-request-id").unwrap());
    assert_eq!(attempts(&line["attempts"]), ["oa overloaded", "oa overloaded", "an success"]);
    // Once its circuit is open the next model is asked at once.
    for _ in 0..6 {
        ask(&gateway, "smart");
    }
    let response = ask(&gateway, "smart");
    let line = gateway.request_line(response.header("x-request-id").unwrap());
    assert_eq!(attempts(&line["attempts"])[..1], ["an success"], "{line}");
    // As a fallback of the request, and as the usual one.
    let mut body = chat("oa/down");
    body["fallbacks"] = json!(["smart"]);
    assert_eq!(answered(&gateway.ask(&Request::json(Wire::OpenAi.path(), &body))), "an/up");
    assert!(["oa/one", "an/two"].contains(&answered(&ask(&gateway, "oa/down")).as_str()));
    assert_eq!(gateway.get("/v1/models/smart").json()["owned_by"], "bifrost");
    // Calls that run make a model less likely: two at once go to both.
    let held = Upstream::start(|hit| if hit.model() == "one" { vec![Act::Hold] } else { healthy(hit) });
    let gateway = Gateway::start(&json!({"providers": providers(&held), "routing": {"groups": {
        "calm": {"strategy": "least_inflight", "targets": [{"model": "oa/one", "weight": 3}, {"model": "an/two", "weight": 2}]}}}}));
    let mut first = gateway.connect();
    first.send(&Request::json(Wire::OpenAi.path(), &chat("calm"))).unwrap();
    held.wait_for("the first call", |hits| hits.iter().any(|hit| hit.model() == "one").then_some(()));
    assert_eq!(answered(&ask(&gateway, "calm")), "an/two");
}

#[test]
fn the_originals_rules_load_and_match_by_priority() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(
        &json!({"providers": providers(&upstream), "governance": {"routing_rules": [
            {"id": "r-9", "name": "late", "description": "x", "cel_expression": "", "priority": 9, "query": {"rules": []},
                "targets": [{"provider": "oa", "model": "late", "weight": 1}]},
            {"id": "r-1", "cel_expression": "headers[\"x-env\"] != \"prod\" && tokens_used < 80.0", "priority": 1,
                "targets": [{"provider": "an", "weight": 1}]},
            {"id": "r-0", "name": "teams", "cel_expression": "team_name == \"blue\"", "scope": "team", "scope_id": "t",
                "targets": [{"model": "oa/team"}]},
            {"id": "r-2", "enabled": false, "cel_expression": "true", "targets": [{"model": "oa/off"}]},
        ]}}),
    );
    gateway.wait_for_log("the rule matches nobody");
    let late = ask(&gateway, "oa/m");
    assert_eq!((answered(&late).as_str(), late.header("x-bf-rule")), ("oa/late", Some("late")));
    let test = Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-env", "test");
    let test = gateway.ask(&test);
    assert_eq!((answered(&test).as_str(), test.header("x-bf-rule")), ("an/m", Some("r-1")));
}

#[test]
fn a_copy_is_answered_in_the_background_and_told_in_a_line_of_its_own() {
    // Copies are not answered before their callers were.
    let (whole, stream) = (Gate::shut(), Gate::shut());
    let gates = [whole.clone(), stream.clone()];
    let upstream = Upstream::start(move |hit| match hit.model() {
        "shadow" => {
            let gate = gates[usize::from(hit.streams())].clone();
            std::iter::once(Act::Wait(gate)).chain(healthy(hit)).collect()
        }
        "broken" => refusal(hit, 500, "server_error", "no", &[]),
        _ => healthy(hit),
    });
    let gateway = Gateway::start(&json!({"providers": providers(&upstream), "routing": {"rules": [
        {"name": "try", "when": "model == \"m\"", "mirror": {"model": "an/shadow"}},
        {"name": "fail", "when": "model == \"n\"", "mirror": {"model": "oa/broken"}},
        {"name": "mock", "when": "model == \"o\"", "mirror": {"model": "mock/echo"}},
        {"name": "never", "mirror": {"model": "oa/never", "share": 0}},
    ]}}));
    for (mut body, gate) in [(chat("oa/m"), whole), (streamed("oa/m"), stream)] {
        body["fallbacks"] = json!(["oa/other"]);
        let told = told(Wire::OpenAi, &gateway, &Request::json(Wire::OpenAi.path(), &body));
        assert_eq!((told.text(), told.response.header("x-bf-model")), (WORDS.concat(), Some("m")));
        gate.open();
        let line = gateway.wait_for_log(&format!("\"mirror_of\":\"{}\"", told.id()));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["msg"], &line["rule"]), (&json!("copy completed"), &json!("try")), "{line}");
        assert_eq!((&line["provider"], &line["model"]), (&json!("an"), &json!("shadow")));
        assert_eq!(line["tokens"], json!(USAGE.0 + USAGE.1));
        assert_eq!(line["status"], 200);
        assert!(gateway.request_line(told.id()).get("mirror_of").is_none());
    }
    let copies = upstream.hits_for("shadow");
    assert!(copies.len() == 2 && copies.iter().all(|hit| hit.json.get("fallbacks").is_none()));
    assert_eq!(copies[0].json["messages"][0]["content"], "What is the answer?");
    let response = ask(&gateway, "oa/n");
    assert_eq!(answered(&response), "oa/n");
    let line =
        gateway.wait_for_log(&format!("\"mirror_of\":\"{}\"", response.header("x-request-id").unwrap()));
    assert!(line.contains("copy failed") && line.contains("\"status\":500"), "{line}");
    let mocked = ask(&gateway, "oa/o");
    let line = gateway.wait_for_log(&format!("\"mirror_of\":\"{}\"", mocked.header("x-request-id").unwrap()));
    assert!(line.contains("copy completed") && line.contains("\"provider\":\"mock\""), "{line}");
    let last = ask(&gateway, "oa/neither");
    for counted in [&response, &mocked, &last] {
        gateway.request_line(counted.header("x-request-id").unwrap());
    }
    // Copies are in no series but their own, and say nothing of a target's health.
    assert_eq!(gateway.metric("bifrost_requests_total", &[]), 5.0);
    assert_eq!(gateway.metric("bifrost_attempts_total", &[("model", "shadow")]), 0.0);
    assert_eq!(gateway.metric("bifrost_output_tokens_total", &[]), 5.0 * USAGE.1 as f64);
    assert_eq!(
        gateway.metric("bifrost_mirrored_requests_total", &[("rule", "try"), ("outcome", "success")]),
        2.0
    );
    assert_eq!(
        gateway.metric("bifrost_mirrored_requests_total", &[("rule", "fail"), ("outcome", "failed")]),
        1.0
    );
    assert!(upstream.hits_for("never").is_empty());
}

#[test]
fn copies_beyond_the_places_are_dropped_and_those_under_way_hold_up_no_end() {
    let upstream =
        Upstream::start(|hit| if hit.model() == "shadow" { vec![Act::Hold] } else { healthy(hit) });
    let mut gateway = Gateway::start(&json!({"providers": providers(&upstream), "routing": {"rules": [
        {"name": "try", "mirror": {"model": "oa/shadow"}}]}}));
    let mut caller = gateway.connect();
    for _ in 0..40 {
        assert_eq!(caller.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m"))).unwrap().status(), 200);
    }
    let dropped = gateway.metric("bifrost_mirrored_requests_total", &[("outcome", "dropped")]);
    assert_eq!(dropped, 8.0);
    upstream.wait_for("the copies", |hits| {
        (hits.iter().filter(|hit| hit.model() == "shadow").count() == 32).then_some(())
    });
    drop(caller);
    gateway.signal(15);
    assert!(gateway.wait_for_exit().success());
}

#[test]
fn a_condition_without_an_answer_is_told_once_and_counted() {
    let (_upstream, gateway) = stage(json!({"rules": [
        {"name": "odd", "when": "int(headers[\"x-age\"]) > 3", "targets": [{"model": "oa/old"}]}]}));
    let aged =
        |age: &str| gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("x-age", age));
    assert_eq!(answered(&aged("secret-text")), "oa/m");
    assert_eq!(answered(&aged("secret-text")), "oa/m");
    assert_eq!(answered(&aged("7")), "oa/old");
    assert_eq!(answered(&ask(&gateway, "oa/m")), "oa/m");
    assert_eq!(gateway.metric("bifrost_rule_errors_total", &[("rule", "odd")]), 2.0);
    gateway.wait_for_log("the rule \\\"odd\\\" could not say");
    let told = gateway.log().into_iter().filter(|line| line.contains("could not say")).collect::<Vec<_>>();
    assert!(told.len() == 1 && !told[0].contains("secret-text"), "{told:?}");
}

#[test]
fn a_name_that_leads_nowhere_is_not_found_unless_a_rule_has_another() {
    let upstream = Upstream::start(healthy);
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"][0]["models"] = json!(["new"]);
    let gateway = Gateway::start(&json!({"providers": {"oa": oa}, "routing": {"rules": [
        {"name": "known", "when": "model == \"legacy\" && provider == \"\"", "targets": [{"model": "new"}]},
        {"name": "keeps", "when": "model == \"lost\"", "timeouts": {"total_in_seconds": 5}},
    ]}}));
    assert_eq!(answered(&ask(&gateway, "legacy")), "oa/new");
    for model in ["lost", "other"] {
        let missing = ask(&gateway, model);
        assert_eq!(missing.status(), 404, "{}", missing.text());
        assert!(message(&missing).contains("no configured provider has the model"), "{}", missing.text());
    }
}

#[test]
fn a_target_keeps_its_key_where_it_stands_in() {
    let upstream = Upstream::start(|hit| match hit.key() {
        "first" => refusal(hit, 503, "overloaded_error", "at capacity", &[]),
        _ => healthy(hit),
    });
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"] = json!([{"name": "one", "value": "first"}, {"name": "two", "value": "second"},
        {"name": "three", "value": "third"}]);
    let gateway = Gateway::start(&json!({"providers": {"oa": oa}, "routing": {"rules": [
        {"name": "same", "when": "model == \"same\"", "targets": [
            {"model": "oa/same", "key": "one", "weight": 1_000_000}, {"model": "oa/same", "key": "three", "weight": 0.001}]},
        {"name": "other", "when": "model == \"other\"", "targets": [
            {"model": "oa/other", "key": "one", "weight": 1_000_000}, {"model": "oa/stand-in", "key": "three", "weight": 0.001}]},
    ]}}));
    for (model, who) in [("oa/same", "oa/same"), ("oa/other", "oa/stand-in")] {
        for _ in 0..6 {
            // What a caller names of keys does not stand before a rule.
            let request = Request::json(Wire::OpenAi.path(), &chat(model)).header("x-bf-api-key", "two");
            assert_eq!(answered(&gateway.ask(&request)), who);
        }
    }
    assert!(upstream.hits().iter().all(|hit| hit.key() != "second"));
}

#[test]
fn an_alias_beside_a_provider_is_that_providers_model() {
    let (upstream, gateway) = stage(json!({"aliases": {"fast": "oa/mini"}, "groups": {
        "g": {"targets": [{"provider": "oa", "model": "fast"}]}}, "rules": [
        {"name": "sent", "when": "model == \"m\"", "targets": [{"provider": "oa", "model": "fast"}]}]}));
    for model in ["oa/m", "g"] {
        assert_eq!(answered(&ask(&gateway, model)), "oa/mini");
    }
    assert!(upstream.hits().iter().all(|hit| hit.model() == "mini"));
}

#[test]
fn targets_that_nobody_has_are_named_not_the_model_that_was_asked_for() {
    let upstream = Upstream::start(healthy);
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"][0]["models"] = json!(["m"]);
    let gateway = Gateway::start(&json!({"providers": {"oa": oa}, "routing": {
        "groups": {"g": {"targets": [{"model": "gone"}]}},
        "rules": [{"name": "away", "when": "model == \"m\"", "targets": [{"model": "missing"}], "fallbacks": []}]}}));
    for (model, part) in [("oa/m", "missing"), ("g", "gone")] {
        let answer = ask(&gateway, model);
        assert_eq!(answer.status(), 404, "{}", answer.text());
        let told = message(&answer);
        assert!(told.contains(part) && !told.contains("Did you mean oa/m"), "{told}");
        assert!(!told.contains(&format!("Did you mean {model}?")), "{told}");
    }
}

#[test]
fn a_copy_has_no_idempotency_key_of_the_callers_request() {
    let (upstream, gateway) = stage(json!({"rules": [{"name": "try", "mirror": {"model": "oa/shadow"}}]}));
    let request = Request::json(Wire::OpenAi.path(), &chat("oa/m")).header("idempotency-key", "once");
    assert_eq!(gateway.ask(&request).status(), 200);
    upstream.wait_for("the copy", |hits| hits.iter().any(|hit| hit.model() == "shadow").then_some(()));
    assert_eq!(upstream.hits_for("m")[0].header("idempotency-key"), Some("once"));
    assert_eq!(upstream.hits_for("shadow")[0].header("idempotency-key"), None);
}

#[test]
fn check_names_the_place_of_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    let text = r#"
providers: {oa: {custom_provider_config: {base_provider_type: openai}, keys: [{name: one, value: k}], network_config: {base_url: "http://127.0.0.1:1"}}, second: {custom_provider_config: {base_provider_type: openai}, keys: [{name: one, value: k}], network_config: {base_url: "http://127.0.0.1:1"}}}
routing:
  aliases: {a: b, b: a, "oa/x": oa/m, c: anthropic/claude-x, far: second/x}
  groups:
    g: {targets: []}
    h: {targets: [{model: g}]}
  rules:
  - name: first
    when: 'model == "x" && modle == "y"'
    targets: [{model: oa/m, key: on}]
  - name: first
    when: 'stream &&'
    targets: [{provider: ao}, {model: oa/m, weight: 0}]
  - name: last
    targets: [{provider: oa, model: far}, {provider: oa, model: h}, {provider: oa, model: ""}, {model: oa/}]
"#;
    std::fs::write(&file, text).unwrap();
    let (code, out, err) = run(&["check", file.to_str().unwrap()]);
    let all = out + &err;
    assert_eq!(code, Some(2), "{all}");
    for part in [
        "c.yaml:10:11: routing.rules[0].when: column 17 of the expression: modle is no variable that is known here; did you mean model?",
        "c.yaml:13:11: routing.rules[1].when: column 10 of the expression: it ends too soon",
        "routing.rules[0].targets[0].key: oa has no key \"on\"; did you mean \"one\"?",
        "routing.rules[1].name: a rule \"first\" stands before this one",
        "routing.rules[1].targets[0].provider: the provider \"ao\" is not configured; did you mean \"oa\"?",
        "routing.aliases.a: the alias \"a\" ends nowhere",
        "\"oa/x\" is a model of the provider \"oa\"",
        "routing.aliases.c: the provider \"anthropic\" is not configured; add `providers.anthropic`",
        "routing.groups.g.targets: a group needs at least one target",
        "\"g\" is a group: a group has models",
        "routing.rules[2].targets[0].model: the alias \"far\" is a model of second, not of oa",
        "routing.rules[2].targets[1].model: \"h\" is a group, which names its providers itself",
        "routing.rules[2].targets[2].model: the name of the model is empty",
        "routing.rules[2].targets[3].model: no model stands behind \"oa/\"",
    ] {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
}

#[test]
fn check_warns_of_what_may_be_meant_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    let text = r#"
providers: {oa: {custom_provider_config: {base_provider_type: openai}, keys: [{name: one, value: k, models: [ob/listed]}], network_config: {base_url: "http://127.0.0.1:1"}}}
routing:
  aliases: {a: ob/listed, b: meta-llama/x}
  rules:
  - name: last
    fallbacks: [oe/m, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15]
"#;
    std::fs::write(&file, text).unwrap();
    let (code, out, err) = run(&["check", file.to_str().unwrap()]);
    let all = out + &err;
    assert_eq!(code, Some(0), "{all}");
    for part in [
        "routing.rules[0].fallbacks[0]: no provider \"oe\" is configured, so \"oe/m\" is a model's name; did you mean \"oa\"?",
        "routing.rules[0]: at most 16 models are asked for one request: the last are left out",
    ] {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
    assert!(!all.contains("ob/listed") && !all.contains("meta-llama"), "{all}");
}
