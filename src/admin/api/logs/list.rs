//! `GET /api/logs`: pages of requests; and what was not written.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::filter::{Asked, FilterParams, Pairs};
use super::row::{Row, dollars, millis};
use crate::admin::api::AdminState;
use crate::admin::api::body::Query;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::api::keyring::rfc3339;
use crate::store::requests::entry::Entry;
use crate::store::requests::{Cursor, Page, Question, Rank, Tally};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(dropped))
}

/// Rows of a page where nobody says how many, and at most.
const LIMIT: (u64, u64) = (50, 1_000);
/// Rows that may be left out: who goes further uses a cursor.
const FURTHEST: u64 = 10_000;

/// Names of [`PageParams`].
const PAGING: [&str; 7] = ["limit", "offset", "sort_by", "order", "cursor", "direction", "stats"];

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct PageParams {
    /// Rows, 50 by default, at most 1000.
    limit: Option<u64>,
    /// Rows to leave out, at most 10000. A cursor is quicker.
    offset: Option<u64>,
    /// `timestamp`, `latency`, `tokens` or `cost`.
    sort_by: Option<String>,
    /// `desc` or `asc`.
    order: Option<String>,
    /// `next_cursor` or `previous_cursor` of another page.
    cursor: Option<String>,
    /// `back`: the page that ends before the cursor.
    direction: Option<String>,
    /// `false`: without counting.
    stats: Option<bool>,
}

/// A page of requests.
#[derive(Debug, Serialize, ToSchema)]
struct LogList<'a> {
    logs: Vec<Row<'a>>,
    pagination: Pagination,
    /// Absent with `stats=false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
    /// There are requests in the log.
    has_logs: bool,
    /// `cursor` of the next page; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// `cursor` of the page before, with `direction=back`.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_cursor: Option<String>,
    /// All was looked at that had to be. Otherwise the page is short, and `next_cursor` goes on.
    complete: bool,
    /// Up to where it was looked: RFC 3339.
    searched_to: String,
}

/// Where the page is.
#[derive(Debug, Serialize, ToSchema)]
struct Pagination {
    limit: u64,
    offset: u64,
    sort_by: String,
    order: String,
    /// Requests of the filter; with `approximate`, those that were counted.
    total_count: u64,
    approximate: bool,
}

/// What the requests of the filter come to; with `approximate`, the newest of them.
#[derive(Debug, Serialize, ToSchema)]
struct Stats {
    total_requests: u64,
    /// Of 100.
    success_rate: f64,
    /// Milliseconds.
    average_latency: f64,
    total_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    total_cost: Box<RawValue>,
    /// So many requests were counted.
    counted: u64,
    approximate: bool,
}

/// What is not in the log, since the start.
#[derive(Debug, Serialize, ToSchema)]
struct Dropped {
    /// All of them.
    dropped: u64,
    /// As the original names it.
    dropped_requests: u64,
    reasons: Reasons,
    /// Requests that are in the log.
    written: u64,
    /// That wait to be written.
    waiting: u64,
    /// Requests whose bodies were left out, because too many bytes were waiting.
    bodies_left_out: u64,
    /// The log's database answers.
    available: bool,
}

/// Why.
#[derive(Debug, Serialize, ToSchema)]
struct Reasons {
    /// The observer's queue was full.
    observer_full: u64,
    /// The log's queue was full: its database is slow, or away.
    queue_full: u64,
    /// The database did not take them.
    refused: u64,
}

/// Requests, the newest first.
#[utoipa::path(get, path = "/api/logs", tag = "logs", params(FilterParams, PageParams),
    responses((status = 200, body = LogList), (status = "default", body = ErrorBody)))]
async fn list(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Result<Response, Refused> {
    let asked = Asked::read(pairs, &PAGING)?;
    let question = question(&asked)?;
    let stats = asked.other("stats") != Some("false");
    let id = asked.request_id.clone();
    let wanted = question.clone();
    let (page, tally) = state
        .ask_log(async move |log| {
            if let Some(id) = id {
                let found = log.find(&id).await?;
                let tally = found.as_ref().map(of_one).unwrap_or_default();
                return Ok((one(found), Some(Tally { complete: true, ..tally })));
            }
            let page = log.page(&wanted).await?;
            let tally = if stats { Some(log.tally(&wanted.filter).await?) } else { None };
            Ok((page, tally))
        })
        .await?;
    Ok(shown(&question, &page, tally).into_response())
}

/// Requests that could not be written to the log.
#[utoipa::path(get, path = "/api/logs/dropped", tag = "logs",
    responses((status = 200, body = Dropped), (status = "default", body = ErrorBody)))]
