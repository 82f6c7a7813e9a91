//! Which database a store is, once it is known where files are.

use std::path::{Path, PathBuf};

use crate::config::stores::{Database, Server};

/// The file of SQLite where no path is configured.
const FILE: &str = "bifrost.db";

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// A file, made with its folder when it is not there.
    Sqlite {
        path: PathBuf,
    },
    Postgres(Server),
}

impl StoreSettings {
    /// As configured; files are in `app_dir`.
    #[must_use]
    pub fn of(database: &Database, app_dir: &Path) -> Self {
        match database {
            Database::Sqlite { path } => {
                Self::Sqlite { path: app_dir.join(path.as_deref().unwrap_or(Path::new(FILE))) }
            }
            Database::Postgres(server) => Self::Postgres(server.clone()),
        }
    }

    /// For people: never a password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite { path } => format!("sqlite {}", path.display()),
            Self::Postgres(server) => {
                format!("postgres {}:{}/{}", server.host, server.port, server.database)
            }
        }
    }
}
