use std::sync::Arc;

use super::*;
use crate::auth::hash;
use crate::config::governance::Quotas;

fn key(id: &str, values: &[(&str, Option<u64>)]) -> Arc<VirtualKey> {
    Arc::new(VirtualKey {
        id: id.into(),
        name: id.into(),
        hashes: values.iter().map(|(value, end)| (hash(value), *end)).collect(),
        active: true,
        expires_ms: None,
        team: None,
        customer: None,
        grants: None,
        quotas: Quotas::default(),
        log_content: None,
    })
}

fn found(directory: &Directory, value: &str, now_ms: u64) -> Option<String> {
    directory.find(&hash(value), now_ms).map(|key| key.id.to_string())
}

#[test]
fn a_key_is_found_by_its_hash_and_by_its_id() {
    let directory = Directory::default();
    directory.replace_file(vec![key("a", &[("sk-bf-a", None)])]);
    directory.put(key("b", &[("sk-bf-b", None)]));
    assert_eq!(found(&directory, "sk-bf-a", 0).as_deref(), Some("a"));
    assert_eq!(found(&directory, "sk-bf-b", 0).as_deref(), Some("b"));
    assert_eq!(found(&directory, "sk-bf-c", 0), None);
    assert!(directory.by_id("a").is_some() && directory.by_id("c").is_none());
    assert_eq!(directory.len(), 2);
}

#[test]
fn a_rotated_key_lives_to_its_end_and_no_longer() {
    let directory = Directory::default();
    directory.put(key("a", &[("old", None)]));
    directory.put(key("a", &[("new", None), ("old", Some(100))]));
    assert_eq!(found(&directory, "new", 100).as_deref(), Some("a"));
    assert_eq!(found(&directory, "old", 99).as_deref(), Some("a"));
    assert_eq!(found(&directory, "old", 100), None);
    directory.put(key("a", &[("new", None)]));
    assert_eq!(found(&directory, "old", 0), None, "the rotation was ended");
    directory.remove("a");
    assert_eq!((found(&directory, "new", 0), directory.len()), (None, 0));
}

#[test]
fn the_stores_key_hides_the_files_of_the_same_id_and_gives_it_back() {
    let directory = Directory::default();
    directory.replace_file(vec![key("a", &[("of the file", None)])]);
    directory.put(key("a", &[("of the store", None)]));
    assert_eq!(found(&directory, "of the file", 0), None);
    assert_eq!((found(&directory, "of the store", 0).as_deref(), directory.len()), (Some("a"), 1));
    directory.remove("a");
    assert_eq!(found(&directory, "of the file", 0).as_deref(), Some("a"));
    directory.replace_file(Vec::new());
    assert!(directory.is_empty());
}

/// Two keys whose hashes begin alike, as they never do.
#[test]
fn keys_with_the_same_beginning_of_their_hashes_do_not_take_each_others_place() {
    let alike = |id: &str, last: u8| {
        let mut bytes = [7; 32];
        bytes[31] = last;
        let mut key = Arc::into_inner(key(id, &[])).unwrap();
        key.hashes = [(KeyHash(bytes), None)].into();
        (Arc::new(key), KeyHash(bytes))
    };
    let directory = Directory::default();
    let ((a, of_a), (b, of_b)) = (alike("a", 1), alike("b", 2));
    directory.put(a);
    directory.put(b);
    let id = |hash| directory.find(hash, 0).map(|key| key.id.to_string());
    assert_eq!((id(&of_a).as_deref(), id(&of_b).as_deref()), (Some("a"), Some("b")));
    directory.remove("a");
    assert_eq!((id(&of_a), id(&of_b).as_deref()), (None, Some("b")));
}

#[test]
fn a_key_that_is_put_again_is_found_at_every_moment() {
    let directory = Arc::new(Directory::default());
    directory.put(key("a", &[("v", None)]));
    let writer = {
        let directory = Arc::clone(&directory);
        std::thread::spawn(move || (0..2_000).for_each(|_| directory.put(key("a", &[("v", None)]))))
    };
    while !writer.is_finished() {
        assert!(directory.find(&hash("v"), 0).is_some());
    }
    writer.join().unwrap();
}
