//! The head the caller gets. It is written here, but leaves only with the first byte of the body, when
//! `replay` frames it.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use translate::Wire;
use translate::frame::Framing;

use super::attempt::{Answer, Attempt};
use super::exchange::{Call, Exchange};
use super::headers::{passes_down, survives_translation};
use super::{cache, reserve};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const X_AMZN_REQUESTID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const X_BF_ATTEMPTS: HeaderName = HeaderName::from_static("x-bf-attempts");
const X_BF_LOSSES: HeaderName = HeaderName::from_static("x-bf-losses");
const X_BF_MODEL: HeaderName = HeaderName::from_static("x-bf-model");
const X_BF_PROVIDER: HeaderName = HeaderName::from_static("x-bf-provider");
const X_BF_RULE: HeaderName = HeaderName::from_static("x-bf-rule");
const X_BF_UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-bf-upstream-request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Turns the provider's head into ours.
///
/// # Errors
/// A header could not be written: an invalid value from a provider is left out instead.
pub fn run(header: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
    if header.status.is_informational() {
        return Ok(());
    }
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else {
        return Ok(());
    };
    // Edited in place: most of what a provider sends stays. As plain parts: Pingora would keep a second list,
    // of the names' spelling.
    let empty = ResponseHeader::build_no_case(header.status, None)?;
    let mut parts = Parts::from(std::mem::replace(header, empty));
    let headers = &mut parts.headers;
    // What has no body tells only how long it would be.
    let asked_for_head = call.raw.as_ref().is_some_and(|(method, _)| method == http::Method::HEAD);
    let length = headers.get(CONTENT_LENGTH).filter(|_| asked_for_head).cloned();
    let relay = attempt.upstream.relay;
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| drops(name, call, relay)).cloned().collect();
    for name in &dropped {
        headers.remove(name);
    }
    headers.extend(length.map(|length| (CONTENT_LENGTH, length)));
    let relayed = relay && headers.contains_key(CONTENT_TYPE);
    if matches!(attempt.answer, Answer::Stream(_)) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(stream_type(call)));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    } else if !relayed && call.raw.is_none() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    describe(headers, exchange, attempt, call.endpoint.service());
    reserve::tell(call, headers);
    cache::told::tell(exchange, headers);
    if let Some(rule) = &call.plan.policy.rule {
        insert_text(headers, X_BF_RULE, rule);
    }
    *header = ResponseHeader::from(parts);
    Ok(())
}

pub fn stream_type(call: &Call) -> &'static str {
    match call.endpoint.framing {
        Framing::Sse if call.list => "application/json",
        Framing::Sse => "text/event-stream",
        Framing::EventStream | Framing::EventStreamChunks => "application/vnd.amazon.eventstream",
    }
}

fn drops(name: &HeaderName, call: &Call, relay: bool) -> bool {
    // The bytes of a passthrough stay in their coding.
    let kept = *name == CONTENT_TYPE || (*name == CONTENT_ENCODING && call.raw.is_some());
    !kept && !(passes_down(name.as_str()) && (relay || survives_translation(name.as_str())))
}

/// Who answered, and what was lost on the way.
fn describe(out: &mut HeaderMap, exchange: &Exchange, attempt: &Attempt, service: Wire) {
    insert_text(out, X_REQUEST_ID, &exchange.request_id);
    if let Some(id) = &attempt.upstream_request_id {
        insert_text(out, X_BF_UPSTREAM_REQUEST_ID, id);
    }
    if service == Wire::Anthropic && !out.contains_key(REQUEST_ID) {
        insert_text(out, REQUEST_ID, &exchange.request_id);
    }
    if service == Wire::BedrockConverse {
        insert_text(out, X_AMZN_REQUESTID, &exchange.request_id);
    }
    insert_text(out, X_BF_PROVIDER, &attempt.provider.name);
    insert_text(out, X_BF_MODEL, &attempt.model);
    if !exchange.attempts.is_empty() {
        out.insert(X_BF_ATTEMPTS, HeaderValue::from(exchange.attempts.len() + 1));
    }
    if !attempt.upstream.losses.is_empty() {
        let paths: Vec<&str> =
            attempt.upstream.losses.as_slice().iter().map(|loss| loss.path.as_str()).collect();
        insert_text(out, X_BF_LOSSES, &paths.join(", "));
    }
}

/// Text that callers chose may hold anything: what is no header value is left out.
fn insert_text(out: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text)
        && text.is_ascii()
    {
        out.insert(name, value);
    }
}
