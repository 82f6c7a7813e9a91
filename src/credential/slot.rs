//! A value that ends (a token, temporary keys) and the task that renews it in time.
//!
//! The request path reads one atomic pointer and never waits: renewal is one task per slot, whatever
//! the number of requests, so an endpoint that fails sees one caller with growing pauses and not a
//! herd. A failed renewal keeps the old value until it ends, and keeps the reason for display. Must
//! not know what the value is.

mod pace;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use pace::Pause;

/// A renewal under way.
pub type Renewal<'a, T> = Pin<Box<dyn Future<Output = Result<Renewed<T>, SourceError>> + Send + 'a>>;

/// Where values come from: a token endpoint, a metadata server, a credential chain.
pub trait Source<T>: Send + Sync {
    /// Gets a new value, never an old one from a cache of its own.
    fn renew(&self) -> Renewal<'_, T>;
}

/// A new value.
pub struct Renewed<T> {
    pub value: T,
    /// From now; `None`: it does not end.
    pub lifetime: Option<Duration>,
}

/// Why there is no new value. The text is shown to operators: no secrets in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// A value with its end.
pub struct Held<T> {
    pub value: T,
    expires: Option<Instant>,
}

/// The last renewal failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub reason: Arc<str>,
    /// Failed renewals since the last success, this one included.
    pub attempts: u32,
    pub at: Instant,
}

/// Why a slot has no value to use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unready {
    #[error("no token was fetched yet")]
    Pending,
    #[error("the token expired and is being renewed")]
    Expired,
    #[error("no token: {0}")]
    Failed(Arc<str>),
    #[error("no token within {0:?}")]
    TooLong(Duration),
}

/// The state of a slot, for the admin pages.
#[derive(Debug, Clone)]
pub struct Status {
    pub usable: bool,
    /// `None`: no value, or one that does not end.
    pub expires_in: Option<Duration>,
    /// Present while renewals fail, also when the old value is still usable.
    pub failure: Option<Failure>,
}

/// Dropping it ends its task.
pub struct Slot<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    current: ArcSwapOption<Held<T>>,
    failure: ArcSwapOption<Failure>,
    /// `None`: the value never changes.
    source: Option<Box<dyn Source<T>>>,
    running: Arc<AtomicBool>,
    wake: Arc<Notify>,
    /// Counts finished renewals, for those who wait.
    rounds: watch::Sender<u64>,
}

