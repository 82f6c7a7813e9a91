//! `config_store` and `logs_store`: which database is meant, and that its settings can be meant.

use serde_json::Value;

use super::Compiler;
use crate::config::document::At;
use crate::config::problem::{child, did_you_mean};
use crate::config::raw;
use crate::config::snapshot::Secret;
use crate::config::stores::{Database, RequestLog, Server, SslMode, Stores};

/// Settings of the request log, in `logs_store` only.
const REQUESTS: [&str; 1] = ["max_size_mb"];
const SQLITE: [&str; 1] = ["path"];
pub(super) const POSTGRES: [&str; 8] =
    ["host", "port", "user", "password", "db_name", "ssl_mode", "max_open_conns", "max_idle_conns"];
const PORT: u16 = 5432;
/// The background has one thread: more connections than this have nothing to do.
const CONNECTIONS: u32 = 8;

pub(super) fn compile(compiler: &mut Compiler<'_>, config: &raw::Config) -> Stores {
    let mut stores = Stores::default();
    if let Some(store) = &config.config_store {
        stores.config = of(compiler, store, "/config_store");
    }
    // A log store that is not configured is where the settings are.
    if let Some(store) = &config.logs_store {
        stores.ledger = of(compiler, store, "/logs_store");
    }
    stores.requests = requests(compiler, config);
    stores
}

fn requests(compiler: &mut Compiler<'_>, config: &raw::Config) -> Option<RequestLog> {
    const DAY_MS: u64 = 24 * 3_600_000;
    let mut log = RequestLog {
        kept_ms: config.client.log_retention_days.saturating_mul(DAY_MS),
        ..RequestLog::default()
    };
    let mut enabled = config.client.enable_logging;
    if let Some(store) = &config.logs_store {
        enabled &= store.enabled;
        let mut fields = Fields { compiler, store, pointer: "/logs_store" };
        if let Some(size) = fields.number("max_size_mb", 0..=1 << 30) {
            log.max_bytes = size << 20;
        }
    }
    enabled.then_some(log)
}

fn of(compiler: &mut Compiler<'_>, store: &raw::Store, pointer: &str) -> Option<Database> {
    if !store.enabled {
        return None;
    }
    let mut fields = Fields { compiler, store, pointer };
    let more = if pointer == "/logs_store" { REQUESTS.as_slice() } else { &[] };
    match store.kind.as_deref().unwrap_or("sqlite") {
        "sqlite" => {
            fields.only(&[SQLITE.as_slice(), more].concat());
            let path = fields.text("path").filter(|path| !path.is_empty());
            Some(Database::Sqlite { path: path.map(Into::into) })
        }
        "postgres" => {
            fields.only(&[POSTGRES.as_slice(), more].concat());
            Some(Database::Postgres(server(&mut fields)))
        }
        other => {
            let message = format!("{other:?} is no kind of store: use sqlite or postgres");
            compiler.problem(&child(pointer, "type"), At::Value, message);
            None
        }
    }
}

pub(super) fn server(fields: &mut Fields<'_, '_, '_>) -> Server {
    let host = fields.text("host").unwrap_or_else(|| "localhost".to_owned());
    let user = fields.needed("user");
    let database = fields.needed("db_name");
    let password = fields.text("password").unwrap_or_default();
    let ssl_mode = fields.text("ssl_mode").map_or(SslMode::Prefer, |text| fields.ssl_mode(&text));
    Server {
        port: fields
            .number("port", 1..=u64::from(u16::MAX))
            .and_then(|port| port.try_into().ok())
            .unwrap_or(PORT),
        max_connections: fields
            .number("max_open_conns", 2..=1_000)
            .and_then(|most| most.try_into().ok())
            .map_or(CONNECTIONS, |most: u32| most.min(CONNECTIONS)),
        host: host.into(),
        user: user.into(),
        password: Secret::new(password),
        database: database.into(),
        ssl_mode,
    }
}

/// The settings of one store.
pub(super) struct Fields<'f, 'c, 'a> {
    pub(super) compiler: &'c mut Compiler<'a>,
    pub(super) store: &'f raw::Store,
    pub(super) pointer: &'f str,
}

impl Fields<'_, '_, '_> {
    pub(super) fn only(&mut self, known: &[&str]) {
        for name in self.store.config.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = did_you_mean(name, known.iter().copied());
            let advice = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let message = format!("{name:?} is no setting of this kind of store{advice}");
            self.compiler.problem(&self.place(name), At::Name, message);
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.store.config.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            _ => {
                self.compiler.problem(&self.place(name), At::Value, "expected a text");
                None
            }
        }
    }

    fn needed(&mut self, name: &str) -> String {
        let text = self.text(name).unwrap_or_default();
        if text.is_empty() {
            let place =
                if self.store.config.contains_key(name) { self.place(name) } else { self.pointer.to_owned() };
            self.compiler.problem(&place, At::Value, format!("a postgres store needs {name:?}"));
        }
        text
    }

    /// A number, or one in a text: references to variables become texts.
    pub(super) fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = match self.store.config.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("expected a whole number from {} to {}", range.start(), range.end());
            self.compiler.problem(&self.place(name), At::Value, message);
        }
        number
    }

    fn ssl_mode(&mut self, text: &str) -> SslMode {
        match text {
            "disable" => SslMode::Disable,
            "allow" => SslMode::Allow,
            "prefer" | "" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => {
                let message = "expected disable, allow, prefer, require, verify-ca or verify-full";
                self.compiler.problem(&self.place("ssl_mode"), At::Value, message);
                SslMode::VerifyFull
            }
        }
    }

    pub(super) fn place(&self, name: &str) -> String {
        child(&child(self.pointer, "config"), name)
    }
}
