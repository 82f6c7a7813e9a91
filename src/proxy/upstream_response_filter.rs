//! The provider's response head: is it an answer, a stream or a refusal, and what does it tell.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use govern::retry_hint::{self, RetryHint};
use http::header;
use pingora_error::Result;
use pingora_http::ResponseHeader;
use translate::Wire;
use translate::relay::{StreamPipe, StreamPipeOptions};
use translate::wire::bedrock_converse::told_by_headers;
use translate::wire::gemini::JsonArray;
use translate::wire::openai_responses::echo_of;
use translate::wire::{Echo, ToolNames};

use super::attempt::{Answer, Attempt, Streaming, Upstream};
use super::closing::Closing;
use super::coding::Inflater;
use super::content::Pieces;
use super::exchange::{Call, Exchange};
use super::headers::{passes_down, survives_translation};
use super::logging::estimate;
use super::replay::Limit;
use super::unread::Unread;
use super::{recovery, set_deadline};
use crate::route::endpoint::Operation;

/// Reads the head and makes the place the body goes to.
///
/// # Errors
/// None yet; the signature is the hook's.
pub fn run(header: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
    if header.status.is_informational() {
        return Ok(());
    }
    let now = exchange.work().unwrap_or_else(Instant::now);
    let total = exchange.total_deadline();
    let request_id = exchange.request_id.clone();
    let most = exchange.content.as_ref().map(|kept| kept.most());
    let (Some(call), Some(attempt)) = (exchange.call.as_mut(), exchange.attempt.as_mut()) else {
        return Ok(());
    };
    let most = most.filter(|_| attempt.provider.keeps_raw);
    attempt.raw = most.map(|most| Box::new(Pieces::new(most)));
    attempt.clock.steps.answered(now);
    attempt.status = header.status.as_u16();
    attempt.upstream_request_id = upstream_request_id(header);
    if let Some(ticket) = &attempt.ticket {
        ticket.heard(&header.headers, unix_ms());
    }
    super::servers::heard(attempt);
    let raw = call.endpoint.operation == Operation::Passthrough;
    let invoked = call.endpoint.operation == Operation::Invoke;
    if invoked {
        attempt.told_usage = told_by_headers(texts(header));
    }
    attempt.answer = if raw {
        call.stage.allow_empty();
        if header.status.as_u16() >= 400 {
            attempt.retry_after_ms = hint(header).retry_after_ms;
        }
        attempt.unread = Unread::of(call, attempt, header);
        Answer::Passed { bytes: 0, meter: None }
    } else if !header.status.is_success() {
        read_hints(header, attempt);
        Answer::Refused(BytesMut::new())
    } else if invoked && call.stream {
        Answer::Passed { bytes: 0, meter: Some(Box::default()) }
    } else if call.stream && !is_json(header) {
        let (pipe, list) = callers_pipe(call, attempt, &request_id);
        let closing = Closing::of(call, &attempt.upstream.target);
        let whole = recovery::holds_back(call, attempt);
        Answer::Stream(Box::new(Streaming::new(pipe, list, closing, whole)))
    } else {
        Answer::Whole(BytesMut::new())
    };
    attempt.coding = if raw { None } else { Inflater::of(&header.headers) };
    let limits = &attempt.limits;
    let (limit, at) = match (&attempt.answer, limits.first_token) {
        // The first token of one that was handed over is here.
        (Answer::Stream(_), Some(ttft)) if !attempt.handed => (Limit::FirstToken, attempt.clock.began + ttft),
        (Answer::Stream(_), _) => (Limit::Idle, now + limits.idle),
        // Its pace is its own: only silence ends it.
        (Answer::Passed { .. }, _) => (Limit::Idle, now + limits.idle),
        _ => (Limit::Request, attempt.clock.began + limits.request),
    };
    set_deadline(&call.stage, limit, at, total);
    super::cache::lead::begins(exchange);
    exchange.wait();
    Ok(())
}

/// The answer is one body, whatever was asked for.
pub fn is_json(header: &ResponseHeader) -> bool {
    let content_type = header.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    content_type.is_some_and(|text| text.starts_with(b"application/json") || text.starts_with(b"text/html"))
}

/// The headers that are text.
fn texts(header: &ResponseHeader) -> impl Iterator<Item = (&str, &str)> {
    header.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
}

