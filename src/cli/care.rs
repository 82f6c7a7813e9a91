//! Commands for those who look after the gateway: they open the store themselves, whether the gateway runs or not.
//!
//! What is secret goes to standard output alone, so that it can be caught; what is said of it goes to standard error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{UNUSABLE, print, unusable};
use crate::admin::access::{now_ms, password, setup, token};
use crate::admin::who::Role;
use crate::config::snapshot::Secret;
use crate::config::{self, Environment};
use crate::store::audit::{Action, AuditRow};
use crate::store::chain::Check;
use crate::store::{Store, StoreSettings};

/// Where the key that secrets are to be sealed with is read from.
const NEW_KEY: &str = "BIFROST_NEW_ENCRYPTION_KEY";
/// In the audit log.
const COMMAND_LINE: &str = "command line";
const DAY_MS: u64 = 86_400_000;
/// Rows that are read at once.
const ROWS: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Print a new token: one that logs in once, or with --name one for programs
    #[command(
        after_help = "Without --name: POST /api/session/setup takes it with a user name and a password and makes \
        that login; POST /api/session/login takes it for a session. It works once, within an hour."
    )]
    Token {
        /// What it is for: makes a token for programs, to be sent as `Authorization: Bearer <token>`
        #[arg(long)]
        name: Option<String>,
        /// What it may do
        #[arg(long, value_enum, default_value = "admin", requires = "name")]
        role: Rank,
        /// Days until it ends [default: never]
        #[arg(long, requires = "name", value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: Option<u64>,
        #[command(flatten)]
        place: Place,
    },
    /// Read a password from standard input and print its hash, for governance.auth_config.admin_password
    Password,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check that no row was changed, removed or put in
    #[command(
        after_help = "Exit code 0: the log is whole; 1: it is not; 2: it cannot be read. Note the last hash \
        somewhere else: with --expect, rows that were cut off at the end are found too."
    )]
    Verify {
        /// A file from `bifrost audit export` or GET /api/audit?format=jsonl [default: the store]
        file: Option<PathBuf>,
        /// A hash that was noted earlier and must be there
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Print all rows, a line of JSON each
    Export {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Seal all secrets in the store with a new key, read from BIFROST_NEW_ENCRYPTION_KEY
    #[command(
        after_help = "The old key is taken from encryption_key or BIFROST_ENCRYPTION_KEY. A gateway that runs \
        meanwhile goes on, but stores nothing more until it is started with the new key."
    )]
    Rotate {
        #[command(flatten)]
        place: Place,
    },
}

/// Which gateway's store.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Its configuration file [default: as for serve]
    #[arg(long, value_name = "FILE", env = "BIFROST_CONFIG")]
    config: Option<PathBuf>,
    /// Its app dir [default: ~/.config/bifrost]
    #[arg(long, value_name = "DIR", env = "BIFROST_APP_DIR")]
    app_dir: Option<PathBuf>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Rank {
    /// Look at everything but secrets
    Viewer,
    /// Change everything
    Admin,
}

/// Why a command did not do it.
type Failure = String;

pub fn admin(what: &Admin) -> ExitCode {
    let done = match what {
        Admin::Token { name: None, place, .. } => {
            run(place, Absent::Make, async |store| one_time(&store).await)
        }
        Admin::Token { name: Some(name), role, days, place } => {
            run(place, Absent::Make, async |store| lasting(&store, name, *role, *days).await)
        }
        Admin::Password => typed_password(),
    };
    ended(done)
}

pub fn audit(what: &Audit) -> ExitCode {
    match what {
        Audit::Verify { file: Some(file), expect, .. } => verified(check_file(file, expect.clone())),
        Audit::Verify { file: None, expect, place } => {
            verified(run(place, Absent::Refuse, async |store| check_store(&store, expect.clone()).await))
        }
        Audit::Export { place } => ended(run(place, Absent::Refuse, async |store| export(&store).await)),
    }
}

pub fn secrets(what: &Secrets) -> ExitCode {
    let Secrets::Rotate { place } = what;
    ended(run(place, Absent::Refuse, async |store| rotate(&store).await))
}

async fn one_time(store: &Store) -> Result<(), Failure> {
    let until = now_ms().saturating_add(setup::ASKED_FOR_MS);
    let secret = token::make_setup(store, Some(until)).await.map_err(text)?;
    told(store, "setup_token.create", json!(null)).await?;
    say("This token logs in once, within an hour: POST /api/session/setup or /api/session/login takes it.");
    print(&secret);
    Ok(())
}

async fn lasting(store: &Store, name: &str, rank: Rank, days: Option<u64>) -> Result<(), Failure> {
    let role = match rank {
        Rank::Viewer => Role::Viewer,
        Rank::Admin => Role::Admin,
    };
    let made_ms = now_ms();
    let until_ms = days.map(|days| made_ms.saturating_add(days.saturating_mul(DAY_MS)));
    let (made_by, detail) = (COMMAND_LINE.to_owned(), json!({ "name": name, "role": role }));
    let token = token::Token { name: name.to_owned(), role, made_by, made_ms, until_ms };
    let (_, secret) = token::make(store, &token, &action("token.create", detail)).await.map_err(text)?;
    say("Shown once. Send it as `Authorization: Bearer <token>`.");
    print(&secret);
    Ok(())
}

