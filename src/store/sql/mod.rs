//! SQLite and Postgres behind the few calls the store needs, so that each statement is written once.
//!
//! Only whole numbers, texts and bytes, never NULL: every column has both meanings in both databases. What is stored, and
//! why, is not known here.

mod migrate;
mod postgres;
mod sqlite;

use sqlx::{AssertSqlSafe, PgPool, Postgres, SqlSafeStr, SqlStr, Sqlite, SqlitePool, Transaction};

pub(super) use self::migrate::Schema;

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
    Blob(&'a [u8]),
}

/// A statement that is put together of parts: of our own words and `$1`, `$2` … only, never of a value.
#[derive(Debug)]
pub(super) struct Composed(pub String);

/// What a database is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Settings and money: what was committed outlives a crash of the machine.
    Books,
    /// The request log: a crash of the machine may cost its last second, and its file gives room back.
    Requests,
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
    /// The schema of the request log.
    RequestsMigration = 4,
    /// Numbers of names in the request log.
    RequestNames = 5,
}

impl Database {
    /// Connects, and brings the schema to this version.
    ///
    /// # Errors
    /// It cannot be reached, or belongs to a newer version.
    pub(super) async fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        Self::open_for(settings, Purpose::Books, &migrate::BOOKS).await
    }

    /// The same with another schema, for another purpose.
    ///
    /// # Errors
    /// It cannot be reached, or belongs to a newer version.
    pub(super) async fn open_for(
        settings: &StoreSettings,
        purpose: Purpose,
        schema: &Schema,
    ) -> Result<Self, StoreError> {
        let database = match settings {
            StoreSettings::Sqlite { path } => sqlite::open(path, purpose).await?,
            StoreSettings::Postgres(server) => postgres::open(server, purpose).await?,
        };
        migrate::run(&database, schema).await?;
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
        text: impl SqlSafeStr,
        values: &[Sql<'_>],
    ) -> Result<u64, StoreError> {
        let text = text.into_sql_str();
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
        text: impl SqlSafeStr,
        values: &[Sql<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let text = text.into_sql_str();
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
        text: impl SqlSafeStr,
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

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// What is for the database at hand, where the two differ.
    pub(super) fn either<T>(&self, sqlite: T, postgres: T) -> T {
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

    pub(super) fn bytes(&self, at: usize) -> Result<Vec<u8>, StoreError> {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => Ok(row.try_get(at)?),
            Self::Postgres(row) => Ok(row.try_get(at)?),
        }
    }
}

impl SqlSafeStr for Composed {
    fn into_sql_str(self) -> SqlStr {
        AssertSqlSafe(self.0).into_sql_str()
    }
}

/// Databases have no larger numbers; no sum of money comes near.
impl From<u64> for Sql<'_> {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a [u8]> for Sql<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
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
