//! How many requests a filter asks for, and what they come to: exact where that is quick, else as far as it was counted.

use std::time::{Duration, Instant};

use super::ask::{Filter, Terms};
use super::driver::{Driver, Range, Way, zones_of};
use super::walk::longer;
use super::{Requests, StoreError, ask::Ask};
use crate::store::sql::{Row, Work};

/// Work that counting may make, beside the page itself.
const BUDGET: Duration = Duration::from_millis(25);
/// Entries that are counted in one go: at first, and at most.
const STEP: (u64, u64) = (500, 8_000);

/// What requests come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub requests: u64,
    /// The other counts are of so many of them: the newest ones.
    pub counted: u64,
    pub successes: u64,
    /// Microseconds.
    pub took_us: u64,
    pub tokens: u64,
    pub cost_nanos: u64,
    /// All of them were counted.
    pub complete: bool,
}

impl Requests {
    /// Counts the requests of a filter, the newest first.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn tally(&self, filter: &Filter) -> Result<Tally, StoreError> {
        self.reading(async |work| {
            let Some(terms) = self.terms(work, filter).await? else {
                return Ok(Tally { complete: true, ..Tally::default() });
            };
            let (from, to) = filter.ids();
            let mut tally = counted(work, &terms, Range { from, to }).await?;
            if !tally.complete && filter.is_of_time() {
                tally.requests = in_zones(work, Range { from, to }).await?;
            }
            Ok(tally)
        })
        .await
    }
}

async fn counted(work: &mut Work, terms: &Terms, range: Range) -> Result<Tally, StoreError> {
    let began = Instant::now();
    let driver = Driver::choose(work, terms, (range, Way::Back)).await?;
    let (mut tally, mut left, mut step) = (Tally::default(), range, STEP.0);
    while !left.is_empty() && began.elapsed() < BUDGET {
        let paced = Instant::now();
        let reach = driver.reach(work, terms, (left, Way::Back, step)).await?;
        if reach.parts.as_ref().is_none_or(|parts| !parts.is_empty()) {
            let ask = driver.sums(terms, &reach, work.is_postgres());
            ask.rows(work).await?.iter().try_for_each(|row| tally.add(row))?;
        }
        left = left.behind(reach.range, Way::Back);
        step = longer(step, paced.elapsed()).min(STEP.1);
    }
    tally.requests = tally.counted;
    tally.complete = left.is_empty();
    Ok(tally)
}

/// Requests of whole zones: some seconds more than were asked for.
async fn in_zones(work: &mut Work, range: Range) -> Result<u64, StoreError> {
    let sum = if work.is_postgres() { "SUM(requests)::bigint" } else { "SUM(requests)" };
    let mut ask = Ask::new("SELECT COALESCE(");
    ask.push(sum).push(", 0) FROM bifrost_request_zones WHERE ");
    zones_of(&mut ask, range);
    ask.row(work).await?.map_or(Ok(0), |row| row.number(0))
}

impl Tally {
    /// A row of [`SUMS`].
    fn add(&mut self, row: &Row) -> Result<(), StoreError> {
        self.counted += row.number(0)?;
        self.successes += row.number(1)?;
        self.took_us = self.took_us.saturating_add(row.number(2)?);
        self.tokens = self.tokens.saturating_add(row.number(3)?);
        self.cost_nanos = self.cost_nanos.saturating_add(row.number(4)?);
        Ok(())
    }
}

/// Columns of one more row for [`Tally::add`], in both databases.
pub(super) const SUMS: &str = "COUNT(*), CAST(COALESCE(SUM(CASE WHEN outcome <= 2 THEN 1 ELSE 0 END), 0) AS BIGINT), \
    CAST(COALESCE(SUM(took), 0) AS BIGINT), CAST(COALESCE(SUM(input_tokens + output_tokens), 0) AS BIGINT), \
    CAST(COALESCE(SUM(cost), 0) AS BIGINT)";
