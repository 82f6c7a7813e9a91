//! Errors: read in any shape, written as OpenAI's SDKs expect them.

use serde_json::{Value, json};

use super::OpenAiResponses;
use crate::ir::FailureKind;
use crate::wire::{Codec, Dialect};

#[test]
fn words_of_this_wire_alone_are_sorted() {
    for (code, kind, status) in [
        ("invalid_prompt", FailureKind::InvalidRequest, 400),
        ("invalid_image_format", FailureKind::InvalidRequest, 400),
        ("image_too_large", FailureKind::InvalidRequest, 400),
        ("server_error", FailureKind::Upstream, 502),
        ("rate_limit_exceeded", FailureKind::RateLimited, 429),
    ] {
        let body = json!({"error": {"code": code, "message": "m"}}).to_string();
        let failure = OpenAiResponses.decode_failure(200, body.as_bytes());
        assert_eq!((failure.kind, failure.status), (kind, status), "{code}");
    }
}

#[test]
fn an_error_body_is_that_of_chat_completions() {
    let failure = OpenAiResponses.decode_failure(401, b"{\"error\":{\"message\":\"no\"}}");
    let body: Value = serde_json::from_slice(&OpenAiResponses.encode_failure(&failure, "req_1")).unwrap();
    assert_eq!(
        body,
        json!({"error": {"message": "no", "type": "authentication_error", "param": null, "code": "invalid_api_key"}})
    );
}
