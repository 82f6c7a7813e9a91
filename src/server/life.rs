//! What this process is up to: it serves, it has a successor, or it was asked to end.
//!
//! The one place where that changes, so that a successor which says "I serve" and a clock that gives up on it
//! cannot both win. Decides nothing about connections: see `drain`.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Where a process stands between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Serving,
    /// The process `to` accepts connections in our stead; what is open here goes on to its end.
    HandedOver {
        to: u32,
    },
    /// Asked to end, without a successor.
    Ending,
}

/// Shared by the signals, the control socket and whoever waits for the last request.
#[derive(Debug)]
pub struct Life {
    stage: watch::Sender<Stage>,
    /// A successor that was given up: it may not take over any more.
    refused: Mutex<Option<u32>>,
    /// One upgrade at a time.
    upgrading: AtomicBool,
    connections: AtomicUsize,
    started: Instant,
    /// Nobody handed over: the exit code says so.
    failed: AtomicBool,
    /// Milliseconds after `started` at which open requests are cut, once that is known.
    cut_at: AtomicU64,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Serving),
            refused: Mutex::new(None),
            upgrading: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            started: Instant::now(),
            failed: AtomicBool::new(false),
            cut_at: AtomicU64::new(u64::MAX),
        }
    }
}

impl Life {
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Told of every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// The process `to` says that it serves. True when it is the successor; false when another one is, or when
    /// it was given up.
    pub fn hand_over(&self, to: u32) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if *refused == Some(to) {
            return false;
        }
        self.stage.send_if_modified(|stage| {
            let free = matches!(stage, Stage::Serving | Stage::Ending);
            if free {
                *stage = Stage::HandedOver { to };
            }
            free
        })
    }

    /// Gives a successor up. False when it has taken over already.
    pub fn refuse(&self, successor: u32) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stage() == (Stage::HandedOver { to: successor }) {
            return false;
        }
        *refused = Some(successor);
        true
    }

    /// The process was asked to end. False when it ends already.
    pub fn end(&self) -> bool {
        self.stage.send_if_modified(|stage| {
            let serving = *stage == Stage::Serving;
            if serving {
                *stage = Stage::Ending;
            }
            serving
        })
    }

    /// This process ends because it may not take over.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.end();
    }

    /// 1 after [`Self::fail`].
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        i32::from(self.failed.load(Ordering::Relaxed))
    }

    /// Begins an upgrade; nothing while another one is under way.
    #[must_use]
    pub fn begin_upgrade(self: &Arc<Self>) -> Option<Upgrading> {
        let was = self.upgrading.swap(true, Ordering::AcqRel);
        (!was).then(|| Upgrading(Arc::clone(self)))
    }

    /// Counts a connection until the guard is dropped.
    #[must_use]
    pub fn connect(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(self))
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What is still open in `grace` from now is cut; never later than was said before.
    pub fn cut_in(&self, grace: Duration) {
        let at = self.started.elapsed().saturating_add(grace).as_millis();
        self.cut_at.fetch_min(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether the time of open requests is over.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.started.elapsed().as_millis() >= u128::from(self.cut_at.load(Ordering::Relaxed))
    }
}

/// An upgrade under way.
#[derive(Debug)]
pub struct Upgrading(Arc<Life>);

impl Drop for Upgrading {
    fn drop(&mut self) {
        self.0.upgrading.store(false, Ordering::Release);
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connected(Arc<Life>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_successor_takes_over_and_no_second_one() {
        let life = Life::default();
        assert!(life.hand_over(7));
        assert!(!life.hand_over(8));
        assert_eq!(life.stage(), Stage::HandedOver { to: 7 });
        assert!(!life.end());
    }

    #[test]
    fn a_successor_that_was_given_up_does_not_take_over_but_another_one_may() {
        let life = Life::default();
        assert!(life.refuse(7));
        assert!(!life.hand_over(7));
        assert_eq!(life.stage(), Stage::Serving);
        assert!(life.hand_over(8));
        assert!(!life.refuse(8), "it serves");
    }

    #[test]
    fn a_process_that_ends_may_still_be_succeeded() {
        let life = Life::default();
        assert!(life.end());
        assert!(!life.end());
        assert!(life.hand_over(7));
    }

    #[test]
    fn one_upgrade_at_a_time() {
        let life = Arc::new(Life::default());
        let first = life.begin_upgrade();
        assert!(first.is_some() && life.begin_upgrade().is_none());
        drop(first);
        assert!(life.begin_upgrade().is_some());
    }

    #[test]
    fn the_cut_only_comes_nearer() {
        let life = Life::default();
        life.cut_in(Duration::from_secs(60));
        assert!(!life.is_cut());
        life.cut_in(Duration::ZERO);
        life.cut_in(Duration::from_secs(60));
        assert!(life.is_cut());
    }
}
