//! What an exchange and its wrapped session share: the running deadline, what the session is to do with the answer,
//! and the way back for the real session.
//!
//! Hooks set it, the session obeys. It waits for nothing itself.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use pingora_core::protocols::http::ServerSession as HttpSession;

use crate::cache::flight::Watched;
use crate::proxy::hedge::Watch;

/// Which limit a deadline stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// No response header yet.
    FirstByte = 0,
    /// Header, but no token yet.
    FirstToken = 1,
    /// The stream fell silent.
    Idle = 2,
    /// A whole (not streamed) answer took too long.
    Request = 3,
    /// The request as a whole took too long.
    Total = 4,
    /// The answer is complete; the upstream only failed to close it.
    Complete = 5,
}

impl Limit {
    fn of(value: u8) -> Self {
        match value {
            0 => Self::FirstByte,
            1 => Self::FirstToken,
            2 => Self::Idle,
            3 => Self::Request,
            4 => Self::Total,
            _ => Self::Complete,
        }
    }
}

/// What the exchange and its wrapped session share: the running deadline, and the way back for the
/// real session.
pub struct Stage {
    base: Instant,
    /// Microseconds after `base`.
    at: AtomicU64,
    limit: AtomicU8,
    pub(super) empty: AtomicBool,
    pub(super) leaving: AtomicBool,
    pub(super) breaking: AtomicBool,
    counting: AtomicBool,
    /// Microseconds that writes to the caller took so far.
    writing: AtomicU64,
    /// The value of `x-bifrost-cost`, known when the body is.
    cost: Mutex<Option<HeaderValue>>,
    pub(super) returned: Mutex<Option<Box<HttpSession>>>,
    /// Whether others wait for the answer.
    followed: OnceLock<Watched>,
    /// For a second attempt beside the running one.
    pub hedge: Watch,
}

impl Stage {
    #[must_use]
    pub fn new(base: Instant) -> Arc<Self> {
        Arc::new(Self {
            base,
            at: AtomicU64::new(u64::MAX),
            limit: AtomicU8::new(Limit::Total as u8),
            empty: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            breaking: AtomicBool::new(false),
            counting: AtomicBool::new(false),
            writing: AtomicU64::new(0),
            cost: Mutex::new(None),
            returned: Mutex::new(None),
            followed: OnceLock::new(),
            hedge: Watch::default(),
        })
    }

    /// When the request began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.base
    }

    /// Sets the one running deadline. It replaces the one before.
    pub fn set(&self, limit: Limit, at: Instant) {
        let micros = at.saturating_duration_since(self.base).as_micros();
        self.limit.store(limit as u8, Ordering::Relaxed);
        self.at.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An answer without a body is one too (a passthrough's `HEAD`).
    pub fn allow_empty(&self) {
        self.empty.store(true, Ordering::Relaxed);
    }

    /// What the answer that goes out now cost: its head says so.
    pub fn tell_cost(&self, cost: Option<HeaderValue>) {
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner) = cost;
    }

    /// The connection ends with this answer: its head says so.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// The answer broke in what goes out next: that goes out, without its end, and then the attempt fails.
    pub fn break_off(&self) {
        self.breaking.store(true, Ordering::Relaxed);
    }

    /// Whether all of the answer was said, and only its counts are awaited: they are read behind a caller that left, too.
    pub fn await_counts(&self, awaited: bool) {
        self.counting.store(awaited, Ordering::Relaxed);
    }

    /// Others may wait for the answer.
    pub fn follow(&self, flight: Watched) {
        drop(self.followed.set(flight));
    }

    /// The caller has left. True: others wait, and the answer is read for them.
    pub(super) fn goes_on(&self) -> bool {
        self.followed.get().is_some_and(Watched::goes_on)
    }

    pub(super) fn awaits_counts(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }

    /// The caller took this long to read what it had: that is not the provider's silence.
    pub(super) fn put_off(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.writing.fetch_add(micros.min(u64::MAX / 4), Ordering::Relaxed);
        if matches!(self.limit(), Limit::Idle | Limit::FirstToken)
            && self.at.load(Ordering::Relaxed) != u64::MAX
        {
            self.at.fetch_add(micros.min(u64::MAX / 4), Ordering::Relaxed);
        }
    }

    /// How long the caller took so far to read what it had.
    #[must_use]
    pub fn kept_waiting(&self) -> Duration {
        Duration::from_micros(self.writing.load(Ordering::Relaxed))
    }

    /// No deadline runs.
    pub fn clear(&self) {
        self.at.store(u64::MAX, Ordering::Relaxed);
    }

    /// The limit that stands now.
    #[must_use]
    pub fn limit(&self) -> Limit {
        Limit::of(self.limit.load(Ordering::Relaxed))
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let micros = self.at.load(Ordering::Relaxed);
        if micros == u64::MAX { None } else { self.base.checked_add(Duration::from_micros(micros)) }
    }

    pub(super) fn take_cost(&self) -> Option<HeaderValue> {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn take_back(&self) -> Option<Box<HttpSession>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
