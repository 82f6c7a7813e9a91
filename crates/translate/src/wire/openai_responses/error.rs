//! Errors of this wire: those of Chat Completions, and the two events that end a stream.

use serde_json::{Value, json};

use crate::ir::{Failure, FailureKind};
use crate::wire::{failure_shapes, openai_chat};

/// Reads an error body of any shape.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    sorted(failure_shapes::read(status, body))
}

/// `{"error":{"message","type","param","code"}}`.
pub(super) fn encode(failure: &Failure) -> Vec<u8> {
    openai_chat::encode_error(failure)
}

/// The `error` of an answer that failed (`{"code","message"}`), read as if it stood in an error body.
pub(super) fn of_answer(raw: &str) -> Failure {
    sorted(failure_shapes::read(200, format!("{{\"error\":{raw}}}").as_bytes()))
}

/// The data of an `error` event: flat, as the reference has it, and once more as an object, which is what the
/// SDKs raise their exception from.
pub(super) fn event(failure: &Failure, sequence: u64) -> Value {
    let (kind, _) = openai_chat::error_words(failure.kind);
    let code = code(failure);
    json!({
        "type": "error",
        "sequence_number": sequence,
        "code": code,
        "message": failure.message,
        "param": failure.param,
        "error": {"type": kind, "code": code, "message": failure.message, "param": failure.param},
    })
}

/// The `error` of an answer that failed.
pub(super) fn in_answer(failure: &Failure) -> Value {
    json!({"code": code(failure), "message": failure.message})
}

/// Clients tell by this word whether another try may help.
fn code(failure: &Failure) -> &str {
    let (_, word) = openai_chat::error_words(failure.kind);
    let usual = if is_callers(failure.kind) { "invalid_prompt" } else { "server_error" };
    word.or(failure.code.as_deref()).unwrap_or(usual)
}

fn is_callers(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::InvalidRequest | FailureKind::Permission | FailureKind::NotFound)
}

/// Words that only this wire has.
fn sorted(failure: Failure) -> Failure {
    let code = failure.code.as_deref().unwrap_or_default();
    let refused = code == "invalid_prompt" || code.starts_with("invalid_image") || code.starts_with("image_");
    match failure.kind {
        FailureKind::Upstream if refused => {
            let status = if failure.status >= 500 { 400 } else { failure.status };
            Failure { kind: FailureKind::InvalidRequest, status, ..failure }
        }
        _ => failure,
    }
}
