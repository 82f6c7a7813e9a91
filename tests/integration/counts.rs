//! Token counts across dialects: asked where the provider counts, estimated where none does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::answers::json_answer;
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Upstream};

const ANTHROPIC: &str = "/anthropic/v1/messages/count_tokens";
const RESPONSES: &str = "/openai/v1/responses/input_tokens";

/// Counts in the form of the path; a model `uncounted` is refused as Bedrock does, `gone` as a server without
/// the path.
fn count(hit: &Hit) -> Vec<Act> {
    if hit.path.contains("uncounted") {
        return json_answer(
            400,
            &[],
            &json!({"message": "The provided model doesn't support counting tokens."}),
        );
    }
    if hit.model() == "gone" {
        return json_answer(404, &[], &json!({"detail": "Not Found"}));
    }
    let body = match hit.path.as_str() {
        path if path.ends_with("/count_tokens") || path.ends_with(":rawPredict") => {
            json!({"input_tokens": 1234})
        }
        path if path.ends_with(":countTokens") => json!({"totalTokens": 1234}),
        path if path.ends_with("/input_tokens") => {
            json!({"object": "response.input_tokens", "input_tokens": 1234})
        }
        path if path.ends_with("/count-tokens") => json!({"inputTokens": 1234}),
        path => json!({"error": {"message": format!("nothing is counted at {path}")}}),
    };
    json_answer(200, &[], &body)
}

fn provider(base: &str, url: &str) -> Value {
    json!({
        "keys": [{"name": "main", "value": "provider-key"}],
        "custom_provider_config": {"base_provider_type": base},
        "network_config": {"base_url": url, "max_retries": 0},
    })
}

/// One provider for each way of counting, all at one upstream; `down` is one where nobody listens.
fn stage() -> (Upstream, Gateway) {
    let upstream = Upstream::start(count);
    let url = upstream.url();
    let mut limited = provider("groq", "http://127.0.0.1:9");
    limited["keys"][0]["models"] = json!(["m"]);
    let mut chat_only = provider("openai", &url);
    chat_only["custom_provider_config"]["allowed_requests"] = json!({"chat_completion": true});
    let gateway = Gateway::start(&json!({"providers": {
        "an": provider("anthropic", &url),
        "be": provider("bedrock", &url),
        "co": provider("cohere", "http://127.0.0.1:9"),
        "down": limited,
        "ge": provider("gemini", &url),
        "oa": provider("openai", &url),
        "simple": chat_only,
        "ve": provider("vertex", &url),
        "vl": provider("vllm", &url),
    }}));
    (upstream, gateway)
}

fn turns(model: &str) -> Value {
    json!({"model": model, "system": "Be brief.", "messages": [{"role": "user", "content": "How long is this?"}]})
}

fn contents() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "How long is this?"}]}]})
}

fn converse() -> Value {
    json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "How long is this?"}]}]}}})
}

