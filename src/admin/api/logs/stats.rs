//! `/api/logs/stats` and `/api/logs/rankings`: totals, and who makes them. Fields are the original's.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::figures::{Found, average_latency, wanted};
use super::filter::{FilterParams, Pairs};
use crate::admin::api::AdminState;
use crate::admin::api::body::Query;
use crate::admin::api::dashboard::{Dollars, success_rate};
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::api::range::Period;
use crate::observe::sums::{Cell, Chart, Count, Depth, Frame, Kind, Name, Span};
use crate::store::requests::Filter;
use crate::telemetry::clock;

/// Models that are ranked where nothing is said.
const RANKED: usize = 100;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(stats)).routes(routes!(rankings))
}

/// Against what.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Compared {
    /// Also tells of the period of the same length before.
    compare_to_previous: bool,
}

/// Totals of the requests that are asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct LogStats {
    total_requests: u64,
    /// Percent of the requests that were answered or failed; those whose caller left are neither.
    success_rate: f64,
    /// Milliseconds.
    average_latency: f64,
    /// Input and output.
    total_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    total_cost: Dollars,
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    /// Requests of which nobody knows what all of it cost.
    unpriced_requests: u64,
}

/// Totals, and how they were found.
#[derive(Debug, Serialize, ToSchema)]
struct LogStatsAnswer {
    #[serde(flatten)]
    stats: LogStats,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<LogStats>,
    has_previous_period: bool,
    #[serde(flatten)]
    found: Found,
}

/// Which ranking.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Ranked {
    /// `model` (the default), `virtual_key`, `team`, `customer`.
    dimension: Option<String>,
    /// At most so many, by default 100.
    limit: Option<usize>,
    /// All of them.
    all: bool,
}

/// The most asked for first.
#[derive(Debug, Serialize, ToSchema)]
struct Rankings {
    rankings: Vec<RankingEntry>,
    dimension: &'static str,
    #[serde(flatten)]
    found: Found,
}

/// A model, a key, a team or a customer.
#[derive(Debug, Serialize, ToSchema)]
struct RankingEntry {
    /// Of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Of all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    total_requests: u64,
    success_count: u64,
    success_rate: f64,
    total_tokens: u64,
    #[schema(value_type = f64)]
    total_cost: Dollars,
    /// Milliseconds.
    avg_latency: f64,
    trend: RankingTrend,
}

/// Against the period of the same length before, in percent.
#[derive(Debug, Serialize, ToSchema)]
struct RankingTrend {
    has_previous_period: bool,
    requests_trend: f64,
    tokens_trend: f64,
    cost_trend: f64,
    latency_trend: f64,
}

/// Totals of the requests that are asked for. Without a time: of all that is kept.
#[utoipa::path(get, path = "/api/logs/stats", tag = "logs", params(FilterParams, Period, Compared),
    responses((status = 200, body = LogStatsAnswer), (status = "default", body = ErrorBody)))]
async fn stats(
    State(state): State<AdminState>,
    Query(pairs): Query<Pairs>,
    Query(compared): Query<Compared>,
) -> Result<Json<LogStatsAnswer>, Refused> {
    let now_ms = clock::now_ms();
    let filter = wanted(pairs, &["compare_to_previous"], now_ms)?;
    let frame = whole(&filter, now_ms);
    let now = state.figures(&filter, None, (frame, Depth::Counts), now_ms).await?;
    let before = match compared.compare_to_previous && filter.from_ms.is_some() {
        true => Some(state.figures(&filter, None, (before(frame, now_ms), Depth::Counts), now_ms).await?),
        false => None,
    };
    Ok(Json(LogStatsAnswer {
        stats: LogStats::of(&now.total()),
        has_previous_period: before.is_some(),
        previous: before.map(|before| LogStats::of(&before.total())),
        found: Found::of(&now),
    }))
}

/// Who was asked most, against the period before. Without a time: of the last day.
#[utoipa::path(get, path = "/api/logs/rankings", tag = "logs", params(FilterParams, Period, Ranked),
    responses((status = 200, body = Rankings), (status = "default", body = ErrorBody)))]
