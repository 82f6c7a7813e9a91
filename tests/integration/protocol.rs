//! Paths, methods, ids.

use serde_json::json;

use crate::stage::{chat, healthy_stage, message, plain_chat};
use crate::support::Wire;
use crate::support::client::Request;

#[test]
fn an_unknown_path_is_a_404_that_names_the_nearest_one_in_the_paths_dialect() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    for (path, nearest, anthropic) in [
        ("/v1/chat/completion", "/v1/chat/completions", false),
        ("/v1/messages/count", "/v1/messages", true),
        ("/anthropic/v1/message", "/anthropic/v1/messages", true),
    ] {
        let answer = gateway.ask(&Request::post(path, "{}"));
        assert_eq!(answer.status(), 404);
        assert!(message(&answer).contains(nearest), "{}", answer.text());
        assert_eq!(answer.json()["type"] == "error", anthropic);
    }
}

#[test]
fn a_wrong_method_is_a_405_that_names_the_right_one() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let answer = gateway.get("/v1/chat/completions");
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("POST")));
    let answer = gateway.ask(&Request::post("/health", "{}"));
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn head_answers_like_get_without_a_body() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let mut caller = gateway.connect();
    for path in ["/health", "/v1/models", "/metrics", "/"] {
        let answer = caller.ask(&Request::get(path).method("HEAD")).unwrap();
        assert_eq!((answer.status(), answer.body.len()), (200, 0), "{path}");
        assert_ne!(answer.header("content-length"), Some("0"), "{path}");
    }
}

#[test]
fn the_callers_request_id_is_kept_and_a_missing_or_wild_one_is_replaced() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let kept = gateway.ask(&plain_chat().header("x-request-id", "mine-42"));
    assert_eq!(kept.header("x-request-id"), Some("mine-42"));
    assert_eq!(gateway.request_line("mine-42")["status"], 200);
    let made = |answer: crate::support::client::Response| answer.header("x-request-id").unwrap().to_owned();
    let first = made(gateway.ask(&plain_chat()));
    let second = made(gateway.ask(&plain_chat()));
    assert!(first.len() == 32 && first != second, "{first} {second}");
    let long = "x".repeat(200);
    let replaced = made(gateway.ask(&plain_chat().header("x-request-id", &long)));
    assert_eq!(replaced.len(), 32);
}

#[test]
fn a_refused_request_leaves_the_connection_usable() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let mut caller = gateway.connect();
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let unknown = Request::json(wire.path(), &chat("no-such-provider/no-such-model"));
        let answer = caller.ask(&unknown).unwrap();
        assert!([400, 404].contains(&answer.status()), "{}", answer.text());
        assert_eq!(caller.ask(&plain_chat()).expect("kept").status(), 200);
    }
}
