//! A file of SQLite: in WAL mode, so that readers and the writer do not wait for each other.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, SqlStr, Sqlite};

use super::{Database, Purpose, Sql, StoreError};

/// Another process may be writing: during an upgrade, or a command.
const BUSY: Duration = Duration::from_secs(5);
/// The log of changes before the file is cut back to this many bytes once it is written over.
const WAL_KEPT: &str = "33554432";
/// Pages in memory of each connection to the request log: 16 MiB.
const CACHE_KIB: &str = "-16384";
/// Each has a thread of its own, made when it is needed.
const READERS: u32 = 2;

/// The file as it was opened.
#[derive(Debug, Clone)]
pub(in crate::store) struct File {
    path: PathBuf,
    number: Option<u64>,
}

impl File {
    /// It is still there, and no other one.
    pub(super) fn is_in_place(&self) -> bool {
        number(&self.path) == self.number
    }
}

pub(super) async fn open(path: &Path, purpose: Purpose) -> Result<Database, StoreError> {
    let broken = |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    make(path).map_err(broken)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(BUSY)
        .foreign_keys(false)
        .statement_cache_capacity(64);
    let options = match purpose {
        // What was committed outlives a crash of the machine: lines of the journal are gone afterwards.
        Purpose::Books => options.synchronous(SqliteSynchronous::Full),
        Purpose::Requests => options
            .synchronous(SqliteSynchronous::Normal)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .pragma("journal_size_limit", WAL_KEPT)
            .pragma("cache_size", CACHE_KIB),
    };
    let write = pool(1).connect_with(options.clone()).await?;
    let read = pool(READERS).connect_lazy_with(options.pragma("query_only", "1"));
    let file = File { path: path.to_owned(), number: number(path) };
    Ok(Database::Sqlite { write, read, file })
}

pub(super) fn bound<'a>(text: SqlStr, values: &[Sql<'a>]) -> Query<'a, Sqlite, SqliteArguments> {
    values.iter().fold(sqlx::query(text), |query, value| match value {
        Sql::Int(number) => query.bind(*number),
        Sql::Text(text) => query.bind(*text),
        Sql::Blob(bytes) => query.bind(*bytes),
    })
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(BUSY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // SQLite ends a transaction by itself when the disk is full; the driver's own count of them is never right again.
        .after_release(|connection, _| {
            Box::pin(async move {
                // Behind the rollback that is on its way.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

fn number(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|found| found.ino())
}

/// Nobody else may read what is in it: the files beside it get the same mode from SQLite.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}
