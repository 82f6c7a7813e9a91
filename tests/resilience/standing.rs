//! What is held against whom: keys, targets, providers, and callers that read slowly.

use serde_json::{Value, json};

use crate::rig::{network, provider, request};
use crate::support::answers::{healthy, large_or_late, refusal};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Gate, Upstream};
use crate::support::{Wire, for_each, until};

fn ask(gateway: &Gateway, wire: Wire, model: &str) -> u16 {
    let mut body = request(model, false);
    body["fallbacks"] = json!([]);
    gateway.ask(&Request::json(wire.path(), &body)).status()
}

/// An entry of `/health` by provider, and by key where one is named.
fn entry(gateway: &Gateway, list: &str, provider: &str, key: Option<&str>) -> Value {
    let health = gateway.health();
    let mut entries = health[list].as_array().unwrap().iter();
    let found = entries.find(|e| e["provider"] == provider && key.is_none_or(|key| e["key"] == key));
    found.unwrap_or_else(|| panic!("{provider} in {health}")).clone()
}

#[test]
fn a_401_rested_a_key_that_calls_begun_later_were_accepted_with() {
    for_each(&[Wire::OpenAi, Wire::Anthropic], |wire| {
        let gate = Gate::shut();
        let held = gate.clone();
        let upstream = Upstream::start(move |hit| match hit.model() {
            "odd" => {
                let mut script = vec![Act::Wait(held.clone())];
                script.extend(refusal(hit, 401, "authentication_error", "no such key", &[]));
                script
            }
            _ => healthy(hit),
        });
        let one = provider(wire, &upstream.url(), &["key-a"]);
        let gateway = Gateway::start(&json!({"providers": {"one": one}}));
        std::thread::scope(|scope| {
            let odd = scope.spawn(|| ask(&gateway, wire, "one/odd"));
            upstream.wait_for("the odd one", |hits| (hits.len() == 1).then_some(()));
            assert_eq!(ask(&gateway, wire, "one/m"), 200);
            // Noted by now: the line is written behind it.
            until("the answer to be noted", || {
                (gateway.metric("bifrost_requests_total", &[("provider", "one")]) == 1.0).then_some(())
            });
            gate.open();
            assert_eq!(odd.join().unwrap(), 401);
        });
        assert_eq!(entry(&gateway, "keys", "one", None)["status"], "ready");
        // With nothing that speaks for the key it rests.
        assert_eq!(ask(&gateway, wire, "one/odd"), 401);
        assert_eq!(entry(&gateway, "keys", "one", None)["status"], "cooling");
        // It is the only one, so it is asked all the same: one answer brings it back.
        assert_eq!(ask(&gateway, wire, "one/m"), 200);
        until("the key to be back", || {
            (entry(&gateway, "keys", "one", None)["status"] == "ready").then_some(())
        });
    });
}

#[test]
fn two_providers_whose_keys_have_one_id_shared_their_health() {
    let upstream = Upstream::start(|hit| match hit.key() {
        "bad" => refusal(hit, 401, "invalid_api_key", "no such key", &[]),
        _ => healthy(hit),
    });
    let with = |value: &str| {
        let mut provider = provider(Wire::OpenAi, &upstream.url(), &[value]);
        provider["keys"] = json!([{"id": "main", "name": "main", "value": value}]);
        provider
    };
    let gateway = Gateway::start(&json!({"providers": {"one": with("bad"), "two": with("good")}}));
    assert_eq!(ask(&gateway, Wire::OpenAi, "two/m"), 200);
    assert_eq!(ask(&gateway, Wire::OpenAi, "one/m"), 401);
    assert_eq!(entry(&gateway, "keys", "one", Some("main"))["status"], "cooling");
    assert_eq!(entry(&gateway, "keys", "two", Some("main"))["status"], "ready");
    let in_flight = gateway.metric("bifrost_circuit_state", &[("provider", "two")]);
    assert_eq!(in_flight, 0.0);
}

#[test]
fn a_provider_is_open_when_all_its_targets_are_and_each_is_listed() {
    let upstream = Upstream::start(|hit| match hit.model() {
        "well" => healthy(hit),
        _ => refusal(hit, 500, "server_error", "down", &[]),
    });
    let mut one = provider(Wire::OpenAi, &upstream.url(), &[]);
    one["keys"] = json!([{"name": "main", "value": "very-secret"}]);
    let gateway = Gateway::start(&json!({"providers": {"one": one}}));
    let circuit = || gateway.metric("bifrost_provider_circuit_state", &[("provider", "one")]);
    for model in ["one/ill", "one/worse"] {
        assert_eq!(ask(&gateway, Wire::OpenAi, model), 500);
    }
    assert_eq!(
        (entry(&gateway, "providers", "one", None)["circuit"].clone(), circuit()),
        (json!("open"), 1.0)
    );
    assert_eq!(ask(&gateway, Wire::OpenAi, "one/well"), 200);
    assert_eq!(
        (entry(&gateway, "providers", "one", None)["circuit"].clone(), circuit()),
        (json!("closed"), 0.0)
    );

    let answer = gateway.get("/api/health/targets");
    let listed = answer.json();
    let one =
        listed["providers"].as_array().unwrap().iter().find(|entry| entry["provider"] == "one").unwrap();
    assert_eq!((&one["max_open_requests"], &one["max_waiting"]), (&json!(5000), &json!(5000)), "{one}");
    let targets: Vec<(&str, &str)> = one["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| (target["model"].as_str().unwrap(), target["circuit"].as_str().unwrap()))
        .collect();
    assert_eq!(targets, [("ill", "open"), ("well", "closed"), ("worse", "open")]);
    let well = &one["targets"][1];
    assert!(well["answer_ms"].is_u64() && well["first_token_ms"].is_null(), "{well}");
    assert_eq!(
        (&well["in_flight"], &well["headroom"], &well["faults"]),
        (&json!(0), &json!(1.0), &json!(0.0))
    );
    assert_eq!(one["targets"][0]["cooling"][0]["reason"], "faults");
    for told in [answer.text(), gateway.get("/health").text()] {
        assert!(!told.contains("secret"), "{told}");
    }
    // It is for reading.
    assert_eq!(gateway.ask(&Request::post("/api/health/targets", "{}")).status(), 405);
}

#[test]
fn the_pace_of_an_answer_was_held_against_a_provider_whose_caller_did_not_read() {
    let upstream = Upstream::start(|hit| large_or_late(hit, 600, 20_000));
    let mut one = provider(Wire::OpenAi, &upstream.url(), &["key-a"]);
    one["network_config"] = network(&upstream.url());
    // Within 0.8 s of reading; while nobody reads nothing can come.
    one["network_config"]["min_bytes_per_second"] = json!(500_000);
    let gateway = Gateway::start(&json!({"providers": {"one": one}}));
    let slow: Vec<_> = (0..4)
        .map(|nth| {
            let mut caller = gateway.connect();
            let asked = Request::json("/v1/chat/completions", &request("one/large", true));
            caller.send(&asked.header("x-request-id", &format!("slow-{nth}"))).unwrap();
            caller
        })
        .collect();
    upstream.wait_for("the streams", |hits| (hits.len() == slow.len()).then_some(()));
    assert_eq!(ask(&gateway, Wire::OpenAi, "one/pause"), 200);
    for (nth, mut caller) in slow.into_iter().enumerate() {
        let answer = caller.response().unwrap();
        let line = gateway.request_line(&format!("slow-{nth}"));
        assert_eq!(line["attempts"][0]["outcome"], "success", "{line}");
        assert!(answer.whole && answer.text().contains("[DONE]"), "the stream was ended");
    }
}
