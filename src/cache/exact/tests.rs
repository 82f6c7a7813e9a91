use bytes::Bytes;

use super::super::answer::Answer;
use super::super::entry::About;
use super::super::found::Found;
use super::*;

fn place(tenant: &str, asked: u8) -> Place {
    Place::of(Space::of(tenant, "docs"), [asked; 32])
}

fn landed(place: &Place, tenant: &str, size: usize, expires_ms: u64) -> Arc<Landed> {
    let about =
        About { tenant: tenant.into(), cache_key: "docs".into(), model: "m".into(), ..About::default() };
    Arc::new(Landed {
        id: place.id,
        answer: Answer::Body(Bytes::from(vec![b'x'; size])),
        about: Arc::new(about),
        found: Found::Fresh,
        created_ms: 0,
        expires_ms,
    })
}

#[test]
fn what_is_over_is_not_given_and_what_was_fresh_is_found_later() {
    let memory = Memory::new(1 << 20);
    let one = place("t", 1);
    memory.put(&one, &landed(&one, "t", 10, 1_000), 0);
    assert_eq!(memory.get(&one, 999).map(|landed| landed.found), Some(Found::Direct));
    assert!(memory.get(&one, 1_000).is_none());
    memory.put(&one, &landed(&one, "t", 10, 1_000), 1_000);
    assert!(memory.get(&one, 999).is_some(), "the one before is untouched");
}

#[test]
fn an_entry_of_another_space_is_not_given_whatever_its_number() {
    let memory = Memory::new(1 << 20);
    let (own, other) = (place("t", 1), place("u", 1));
    memory.put(&own, &landed(&own, "t", 10, u64::MAX), 0);
    assert!(memory.get(&other, 1).is_none());
    let forged = Place { id: own.id, ..other };
    assert!(memory.get(&forged, 1).is_none());
}

#[test]
fn bytes_are_bounded_and_what_leaves_is_counted() {
    let memory = Memory::new(100_000);
    for asked in 0..200 {
        let one = place("t", asked);
        memory.put(&one, &landed(&one, "t", 2_000, u64::MAX), 0);
    }
    memory.held.run_pending_tasks();
    let (entries, bytes) = memory.size();
    assert!(bytes <= 100_000 && entries > 10, "{entries} entries, {bytes} bytes");
    assert!(memory.evicted() >= 200 - entries - 1, "{} left for room", memory.evicted());
}

#[test]
fn a_purge_takes_what_is_meant_and_nothing_else() {
    let memory = Memory::new(1 << 20);
    for tenant in ["t", "u"] {
        for asked in 0..3 {
            let one = place(tenant, asked);
            memory.put(&one, &landed(&one, tenant, 10, u64::MAX), 0);
        }
    }
    let of = |tenant: &str| Which { tenant: Some(tenant.into()), ..Which::default() };
    assert_eq!(memory.forget(&of("t")), 3);
    assert!(memory.get(&place("t", 1), 1).is_none() && memory.get(&place("u", 1), 1).is_some());
    let one = Which { id: Some(place("u", 2).id), ..Which::default() };
    assert_eq!(memory.forget(&one), 1);
    assert!(memory.get(&place("u", 2), 1).is_none());
    memory.held.run_pending_tasks();
    assert_eq!(memory.forget(&Which::default()), 2);
    assert!(memory.get(&place("u", 1), 1).is_none());
}
