//! Brings a database to the schema of this version: forward only, all steps in one transaction.
//!
//! A step that was released is never edited: a correction is a further step.

use super::{Database, Sql, StoreError, Turn, Work};

/// Text for SQLite and for Postgres, in order; the first brings an empty database to version 1.
const STEPS: [(&str, &str); 1] =
    [(include_str!("../migrations/0001_sqlite.sql"), include_str!("../migrations/0001_postgres.sql"))];

/// The version of the schema that this program understands.
const VERSION: u64 = STEPS.len() as u64;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS bifrost_schema (version BIGINT PRIMARY KEY, applied_by TEXT NOT NULL)";

pub(super) async fn run(database: &Database) -> Result<(), StoreError> {
    let mut work = database.write().await?;
    work.turn(Turn::Migration).await?;
    refuse_strangers(&mut work).await?;
    work.execute(TABLE, &[]).await?;
    let found = match work.row("SELECT COALESCE(MAX(version), 0) FROM bifrost_schema", &[]).await? {
        Some(row) => row.number(0)?,
        None => 0,
    };
    if found > VERSION {
        return Err(StoreError::Unreadable(format!(
            "its schema has version {found}, this program understands {VERSION}: a newer bifrost has used it"
        )));
    }
    for (version, (sqlite, postgres)) in (1..).zip(STEPS).skip_while(|(version, _)| *version <= found) {
        work.script(work.either(sqlite, postgres)).await?;
        let by = Sql::Text(env!("CARGO_PKG_VERSION"));
        work.execute(
            "INSERT INTO bifrost_schema (version, applied_by) VALUES ($1, $2)",
            &[version.into(), by],
        )
        .await?;
    }
    work.commit().await
}

/// A file of another program is left as it is. (A Postgres database may well be shared.)
async fn refuse_strangers(work: &mut Work) -> Result<(), StoreError> {
    if let Work::Postgres(_) = work {
        return Ok(());
    }
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut names = Vec::new();
    for row in work.rows(tables, &[]).await? {
        names.push(row.text(0)?);
    }
    match names.first() {
        Some(name) if !names.iter().any(|name| name == "bifrost_schema") => Err(StoreError::Unreadable(
            format!("it is another program's database (it has a table {name:?}): choose another path"),
        )),
        _ => Ok(()),
    }
}
