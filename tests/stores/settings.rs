//! Entities, their history, the audit log and small values.

use std::sync::Arc;

use bifrost::store::audit::{Action, AuditRow};
use bifrost::store::entity::{Change, Edit, Expected, Kind, Provenance};
use bifrost::store::{Store, StoreError};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::rig::each;

fn change(action: &str, edits: Vec<Edit>) -> Change {
    Change {
        at_ms: 1_700_000_000_000,
        who: "ada".to_owned(),
        address: "127.0.0.1".to_owned(),
        action: action.to_owned(),
        edits,
        from_revision: None,
    }
}

fn put(kind: Kind, id: &str, name: &str, body: Value, expected: Expected) -> Edit {
    Edit::Put { kind, id: id.into(), name: name.into(), body, source: Provenance::Store, expected }
}

#[test]
fn what_was_changed_is_there_after_a_restart_with_its_history() {
    each(async |place| {
        let store = place.open().await;
        let made = put(Kind::Team, "t1", "blue", json!({"budget": 1.5}), Expected::Absent);
        assert_eq!(store.change(&change("team.create", vec![made])).await, Ok(1));
        let mut source = put(Kind::Team, "t1", "azure", json!({"budget": 2}), Expected::Revision(1));
        if let Edit::Put { source, .. } = &mut source {
            *source = Provenance::Replaces("abc".to_owned());
        }
        assert_eq!(store.change(&change("team.update", vec![source])).await, Ok(2));
        store.close().await;

        let store = place.open().await;
        assert_eq!(*store.subscribe().borrow(), 2);
        let teams = store.entities(Kind::Team).await.unwrap();
        assert_eq!(teams.len(), 1);
        assert_eq!(
            (teams[0].name.as_str(), &teams[0].body, teams[0].revision),
            ("azure", &json!({"budget": 2}), 2)
        );
        assert_eq!(teams[0].source, Provenance::Replaces("abc".to_owned()));
        let history = store.changes(u64::MAX, 10).await.unwrap();
        assert_eq!(history.iter().map(|one| one.revision).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(history[0].edits[0].before, Some(json!({"budget": 1.5})));
        assert_eq!(history[0].edits[0].after, Some(json!({"budget": 2})));
        assert_eq!(store.changes(2, 10).await.unwrap().len(), 1);
    });
}

#[test]
fn a_change_that_does_not_fit_changes_nothing_at_all() {
    each(async |place| {
        let store = place.open().await;
        let first = put(Kind::VirtualKey, "k1", "one", json!({}), Expected::Absent);
        store.change(&change("a", vec![first])).await.unwrap();
        let other = || put(Kind::VirtualKey, "k2", "two", json!({}), Expected::Any);
        let stale = put(Kind::VirtualKey, "k1", "one", json!({}), Expected::Revision(7));
        let conflict = StoreError::Conflict { kind: Kind::VirtualKey, id: "k1".into(), found: Some(1) };
        assert_eq!(store.change(&change("b", vec![other(), stale])).await, Err(conflict));
        let taken = put(Kind::VirtualKey, "k3", "one", json!({}), Expected::Any);
        let taken = store.change(&change("c", vec![other(), taken])).await;
        assert!(matches!(taken, Err(StoreError::NameTaken { by, .. }) if by == "k1"));
        let mut late = change("d", vec![other()]);
        late.from_revision = Some(0);
        assert!(matches!(store.change(&late).await, Err(StoreError::Conflict { found: Some(1), .. })));
        let gone = Edit::Delete { kind: Kind::Team, id: "x".into(), expected: Expected::Revision(1) };
        assert!(matches!(store.change(&change("e", vec![gone])).await, Err(StoreError::Conflict { .. })));
        assert_eq!(store.entities(Kind::VirtualKey).await.unwrap().len(), 1);
        assert_eq!((store.revision().await, store.audit(0, 10).await.unwrap().len()), (Ok(1), 1));
    });
}

#[test]
fn who_is_logged_in_is_no_revision_and_no_history() {
    each(async |place| {
        let store = place.open().await;
        let session = put(Kind::Session, "s", "s", json!({"user": "ada"}), Expected::Absent);
        assert_eq!(store.change(&change("session.login", vec![session])).await, Ok(0));
        assert_eq!(store.entity(Kind::Session, "s").await.unwrap().unwrap().body, json!({"user": "ada"}));
        let out = Edit::Delete { kind: Kind::Session, id: "s".into(), expected: Expected::Any };
        store.change(&change("session.logout", vec![out])).await.unwrap();
        assert_eq!(store.entity(Kind::Session, "s").await, Ok(None));
        assert_eq!(store.changes(u64::MAX, 10).await, Ok(Vec::new()));
        assert!(store.configuration().await.unwrap().1.is_empty());
        let audit = store.audit(0, 10).await.unwrap();
        assert_eq!(
            audit.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(),
            ["session.login", "session.logout"]
        );
    });
}

#[test]
fn rows_of_the_audit_log_are_chained() {
    each(async |place| {
        let store = place.open().await;
        for n in 0..3 {
            let action = Action {
                at_ms: n,
                who: "ada".into(),
                address: "::1".into(),
                action: "session.login".into(),
                detail: json!({"n": n}),
            };
            assert_eq!(store.record(&action).await, Ok(n + 1));
        }
        let rows = store.audit(0, 10).await.unwrap();
        assert!(rows[0].previous.is_empty());
        for (before, row) in rows.iter().zip(&rows[1..]) {
            assert_eq!(before.hash, row.previous);
        }
        assert!(rows.iter().all(|row| row.hash == row.expected_hash()));
        let changed = AuditRow { who: "eve".into(), ..rows[1].clone() };
        assert_ne!(changed.expected_hash(), changed.hash);
        // The same characters in other fields.
        let moved = AuditRow { who: "ad".into(), address: "a::1".into(), ..rows[1].clone() };
        assert_ne!(moved.expected_hash(), moved.hash);
        assert_eq!(store.audit(2, 10).await.unwrap(), rows[2..]);
    });
}

#[test]
fn all_who_offer_a_setting_get_the_same_one() {
    each(async |place| {
        let store = place.open().await;
        assert_eq!(store.setting("salt").await, Ok(None));
        assert_eq!(store.setting_or("salt", "a").await.as_deref(), Ok("a"));
        let other = place.open().await;
        assert_eq!(other.setting_or("salt", "b").await.as_deref(), Ok("a"));
        other.set_setting("salt", "c", None).await.unwrap();
        assert_eq!(store.setting("salt").await.unwrap().as_deref(), Some("c"));
        store.set_setting("s%lt", "d", None).await.unwrap();
        assert_eq!(store.settings_under("s%").await.unwrap(), [("s%lt".to_owned(), "d".to_owned())]);
        let took = both_take(&store, &other).await;
        assert_eq!(took, [true, false], "one of them takes it");
    });
}

async fn both_take(one: &Store, other: &Store) -> [bool; 2] {
    let action = Action {
        at_ms: 1,
        who: "ada".into(),
        address: "::1".into(),
        action: "token.use".into(),
        detail: json!({}),
    };
    let (a, b) =
        tokio::join!(one.take_setting("salt", Some(&action)), other.take_setting("salt", Some(&action)));
    assert_eq!(one.audit(0, 10).await.unwrap().len(), 1);
    let (a, b) = (a.unwrap(), b.unwrap());
    // In whatever order.
    [a || b, a && b]
}

/// Its questions can be asked from a task.
#[test]
fn a_store_is_opened_in_the_background() {
    each(async |place| {
        let store = Store::start(place.settings.clone(), &Handle::current());
        let asking = Arc::clone(&store);
        let made = put(Kind::Team, "t", "t", json!({}), Expected::Any);
        let asked = tokio::spawn(async move { asking.change(&change("x", vec![made])).await });
        assert_eq!(asked.await.unwrap(), Ok(1));
        assert!(store.is_open() && store.trouble().is_none());
    });
}
