//! Errors of this wire. Reading is shared by all wires ([`failure_shapes`]); the words written are
//! OpenAI's, so that its SDKs raise the exception their callers catch.

use serde_json::{Value, json};

use crate::ir::{Failure, FailureKind};
use crate::wire::failure_shapes;

/// Reads an error body of any shape.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    failure_shapes::read(status, body)
}

/// `{"error":{"message","type","param","code"}}`.
pub(in crate::wire) fn encode(failure: &Failure) -> Vec<u8> {
    let (kind, word) = words(failure.kind);
    let own = failure.own_word();
    let code = own.or(word).or(failure.code.as_deref());
    let mut body: Value = json!({"error": {
        "message": failure.message,
        "type": own.unwrap_or(kind),
        "param": failure.param,
        "code": code,
    }});
    // Clients of the gateway itself look for its word here.
    if let (Some(own), Some(map)) = (own, body.as_object_mut()) {
        map.insert("type".to_owned(), own.into());
    }
    body.to_string().into_bytes()
}

/// OpenAI's `type`, and its `code` where the kind implies one.
pub(in crate::wire) fn words(kind: FailureKind) -> (&'static str, Option<&'static str>) {
    match kind {
        FailureKind::InvalidRequest => ("invalid_request_error", None),
        FailureKind::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
        FailureKind::ContentPolicy => ("invalid_request_error", Some("content_policy_violation")),
        FailureKind::Authentication => ("authentication_error", Some("invalid_api_key")),
        FailureKind::Permission => ("permission_error", None),
        FailureKind::Quota => ("insufficient_quota", Some("insufficient_quota")),
        FailureKind::ModelNotFound => ("invalid_request_error", Some("model_not_found")),
        FailureKind::NotFound => ("invalid_request_error", Some("not_found")),
        FailureKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
        FailureKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        FailureKind::Overloaded => ("server_error", Some("overloaded")),
        FailureKind::Timeout => ("server_error", Some("timeout")),
        FailureKind::Upstream => ("server_error", None),
    }
}
