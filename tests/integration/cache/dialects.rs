//! Any dialect hits what another stored, whole and as a stream.

use serde_json::{Value, json};

use super::{of, stage, word};
use crate::stage::{chat, streamed};
use crate::support::client::Request;

const QUESTION: &str = "What is the answer?";

/// The same question in each dialect, whole and as a stream.
fn in_every_dialect(model: &str) -> Vec<(&'static str, Request)> {
    let turns = json!([{"role": "user", "content": QUESTION}]);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": QUESTION}]}],
        "generationConfig": {"maxOutputTokens": 9}});
    let bedrock = json!({"messages": [{"role": "user", "content": [{"text": QUESTION}]}],
        "inferenceConfig": {"maxTokens": 9}});
    let both = |name: &'static str, path: &str, body: Value| {
        let mut streamed = body.clone();
        streamed["stream"] = json!(true);
        [(name, Request::json(path, &body)), (name, Request::json(path, &streamed))]
    };
    let (gemini_path, bedrock_path) =
        (format!("/genai/v1beta/models/{model}"), format!("/bedrock/model/{}", model.replace('/', "%2F")));
    let mut all = Vec::new();
    all.extend(both("chat", "/v1/chat/completions", chat(model)));
    all.extend(both(
        "responses",
        "/v1/responses",
        json!({"model": model, "input": QUESTION, "max_output_tokens": 9}),
    ));
    all.extend(both(
        "anthropic",
        "/v1/messages",
        json!({"model": model, "messages": turns, "max_tokens": 9}),
    ));
    all.extend(both(
        "cohere",
        "/cohere/v2/chat",
        json!({"model": model, "messages": turns, "max_tokens": 9}),
    ));
    all.push(("gemini", Request::json(&format!("{gemini_path}:generateContent"), &gemini)));
    all.push(("gemini sse", Request::json(&format!("{gemini_path}:streamGenerateContent?alt=sse"), &gemini)));
    all.push(("gemini list", Request::json(&format!("{gemini_path}:streamGenerateContent"), &gemini)));
    all.push(("bedrock", Request::json(&format!("{bedrock_path}/converse"), &bedrock)));
    all.push(("bedrock stream", Request::json(&format!("{bedrock_path}/converse-stream"), &bedrock)));
    all
}

#[test]
fn what_one_dialect_stored_all_others_hit() {
    let (upstream, gateway) = stage(json!({}));
    let mut calls = 0;
    for model in ["oa/m", "an/m"] {
        for (form, body) in [("whole", chat(model)), ("stream", streamed(model))] {
            let key = format!("{model} {form}");
            assert_eq!(word(&gateway.ask(&of(&key, &body))), "miss", "{key}");
            calls += 1;
            for (dialect, request) in in_every_dialect(model) {
                let answer = gateway.ask(&request.header("x-bf-cache-key", &key));
                assert_eq!(word(&answer), "hit", "{key} for {dialect}: {}", answer.text());
                let text = answer.text();
                assert!(answer.whole && text.contains("42") && text.contains("answer"), "{dialect}: {text}");
                assert_eq!(upstream.hits().len(), calls, "{key} for {dialect}");
            }
        }
    }
}

#[test]
fn each_dialect_stores_for_all_others() {
    let (upstream, gateway) = stage(json!({}));
    for (at, (dialect, request)) in in_every_dialect("an/m").into_iter().enumerate() {
        let key = format!("{dialect} {at}");
        let first = gateway.ask(&request.header("x-bf-cache-key", &key));
        assert_eq!(word(&first), "miss", "{dialect}");
        let again = gateway.ask(&of(&key, &chat("an/m")));
        assert_eq!(word(&again), "hit", "stored by {dialect}");
        assert_eq!(again.json()["choices"][0]["message"]["content"], "The answer is 42");
        assert_eq!(upstream.hits().len(), at + 1);
    }
}

#[test]
fn a_stream_that_is_given_again_ends_as_streams_do() {
    let (_upstream, gateway) = stage(json!({}));
    word(&gateway.ask(&of("k", &chat("oa/m"))));
    let again = gateway.ask(&of("k", &streamed("oa/m")));
    let text = again.text();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert!(text.contains("\"cache_debug\":{\"cache_hit\":true,\"hit_type\":\"direct\""), "{text}");
}

#[test]
fn a_paced_stream_takes_its_time() {
    let (_upstream, gateway) = stage(json!({"replay_tokens_per_second": 20}));
    word(&gateway.ask(&of("k", &chat("oa/m"))));
    let again = gateway.ask(&of("k", &streamed("oa/m")));
    let took = again.end_at - again.head_at;
    // Four words: three pauses of a fifteenth of a second at least, unless none is made at all.
    assert!(took.as_millis() >= 150, "{took:?}");
    assert!(again.text().ends_with("data: [DONE]\n\n"));
}
