//! What callers must not get by odd paths, headers and bodies: other models, other accounts, others' keys.

use std::io::Write;

use serde_json::{Value, json};

use crate::stage::{chat, healthy_stage, message, plain_chat, provider, streamed};
use crate::support::Wire;
use crate::support::answers::{healthy, json_answer, refusal, whole};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Upstream};

/// Answers chats, and anything else with what it was asked.
fn any(hit: &Hit) -> Vec<Act> {
    if hit.path.contains("/chat/completions") || hit.path.contains("/messages") {
        return healthy(hit);
    }
    json_answer(200, &[], &json!({"method": hit.method, "path": hit.path}))
}

/// A preset of that name at `url`, with its own wire and paths.
fn preset(url: &str) -> Value {
    json!({
        "keys": [{"name": "main", "value": "provider-key"}],
        "network_config": {"base_url": url, "max_retries": 0},
    })
}

#[test]
fn a_second_slash_in_a_passthrough_path_reached_models_that_no_key_lists() {
    let upstream = Upstream::start(any);
    let mut openai = preset(&upstream.url());
    openai["keys"][0]["models"] = json!(["gpt-4o"]);
    let gateway = Gateway::start(&json!({"providers": {"openai": openai}}));
    for (method, path, status) in [
        ("POST", "/v1/chat/completions", 404),
        ("POST", "/v1//chat/completions", 404),
        ("POST", "//v1/chat/completions", 404),
        ("POST", "/v1/chat%2Fcompletions", 404),
        ("POST", "/v1/./chat/completions", 404),
        ("POST", "/v1/files/../chat/completions", 404),
        ("PUT", "/v1/chat/completions", 405),
        ("PATCH", "/v1//chat/completions", 405),
        ("GET", "/v1/chat/completions", 403),
        ("POST", "/v1/audio/speech", 403),
    ] {
        let request = Request::json(&format!("/openai_passthrough{path}"), &chat("gpt-5")).method(method);
        let answer = gateway.ask(&request);
        assert_eq!(answer.status(), status, "{method} {path}: {}", answer.text());
    }
    assert!(upstream.hits().is_empty(), "{:?}", upstream.hits());
    let listed = Request::json("/openai_passthrough/v1//chat/completions", &chat("gpt-4o"));
    assert_eq!(gateway.ask(&listed.header("x-request-id", "listed")).status(), 200);
    assert_eq!(gateway.request_line("listed")["output_tokens"], 4);
}

#[test]
fn allowed_requests_did_not_hold_for_passthroughs_and_streams() {
    let upstream = Upstream::start(any);
    let limited = |allowed: Value| {
        let mut limited = provider(Wire::OpenAi, &upstream.url());
        limited["custom_provider_config"]["allowed_requests"] = allowed;
        limited
    };
    let gateway = Gateway::start(&json!({"providers": {
        "whole": limited(json!({"chat_completion": true})),
        "streamed": limited(json!({"chat_completion_stream": true})),
        "raw": limited(json!({"passthrough": true})),
    }}));
    let asked = [("whole", 200, 400), ("streamed", 400, 200), ("raw", 400, 400)];
    for (name, whole, stream) in asked {
        let model = format!("{name}/m");
        let status = |body: &Value| gateway.ask(&Request::json("/v1/chat/completions", body)).status();
        assert_eq!((status(&chat(&model)), status(&streamed(&model))), (whole, stream), "{name}");
    }
    let text = json!({"model": "whole/m", "prompt": "Once"});
    assert_eq!(gateway.ask(&Request::json("/v1/completions", &text)).status(), 400);
    let refused = gateway.ask(&Request::json("/v1/chat/completions", &streamed("whole/m")));
    assert!(message(&refused).contains("chat_completion_stream"), "{}", refused.text());
    for (name, path, status) in [
        ("whole", "/v1/files", 403),
        ("streamed", "/v1/files?stream", 403),
        ("raw", "/v1/files", 200),
        ("raw", "/v1/streams", 403),
    ] {
        let request = Request::get(&format!("/openai_passthrough{path}")).header("x-model-provider", name);
        assert_eq!(gateway.ask(&request).status(), status, "{name} {path}");
    }
}