async fn rankings(
    State(state): State<AdminState>,
    Query(pairs): Query<Pairs>,
    Query(ranked): Query<Ranked>,
) -> Result<Json<Rankings>, Refused> {
    let (dimension, kind) = match ranked.dimension.as_deref() {
        None | Some("model") => ("model", Kind::Target),
        Some("virtual_key") => ("virtual_key", Kind::VirtualKey),
        Some("team") => ("team", Kind::Team),
        Some("customer") => ("customer", Kind::Customer),
        Some(_) => return Err(Refused::field("dimension", "one of model, virtual_key, team, customer")),
    };
    let now_ms = clock::now_ms();
    let mut filter = wanted(pairs, &["dimension", "limit", "all"], now_ms)?;
    filter.from_ms.get_or_insert(now_ms.saturating_sub(Span::Day.millis()));
    let frame = whole(&filter, now_ms);
    let now = state.figures(&filter, Some(kind), (frame, Depth::Counts), now_ms).await?;
    let before = state.figures(&filter, Some(kind), (before(frame, now_ms), Depth::Counts), now_ms).await?;
    let mut rankings = ranks(&now, &before, kind);
    if !ranked.all {
        rankings.truncate(ranked.limit.unwrap_or(RANKED));
    }
    Ok(Json(Rankings { rankings, dimension, found: Found::of(&now) }))
}

impl LogStats {
    fn of(cell: &Cell) -> Self {
        Self {
            total_requests: cell.requests(),
            success_rate: success_rate(cell).unwrap_or(0.0),
            average_latency: average_latency(cell),
            total_tokens: cell.tokens(),
            total_cost: Dollars(cell.get(Count::Cost)),
            input_tokens: cell.input(),
            output_tokens: cell.get(Count::Output),
            cached_tokens: cell.get(Count::CacheRead),
            unpriced_requests: cell.get(Count::Unpriced),
        }
    }
}

/// All of a filter's time in one bucket.
fn whole(filter: &Filter, now_ms: u64) -> Frame {
    let to_ms = filter.to_ms.unwrap_or(now_ms + 1);
    let oldest = now_ms.saturating_sub(Span::Day.kept() * Span::Day.millis());
    let from_ms = filter.from_ms.unwrap_or(oldest).max(oldest).min(to_ms.saturating_sub(1));
    // Of whole days, so that days can be read: the edges of the first and the last bucket are those of the range.
    let bucket_ms = (to_ms - from_ms).next_multiple_of(Span::Day.millis());
    Frame { from_ms, to_ms, bucket_ms }.rounded(now_ms)
}

fn before(frame: Frame, now_ms: u64) -> Frame {
    frame.before().rounded(now_ms)
}

fn ranks(now: &Chart, before: &Chart, kind: Kind) -> Vec<RankingEntry> {
    let sum = |chart: &Chart, name: &Name| {
        let mut total = Cell::default();
        chart.names.get(name).into_iter().flatten().for_each(|cell| total.merge(cell, Depth::Counts));
        total
    };
    let mut ranks: Vec<RankingEntry> = now
        .names
        .keys()
        .map(|name| {
            let (cell, past) = (sum(now, name), sum(before, name));
            let target = kind == Kind::Target;
            let first = if name.is_rest() { "other" } else { &*name.0 };
            RankingEntry {
                provider: target.then(|| name.0.to_string()),
                model: target.then(|| if name.is_rest() { "other".to_owned() } else { name.1.to_string() }),
                id: (!target).then(|| first.to_owned()),
                name: (!target && !name.1.is_empty()).then(|| name.1.to_string()),
                total_requests: cell.requests(),
                success_count: cell.answered(),
                success_rate: success_rate(&cell).unwrap_or(0.0),
                total_tokens: cell.tokens(),
                total_cost: Dollars(cell.get(Count::Cost)),
                avg_latency: average_latency(&cell),
                trend: trend(&cell, &past),
            }
        })
        .filter(|rank| rank.total_requests > 0)
        .collect();
    ranks.sort_by(|a, b| {
        let key = |rank: &RankingEntry| {
            (
                std::cmp::Reverse(rank.total_requests),
                rank.provider.clone(),
                rank.model.clone(),
                rank.id.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    ranks
}

fn trend(now: &Cell, before: &Cell) -> RankingTrend {
    let percent = |now: f64, before: f64| if before > 0.0 { (now - before) * 100.0 / before } else { 0.0 };
    let counts = |read: fn(&Cell) -> u64| percent(read(now) as f64, read(before) as f64);
    RankingTrend {
        has_previous_period: before.requests() > 0,
        requests_trend: counts(Cell::requests),
        tokens_trend: counts(Cell::tokens),
        cost_trend: counts(|cell| cell.get(Count::Cost)),
        latency_trend: percent(average_latency(now), average_latency(before)),
    }
}
