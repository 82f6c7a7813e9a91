//! Who is let in.

use serde_json::{Value, json};

use super::{ask, key, refused, stage, value};
use crate::stage::{chat, healthy_stage, plain_chat, providers};
use crate::support::client::{Request, Response};
use crate::support::gateway::{run, write_config};
use crate::support::{Wire, for_each, until};

/// A chat in a dialect: its path and body.
fn dialects() -> Vec<(&'static str, &'static str, Value)> {
    let turns = json!([{"role": "user", "parts": [{"text": "q"}]}]);
    let said = json!([{"role": "user", "content": [{"text": "q"}]}]);
    vec![
        ("openai", "/v1/chat/completions", chat("oa/m")),
        ("openai", "/openai/v1/chat/completions", chat("oa/m")),
        ("openai", "/v1/responses", json!({"model": "oa/m", "input": "q"})),
        ("openai", "/v1/embeddings", json!({"model": "oa/m", "input": "q"})),
        ("anthropic", "/anthropic/v1/messages", chat("oa/m")),
        ("gemini", "/genai/v1beta/models/oa/m:generateContent", json!({"contents": turns})),
        ("bedrock", "/bedrock/model/oa%2Fm/converse", json!({"messages": said})),
        ("cohere", "/cohere/v2/chat", chat("oa/m")),
    ]
}

/// The word of the refusal, where the dialect has it; everything else is checked.
fn word(dialect: &str, response: &Response) -> String {
    let body = response.json();
    let text = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = if body["error"].is_object() { text("/error/message") } else { text("/message") };
    assert!(message.contains("virtual key"), "{body}");
    match dialect {
        "openai" => {
            assert_eq!(
                (text("/error/code"), text("/type")),
                (text("/error/type"), text("/error/type")),
                "{body}"
            );
            text("/error/type")
        }
        "anthropic" => {
            assert_eq!(text("/type"), "error");
            assert!(!text("/request_id").is_empty() && response.header("request-id").is_some(), "{body}");
            text("/error/type")
        }
        "gemini" => {
            assert_eq!(body["error"]["code"], response.status(), "{body}");
            let expected = if response.status() == 401 { "UNAUTHENTICATED" } else { "PERMISSION_DENIED" };
            assert_eq!(text("/error/status"), expected);
            text("/error/details/0/reason")
        }
        "bedrock" => {
            let named = response.header("x-amzn-errortype").unwrap_or_default();
            let expected = if response.status() == 401 {
                "UnrecognizedClientException"
            } else {
                "AccessDeniedException"
            };
            assert_eq!((named, text("/__type").as_str()), (expected, expected));
            text("/code")
        }
        _ => text("/type"),
    }
}

#[test]
fn every_dialect_refuses_in_its_own_shape_with_the_words_that_clients_know() {
    let governance = json!({"virtual_keys": [
        key("off", json!({"is_active": false})),
        key("old", json!({"expires_at": "2020-01-01T00:00:00Z"})),
    ]});
    let (upstream, gateway) = stage(json!({"enforce_auth_on_inference": true}), governance);
    for (dialect, path, body) in dialects() {
        for (shown, status, expected) in [
            (None, 401, "virtual_key_required"),
            (Some("none"), 403, "virtual_key_not_found"),
            (Some("off"), 403, "virtual_key_blocked"),
            (Some("old"), 403, "virtual_key_blocked"),
        ] {
            let mut request = Request::json(path, &body);
            if let Some(name) = shown {
                request = request.header("authorization", &format!("Bearer {}", value(name)));
            }
            let response = gateway.ask(&request);
            assert_eq!((response.status(), word(dialect, &response).as_str()), (status, expected), "{path}");
        }
    }
    assert_eq!(upstream.hits().len(), 0);
    assert_eq!(gateway.metric("bifrost_errors_total", &[("type", "virtual_key_blocked")]), 16.0);
}

#[test]
fn a_key_is_taken_in_each_header_and_never_goes_upstream() {
    let (upstream, gateway) =
        stage(json!({"enforce_auth_on_inference": true}), json!({"virtual_keys": [key("me", json!({}))]}));
    let me = value("me");
    let bearer = format!("Bearer {me}");
    let headers = [
        ("x-bf-vk", me.as_str()),
        ("authorization", &bearer),
        ("x-api-key", &me),
        ("api-key", &me),
        ("x-goog-api-key", &me),
    ];
    for (name, shown) in headers {
        for (wire, model) in [(Wire::OpenAi, "oa/m"), (Wire::Anthropic, "an/m"), (Wire::OpenAi, "an/m")] {
            let request = Request::json(wire.path(), &chat(model)).header(name, shown);
            assert_eq!(gateway.ask(&request).status(), 200, "{name}");
        }
        let passed = Request::json("/oa_passthrough/v1/things", &json!({})).header(name, shown);
        assert_eq!(gateway.ask(&passed).status(), 200, "{name}");
    }
    let turns = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}]});
    let google = format!("/genai/v1beta/models/oa/m:generateContent?key={me}");
    assert_eq!(gateway.ask(&Request::json(&google, &turns)).status(), 200);
    let hits = upstream.hits();
    assert_eq!(hits.len(), 5 * 4 + 1);
    for hit in hits {
        assert_eq!(hit.key(), "provider-key");
        let leaked =
            hit.path.contains("sk-bf-") || hit.headers.iter().any(|(_, value)| value.contains("sk-bf-"));
        assert!(!leaked, "{} {:?}", hit.path, hit.headers);
    }
    assert!(!gateway.log().iter().any(|line| line.contains(&me)), "the key is in the log");
}

