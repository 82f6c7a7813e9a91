//! Runs a test over each database, with a store of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bifrost::account::entry::Entry;
use bifrost::config::snapshot::Secret;
use bifrost::config::stores::{Server, SslMode};
use bifrost::store::{Store, StoreSettings};
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::services::Postgres;

/// Where a test's store is, and a folder for journals.
pub struct Place {
    pub settings: StoreSettings,
    folder: TempDir,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app/bifrost.db");
        Self { settings: StoreSettings::Sqlite { path }, folder }
    }

    /// The store in `folder`, the journals elsewhere.
    pub fn sqlite_in(folder: &std::path::Path) -> Self {
        let settings = StoreSettings::Sqlite { path: folder.join("bifrost.db") };
        Self { settings, folder: tempfile::tempdir().unwrap() }
    }

    pub fn postgres(server: &Postgres) -> Self {
        let settings = StoreSettings::Postgres(Server {
            host: "127.0.0.1".into(),
            port: server.port(),
            user: Postgres::USER.into(),
            password: Secret::new(Postgres::PASSWORD),
            database: server.database().into(),
            ssl_mode: SslMode::Disable,
            max_connections: 4,
        });
        Self { settings, folder: tempfile::tempdir().unwrap() }
    }

    pub fn journals(&self) -> PathBuf {
        self.folder.path().join("journals")
    }

    pub async fn open(&self) -> Arc<Store> {
        Store::open(&self.settings).await.unwrap()
    }
}

/// Over SQLite, and over Postgres where there is one.
pub fn each(test: impl AsyncFn(Place)) {
    run(async { test(Place::sqlite()).await });
    if let Some(server) = Postgres::shared() {
        run(async { test(Place::postgres(server)).await });
    }
}

pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Asks again and again while other tasks go on.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A spend of `cost` nano-dollars, one request and as many tokens.
pub fn spend(id: &str, at: u64, owners: &[&str], cost: u64) -> Entry<'static> {
    Entry {
        id: id.to_owned().into(),
        at,
        owners: owners.iter().map(|owner| (*owner).to_owned().into()).collect(),
        target: "openai/gpt-4o".into(),
        cost,
        requests: 1,
        input_tokens: cost,
        output_tokens: cost.saturating_mul(2),
        estimated: false,
    }
}
