//! The request log: a row for every request, in a database of its own that may be removed at any time.
//!
//! Rows refer to names by number ([`names`]), their order is that of time ([`entry`]), and no question reads more than it
//! is allowed to. Whoever asks runs on the runtime of the log (`crate::observe::log`): nothing here may
//! be asked from a proxy thread.

mod ask;
mod driver;
pub mod entry;
mod find;
mod forget;
pub mod names;
mod page;
mod ranked;
mod row;
mod sums;
mod tally;
mod walk;
mod write;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use self::ask::{Filter, Span};
pub use self::forget::Room;
use self::names::Dictionary;
pub use self::page::{Cursor, Page, Question, Rank};
pub use self::sums::{SumRange, SumRow};
pub use self::tally::Tally;
pub use self::walk::{BUDGET, Counted, Scanned};
pub use self::write::{Bodies, Packed, Part, Priced};
use super::sql::{Database, Purpose, Schema, Turn, Work};
use super::{StoreError, StoreSettings};
use crate::telemetry::events::{Event, emit};

/// The longest any question takes.
pub const LIMIT: Duration = Duration::from_secs(10);
/// The longest a question waits for a log that is not open.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to open: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

const SCHEMA: Schema = Schema {
    steps: &[(
        include_str!("../migrations/requests_0001_sqlite.sql"),
        include_str!("../migrations/requests_0001_postgres.sql"),
    )],
    table: "bifrost_requests_schema",
    make: "CREATE TABLE IF NOT EXISTS bifrost_requests_schema (version BIGINT PRIMARY KEY, applied_by TEXT NOT NULL)",
    found: "SELECT COALESCE(MAX(version), 0) FROM bifrost_requests_schema",
    reached: "INSERT INTO bifrost_requests_schema (version, applied_by) VALUES ($1, $2)",
    turn: Turn::RequestsMigration,
};

/// The database of the request log.
#[derive(Debug)]
pub struct Requests {
    settings: StoreSettings,
    database: watch::Sender<Option<Database>>,
    /// What the numbers in rows stand for.
    pub names: Dictionary,
    /// Why it could not be opened, or what the last question failed of.
    trouble: Mutex<Option<String>>,
}

impl Requests {
    /// Where the request log is that belongs to a ledger: beside its file, or in its server.
    #[must_use]
    pub fn beside(ledger: &StoreSettings) -> StoreSettings {
        match ledger {
            StoreSettings::Sqlite { path } => StoreSettings::Sqlite { path: beside(path) },
            StoreSettings::Postgres(server) => StoreSettings::Postgres(server.clone()),
        }
    }

    /// Opens it now: for commands and tests.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(settings: &StoreSettings) -> Result<Arc<Self>, StoreError> {
        let requests = Arc::new(Self::closed(settings.clone()));
        requests.open_once().await?;
        Ok(requests)
    }

    /// It is opened on `runtime`, however often that takes.
    #[must_use]
    pub fn start(settings: StoreSettings, runtime: &Handle) -> Arc<Self> {
        let requests = Arc::new(Self::closed(settings));
        runtime.spawn(live(Arc::clone(&requests)));
        requests
    }

    fn closed(settings: StoreSettings) -> Self {
        Self {
            settings,
            database: watch::Sender::new(None),
            names: Dictionary::default(),
            trouble: Mutex::default(),
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

    /// It has a file of its own, which knows what of it is free.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.settings, StoreSettings::Sqlite { .. })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        if let Some(database) = self.database.send_replace(None) {
            database.close().await;
        }
    }

    async fn open_once(&self) -> Result<Database, StoreError> {
        let opened = timeout(LIMIT, Database::open_for(&self.settings, Purpose::Requests, &SCHEMA)).await;
        let database = opened.map_err(|_| StoreError::slow(LIMIT))??;
        self.names.load(&mut database.read().await?).await?;
        self.database.send_replace(Some(database.clone()));
        self.note(None);
        Ok(database)
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

    async fn within<T>(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = timeout(LIMIT, ask).await.unwrap_or_else(|_| Err(StoreError::slow(LIMIT)));
        match &answer {
            Ok(_) | Err(StoreError::Refused(_)) => self.note(None),
            Err(error) => self.note(Some(error.trouble())),
        }
        answer
    }
}

/// `bifrost.db` -> `bifrost-requests.db`
fn beside(path: &Path) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-requests{ending}"))
}

/// Keeps it open for as long as the process lives; a file that is gone is made anew.
async fn live(requests: Arc<Requests>) {
    loop {
        let database = open_at_last(&requests).await;
        while database.is_in_place() {
            sleep(LOOK).await;
        }
        log::warn!("{}: the file is gone; another one is made", requests.place());
        requests.close().await;
    }
}

async fn open_at_last(requests: &Requests) -> Database {
    let mut wait = RETRY.0;
    loop {
        match requests.open_once().await {
            Ok(database) => {
                emit(Event::StoreBack { store: &format!("the request log, {}", requests.place()) });
                return database;
            }
            Err(error) => {
                let store = format!("the request log, {}", requests.place());
                let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                emit(Event::StoreLost { store: &store, why: &error.to_string(), retry_ms });
                requests.note(Some(error.trouble()));
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_log_is_beside_the_ledgers() {
        for (ledger, log) in [
            ("/x/bifrost.db", "/x/bifrost-requests.db"),
            ("logs.db", "logs-requests.db"),
            ("/a.b/ledger", "/a.b/ledger-requests"),
        ] {
            assert_eq!(beside(Path::new(ledger)), Path::new(log));
        }
    }
}
