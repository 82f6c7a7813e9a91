//! What the end-to-end tests share: a scripted upstream that can misbehave in every way, the real
//! gateway as a child process, and a plain HTTP client that shows what is on the wire.
//!
//! No test here or above sleeps: they wait for conditions, and a wait that lasts [`PATIENCE`] fails.

pub mod answers;
pub mod client;
pub mod gateway;
pub mod services;
pub mod stream;
pub mod tls;
pub mod told;
pub mod upstream;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest any wait may last before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// The two wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    OpenAi,
    Anthropic,
}

impl Wire {
    /// The unified route of the wire, and its path at a provider.
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }

    /// The wire of a provider path.
    pub fn of(path: &str) -> Self {
        if path.contains("/messages") { Self::Anthropic } else { Self::OpenAi }
    }
}

/// A value that can be watched: every change wakes the waiters.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    pub fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(value), changed: Condvar::new() })
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `look` sees what it looks for.
    pub fn wait_for<R>(&self, what: &str, mut look: impl FnMut(&T) -> Option<R>) -> R {
        let until = Instant::now() + PATIENCE;
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&value) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}");
            value = self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Asks again and again, for conditions that nothing announces.
pub fn until<R>(what: &str, mut look: impl FnMut() -> Option<R>) -> R {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `test` for every case at once; the failure of one names the case.
pub fn for_each<T: Copy + Send + Sync + std::fmt::Debug>(cases: &[T], test: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let runs: Vec<_> = cases.iter().map(|case| (case, scope.spawn(|| test(*case)))).collect();
        let failed: Vec<String> = runs
            .into_iter()
            .filter_map(|(case, run)| run.join().err().map(|_| format!("{case:?}")))
            .collect();
        assert!(failed.is_empty(), "failed for {}", failed.join(" and "));
    });
}