#[test]
fn without_enforcement_a_request_needs_no_key_but_a_wrong_one_is_refused() {
    let (_upstream, gateway) = stage(json!({}), json!({"virtual_keys": [key("me", json!({}))]}));
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
    assert_eq!(gateway.ask(&plain_chat().header("authorization", "Bearer sk-other")).status(), 200);
    assert_eq!(refused(&ask(&gateway, "nobody", "oa/m")), (403, "virtual_key_not_found".to_owned()));
    assert_eq!(ask(&gateway, "me", "oa/m").status(), 200);
    // What nobody has to be known for.
    for path in ["/health", "/metrics", "/livez"] {
        assert_eq!(gateway.get(path).status(), 200);
    }
}

#[test]
fn a_callers_own_provider_key_goes_beside_its_virtual_key() {
    let client = json!({"allow_direct_keys": true, "enforce_auth_on_inference": true});
    let (upstream, gateway) = stage(client, json!({"virtual_keys": [key("me", json!({}))]}));
    let own = plain_chat().header("authorization", "Bearer own-key");
    assert_eq!(refused(&gateway.ask(&own)), (401, "virtual_key_required".to_owned()));
    for (ours, theirs) in
        [("x-bf-vk", "authorization"), ("authorization", "x-api-key"), ("x-api-key", "api-key")]
    {
        let of = |name: &str, key: &str| {
            if name == "authorization" { format!("Bearer {key}") } else { key.to_owned() }
        };
        let request =
            plain_chat().header(ours, &of(ours, &value("me"))).header(theirs, &of(theirs, "own-key"));
        assert_eq!(gateway.ask(&request).status(), 200, "{ours} {theirs}");
        assert_eq!(upstream.hits().last().unwrap().key(), "own-key", "{ours} {theirs}");
    }
}

#[test]
fn required_headers_are_required() {
    let (_upstream, gateway) = healthy_stage(json!({"required_headers": ["X-Project", "x-user"]}));
    let response = gateway.ask(&plain_chat().header("x-user", "u"));
    assert_eq!(refused(&response), (400, "missing_required_headers".to_owned()));
    assert_eq!(response.json()["error"]["message"], "missing required headers: x-project");
    assert_eq!(gateway.ask(&plain_chat().header("x-user", "u").header("x-project", "p")).status(), 200);
    assert_eq!(gateway.get("/v1/models").status(), 200);
}

#[test]
fn a_refusal_does_not_wait_for_the_body() {
    let (_upstream, gateway) = stage(json!({"enforce_governance_header": true}), json!({}));
    let mut caller = gateway.connect();
    let request = Request::post("/v1/chat/completions", vec![b'x'; 1_000_000]);
    // The head alone: whoever waits for the body waits in vain.
    std::io::Write::write_all(&mut caller.socket, &request.head()).unwrap();
    let response = caller.response().unwrap();
    assert_eq!(response.status(), 401, "{}", response.text());
}

#[test]
fn a_rotated_key_is_taken_until_its_end_and_a_reload_takes_keys_away() {
    let upstream = crate::support::upstream::Upstream::start(crate::support::answers::healthy);
    let hash = |name: &str| bifrost::auth::hash(&value(name)).to_string();
    let config = |keys: Value| {
        json!({"providers": providers(&upstream), "client": {"enforce_auth_on_inference": true},
            "governance": {"virtual_keys": keys}})
    };
    let rotated = key(
        "new",
        json!({"previous": [
            {"value_hash": hash("old"), "expires_at": "2999-01-01T00:00:00Z"},
            {"value_hash": hash("older"), "expires_at": "2020-01-01T00:00:00Z"},
        ]}),
    );
    let gateway = crate::support::gateway::Gateway::start(&config(json!([rotated])));
    assert_eq!(ask(&gateway, "new", "oa/m").status(), 200);
    assert_eq!(ask(&gateway, "old", "oa/m").status(), 200);
    assert_eq!(refused(&ask(&gateway, "older", "oa/m")), (403, "virtual_key_not_found".to_owned()));
    let other = json!([{"name": "other", "value_hash": hash("other")}]);
    write_config(gateway.folder.path(), &config(other));
    gateway.signal(libc::SIGHUP);
    until("the other key", || (ask(&gateway, "other", "oa/m").status() == 200).then_some(()));
    for gone in ["new", "old"] {
        assert_eq!(ask(&gateway, gone, "oa/m").status(), 403);
    }
}

#[test]
fn many_callers_at_once_are_each_taken_for_themselves() {
    let names: Vec<String> = (0..64).map(|n| format!("k{n}")).collect();
    let keys: Vec<Value> = names.iter().map(|name| key(name, json!({}))).collect();
    let (_upstream, gateway) =
        stage(json!({"enforce_auth_on_inference": true}), json!({"virtual_keys": keys}));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for_each(&names, |name| {
        let response = ask(&gateway, name, "oa/m");
        let line = gateway.request_line(response.header("x-request-id").unwrap());
        assert_eq!(line["virtual_key_name"], name, "{line}");
    });
}

#[test]
fn the_command_line_makes_keys_and_their_hashes() {
    let (code, out, error) = run(&["keys", "new"]);
    assert_eq!(code, Some(0), "{error}");
    let field = |name: &str| {
        out.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let (made, hash) = (field("key"), field("value_hash"));
    assert!(made.starts_with("sk-bf-") && made.len() == 38, "{out}");
    let config = json!({"virtual_keys": [{"name": "k", "value_hash": hash}]});
    let (_upstream, gateway) = stage(json!({"enforce_auth_on_inference": true}), config);
    assert_eq!(gateway.ask(&plain_chat().header("x-bf-vk", &made)).status(), 200);
    let (code, out, _) = run(&["keys", "--help"]);
    assert!(code == Some(0) && out.contains("new") && out.contains("hash"), "{out}");
}