#[test]
fn a_callers_account_header_got_the_shared_key_refused() {
    let upstream = Upstream::start(|hit: &Hit| match hit.header("openai-organization") {
        Some(_) => refusal(hit, 401, "invalid_organization", "no such organization", &[]),
        None => any(hit),
    });
    let url = upstream.url();
    let gateway =
        Gateway::start(&json!({"providers": {"oa": provider(Wire::OpenAi, &url), "openai": preset(&url)}}));
    let chat = plain_chat().header("x-bf-eh-openai-organization", "org-x").header("openai-project", "p");
    let raw = Request::get("/openai_passthrough/v1/files")
        .header("openai-organization", "org-x")
        .header("x-amz-security-token", "t")
        .header("x-goog-user-project", "p")
        .header("user-agent", "callers/1");
    for request in [chat, raw] {
        assert_eq!(gateway.ask(&request).status(), 200);
        let hit = upstream.hits().pop().unwrap();
        for name in ["openai-organization", "openai-project", "x-amz-security-token", "x-goog-user-project"] {
            assert_eq!(hit.header(name), None, "{}", hit.path);
        }
        assert_eq!(hit.headers.iter().filter(|(name, _)| name == "user-agent").count(), 1, "{}", hit.path);
    }
    assert_eq!(upstream.hits().pop().unwrap().header("user-agent"), Some("callers/1"));
    let keys = gateway.health()["keys"].clone();
    assert!(keys.as_array().unwrap().iter().all(|key| key["status"] == "ready"), "{keys}");
}

#[test]
fn a_model_that_a_key_may_not_use_took_the_keys_other_models_along() {
    let upstream = Upstream::start(|hit: &Hit| match hit.model() {
        "locked" => refusal(hit, 403, "permission_error", "no access to the model", &[]),
        _ => healthy(hit),
    });
    let gateway = Gateway::start(&json!({"providers": {"oa": provider(Wire::OpenAi, &upstream.url())}}));
    let locked = gateway.ask(&Request::json("/v1/chat/completions", &chat("oa/locked")));
    assert_eq!(locked.status(), 403, "{}", locked.text());
    let keys = gateway.health()["keys"].clone();
    let key = keys.as_array().unwrap().iter().find(|key| key["provider"] == "oa").unwrap();
    assert_eq!((&key["status"], &key["cooling"][0]["model"]), (&json!("ready"), &json!("locked")), "{key}");
    let mut body = chat("oa/open");
    body["fallbacks"] = json!(["oa/other"]);
    let open = gateway.ask(&Request::json("/v1/chat/completions", &body));
    assert_eq!((open.status(), open.header("x-bf-model")), (200, Some("open")));
}

#[test]
fn what_followed_a_malformed_chunk_was_read_as_a_request() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    for chunk in ["ZZ\r\n", "5\r\nabcdefgh\r\n", "-1\r\n"] {
        let mut caller = gateway.connect();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
        caller.socket.write_all(format!("{head}{chunk}").as_bytes()).unwrap();
        assert_eq!(caller.response().unwrap().status(), 400, "{chunk:?}");
        let next = caller.ask(&Request::get("/livez"));
        assert!(next.is_err(), "{chunk:?}: {next:?}");
    }
}

#[test]
fn googles_key_parameter_went_up_beside_our_key() {
    let upstream = Upstream::start(any);
    let configured = |client: Value| {
        Gateway::start(&json!({"providers": {"gemini": preset(&upstream.url())}, "client": client}))
    };
    let path = "/genai_passthrough/v1beta/files?pageSize=2&key=callers&access_token=callers";
    assert_eq!(configured(json!({})).get(path).status(), 200);
    let hit = upstream.hits().pop().unwrap();
    assert!(hit.path.ends_with("/files?pageSize=2"), "{}", hit.path);
    assert_eq!(hit.header("x-goog-api-key"), Some("provider-key"));
    // Where callers bring keys of their own, that is one.
    assert_eq!(configured(json!({"allow_direct_keys": true})).get(path).status(), 200);
    let hit = upstream.hits().pop().unwrap();
    assert!(hit.path.ends_with("/files?pageSize=2"), "{}", hit.path);
    assert_eq!(hit.header("x-goog-api-key"), Some("callers"));
}

