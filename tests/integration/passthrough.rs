//! `/openai_passthrough/*` and its relatives: a provider's whole API with our key.

use std::time::SystemTime;

use bifrost::config::snapshot::Secret;
use bifrost::credential::sigv4::PathForm;
use bifrost::credential::sigv4_verify::{AccessKey, Incoming, body_sha256, verify};
use serde_json::json;

use crate::stage::provider;
use crate::support::Wire;
use crate::support::answers::{head, json_answer};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Upstream};

/// Says what it was asked; a path of `gone` is an error of its own making.
fn echo(hit: &Hit) -> Vec<Act> {
    if hit.path.contains("gone") {
        return json_answer(410, &[("x-own", "1")], &json!({"strange": "error"}));
    }
    if hit.path.contains("bytes") {
        let head = head(200, &[("content-type", "application/octet-stream"), ("content-length", "4")]);
        if hit.method == "HEAD" {
            return vec![Act::Send(head)];
        }
        return vec![Act::Send(head), Act::Send(vec![0, 159, 146, 150])];
    }
    let told = json!({"method": hit.method, "path": hit.path, "body": String::from_utf8_lossy(&hit.body)});
    json_answer(200, &[], &told)
}

fn stage() -> (Upstream, Gateway) {
    let upstream = Upstream::start(echo);
    let openai = provider(Wire::OpenAi, &upstream.url());
    let other = provider(Wire::OpenAi, &format!("{}/base", upstream.url()));
    let gateway = Gateway::start(&json!({
        "providers": {"openai": openai, "other": other},
        "governance": {"virtual_keys": [{"name": "caller", "value": "secret"}]},
    }));
    (upstream, gateway)
}

#[test]
fn any_method_and_path_go_to_the_provider_with_its_key() {
    let (upstream, gateway) = stage();
    for (method, body) in [("GET", ""), ("POST", "not json"), ("DELETE", ""), ("PUT", "x"), ("PATCH", "{}")] {
        let request = Request::post("/openai_passthrough/v1/files/f-1?limit=2", body)
            .method(method)
            .header("authorization", "Bearer callers-own")
            .header("x-bf-vk", "secret")
            .header("openai-beta", "assistants=v2");
        let answer = gateway.ask(&request);
        assert_eq!(answer.status(), 200, "{method}: {}", answer.text());
        assert_eq!(answer.json()["method"], method);
        assert_eq!(answer.json()["path"], "/v1/files/f-1?limit=2");
        assert_eq!(answer.json()["body"], body);
        assert!(answer.header("x-request-id").is_some());
    }
    for hit in upstream.hits() {
        assert_eq!(hit.header("authorization"), Some("Bearer provider-key"));
        assert_eq!(hit.header("openai-beta"), Some("assistants=v2"));
        assert_eq!(hit.header("content-type"), Some("application/json"));
        assert!(hit.header("x-bf-vk").is_none());
    }
}

#[test]
fn a_response_in_the_background_was_paid_and_could_not_be_fetched() {
    let (upstream, gateway) = stage();
    for (method, path, at) in [
        ("GET", "/v1/responses/resp_1?include=x", "/v1/responses/resp_1?include=x"),
        ("DELETE", "/openai/v1/responses/resp_1", "/v1/responses/resp_1"),
        ("POST", "/litellm/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel"),
        ("GET", "/openai/responses/resp_1/input_items", "/v1/responses/resp_1/input_items"),
    ] {
        let answer = gateway.ask(&Request::post(path, "").method(method));
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        assert_eq!((&answer.json()["method"], &answer.json()["path"]), (&json!(method), &json!(at)));
    }
    let other = Request::get("/v1/responses/resp_1").header("x-model-provider", "other");
    assert_eq!(gateway.ask(&other).json()["path"], "/base/v1/responses/resp_1");
    for hit in upstream.hits() {
        assert_eq!(hit.header("authorization"), Some("Bearer provider-key"));
    }
}

#[test]
fn a_conversation_was_not_made_short() {
    let (_upstream, gateway) = stage();
    for (model, at, sent) in [
        ("openai/gpt-4o", "/v1/responses/compact", "gpt-4o"),
        ("gpt-4o", "/v1/responses/compact", "gpt-4o"),
        ("other/gpt-4o", "/base/v1/responses/compact", "gpt-4o"),
    ] {
        let body = json!({"model": model, "input": [], "instructions": "x"});
        let answer = gateway.ask(&Request::json("/v1/responses/compact", &body));
        assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
        assert_eq!(answer.json()["path"], at, "{model}");
        let expected = json!({"model": sent, "input": [], "instructions": "x"}).to_string();
        assert_eq!(answer.json()["body"].as_str().unwrap(), expected);
    }
}

