//! `/api/overview`: all that the dashboard shows, in one answer: how requests do, what they cost, what needs attention.
//!
//! Every number is made of sums; none of them reads the request log. What each means is in docs/dashboard-data.md.

mod attention;
mod money;
mod series;
mod tiles;

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::attention::AttentionItem;
pub use self::money::Dollars;
use self::series::Series;
use self::tiles::Tiles;
pub use self::tiles::success_rate;
use super::AdminState;
use super::body::Query;
use super::fault::{ErrorBody, Refused};
use super::keyring::rfc3339;
use super::range::Within;
use super::timing;
use crate::observe::sums::{Chart, Depth, Frame, Kind, Question, Span, keep};
use crate::telemetry::clock;

/// Buckets of a chart.
const BUCKETS: u64 = 100;
/// Changes of the configuration that are looked at.
const CHANGES: u32 = 100;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(overview))
}

/// The dashboard.
#[derive(Debug, Serialize, ToSchema)]
struct Overview {
    /// RFC 3339: what was asked, rounded outwards to where sums end.
    from: String,
    to: String,
    bucket_seconds: u64,
    /// `false`: what is stored cannot be read, so only what is in memory is told.
    complete: bool,
    tiles: Tiles,
    /// What somebody should look at, the worst first.
    attention: Vec<AttentionItem>,
    series: Series,
    annotations: Vec<Annotation>,
}

/// Something that happened, to be drawn over the charts.
#[derive(Debug, Serialize, ToSchema)]
struct Annotation {
    /// RFC 3339.
    at: String,
    /// `config` (the configuration changed) or `start` (this process began).
    kind: &'static str,
    text: String,
    link: Option<String>,
}

/// The charts that everything is made of.
struct Facts {
    now_ms: u64,
    frame: Frame,
    /// All requests by bucket, and those of the period before.
    all: Chart,
    before: Chart,
    targets: Chart,
    errors: Chart,
    keys: Chart,
    /// This month, by day; the last week; errors and requests of the last hours, in buckets of ten minutes.
    month: Chart,
    week: Chart,
    recent_errors: Chart,
    recent: Chart,
}

/// All that the dashboard shows.
#[utoipa::path(get, path = "/api/overview", tag = "dashboard", params(Within),
    responses((status = 200, body = Overview), (status = "default", body = ErrorBody)))]
async fn overview(
    State(state): State<AdminState>,
    Query(within): Query<Within>,
) -> Result<impl IntoResponse, Refused> {
    let now_ms = clock::now_ms();
    let frame = within.frame(now_ms, BUCKETS)?;
    let began = Instant::now();
    let facts = facts(&state, frame, now_ms).await?;
    let summed = began.elapsed();
    let attention = attention::find(&state, &facts);
    let overview = Overview {
        from: rfc3339(frame.from_ms),
        to: rfc3339(frame.to_ms),
        bucket_seconds: frame.bucket_ms / 1_000,
        complete: facts.all.complete && facts.targets.complete,
        tiles: tiles::of(&facts, attention::budgets_at_risk(&attention)),
        attention,
        series: series::of(&state, &facts),
        annotations: annotations(&state, &frame, now_ms).await,
    };
    Ok((timing::step("sums", summed), Json(overview)))
}

impl AdminState {
    /// Answers questions about sums, in their order.
    pub async fn charts<const N: usize>(
        &self,
        questions: [Question; N],
        now_ms: u64,
    ) -> Result<[Chart; N], Refused> {
        let gateway = &self.gateway;
        let charts = keep::ask(&gateway.sums, gateway.requests.as_ref(), questions.into(), now_ms).await;
        charts.try_into().map_err(|_| Refused::unavailable("the sums cannot be read now"))
    }
}

async fn facts(state: &AdminState, frame: Frame, now_ms: u64) -> Result<Facts, Refused> {
    let question =
        |kind, frame: Frame, depth| Question { kind, frame: frame.rounded(now_ms), depth, only: None };
    let since = |from_ms, bucket_ms| Frame { from_ms, to_ms: now_ms + 1, bucket_ms };
    let before = Frame { bucket_ms: frame.to_ms - frame.from_ms, ..frame.before() };
    let day = Span::Day.millis();
    let recent = since(now_ms.saturating_sub(attention::LOOK_BACK_MS), attention::RECENT_MS);
    let charts = state.charts(
        [
            question(Kind::All, frame, Depth::Times),
            question(Kind::All, before, Depth::Times),
            question(Kind::Target, frame, Depth::Counts),
            question(Kind::Error, frame, Depth::Counts),
            question(Kind::Key, frame, Depth::Counts),
            question(Kind::All, since(govern::forecast::month(now_ms).0, day), Depth::Counts),
            question(Kind::All, since(now_ms.saturating_sub(7 * day), day), Depth::Counts),
            question(Kind::Error, recent, Depth::Counts),
            question(Kind::All, recent, Depth::Counts),
        ],
        now_ms,
    );
    let [all, before, targets, errors, keys, month, week, recent_errors, recent] = charts.await?;
    Ok(Facts { now_ms, frame, all, before, targets, errors, keys, month, week, recent_errors, recent })
}

async fn annotations(state: &AdminState, frame: &Frame, now_ms: u64) -> Vec<Annotation> {
    let within = |at_ms: u64| (frame.from_ms..frame.to_ms).contains(&at_ms);
    let up = u64::try_from(state.gateway.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let began = now_ms.saturating_sub(up);
    let version = env!("CARGO_PKG_VERSION");
    let start = Annotation {
        at: rfc3339(began),
        kind: "start",
        text: format!("bifrost {version} started"),
        link: None,
    };
    let mut all: Vec<Annotation> = within(began).then_some(start).into_iter().collect();
    if let Some(store) = &state.gateway.store {
        // What was changed is told where it can be read; the dashboard does not fail of it.
        let changes = store.changes(i64::MAX.cast_unsigned(), CHANGES).await.unwrap_or_default();
        all.extend(changes.iter().filter(|change| within(change.at_ms)).map(|change| Annotation {
            at: rfc3339(change.at_ms),
            kind: "config",
            text: format!("{} by {}", change.action, change.who),
            link: Some(format!("/config/history/{}", change.revision)),
        }));
    }
    all.sort_by(|a, b| a.at.cmp(&b.at));
    all
}
