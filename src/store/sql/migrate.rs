//! Brings a database to the schema of this version: forward only, all steps in one transaction.
//!
//! A step that was released is never edited: a correction is a further step.

use super::{Database, Sql, StoreError, Turn, Work};

/// The tables of one purpose. A database may have those of several.
#[derive(Debug)]
pub(in crate::store) struct Schema {
    /// Text for SQLite and for Postgres, in order; the first brings an empty database to version 1.
    pub steps: &'static [(&'static str, &'static str)],
    /// Where its version is written down.
    pub table: &'static str,
    /// Makes that table.
    pub make: &'static str,
    /// The version that was found, and a version that was reached.
    pub found: &'static str,
    pub reached: &'static str,
    pub turn: Turn,
}

/// Settings, their history, the audit log and the ledger.
pub(super) const BOOKS: Schema = Schema {
    steps: &[(
        include_str!("../migrations/0001_sqlite.sql"),
        include_str!("../migrations/0001_postgres.sql"),
    )],
    table: "bifrost_schema",
    make: "CREATE TABLE IF NOT EXISTS bifrost_schema (version BIGINT PRIMARY KEY, applied_by TEXT NOT NULL)",
    found: "SELECT COALESCE(MAX(version), 0) FROM bifrost_schema",
    reached: "INSERT INTO bifrost_schema (version, applied_by) VALUES ($1, $2)",
    turn: Turn::Migration,
};

pub(super) async fn run(database: &Database, schema: &Schema) -> Result<(), StoreError> {
    let understood = u64::try_from(schema.steps.len()).unwrap_or(u64::MAX);
    let mut work = database.write().await?;
    work.turn(schema.turn).await?;
    refuse_strangers(&mut work, schema).await?;
    work.execute(schema.make, &[]).await?;
    let found = match work.row(schema.found, &[]).await? {
        Some(row) => row.number(0)?,
        None => 0,
    };
    if found > understood {
        return Err(StoreError::Unreadable(format!(
            "its schema has version {found}, this program understands {understood}: a newer bifrost has used it"
        )));
    }
    for (version, (sqlite, postgres)) in
        (1_u64..).zip(schema.steps).skip_while(|(version, _)| *version <= found)
    {
        work.script(work.either(sqlite, postgres)).await?;
        let by = Sql::Text(env!("CARGO_PKG_VERSION"));
        work.execute(schema.reached, &[version.into(), by]).await?;
    }
    work.commit().await
}

/// A file of another program is left as it is. (A Postgres database may well be shared.)
async fn refuse_strangers(work: &mut Work, schema: &Schema) -> Result<(), StoreError> {
    if let Work::Postgres(_) = work {
        return Ok(());
    }
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut names = Vec::new();
    for row in work.rows(tables, &[]).await? {
        names.push(row.text(0)?);
    }
    match names.first() {
        Some(name) if !names.iter().any(|name| name == schema.table) => Err(StoreError::Unreadable(format!(
            "it is another program's database (it has a table {name:?}): choose another path"
        ))),
        _ => Ok(()),
    }
}
