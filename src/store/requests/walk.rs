//! Walks through the log in the order of time: as far as a question needs, or its time allows.

use std::time::{Duration, Instant};

use super::ask::{Filter, Terms};
use super::driver::{Driver, Range, Reach, Way};
use super::entry::{Counts, started_ms};
use super::row::{self, Numbered};
use super::{Requests, StoreError};
use crate::store::sql::Work;

/// Work that a question may make.
pub const BUDGET: Duration = Duration::from_millis(100);
/// Entries of the first step; each further one has twice as many while that is quick, up to the largest.
const STEP: u64 = 1_000;
const LARGEST_STEP: u64 = 32_000;

/// Rows that were found, in the order asked for.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub rows: Vec<Numbered>,
    /// What was looked through: all that was asked, or less.
    pub seen: Range,
    pub complete: bool,
}

/// Requests for who counts them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// The newest first.
    pub rows: Vec<Counted>,
    /// All requests that the filter asks for are in it.
    pub complete: bool,
    /// Unix milliseconds: those that began before were not looked at, where it is not complete.
    pub searched_to_ms: u64,
}

/// What can be counted of a request. Names are numbers of [`Requests::names`]: provider, model, asked, key, virtual key,
/// team, customer, rule, object, dialect, error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub id: u64,
    pub names: [u32; 11],
    pub counts: Counts,
}

impl Requests {
    /// The newest requests of a filter, up to `most` of them, within [`BUDGET`].
    ///
    /// # Errors
    /// The log is not available.
    pub async fn scan(&self, filter: &Filter, most: u64) -> Result<Scanned, StoreError> {
        let (from, to) = filter.ids();
        let range = Range { from, to };
        let found = self
            .reading(async |work| match self.terms(work, filter).await? {
                Some(terms) => walk(work, &terms, (range, Way::Back), most).await.map(Some),
                None => Ok(None),
            })
            .await?;
        let Some(found) = found else {
            return Ok(Scanned { rows: Vec::new(), complete: true, searched_to_ms: started_ms(from) });
        };
        let counted = |row: Numbered| Counted { id: row.id, names: row.names, counts: row.counts };
        Ok(Scanned {
            rows: found.rows.into_iter().map(counted).collect(),
            complete: found.complete,
            searched_to_ms: started_ms(found.seen.from),
        })
    }
}

/// Up to `most` rows from the near end of a range.
pub(super) async fn walk(
    work: &mut Work,
    terms: &Terms,
    (range, way): (Range, Way),
    most: u64,
) -> Result<Found, StoreError> {
    let began = Instant::now();
    let mut rows: Vec<Numbered> = Vec::new();
    let (mut left, mut step) = (range, STEP);
    let driver = Driver::choose(work, terms, (range, way)).await?;
    let order = match way {
        Way::Back => "id DESC",
        Way::Forth => "id ASC",
    };
    while !left.is_empty() {
        let paced = Instant::now();
        let reach = driver.reach(work, terms, (left, way, step)).await?;
        let wanted = most.saturating_sub(count(&rows));
        let found = part(work, (&driver, terms), &reach, (order, wanted)).await?;
        let full = count(&found) >= wanted;
        rows.extend(found);
        if full {
            // The last one that was found is the last one that was looked at.
            if let Some(last) = rows.last() {
                left = left.behind(Range { from: last.id, to: last.id.saturating_add(1) }, way);
            }
            break;
        }
        left = left.behind(reach.range, way);
        if began.elapsed() > BUDGET {
            break;
        }
        step = longer(step, paced.elapsed()).min(LARGEST_STEP);
    }
    let seen = match way {
        Way::Back => Range { from: left.to.max(range.from), to: range.to },
        Way::Forth => Range { from: range.from, to: left.from.min(range.to) },
    };
    Ok(Found { rows, seen, complete: left.is_empty() })
}

/// The rows of a reach that a filter asks for, at most `limit` of them.
pub(super) async fn part(
    work: &mut Work,
    (driver, terms): (&Driver, &Terms),
    reach: &Reach,
    (order, limit): (&str, u64),
) -> Result<Vec<Numbered>, StoreError> {
    if reach.parts.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let ask = driver.rows(terms, reach, (order, limit, work.is_postgres()));
    ask.rows(work).await?.iter().map(row::read).collect()
}

/// Entries of the next step: rows that have to come from a disk first make it slow.
pub(super) fn longer(step: u64, took: Duration) -> u64 {
    const QUICK: Duration = Duration::from_millis(10);
    if took < QUICK { step * 2 } else { step }
}

fn count(rows: &[Numbered]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
