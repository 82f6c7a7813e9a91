//! What leaves the log: the oldest requests, or those that somebody names. In small steps: whoever writes comes between.

use std::collections::BTreeSet;

use super::entry::started_ms;
use super::write::{ZONE_BITS, list};
use super::{Requests, StoreError};
use crate::store::sql::{Row, Sql, Work};

/// How much room the log takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Bytes of the file, or of the tables with their indexes.
    pub whole: u64,
    /// Bytes of it that can be written anew: known of a file only.
    pub free: u64,
}

impl Requests {
    /// Removes the oldest requests before number `before`, `most` of them. Gives how many there were.
    ///
    /// # Errors
    /// The log is not available: none was removed.
    pub async fn remove_oldest(&self, before: u64, most: u64) -> Result<u64, StoreError> {
        self.writing(async |work| {
            let text = "SELECT COUNT(*), COALESCE(MAX(id), 0) FROM \
                (SELECT id FROM bifrost_requests WHERE id < $1 ORDER BY id LIMIT $2) AS oldest";
            let row = work.row(text, &[before.into(), most.into()]).await?;
            let (count, last) = two(row)?;
            if count == 0 {
                return Ok(0);
            }
            let steps = if work.is_postgres() { &OLDEST_POSTGRES } else { &OLDEST_SQLITE };
            remove(work, steps, last.into()).await?;
            let text = "DELETE FROM bifrost_request_zones WHERE zone < $1";
            work.execute(text, &[(last >> ZONE_BITS).into()]).await?;
            recount(work, last >> ZONE_BITS).await?;
            Ok(count)
        })
        .await
    }

    /// Removes requests by their numbers. Gives how many were there.
    ///
    /// # Errors
    /// The log is not available: none was removed.
    pub async fn remove(&self, numbers: &[u64]) -> Result<u64, StoreError> {
        self.writing(async |work| {
            let steps = if work.is_postgres() { &NAMED_POSTGRES } else { &NAMED_SQLITE };
            let removed = remove(work, steps, (&list(numbers.iter().copied())).into()).await?;
            for zone in numbers.iter().map(|number| number >> ZONE_BITS).collect::<BTreeSet<_>>() {
                recount(work, zone).await?;
            }
            Ok(removed)
        })
        .await
    }

    /// How much room it takes.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn room(&self) -> Result<Room, StoreError> {
        self.reading(async |work| {
            let row = work.row(work.either(ROOM_SQLITE, ROOM_POSTGRES), &[]).await?;
            let (whole, free) = two(row)?;
            Ok(Room { whole, free })
        })
        .await
    }

    /// Requests that there are.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn total(&self) -> Result<u64, StoreError> {
        let text = self.reading(async |work| {
            let text = work.either(
                "SELECT COALESCE(SUM(requests), 0) FROM bifrost_request_zones",
                "SELECT COALESCE(SUM(requests), 0)::bigint FROM bifrost_request_zones",
            );
            work.row(text, &[]).await
        });
        text.await?.map_or(Ok(0), |row| row.number(0))
    }

    /// When the oldest request began, in Unix milliseconds.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn oldest_ms(&self) -> Result<Option<u64>, StoreError> {
        let text = "SELECT id FROM bifrost_requests ORDER BY id LIMIT 1";
        let row = self.reading(async |work| work.row(text, &[]).await).await?;
        row.map(|row| row.number(0).map(started_ms)).transpose()
    }

    /// Gives room of the file back that nothing is in: a mebibyte at a time.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn shrink(&self) -> Result<(), StoreError> {
        self.writing(async |work| match work.is_postgres() {
            true => Ok(()),
            false => work.script("PRAGMA incremental_vacuum(256)").await,
        })
        .await
    }

    /// A number that the log remembers about itself.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn remembered(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let text = "SELECT value FROM bifrost_request_state WHERE name = $1";
        let row = self.reading(async |work| work.row(text, &[name.into()]).await).await?;
        row.map(|row| row.number(0)).transpose()
    }

    /// Remembers a number.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn remember(&self, name: &str, value: u64) -> Result<(), StoreError> {
        let text = "INSERT INTO bifrost_request_state (name, value) VALUES ($1, $2) \
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.writing(async |work| work.execute(text, &[name.into(), value.into()]).await).await.map(drop)
    }
}

const ROOM_SQLITE: &str = "SELECT page_count * page_size, freelist_count * page_size \
    FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
const ROOM_POSTGRES: &str = "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::bigint, 0::bigint \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname IN ('bifrost_requests', \
    'bifrost_request_details', 'bifrost_request_tags', 'bifrost_request_zones', 'bifrost_request_bodies', \
    'bifrost_request_contents', 'bifrost_request_texts')";

/// Statements that remove requests with all that belongs to them, in their order; the last one counts.
type Steps = [&'static str; 7];

macro_rules! steps {
    ($ids:literal, $texts:literal) => {
        [
            concat!(
                "DELETE FROM bifrost_request_texts WHERE ",
                $texts,
                " IN \
                (SELECT id FROM bifrost_request_contents WHERE id ",
                $ids,
                ")"
            ),
            concat!(
                "UPDATE bifrost_request_bodies SET uses = uses - gone.count FROM \
                (SELECT body, COUNT(*) AS count FROM bifrost_request_contents WHERE id ",
                $ids,
                " GROUP BY body) \
                AS gone WHERE number = gone.body"
            ),
            concat!(
                "DELETE FROM bifrost_request_bodies WHERE uses <= 0 AND number IN \
                (SELECT body FROM bifrost_request_contents WHERE id ",
                $ids,
                ")"
            ),
            concat!("DELETE FROM bifrost_request_contents WHERE id ", $ids),
            concat!("DELETE FROM bifrost_request_tags WHERE id ", $ids),
            concat!("DELETE FROM bifrost_request_details WHERE id ", $ids),
            concat!("DELETE FROM bifrost_requests WHERE id ", $ids),
        ]
    };
}

const OLDEST_SQLITE: Steps = steps!("<= $1", "rowid");
const OLDEST_POSTGRES: Steps = steps!("<= $1", "id");
const NAMED_SQLITE: Steps = steps!("IN (SELECT value FROM json_each($1))", "rowid");
const NAMED_POSTGRES: Steps =
    steps!("IN (SELECT value::bigint FROM json_array_elements_text($1::json))", "id");

async fn remove(work: &mut Work, steps: &Steps, what: Sql<'_>) -> Result<u64, StoreError> {
    let mut removed = 0;
    for step in steps {
        removed = work.execute(*step, &[what]).await?;
    }
    Ok(removed)
}

/// The first two numbers of a row.
fn two(row: Option<Row>) -> Result<(u64, u64), StoreError> {
    match row {
        Some(row) => Ok((row.number(0)?, row.number(1)?)),
        None => Ok((0, 0)),
    }
}

/// A zone whose requests became fewer.
async fn recount(work: &mut Work, zone: u64) -> Result<(), StoreError> {
    let text = "UPDATE bifrost_request_zones SET requests = \
        (SELECT COUNT(*) FROM bifrost_requests WHERE id >= $2 AND id < $3) WHERE zone = $1";
    let (first, next) = (zone << ZONE_BITS, (zone + 1) << ZONE_BITS);
    work.execute(text, &[zone.into(), first.into(), next.into()]).await.map(drop)
}
