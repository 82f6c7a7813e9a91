//! What access keeps: small texts by name, and what admins did.
//!
//! Two homes: the store, and memory where there is none. Logins, tokens and sessions are told apart by their names only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::store::audit::{Action, AuditRow};
use crate::store::{Store, StoreError};

/// The home of records cannot be reached now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store cannot be reached: {0}")]
pub struct Unreachable(pub String);

/// Small texts by name.
#[async_trait]
pub trait Records: Send + Sync {
    async fn get(&self, name: &str) -> Result<Option<String>, Unreachable>;

    /// All whose names begin so, by name.
    async fn under(&self, prefix: &str) -> Result<Vec<(String, String)>, Unreachable>;

    /// Writes one, and `told` into the audit log: both or neither.
    async fn put(&self, name: &str, value: &str, told: Option<&Action>) -> Result<(), Unreachable>;

    /// Removes one, and writes `told` if it was there. True for one caller only, however many ask at once.
    async fn take(&self, name: &str, told: Option<&Action>) -> Result<bool, Unreachable>;

    /// Writes into the audit log what changes nothing here.
    async fn tell(&self, told: &Action) -> Result<(), Unreachable>;

    /// The audit log: up to `limit` rows behind number `after`, in order.
    async fn told(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, Unreachable>;

    /// They are gone with the process.
    fn is_fleeting(&self) -> bool;
}

/// In the store.
#[async_trait]
impl Records for Store {
    async fn get(&self, name: &str) -> Result<Option<String>, Unreachable> {
        Ok(self.setting(name).await?)
    }

    async fn under(&self, prefix: &str) -> Result<Vec<(String, String)>, Unreachable> {
        Ok(self.settings_under(prefix).await?)
    }

    async fn put(&self, name: &str, value: &str, told: Option<&Action>) -> Result<(), Unreachable> {
        Ok(self.set_setting(name, value, told).await?)
    }

    async fn take(&self, name: &str, told: Option<&Action>) -> Result<bool, Unreachable> {
        Ok(self.take_setting(name, told).await?)
    }

    async fn tell(&self, told: &Action) -> Result<(), Unreachable> {
        Ok(self.record(told).await.map(drop)?)
    }

    async fn told(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, Unreachable> {
        Ok(self.audit(after, limit).await?)
    }

    fn is_fleeting(&self) -> bool {
        false
    }
}

impl From<StoreError> for Unreachable {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// In memory.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    texts: BTreeMap<String, String>,
    rows: Vec<AuditRow>,
}

/// Rows of the audit log that are kept in memory.
const ROWS: usize = 10_000;

impl InMemory {
    fn with<R>(&self, look: impl FnOnce(&mut Kept) -> R) -> Result<R, Unreachable> {
        Ok(look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[async_trait]
impl Records for InMemory {
    async fn get(&self, name: &str) -> Result<Option<String>, Unreachable> {
        self.with(|kept| kept.texts.get(name).cloned())
    }

    async fn under(&self, prefix: &str) -> Result<Vec<(String, String)>, Unreachable> {
        self.with(|kept| {
            let from = kept.texts.range(prefix.to_owned()..);
            let found = from.take_while(|(name, _)| name.starts_with(prefix));
            found.map(|(name, value)| (name.clone(), value.clone())).collect()
        })
    }

    async fn put(&self, name: &str, value: &str, told: Option<&Action>) -> Result<(), Unreachable> {
        self.with(|kept| {
            kept.texts.insert(name.to_owned(), value.to_owned());
            told.into_iter().for_each(|told| kept.append(told));
        })
    }

    async fn take(&self, name: &str, told: Option<&Action>) -> Result<bool, Unreachable> {
        self.with(|kept| {
            let there = kept.texts.remove(name).is_some();
            told.filter(|_| there).into_iter().for_each(|told| kept.append(told));
            there
        })
    }

    async fn tell(&self, told: &Action) -> Result<(), Unreachable> {
        self.with(|kept| kept.append(told))
    }

    async fn told(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, Unreachable> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.with(|kept| kept.rows.iter().filter(|row| row.number > after).take(limit).cloned().collect())
    }

    fn is_fleeting(&self) -> bool {
        true
    }
}

impl Kept {
    fn append(&mut self, told: &Action) {
        let last = self.rows.last().map(|row| (row.number, row.hash.clone()));
        self.rows.push(AuditRow::behind(last, told));
        let gone = self.rows.len().saturating_sub(ROWS);
        self.rows.drain(..gone);
    }
}
