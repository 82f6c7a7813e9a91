//! Streams that say nothing and end in good order: why they ended is the whole answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::network;
use crate::support::answers::{json_answer, stream};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::told::read_events;
use crate::support::upstream::Upstream;

/// What Gemini says when it says nothing, and what each dialect calls it: chat, messages, responses.
const ENDS: [(&str, &str, [&str; 3]); 5] = [
    (
        "empty",
        r#"{"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}]}"#,
        ["stop", "end_turn", "completed"],
    ),
    (
        "thoughts",
        r#"{"candidates":[{"content":{},"finishReason":"MAX_TOKENS","index":0}]}"#,
        ["length", "max_tokens", "incomplete"],
    ),
    (
        "safety",
        r#"{"candidates":[{"finishReason":"SAFETY","index":0}]}"#,
        ["content_filter", "refusal", "incomplete"],
    ),
    (
        "blocked",
        r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#,
        ["content_filter", "refusal", "incomplete"],
    ),
    (
        "prompt",
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}"#,
        ["content_filter", "refusal", "incomplete"],
    ),
];

const CALLERS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];

fn stage() -> (Upstream, Gateway) {
    let upstream = Upstream::start(|hit| {
        let said = ENDS.iter().find(|(name, _, _)| hit.path.contains(&format!("gemini-2.5-{name}")));
        let body = said.map_or(MALFORMED, |(_, body, _)| body);
        if hit.path.contains("alt=sse") {
            return stream(&[format!("data: {body}\n\n")], Duration::ZERO);
        }
        json_answer(200, &[], &serde_json::from_str(body).unwrap())
    });
    let gemini = json!({
        "keys": [{"name": "main", "value": "provider-key"}],
        "custom_provider_config": {"base_provider_type": "gemini"},
        "network_config": network(&upstream.url()),
    });
    let gateway = Gateway::start(&json!({"providers": {"g": gemini}}));
    (upstream, gateway)
}

const MALFORMED: &str = r#"{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL","index":0,"finishMessage":"no such"}]}"#;

fn asked(gateway: &Gateway, path: &str, end: &str, stream: bool) -> Response {
    let mut body = json!({"model": format!("g/gemini-2.5-{end}"), "max_tokens": 64, "stream": stream});
    let turns = if path.ends_with("responses") { "input" } else { "messages" };
    body[turns] = json!([{"role": "user", "content": "What is the answer?"}]);
    if turns == "input" {
        body.as_object_mut().unwrap().remove("max_tokens");
    }
    gateway.ask(&Request::json(path, &body))
}

/// The finish reasons of a stream in any of the three dialects.
fn finishes(events: &[(String, Value)]) -> Vec<&str> {
    fn of(event: &Value) -> Option<&str> {
        let chat = event["choices"][0]["finish_reason"].as_str();
        let messages = event["delta"]["stop_reason"].as_str();
        let last = matches!(event["type"].as_str(), Some("response.completed" | "response.incomplete"));
        let responses = event["response"]["status"].as_str().filter(|_| last);
        chat.or(messages).or(responses)
    }
    events.iter().filter_map(|(_, event)| of(event)).collect()
}

#[test]
fn a_stream_that_ended_without_a_word_was_an_empty_200() {
    let (_upstream, gateway) = stage();
    for (end, _, words) in ENDS {
        for (path, word) in CALLERS.into_iter().zip(words) {
            let began = Instant::now();
            let answer = asked(&gateway, path, end, true);
            let text = answer.text();
            assert_eq!(answer.status(), 200, "{path} {end}: {text}");
            assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
            let (events, done) = read_events(&text);
            assert_eq!(finishes(&events), [word], "{path} {end}: {text}");
            let last = events.last().unwrap().1["type"].as_str().unwrap_or_default().to_owned();
            let terminated = match path {
                "/v1/chat/completions" => done,
                "/v1/messages" => last == "message_stop",
                _ => last.starts_with("response."),
            };
            assert!(terminated, "{path} {end}: {text}");
            assert!(began.elapsed() < Duration::from_secs(5));
            let line = gateway.request_line(answer.header("x-request-id").unwrap());
            assert_eq!((&line["msg"], &line["status"]), (&json!("request completed"), &json!(200)), "{line}");
        }
    }
}

#[test]
fn an_answer_that_broke_off_was_told_as_a_normal_end() {
    let (upstream, gateway) = stage();
    for path in CALLERS {
        for stream in [true, false] {
            let before = upstream.hits().len();
            let answer = asked(&gateway, path, "malformed", stream);
            let text = answer.text();
            assert_eq!(answer.status(), 502, "{path} {stream}: {text}");
            assert!(text.contains("MALFORMED_FUNCTION_CALL"), "{text}");
            assert!(upstream.hits().len() > before);
        }
    }
}
