//! Kept answers of the embedded vector store, in a file of SQLite of their own that may be removed at any time.
//!
//! Written in batches behind those who keep, read in pages at the start and by number when one is given. What is near to
//! what is not asked here: vectors are bytes. Whoever asks runs on the runtime of the cache.

mod list;
mod row;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

pub use self::list::Listed;
use self::row::{COLUMNS, entry, id_of, values};
use super::sql::{Composed, Database, Purpose, Schema, Sql, Turn, Work};
use super::{StoreError, StoreSettings};
use crate::cache::entry::{Digest, Entry, EntryId, Space};

/// The longest anything takes.
const LIMIT: Duration = Duration::from_secs(10);

const SCHEMA: Schema = Schema {
    // It is a file of one node: what many share is in a vector store of its own.
    steps: &[(include_str!("../migrations/answers_0001_sqlite.sql"), "")],
    table: "bifrost_answers_schema",
    make: "CREATE TABLE IF NOT EXISTS bifrost_answers_schema (version BIGINT PRIMARY KEY, applied_by TEXT NOT NULL)",
    found: "SELECT COALESCE(MAX(version), 0) FROM bifrost_answers_schema",
    reached: "INSERT INTO bifrost_answers_schema (version, applied_by) VALUES ($1, $2)",
    turn: Turn::Migration,
};

/// The file.
#[derive(Debug)]
pub struct Answers {
    database: Database,
}

/// An entry to be written, with its vector as it is kept (empty: none).
#[derive(Debug)]
pub struct Written<'a> {
    pub entry: &'a Entry,
    pub vector: &'a [u8],
    pub mark: Mark,
}

/// What changes of an entry while it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub id: EntryId,
    /// Unix milliseconds.
    pub used_ms: u64,
    /// Since it was last written.
    pub hits: u64,
    pub pinned: bool,
}

/// Many changes, of which all or none are written.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    pub gone: Vec<EntryId>,
    pub written: Vec<Written<'a>>,
    pub marked: Vec<Mark>,
}

/// What is kept of an entry in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub number: u64,
    pub id: EntryId,
    pub space: Space,
    /// Frame, numbers of the vector, and the vector as it was written.
    pub meaning: Option<(Digest, usize, Vec<u8>)>,
    pub expires_ms: u64,
    pub used_ms: u64,
    pub pinned: bool,
    /// Bytes of answer and text.
    pub bytes: u64,
}

impl Answers {
    /// Opens or makes the file. One that is none of ours, or broken, is put aside: what was in it is asked again.
    ///
    /// # Errors
    /// It cannot be opened, or belongs to a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        match open(path).await {
            Err(error) if is_broken(&error) => {
                let aside = aside(path);
                log::warn!(
                    "{} cannot be read ({error}); it is {} from now on",
                    path.display(),
                    aside.display()
                );
                std::fs::rename(path, &aside)
                    .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
                open(path).await
            }
            opened => opened,
        }
    }

    /// The next entries behind `number`, in order, at most `most`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn load(&self, number: u64, most: u64) -> Result<Vec<Loaded>, StoreError> {
        let text = "SELECT e.number, e.id, e.space, e.frame, e.dimension, COALESCE(v.vector, x''), e.expires, e.used, \
             e.pinned, e.size + length(CAST(e.text AS BLOB)) FROM bifrost_answers e \
             LEFT JOIN bifrost_answer_vectors v ON v.number = e.number WHERE e.number > $1 ORDER BY e.number LIMIT $2";
        self.within(async {
            let rows = self.database.read().await?.rows(text, &[number.into(), most.into()]).await?;
            rows.iter().map(row::loaded).collect()
        })
        .await
    }

    /// Writes all of it, or nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn write(&self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.within(async {
            let mut work = self.database.write().await?;
            for id in &batch.gone {
                remove(&mut work, *id).await?;
            }
            for written in &batch.written {
                remove(&mut work, written.entry.id).await?;
                insert(&mut work, written).await?;
            }
            for mark in &batch.marked {
                let text =
                    "UPDATE bifrost_answers SET used = $2, hits = hits + $3, pinned = $4 WHERE id = $1";
                let id = mark.id.0.to_be_bytes();
                let values =
                    [Sql::Blob(&id), mark.used_ms.into(), mark.hits.into(), Sql::Int(i64::from(mark.pinned))];
                work.execute(text, &values).await?;
            }
            work.commit().await
        })
        .await?;
        if !batch.gone.is_empty() {
            self.give_back().await?;
        }
        Ok(())
    }

    /// Entries with their answers and without their vectors; those that are not there are missing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn read(&self, ids: &[EntryId]) -> Result<Vec<Entry>, StoreError> {
        let keys: Vec<[u8; 16]> = ids.iter().map(|id| id.0.to_be_bytes()).collect();
        let values: Vec<Sql<'_>> = keys.iter().map(|key| Sql::Blob(key)).collect();
        let marks: Vec<String> = (1..=values.len()).map(|at| format!("${at}")).collect();
        let text = format!(
            "SELECT {COLUMNS}, b.body FROM bifrost_answers e JOIN bifrost_answer_bodies b ON b.number = e.number \
             WHERE e.id IN ({})",
            marks.join(", ")
        );
        self.within(async {
            let rows = self.database.read().await?.rows(Composed(text), &values).await?;
            rows.iter().map(|row| Ok(entry(row, true)?.entry)).collect()
        })
        .await
    }

    /// Takes all entries away.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.within(async {
            let mut work = self.database.write().await?;
            work.script(
                "DELETE FROM bifrost_answers; DELETE FROM bifrost_answer_vectors; DELETE FROM bifrost_answer_bodies",
            )
            .await?;
            work.commit().await
        })
        .await?;
        self.give_back().await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Room that nobody uses goes back to the disk, a little at a time.
    async fn give_back(&self) -> Result<(), StoreError> {
        let mut work = self.database.write().await?;
        work.script("PRAGMA incremental_vacuum(256)").await?;
        work.commit().await
    }

    async fn within<T>(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        timeout(LIMIT, ask).await.unwrap_or_else(|_| Err(StoreError::slow(LIMIT)))
    }
}