fn typed_password() -> Result<(), Failure> {
    let mut typed = String::new();
    std::io::stdin().read_to_string(&mut typed).map_err(text)?;
    let typed = typed.strip_suffix('\n').unwrap_or(&typed);
    let typed = typed.strip_suffix('\r').unwrap_or(typed);
    password::check_length(typed).map_err(text)?;
    print(&password::hash(typed).map_err(text)?);
    Ok(())
}

async fn export(store: &Store) -> Result<(), Failure> {
    let (mut after, mut out) = (0, std::io::stdout().lock());
    loop {
        let rows = store.audit(after, ROWS).await.map_err(text)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.number;
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row).map_err(text)?).map_err(text)?;
        }
    }
}

/// What a check found: the verdict, or that there was nothing to check.
type Verdict = Result<Result<String, String>, Failure>;

async fn check_store(store: &Store, expect: Option<String>) -> Verdict {
    let (mut check, mut after) = (Check::new(expect), 0);
    loop {
        let rows = store.audit(after, ROWS).await.map_err(text)?;
        let Some(last) = rows.last() else { return Ok(verdict(check)) };
        after = last.number;
        if let Err(broken) = rows.iter().try_for_each(|row| check.row(row)) {
            return Ok(Err(broken.to_string()));
        }
    }
}

fn check_file(file: &Path, expect: Option<String>) -> Verdict {
    let broken = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut check = Check::new(expect);
    for (at, line) in BufReader::new(File::open(file).map_err(broken)?).lines().enumerate() {
        let line = line.map_err(broken)?;
        if line.trim().is_empty() {
            continue;
        }
        let Ok(row) = serde_json::from_str::<AuditRow>(&line) else {
            return Ok(Err(format!("line {} is no row of an audit log", at + 1)));
        };
        if let Err(broken) = check.row(&row) {
            return Ok(Err(broken.to_string()));
        }
    }
    Ok(verdict(check))
}

fn verdict(check: Check) -> Result<String, String> {
    match check.end() {
        Ok((0, _)) => Ok("the audit log is empty".to_owned()),
        Ok((rows, head)) => Ok(format!(
            "{rows} rows are as they were written, up to number {} with the hash\n{}",
            head.number, head.hash
        )),
        Err(broken) => Err(broken.to_string()),
    }
}

fn verified(verdict: Verdict) -> ExitCode {
    match verdict {
        Ok(Ok(whole)) => print(&whole),
        Ok(Err(broken)) => {
            say(&format!("the audit log is not as it was written: {broken}"));
            ExitCode::FAILURE
        }
        Err(failure) => unusable(&failure),
    }
}

async fn rotate(store: &Store) -> Result<(), Failure> {
    let key = Environment::Real.filled(NEW_KEY).ok_or_else(|| format!("{NEW_KEY} is not set"))?;
    if key.trim().len() < 8 {
        return Err(format!("{NEW_KEY}: a key of less than 8 characters is guessed in no time"));
    }
    let told = action("secrets.rotate", json!(null));
    let count = store.rotate(&Secret::new(key), &told).await.map_err(text)?;
    print(&format!("{count} secrets are sealed with the new key: start the gateway with it"));
    Ok(())
}

async fn told(store: &Store, what: &str, detail: serde_json::Value) -> Result<(), Failure> {
    store.record(&action(what, detail)).await.map(drop).map_err(text)
}

fn action(what: &str, detail: serde_json::Value) -> Action {
    let (who, address) = (COMMAND_LINE.to_owned(), String::new());
    Action { at_ms: now_ms(), who, address, action: what.to_owned(), detail }
}

/// What is done where there is no store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// It is made: the gateway finds it at its first start.
    Make,
    /// An empty one would say that all is well with another.
    Refuse,
}

/// Opens the store of a gateway and works with it.
fn run<T>(
    place: &Place,
    absent: Absent,
    work: impl AsyncFnOnce(Arc<Store>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let environment = Environment::Real;
    let app_dir = place.app_dir.clone().or_else(|| config::default_app_dir(&environment));
    let origin = config::discover(place.config.as_deref(), app_dir.as_deref());
    let loaded = config::load(&origin, &environment, 1).map_err(|problems| {
        problems.iter().map(|problem| format!("error: {problem}")).collect::<Vec<_>>().join("\n")
    })?;
    let snapshot = loaded.snapshot;
    let database =
        snapshot.stores.config.as_ref().ok_or("there is no store: config_store.enabled is false")?;
    let app_dir = app_dir.ok_or("there is no app dir: name it with --app-dir")?;
    let settings = StoreSettings::of(database, &app_dir);
    if let (StoreSettings::Sqlite { path }, Absent::Refuse) = (&settings, absent)
        && !path.exists()
    {
        let path = path.display();
        return Err(format!("there is no store at {path}: name the gateway's folder with --app-dir"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    runtime.block_on(async {
        let key = snapshot.access.encryption_key.clone();
        let opened = Store::open_sealed(&settings, key).await;
        let store = opened.map_err(|error| format!("{}: {error}", settings.place()))?;
        let done = work(Arc::clone(&store)).await;
        store.close().await;
        done
    })
}

fn ended(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            ExitCode::from(UNUSABLE)
        }
    }
}

fn say(text: &str) {
    // Nobody may be reading: the exit code says it too.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn text(error: impl ToString) -> Failure {
    error.to_string()
}
