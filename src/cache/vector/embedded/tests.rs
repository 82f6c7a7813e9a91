use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::cache::entry::{About, Meaning};
use crate::cache::vector::ENDLESS_MS;

const BOUNDS: Bounds = Bounds { entries: 1_000, bytes: 1 << 30 };
const FRAME: Digest = [7; 32];

fn open(path: &Path, bounds: Bounds) -> Arc<Embedded> {
    let store = Arc::new(Embedded::new(path.to_owned(), bounds));
    store.start(&tokio::runtime::Handle::current());
    store
}

async fn opened(path: &Path, bounds: Bounds) -> Arc<Embedded> {
    let store = open(path, bounds);
    store.open(0).await.unwrap();
    store
}

/// A unit vector at this angle from the first axis, in hundredths of a right angle.
fn at(angle: u16) -> Arc<[f32]> {
    let angle = f32::from(angle) / 100.0 * std::f32::consts::FRAC_PI_2;
    let mut vector = vec![0.0; 100];
    (vector[3], vector[40]) = (angle.cos(), angle.sin());
    vector.into()
}

fn entry(space: u8, fingerprint: u8, angle: u16) -> Entry {
    let (space, fingerprint) = (Space([space; 32]), [fingerprint; 32]);
    let about = About {
        tenant: format!("virtual_key:{}", space.0[0]).into(),
        cache_key: "docs".into(),
        model: "m".into(),
        title: format!("Über {angle}").into(),
        cost_nanos: (angle > 0).then_some(u64::from(angle)),
        ..About::default()
    };
    Entry {
        id: EntryId::of(space, &fingerprint),
        space,
        fingerprint,
        meaning: Some(Meaning { frame: FRAME, text: format!("question {angle}").into(), vector: at(angle) }),
        answer: Bytes::from(format!("answer {angle}")),
        about: Arc::new(about),
        created_ms: 1_000,
        expires_ms: 2_000,
    }
}

fn asked(space: u8, vector: &[f32]) -> Asked<'_> {
    Asked { space: Space([space; 32]), frame: &FRAME, vector, now_ms: 1_500, most: 3, at_least: 0.5 }
}

async fn near(store: &Embedded, space: u8, angle: u16) -> Vec<String> {
    let near = store.nearest(&asked(space, &at(angle))).await.unwrap();
    near.iter().map(|near| String::from_utf8_lossy(&near.entry.answer).into_owned()).collect()
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_and_in_its_own_space_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let store = opened(&path, BOUNDS).await;
    for entry in [entry(1, 1, 0), entry(1, 2, 10), entry(2, 1, 1)] {
        store.put(entry).await.unwrap();
    }
    let mut plain = entry(1, 3, 0);
    plain.meaning = None;
    store.put(plain).await.unwrap();
    let look = async |store: &Embedded| {
        assert_eq!(near(store, 1, 2).await, ["answer 0", "answer 10"]);
        assert_eq!(near(store, 2, 2).await, ["answer 1"]);
        assert!(near(store, 3, 2).await.is_empty());
        let vector = at(2);
        let other = Asked { frame: &[8; 32], ..asked(1, &vector) };
        assert!(store.nearest(&other).await.unwrap().is_empty());
        let found = store.exact(Space([1; 32]), &[2; 32], 1_500).await.unwrap().unwrap();
        let wanted = entry(1, 2, 10);
        assert_eq!((found.id, &found.answer, &found.about), (wanted.id, &wanted.answer, &wanted.about));
        assert_eq!((found.created_ms, found.expires_ms), (1_000, 2_000));
        assert_eq!(&*found.meaning.unwrap().text, "question 10");
        assert!(store.exact(Space([2; 32]), &[2; 32], 1_500).await.unwrap().is_none());
        assert!(store.exact(Space([1; 32]), &[2; 32], 2_000).await.unwrap().is_none(), "its life is over");
        let plain = store.exact(Space([1; 32]), &[3; 32], 1_500).await.unwrap().unwrap();
        assert!(plain.meaning.is_none());
        assert_eq!(store.size().await.unwrap().0, 4);
    };
    look(&store).await;
    store.close().await;
    look(&store).await;
    drop(store);
    look(&*opened(&path, BOUNDS).await).await;
}

