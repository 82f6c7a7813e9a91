//! Errors of this wire: `google.rpc.Status` as JSON. Reading is shared by all wires; the words written are
//! Google's, so that its SDKs sort them as their callers expect.

use serde_json::{Value, json};

use crate::ir::{Failure, FailureKind};
use crate::wire::failure_shapes;

/// Reads an error body of any shape, a list around it included.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    sorted(failure_shapes::read(status, body), body)
}

/// The failure, when the body has one of the JSON shapes.
pub(super) fn recognise(body: &[u8]) -> Option<Failure> {
    failure_shapes::recognise(200, body).map(|failure| sorted(failure, body))
}

/// `{"error":{"code","message","status","details"}}`.
pub(super) fn encode(failure: &Failure, request_id: &str) -> Vec<u8> {
    let (usual, word) = status_of(failure.kind);
    // The code repeats the answer's status.
    let code = if (400..600).contains(&failure.status) { failure.status } else { usual };
    let mut details: Vec<Value> = Vec::new();
    if let Some(reason) = reason(failure) {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
        }));
    }
    if let Some(param) = &failure.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": param, "description": failure.message}],
        }));
    }
    if !request_id.is_empty() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RequestInfo",
            "requestId": request_id,
        }));
    }
    let mut error = json!({"code": code, "message": failure.message, "status": word});
    if let Some(map) = error.as_object_mut().filter(|_| !details.is_empty()) {
        map.insert("details".into(), details.into());
    }
    json!({"error": error}).to_string().into_bytes()
}

/// What the status word tells that neither the code nor the message did.
fn sorted(mut failure: Failure, body: &[u8]) -> Failure {
    use FailureKind::{InvalidRequest, NotFound, Permission, Quota, RateLimited, Upstream};
    // The status once more, as a number.
    failure.code = failure.code.filter(|code| code.parse::<u16>().is_err());
    let word = failure.native_type.as_deref().unwrap_or_default();
    // Only where the message and the reason said nothing finer.
    let coarse = matches!(failure.kind, Upstream | InvalidRequest | NotFound | Permission | RateLimited);
    let (kind, status) = match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => (InvalidRequest, 400),
        "UNAUTHENTICATED" => (FailureKind::Authentication, 401),
        "PERMISSION_DENIED" => (Permission, 403),
        "NOT_FOUND" if failure.message.contains("models/") => (FailureKind::ModelNotFound, 404),
        "NOT_FOUND" => (NotFound, 404),
        "RESOURCE_EXHAUSTED" => (RateLimited, 429),
        "UNAVAILABLE" => (FailureKind::Overloaded, 503),
        "DEADLINE_EXCEEDED" => (FailureKind::Timeout, 504),
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => (Upstream, 500),
        _ => return failure,
    };
    // The message speaks of quota and billing whatever limit was met; only the limit's name tells which.
    let spent = memchr::memmem::find(body, b"PerDay").is_some();
    if coarse || (kind == RateLimited && failure.kind == Quota && !spent) {
        failure.kind = kind;
    }
    if failure.status < 400 {
        failure.status = status;
    }
    failure
}

/// The `reason` of the details that clients look for.
fn reason(failure: &Failure) -> Option<&str> {
    match failure.kind {
        _ if failure.own_word().is_some() => failure.own_word(),
        FailureKind::Authentication => Some("API_KEY_INVALID"),
        _ => failure.code.as_deref(),
    }
}

/// Google's code and word of a kind.
fn status_of(kind: FailureKind) -> (u16, &'static str) {
    match kind {
        FailureKind::InvalidRequest | FailureKind::ContextLength | FailureKind::ContentPolicy => {
            (400, "INVALID_ARGUMENT")
        }
        FailureKind::TooLarge => (413, "INVALID_ARGUMENT"),
        FailureKind::Authentication => (401, "UNAUTHENTICATED"),
        FailureKind::Permission => (403, "PERMISSION_DENIED"),
        FailureKind::ModelNotFound | FailureKind::NotFound => (404, "NOT_FOUND"),
        FailureKind::Quota | FailureKind::RateLimited => (429, "RESOURCE_EXHAUSTED"),
        FailureKind::Overloaded => (503, "UNAVAILABLE"),
        FailureKind::Timeout => (504, "DEADLINE_EXCEEDED"),
        FailureKind::Upstream => (500, "INTERNAL"),
    }
}