/// A renewal that takes longer has failed.
const ATTEMPT: Duration = Duration::from_secs(30);
/// A value that ends sooner is not worth having.
const SHORTEST: Duration = Duration::from_secs(5);
/// Lifetimes are cut to this, whatever an endpoint says.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl<T: Send + Sync + 'static> Slot<T> {
    /// A slot that `source` fills, from the first `ready` or `start` on.
    #[must_use]
    pub fn renewed_by(source: impl Source<T> + 'static) -> Self {
        Self::new(None, Some(Box::new(source)))
    }

    /// A slot whose value never changes.
    #[must_use]
    pub fn fixed(value: T) -> Self {
        Self::new(Some(Held { value, expires: None }), None)
    }

    /// The value, when there is one that has not ended. One atomic load.
    ///
    /// # Errors
    /// Why there is none.
    pub fn get(&self) -> Result<Arc<Held<T>>, Unready> {
        match self.inner.current.load_full() {
            Some(held) if held.live() => Ok(held),
            held => Err(match (self.failure(), held) {
                (Some(failure), _) => Unready::Failed(failure.reason),
                (None, Some(_)) => Unready::Expired,
                (None, None) => Unready::Pending,
            }),
        }
    }

    /// Waits until there is a value, at most `within`. Returns at once when there is one already, and
    /// also while renewals fail: nobody queues behind an endpoint that is known to be down.
    ///
    /// # Errors
    /// The renewal failed or took longer.
    pub async fn ready(&self, within: Duration) -> Result<(), Unready> {
        let mut rounds = self.inner.rounds.subscribe();
        self.start();
        match self.get() {
            Ok(_) => return Ok(()),
            Err(Unready::Failed(reason)) => return Err(Unready::Failed(reason)),
            Err(_) => {}
        }
        match timeout(within, rounds.changed()).await {
            Ok(_) => self.get().map(|_| ()),
            Err(_) => Err(Unready::TooLong(within)),
        }
    }

    /// Starts the renewing task, once. Needs a Tokio runtime around it.
    pub fn start(&self) {
        let running = &self.inner.running;
        if self.inner.source.is_none()
            || running.load(Ordering::Relaxed)
            || running.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let alive = Alive(Arc::clone(running));
        let (weak, wake) = (Arc::downgrade(&self.inner), Arc::clone(&self.inner.wake));
        tokio::spawn(async move {
            let _alive = alive;
            renew_for_ever(weak, wake).await;
        });
    }

    /// The value was refused (401): renew early. It stays in use until the new one is there.
    pub fn invalidate(&self) {
        self.inner.wake.notify_one();
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let held = self.get().ok();
        let expires = held.as_ref().and_then(|held| held.expires);
        let expires_in = expires.map(|at| at.saturating_duration_since(Instant::now()));
        Status { usable: held.is_some(), expires_in, failure: self.failure() }
    }

    fn new(first: Option<Held<T>>, source: Option<Box<dyn Source<T>>>) -> Self {
        let inner = Inner {
            current: ArcSwapOption::new(first.map(Arc::new)),
            failure: ArcSwapOption::empty(),
            source,
            running: Arc::default(),
            wake: Arc::default(),
            rounds: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    fn failure(&self) -> Option<Failure> {
        self.inner.failure.load_full().map(|failure| Failure::clone(&failure))
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.inner.wake.notify_one();
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The state, never the value.
        f.debug_tuple("Slot").field(&self.status()).finish()
    }
}

impl<T> Held<T> {
    fn live(&self) -> bool {
        self.expires.is_none_or(|at| at > Instant::now())
    }
}

/// Lets another task start when this one ended, also because its runtime did.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn renew_for_ever<T: Send + Sync + 'static>(weak: Weak<Inner<T>>, wake: Arc<Notify>) {
    let mut failed = 0;
    loop {
        let pause = {
            let Some(inner) = weak.upgrade() else { return };
            let Some(source) = inner.source.as_ref() else { return };
            let outcome = timeout(ATTEMPT, source.renew()).await;
            let late = |_| Err(SourceError(format!("no answer within {ATTEMPT:?}")));
            inner.settle(outcome.unwrap_or_else(late), &mut failed)
        };
        let now = Instant::now();
        tokio::select! {
            () = sleep_until(now + pause.longest) => continue,
            () = wake.notified() => {}
        }
        if weak.strong_count() == 0 {
            return;
        }
        sleep_until(now + pause.shortest).await;
    }
}

impl<T> Inner<T> {
    /// Keeps the outcome of a renewal, tells those who wait, and says when the next one is due.
    fn settle(&self, outcome: Result<Renewed<T>, SourceError>, failed: &mut u32) -> Pause {
        let now = Instant::now();
        let outcome = outcome.and_then(|renewed| match renewed.lifetime {
            Some(lifetime) if lifetime < SHORTEST => {
                Err(SourceError(format!("the new token ends within {lifetime:?}")))
            }
            _ => Ok(renewed),
        });
        let pause = match outcome {
            Ok(Renewed { value, lifetime }) => {
                *failed = 0;
                let lifetime = lifetime.map(|lifetime| lifetime.min(LONGEST));
                self.current.store(Some(Arc::new(Held { value, expires: lifetime.map(|l| now + l) })));
                self.failure.store(None);
                Pause::after_success(lifetime)
            }
            Err(SourceError(reason)) => {
                *failed = failed.saturating_add(1);
                log::warn!("a token could not be renewed (attempt {failed}): {reason}");
                let failure = Failure { reason: reason.into(), attempts: *failed, at: now };
                self.failure.store(Some(Arc::new(failure)));
                Pause::after_failure(*failed)
            }
        };
        self.rounds.send_modify(|count| *count = count.wrapping_add(1));
        pause
    }
}

#[cfg(test)]
mod tests;
