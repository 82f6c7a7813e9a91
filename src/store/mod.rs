//! What outlives the process: settings made at run time, their history, the audit log, the ledger and the request log.
//!
//! No request waits for anything here. Whoever asks a [`Store`] runs on the background runtime (`crate::background`).
//! A store that is slow, full or gone answers [`StoreError::Unavailable`] within [`LIMIT`] and is found again when it
//! comes back; nothing is kept here that only it knows.

pub mod answers;
pub mod audit;
pub mod chain;
mod change;
pub mod entity;
mod error;
mod follow;
pub mod journal;
pub mod keep;
pub mod ledger;
mod record;
pub mod requests;
pub mod seal;
mod sealing;
mod setting;
mod settings;
mod sql;

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use self::audit::{Action, AuditRow};
use self::entity::{Change, Kind, Recorded, Stored};
pub use self::error::StoreError;
use self::ledger::{Origin, Past, SpendQuery, Told, Used, Windows};
use self::sealing::Sealing;
pub use self::settings::StoreSettings;
use self::sql::{Database, Work};
use crate::account::entry::Entry;
use crate::config::snapshot::Secret;

/// The longest any question takes.
pub const LIMIT: Duration = Duration::from_secs(10);
/// The longest that the one question about everybody's past takes.
const LONG: Duration = Duration::from_secs(60);
/// The longest a question waits for a store that is not open yet.
const PATIENCE: Duration = Duration::from_secs(3);
/// A database with what is the gateway's in it.
#[derive(Debug)]
pub struct Store {
    settings: StoreSettings,
    /// Secrets are sealed with it.
    key: Option<Secret>,
    /// Once it is open.
    sealing: OnceLock<Sealing>,
    database: watch::Sender<Option<Database>>,
    /// Of the last change that was seen.
    revisions: watch::Sender<u64>,
    /// Why it could not be opened, or what the last question failed of.
    trouble: Mutex<Option<String>>,
}

