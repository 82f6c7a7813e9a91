//! SQLite and Postgres behind the few calls the store needs, so that each statement is written once.
//!
//! Only whole numbers and texts, never NULL: every column has both meanings in both databases. What is stored, and why,
//! is not known here.

mod migrate;
mod postgres;
mod sqlite;

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::error::StoreError;
use super::settings::StoreSettings;

/// An open database; a clone is another hand on the same one.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite {
        /// One connection: whoever writes waits here, not in the database.
        write: SqlitePool,
        read: SqlitePool,
        file: sqlite::File,
    },
    Postgres(PgPool),
}

/// A value of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sql<'a> {
    Int(i64),
    Text(&'a str),
}

/// A row of an answer.
pub(super) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

/// A transaction: without [`Work::commit`] nothing of it happens.
pub(super) enum Work {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// What only one transaction of all processes may do at a time. SQLite has one writer anyway.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    Migration = 1,
    Change = 2,
    /// Rows of the ledger become visible in the order of their numbers.
    Ledger = 3,
}

impl Database {
    /// Connects, and brings the schema to this version.
    ///
    /// # Errors
    /// It cannot be reached, or belongs to a newer version.
    pub(super) async fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        let database = match settings {
            StoreSettings::Sqlite { path } => sqlite::open(path).await?,
            StoreSettings::Postgres(server) => postgres::open(server).await?,
        };
        migrate::run(&database).await?;
        Ok(database)
    }

    /// A transaction that may write.
    pub(super) async fn write(&self) -> Result<Work, StoreError> {
        match self {
            Self::Sqlite { write, .. } => Ok(Work::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres(pool) => Ok(Work::Postgres(pool.begin().await?)),
        }
    }

    /// A transaction that sees one state of all tables.
    pub(super) async fn read(&self) -> Result<Work, StoreError> {
        match self {
            Self::Sqlite { read, .. } => Ok(Work::Sqlite(read.begin().await?)),
            Self::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Work::Postgres(pool.begin_with(begin).await?))
            }
        }
    }

    /// The file is still where it was opened.
    pub(super) fn is_in_place(&self) -> bool {
        match self {
            Self::Sqlite { file, .. } => file.is_in_place(),
            Self::Postgres(_) => true,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { write, read, .. } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Work {
    /// Waits until it is this transaction's turn, which ends with it.
    pub(super) async fn turn(&mut self, turn: Turn) -> Result<(), StoreError> {
        /// Ours among the locks of other programs in the database.
        const OURS: i64 = 0x6269_6672_0000;
        if let Self::Postgres(work) = self {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(OURS + turn as i64);
            lock.execute(&mut **work).await?;
        }
        Ok(())
    }

    /// Runs a statement; gives the number of rows that it touched.
    pub(super) async fn execute(
        &mut self,
        text: &'static str,
        values: &[Sql<'_>],
    ) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(work) => Ok(sqlite::bound(text, values).execute(&mut **work).await?.rows_affected()),
            Self::Postgres(work) => {
                Ok(postgres::bound(text, values).execute(&mut **work).await?.rows_affected())
            }
        }
    }

    /// Runs a question.
    pub(super) async fn rows(
        &mut self,
        text: &'static str,
        values: &[Sql<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(work) => {
                let rows = sqlite::bound(text, values).fetch_all(&mut **work).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(work) => {
                let rows = postgres::bound(text, values).fetch_all(&mut **work).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row of a question.
    pub(super) async fn row(
        &mut self,
        text: &'static str,
        values: &[Sql<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(text, values).await?.into_iter().next())
    }

    /// Several statements without values.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(work) => sqlx::raw_sql(text).execute(&mut **work).await.map(drop)?,
            Self::Postgres(work) => sqlx::raw_sql(text).execute(&mut **work).await.map(drop)?,
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(work) => work.commit().await?,
            Self::Postgres(work) => work.commit().await?,
        }
        Ok(())
    }

    /// The text for the database at hand, where the two differ.
    pub(super) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }
}

impl Row {
    /// A whole number; amounts are never negative.
    pub(super) fn number(&self, at: usize) -> Result<u64, StoreError> {
        use sqlx::Row as _;
        let value: i64 = match self {
            Self::Sqlite(row) => row.try_get(at)?,
            Self::Postgres(row) => row.try_get(at)?,
        };
        u64::try_from(value).map_err(|_| StoreError::Unreadable(format!("{value} in column {at}")))
    }

    pub(super) fn text(&self, at: usize) -> Result<String, StoreError> {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => Ok(row.try_get(at)?),
            Self::Postgres(row) => Ok(row.try_get(at)?),
        }
    }
}

/// Databases have no larger numbers; no sum of money comes near.
impl From<u64> for Sql<'_> {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Sql<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Sql<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}
