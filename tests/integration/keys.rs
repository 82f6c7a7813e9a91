//! Provider keys and callers' credentials.

use std::collections::HashMap;

use serde_json::json;

use crate::stage::{chat, healthy_stage, plain_chat, provider};
use crate::support::answers::{healthy, refusal};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{Wire, for_each};

const CREDENTIALS: [(&str, &str, &str); 4] = [
    ("authorization", "Bearer caller-secret", "caller-secret"),
    ("x-api-key", "caller-secret", "caller-secret"),
    ("api-key", "caller-secret", "caller-secret"),
    ("x-goog-api-key", "caller-secret", "caller-secret"),
];

#[test]
fn a_callers_credentials_never_go_upstream() {
    let (upstream, gateway) = healthy_stage(json!({}));
    for (name, value, secret) in CREDENTIALS {
        for (wire, model) in [(Wire::OpenAi, "oa/m"), (Wire::Anthropic, "an/m"), (Wire::OpenAi, "an/m")] {
            let request =
                Request::json(wire.path(), &chat(model)).header(name, value).header("cookie", secret);
            assert_eq!(gateway.ask(&request).status(), 200);
        }
    }
    let hits = upstream.hits();
    assert_eq!(hits.len(), 12);
    for hit in hits {
        assert_eq!(hit.key(), "provider-key");
        let leaked = hit.headers.iter().any(|(_, value)| value.contains("caller-secret"));
        assert!(!leaked, "{:?}", hit.headers);
    }
}

#[test]
fn a_callers_own_key_goes_upstream_when_that_is_allowed() {
    let (upstream, gateway) = healthy_stage(json!({"allow_direct_keys": true}));
    for (nth, (name, value, secret)) in CREDENTIALS.into_iter().enumerate() {
        let model = format!("direct-{nth}");
        for (wire, provider) in [(Wire::OpenAi, "oa"), (Wire::Anthropic, "an")] {
            let body = chat(&format!("{provider}/{model}"));
            assert_eq!(gateway.ask(&Request::json(wire.path(), &body).header(name, value)).status(), 200);
        }
        let keys: Vec<String> = upstream.hits_for(&model).iter().map(|hit| hit.key().to_owned()).collect();
        assert_eq!(keys, [secret, secret], "{name}");
    }
    // A key of the gateway's own is for the gateway, which must know it; without any, the configured one is used.
    let unknown = gateway.ask(&plain_chat().header("authorization", "Bearer sk-bf-virtual"));
    assert_eq!(unknown.status(), 403);
    gateway.ask(&plain_chat());
    assert!(upstream.hits_for("m").iter().all(|hit| hit.key() == "provider-key"));
}

#[test]
fn keys_share_the_traffic_by_weight() {
    let upstream = Upstream::start(healthy);
    let mut weighted = provider(Wire::OpenAi, &upstream.url());
    weighted["keys"] = json!([
        {"name": "half", "value": "half", "weight": 0.5},
        {"name": "left", "value": "left", "weight": 0.25},
        {"name": "right", "value": "right", "weight": 0.25},
    ]);
    let gateway = Gateway::start(&json!({"providers": {"oa": weighted}}));
    for_each(&[0; 4], |_| {
        let mut caller = gateway.connect();
        for _ in 0..100 {
            assert_eq!(caller.ask(&plain_chat()).unwrap().status(), 200);
        }
    });
    let mut counts: HashMap<String, i64> = HashMap::new();
    for hit in upstream.hits() {
        *counts.entry(hit.key().to_owned()).or_default() += 1;
    }
    // Five standard deviations: one run in a million fails by chance.
    assert!((counts["half"] - 200).abs() <= 50, "{counts:?}");
    assert!((counts["left"] - 100).abs() <= 44 && (counts["right"] - 100).abs() <= 44, "{counts:?}");
}

