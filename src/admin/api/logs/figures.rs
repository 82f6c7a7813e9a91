//! What is asked about the requests of a filter: from sums where they know it, else counted in the log, and marked.

use serde::Serialize;
use utoipa::ToSchema;

use super::filter::{Asked, Pairs};
use crate::admin::api::AdminState;
use crate::admin::api::edit::refused;
use crate::admin::api::fault::Refused;
use crate::admin::api::keyring::rfc3339;
use crate::admin::api::range;
use crate::observe::sums::{Cell, Chart, Count, Depth, Frame, Kind, source};
use crate::store::requests::Filter;

/// How an answer was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Found {
    /// `sums`, or `log`: the filter asks for what sums do not know, so requests were counted.
    source: &'static str,
    /// `false`: some were not looked at.
    complete: bool,
    /// RFC 3339: requests that began before were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_to: Option<String>,
}

impl Found {
    pub fn of(chart: &Chart) -> Self {
        Self {
            source: if chart.searched_to_ms.is_some() { "log" } else { "sums" },
            complete: chart.complete,
            searched_to: chart.searched_to_ms.filter(|_| !chart.complete).map(rfc3339),
        }
    }
}

/// The filter of a query, whose time may also be a `period` (the original's word) or a `range`.
///
/// # Errors
/// A name that nobody knows, or a value that cannot be.
pub fn wanted(pairs: Pairs, others: &[&str], now_ms: u64) -> Result<Filter, Refused> {
    let others: Vec<&str> = others.iter().copied().chain(["period", "range"]).collect();
    let mut asked = Asked::read(pairs, &others)?;
    if asked.request_id.is_some() {
        return Err(Refused::field("request_id", "one request has no totals: ask /api/logs for it"));
    }
    if let Some(length) =
        asked.other("range").or_else(|| asked.other("period")).filter(|text| !text.is_empty())
    {
        let (from, to) = range::up_to_now(length, now_ms)?;
        (asked.filter.from_ms, asked.filter.to_ms) = (Some(from), Some(to));
    }
    if let (Some(from), Some(to)) = (asked.filter.from_ms, asked.filter.to_ms)
        && from >= to
    {
        return Err(Refused::field("end_time", "the end must be after the beginning"));
    }
    Ok(asked.filter)
}

impl AdminState {
    /// The requests of a filter, told apart by a kind of names, in buckets.
    ///
    /// # Errors
    /// Sums do not know it, and the log cannot be read.
    pub async fn figures(
        &self,
        filter: &Filter,
        by: Option<Kind>,
        (frame, depth): (Frame, Depth),
        now_ms: u64,
    ) -> Result<Chart, Refused> {
        if let Some(question) = source::question(filter, by, frame, depth) {
            let [chart] = self.charts([question], now_ms).await?;
            return Ok(chart);
        }
        let Some(log) = &self.gateway.requests else {
            let message =
                "this combination of filters needs the request log, which is off (client.enable_logging)";
            return Err(Refused::conflict(message));
        };
        let filter = Filter { from_ms: Some(frame.from_ms), to_ms: Some(frame.to_ms), ..filter.clone() };
        let asked = log.ask(move |requests| async move {
            let scanned = requests.scan(&filter, source::MOST).await?;
            Ok(source::counted(&requests, by, frame, &scanned))
        });
        asked.await.map_err(refused)
    }
}

/// Milliseconds of a request on average; 0 where there was none.
#[must_use]
pub fn average_latency(cell: &Cell) -> f64 {
    let requests = cell.requests();
    if requests == 0 { 0.0 } else { cell.get(Count::Took) as f64 / 1_000.0 / requests as f64 }
}
