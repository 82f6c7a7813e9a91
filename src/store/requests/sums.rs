//! Sums over spans of time, as rows: what they mean is known to who makes them.
//!
//! Every process has rows of its own, which only it writes and which add up: nobody has to read before writing. Rows of
//! spans that are long over are put together.

use super::{Requests, StoreError};
use crate::store::sql::{Row, Sql, Work};

/// The sum of one kind of things over one span, by one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumRow {
    /// 1: minutes, 2: quarters of an hour, 3: hours, 4: days.
    pub span: u8,
    pub kind: u8,
    /// In spans since 1970.
    pub start: u64,
    /// The process that counted; 0: several of them, put together.
    pub writer: u64,
    pub body: Vec<u8>,
}

/// Spans of one kind: from the first up to and without the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumRange {
    pub span: u8,
    pub kind: u8,
    pub from: u64,
    pub to: u64,
}

impl Requests {
    /// Puts rows in the place of those that are there, all or none.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn put_sums(&self, rows: &[SumRow]) -> Result<(), StoreError> {
        self.writing(async |work| {
            for row in rows {
                put(work, row).await?;
            }
            Ok(())
        })
        .await
    }

    /// The rows of some ranges, shown one after the other, those of a range oldest first.
    ///
    /// # Errors
    /// The log is not available. Some may have been shown.
    pub async fn sums(&self, ranges: &[SumRange], mut show: impl FnMut(SumRow)) -> Result<(), StoreError> {
        let text = "SELECT start, writer, body FROM bifrost_sums \
            WHERE span = $1 AND kind = $2 AND start >= $3 AND start < $4 ORDER BY start";
        self.reading(async |work| {
            for range in ranges {
                let SumRange { span, kind, from, to } = *range;
                let values = [Sql::Int(span.into()), Sql::Int(kind.into()), from.into(), to.into()];
                for row in work.rows(text, &values).await? {
                    let (start, writer) = (row.number(0)?, row.number(1)?);
                    show(SumRow { span, kind, start, writer, body: row.bytes(2)? });
                }
            }
            Ok(())
        })
        .await
    }

    /// Puts together up to `limit` spans that begin before `before` and have rows of several processes. `together` makes
    /// one body of several; gives how many spans that was.
    ///
    /// # Errors
    /// The log is not available: nothing has changed.
    pub async fn join_sums(
        &self,
        span: u8,
        before: u64,
        limit: u32,
        together: impl Fn(u8, &[Vec<u8>]) -> Option<Vec<u8>>,
    ) -> Result<usize, StoreError> {
        let several = "SELECT kind, start FROM bifrost_sums WHERE span = $1 AND start < $2 \
            GROUP BY kind, start HAVING COUNT(*) > 1 LIMIT $3";
        self.writing(async |work| {
            let values = [Sql::Int(span.into()), before.into(), Sql::Int(limit.into())];
            let found = work.rows(several, &values).await?;
            for row in &found {
                let kind = u8::try_from(row.number(0)?).unwrap_or(u8::MAX);
                join(work, (span, kind, row.number(1)?), &together).await?;
            }
            Ok(found.len())
        })
        .await
    }

    /// Removes the rows of spans that begin before `before`.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn forget_sums(&self, span: u8, before: u64) -> Result<(), StoreError> {
        // By kind, as the index has them: there are few, and none is passed by.
        let kinds = "SELECT DISTINCT kind FROM bifrost_sums WHERE span = $1";
        let text = "DELETE FROM bifrost_sums WHERE span = $1 AND kind = $2 AND start < $3";
        self.writing(async |work| {
            let span = Sql::Int(span.into());
            for row in work.rows(kinds, &[span]).await? {
                work.execute(text, &[span, row.number(0)?.into(), before.into()]).await?;
            }
            Ok(())
        })
        .await
    }
}

async fn put(work: &mut Work, row: &SumRow) -> Result<(), StoreError> {
    let text = "INSERT INTO bifrost_sums (span, kind, start, writer, body) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (span, kind, start, writer) DO UPDATE SET body = excluded.body";
    let (span, kind) = (Sql::Int(row.span.into()), Sql::Int(row.kind.into()));
    let values = [span, kind, row.start.into(), row.writer.into(), row.body.as_slice().into()];
    work.execute(text, &values).await.map(drop)
}

/// Whoever removes a row has it alone: of two that put together at once, the second finds none.
async fn join(
    work: &mut Work,
    (span, kind, start): (u8, u8, u64),
    together: &impl Fn(u8, &[Vec<u8>]) -> Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let take = "DELETE FROM bifrost_sums WHERE span = $1 AND kind = $2 AND start = $3 RETURNING body";
    let values = [Sql::Int(span.into()), Sql::Int(kind.into()), start.into()];
    let rows = work.rows(take, &values).await?;
    let bodies: Vec<Vec<u8>> = rows.iter().map(|row: &Row| row.bytes(0)).collect::<Result<_, _>>()?;
    let Some(body) = together(kind, &bodies) else {
        return Err(StoreError::Unreadable("sums that cannot be put together".to_owned()));
    };
    if bodies.is_empty() {
        return Ok(());
    }
    put(work, &SumRow { span, kind, start, writer: 0, body }).await
}
