//! A Postgres server.

use std::time::Duration;

use sqlx::Postgres;
use sqlx::SqlStr;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::query::Query;

use super::{Database, Purpose, Sql, StoreError};
use crate::config::stores::{Server, SslMode};

/// The longest wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Of the request log: one writes, the others read.
const CONNECTIONS: u32 = 4;
/// The longest any statement may take, in milliseconds.
const STATEMENT_MS: &str = "15000";

pub(super) async fn open(server: &Server, purpose: Purpose) -> Result<Database, StoreError> {
    let (options, connections) = match purpose {
        Purpose::Books => (options(server), server.max_connections),
        Purpose::Requests => (
            options(server).options([("synchronous_commit", "off")]),
            server.max_connections.min(CONNECTIONS),
        ),
    };
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await?;
    Ok(Database::Postgres(pool))
}

pub(super) fn options(server: &Server) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(server.password.expose())
        .database(&server.database)
        .ssl_mode(match server.ssl_mode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Allow => PgSslMode::Allow,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyCa => PgSslMode::VerifyCa,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        })
        .application_name("bifrost")
        .options([("statement_timeout", STATEMENT_MS)])
}

pub(super) fn bound<'a>(text: SqlStr, values: &[Sql<'a>]) -> Query<'a, Postgres, PgArguments> {
    values.iter().fold(sqlx::query(text), |query, value| match value {
        Sql::Int(number) => query.bind(*number),
        Sql::Text(text) => query.bind(*text),
        Sql::Blob(bytes) => query.bind(*bytes),
    })
}
