//! Where what outlives the process is kept: settings made at run time, and the ledger. Read at start only.

use std::path::PathBuf;
use std::sync::Arc;

use super::snapshot::Secret;

/// `config_store` and `logs_store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stores {
    /// Settings made at run time; `None`: the file is the whole configuration.
    pub config: Option<Database>,
    /// The ledger, where it is not in the same place. `None`: it is, or there is none.
    pub ledger: Option<Database>,
    /// The request log, which is kept where the ledger is; `None`: there is none.
    pub requests: Option<RequestLog>,
}

/// How much of the request log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLog {
    /// Bytes of its file, or of its tables; 0: as many as there are.
    pub max_bytes: u64,
    /// Milliseconds that a request is kept; 0: for ever.
    pub kept_ms: u64,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file; `None`: the usual one. A relative path is below the app dir.
    Sqlite {
        path: Option<PathBuf>,
    },
    Postgres(Server),
}

/// A Postgres server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: Arc<str>,
    pub port: u16,
    pub user: Arc<str>,
    pub password: Secret,
    pub database: Arc<str>,
    pub ssl_mode: SslMode,
    pub max_connections: u32,
}

/// As in Postgres' own `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Nothing configured: a file of SQLite for all.
impl Default for Stores {
    fn default() -> Self {
        Self {
            config: Some(Database::Sqlite { path: None }),
            ledger: None,
            requests: Some(RequestLog::default()),
        }
    }
}

impl Default for RequestLog {
    fn default() -> Self {
        Self { max_bytes: 4096 << 20, kept_ms: 365 * 24 * 3_600_000 }
    }
}