#[test]
fn a_bare_rerank_model_was_taken_for_openais() {
    let ranked = json!({"id": "r", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {}});
    let upstream = Upstream::start(move |_: &Hit| json_answer(200, &[], &ranked));
    let url = upstream.url();
    let gateway = Gateway::start(&json!({"providers": {"openai": preset(&url), "cohere": preset(&url)}}));
    for model in ["rerank-v3.5", "ranker-of-tomorrow"] {
        let body = json!({"model": model, "query": "q", "documents": ["a", "b"]});
        let answer = gateway.ask(&Request::json("/v1/rerank", &body));
        assert_eq!(
            (answer.status(), answer.header("x-bf-provider")),
            (200, Some("cohere")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_model_name_walked_to_another_path_of_the_provider() {
    let upstream = Upstream::start(any);
    let gateway = Gateway::start(&json!({"providers": {"gemini": preset(&upstream.url())}}));
    for model in ["gemini/../../v1beta/cachedContents?x", "gemini/./m", "..", "gemini/a/.."] {
        let answer = gateway.ask(&Request::json("/v1/chat/completions", &chat(model)));
        assert_eq!(
            (answer.status(), answer.json()["error"]["param"].clone()),
            (400, json!("model")),
            "{model}"
        );
        let mut body = chat("gemini/m");
        body["fallbacks"] = json!([model]);
        let answer = gateway.ask(&Request::json("/v1/chat/completions", &body));
        assert_eq!((answer.status(), answer.json()["error"]["param"].clone()), (400, json!("fallbacks[0]")));
    }
    let path = "/genai/v1beta/models/..%2F..%2Fv1beta%2FcachedContents:generateContent";
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    assert_eq!(gateway.ask(&Request::json(path, &body)).status(), 400);
    assert!(upstream.hits().is_empty());
}

#[test]
fn cursors_chats_without_messages_were_refused() {
    let (upstream, gateway) = healthy_stage(json!({}));
    for (model, wire) in [("oa/m", Wire::OpenAi), ("an/m", Wire::Anthropic)] {
        let body = json!({
            "model": model, "input": [{"role": "user", "content": "What is the answer?"}], "truncation": "auto",
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}],
            "reasoning": {"effort": "high"},
        });
        let answer = gateway.ask(&Request::json("/cursor/chat/completions", &body));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "The answer is 42");
        assert!(answer.header("x-bf-losses").is_some_and(|losses| losses.contains("truncation")));
        let hit = upstream.hits().pop().unwrap();
        assert_eq!((hit.wire(), hit.json["messages"][0]["role"].clone()), (wire, json!("user")));
        assert!(hit.json["tools"].to_string().contains("\"f\""), "{}", hit.json);
        if wire == Wire::OpenAi {
            assert_eq!(hit.json["reasoning_effort"], "high", "{}", hit.json);
        } else {
            assert!(hit.json["thinking"].is_object(), "{}", hit.json);
        }
    }
    let elsewhere = json!({"model": "oa/m", "input": "hi"});
    assert_eq!(gateway.ask(&Request::json("/v1/chat/completions", &elsewhere)).status(), 400);
}

#[test]
fn a_signed_url_passed_unchecked() {
    let keys = json!([{"access_key": "AKIDCALLER", "secret_key": "callers-secret"}]);
    let (upstream, gateway) = healthy_stage(json!({"aws_access_keys": keys}));
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    let path = "/bedrock/model/oa%2Fm/converse";
    let signed = format!("{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00");
    assert_eq!(gateway.ask(&Request::json(&signed, &body)).status(), 403);
    assert!(upstream.hits().is_empty());
    assert_eq!(gateway.ask(&Request::json(path, &body)).status(), 200);
}

#[test]
fn headers_of_the_providers_own_body_came_with_its_translation() {
    const OF_THE_BODY: [&str; 5] =
        ["etag", "cache-control", "location", "content-disposition", "www-authenticate"];
    let upstream = Upstream::start(|hit: &Hit| {
        let mut headers: Vec<(&str, &str)> = OF_THE_BODY.iter().map(|name| (*name, "x")).collect();
        headers.extend([("openai-organization", "ours"), ("x-ratelimit-limit-requests", "9")]);
        headers.push(("retry-after", "1"));
        if hit.model() == "bad" {
            return refusal(hit, 400, "invalid_request_error", "no", &headers);
        }
        json_answer(200, &headers, &whole(hit.wire(), hit.model()))
    });
    let gateway = Gateway::start(&json!({"providers": {"oa": provider(Wire::OpenAi, &upstream.url())}}));
    for (path, model, own) in [
        ("/v1/messages", "oa/m", false),
        ("/v1/messages", "oa/bad", false),
        ("/openai/v1/chat/completions", "oa/bad", false),
        ("/openai/v1/chat/completions", "oa/m", true),
    ] {
        let answer = gateway.ask(&Request::json(path, &chat(model)));
        for name in OF_THE_BODY {
            assert_eq!(answer.header(name).is_some(), own, "{name} of {model} at {path}");
        }
        assert_eq!(answer.header("openai-organization"), None, "{model} at {path}");
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("9"), "{model} at {path}");
    }
}