/// The same short question in every dialect.
fn every_dialect(model: &str) -> [(Request, &'static str); 4] {
    let gemini = format!("/genai/v1beta/models/{model}:countTokens");
    let bedrock = format!("/bedrock/model/{}/count-tokens", model.replace('/', "%2F"));
    let input = json!({"model": model, "input": "How long is this?"});
    [
        (Request::json(ANTHROPIC, &turns(model)), "input_tokens"),
        (Request::json(&gemini, &contents()), "totalTokens"),
        (Request::json(&bedrock, &converse()), "inputTokens"),
        (Request::json(RESPONSES, &input), "input_tokens"),
    ]
}

fn estimated(answer: &Response) -> bool {
    match answer.header("x-bf-estimated") {
        None => false,
        Some(what) => what == "input_tokens" || panic!("x-bf-estimated: {what}"),
    }
}

#[test]
fn a_provider_that_counts_is_asked_in_its_own_form_by_callers_of_every_dialect() {
    let (upstream, gateway) = stage();
    for (model, path) in [
        ("an/claude-sonnet-4-6", "/v1/messages/count_tokens"),
        (
            "be/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens",
        ),
        ("ge/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:countTokens"),
        ("oa/gpt-5", "/v1/responses/input_tokens"),
        ("vl/qwen3", "/v1/messages/count_tokens"),
    ] {
        for (request, field) in every_dialect(model) {
            let answer = gateway.ask(&request);
            assert_eq!(answer.status(), 200, "{model} {field}: {}", answer.text());
            assert_eq!((answer.json()[field].as_u64(), estimated(&answer)), (Some(1234), false), "{model}");
            let hit = upstream.hits().pop().unwrap();
            assert_eq!((hit.method.as_str(), hit.path.as_str()), ("POST", path), "{field}");
            assert!(String::from_utf8_lossy(&asked(&hit.json)).contains("How long is this?"), "{}", hit.json);
        }
    }
    assert_eq!(upstream.hits().len(), 20);
}

/// What is asked, out of Bedrock's base64 too.
fn asked(body: &Value) -> Vec<u8> {
    match body["input"]["invokeModel"]["body"].as_str() {
        Some(coded) => STANDARD.decode(coded).unwrap(),
        None => body.to_string().into_bytes(),
    }
}

#[test]
fn where_nobody_counts_an_estimate_answers_in_every_dialect_though_the_provider_is_down() {
    let (_upstream, gateway) = stage();
    for model in ["down/m", "co/command-a"] {
        for (request, field) in every_dialect(model) {
            let answer = gateway.ask(&request.header("x-request-id", field));
            assert_eq!(answer.status(), 200, "{model} {field}: {}", answer.text());
            let count = answer.json()[field].as_u64().unwrap();
            assert!((8..=30).contains(&count) && estimated(&answer), "{model}: {count}");
            assert_eq!(answer.header("x-bf-provider"), model.split('/').next());
        }
    }
    let line = gateway.request_line("totalTokens");
    assert_eq!((&line["status"], &line["provider"]), (&json!(200), &json!("down")));
    assert_eq!(line["attempts"][0]["outcome"], "estimated");
    let metrics = gateway.get("/metrics").text();
    assert!(!metrics.contains("bifrost_requests_total{"), "nobody was asked: {metrics}");
}

#[test]
fn a_model_that_chat_would_not_find_is_not_estimated() {
    let (_upstream, gateway) = stage();
    for (model, said) in [("nobody/m", "not_found_error"), ("down/other", "not_found_error")] {
        let answer = gateway.ask(&Request::json(ANTHROPIC, &turns(model)));
        assert_eq!(answer.status(), 404, "{model}: {}", answer.text());
        assert_eq!(answer.json()["error"]["type"], said, "{}", answer.text());
        let mut chat = turns(model);
        chat["max_tokens"] = json!(9);
        let chat = gateway.ask(&Request::json("/anthropic/v1/messages", &chat));
        assert_eq!(chat.json()["error"], answer.json()["error"], "{model}");
    }
}

#[test]
fn a_provider_that_turns_out_not_to_count_is_estimated_for() {
    let (upstream, gateway) = stage();
    for model in ["oa/gone", "be/anthropic.claude-uncounted", "vl/gone"] {
        let before = upstream.hits().len();
        let answer = gateway.ask(&Request::json(ANTHROPIC, &turns(model)).header("x-request-id", model));
        assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
        assert!(estimated(&answer) && answer.json()["input_tokens"].as_u64().unwrap() < 50);
        assert_eq!(upstream.hits().len(), before + 1);
        let line = gateway.request_line(model);
        let outcomes: Vec<&Value> =
            line["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
        assert_eq!(outcomes, ["invalid_request", "estimated"]);
    }
    let answer = gateway.ask(&Request::json(ANTHROPIC, &turns("simple/m")));
    assert!(estimated(&answer), "allowed_requests says that it has chat alone: {}", answer.text());
    let answer = gateway.ask(&Request::json(ANTHROPIC, &turns("be/amazon.nova-lite-v1:0")));
    assert!(estimated(&answer), "Bedrock counts for Claude alone: {}", answer.text());
    assert_eq!(upstream.hits().len(), 3);
}

#[test]
fn clouds_were_asked_to_count_what_only_anthropic_takes() {
    let (upstream, gateway) = stage();
    for (model, tools) in
        [("be/anthropic.claude-sonnet-4-5-20250929-v1:0", 1), ("ve/claude-sonnet-4-5@20250929", 2)]
    {
        let mut body = turns(model);
        body["context_management"] = json!({"edits": [{"type": "clear_tool_uses_20250919"}]});
        body["tools"] = json!([
            {"name": "f", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "web_fetch_20250910", "name": "web_fetch"},
        ]);
        let asked_of =
            Request::json(ANTHROPIC, &body).header("anthropic-beta", "context-management-2025-06-27");
        let answer = gateway.ask(&asked_of);
        assert_eq!((answer.status(), estimated(&answer)), (200, false), "{model}: {}", answer.text());
        let told = answer.header("x-bf-losses").unwrap_or_default().to_owned();
        assert!(told.contains("context_management"), "{model}: {told}");
        let sent: Value = serde_json::from_slice(&asked(&upstream.hits().pop().unwrap().json)).unwrap();
        assert!(sent.get("context_management").is_none(), "{sent}");
        assert_eq!(sent["tools"].as_array().unwrap().len(), tools, "{sent}");
    }
}

#[test]
fn callers_of_the_providers_own_dialect_are_relayed_byte_for_byte() {
    let (upstream, gateway) = stage();
    for (path, body) in [
        (
            ANTHROPIC,
            "{ \"new\":1.50, \"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9\"}],\n\"model\":\"an/m\"}",
        ),
        (RESPONSES, "{\"model\":\"oa/m\" ,\"input\":\"caf\\u00e9\", \"new\":{}}"),
        (
            "/bedrock/model/be%2Fanthropic.claude/count-tokens",
            "{\"input\" :{\"converse\":{\"messages\":[]}}, \"new\":1}",
        ),
        (
            "/genai/v1beta/models/ge/m:countTokens",
            "{\"contents\" :[{\"parts\":[{\"text\":\"caf\\u00e9\"}]}], \"new\":1}",
        ),
    ] {
        let answer = gateway.ask(&Request::post(path, body));
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        let sent = String::from_utf8(upstream.hits().pop().unwrap().body).unwrap();
        assert_eq!(sent, body.replace("an/m", "m").replace("oa/m", "m"), "{path}");
        assert!(answer.header("x-bf-losses").is_none());
    }
}

#[test]
fn what_is_wrong_is_told_with_its_path_in_the_callers_dialect() {
    let (upstream, gateway) = stage();
    for provider in ["down/m", "oa/m"] {
        let body = json!({"model": provider, "messages": [{"role": "user", "content": 3}]});
        let answer = gateway.ask(&Request::json(ANTHROPIC, &body));
        let told = answer.json();
        assert_eq!((answer.status(), &told["type"]), (400, &json!("error")), "{}", answer.text());
        assert!(told["error"]["message"].as_str().unwrap().contains("messages[0].content"), "{told}");

        let path = format!("/genai/v1beta/models/{provider}:countTokens");
        let body = json!({"generateContentRequest": {"contents": [{"parts": "x"}]}});
        let answer = gateway.ask(&Request::json(&path, &body));
        let told = answer.json();
        assert_eq!((answer.status(), &told["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains("generateContentRequest.contents[0].parts"), "{message}");

        let path = format!("/bedrock/model/{}/count-tokens", provider.replace('/', "%2F"));
        let answer = gateway.ask(&Request::json(&path, &json!({"input": {"converse": {"messages": 3}}})));
        assert_eq!(answer.header("x-amzn-errortype"), Some("ValidationException"), "{}", answer.text());
        assert!(answer.text().contains("input.converse.messages"), "{}", answer.text());
    }
    let body = json!({"model": "an/m", "input": [{"role": "user", "content": 3}]});
    let answer = gateway.ask(&Request::json(RESPONSES, &body));
    assert_eq!(answer.json()["error"]["param"], "input[0].content", "{}", answer.text());
    assert!(upstream.hits().is_empty());
}

#[test]
fn a_provider_that_counts_and_is_at_its_limit_says_so() {
    let upstream = Upstream::start(|_| json_answer(429, &[], &json!({"error": {"message": "slow down"}})));
    let gateway = Gateway::start(&json!({"providers": {"ge": provider("gemini", &upstream.url())}}));
    let answer = gateway.ask(&Request::json(ANTHROPIC, &turns("ge/m")));
    assert_eq!(answer.status(), 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    assert!(!estimated(&answer));
}
