//! The clock is Tokio's, paused: it moves only when every task waits for it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use tokio::time::{advance, sleep};

use super::*;

type Outcome = Result<(u32, Option<u64>), &'static str>;

/// Gives what it was told, in order; then the last one again.
#[derive(Clone)]
struct Script(Arc<(Mutex<VecDeque<Outcome>>, AtomicUsize, Duration)>);

impl Script {
    fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        Self::slow(outcomes, Duration::ZERO)
    }

    fn slow(outcomes: impl IntoIterator<Item = Outcome>, each: Duration) -> Self {
        Self(Arc::new((Mutex::new(outcomes.into_iter().collect()), AtomicUsize::new(0), each)))
    }

    fn calls(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Source<u32> for Script {
    fn renew(&self) -> Renewal<'_, u32> {
        Box::pin(async move {
            let (outcomes, calls, each) = &*self.0;
            calls.fetch_add(1, Ordering::SeqCst);
            let outcome = {
                let mut outcomes = outcomes.lock().unwrap();
                if outcomes.len() > 1 { outcomes.pop_front() } else { outcomes.front().cloned() }
            };
            sleep(*each).await;
            let (value, lifetime) = outcome.unwrap().map_err(|reason| SourceError(reason.into()))?;
            Ok(Renewed { value, lifetime: lifetime.map(Duration::from_secs) })
        })
    }
}

fn value(slot: &Slot<u32>) -> Option<u32> {
    slot.get().ok().map(|held| held.value)
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

const WAIT: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_for_all_and_kept() {
    let script = Script::slow([Ok((1, Some(3600)))], Duration::from_secs(2));
    let slot = Arc::new(Slot::renewed_by(script.clone()));
    assert!(matches!(slot.get(), Err(Unready::Pending)));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let slot = Arc::clone(&slot);
            tokio::spawn(async move { slot.ready(WAIT).await })
        })
        .collect();
    for waiter in waiting {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!((value(&slot), script.calls()), (Some(1), 1));
    pass(2900).await;
    assert_eq!((value(&slot), script.calls()), (Some(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends() {
    let script = Script::of([Ok((1, Some(3600))), Ok((2, Some(3600)))]);
    let slot = Slot::renewed_by(script.clone());
    slot.ready(WAIT).await.unwrap();
    pass(2999).await;
    assert_eq!(value(&slot), Some(1));
    pass(302).await;
    assert_eq!((value(&slot), script.calls()), (Some(2), 2));
    assert!(slot.status().expires_in.unwrap() > Duration::from_secs(3200));
}

#[tokio::test(start_paused = true)]
async fn short_tokens_are_renewed_in_their_last_half() {
    let slot = Slot::renewed_by(Script::of([Ok((1, Some(60))), Ok((2, Some(60)))]));
    slot.ready(WAIT).await.unwrap();
    pass(29).await;
    assert_eq!(value(&slot), Some(1));
    pass(17).await;
    assert_eq!(value(&slot), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_keeps_the_old_token_until_it_ends() {
    let script = Script::of([Ok((1, Some(600))), Err("status 503")]);
    let slot = Slot::renewed_by(script.clone());
    slot.ready(WAIT).await.unwrap();
    pass(590).await;
    assert_eq!(value(&slot), Some(1));
    let status = slot.status();
    assert!(status.usable && status.expires_in.is_some());
    let failure = status.failure.unwrap();
    assert_eq!(&*failure.reason, "status 503");
    assert!(failure.attempts >= 2, "{failure:?}");
    pass(11).await;
    assert!(matches!(slot.get(), Err(Unready::Failed(reason)) if &*reason == "status 503"));
    assert!(!slot.status().usable);
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_with_growing_pauses_and_nobody_queues() {
    let script = Script::of([Err("down")]);
    let slot = Slot::renewed_by(script.clone());
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(matches!(slot.ready(WAIT).await, Err(Unready::Failed(_))));
    }
    assert_eq!((begun.elapsed(), script.calls()), (Duration::ZERO, 1));
    pass(600).await;
    // 1 + 2 + … + 32 seconds, then one a minute; each up to a quarter less.
    assert!((14..=20).contains(&script.calls()), "{}", script.calls());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_recovers_clears_the_failure() {
    let slot = Slot::renewed_by(Script::of([Err("down"), Ok((7, Some(3600)))]));
    assert!(slot.ready(WAIT).await.is_err());
    pass(2).await;
    assert_eq!(value(&slot), Some(7));
    assert!(slot.status().failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn waiting_is_bounded_by_the_caller_and_by_the_attempt() {
    let script = Script::slow([Ok((1, None))], Duration::from_secs(3600));
    let slot = Slot::renewed_by(script.clone());
    assert!(matches!(slot.ready(WAIT).await, Err(Unready::TooLong(WAIT))));
    let error = slot.ready(Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.to_string(), "no token: no answer within 30s");
}

#[tokio::test(start_paused = true)]
async fn invalidate_renews_early_but_not_for_every_refusal() {
    let script = Script::of([Ok((1, Some(3600))), Ok((2, Some(3600))), Ok((3, Some(3600)))]);
    let slot = Slot::renewed_by(script.clone());
    slot.ready(WAIT).await.unwrap();
    pass(100).await;
    slot.invalidate();
    pass(1).await;
    assert_eq!(value(&slot), Some(2));
    for _ in 0..20 {
        slot.invalidate();
        pass(1).await;
    }
    assert_eq!(value(&slot), Some(2), "refused tokens are renewed at most twice a minute");
    pass(15).await;
    assert_eq!(value(&slot), Some(3));
}

#[tokio::test(start_paused = true)]
async fn invalidate_does_not_hasten_a_failing_endpoint() {
    let script = Script::of([Err("down")]);
    let slot = Slot::renewed_by(script.clone());
    assert!(slot.ready(WAIT).await.is_err());
    for _ in 0..100 {
        slot.invalidate();
        advance(Duration::from_millis(5)).await;
    }
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_already_is_a_failure() {
    let slot = Slot::renewed_by(Script::of([Ok((1, Some(0)))]));
    let error = slot.ready(WAIT).await.unwrap_err();
    assert_eq!(error.to_string(), "no token: the new token ends within 0ns");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_slot_ends_its_task() {
    let script = Script::of([Ok((1, Some(3600)))]);
    let slot = Slot::renewed_by(script.clone());
    slot.ready(WAIT).await.unwrap();
    assert_eq!(Arc::strong_count(&script.0), 2);
    drop(slot);
    pass(1).await;
    assert_eq!(Arc::strong_count(&script.0), 1);
    pass(7200).await;
    assert_eq!(script.calls(), 1);
}

#[test]
fn a_task_that_died_with_its_runtime_is_started_again() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let slot = Slot::renewed_by(Script::of([Ok((1, Some(6))), Ok((2, Some(3600)))]));
    runtime().block_on(slot.ready(WAIT)).unwrap();
    slot.inner.current.store(None);
    runtime().block_on(slot.ready(WAIT)).unwrap();
    assert_eq!(value(&slot), Some(2));
}