fn upstream_request_id(header: &ResponseHeader) -> Option<Box<str>> {
    ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id"]
        .iter()
        .find_map(|name| header.headers.get(*name))
        .and_then(|value| value.to_str().ok())
        .map(Box::from)
}

/// What the headers of an error answer say about trying again.
pub fn hint(response: &ResponseHeader) -> RetryHint {
    let pairs: Vec<(&str, &str)> = texts(response).collect();
    retry_hint::read(pairs.iter().copied(), unix_ms())
}

/// Milliseconds since 1970.
pub(super) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// What the head of an error answer tells.
pub fn read_refusal(response: &ResponseHeader, attempt: &mut Attempt) {
    if let Some(ticket) = &attempt.ticket {
        ticket.heard(&response.headers, unix_ms());
    }
    read_hints(response, attempt);
}

fn read_hints(response: &ResponseHeader, attempt: &mut Attempt) {
    let hint = hint(response);
    // An error is always written anew.
    let passes = |name: &str| passes_down(name) && survives_translation(name);
    attempt.refusal_headers = response
        .headers
        .iter()
        .filter(|(name, _)| passes(name.as_str()) && **name != header::RETRY_AFTER)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    attempt.retry_after_ms = hint.retry_after_ms;
    attempt.retry_forbidden = hint.should_retry == Some(false);
}

/// What reads the stream that `attempt` gets beside another one: nothing is kept to go on with it.
pub fn stream_pipe(call: &Call, attempt: &Attempt, request_id: &str) -> StreamPipe {
    let upstream = &attempt.upstream;
    let names = tool_names(call, upstream);
    fresh_pipe(call, upstream, !names.is_empty(), options(call, upstream, request_id))
        .with_framing(upstream.target.framing, call.endpoint.framing)
        .with_usage_style(upstream.target.quirks.usage)
        .with_tool_names(names)
        .with_estimate(estimate(upstream, 0).input_uncached)
}

/// What reads the stream that `attempt` gets, and writes the caller's.
fn callers_pipe(call: &mut Call, attempt: &Attempt, request_id: &str) -> (StreamPipe, Option<JsonArray>) {
    let upstream = &attempt.upstream;
    let names = tool_names(call, upstream);
    let named = !names.is_empty();
    let options = options(call, upstream, request_id);
    let (pipe, list) =
        recovery::pipe(call, attempt, options, |call, options| fresh_pipe(call, upstream, named, options));
    let pipe = pipe.with_usage_style(upstream.target.quirks.usage).with_tool_names(names);
    (pipe.with_estimate(estimate(upstream, 0).input_uncached), list)
}

fn options(call: &Call, upstream: &Upstream, request_id: &str) -> StreamPipeOptions {
    StreamPipeOptions {
        caller: call.endpoint.dialect,
        upstream: upstream.target.wire,
        echo: echo(call, request_id),
        withhold_usage: upstream.usage_is_ours,
        hold_last: call.endpoint.extra_fields(),
    }
}

/// `named`: tools have other names at the provider.
fn fresh_pipe(call: &Call, upstream: &Upstream, named: bool, options: StreamPipeOptions) -> StreamPipe {
    match (call.endpoint.operation, upstream.relay) {
        (Operation::Completions, true) => StreamPipe::relaying(options, call.endpoint.codec()),
        (Operation::Completions, false) => StreamPipe::towards(options, call.endpoint.codec()),
        // One wire on both sides, but tools had to be named anew.
        _ if named => StreamPipe::towards(options, call.endpoint.codec()),
        // A relayed body may still have been translated: a marked signature was in it.
        _ => StreamPipe::new(options, call.endpoint.codec()),
    }
}

/// The caller's names for tools that the provider knows by others.
pub fn tool_names(call: &Call, upstream: &Upstream) -> ToolNames {
    let request = call.decoded.as_ref().filter(|_| !upstream.relay);
    request.map(|request| ToolNames::of(request, upstream.target.wire)).unwrap_or_default()
}

/// What a translated answer needs besides the provider's.
pub fn echo(call: &Call, request_id: &str) -> Echo {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Echo {
        unique: request_id.to_owned(),
        now,
        model: call.model_asked.to_string(),
        stream_usage: call.include_usage,
        request: (call.endpoint.dialect == Wire::OpenAiResponses).then(|| Arc::new(echo_of(&call.body))),
    }
}
