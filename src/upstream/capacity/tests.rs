use govern::queue::Class;

use super::*;

const ONE: Limits = Limits { places: 1, per_target: None, waiting: 2, adaptive: false };

fn ask() -> Ask {
    Ask { class: Class::Normal, tenant: 1, targets: Vec::new(), until_ms: 0 }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn slots_come_back_when_dropped() {
    let capacity = Capacity::default();
    let limits = Limits { places: 2, ..ONE };
    let gate = capacity.gate(&"one".into());
    let first = gate.take(&limits, 1, None);
    let second = capacity.gate(&"one".into()).take(&limits, 1, None);
    assert!(first.is_some() && second.is_some());
    assert!(gate.take(&limits, 1, None).is_none());
    assert!(capacity.gate(&"two".into()).take(&limits, 1, None).is_some());
    assert_eq!(capacity.crowds()[0], Crowd { provider: "one".into(), open: 2, waiting: 0 });
    drop(first);
    assert!(gate.take(&limits, 1, None).is_some());
}

#[tokio::test]
async fn a_place_that_comes_free_goes_to_who_waits() {
    let gate = Capacity::default().gate(&"one".into());
    let slot = gate.take(&ONE, 1, None).unwrap();
    let waiting = gate.wait(&ONE, ask(), soon()).unwrap();
    assert!(gate.take(&ONE, 1, None).is_none());
    drop(slot);
    // Its place is taken though it was not yet asked for.
    assert!(gate.take(&ONE, 1, None).is_none());
    let slot = waiting.place().await.unwrap();
    drop(slot);
    assert!(gate.lock().room.is_empty() && gate.lock().sleepers.is_empty());
}

#[tokio::test]
async fn who_leaves_gives_up_the_turn_and_the_place() {
    let gate = Capacity::default().gate(&"one".into());
    let slot = gate.take(&ONE, 1, None).unwrap();
    let (first, second) = (gate.wait(&ONE, ask(), soon()).unwrap(), gate.wait(&ONE, ask(), soon()).unwrap());
    assert!(gate.wait(&ONE, ask(), soon()).is_err(), "two may wait");
    drop(slot);
    // The first has a place now, and leaves without having seen it.
    drop(first);
    assert!(second.place().await.is_ok());
    assert!(gate.lock().room.is_empty() && gate.lock().sleepers.is_empty());
}

#[tokio::test]
async fn who_waited_too_long_is_told_so() {
    let gate = Capacity::default().gate(&"one".into());
    let slot = gate.take(&ONE, 1, None).unwrap();
    let waiting = gate.wait(&ONE, ask(), Instant::now() + Duration::from_millis(20)).unwrap();
    assert!(waiting.place().await.is_err());
    assert_eq!(gate.lock().room.waiting(), 0);
    drop(slot);
    assert!(gate.lock().room.is_empty());
}

#[tokio::test]
async fn a_limit_that_was_raised_lets_those_in_who_wait_though_nobody_comes_or_goes() {
    let gate = Capacity::default().gate(&"one".into());
    let _slot = gate.take(&ONE, 1, None).unwrap();
    let (first, second) = (gate.wait(&ONE, ask(), soon()).unwrap(), gate.wait(&ONE, ask(), soon()).unwrap());
    gate.follow(&Limits { places: 3, ..ONE });
    let (first, second) = (first.place().await, second.place().await);
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test]
async fn who_still_goes_by_limits_that_were_replaced_does_not_bring_them_back() {
    let gate = Capacity::default().gate(&"one".into());
    let first = gate.take(&ONE, 1, None).unwrap();
    gate.follow(&Limits { places: 2, ..ONE });
    let second = gate.take(&Limits { places: 2, ..ONE }, 1, None).unwrap();
    let waiting = gate.wait(&ONE, ask(), soon()).unwrap();
    assert!(gate.take(&ONE, 1, None).is_none());
    drop(first);
    // One is open, of two that may be.
    assert!(waiting.place().await.is_ok());
    drop(second);
}

#[test]
fn nobody_who_comes_gets_the_place_of_who_waits() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let gate = Capacity::default().gate(&"one".into());
    let (over, overtaken) = (AtomicBool::new(false), AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    // Noted while it is held.
                    if let Some(_slot) = gate.take(&ONE, 2, None) {
                        overtaken.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..1_000 {
            let Some(mut slot) = gate.take(&ONE, 1, None) else { continue };
            overtaken.store(false, Ordering::SeqCst);
            for _ in 0..20 {
                let waiting = gate.wait(&ONE, ask(), soon()).unwrap();
                drop(slot);
                slot = runtime.block_on(waiting.place()).unwrap();
            }
            if overtaken.load(Ordering::SeqCst) {
                over.store(true, Ordering::SeqCst);
                panic!("somebody came in between");
            }
        }
        over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn threads_that_come_and_leave_at_once_never_exceed_the_limit() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let limits = Limits { places: 3, waiting: 1_000, ..ONE };
    let gate = Capacity::default().gate(&"one".into());
    let (open, most, served) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for tenant in 0..8 {
            let (gate, open, most, served) = (&gate, &open, &most, &served);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                for turn in 0..200 {
                    let slot = match gate.take(&limits, tenant, None) {
                        Some(slot) => Some(slot),
                        // One in five leaves at once.
                        None if turn % 5 == 0 => {
                            drop(gate.wait(&limits, Ask { tenant, ..ask() }, soon()));
                            None
                        }
                        None => {
                            let waiting = gate.wait(&limits, Ask { tenant, ..ask() }, soon()).unwrap();
                            runtime.block_on(waiting.place()).ok()
                        }
                    };
                    if let Some(slot) = slot {
                        let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        open.fetch_sub(1, Ordering::SeqCst);
                        served.fetch_add(1, Ordering::SeqCst);
                        drop(slot);
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert!(served.load(Ordering::SeqCst) >= 8 * 160);
    assert!(gate.lock().room.is_empty() && gate.lock().sleepers.is_empty());
}
