//! The names that rows of the request log refer to by number: all of them are in memory.
//!
//! What callers write freely is bounded: beyond [`MOST`] names of a kind a row refers to [`OTHER`], and its detail has the
//! name itself.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::entry::Names;
use crate::store::StoreError;
use crate::store::sql::{Database, Row, Turn, Work};

/// Names of one kind that get a number.
pub const MOST: usize = 10_000;
/// Stands for a name without a number.
pub const OTHER: &str = "(other)";

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NameKind {
    Provider = 1,
    Model = 2,
    /// A model as callers write it.
    Asked = 3,
    /// A provider key.
    Key = 4,
    VirtualKey = 5,
    Team = 6,
    Customer = 7,
    Rule = 8,
    Object = 9,
    Dialect = 10,
    Error = 11,
    /// Name of a tag, without its value.
    Tag = 12,
}

/// All names by their numbers, and the other way round.
#[derive(Debug, Default)]
pub struct Dictionary(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<NameKind, HashMap<Arc<str>, u32>>,
    names: HashMap<u32, Arc<str>>,
    last: u32,
}

impl NameKind {
    pub const ALL: [Self; 12] = [
        Self::Provider,
        Self::Model,
        Self::Asked,
        Self::Key,
        Self::VirtualKey,
        Self::Team,
        Self::Customer,
        Self::Rule,
        Self::Object,
        Self::Dialect,
        Self::Error,
        Self::Tag,
    ];

    fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }
}

impl Dictionary {
    /// The number of a name; 0: of the empty one. `None`: it has none.
    #[must_use]
    pub fn number(&self, kind: NameKind, name: &str) -> Option<u32> {
        match name {
            "" => Some(0),
            name => self.read(|known| known.numbers.get(&kind)?.get(name).copied()),
        }
    }

    /// The name of a number; empty for 0. `None`: nobody here knows it.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<Arc<str>> {
        match number {
            0 => Some("".into()),
            number => self.read(|known| known.names.get(&number).cloned()),
        }
    }

    /// All names of a kind, sorted.
    #[must_use]
    pub fn all(&self, kind: NameKind) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = self
            .read(|known| known.numbers.get(&kind).map(|names| names.keys().cloned().collect()))
            .unwrap_or_default();
        found.sort();
        found
    }

    /// Reads all names anew.
    pub(super) async fn load(&self, work: &mut Work) -> Result<(), StoreError> {
        let mut known = Known::default();
        known.read(work).await?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Reads the names that others have added.
    pub(super) async fn catch_up(&self, work: &mut Work) -> Result<(), StoreError> {
        let last = self.read(|known| known.last);
        let rows = Known::rows(work, last).await?;
        self.learn(&rows)
    }

    /// Gives numbers to the names of `entries` that have none, as far as there are numbers left.
    pub(super) async fn number_all(
        &self,
        database: &Database,
        wanted: HashSet<(NameKind, &str)>,
    ) -> Result<(), StoreError> {
        let missing = self.missing(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let mut work = database.write().await?;
        work.turn(Turn::RequestNames).await?;
        for (kind, name) in &missing {
            let text = "INSERT INTO bifrost_request_names (kind, name) VALUES ($1, $2) \
                ON CONFLICT (kind, name) DO NOTHING";
            work.execute(text, &[(*kind as u64).into(), (*name).into()]).await?;
        }
        let last = self.read(|known| known.last);
        let rows = Known::rows(&mut work, last).await?;
        work.commit().await?;
        self.learn(&rows)
    }

    /// Those that need a number and may have one; kinds that are full get [`OTHER`] instead.
    fn missing<'n>(&self, wanted: HashSet<(NameKind, &'n str)>) -> Vec<(NameKind, &'n str)> {
        let mut missing = Vec::new();
        let mut added: HashMap<NameKind, usize> = HashMap::new();
        for (kind, name) in wanted {
            if self.number(kind, name).is_some() {
                continue;
            }
            let known = self.read(|known| known.numbers.get(&kind).map_or(0, HashMap::len));
            let new = added.entry(kind).or_default();
            if known + *new < MOST {
                *new += 1;
                missing.push((kind, name));
            } else if self.number(kind, OTHER).is_none() {
                missing.push((kind, OTHER));
            }
        }
        missing
    }

    fn learn(&self, rows: &[Row]) -> Result<(), StoreError> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        rows.iter().try_for_each(|row| known.add(row))
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    async fn read(&mut self, work: &mut Work) -> Result<(), StoreError> {
        let rows = Self::rows(work, 0).await?;
        rows.iter().try_for_each(|row| self.add(row))
    }

    async fn rows(work: &mut Work, behind: u32) -> Result<Vec<Row>, StoreError> {
        let text = "SELECT number, kind, name FROM bifrost_request_names WHERE number > $1 ORDER BY number";
        work.rows(text, &[u64::from(behind).into()]).await
    }

    fn add(&mut self, row: &Row) -> Result<(), StoreError> {
        let number = u32::try_from(row.number(0)?)
            .map_err(|_| StoreError::Unreadable("a name has too large a number".to_owned()))?;
        let name: Arc<str> = row.text(2)?.into();
        // A kind that only a newer version knows.
        if let Some(kind) = NameKind::of(row.number(1)?) {
            self.numbers.entry(kind).or_default().insert(Arc::clone(&name), number);
        }
        self.names.insert(number, name);
        self.last = self.last.max(number);
        Ok(())
    }
}

impl Names<'_> {
    /// Every name with its kind.
    #[must_use]
    pub fn each(&self) -> [(NameKind, &str); 11] {
        [
            (NameKind::Provider, &self.provider),
            (NameKind::Model, &self.model),
            (NameKind::Asked, &self.asked),
            (NameKind::Key, &self.key),
            (NameKind::VirtualKey, &self.virtual_key),
            (NameKind::Team, &self.team),
            (NameKind::Customer, &self.customer),
            (NameKind::Rule, &self.rule),
            (NameKind::Object, &self.object),
            (NameKind::Dialect, &self.dialect),
            (NameKind::Error, &self.error),
        ]
    }
}
