//! A Postgres server.

use std::time::Duration;

use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::query::Query;

use super::{Database, Sql, StoreError};
use crate::config::stores::{Server, SslMode};

/// The longest wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// The longest any statement may take, in milliseconds.
const STATEMENT_MS: &str = "15000";

pub(super) async fn open(server: &Server) -> Result<Database, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(server.max_connections)
        .acquire_timeout(ACQUIRE)
        .connect_with(options(server))
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

pub(super) fn bound<'a>(text: &'static str, values: &[Sql<'a>]) -> Query<'a, Postgres, PgArguments> {
    values.iter().fold(sqlx::query(text), |query, value| match value {
        Sql::Int(number) => query.bind(*number),
        Sql::Text(text) => query.bind(*text),
    })
}
