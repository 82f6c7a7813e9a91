//! What the session of a running attempt watches for: the moment of a second attempt, and whether that one is ahead.
//!
//! Polled beside the attempt's reads. While nothing is watched for, that costs one load of a flag.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::Sleep;

const OFF: u8 = 0;
/// The moment has not come.
const ARMED: u8 = 1;
/// It has come, and nobody has acted on it.
const DUE: u8 = 2;
/// Two attempts run.
const RACING: u8 = 3;
/// The second one is ahead.
const AHEAD: u8 = 4;

/// One of a request: it is set anew for each attempt.
#[derive(Default)]
pub struct Watch {
    state: AtomicU8,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    timer: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The moment of a second attempt: [`Watch::is_due`] says so until it is acted upon.
    Moment,
    /// The second attempt is ahead.
    Overtaken,
}

impl Watch {
    /// The moment of a second attempt is at `at`.
    pub fn arm(&self, at: Instant) {
        self.lock().timer = Some(Box::pin(tokio::time::sleep_until(at.into())));
        self.set(ARMED);
    }

    /// There is nothing to watch for any more.
    pub fn stop(&self) {
        self.set(OFF);
    }

    /// Something is watched for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.state() != OFF
    }

    #[must_use]
    pub fn is_due(&self) -> bool {
        self.state() == DUE
    }

    /// The second attempt has started.
    pub fn race(&self) {
        self.set(RACING);
    }

    /// The second attempt is ahead, or was: nothing happens when the race is over.
    pub fn overtake(&self) {
        let _ = self.state.compare_exchange(RACING, AHEAD, Ordering::AcqRel, Ordering::Relaxed);
        if let Some(waker) = self.lock().waker.take() {
            waker.wake();
        }
    }

    /// Ready when there is something to do; each event comes once.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Event> {
        match self.state() {
            ARMED => {
                let mut inner = self.lock();
                let Some(timer) = inner.timer.as_mut() else { return Poll::Pending };
                std::task::ready!(timer.as_mut().poll(context));
                inner.timer = None;
                self.set(DUE);
                Poll::Ready(Event::Moment)
            }
            RACING => {
                self.lock().waker = Some(context.waker().clone());
                // It may have changed before the waker was there.
                if self.state() == AHEAD { self.poll(context) } else { Poll::Pending }
            }
            AHEAD => {
                self.set(OFF);
                Poll::Ready(Event::Overtaken)
            }
            _ => Poll::Pending,
        }
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn each_event_comes_once_and_in_order() {
        let watch = Arc::new(Watch::default());
        assert!(!watch.is_on());
        watch.arm(tokio::time::Instant::now().into_std() + Duration::from_secs(3));
        assert_eq!(poll_fn(|cx| watch.poll(cx)).await, Event::Moment);
        assert!(watch.is_due());
        assert!(futures_now(&watch).await.is_none(), "it is told once");
        watch.race();
        let overtaker = Arc::clone(&watch);
        tokio::spawn(async move { overtaker.overtake() });
        assert_eq!(poll_fn(|cx| watch.poll(cx)).await, Event::Overtaken);
        assert!(!watch.is_on());
    }

    #[tokio::test]
    async fn a_race_that_is_over_cannot_be_won() {
        let watch = Watch::default();
        watch.race();
        watch.stop();
        watch.overtake();
        assert!(!watch.is_on() && futures_now(&watch).await.is_none());
    }

    async fn futures_now(watch: &Watch) -> Option<Event> {
        poll_fn(|cx| match watch.poll(cx) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