async fn open(path: &Path) -> Result<Answers, StoreError> {
    let settings = StoreSettings::Sqlite { path: path.to_owned() };
    let database = Database::open_for(&settings, Purpose::Requests, &SCHEMA).await?;
    Ok(Answers { database })
}

/// SQLite's codes of a file that is damaged (11), or none of its (26).
fn is_broken(error: &StoreError) -> bool {
    let told = error.to_string();
    ["(code: 11)", "(code: 26)"].iter().any(|code| told.contains(code))
}

/// `bifrost-cache.db` -> `bifrost-cache.db.broken`
fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".broken");
    name.into()
}

async fn remove(work: &mut Work, id: EntryId) -> Result<(), StoreError> {
    let text = "DELETE FROM bifrost_answers WHERE id = $1 RETURNING number";
    let Some(row) = work.row(text, &[Sql::Blob(&id.0.to_be_bytes())]).await? else { return Ok(()) };
    let number = [row.number(0)?.into()];
    work.execute("DELETE FROM bifrost_answer_vectors WHERE number = $1", &number).await?;
    work.execute("DELETE FROM bifrost_answer_bodies WHERE number = $1", &number).await.map(drop)
}

async fn insert(work: &mut Work, written: &Written<'_>) -> Result<(), StoreError> {
    let id = written.entry.id.0.to_be_bytes();
    let text = "INSERT INTO bifrost_answers (id, space, fingerprint, frame, dimension, text, created, expires, used, hits, \
         pinned, size, tenant, cache_key, provider, model, object, title, cost, took, input_tokens, output_tokens) VALUES \
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) \
         RETURNING number";
    let Some(row) = work.row(text, &values(written, &id)).await? else {
        return Err(StoreError::Unreadable("no number for what was written".to_owned()));
    };
    let number = row.number(0)?;
    if !written.vector.is_empty() {
        let text = "INSERT INTO bifrost_answer_vectors (number, vector) VALUES ($1, $2)";
        work.execute(text, &[number.into(), Sql::Blob(written.vector)]).await?;
    }
    let text = "INSERT INTO bifrost_answer_bodies (number, body) VALUES ($1, $2)";
    work.execute(text, &[number.into(), Sql::Blob(&written.entry.answer)]).await.map(drop)
}

/// Which row is meant by its number.
fn id(row: &super::sql::Row, at: usize) -> Result<EntryId, StoreError> {
    id_of(&row.bytes(at)?)
}
