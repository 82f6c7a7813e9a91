//! Errors of this wire: `{"type":"error","error":{"type","message"},"request_id"}`.

use crate::frame::write_event;
use crate::ir::{Failure, FailureKind};
use crate::wire::failure_shapes;
use crate::wire::tree::{Object, to_bytes};

/// The words by which clients (Claude Code among them) know that they must shorten the conversation.
const TOO_LONG: &str = "prompt is too long";

/// Reads an error body of any shape, then refines it with this wire's own words.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    let mut failure = failure_shapes::read(status, body);
    let by_type = failure.native_type.as_deref().and_then(of_type);
    if let Some((kind, _)) = by_type {
        failure.kind = finer(failure.kind, kind);
    }
    if let Some(kind) = of_message(failure.kind, &failure.message) {
        failure.kind = kind;
    }
    if let Some((_, named)) = by_type.filter(|_| status < 400) {
        failure.status = named;
    }
    if failure.status < 400 {
        failure.status = 500;
        failure.kind = FailureKind::Upstream;
    }
    failure
}

/// The error body for a caller of this dialect.
pub(super) fn encode(failure: &Failure, request_id: &str) -> Vec<u8> {
    let message = if failure.kind == FailureKind::ContextLength && !failure.message.contains(TOO_LONG) {
        too_long(&failure.message)
    } else {
        failure.message.clone()
    };
    let kind = failure.own_word().unwrap_or_else(|| word(failure.kind));
    let error = Object::typed(kind).with("message", message);
    to_bytes(&Object::typed("error").with("error", error).with("request_id", request_id))
}

/// The wording clients of this dialect wait for, `prompt is too long: N tokens > M maximum`, with the
/// numbers of OpenAI's own sentence where the message is one; else the message behind the first words.
fn too_long(message: &str) -> String {
    let number = |behind: &str| -> Option<u64> {
        let (_, rest) = message.split_once(behind)?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let most = number("maximum context length is");
    let asked = number("messages resulted in").or_else(|| number("you requested"));
    match (asked, most) {
        (Some(asked), Some(most)) => format!("{TOO_LONG}: {asked} tokens > {most} maximum"),
        _ => format!("{TOO_LONG}: {message}"),
    }
}

/// The error as the last frame of a stream that already began.
pub(super) fn encode_in_stream(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(&mut out, "error", &encode(failure, request_id));
    out
}

/// The type word decides, unless it is only the coarse name of what was already found.
fn finer(found: FailureKind, typed: FailureKind) -> FailureKind {
    use FailureKind::{
        ContentPolicy, ContextLength, InvalidRequest, ModelNotFound, NotFound, Quota, Upstream,
    };
    match (typed, found) {
        (Upstream, _)
        | (InvalidRequest, ContextLength | ContentPolicy | Quota | ModelNotFound)
        | (NotFound, ModelNotFound) => found,
        _ => typed,
    }
}

/// This wire's type word of a kind.
fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest | FailureKind::ContextLength | FailureKind::ContentPolicy => {
            "invalid_request_error"
        }
        FailureKind::Authentication => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::Quota => "billing_error",
        FailureKind::ModelNotFound | FailureKind::NotFound => "not_found_error",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::RateLimited => "rate_limit_error",
        FailureKind::Overloaded => "overloaded_error",
        FailureKind::Timeout => "timeout_error",
        FailureKind::Upstream => "api_error",
    }
}

/// The kind a type word names, and the status it has outside a stream.
fn of_type(word: &str) -> Option<(FailureKind, u16)> {
    Some(match word {
        "invalid_request_error" => (FailureKind::InvalidRequest, 400),
        "authentication_error" => (FailureKind::Authentication, 401),
        "billing_error" => (FailureKind::Quota, 402),
        "permission_error" => (FailureKind::Permission, 403),
        "not_found_error" => (FailureKind::NotFound, 404),
        "request_too_large" => (FailureKind::TooLarge, 413),
        "rate_limit_error" => (FailureKind::RateLimited, 429),
        "api_error" => (FailureKind::Upstream, 500),
        "timeout_error" => (FailureKind::Timeout, 504),
        "overloaded_error" => (FailureKind::Overloaded, 529),
        _ => return None,
    })
}

/// What a message tells that its type does not: the API has one type for all that is wrong with a
/// request, money and context included.
fn of_message(kind: FailureKind, message: &str) -> Option<FailureKind> {
    let says = |words: &str| message.contains(words);
    match kind {
        FailureKind::InvalidRequest if says(TOO_LONG) || says("exceed context limit") => {
            Some(FailureKind::ContextLength)
        }
        FailureKind::InvalidRequest if says("credit balance is too low") => Some(FailureKind::Quota),
        FailureKind::InvalidRequest if says("content filtering policy") => Some(FailureKind::ContentPolicy),
        FailureKind::NotFound if message.starts_with("model:") => Some(FailureKind::ModelNotFound),
        _ => None,
    }
}
