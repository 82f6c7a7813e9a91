//! Errors of this wire: `{"id","message"}`, and the `message-end` by which a stream that began tells one.
//! Reading is shared by all wires ([`failure_shapes`]).

use crate::frame::write_event;
use crate::ir::{Failure, FailureKind};
use crate::wire::failure_shapes;
use crate::wire::tree::{Object, to_bytes};

/// The status this wire has for a token it does not know; no other wire has it.
const INVALID_TOKEN: u16 = 498;

/// Reads an error body of any shape.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    let mut failure = failure_shapes::read(status, body);
    if status == INVALID_TOKEN && failure.kind == FailureKind::InvalidRequest {
        failure.kind = FailureKind::Authentication;
    }
    if failure.kind == FailureKind::InvalidRequest && failure.message.contains("too many tokens") {
        failure.kind = FailureKind::ContextLength;
    }
    failure
}

/// The failure that a stream tells in its `message-end`.
pub(super) fn in_stream(message: &str) -> Failure {
    let body = Object::new().with("message", message);
    decode(200, &to_bytes(&body))
}

/// The error body for a caller of this dialect. `type` and `code` are not the vendor's: they tell apart
/// what its statuses do not.
pub(super) fn encode(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut body = Object::new();
    if !request_id.is_empty() {
        body.put("id", request_id);
    }
    body.put("message", failure.message.as_str());
    body.put("type", failure.own_word().unwrap_or_else(|| word(failure.kind)));
    body.put_some("code", failure.code.as_deref());
    to_bytes(&body)
}

/// The error as the last event of a stream that already began.
pub(super) fn encode_in_stream(failure: &Failure, request_id: &str) -> Vec<u8> {
    let word = if failure.kind == FailureKind::Timeout { "TIMEOUT" } else { "ERROR" };
    let delta = Object::new().with("error", failure.message.as_str()).with("finish_reason", word);
    let mut frame = Object::typed("message-end");
    if !request_id.is_empty() {
        frame.put("id", request_id);
    }
    let mut out = Vec::new();
    write_event(&mut out, "message-end", &to_bytes(&frame.with("delta", delta)));
    out
}

fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest | FailureKind::NotFound => "invalid_request_error",
        FailureKind::ContextLength => "context_length_exceeded",
        FailureKind::ContentPolicy => "content_policy_violation",
        FailureKind::Authentication => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::Quota => "insufficient_quota",
        FailureKind::ModelNotFound => "model_not_found",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::RateLimited => "rate_limit_error",
        FailureKind::Overloaded => "overloaded_error",
        FailureKind::Timeout => "timeout_error",
        FailureKind::Upstream => "api_error",
    }
}
