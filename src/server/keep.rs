//! Opens what outlives the process, and says who is told of what was spent before and beside it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use govern::allowance::Consumption;
use ring::digest;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::account::ledger::Books;
use crate::account::meters::{Meters, now_ms};
use crate::auth::Directory;
use crate::config::governance::{Governance, Owner, Quotas};
use crate::config::{ConfigHolder, Snapshot};
use crate::observe::log::RequestLog;
use crate::proxy::Gateway;
use crate::store::journal::Journal;
use crate::store::keep::{Counters, Keeper, Kept, Lines};
use crate::store::ledger::Windows;
use crate::store::requests::Requests;
use crate::store::{Store, StoreSettings};
use crate::telemetry::redact::Redactors;

/// Between two tries to write what could not be written.
const CATCH_UP: Duration = Duration::from_secs(1);
/// The longest that a start waits for what was spent before.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store of settings, and the ledger. They are opened in the background.
pub(super) fn open(
    snapshot: &Snapshot,
    app_dir: Option<&Path>,
    background: &Handle,
) -> (Option<Arc<Store>>, Option<Kept>) {
    let stores = &snapshot.stores;
    let Some(app_dir) = app_dir else {
        if stores.config.is_some() || stores.ledger.is_some() {
            log::warn!("nothing is kept: there is no app directory (--app-dir), nor a home for one");
        }
        return (None, None);
    };
    let settings = |database| StoreSettings::of(database, app_dir);
    let (config, ledger) = (stores.config.as_ref().map(settings), stores.ledger.as_ref().map(settings));
    let key = snapshot.access.encryption_key.clone();
    let store = config.clone().map(|settings| Store::start_sealed(settings, key, background));
    let same = ledger.is_none() || ledger == config;
    let at = if same { config } else { ledger };
    let Some(at) = at else { return (store, None) };
    let ledger = match &store {
        Some(store) if same => Arc::clone(store),
        _ => Store::start(at.clone(), background),
    };
    let folder = app_dir.join(journals(&at));
    let kept = match Journal::open(&folder) {
        Ok(journal) => Some(Kept { store: ledger, journal: Arc::new(journal), keeping: Arc::default() }),
        Err(error) => {
            log::error!("spends are not kept: {}: {error}", folder.display());
            None
        }
    };
    (store, kept)
}

/// The request log: beside the ledger, or in its database.
///
/// # Errors
/// Its thread cannot be made.
pub(super) fn requests(
    snapshot: &Snapshot,
    app_dir: Option<&Path>,
    redactors: &Arc<Redactors>,
) -> io::Result<Option<Arc<RequestLog>>> {
    let stores = &snapshot.stores;
    let ledger = stores.ledger.as_ref().or(stores.config.as_ref());
    let (Some(limits), Some(database), Some(app_dir)) = (stores.requests, ledger, app_dir) else {
        return Ok(None);
    };
    let place = Requests::beside(&StoreSettings::of(database, app_dir));
    RequestLog::start(place, limits, Arc::clone(redactors)).map(Some)
}

/// Begins to keep the ledger. Where somebody has a budget or a limit, what was spent before is known when this
/// returns, or the store does not answer.
pub(super) fn keep(gateway: &Arc<Gateway>) {
    let Some(kept) = gateway.kept.clone() else { return };
    let keeping = Arc::clone(&kept.keeping);
    gateway.books.open(Arc::new(Lines(Arc::clone(&kept.journal))));
    gateway.background.spawn(catch_up(Arc::clone(&gateway.books)));
    let owners = Owners {
        config: Arc::clone(&gateway.config),
        directory: Arc::clone(&gateway.directory),
        meters: Arc::clone(&gateway.meters),
    };
    let needed = owners.are_limited();
    gateway.background.spawn(Keeper { kept, counters: Arc::new(owners) }.run());
    if needed && !gateway.background.block_on(keeping.wait(PATIENCE)) {
        log::warn!(
            "what was spent before is not known yet: budgets and limits count from now on until it is"
        );
    }
}

/// Writes what a full disk has kept from being written, also when no request comes.
async fn catch_up(books: Arc<Books>) {
    loop {
        sleep(CATCH_UP).await;
        let mut waiting = books.state().waiting;
        while waiting > 0 {
            books.catch_up();
            let left = books.state().waiting;
            if left >= waiting {
                break;
            }
            waiting = left;
        }
    }
}

/// The folder of the journals of a ledger: what is meant for one is never read into another.
fn journals(settings: &StoreSettings) -> String {
    let hash = digest::digest(&digest::SHA256, settings.place().as_bytes());
    let short = hash.as_ref().iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("journal-{short}")
}

/// All who have budgets and limits.
struct Owners {
    config: Arc<ConfigHolder>,
    directory: Arc<Directory>,
    meters: Arc<Meters>,
}

impl Owners {
    /// Somebody may have quotas.
    fn are_limited(&self) -> bool {
        let snapshot = self.config.load_full();
        let Governance { teams, customers, providers, models, .. } = &snapshot.governance;
        let some = !(teams.is_empty() && customers.is_empty() && providers.is_empty() && models.is_empty());
        some || !self.directory.is_empty()
    }

    fn with_quotas<T>(&self, owner: &Owner, look: impl FnOnce(&Quotas) -> T) -> Option<T> {
        let snapshot = self.config.load_full();
        let governance = &snapshot.governance;
        match owner {
            Owner::Customer(id) => governance.customers.get(id).map(|found| look(&found.quotas)),
            Owner::Team(id) => governance.teams.get(id).map(|found| look(&found.quotas)),
            Owner::Provider(name) => governance.providers.get(name).map(look),
            Owner::Model { provider, model } => {
                let found =
                    governance.models.iter().find(|one| one.model == *model && one.provider == *provider);
                found.map(|found| look(&found.quotas))
            }
            Owner::VirtualKey(id) => self.directory.by_id(id).map(|found| look(&found.quotas)),
            Owner::Grant { key, provider } => {
                let found = self.directory.by_id(key)?;
                let grant = found.grants.iter().flatten().find(|grant| grant.provider == *provider)?;
                Some(look(&grant.quotas))
            }
        }
    }
}

impl Counters for Owners {
    fn is_ready(&self) -> bool {
        !self.directory.is_incomplete()
    }

    fn windows(&self, owner: &str) -> Option<Windows> {
        self.with_quotas(&owner.parse().ok()?, windows).flatten()
    }

    fn tell(&self, owner: &str, used: &[(u64, Consumption)]) {
        let Ok(owner) = owner.parse::<Owner>() else { return };
        let now = now_ms();
        self.with_quotas(&owner, |quotas| {
            self.meters.with_quotas(&owner, quotas, |allowance| {
                used.iter().for_each(|(at, used)| allowance.restore(used, *at, now));
            });
        });
    }
}

/// A tenth more: months may have 31 days, and years 366.
fn windows(quotas: &Quotas) -> Option<Windows> {
    let lengths = || quotas.list.iter().map(|quota| quota.window.length_ms());
    let longest = lengths().max()?;
    Some(Windows { shortest: lengths().min()?, longest: longest.saturating_add(longest / 10) })
}
