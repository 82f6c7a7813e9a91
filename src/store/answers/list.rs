//! Which entries there are, for people: pages of them, and the numbers of those that fit.

use super::row::{COLUMNS, entry};
use super::{Answers, id};
use crate::cache::entry::{Entry, EntryId};
use crate::cache::vector::Which;
use crate::store::StoreError;
use crate::store::sql::{Composed, Sql};

/// Rows that are looked at in one go while words are searched for.
const GO: u64 = 1_000;

/// An entry as it is listed, without its answer.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its place in the list: greater numbers were kept later.
    pub number: u64,
    pub entry: Entry,
    pub bytes: u64,
    pub hits: u64,
    pub pinned: bool,
}

impl Answers {
    /// Entries that fit, the newest first, before the number `before`, at most `most`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn list(&self, which: &Which, before: u64, most: usize) -> Result<Vec<Listed>, StoreError> {
        let (conditions, mut values) = conditions(which, 2);
        values.insert(0, GO.into());
        let text = format!(
            "SELECT {COLUMNS} FROM bifrost_answers e WHERE e.number < $2 {conditions} ORDER BY e.number DESC LIMIT $1"
        );
        let mut found = Vec::new();
        let mut before = before;
        loop {
            let mut values: Vec<Sql<'_>> = values.clone();
            values.insert(1, before.into());
            let rows = self
                .within(async { self.database.read().await?.rows(Composed(text.clone()), &values).await })
                .await?;
            for row in &rows {
                let read = entry(row, false)?;
                before = read.number;
                if which.fits(&read.entry) {
                    let (number, bytes, hits) = (read.number, read.bytes, read.hits);
                    found.push(Listed { number, entry: read.entry, bytes, hits, pinned: read.pinned });
                }
                if found.len() == most {
                    return Ok(found);
                }
            }
            if rows.len() < usize::try_from(GO).unwrap_or(usize::MAX) {
                return Ok(found);
            }
        }
    }

    /// Numbers of all entries that fit.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn ids(&self, which: &Which) -> Result<Vec<EntryId>, StoreError> {
        if which.words.is_some() {
            let listed = self.list(which, i64::MAX.cast_unsigned(), usize::MAX).await?;
            return Ok(listed.into_iter().map(|listed| listed.entry.id).collect());
        }
        let (conditions, values) = conditions(which, 0);
        let text = format!("SELECT e.id FROM bifrost_answers e WHERE TRUE {conditions}");
        self.within(async {
            let rows = self.database.read().await?.rows(Composed(text), &values).await?;
            rows.iter().map(|row| id(row, 0)).collect()
        })
        .await
    }
}

/// What SQL can tell of `which`, behind a `WHERE` that holds; `known` values stand before these. Words are read elsewhere:
/// SQLite knows no small letters but ASCII's.
fn conditions(which: &Which, known: usize) -> (String, Vec<Sql<'_>>) {
    let named = [
        ("tenant", &which.tenant),
        ("cache_key", &which.cache_key),
        ("provider", &which.provider),
        ("model", &which.model),
    ];
    let mut text = which.id.map(|id| format!(" AND e.id = x'{id}'")).unwrap_or_default();
    let mut values = Vec::new();
    for (column, value) in named {
        if let Some(value) = value.as_deref() {
            values.push(Sql::Text(value));
            text.push_str(&format!(" AND e.{column} = ${}", known + values.len()));
        }
    }
    (text, values)
}