#[test]
fn model_lists_come_in_each_dialect() {
    let upstream = Upstream::start(healthy);
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"][0]["models"] = json!(["small", "large"]);
    let gateway = Gateway::start(&json!({"providers": {"oa": oa}}));
    let openai = ["/v1/models", "/openai/v1/models", "/openai/models"].map(|path| gateway.get(path).json());
    for list in openai {
        assert_eq!(list["object"], "list");
        assert_eq!(
            (&list["data"][0]["id"], &list["data"][1]["id"]),
            (&json!("oa/large"), &json!("oa/small"))
        );
        assert_eq!(list["data"][0]["object"], "model");
        assert_eq!(list["data"][0]["owned_by"], "oa");
    }
    let asked = Request::get("/v1/models").header("anthropic-version", "2023-06-01");
    for list in [gateway.ask(&asked).json(), gateway.get("/anthropic/v1/models").json()] {
        assert_eq!((&list["has_more"], &list["first_id"]), (&json!(false), &json!("oa/large")));
        assert_eq!((&list["data"][1]["id"], &list["data"][1]["type"]), (&json!("oa/small"), &json!("model")));
    }
    let asked = Request::get("/v1/models").header("x-goog-api-client", "google-genai-sdk/3");
    let gemini =
        ["/genai/v1beta/models", "/genai/v1/models", "/v1beta/models"].map(|path| gateway.get(path).json());
    for list in gemini.into_iter().chain([gateway.ask(&asked).json()]) {
        assert_eq!(list["models"][0]["name"], "models/oa/large");
        assert_eq!(list["models"][0]["supportedGenerationMethods"][0], "generateContent");
    }
    let cohere = gateway.get("/cohere/v1/models").json();
    assert_eq!(
        (&cohere["models"][0]["name"], &cohere["models"][0]["endpoints"]),
        (&json!("oa/large"), &json!(["chat"]))
    );
    assert_eq!(gateway.get("/bedrock/foundation-models").json()["modelSummaries"][1]["modelId"], "oa/small");
    assert!(upstream.hits().is_empty(), "a list is no reason to ask a provider");
}

#[test]
fn one_model_is_shown_as_its_dialect_has_it_and_an_unknown_one_is_not_found() {
    let upstream = Upstream::start(healthy);
    let mut oa = provider(Wire::OpenAi, &upstream.url());
    oa["keys"][0]["models"] = json!(["small", "meta-llama/Llama-3"]);
    let any = provider(Wire::OpenAi, &upstream.url());
    let gateway = Gateway::start(&json!({"providers": {"any": any, "oa": oa}}));
    for path in ["/v1/models/oa/small", "/v1/models/oa%2Fsmall", "/openai/models/small"] {
        let model = gateway.get(path).json();
        let seen = (&model["id"], &model["object"], &model["owned_by"]);
        assert_eq!(seen, (&json!("oa/small"), &json!("model"), &json!("oa")), "{path}");
    }
    let unlisted = gateway.get("/v1/models/any/newest").json();
    assert_eq!(unlisted["id"], "any/newest", "a key without a list serves every name");
    let slashes = gateway.get("/v1/models/meta-llama/Llama-3").json();
    assert_eq!(slashes["id"], "oa/meta-llama/Llama-3");
    let asked = Request::get("/v1/models/oa/small").header("anthropic-version", "2023-06-01");
    for model in [gateway.ask(&asked).json(), gateway.get("/anthropic/v1/models/oa/small").json()] {
        assert_eq!((&model["type"], &model["id"]), (&json!("model"), &json!("oa/small")));
    }
    let gemini = gateway.get("/v1beta/models/oa/small").json();
    assert_eq!(gemini["name"], "models/oa/small");
    assert_eq!(
        gateway.get("/bedrock/foundation-models/oa%2Fsmall").json()["modelDetails"]["modelName"],
        "small"
    );

    let unknown = |path: &str| {
        let answer = gateway.get(path);
        assert_eq!(answer.status(), 404, "{path}");
        answer
    };
    assert_eq!(unknown("/v1/models/oa/smal").json()["error"]["code"], "model_not_found");
    let anthropic = unknown("/anthropic/v1/models/nothing");
    assert_eq!(anthropic.json()["error"]["type"], "not_found_error");
    assert_eq!(anthropic.header("request-id"), anthropic.header("x-request-id"));
    assert_eq!(unknown("/v1beta/models/nothing").json()["error"]["status"], "NOT_FOUND");
    let bedrock = unknown("/bedrock/foundation-models/nothing");
    assert_eq!(bedrock.header("x-amzn-errortype"), Some("ResourceNotFoundException"));
    assert!(upstream.hits().is_empty(), "a name is no reason to ask a provider");
}

