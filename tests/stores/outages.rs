//! Stores that are not there, full or gone: requests are served on, and nothing that was spent is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bifrost::account::ledger::Books;
use bifrost::store::Store;
use bifrost::store::entity::{Change, Edit, Expected, Kind, Provenance};
use bifrost::store::journal::Journal;
use bifrost::store::keep::Lines;
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::Handle;

use super::keeping::{Process, now};
use super::rig::{Place, each, eventually, run, spend};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, free_port};
use crate::support::services::Postgres;
use crate::support::until;

const CHAT: &str = r#"{"model": "mock/echo", "messages": [{"role": "user", "content": "hello"}]}"#;

fn chat(gateway: &Gateway) -> u16 {
    gateway.ask(&Request::post("/v1/chat/completions", CHAT)).status()
}

#[test]
fn spends_wait_in_the_journal_while_the_server_is_down() {
    let Some(mut server) = Postgres::start() else { return };
    run(async {
        let place = Place::postgres(&server);
        let process = Process::start(&place).await;
        process.is_restored().await;
        process.spends(&spend("1", now(), &["team:a"], 1));
        process.ledger_has("team:a", 1).await;
        server.stop();
        for n in 0..50 {
            process.spends(&spend(&format!("down-{n}"), now(), &["team:a"], 10));
        }
        let keeping = &process.kept.keeping;
        eventually("the keeper to notice", async || keeping.is_failing().then_some(())).await;
        assert!(keeping.unread_bytes() > 0 && process.kept.store.trouble().is_some());
        server.start_again();
        process.ledger_has("team:a", 501).await;
        process.counts("team:a", 501).await;
        eventually("all to be well", async || (!keeping.is_failing()).then_some(())).await;
        assert_eq!((keeping.unread_bytes(), process.kept.store.trouble()), (0, None));
    });
}

#[test]
fn spends_wait_in_the_journal_while_the_disk_of_the_store_is_full() {
    let Some(disk) = SmallDisk::mount() else { return };
    run(async {
        let place = Place::sqlite_in(disk.path());
        let process = Process::start(&place).await;
        process.is_restored().await;
        disk.fill();
        for n in 0..500 {
            process.spends(&spend(&format!("full-{n}"), now(), &["team:a"], 3));
        }
        let keeping = &process.kept.keeping;
        eventually("the keeper to notice", async || keeping.is_failing().then_some(())).await;
        disk.empty();
        eventually("the keeper to go on", async || (!keeping.is_failing()).then_some(())).await;
        process.ledger_has("team:a", 1_500).await;
        process.counts("team:a", 1_500).await;
    });
}

#[test]
fn spends_wait_in_memory_while_the_disk_of_the_journal_is_full() {
    let Some(disk) = SmallDisk::mount() else { return };
    let journal = Arc::new(Journal::open(&disk.path().join("journals")).unwrap());
    let books = Books::default();
    books.open(Arc::new(Lines(Arc::clone(&journal))));
    books.write(&spend("before", now(), &[], 1));
    disk.fill();
    // What is left of the page that is there already, and then no more.
    let written = (0..1_000).take_while(|n| {
        books.write(&spend(&format!("full-{n}"), now(), &["team:a"], 1));
        books.state().waiting < 10
    });
    let count = written.count() + 2;
    assert_eq!(books.state().waiting, 10);
    disk.empty();
    books.catch_up();
    assert_eq!((books.state().waiting, books.state().dropped), (0, 0));
    let file = &journal.readable().unwrap()[0];
    let mut lines = 0;
    let mut place = 0;
    while let Some(batch) = journal.read(file, place).unwrap() {
        lines += batch
            .lines
            .split(|byte| *byte == b'\n')
            .filter(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok())
            .count();
        place = batch.end;
    }
    assert_eq!(lines, count, "each line is whole and there once");
}

