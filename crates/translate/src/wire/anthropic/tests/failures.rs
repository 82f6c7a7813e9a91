//! Error bodies in and out.

use serde_json::Value;

use crate::ir::{Failure, FailureKind};
use crate::wire::anthropic::Anthropic;
use crate::wire::{Codec, Dialect};

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { status: 400, kind, message: message.to_owned(), native_type: None, code: None, param: None }
}

fn read(status: u16, kind: &str, message: &str) -> Failure {
    let body = serde_json::json!({"type": "error", "error": {"type": kind, "message": message}});
    Anthropic.decode_failure(status, body.to_string().as_bytes())
}

#[test]
fn the_wires_own_words_decide_the_kind() {
    for (status, word, message, kind) in [
        (529, "overloaded_error", "Overloaded", FailureKind::Overloaded),
        (500, "overloaded_error", "Overloaded", FailureKind::Overloaded),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            FailureKind::ContextLength,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            FailureKind::ContextLength,
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access", FailureKind::Quota),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            FailureKind::ContentPolicy,
        ),
        (400, "invalid_request_error", "max_tokens: required", FailureKind::InvalidRequest),
        (402, "billing_error", "pay", FailureKind::Quota),
        (404, "not_found_error", "model: claude-nope", FailureKind::ModelNotFound),
        (404, "not_found_error", "Not Found", FailureKind::NotFound),
        (413, "request_too_large", "big", FailureKind::TooLarge),
        (429, "rate_limit_error", "slow", FailureKind::RateLimited),
        (504, "timeout_error", "late", FailureKind::Timeout),
        (500, "api_error", "Internal server error", FailureKind::Upstream),
    ] {
        let read = read(status, word, message);
        assert_eq!((read.kind, read.status), (kind, status), "{word}: {message}");
        assert_eq!(read.message, message);
    }
}

#[test]
fn an_error_inside_a_200_gets_the_status_it_stands_for() {
    assert_eq!(read(200, "overloaded_error", "x").status, 529);
    assert_eq!(read(200, "rate_limit_error", "x").status, 429);
    let odd = read(200, "brand_new_error", "x");
    assert_eq!(odd.kind, FailureKind::Upstream);
    assert!(odd.status >= 500);
}

#[test]
fn callers_read_every_kind_in_their_own_words() {
    for (kind, word) in [
        (FailureKind::InvalidRequest, "invalid_request_error"),
        (FailureKind::ContentPolicy, "invalid_request_error"),
        (FailureKind::Authentication, "authentication_error"),
        (FailureKind::Permission, "permission_error"),
        (FailureKind::Quota, "billing_error"),
        (FailureKind::ModelNotFound, "not_found_error"),
        (FailureKind::NotFound, "not_found_error"),
        (FailureKind::TooLarge, "request_too_large"),
        (FailureKind::RateLimited, "rate_limit_error"),
        (FailureKind::Overloaded, "overloaded_error"),
        (FailureKind::Timeout, "timeout_error"),
        (FailureKind::Upstream, "api_error"),
    ] {
        let body: Value =
            serde_json::from_slice(&Anthropic.encode_failure(&failure(kind, "m"), "r1")).unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!(
            (body["error"]["type"].as_str(), body["error"]["message"].as_str()),
            (Some(word), Some("m"))
        );
        assert_eq!(body["request_id"], "r1");
    }
}

#[test]
fn a_full_context_is_worded_so_that_agents_compact() {
    let text = |message: &str| {
        let body = Anthropic.encode_failure(&failure(FailureKind::ContextLength, message), "r");
        serde_json::from_slice::<Value>(&body).unwrap()["error"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(text("9 > 8"), "prompt is too long: 9 > 8");
    assert_eq!(text("prompt is too long: 9 > 8"), "prompt is too long: 9 > 8");
}

#[test]
fn in_a_stream_the_error_is_an_event_of_its_own() {
    let bytes = Anthropic.encode_stream_failure(&failure(FailureKind::Overloaded, "line\nbreak"), "r");
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.starts_with("event: error\ndata: {\"type\":\"error\",") && text.ends_with("}\n\n"),
        "{text}"
    );
    assert_eq!(text.matches('\n').count(), 3);
}