#[tokio::test]
async fn similarities_are_cosines_and_what_is_far_comes_for_its_nearness_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder.path().join("cache.db"), BOUNDS).await;
    store.put(entry(1, 1, 50)).await.unwrap();
    store.put(entry(1, 2, 90)).await.unwrap();
    let close = at(0);
    let found = store.nearest(&asked(1, &close)).await.unwrap();
    let close: Vec<f32> = found.iter().map(|near| (near.similarity * 1_000.0).round() / 1_000.0).collect();
    assert_eq!(close, [0.707]);
    let close = at(0);
    let far = Asked { at_least: 0.9, ..asked(1, &close) };
    assert_eq!(store.nearest(&far).await.unwrap().len(), 1, "the nearest, however far");
}

#[tokio::test]
async fn what_is_kept_again_replaces_what_was_and_stays_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let store = opened(&path, BOUNDS).await;
    store.put(entry(1, 1, 0)).await.unwrap();
    let id = entry(1, 1, 0).id;
    assert!(store.pin(id, true).await.unwrap() && !store.pin(EntryId(9), true).await.unwrap());
    store.put(entry(1, 1, 30)).await.unwrap();
    store.close().await;
    drop(store);
    let store = opened(&path, BOUNDS).await;
    assert_eq!(store.size().await.unwrap().0, 1);
    assert_eq!(near(&store, 1, 30).await, ["answer 30"]);
    assert_eq!(store.expire(9_999).await.unwrap(), 0, "it is pinned");
    let found = store.exact(Space([1; 32]), &[1; 32], 9_999).await.unwrap().unwrap();
    assert_eq!(found.expires_ms, ENDLESS_MS);
    store.pin(id, false).await.unwrap();
    assert_eq!(store.expire(9_999).await.unwrap(), 1);
    assert!(near(&store, 1, 30).await.is_empty());
}

#[tokio::test]
async fn the_one_that_was_not_used_for_longest_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let store = opened(&path, Bounds { entries: 3, ..BOUNDS }).await;
    for number in 1..=3 {
        store
            .put(Entry { created_ms: 1_000 + u64::from(number), ..entry(1, number, u16::from(number)) })
            .await
            .unwrap();
    }
    store.pin(entry(1, 1, 0).id, true).await.unwrap();
    store.told(&[(entry(1, 2, 0).id, 5)]).await;
    store.put(entry(1, 4, 4)).await.unwrap();
    let left = async |store: &Embedded| {
        let mut left = Vec::new();
        for number in 1..=4 {
            if store.exact(Space([1; 32]), &[number; 32], 1_500).await.unwrap().is_some() {
                left.push(number);
            }
        }
        left
    };
    assert_eq!(left(&store).await, [1, 2, 4]);
    assert_eq!(store.evicted(), 1);
    let listed = store.list(&Which::default(), None, 10).await.unwrap();
    let seen: Vec<_> =
        listed.entries.iter().map(|kept| (kept.entry.fingerprint[0], kept.hits, kept.pinned)).collect();
    assert_eq!(seen, [(4, 0, false), (2, 5, false), (1, 0, true)]);
    store.close().await;
    drop(store);
    // One that was used lately is still the last to go.
    let store = opened(&path, Bounds { entries: 2, ..BOUNDS }).await;
    assert_eq!(left(&store).await, [1, 2]);
    let small = Bounds { bytes: 1, ..BOUNDS };
    store.close().await;
    drop(store);
    assert_eq!(left(&*opened(&path, small).await).await, [1], "bytes are bounded as well");
}

#[tokio::test]
async fn entries_are_listed_and_deleted_by_what_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let store = opened(&path, BOUNDS).await;
    for number in 1..=5 {
        store.put(entry(1 + number % 2, number, u16::from(number))).await.unwrap();
    }
    let all = Which::default();
    let page = store.list(&all, None, 2).await.unwrap();
    assert_eq!(page.entries.len(), 2);
    assert!(page.entries[0].entry.answer.is_empty() && page.entries[0].bytes > 0);
    let rest = store.list(&all, page.next.as_deref(), 9).await.unwrap();
    assert_eq!((rest.entries.len(), rest.next), (3, None));
    assert!(matches!(store.list(&all, Some("x"), 1).await, Err(VectorError::Refused(_))));
    let one = Which { id: Some(entry(1, 2, 2).id), ..Which::default() };
    assert_eq!(store.list(&one, None, 9).await.unwrap().entries[0].entry.answer, "answer 2");
    let words = Which { words: Some("ÜBER 3".into()), ..Which::default() };
    assert_eq!(store.list(&words, None, 9).await.unwrap().entries.len(), 1);
    assert_eq!(store.delete(&words).await.unwrap(), 1);
    let other = Which { model: Some("n".into()), ..one.clone() };
    assert_eq!((store.delete(&other).await.unwrap(), store.delete(&one).await.unwrap()), (0, 1));
    let tenant = Which { tenant: Some("virtual_key:2".into()), ..Which::default() };
    assert_eq!(store.delete(&tenant).await.unwrap(), 2);
    drop(store);
    let store = opened(&path, BOUNDS).await;
    assert_eq!(store.size().await.unwrap().0, 1, "what was deleted does not come back");
    store.put(entry(1, 9, 9)).await.unwrap();
    assert_eq!(store.delete(&all).await.unwrap(), 2);
    drop(store);
    assert_eq!(opened(&path, BOUNDS).await.size().await.unwrap(), (0, Some(0)));
}

