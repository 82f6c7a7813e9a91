//! Errors, both ways.

use serde_json::{Value, json};

use crate::ir::{Failure, FailureKind};
use crate::wire::gemini::Gemini;
use crate::wire::{Codec, Dialect};

fn read(status: u16, code: u16, word: &str, message: &str) -> Failure {
    let body = json!([{"error": {"code": code, "message": message, "status": word}}]);
    Gemini.decode_failure(status, body.to_string().as_bytes())
}

fn failure(kind: FailureKind, status: u16) -> Failure {
    Failure { status, kind, message: "m".into(), native_type: None, code: None, param: None }
}

#[test]
fn googles_words_are_sorted() {
    use FailureKind::{
        Authentication, ContextLength, InvalidRequest, ModelNotFound, NotFound, Overloaded, Permission,
        RateLimited, Timeout, Upstream,
    };
    for (status, word, message, kind) in [
        (400, "INVALID_ARGUMENT", "Unknown name \"foo\"", InvalidRequest),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Authentication),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (2) exceeds the maximum number of tokens allowed (1).",
            ContextLength,
        ),
        (400, "FAILED_PRECONDITION", "User location is not supported", InvalidRequest),
        (401, "UNAUTHENTICATED", "m", Authentication),
        (403, "PERMISSION_DENIED", "m", Permission),
        (404, "NOT_FOUND", "models/x is not found for API version v1beta", ModelNotFound),
        (404, "NOT_FOUND", "Requested entity was not found.", NotFound),
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted", RateLimited),
        (500, "INTERNAL", "m", Upstream),
        (503, "UNAVAILABLE", "m", Overloaded),
        (504, "DEADLINE_EXCEEDED", "m", Timeout),
    ] {
        let found = read(status, status, word, message);
        assert_eq!((found.kind, found.status), (kind, status), "{word} {message}");
        assert_eq!(read(200, status, word, message).status, status, "under a 200: {word}");
    }
}

#[test]
fn a_rate_limit_is_told_from_a_spent_quota_by_the_name_of_the_limit() {
    let read = |quota: &str| {
        let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "details": [{"violations": [{"quotaId": quota}]}]}});
        let failure = Gemini.decode_failure(429, body.to_string().as_bytes());
        (failure.kind, failure.code)
    };
    assert_eq!(read("GenerateRequestsPerMinutePerProjectPerModel"), (FailureKind::RateLimited, None));
    assert_eq!(read("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), (FailureKind::Quota, None));
}

#[test]
fn other_shapes_are_read_as_well() {
    let html = Gemini.decode_failure(502, b"<html>bad gateway</html>");
    assert_eq!((html.kind, html.status), (FailureKind::Upstream, 502));
    let openai = br#"{"error":{"message":"m","type":"rate_limit_error"}}"#;
    assert_eq!(Gemini.decode_failure(429, openai).kind, FailureKind::RateLimited);
    assert_eq!(Gemini.decode_failure(500, b"").status, 500);
}

#[test]
fn every_kind_has_a_word_that_reads_back_as_it() {
    use FailureKind::{
        Authentication, InvalidRequest, NotFound, Overloaded, Permission, RateLimited, Timeout, Upstream,
    };
    for (kind, status) in [
        (InvalidRequest, 400),
        (Authentication, 401),
        (Permission, 403),
        (NotFound, 404),
        (RateLimited, 429),
        (Upstream, 500),
        (Overloaded, 503),
        (Timeout, 504),
    ] {
        let body = Gemini.encode_failure(&failure(kind, status), "req_1");
        let found = Gemini.decode_failure(status, &body);
        assert_eq!((found.kind, found.status, found.message.as_str()), (kind, status, "m"));
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["error"]["code"], status);
        let details = value["error"]["details"].as_array().unwrap();
        assert_eq!(details.last().unwrap()["requestId"], "req_1");
    }
}

#[test]
fn a_failure_inside_a_stream_is_one_data_frame() {
    let frame = Gemini.encode_stream_failure(&failure(FailureKind::Overloaded, 503), "");
    let frame = String::from_utf8(frame).unwrap();
    let data = frame.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
    let value: Value = serde_json::from_str(data).unwrap();
    assert_eq!(value, json!({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}));
}
