//! Databases of released versions, and of other programs.

use bifrost::store::entity::Kind;
use bifrost::store::ledger::{DAY, SpendQuery};
use bifrost::store::{Store, StoreSettings};
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::rig::{Place, run};
use crate::support::services::Postgres;

/// As that version left them.
const RELEASED: [(&str, &str, &str); 1] = [(
    "version 1",
    include_str!("released/version-1.sqlite.sql"),
    include_str!("released/version-1.postgres.sql"),
)];

#[test]
fn a_database_of_each_released_version_is_opened_and_nothing_in_it_is_lost() {
    for (version, sqlite, postgres) in RELEASED {
        run(async { check(version, Place::sqlite(), sqlite).await });
        if let Some(server) = Postgres::shared() {
            run(async { check(version, Place::postgres(server), postgres).await });
        }
    }
}

async fn check(version: &str, place: Place, text: &'static str) {
    fill(&place, text).await;
    // Twice: the second one finds nothing to do.
    place.open().await.close().await;
    let store = place.open().await;
    let teams = store.entities(Kind::Team).await.unwrap();
    assert_eq!((teams[0].name.as_str(), teams[0].revision), ("blue", 1), "{version}");
    assert_eq!(store.changes(u64::MAX, 10).await.unwrap()[0].who, "ada", "{version}");
    assert_eq!(store.setting("salt").await.unwrap().as_deref(), Some("abc"), "{version}");
    let audit = store.audit(0, 10).await.unwrap();
    assert!(audit.len() == 1 && audit[0].hash == audit[0].expected_hash(), "{version}");
    let query = SpendQuery { owner: "team:t1".to_owned(), from_ms: 0, to_ms: u64::MAX / 2, span: DAY };
    assert_eq!(store.spend(&query).await.unwrap()[0].consumption.cost, 42, "{version}");
    assert_eq!(store.told(0, "nobody", 10).await.unwrap()[0].entry.id, "req-1", "{version}");
    assert_eq!(store.journal_place("w-000000.journal").await, Ok(77), "{version}");
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    run(async {
        let place = Place::sqlite();
        place.open().await.close().await;
        fill(&place, "INSERT INTO bifrost_schema (version, applied_by) VALUES (99, '9.9')").await;
        let error = Store::open(&place.settings).await.unwrap_err().to_string();
        assert!(error.contains("version 99") && error.contains("newer"), "{error}");
    });
}

#[test]
fn another_programs_database_is_left_alone() {
    run(async {
        let place = Place::sqlite();
        fill(&place, "CREATE TABLE config_keys (id INTEGER)").await;
        let error = Store::open(&place.settings).await.unwrap_err().to_string();
        assert!(error.contains("config_keys"), "{error}");
    });
}

#[test]
fn several_processes_may_make_the_same_database_at_once() {
    let places = [Some(Place::sqlite()), Postgres::shared().map(Place::postgres)];
    for place in places.into_iter().flatten() {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| run(async { place.open().await.close().await }));
            }
        });
    }
}

async fn fill(place: &Place, text: &'static str) {
    match &place.settings {
        StoreSettings::Sqlite { path } => {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        StoreSettings::Postgres(server) => {
            let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
                .host(&server.host)
                .port(server.port)
                .username(&server.user)
                .password(server.password.expose())
                .database(&server.database);
            let mut connection = PgConnection::connect_with(&options).await.unwrap();
            sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}
