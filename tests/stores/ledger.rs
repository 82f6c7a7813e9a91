//! Who spent what: each spend counts once, and sums tell what rows told.

use std::borrow::Cow;

use bifrost::account::entry::Entry;
use bifrost::store::Store;
use bifrost::store::ledger::{DAY, HOUR, MINUTE, Origin, Part, SpendQuery, Windows, merged};

use super::rig::{each, spend};

/// A Friday, 10:30 UTC.
const NOW: u64 = 1_763_721_000_000;
const ALL: Windows = Windows { shortest: 1_000, longest: 400 * DAY };

async fn apply(store: &Store, (from, end): (u64, u64), entries: &[Entry<'_>]) -> Option<usize> {
    let part = Part { file: "a-0.journal", from, end };
    let origin = Origin { writer: "a", journal: Some(part), now_ms: NOW };
    store.apply(&origin, entries).await.unwrap()
}

async fn costs(store: &Store, owner: &str, span: u64) -> Vec<(u64, u64)> {
    let query = SpendQuery { owner: owner.to_owned(), from_ms: 0, to_ms: NOW + DAY, span };
    store.spend(&query).await.unwrap().iter().map(|sum| (sum.at_ms, sum.consumption.cost)).collect()
}

#[test]
fn a_spend_counts_once_however_often_it_is_told() {
    each(async |place| {
        let store = place.open().await;
        let entries = [
            spend("1", NOW, &["team:a", "virtual_key:k"], 5),
            spend("2", NOW + 1, &["team:a", "team:a"], 7),
            spend("1", NOW, &["team:a", "virtual_key:k"], 5),
        ];
        assert_eq!(apply(&store, (0, 300), &entries).await, Some(2));
        assert_eq!(apply(&store, (0, 300), &entries).await, None);
        // One that has read further than is known here would leave spends out.
        assert_eq!(apply(&store, (350, 400), &entries).await, None);
        assert_eq!(apply(&store, (300, 400), &[spend("3", NOW + 2, &["team:a"], 1)]).await, Some(1));
        assert_eq!(costs(&store, "team:a", MINUTE).await, [(NOW, 13)]);
        assert_eq!(costs(&store, "team:a", HOUR).await, [(NOW / HOUR * HOUR, 13)]);
        assert_eq!(costs(&store, "team:a", DAY).await, [(NOW / DAY * DAY, 13)]);
        assert_eq!(costs(&store, "virtual_key:k", DAY).await, [(NOW / DAY * DAY, 5)]);
        assert_eq!(store.journal_place("a-0.journal").await, Ok(400));
        // A reader that was slower does not set the place back.
        assert_eq!(apply(&store, (0, 300), &entries).await, None);
        assert_eq!(store.journal_place("a-0.journal").await, Ok(400));
        let query = SpendQuery { owner: "team:a".to_owned(), from_ms: NOW, to_ms: NOW + 1, span: MINUTE };
        let sum = store.spend(&query).await.unwrap()[0].consumption;
        assert_eq!((sum.requests, sum.input_tokens, sum.output_tokens), (3, 13, 26));
    });
}

#[test]
fn what_one_second_spent_alike_is_one_row() {
    let all = vec![
        spend("1", NOW, &["team:a"], 5),
        spend("2", NOW + 999, &["team:a"], 7),
        spend("3", NOW + 998, &["team:a"], 1),
        spend("4", NOW + 1_000, &["team:a"], 2),
        spend("5", NOW, &["team:b"], 3),
    ];
    let sum = |of: fn(&Entry<'_>) -> u64, all: &[Entry<'_>]| all.iter().map(of).sum::<u64>();
    let rows = merged(all.clone());
    let told: Vec<_> = rows.iter().map(|row| (&*row.id, row.at, row.cost)).collect();
    assert_eq!(told, [("1", NOW + 999, 13), ("4", NOW + 1_000, 2), ("5", NOW, 3)]);
    let counts: [fn(&Entry<'_>) -> u64; 3] = [|e| e.requests, |e| e.input_tokens, |e| e.output_tokens];
    for of in counts {
        assert_eq!(sum(of, &rows), sum(of, &all));
    }
}

#[test]
fn what_was_used_is_told_exactly_of_late_and_in_sums_before() {
    each(async |place| {
        let store = place.open().await;
        let ages = [0, 30_000, 61_000, 12 * MINUTE, 3 * HOUR, 23 * HOUR, 3 * DAY, 50 * DAY, 90 * DAY];
        let entries: Vec<_> = ages
            .iter()
            .enumerate()
            .map(|(n, age)| spend(&n.to_string(), NOW - age, &["team:a", "team:b"], 1 << n))
            .collect();
        apply(&store, (0, 1), &entries).await;
        let used = store.used("team:a", ALL, NOW).await.unwrap();
        assert_eq!(used.iter().map(|used| used.consumption.cost).sum::<u64>(), (1 << ages.len()) - 1);
        assert!(used.is_sorted_by_key(|used| used.at_ms));
        let late = |cost: u64| {
            let found = used.iter().find(|used| used.consumption.cost == cost).unwrap();
            found.at_ms - entries[cost.trailing_zeros() as usize].at
        };
        // Never earlier than it was, and not much later.
        assert_eq!([late(1), late(2), late(4)], [0; 3]);
        assert!(late(8) < MINUTE && late(16) < MINUTE && late(32) < MINUTE);
        assert!(late(64) < HOUR && late(128) < HOUR && late(256) < DAY);
        // Only what is in the windows, up to the span in which the longest begins.
        let hour = Windows { shortest: HOUR, longest: HOUR };
        let used = store.used("team:a", hour, NOW).await.unwrap();
        assert_eq!(used.iter().map(|used| used.consumption.cost).sum::<u64>(), 1 + 2 + 4 + 8);
        let month = Windows { shortest: 30 * DAY, longest: 30 * DAY };
        let used = store.used("team:a", month, NOW).await.unwrap();
        assert_eq!(used.iter().map(|used| used.consumption.cost).sum::<u64>(), 127);

        let (number, past) = store.past(NOW, |owner| (owner == "team:b").then_some(ALL)).await.unwrap();
        assert_eq!(number, u64::try_from(ages.len()).unwrap());
        assert_eq!(past.len(), 1);
        assert_eq!(
            (past[0].owner.as_str(), &past[0].used),
            ("team:b", &store.used("team:b", ALL, NOW).await.unwrap())
        );
    });
}

#[test]
fn old_rows_leave_and_their_sums_stay() {
    each(async |place| {
        let store = place.open().await;
        let old = spend("old", NOW - 40 * DAY, &["team:a"], 3);
        let older = spend("older", NOW - 200 * DAY, &["team:a"], 4);
        apply(&store, (0, 1), &[old, older, spend("new", NOW, &["team:a"], 5)]).await;
        assert_eq!(store.forget(NOW, 30 * DAY).await, Ok(false));
        let ids = |told: Vec<bifrost::store::ledger::Told>| {
            told.into_iter().map(|told| told.entry.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(store.told(0, "nobody", 10).await.unwrap()), [Cow::Borrowed("new")]);
        assert_eq!(costs(&store, "team:a", MINUTE).await.len(), 1, "minutes of the last days");
        assert_eq!(costs(&store, "team:a", HOUR).await.len(), 2, "hours of the last months");
        assert_eq!(costs(&store, "team:a", DAY).await.iter().map(|(_, cost)| cost).sum::<u64>(), 12);
        let used = store.used("team:a", ALL, NOW).await.unwrap();
        assert_eq!(used.iter().map(|used| used.consumption.cost).sum::<u64>(), 12);
    });
}

#[test]
fn others_are_told_what_they_did_not_spend_themselves() {
    each(async |place| {
        let store = place.open().await;
        let mine = Origin { writer: "me", journal: None, now_ms: NOW };
        let other = Origin { writer: "other", journal: None, now_ms: NOW };
        store.apply(&mine, &[spend("1", NOW, &["team:a"], 1)]).await.unwrap();
        let theirs = Entry { estimated: true, ..spend("2", NOW, &["team:a", "customer:c"], 2) };
        store.apply(&other, std::slice::from_ref(&theirs)).await.unwrap();
        let told = store.told(0, "me", 10).await.unwrap();
        assert_eq!(told.len(), 1);
        let mut entry = told[0].entry.clone();
        entry.owners.sort_by(|a, b| b.cmp(a));
        assert_eq!(entry, theirs);
        assert!(store.told(told[0].number, "me", 10).await.unwrap().is_empty());
    });
}

#[test]
fn a_strange_spend_does_not_stop_the_ledger() {
    each(async |place| {
        let store = place.open().await;
        let strange = [
            spend("zero \0 inside", NOW, &["team:\0", "team:a'; DROP TABLE bifrost_ledger; --"], u64::MAX),
            spend("\u{1F4B8} \" \\ ", u64::from(u32::MAX), &[], 1),
            spend("plain", NOW, &["team:a"], 1),
        ];
        assert_eq!(apply(&store, (0, 1), &strange).await, Some(3));
        assert_eq!(apply(&store, (1, 2), &strange).await, Some(0));
        assert_eq!(costs(&store, "team:a", DAY).await, [(NOW / DAY * DAY, 1)]);
    });
}