/// Three keys of one provider, and another provider as fallback.
fn three_keys() -> (Upstream, Gateway) {
    let upstream = Upstream::start(|hit| match (hit.key(), hit.model()) {
        ("b", "broken") => refusal(hit, 400, "context_length_exceeded", "too long", &[]),
        _ => healthy(hit),
    });
    let mut many = provider(Wire::OpenAi, &upstream.url());
    many["keys"] = ["a", "b", "c"]
        .iter()
        .map(|key| json!({"id": format!("id-{key}"), "name": key, "value": key}))
        .collect();
    let gateway = Gateway::start(
        &json!({"providers": {"many": many, "other": provider(Wire::OpenAi, &upstream.url())}}),
    );
    (upstream, gateway)
}

#[test]
fn a_caller_names_the_key() {
    let (upstream, gateway) = three_keys();
    for (nth, (header, value)) in [("x-bf-api-key", "b"), ("x-bf-api-key-id", "id-b")].into_iter().enumerate()
    {
        let model = format!("named-{nth}");
        for _ in 0..10 {
            let request = Request::json("/v1/chat/completions", &chat(&format!("many/{model}")));
            assert_eq!(gateway.ask(&request.header(header, value)).status(), 200);
        }
        assert!(upstream.hits_for(&model).iter().all(|hit| hit.key() == "b"), "{header}");
        assert!(upstream.hits_for(&model).iter().all(|hit| hit.header(header).is_none()), "{header}");
    }
    // The id counts before the name.
    let both = Request::json("/v1/chat/completions", &chat("many/both"));
    gateway.ask(&both.header("x-bf-api-key", "a").header("x-bf-api-key-id", "id-c"));
    assert_eq!(upstream.hits_for("both")[0].key(), "c");
    // Fallbacks have keys of their own.
    let mut body = chat("many/broken");
    body["fallbacks"] = json!(["other/fine"]);
    let answer = gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-bf-api-key", "b"));
    assert_eq!((answer.status(), answer.header("x-bf-provider")), (200, Some("other")));
    for (header, value) in [("x-bf-api-key", "z"), ("x-bf-api-key-id", "b"), ("x-bf-session-id", "")] {
        let refused = gateway.ask(&plain_chat_of("many/m").header(header, value));
        assert_eq!(refused.status(), 400, "{}", refused.text());
        assert_eq!(refused.json()["error"]["param"], header);
    }
}

fn plain_chat_of(model: &str) -> Request {
    Request::json("/v1/chat/completions", &chat(model))
}

#[test]
fn a_session_stays_with_its_key_and_sessions_are_shared() {
    let (upstream, gateway) = three_keys();
    for session in 0..12 {
        let model = format!("session-{session}");
        for _ in 0..5 {
            let request =
                plain_chat_of(&format!("many/{model}")).header("x-bf-session-id", &format!("s{session}"));
            assert_eq!(gateway.ask(&request).status(), 200);
        }
        let hits = upstream.hits_for(&model);
        assert!(hits.iter().all(|hit| hit.key() == hits[0].key()), "session {session} moved");
    }
    let used: std::collections::HashSet<String> =
        upstream.hits().iter().map(|hit| hit.key().to_owned()).collect();
    assert_eq!(used.len(), 3, "{used:?}");
}

#[test]
fn the_cheapest_deployment_of_a_model_is_asked_first() {
    let upstream = Upstream::start(healthy);
    let key = |name: &str, model: &str| json!({"name": name, "value": name, "weight": 1, "aliases": {"chat": model}});
    let gateway = Gateway::start(&json!({"providers": {"openai": {
        "strategy": "cost",
        "keys": [key("dear", "gpt-4o"), key("cheap", "gpt-4o-mini"), key("unknown", "my-own-model")],
        "network_config": {"base_url": upstream.url()},
    }}}));
    for _ in 0..20 {
        assert_eq!(gateway.ask(&Request::json("/v1/chat/completions", &chat("openai/chat"))).status(), 200);
    }
    let asked: Vec<String> =
        upstream.hits().iter().map(|hit| format!("{} {}", hit.key(), hit.model())).collect();
    assert_eq!(asked, vec!["cheap gpt-4o-mini"; 20]);
}