#[test]
fn making_a_conversation_short_went_around_the_lists_of_keys() {
    let upstream = Upstream::start(echo);
    let mut openai = provider(Wire::OpenAi, &upstream.url());
    openai["keys"][0]["models"] = json!(["gpt-4o"]);
    let gateway = Gateway::start(&json!({"providers": {"openai": openai}}));
    let short = |model: &str| {
        gateway.ask(&Request::json("/v1/responses/compact", &json!({"model": model, "input": []}))).status()
    };
    assert_eq!(short("openai/gpt-4o"), 200);
    assert!([400, 403, 404].contains(&short("openai/gpt-5")), "{}", short("openai/gpt-5"));
    assert!([400, 403, 404].contains(&short("unheard-of")), "{}", short("unheard-of"));
    // Reading runs no model.
    assert_eq!(gateway.get("/v1/responses/resp_1").status(), 200);
    assert_eq!(upstream.hits().len(), 2);
}

#[test]
fn answers_come_back_as_they_were_given() {
    let (_upstream, gateway) = stage();
    let gone = gateway.get("/openai_passthrough/v1/gone");
    assert_eq!((gone.status(), gone.text().as_str()), (410, r#"{"strange":"error"}"#));
    let bytes = gateway.get("/openai_passthrough/v1/bytes");
    assert_eq!(bytes.header("content-type"), Some("application/octet-stream"));
    assert_eq!(bytes.body, [0, 159, 146, 150]);
    let line = gateway.ask(&Request::get("/openai_passthrough/v1/files").header("x-request-id", "seen"));
    assert_eq!(line.status(), 200);
    assert_eq!(gateway.request_line("seen")["provider"], "openai");
}

#[test]
fn a_passthrough_lost_its_last_slash_and_the_length_of_a_head() {
    let (_upstream, gateway) = stage();
    assert_eq!(gateway.get("/openai_passthrough/v1/things/").json()["path"], "/v1/things/");
    let mut caller = gateway.connect();
    for _ in 0..2 {
        let head = caller.ask(&Request::get("/openai_passthrough/v1/bytes").method("HEAD")).unwrap();
        assert_eq!((head.status(), head.header("content-length")), (200, Some("4")), "{:?}", head.head);
        assert!(head.body.is_empty() && head.header("transfer-encoding").is_none(), "{:?}", head.head);
    }
}

#[test]
fn another_provider_is_named_by_a_header_and_an_unknown_one_is_told() {
    let (_upstream, gateway) = stage();
    let named = Request::get("/openai_passthrough/v1/batches").header("x-model-provider", "other");
    assert_eq!(gateway.ask(&named).json()["path"], "/base/v1/batches");
    let unknown = gateway.ask(&Request::get("/anthropic_passthrough/v1/files"));
    assert_eq!(unknown.status(), 404, "{}", unknown.text());
    assert!(unknown.text().contains("`anthropic` is not configured"), "{}", unknown.text());
}

#[test]
fn a_signed_passthrough_is_signed_for_its_own_method_and_headers() {
    let upstream = Upstream::start(echo);
    let key = json!({"access_key": "AKIDUS", "secret_key": "our-secret", "region": "eu-west-1"});
    let bedrock = json!({
        "keys": [{"name": "main", "bedrock_key_config": key}],
        "network_config": {"base_url": upstream.url()},
    });
    let gateway = Gateway::start(&json!({"providers": {"bedrock": bedrock}}));
    for (method, body) in [("GET", ""), ("PUT", "{}")] {
        let request = Request::post("/openai_passthrough/model/a%3A0?limit=2", body)
            .method(method)
            .header("x-model-provider", "bedrock");
        assert_eq!(gateway.ask(&request).status(), 200, "{method}");
        let hit = upstream.hits().pop().unwrap();
        let headers: Vec<(&str, &str)> = hit.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let signed = Incoming {
            method: &hit.method,
            path_and_query: &hit.path,
            headers: &headers,
            body_sha256: &body_sha256(&hit.body),
            path_form: PathForm::USUAL,
            now: SystemTime::now(),
        };
        let verified = verify(&signed, |key| (key == "AKIDUS").then(|| Secret::new("our-secret")));
        assert_eq!(verified, Ok(AccessKey("AKIDUS".to_owned())), "{method}");
    }
}