#[test]
fn a_change_is_heard_of_by_everybody_within_two_seconds() {
    each(async |place| {
        let here = Store::start(place.settings.clone(), &Handle::current());
        let there = Store::start(place.settings.clone(), &Handle::current());
        let mut heard = there.subscribe();
        there.revision().await.unwrap();
        let edit = Edit::Put {
            kind: Kind::Team,
            id: "t".into(),
            name: "t".into(),
            body: json!({}),
            source: Provenance::Store,
            expected: Expected::Any,
        };
        let change = Change {
            at_ms: now(),
            who: "ada".into(),
            address: "::1".into(),
            action: "team.create".into(),
            edits: vec![edit],
            from_revision: None,
        };
        assert_eq!(here.change(&change).await, Ok(1));
        let begun = Instant::now();
        heard.wait_for(|revision| *revision == 1).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_gateway_without_configuration_keeps_its_store_in_the_app_dir_for_itself() {
    let gateway = Gateway::start(&json!({}));
    let file = gateway.folder.path().join("bifrost.db");
    until("the store to be open", || (gateway.health()["stores"]["config"] == "ok").then_some(()));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    until("the ledger to be restored", || {
        gateway.health()["stores"]["ledger"]["restored"].as_bool().filter(|is| *is)
    });
    assert!((gateway.metric("bifrost_store_up", &[("store", "ledger")]) - 1.0).abs() < f64::EPSILON);
    assert_eq!(gateway.health()["components"]["db_pings"], "ok");
    assert_eq!(chat(&gateway), 200);
}

#[test]
fn without_a_store_no_file_is_made() {
    let gateway = Gateway::start(&json!({"config_store": {"enabled": false}}));
    assert_eq!(chat(&gateway), 200);
    assert_eq!(gateway.health()["stores"], json!({"config": "disabled"}));
    let names: Vec<_> =
        std::fs::read_dir(gateway.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("bifrost.db")), "{names:?}");
}

#[test]
fn a_gateway_starts_and_serves_while_its_store_cannot_be_reached() {
    let config = json!({"config_store": {"type": "postgres", "config": {
        "host": "127.0.0.1", "port": free_port(), "user": "u", "password": "secret-word", "db_name": "d"}}});
    let begun = Instant::now();
    let gateway = Gateway::start(&config);
    assert!(begun.elapsed() < Duration::from_secs(4), "it waited for the store: {:?}", begun.elapsed());
    assert_eq!(chat(&gateway), 200);
    assert_eq!(gateway.health()["status"], "ok");
    assert_eq!(gateway.health()["stores"]["config"], "unavailable");
    assert!(gateway.metric("bifrost_store_up", &[("store", "config")]).abs() < f64::EPSILON);
    gateway.wait_for_log("tried again in");
    assert!(!gateway.log().iter().any(|line| line.contains("secret-word")));
}

#[test]
fn a_store_that_is_removed_is_made_anew() {
    let gateway = Gateway::start(&json!({}));
    let file = gateway.folder.path().join("bifrost.db");
    until("the store to be open", || (gateway.health()["stores"]["config"] == "ok").then_some(()));
    for name in ["bifrost.db", "bifrost.db-wal", "bifrost.db-shm"] {
        let _ = std::fs::remove_file(gateway.folder.path().join(name));
    }
    gateway.wait_for_log("the file is gone");
    until("another file", || file.is_file().then_some(()));
    until("the store to be open", || (gateway.health()["stores"]["config"] == "ok").then_some(()));
    assert_eq!(chat(&gateway), 200);
}

/// A disk of three megabytes.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|done| done.status.success());
        if !mounted {
            eprintln!(
                "SKIPPED: no small disk can be mounted here (root is needed), a full one is not tested"
            );
        }
        mounted.then_some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn fill(&self) {
        let mut length = 3 * 1024 * 1024;
        let mut all = Vec::new();
        // Page by page, until nothing fits.
        while length > 0 {
            let bytes = vec![0_u8; length];
            let path = self.path().join(format!("filler-{}", all.len()));
            match std::fs::write(&path, bytes) {
                Ok(()) => all.push(path),
                Err(_) => {
                    let _ = std::fs::remove_file(&path);
                    length /= 2;
                }
            }
        }
    }

    pub fn empty(&self) {
        for entry in std::fs::read_dir(self.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("filler-") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
