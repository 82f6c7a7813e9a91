//! Answers the gateway writes itself: local endpoints and errors, in the caller's dialect.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use translate::Wire;

use super::exchange::Exchange;
use super::fault::Fault;
use crate::route::endpoint;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Bytes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: "application/json", body: body.into(), headers: Vec::new() }
    }

    /// A plain text answer.
    #[must_use]
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into(), headers: Vec::new() }
    }

    /// Adds a header; a value that is no header value is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// Writes a whole answer.
///
/// # Errors
/// The caller's connection failed.
pub async fn send(session: &mut Session, exchange: &mut Exchange, reply: Reply) -> Result<()> {
    let head = session.req_header().method == http::Method::HEAD;
    let mut response = ResponseHeader::build(reply.status, Some(4 + reply.headers.len()))?;
    response.insert_header(header::CONTENT_TYPE, reply.content_type)?;
    response.insert_header(header::CONTENT_LENGTH, reply.body.len())?;
    if !exchange.request_id.is_empty() {
        response.insert_header("x-request-id", &*exchange.request_id)?;
    }
    for (name, value) in reply.headers {
        response.insert_header(name, value)?;
    }
    exchange.status = reply.status;
    let empty = head || reply.body.is_empty();
    session.write_response_header(Box::new(response), empty).await?;
    if !empty {
        exchange.goes(Some(&reply.body));
        session.write_response_body(Some(reply.body), true).await?;
    }
    Ok(())
}

/// The reply that tells the caller of `fault`, in the dialect of the path.
#[must_use]
pub fn fault_reply(fault: &Fault, exchange: &Exchange, path: &str) -> Reply {
    let mut reply = failure_reply(fault, dialect(exchange, path), &exchange.request_id);
    if exchange.extra_fields() {
        let mut spliced = Vec::with_capacity(reply.body.len() + 256);
        let fields = super::extra_fields::of_exchange(exchange);
        if translate::relay::splice_extra_fields(&reply.body, &fields, &mut spliced) {
            reply.body = spliced.into();
        }
    }
    let rule = exchange.call.as_ref().and_then(|call| call.plan.policy.rule.as_deref());
    if let Some(rule) = rule.filter(|rule| rule.is_ascii()) {
        reply = reply.with(HeaderName::from_static("x-bf-rule"), rule);
    }
    if !exchange.attempts.is_empty() {
        let attempts = exchange.attempts.len().to_string();
        reply = reply.with(HeaderName::from_static("x-bf-attempts"), &attempts);
    }
    reply
}

/// A fault as `dialect` tells of it.
#[must_use]
pub fn failure_reply(fault: &Fault, dialect: Wire, request_id: &str) -> Reply {
    let body = endpoint::spoken(dialect).encode_failure(&fault.failure, request_id);
    let mut reply = Reply::json(fault.failure.status, body);
    reply.headers.extend(fault.headers.iter().cloned());
    let told = fault.headers.iter().any(|(name, _)| name == "request-id");
    if dialect == Wire::Anthropic && !told {
        reply = reply.with(HeaderName::from_static("request-id"), request_id);
    }
    if dialect == Wire::BedrockConverse {
        let kind = translate::wire::bedrock_converse::error_type(&fault.failure);
        reply.status = translate::wire::bedrock_converse::error_status(&fault.failure);
        reply = reply.with(HeaderName::from_static("x-amzn-errortype"), kind);
        reply = reply.with(HeaderName::from_static("x-amzn-requestid"), request_id);
    }
    if let Some(wait) = fault.retry_after_ms {
        reply = reply.with(header::RETRY_AFTER, &wait.div_ceil(1000).to_string());
    }
    reply
}

/// The dialect errors are written in.
#[must_use]
pub fn dialect(exchange: &Exchange, path: &str) -> Wire {
    exchange.call.as_ref().map_or_else(|| endpoint::dialect_of(path), |call| call.endpoint.service())
}
