//! One request with all that is known of it: `/api/logs/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use govern::price::write_femtos;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use translate::Wire;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cached::CacheDebug;
use super::row::{Row, dollars};
use crate::admin::api::AdminState;
use crate::admin::api::body::Path;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::observe::log::conversation::Conversation;
use crate::store::requests::Part;
use crate::store::requests::entry::{Charged, Detail, Entry, Flags, Tried};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(read)).routes(routes!(body))
}

/// A body that is larger is not part of the answer: it has a path of its own.
const LARGE: usize = 512 * 1024;

/// A request with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
struct LogDetail<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    upstream_request_id: &'a str,
    /// Version of the configuration.
    revision: u64,
    /// Bytes of the bodies.
    request_bytes: u64,
    response_bytes: u64,
    /// Microseconds since the first byte was read.
    phases: Phases,
    /// Microseconds that it waited for places at providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_us: Option<u64>,
    /// The attempts once more, with when their steps were.
    #[schema(value_type = Vec<Steps>)]
    attempt_phases: Vec<Steps<'a>>,
    decision: Decision<'a>,
    /// What the answer itself cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_details: Option<CostDetails<'a>>,
    /// Tokens by class.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    usage: Map<String, Value>,
    /// What the cache did, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_debug: Option<CacheDebug<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Trace<'a>>,
    #[serde(flatten)]
    content: Content,
}

/// Steps of the gateway.
#[derive(Debug, Serialize, ToSchema)]
struct Phases {
    admitted_us: u64,
    body_us: u64,
    planned_us: u64,
    reserved_us: u64,
}

/// Steps of an attempt: microseconds since the request's first byte was read. What was not seen is absent.
#[derive(Debug, Serialize, ToSchema)]
struct Steps<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    backend: &'a str,
    outcome: &'a str,
    /// It was passed over: there are no steps.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skipped: bool,
    /// A pooled connection was used.
    reused: bool,
    began_us: u64,
    /// It waited so long for a place at the provider, and was put off so long, before it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secured_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_us: Option<u64>,
    ended_us: u64,
    /// What it used although it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    spent: Option<Spent>,
}

/// What an attempt used.
#[derive(Debug, Serialize, ToSchema)]
struct Spent {
    input_tokens: u64,
    output_tokens: u64,
    /// US dollars. Absent: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    cost: Option<Box<RawValue>>,
}

/// A bill.
#[derive(Debug, Serialize, ToSchema)]
struct CostDetails<'a> {
    /// Where the price is from; `reported`: the provider named the sum.
    source: &'a str,
    lines: Vec<CostLine<'a>>,
}

/// A line of it.
#[derive(Debug, Serialize, ToSchema)]
struct CostLine<'a> {
    what: &'a str,
    quantity: u64,
    /// US dollars for one.
    #[schema(value_type = f64)]
    unit_cost: Box<RawValue>,
    #[schema(value_type = f64)]
    cost: Box<RawValue>,
}

/// Why it went where it went.
#[derive(Debug, Serialize, ToSchema)]
struct Decision<'a> {
    /// What led to the first target: `model`, `alias`, `group`, `virtual_key`, `rule`, `path`.
    #[serde(skip_serializing_if = "str::is_empty")]
    led_by: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    rule: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    strategy: &'a str,
    candidates: Vec<Candidate<'a>>,
    /// So many more were there.
    more_candidates: u32,
    limits: Vec<Limit<'a>>,
}

/// A target that was looked at.
#[derive(Debug, Serialize, ToSchema)]
struct Candidate<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    /// Of the choice, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f32>,
    verdict: &'a str,
}

/// A budget or limit as it stood.
#[derive(Debug, Serialize, ToSchema)]
struct Limit<'a> {
    owner: &'a str,
    what: &'a str,
    /// Nano-dollars of a budget.
    used: u64,
    max: u64,
    refused: bool,
}

/// W3C trace context.
#[derive(Debug, Serialize, ToSchema)]
struct Trace<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    sampled: bool,
}