impl Store {
    /// Opens a store now: for commands and tests.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(settings: &StoreSettings) -> Result<Arc<Self>, StoreError> {
        Self::open_sealed(settings, None).await
    }

    /// The same, with the key that its secrets are sealed with.
    ///
    /// # Errors
    /// It cannot be opened, or not with this key.
    pub async fn open_sealed(settings: &StoreSettings, key: Option<Secret>) -> Result<Arc<Self>, StoreError> {
        let store = Arc::new(Self::closed(settings.clone(), key));
        let database =
            timeout(LIMIT, Database::open(settings)).await.map_err(|_| StoreError::slow(LIMIT))??;
        store.opened(database).await?;
        Ok(store)
    }

    /// A store that is opened in the background, however often that takes.
    #[must_use]
    pub fn start(settings: StoreSettings, background: &Handle) -> Arc<Self> {
        Self::start_sealed(settings, None, background)
    }

    /// The same, with the key that its secrets are sealed with.
    #[must_use]
    pub fn start_sealed(settings: StoreSettings, key: Option<Secret>, background: &Handle) -> Arc<Self> {
        let store = Arc::new(Self::closed(settings, key));
        background.spawn(follow::live(Arc::clone(&store)));
        store
    }

    fn closed(settings: StoreSettings, key: Option<Secret>) -> Self {
        Self {
            settings,
            key,
            sealing: OnceLock::new(),
            database: watch::Sender::new(None),
            revisions: watch::Sender::new(0),
            trouble: Mutex::new(None),
        }
    }

    /// For people: where it is, without a password.
    #[must_use]
    pub fn place(&self) -> String {
        self.settings.place()
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.database.borrow().is_some()
    }

    /// What is wrong with it; `None`: nothing.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it is open.
    pub async fn wait_until_open(&self) {
        // The sender lives as long as `self`.
        let _ = self.database.subscribe().wait_for(Option::is_some).await;
    }

    /// Told of the revision that the last change made, by whomever.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    /// All entities of a kind, by name.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn entities(&self, kind: Kind) -> Result<Vec<Stored>, StoreError> {
        let read = self.reading(async |work| change::entities(work, kind).await).await?;
        self.sealing()?.opened(read)
    }

    /// One entity.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn entity(&self, kind: Kind, id: &str) -> Result<Option<Stored>, StoreError> {
        let read = self.reading(async |work| change::entity(work, kind, id).await).await?;
        self.sealing()?.opened(read)
    }

    /// All entities that are configuration, and the revision they are of.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn configuration(&self) -> Result<(u64, Vec<Stored>), StoreError> {
        let read = self
            .reading(async |work| Ok((change::revision(work).await?, change::configuration(work).await?)));
        let (revision, stored) = read.await?;
        Ok((revision, self.sealing()?.opened(stored)?))
    }

    /// Makes all edits of a change, its record in the history and its row in the audit log, or none of them. Gives the
    /// revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::NameTaken`], or the store is not available.
    pub async fn change(&self, change: &Change) -> Result<u64, StoreError> {
        let revision = self
            .writing(async |work| {
                let sealing = self.sealing()?;
                sealing.check(work).await?;
                change::make(work, &sealing.sealed(change)?).await
            })
            .await?;
        self.saw(revision);
        Ok(revision)
    }

    /// Up to `limit` changes before the revision `before`, newest first.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn changes(&self, before: u64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        let mut changes = self.reading(async |work| change::changes(work, before, limit).await).await?;
        self.sealing()?.open_history(&mut changes)?;
        Ok(changes)
    }

    /// The revision of the last change.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        let revision = self.reading(async |work| change::revision(work).await).await?;
        self.saw(revision);
        Ok(revision)
    }

    /// A small value, such as a salt.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.reading(async |work| setting::get(work, name).await).await
    }

    /// All small values whose names begin with `prefix`, by name.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn settings_under(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.reading(async |work| setting::under(work, prefix).await).await
    }

    /// Sets a small value, and writes `told` into the audit log: both or neither.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn set_setting(
        &self,
        name: &str,
        value: &str,
        told: Option<&Action>,
    ) -> Result<(), StoreError> {
        self.writing(async |work| setting::set(work, (name, value), told).await).await
    }

    /// Sets a small value unless it has one, and gives the one it has: of several processes all get the same.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn setting_or(&self, name: &str, value: &str) -> Result<String, StoreError> {
        self.writing(async |work| setting::get_or(work, name, value).await).await
    }

    /// Removes a small value, and writes `told` if it was there. True for one caller only.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn take_setting(&self, name: &str, told: Option<&Action>) -> Result<bool, StoreError> {
        self.writing(async |work| setting::take(work, name, told).await).await
    }

    /// Appends to the audit log what changes no entity; gives the row's number.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn record(&self, action: &Action) -> Result<u64, StoreError> {
        self.writing(async |work| record::append(work, action).await).await
    }

    /// Up to `limit` rows of the audit log behind `after`, oldest first.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.reading(async |work| record::rows(work, after, limit).await).await
    }

    /// How far a journal was read.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn journal_place(&self, file: &str) -> Result<u64, StoreError> {
        self.reading(async |work| ledger::place(work, file).await).await
    }

    /// Counts entries, each once however often it is told; gives how many rows were new. `None`: the journal is not read
    /// up to just before them, so that nothing was counted.
    ///
    /// # Errors
    /// The store is not available: none was counted.
    pub async fn apply(
        &self,
        origin: &Origin<'_>,
        entries: &[Entry<'_>],
    ) -> Result<Option<usize>, StoreError> {
        self.writing(async |work| ledger::apply(work, origin, entries).await).await
    }

    /// What an owner used in its windows, oldest first; `now_ms` is the present moment.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn used(&self, owner: &str, windows: Windows, now_ms: u64) -> Result<Vec<Used>, StoreError> {
        self.reading(async |work| ledger::used(work, owner, (windows, now_ms)).await).await
    }

    /// What all owners used that have windows, and the number of the last row that is in it. May take a minute.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn past(
        &self,
        now_ms: u64,
        windows: impl Fn(&str) -> Option<Windows> + Sync,
    ) -> Result<(u64, Vec<Past>), StoreError> {
        let asked = async {
            let mut work = self.database().await?.read().await?;
            ledger::past(&mut work, now_ms, &windows).await
        };
        timeout(LONG, asked).await.unwrap_or_else(|_| Err(StoreError::slow(LONG)))
    }

    /// Sums of what an owner spent.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn spend(&self, query: &SpendQuery) -> Result<Vec<Used>, StoreError> {
        self.reading(async |work| ledger::spend(work, query).await).await
    }

    /// Up to `limit` spends of other processes than `writer` behind row `number`.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn told(&self, number: u64, writer: &str, limit: u32) -> Result<Vec<Told>, StoreError> {
        self.reading(async |work| ledger::told(work, (number, writer), limit).await).await
    }

    /// Removes a part of what is older than it is kept (rows: `rows_kept_ms`). True when there may be more.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn forget(&self, now_ms: u64, rows_kept_ms: u64) -> Result<bool, StoreError> {
        self.writing(async |work| ledger::forget(work, (now_ms, rows_kept_ms)).await).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        if let Some(database) = self.database.send_replace(None) {
            database.close().await;
        }
    }

    async fn opened(&self, database: Database) -> Result<(), StoreError> {
        let sealing = Sealing::open(&database, self.key.as_ref()).await?;
        let mut work = database.read().await?;
        let revision = change::revision(&mut work).await?;
        drop(self.sealing.set(sealing));
        self.database.send_replace(Some(database));
        self.saw(revision);
        self.note(None);
        Ok(())
    }

    fn sealing(&self) -> Result<&Sealing, StoreError> {
        self.sealing.get().ok_or_else(|| StoreError::Unavailable("it is not open yet".to_owned()))
    }

    fn saw(&self, revision: u64) {
        self.revisions.send_if_modified(|last| {
            let newer = revision > *last;
            *last = revision.max(*last);
            newer
        });
    }

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    async fn database(&self) -> Result<Database, StoreError> {
        let mut opened = self.database.subscribe();
        let waited = timeout(PATIENCE, opened.wait_for(Option::is_some)).await;
        let found = waited.ok().and_then(|found| found.ok().and_then(|found| found.clone()));
        found.ok_or_else(|| {
            StoreError::Unavailable(self.trouble().unwrap_or_else(|| "it is not open yet".to_owned()))
        })
    }

    /// Seals every secret anew, with another key. Whoever else has the store open writes nothing from then on, until
    /// started with that key. Gives the number of secrets.
    ///
    /// # Errors
    /// The store is not available, or a secret does not open.
    pub async fn rotate(&self, key: &Secret, told: &Action) -> Result<usize, StoreError> {
        self.writing(async |work| {
            let sealing = self.sealing()?;
            sealing.check(work).await?;
            let count = sealing.rotate(work, key).await?;
            record::append(work, told).await?;
            Ok(count)
        })
        .await
    }

    async fn reading<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Work) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.within(async {
            let mut work = self.database().await?.read().await?;
            ask(&mut work).await
        })
        .await
    }

    async fn writing<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Work) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.within(async {
            let mut work = self.database().await?.write().await?;
            let answer = ask(&mut work).await?;
            work.commit().await?;
            Ok(answer)
        })
        .await
    }

    /// Conflicts are answers; anything else says how the store is.
    async fn within<T>(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = timeout(LIMIT, ask).await.unwrap_or_else(|_| Err(StoreError::slow(LIMIT)));
        match &answer {
            Err(error @ (StoreError::Unavailable(_) | StoreError::Unreadable(_))) => {
                self.note(Some(error.trouble()));
            }
            Ok(_)
            | Err(StoreError::Conflict { .. } | StoreError::NameTaken { .. } | StoreError::Refused(_)) => {
                self.note(None);
            }
        }
        answer
    }
}