#[tokio::test]
async fn what_is_kept_before_the_file_is_open_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let first = opened(&path, BOUNDS).await;
    first.put(entry(1, 1, 20)).await.unwrap();
    first.close().await;
    drop(first);
    let store = open(&path, BOUNDS);
    assert!(near(&store, 1, 20).await.is_empty());
    store.put(entry(1, 1, 30)).await.unwrap();
    store.put(entry(1, 2, 90)).await.unwrap();
    assert_eq!(near(&store, 1, 30).await, ["answer 30", "answer 90"]);
    store.open(0).await.unwrap();
    store.close().await;
    drop(store);
    assert_eq!(near(&*opened(&path, BOUNDS).await, 1, 30).await, ["answer 30", "answer 90"]);
}

#[tokio::test]
async fn a_file_that_is_none_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    std::fs::write(&path, "x".repeat(10_000)).unwrap();
    let store = opened(&path, BOUNDS).await;
    store.put(entry(1, 1, 0)).await.unwrap();
    store.close().await;
    assert_eq!(std::fs::read(folder.path().join("cache.db.broken")).unwrap().len(), 10_000);
}

#[tokio::test]
async fn vectors_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder.path().join("cache.db"), BOUNDS).await;
    for none in [vec![], vec![0.0; 8], vec![f32::NAN; 8]] {
        let mut entry = entry(1, 1, 0);
        entry.meaning = Some(Meaning { vector: none.into(), ..entry.meaning.unwrap() });
        assert!(matches!(store.put(entry).await, Err(VectorError::Refused(_))));
    }
    assert_eq!(store.size().await.unwrap().0, 0);
}

/// Keeping, using, deleting and stopping in any order: what is found is what a plain map has.
#[tokio::test]
async fn a_store_that_stops_and_starts_again_is_never_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let mut store = opened(&path, BOUNDS).await;
    let mut model: HashMap<(u8, u8), u16> = HashMap::new();
    let mut random = 12_345_u64;
    for step in 0..400 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [what, space, fingerprint, angle, ..] = random.to_be_bytes();
        let (space, fingerprint, angle) = (space % 3, fingerprint % 12, u16::from(angle % 100));
        match what % 10 {
            0..6 => {
                store.put(entry(space, fingerprint, angle)).await.unwrap();
                model.insert((space, fingerprint), angle);
            }
            6 => {
                let which = Which { id: Some(entry(space, fingerprint, 0).id), ..Which::default() };
                let gone = store.delete(&which).await.unwrap();
                assert_eq!(gone == 1, model.remove(&(space, fingerprint)).is_some(), "step {step}");
            }
            7 => store.told(&[(entry(space, fingerprint, 0).id, 1)]).await,
            8 => {
                store.close().await;
                drop(store);
                store = opened(&path, BOUNDS).await;
            }
            _ => {
                for (space, fingerprint) in (0..3).flat_map(|space| (0..12).map(move |print| (space, print)))
                {
                    let found = store.exact(Space([space; 32]), &[fingerprint; 32], 1_500).await.unwrap();
                    let found = found.map(|entry| String::from_utf8_lossy(&entry.answer).into_owned());
                    let wanted = model.get(&(space, fingerprint)).map(|angle| format!("answer {angle}"));
                    assert_eq!(found, wanted, "step {step}");
                }
                let nearest = store.nearest(&asked(space, &at(angle))).await.unwrap();
                let own = model.iter().filter(|((own, _), _)| *own == space);
                let wanted = own.map(|(_, known)| known.abs_diff(angle)).min();
                let got = nearest.first().map(|near| {
                    let answer = String::from_utf8_lossy(&near.entry.answer).into_owned();
                    answer.strip_prefix("answer ").unwrap().parse::<u16>().unwrap().abs_diff(angle)
                });
                assert_eq!(got, wanted, "step {step}");
            }
        }
    }
}