/// What was said, where bodies are kept.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Content {
    /// `kept`, or why there is none: `not_kept`.
    content: &'static str,
    /// Messages as OpenAI writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    input_history: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_message: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    /// The other parameters of the request.
    #[serde(skip_serializing_if = "Map::is_empty")]
    params: Map<String, Value>,
    /// Bodies as they crossed the caller's side, up to half a mebibyte: larger ones are at `/api/logs/{id}/body/{part}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body: Option<String>,
    /// Bodies as they crossed the provider's side, where `store_raw_request_response` keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_response: Option<String>,
    is_large_payload_request: bool,
    is_large_payload_response: bool,
    /// More was sent than is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    response_cut: bool,
}

/// One request, by its id or its number.
#[utoipa::path(get, path = "/api/logs/{id}", tag = "logs", params(("id" = String, Path)),
    responses((status = 200, body = LogDetail), (status = "default", body = ErrorBody)))]
async fn read(State(state): State<AdminState>, Path(id): Path<String>) -> Result<Response, Refused> {
    let (entry, bodies) = found(&state, id).await?;
    let content = content(&entry, &bodies);
    Ok(Json(detail(&entry, content)).into_response())
}

/// A body of a request, as it was: `request`, `response`, `upstream_request` or `upstream_response`.
#[utoipa::path(get, path = "/api/logs/{id}/body/{part}", tag = "logs",
    params(("id" = String, Path), ("part" = String, Path)),
    responses((status = 200, body = String, content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
async fn body(
    State(state): State<AdminState>,
    Path((id, part)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let known = Part::ALL.into_iter().find(|known| part_name(*known) == part);
    let part = known.ok_or_else(|| Refused::not_found(format!("no body is called {part:?}")))?;
    let (_, bodies) = found(&state, id).await?;
    let body = bodies.into_iter().find(|(found, _)| *found == part).map(|(_, body)| body);
    let body = body.ok_or_else(|| Refused::not_found("this body is not kept"))?;
    // Never shown by a browser: it is what somebody else wrote.
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((StatusCode::OK, head, body).into_response())
}

type Found = (Entry<'static>, Vec<(Part, Vec<u8>)>);

async fn found(state: &AdminState, id: String) -> Result<Found, Refused> {
    let missing = format!("no request {id:?} is in the log");
    let found = state
        .ask_log(async move |log| {
            let Some(entry) = log.find(&id).await? else { return Ok(None) };
            let bodies = match entry.counts.flags.has(Flags::CONTENT) {
                true => log.content(entry.id).await?,
                false => Vec::new(),
            };
            Ok(Some((entry, bodies)))
        })
        .await?;
    found.ok_or_else(|| Refused::not_found(missing))
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Request => "request",
        Part::Response => "response",
        Part::UpstreamRequest => "upstream_request",
        Part::UpstreamResponse => "upstream_response",
    }
}

fn detail<'a>(entry: &'a Entry<'_>, content: Content) -> LogDetail<'a> {
    let detail = &entry.detail;
    let [admitted_us, body_us, planned_us, reserved_us] = detail.phases;
    LogDetail {
        row: Row::of(entry),
        upstream_request_id: &detail.upstream_id,
        revision: detail.revision,
        request_bytes: detail.bytes.0,
        response_bytes: detail.bytes.1,
        phases: Phases { admitted_us, body_us, planned_us, reserved_us },
        queued_us: Some(detail.queued_us).filter(|queued| *queued > 0),
        attempt_phases: detail.attempts.iter().map(steps).collect(),
        decision: decision(entry),
        cost_details: detail.charge.as_ref().map(cost_details),
        usage: detail.usage.iter().map(|(name, count)| (name.to_string(), (*count).into())).collect(),
        cache_debug: detail.cache.as_ref().map(CacheDebug::of),
        trace: trace(detail),
        content,
    }
}

fn steps<'a>(tried: &'a Tried<'_>) -> Steps<'a> {
    let at = tried.phases.unwrap_or_default();
    Steps {
        provider: &tried.provider,
        model: &tried.model,
        key: &tried.key,
        backend: &tried.backend,
        outcome: &tried.outcome,
        skipped: tried.phases.is_none(),
        reused: at.reused,
        began_us: at.began_us,
        queued_us: at.queued_us,
        delayed_us: at.delayed_us,
        connected_us: at.connected_us,
        secured_us: at.secured_us,
        sent_us: at.sent_us,
        answered_us: at.answered_us,
        first_token_us: at.first_token_us,
        ended_us: at.ended_us,
        spent: tried.spent.map(|(input_tokens, output_tokens, cost)| Spent {
            input_tokens,
            output_tokens,
            cost: cost.map(dollars),
        }),
    }
}

fn decision<'a>(entry: &'a Entry<'_>) -> Decision<'a> {
    let detail = &entry.detail;
    let candidate = |found: &'a crate::store::requests::entry::Looked<'_>| Candidate {
        provider: &found.0,
        model: &found.1,
        key: &found.2,
        share: found.3,
        verdict: &found.4,
    };
    let limit = |found: &'a crate::store::requests::entry::Limit<'_>| Limit {
        owner: &found.0,
        what: &found.1,
        used: found.2,
        max: found.3,
        refused: found.4,
    };
    Decision {
        rule: &entry.names.rule,
        strategy: &detail.strategy,
        led_by: &detail.led_by,
        candidates: detail.candidates.iter().map(candidate).collect(),
        more_candidates: detail.more_candidates,
        limits: detail.limits.iter().map(limit).collect(),
    }
}

fn cost_details<'a>(charged: &'a Charged<'_>) -> CostDetails<'a> {
    let line = |(what, quantity, unit, nanos): &'a (std::borrow::Cow<'_, str>, u64, u64, u64)| {
        let mut text = String::new();
        // Writing into a String cannot fail, and a decimal number is JSON.
        let _ = write_femtos(u128::from(*unit), &mut text);
        let unit_cost = RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned());
        CostLine { what, quantity: *quantity, unit_cost, cost: dollars(*nanos) }
    };
    CostDetails { source: &charged.0, lines: charged.1.iter().map(line).collect() }
}

fn trace<'a>(detail: &'a Detail<'_>) -> Option<Trace<'a>> {
    let trace = detail.trace.as_ref()?;
    Some(Trace { trace_id: &trace.0, span_id: &trace.1, sampled: trace.2 })
}

fn content(entry: &Entry<'_>, bodies: &[(Part, Vec<u8>)]) -> Content {
    if bodies.is_empty() {
        return Content { content: "not_kept", ..Content::default() };
    }
    let of = |part: Part| bodies.iter().find(|(found, _)| *found == part).map(|(_, body)| body.as_slice());
    let text = |part: Part| {
        let body = of(part).filter(|body| body.len() <= LARGE)?;
        Some(String::from_utf8_lossy(body).into_owned())
    };
    let is_large = |part: Part| of(part).is_some_and(|body| body.len() > LARGE);
    let (request, response) = (of(Part::Request).unwrap_or_default(), of(Part::Response).unwrap_or_default());
    let flags = entry.counts.flags;
    let chat = Wire::named(&entry.names.dialect)
        .map(|wire| Conversation::of(wire, request, response, flags.has(Flags::STREAM)))
        .unwrap_or_default();
    Content {
        content: "kept",
        input_history: chat.input,
        output_message: chat.output,
        tools: chat.tools,
        params: chat.params,
        request_body: text(Part::Request),
        response_body: text(Part::Response),
        raw_request: text(Part::UpstreamRequest),
        raw_response: text(Part::UpstreamResponse),
        is_large_payload_request: is_large(Part::Request),
        is_large_payload_response: is_large(Part::Response),
        response_cut: flags.has(Flags::CUT),
    }
}
