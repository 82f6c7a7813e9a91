//! `/api/logs/histogram…`: requests, tokens, cost and latency over time. Fields are the original's.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::figures::{Found, average_latency, wanted};
use super::filter::{FilterParams, Pairs};
use crate::admin::api::AdminState;
use crate::admin::api::body::Query;
use crate::admin::api::dashboard::Dollars;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::api::keyring::rfc3339;
use crate::admin::api::range::{self, Period};
use crate::observe::sums::{Cell, Chart, Count, Depth, Kind, Span};
use crate::telemetry::clock;

/// Buckets of a chart.
const BUCKETS: u64 = 100;
/// Models or providers with bars of their own; the rest is `other`.
const TOP: usize = 20;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(requests))
        .routes(routes!(tokens))
        .routes(routes!(cost))
        .routes(routes!(models))
        .routes(routes!(latency))
        .routes(routes!(cost_by_provider))
        .routes(routes!(tokens_by_provider))
        .routes(routes!(latency_by_provider))
}

/// Buckets of one chart.
#[derive(Debug, Serialize, ToSchema)]
struct Histogram<T: ToSchema> {
    buckets: Vec<HistogramBucket<T>>,
    bucket_size_seconds: u64,
    /// Names that are told apart, the largest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(flatten)]
    found: Found,
}

/// A bucket.
#[derive(Debug, Serialize, ToSchema)]
struct HistogramBucket<T: ToSchema> {
    /// RFC 3339: where it begins.
    timestamp: String,
    #[serde(flatten)]
    values: T,
}

/// Requests by how they ended.
#[derive(Debug, Serialize, ToSchema)]
struct EndedSums {
    count: u64,
    success: u64,
    error: u64,
    cancelled: u64,
}

/// The same of one name.
#[derive(Debug, Serialize, ToSchema)]
struct EndedByModel {
    total: u64,
    success: u64,
    error: u64,
    cancelled: u64,
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
struct TokenSums {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    cached_read_tokens: u64,
}

/// US dollars.
#[derive(Debug, Serialize, ToSchema)]
struct CostSums {
    #[schema(value_type = f64)]
    total_cost: Dollars,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    by_model: Option<BTreeMap<String, Dollars>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    by_provider: Option<BTreeMap<String, Dollars>>,
}

/// Requests by model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelSums {
    by_model: BTreeMap<String, EndedByModel>,
}

/// Tokens by provider.
#[derive(Debug, Serialize, ToSchema)]
struct TokensByProvider {
    by_provider: BTreeMap<String, TokenSums>,
}

/// Milliseconds; 0 where there was no request.
#[derive(Debug, Serialize, ToSchema)]
struct LatencySums {
    avg_latency: f64,
    p50_latency: f64,
    p90_latency: f64,
    p95_latency: f64,
    p99_latency: f64,
    total_requests: u64,
}

/// Latency by provider.
#[derive(Debug, Serialize, ToSchema)]
struct LatencyByProvider {
    by_provider: BTreeMap<String, LatencySums>,
}

type Answer<T> = Result<Json<Histogram<T>>, Refused>;