async fn dropped(State(state): State<AdminState>) -> Result<Json<Dropped>, Refused> {
    let log = state.request_log()?;
    let counts = &log.counts;
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let observer_full = state.gateway.observer.dropped();
    let dropped = counts.dropped().saturating_add(observer_full);
    Ok(Json(Dropped {
        dropped,
        dropped_requests: dropped,
        reasons: Reasons { observer_full, queue_full: of(&counts.full), refused: of(&counts.refused) },
        written: of(&counts.written),
        waiting: of(&counts.waiting),
        bodies_left_out: of(&counts.bodies_left_out),
        available: log.is_well(),
    }))
}

/// The question of a query.
///
/// # Errors
/// 422 for a value that cannot be.
fn question(asked: &Asked) -> Result<Question, Refused> {
    let number = |name: &str, usual: u64, most: u64| match asked.other(name) {
        None | Some("") => Ok(usual),
        Some(text) => match text.parse::<u64>() {
            Ok(number) if number <= most => Ok(number),
            Ok(_) => Err(Refused::field(name, format!("at most {most}"))),
            Err(_) => Err(Refused::field(name, "expected a whole number")),
        },
    };
    let rank = match asked.other("sort_by").unwrap_or_default() {
        "" | "timestamp" => None,
        "latency" => Some(Rank::Latency),
        "tokens" => Some(Rank::Tokens),
        "cost" => Some(Rank::Cost),
        _ => return Err(Refused::field("sort_by", "expected timestamp, latency, tokens or cost")),
    };
    let ascending = match asked.other("order").unwrap_or_default() {
        "" | "desc" => false,
        "asc" => true,
        _ => return Err(Refused::field("order", "expected desc or asc")),
    };
    let backwards = match asked.other("direction").unwrap_or_default() {
        "" | "forward" => false,
        "back" => true,
        _ => return Err(Refused::field("direction", "expected back or forward")),
    };
    Ok(Question {
        filter: asked.filter.clone(),
        rank,
        ascending,
        after: asked.other("cursor").filter(|text| !text.is_empty()).map(cursor).transpose()?,
        backwards,
        offset: number("offset", 0, FURTHEST)?,
        limit: number("limit", LIMIT.0, LIMIT.1)?.max(1),
    })
}

/// A cursor is the number of a row, behind the value of another order.
pub(super) fn cursor(text: &str) -> Result<Cursor, Refused> {
    let (value, id) = text.split_once('-').unwrap_or(("0", text));
    match (value.parse(), id.parse()) {
        (Ok(value), Ok(id)) => Ok(Cursor { value, id }),
        _ => Err(Refused::field("cursor", "expected a next_cursor or previous_cursor of another page")),
    }
}

pub(super) fn cursor_text(cursor: Cursor) -> String {
    match cursor.value {
        0 => cursor.id.to_string(),
        value => format!("{value}-{}", cursor.id),
    }
}

fn shown<'a>(question: &Question, page: &'a Page, tally: Option<Tally>) -> Json<LogList<'a>> {
    let sort_by = match question.rank {
        None => "timestamp",
        Some(Rank::Latency) => "latency",
        Some(Rank::Tokens) => "tokens",
        Some(Rank::Cost) => "cost",
    };
    let there = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
    let total = tally.map_or(there, |tally| tally.requests.max(there));
    Json(LogList {
        logs: page.entries.iter().map(Row::of).collect(),
        pagination: Pagination {
            limit: question.limit,
            offset: question.offset,
            sort_by: sort_by.to_owned(),
            order: if question.ascending { "asc" } else { "desc" }.to_owned(),
            total_count: total,
            approximate: tally.is_none_or(|tally| !tally.complete),
        },
        stats: tally.map(stats),
        has_logs: there > 0 || total > 0,
        next_cursor: page.next.map(cursor_text),
        previous_cursor: page.previous.map(cursor_text),
        complete: page.complete,
        searched_to: rfc3339(page.searched_to_ms),
    })
}

#[expect(clippy::cast_precision_loss, reason = "rates and averages")]
fn stats(tally: Tally) -> Stats {
    let counted = tally.counted.max(1);
    Stats {
        total_requests: tally.requests,
        success_rate: tally.successes as f64 / counted as f64 * 100.0,
        average_latency: millis(tally.took_us / counted),
        total_tokens: tally.tokens,
        total_cost: dollars(tally.cost_nanos),
        counted: tally.counted,
        approximate: !tally.complete,
    }
}

/// A page of the one request that has an id.
fn one(found: Option<Entry<'static>>) -> Page {
    let entries = found.into_iter().collect();
    Page { entries, more: false, complete: true, searched_to_ms: 0, next: None, previous: None }
}

fn of_one(entry: &Entry<'_>) -> Tally {
    Tally {
        requests: 1,
        counted: 1,
        successes: u64::from(super::row::status(entry.counts.outcome) == "success"),
        took_us: entry.counts.took_us,
        tokens: entry.counts.input_tokens.saturating_add(entry.counts.output_tokens),
        cost_nanos: entry.counts.cost_nanos,
        complete: true,
    }
}
