//! The head the caller gets. It is written here, but leaves only with the first byte of the body.

use http::{HeaderName, Version, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use translate::Wire;

use super::attempt::{Answer, Attempt};
use super::exchange::Exchange;
use super::headers::passes_down;

/// Turns the provider's head into ours.
///
/// # Errors
/// A header could not be written: an invalid value from a provider is left out instead.
pub fn run(session: &Session, header: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
    if header.status.is_informational() {
        return Ok(());
    }
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else {
        return Ok(());
    };
    let mut out = ResponseHeader::build(header.status, Some(header.headers.len() + 6))?;
    for (name, value) in &header.headers {
        if passes_down(name.as_str()) {
            out.append_header(name.clone(), value.clone())?;
        }
    }
    let streaming = matches!(attempt.answer, Answer::Stream(_));
    if streaming {
        out.insert_header(header::CONTENT_TYPE, "text/event-stream")?;
        out.insert_header(header::CACHE_CONTROL, "no-cache")?;
        out.insert_header("x-accel-buffering", "no")?;
    } else if let Some(value) = header.headers.get(header::CONTENT_TYPE).filter(|_| attempt.upstream.relay) {
        out.insert_header(header::CONTENT_TYPE, value.clone())?;
    } else {
        out.insert_header(header::CONTENT_TYPE, "application/json")?;
    }
    // A whole answer gets its exact length when it leaves.
    if session.req_header().version != Version::HTTP_2 {
        out.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    describe(&mut out, exchange, attempt, call.endpoint.dialect)?;
    *header = out;
    Ok(())
}

/// Who answered, and what was lost on the way.
fn describe(out: &mut ResponseHeader, exchange: &Exchange, attempt: &Attempt, dialect: Wire) -> Result<()> {
    out.insert_header("x-request-id", &*exchange.request_id)?;
    if let Some(id) = &attempt.upstream_request_id {
        out.insert_header("x-bf-upstream-request-id", &**id)?;
    }
    if dialect == Wire::Anthropic && !out.headers.contains_key("request-id") {
        out.insert_header("request-id", &*exchange.request_id)?;
    }
    out.insert_header("x-bf-provider", &*attempt.provider.name)?;
    insert_text(out, HeaderName::from_static("x-bf-model"), &attempt.model)?;
    if !exchange.attempts.is_empty() {
        out.insert_header("x-bf-attempts", exchange.attempts.len() + 1)?;
    }
    if !attempt.upstream.losses.is_empty() {
        let paths: Vec<&str> =
            attempt.upstream.losses.as_slice().iter().map(|loss| loss.path.as_str()).collect();
        insert_text(out, HeaderName::from_static("x-bf-losses"), &paths.join(", "))?;
    }
    Ok(())
}

/// Text that callers chose may hold anything: what is no header value is left out.
fn insert_text(out: &mut ResponseHeader, name: HeaderName, text: &str) -> Result<()> {
    match http::HeaderValue::from_str(text) {
        Ok(value) => out.insert_header(name, value),
        Err(_) => Ok(()),
    }
}