/// Requests by how they ended. Without a time: of the last day.
#[utoipa::path(get, path = "/api/logs/histogram", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<EndedSums>), (status = "default", body = ErrorBody)))]
async fn requests(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Answer<EndedSums> {
    let chart = chart(&state, pairs, None, Depth::Counts).await?;
    Ok(plain(&chart, |cell| EndedSums {
        count: cell.requests(),
        success: cell.answered(),
        error: cell.failed(),
        cancelled: cell.get(Count::Cancelled),
    }))
}

/// Tokens.
#[utoipa::path(get, path = "/api/logs/histogram/tokens", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<TokenSums>), (status = "default", body = ErrorBody)))]
async fn tokens(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Answer<TokenSums> {
    Ok(plain(&chart(&state, pairs, None, Depth::Counts).await?, TokenSums::of))
}

/// Cost, by model.
#[utoipa::path(get, path = "/api/logs/histogram/cost", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<CostSums>), (status = "default", body = ErrorBody)))]
async fn cost(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Answer<CostSums> {
    let chart = chart(&state, pairs, Some(Kind::Target), Depth::Counts).await?;
    let (names, groups) = groups(&chart, By::Model, |cell| cell.get(Count::Cost));
    let answer = grouped(&chart, &groups, |cells| CostSums {
        total_cost: total(cells),
        by_model: Some(costs(cells)),
        by_provider: None,
    });
    Ok(Json(Histogram { models: Some(names), ..answer }))
}

/// Requests by model and by how they ended.
#[utoipa::path(get, path = "/api/logs/histogram/models", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<ModelSums>), (status = "default", body = ErrorBody)))]
async fn models(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Answer<ModelSums> {
    let chart = chart(&state, pairs, Some(Kind::Target), Depth::Counts).await?;
    let (names, groups) = groups(&chart, By::Model, Cell::requests);
    let answer = grouped(&chart, &groups, |cells| ModelSums { by_model: each(cells, EndedByModel::of) });
    Ok(Json(Histogram { models: Some(names), ..answer }))
}

/// How long requests took.
#[utoipa::path(get, path = "/api/logs/histogram/latency", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<LatencySums>), (status = "default", body = ErrorBody)))]
async fn latency(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Answer<LatencySums> {
    Ok(plain(&chart(&state, pairs, None, Depth::Times).await?, LatencySums::of))
}

/// Cost, by provider.
#[utoipa::path(get, path = "/api/logs/histogram/cost/by-provider", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<CostSums>), (status = "default", body = ErrorBody)))]
async fn cost_by_provider(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Answer<CostSums> {
    let chart = chart(&state, pairs, Some(Kind::Target), Depth::Counts).await?;
    let (names, groups) = groups(&chart, By::Provider, |cell| cell.get(Count::Cost));
    let answer = grouped(&chart, &groups, |cells| CostSums {
        total_cost: total(cells),
        by_model: None,
        by_provider: Some(costs(cells)),
    });
    Ok(Json(Histogram { providers: Some(names), ..answer }))
}

/// Tokens, by provider.
#[utoipa::path(get, path = "/api/logs/histogram/tokens/by-provider", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<TokensByProvider>), (status = "default", body = ErrorBody)))]
async fn tokens_by_provider(
    State(state): State<AdminState>,
    Query(pairs): Query<Pairs>,
) -> Answer<TokensByProvider> {
    let chart = chart(&state, pairs, Some(Kind::Target), Depth::Counts).await?;
    let (names, groups) = groups(&chart, By::Provider, Cell::tokens);
    let answer =
        grouped(&chart, &groups, |cells| TokensByProvider { by_provider: each(cells, TokenSums::of) });
    Ok(Json(Histogram { providers: Some(names), ..answer }))
}

/// How long requests took, by provider.
#[utoipa::path(get, path = "/api/logs/histogram/latency/by-provider", tag = "logs", params(FilterParams, Period),
    responses((status = 200, body = Histogram<LatencyByProvider>), (status = "default", body = ErrorBody)))]
async fn latency_by_provider(
    State(state): State<AdminState>,
    Query(pairs): Query<Pairs>,
) -> Answer<LatencyByProvider> {
    let chart = chart(&state, pairs, Some(Kind::Target), Depth::Times).await?;
    let (names, groups) = groups(&chart, By::Provider, Cell::requests);
    let answer =
        grouped(&chart, &groups, |cells| LatencyByProvider { by_provider: each(cells, LatencySums::of) });
    Ok(Json(Histogram { providers: Some(names), ..answer }))
}

/// What bars are of.
#[derive(Clone, Copy)]
enum By {
    Model,
    Provider,
}

async fn chart(state: &AdminState, pairs: Pairs, by: Option<Kind>, depth: Depth) -> Result<Chart, Refused> {
    let now_ms = clock::now_ms();
    let filter = wanted(pairs, &[], now_ms)?;
    let to_ms = filter.to_ms.unwrap_or(now_ms + 1);
    let from_ms = filter.from_ms.unwrap_or(to_ms.saturating_sub(Span::Day.millis()));
    let frame = range::frame((from_ms, to_ms), BUCKETS, now_ms);
    state.figures(&filter, by, (frame, depth), now_ms).await
}

fn plain<T: ToSchema>(chart: &Chart, of: impl Fn(&Cell) -> T) -> Json<Histogram<T>> {
    Json(histogram(chart, chart.by_bucket().iter().map(of).collect()))
}

fn grouped<T: ToSchema>(
    chart: &Chart,
    groups: &BTreeMap<String, Vec<Cell>>,
    of: impl Fn(&BTreeMap<&str, &Cell>) -> T,
) -> Histogram<T> {
    let bucket = |at: usize| {
        let cells = groups.iter().filter_map(|(name, cells)| Some((name.as_str(), cells.get(at)?)));
        of(&cells.collect())
    };
    histogram(chart, (0..chart.starts.len()).map(bucket).collect())
}

fn histogram<T: ToSchema>(chart: &Chart, values: Vec<T>) -> Histogram<T> {
    let buckets = chart.starts.iter().zip(values);
    let buckets =
        buckets.map(|(start, values)| HistogramBucket { timestamp: rfc3339(*start), values }).collect();
    let bucket_size_seconds = chart.frame.bucket_ms / 1_000;
    Histogram { buckets, bucket_size_seconds, models: None, providers: None, found: Found::of(chart) }
}

/// Models or providers with their cells by bucket: the largest ones, and `other`. Their names are in the order of size.
fn groups(chart: &Chart, by: By, size: impl Fn(&Cell) -> u64) -> (Vec<String>, BTreeMap<String, Vec<Cell>>) {
    let all = chart.grouped(|name| match by {
        _ if name.is_rest() => "other",
        By::Model => &name.1,
        By::Provider => &name.0,
    });
    let sums: HashMap<&str, u64> =
        all.iter().map(|(name, cells)| (*name, cells.iter().map(&size).sum())).collect();
    let of = |name: &str| sums.get(name).copied().unwrap_or(0);
    let mut names: Vec<&str> = all.keys().copied().filter(|name| of(name) > 0 && *name != "other").collect();
    names.sort_by(|a, b| (of(b), a).cmp(&(of(a), b)));
    names.truncate(TOP);
    let mut found: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    for (name, cells) in &all {
        let name = if names.contains(name) { *name } else { "other" };
        let sums = found.entry(name.to_owned()).or_insert_with(|| vec![Cell::default(); cells.len()]);
        sums.iter_mut().zip(cells).for_each(|(sum, cell)| sum.merge(cell, Depth::Times));
    }
    if found.get("other").is_some_and(|cells| cells.iter().all(|cell| size(cell) == 0)) {
        found.remove("other");
    }
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.extend(found.contains_key("other").then(|| "other".to_owned()));
    (names, found)
}

/// Of those that have something in the bucket.
fn each<T>(cells: &BTreeMap<&str, &Cell>, of: impl Fn(&Cell) -> T) -> BTreeMap<String, T> {
    let some = cells.iter().filter(|(_, cell)| cell.requests() > 0 || cell.tokens() > 0);
    some.map(|(name, cell)| ((*name).to_owned(), of(cell))).collect()
}

fn costs(cells: &BTreeMap<&str, &Cell>) -> BTreeMap<String, Dollars> {
    let some = cells.iter().map(|(name, cell)| ((*name).to_owned(), Dollars(cell.get(Count::Cost))));
    some.filter(|(_, cost)| cost.0 > 0).collect()
}

fn total(cells: &BTreeMap<&str, &Cell>) -> Dollars {
    Dollars(cells.values().map(|cell| cell.get(Count::Cost)).sum())
}

impl EndedByModel {
    fn of(cell: &Cell) -> Self {
        Self {
            total: cell.requests(),
            success: cell.answered(),
            error: cell.failed(),
            cancelled: cell.get(Count::Cancelled),
        }
    }
}

impl TokenSums {
    fn of(cell: &Cell) -> Self {
        Self {
            prompt_tokens: cell.input(),
            completion_tokens: cell.get(Count::Output),
            total_tokens: cell.tokens(),
            cached_read_tokens: cell.get(Count::CacheRead),
        }
    }
}

impl LatencySums {
    fn of(cell: &Cell) -> Self {
        let times = cell.times().and_then(|times| times.took.quantiles([0.5, 0.9, 0.95, 0.99]));
        let [p50, p90, p95, p99] = times.unwrap_or_default().map(|us| us as f64 / 1_000.0);
        Self {
            avg_latency: average_latency(cell),
            p50_latency: p50,
            p90_latency: p90,
            p95_latency: p95,
            p99_latency: p99,
            total_requests: cell.requests(),
        }
    }
}
