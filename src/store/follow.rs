//! A store in the background: opened however often that takes, opened anew when its file is gone, and heard when
//! somebody else changes settings in it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::{sleep, timeout};

use super::sql::Database;
use super::{LIMIT, Store, StoreError};
use crate::telemetry::events::{Event, emit};

/// Between two tries to open: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A server tells by itself; whether it still does is asked so often.
const ASK: Duration = Duration::from_secs(10);
/// What a transaction that changes settings tells to all who listen, with the revision.
const CHANNEL: &str = "bifrost_changes";

/// Keeps a store open for as long as the process lives.
pub(super) async fn live(store: Arc<Store>) {
    loop {
        let database = open_at_last(&store).await;
        match &database {
            Database::Postgres(pool) => loop {
                let heard = listen(&store, pool).await;
                log::debug!("the store tells nothing any more: {}", heard.err().unwrap_or_default());
                sleep(LOOK).await;
            },
            Database::Sqlite { .. } => {
                while database.is_in_place() {
                    sleep(LOOK).await;
                    // Where that fails it is noted.
                    let _ = store.revision().await;
                }
                log::error!("{}: the file is gone; another one is made", store.place());
                store.close().await;
            }
        }
    }
}

async fn open_at_last(store: &Store) -> Database {
    let mut wait = RETRY.0;
    loop {
        match open(store).await {
            Ok(database) => {
                emit(Event::StoreBack { store: &store.place() });
                return database;
            }
            Err(error) => {
                let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                emit(Event::StoreLost { store: &store.place(), why: &error.to_string(), retry_ms });
                store.note(Some(error.trouble()));
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

async fn open(store: &Store) -> Result<Database, StoreError> {
    let opened = timeout(LIMIT, Database::open(&store.settings)).await;
    let database = opened.map_err(|_| StoreError::slow(LIMIT))??;
    store.opened(database.clone()).await?;
    Ok(database)
}

/// Hears of changes until the server says no more.
async fn listen(store: &Store, pool: &sqlx::PgPool) -> Result<(), String> {
    let said = |error: sqlx::Error| error.to_string();
    let mut listener = PgListener::connect_with(pool).await.map_err(said)?;
    listener.listen(CHANNEL).await.map_err(said)?;
    loop {
        // What was told while nobody listened.
        store.revision().await.map_err(|error| error.to_string())?;
        while let Ok(heard) = timeout(ASK, listener.try_recv()).await {
            let told = heard.map_err(said)?.ok_or("the connection is lost")?;
            if let Ok(revision) = told.payload().parse() {
                store.saw(revision);
            }
        }
    }
}
