//! The audit log in its table: rows are only ever appended, in the transaction of what they tell of.

use super::audit::{Action, AuditRow};
use super::error::StoreError;
use super::sql::{Row, Sql, Turn, Work};

/// Appends a row; gives its number.
pub(super) async fn append(work: &mut Work, action: &Action) -> Result<u64, StoreError> {
    work.turn(Turn::Change).await?;
    let last = work.row("SELECT number, hash FROM bifrost_audit ORDER BY number DESC LIMIT 1", &[]).await?;
    let last = last.map(|row| Ok::<_, StoreError>((row.number(0)?, row.text(1)?))).transpose()?;
    let row = AuditRow::behind(last, action);
    let values: [Sql<'_>; 8] = [
        row.number.into(),
        row.at_ms.into(),
        (&row.who).into(),
        (&row.address).into(),
        (&row.action).into(),
        (&row.detail).into(),
        (&row.previous).into(),
        (&row.hash).into(),
    ];
    let insert = "INSERT INTO bifrost_audit (number, at, who, address, action, detail, previous, hash) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    work.execute(insert, &values).await?;
    Ok(row.number)
}

/// Rows behind `after`, oldest first.
pub(super) async fn rows(work: &mut Work, after: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
    let text = "SELECT number, at, who, address, action, detail, previous, hash FROM bifrost_audit \
        WHERE number > $1 ORDER BY number LIMIT $2";
    work.rows(text, &[after.into(), Sql::Int(limit.into())]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        number: row.number(0)?,
        at_ms: row.number(1)?,
        who: row.text(2)?,
        address: row.text(3)?,
        action: row.text(4)?,
        detail: row.text(5)?,
        previous: row.text(6)?,
        hash: row.text(7)?,
    })
}
