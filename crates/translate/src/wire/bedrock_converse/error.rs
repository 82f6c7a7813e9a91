//! Errors of this wire: `{"message"}` with the type in the header `x-amzn-errortype`, and exceptions as
//! messages of a stream. The type stands in the body as well (`__type`): SDKs look there when the header
//! is missing.

use serde_json::Value;

use crate::frame::write_exception;
use crate::ir::{Failure, FailureKind};
use crate::wire::failure_shapes;
use crate::wire::tree::{Object, to_bytes};

/// Reads an error body of any shape, then refines it with this wire's own words.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    let mut failure = failure_shapes::read(status, body);
    // Under a 200 the type decides first.
    let settled = std::mem::replace(&mut failure.status, status);
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let typed = ["__type", "code"].iter().find_map(|name| value.get(*name)?.as_str());
    let refined = refine(failure, typed.unwrap_or_default());
    Failure { status: if refined.status < 400 { settled } else { refined.status }, ..refined }
}

/// The failure an exception in a stream tells of.
pub(super) fn exception(name: &str, data: &[u8]) -> Failure {
    let mut failure = failure_shapes::read(200, data);
    let value: Value = serde_json::from_slice(data).unwrap_or_default();
    let original = value.get("originalMessage").and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(original) = original {
        failure.message = format!("{}: {}", failure.message, failure_shapes::mask(original));
    }
    failure.status = 200;
    let mut refined = refine(failure, name);
    if refined.status < 400 {
        refined.status = 500;
        refined.kind = FailureKind::Upstream;
    }
    refined.native_type.get_or_insert_with(|| name.to_owned());
    refined
}

/// The failure with what the answer's `x-amzn-errortype` header tells; an empty text tells nothing.
/// `ThrottlingException:http://…`, `ns#ThrottlingException` and a stream's `throttlingException` are one.
#[must_use]
pub fn refine(mut failure: Failure, error_type: &str) -> Failure {
    let word = error_type.split(':').next().unwrap_or_default();
    let word = word.rsplit('#').next().unwrap_or_default().trim();
    if !word.is_empty() {
        failure.native_type = Some(word.to_owned());
    }
    if let Some((kind, status)) = of_type(word) {
        failure.kind = kind;
        if failure.status < 400 {
            failure.status = status;
        }
    } else if failure.status == 424 {
        // The model failed, not the request.
        failure.kind = FailureKind::Upstream;
    }
    if let Some(kind) = of_message(failure.kind, failure.status, &failure.message) {
        failure.kind = kind;
    }
    failure
}

/// The type for the header `x-amzn-errortype` of an error answer.
#[must_use]
pub fn error_type(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::InvalidRequest
        | FailureKind::ContextLength
        | FailureKind::ContentPolicy
        | FailureKind::TooLarge => "ValidationException",
        FailureKind::Authentication => "UnrecognizedClientException",
        FailureKind::Permission => "AccessDeniedException",
        FailureKind::Quota => "ServiceQuotaExceededException",
        FailureKind::ModelNotFound | FailureKind::NotFound => "ResourceNotFoundException",
        FailureKind::RateLimited => "ThrottlingException",
        FailureKind::Overloaded => "ServiceUnavailableException",
        FailureKind::Timeout => "ModelTimeoutException",
        FailureKind::Upstream => "InternalServerException",
    }
}

/// The HTTP status of an error answer. Being over capacity has one of its own at some providers, which AWS's
/// SDKs do not know.
#[must_use]
pub fn error_status(failure: &Failure) -> u16 {
    if failure.kind == FailureKind::Overloaded && failure.status > 503 { 503 } else { failure.status }
}

/// The error body for a caller of this dialect.
pub(super) fn encode(failure: &Failure) -> Vec<u8> {
    let mut body =
        Object::new().with("__type", error_type(failure)).with("message", failure.message.as_str());
    // The vendor has exceptions only: what they do not tell apart, this does.
    body.put_some("code", failure.own_word());
    to_bytes(&body)
}

/// The error as the last message of a stream that already began.
pub(super) fn encode_in_stream(failure: &Failure) -> Vec<u8> {
    let name = match failure.kind {
        FailureKind::RateLimited | FailureKind::Quota => "throttlingException",
        FailureKind::Overloaded => "serviceUnavailableException",
        FailureKind::InvalidRequest
        | FailureKind::ContextLength
        | FailureKind::ContentPolicy
        | FailureKind::TooLarge => "validationException",
        FailureKind::Upstream if failure.status == 500 => "internalServerException",
        _ => "modelStreamErrorException",
    };
    let mut body = Object::new().with("message", failure.message.as_str());
    if name == "modelStreamErrorException" {
        body.put("originalStatusCode", u64::from(failure.status));
        body.put("originalMessage", failure.message.as_str());
    }
    let mut out = Vec::new();
    write_exception(&mut out, name, &to_bytes(&body));
    out
}

/// The kind a type names, and the status it has outside a stream. Streams begin the word in lower case.
fn of_type(word: &str) -> Option<(FailureKind, u16)> {
    const TYPES: [(&str, FailureKind, u16); 18] = [
        ("ValidationException", FailureKind::InvalidRequest, 400),
        ("UnrecognizedClientException", FailureKind::Authentication, 403),
        ("InvalidSignatureException", FailureKind::Authentication, 403),
        ("SignatureDoesNotMatch", FailureKind::Authentication, 403),
        ("ExpiredTokenException", FailureKind::Authentication, 403),
        ("MissingAuthenticationTokenException", FailureKind::Authentication, 403),
        ("IncompleteSignature", FailureKind::Authentication, 400),
        ("AccessDeniedException", FailureKind::Permission, 403),
        ("ServiceQuotaExceededException", FailureKind::Quota, 400),
        ("ResourceNotFoundException", FailureKind::ModelNotFound, 404),
        ("ThrottlingException", FailureKind::RateLimited, 429),
        ("TooManyRequestsException", FailureKind::RateLimited, 429),
        ("ModelNotReadyException", FailureKind::Overloaded, 429),
        ("ServiceUnavailableException", FailureKind::Overloaded, 503),
        ("ModelTimeoutException", FailureKind::Timeout, 408),
        ("ModelErrorException", FailureKind::Upstream, 424),
        ("ModelStreamErrorException", FailureKind::Upstream, 424),
        ("InternalServerException", FailureKind::Upstream, 500),
    ];
    TYPES
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(word))
        .map(|(_, kind, status)| (*kind, *status))
}

/// What a message tells that its type does not: one type stands for all that is wrong with a request.
fn of_message(kind: FailureKind, status: u16, message: &str) -> Option<FailureKind> {
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match kind {
        FailureKind::InvalidRequest
            if says(&[
                "input is too long",
                "prompt is too long",
                "too many input tokens",
                "too many tokens",
                "maximum context length",
                "context window",
                "maximum number of tokens",
            ]) =>
        {
            Some(FailureKind::ContextLength)
        }
        FailureKind::InvalidRequest if says(&["model identifier is invalid"]) => {
            Some(FailureKind::ModelNotFound)
        }
        FailureKind::InvalidRequest if says(&["blocked by content filtering", "content filter"]) => {
            Some(FailureKind::ContentPolicy)
        }
        FailureKind::Permission
            if status == 403
                && says(&["security token", "signature", "api key", "authentication", "bearer token"]) =>
        {
            Some(FailureKind::Authentication)
        }
        _ => None,
    }
}
