//! How much of the request log is kept: by age, and by bytes. One small step at a time, between two writes.
//!
//! A file knows what of it is free, so its bytes in use are known. Tables of a server do not become smaller when rows
//! leave: their room is written anew. There the bytes in use are taken to be the requests times what one took when the
//! tables were at their largest.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::stores::RequestLog as Limits;
use crate::store::StoreError;
use crate::store::requests::entry::first_of;
use crate::store::requests::{Requests, Room};
use crate::telemetry::clock;

/// Requests that one step removes: at first, and at most.
const STEP: (u64, u64) = (500, 5_000);
/// A step that takes longer than this is followed by a smaller one.
const LONG: Duration = Duration::from_millis(40);
/// Between two looks at what is too old, and at the room of tables.
const LOOK: Duration = Duration::from_secs(30);
/// Between two looks at the room of a file: that costs next to nothing.
const GLANCE: Duration = Duration::from_millis(50);
/// What the log remembers: bytes per thousand requests.
const DENSITY: &str = "bytes_per_thousand";

/// Free room that is kept for what comes next.
const SMALL: u64 = 16 << 20;

/// What is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    None,
    /// All that began before this moment (Unix milliseconds).
    Age(u64),
    /// The oldest, until so many bytes are in use.
    Bytes(u64),
    /// Nothing is in much of the file.
    Shrink,
}

/// What is kept.
pub(super) struct Keeping {
    limits: Limits,
    task: Task,
    step: u64,
    looked: Option<Instant>,
    glanced: Option<Instant>,
    /// Of tables: bytes per thousand requests, and the bytes at which that was found.
    density: Option<(u64, u64)>,
}

impl Keeping {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, task: Task::None, step: STEP.0, looked: None, glanced: None, density: None }
    }

    /// Something is to be removed: the next step should not wait long.
    pub(super) fn is_busy(&self) -> bool {
        self.task != Task::None
    }

    /// One step of what is to be done, if anything is.
    pub(super) async fn step(&mut self, requests: &Requests) -> Result<(), StoreError> {
        if self.task == Task::None {
            self.task = self.look(requests).await?;
        }
        let began = Instant::now();
        let before = match self.task {
            Task::None => return Ok(()),
            Task::Shrink => {
                requests.shrink().await?;
                self.task = self.after_shrinking(requests).await?;
                return Ok(());
            }
            Task::Age(before) => first_of(before),
            Task::Bytes(_) => i64::MAX.cast_unsigned(),
        };
        let removed = requests.remove_oldest(before, self.step).await?;
        let done = match self.task {
            Task::Bytes(target) => removed == 0 || self.used(requests).await? <= target,
            _ => removed < self.step,
        };
        if done {
            self.task = Task::None;
        }
        self.step = match began.elapsed() {
            took if took > LONG => (self.step / 2).max(50),
            took if took < LONG / 2 => (self.step * 2).min(STEP.1),
            _ => self.step,
        };
        Ok(())
    }

    async fn look(&mut self, requests: &Requests) -> Result<Task, StoreError> {
        let is_due = |last: Option<Instant>, each| last.is_none_or(|at| at.elapsed() >= each);
        let now = Instant::now();
        if is_due(self.looked, LOOK) {
            self.looked = Some(now);
            if self.limits.kept_ms > 0 {
                let before = clock::now_ms().saturating_sub(self.limits.kept_ms);
                if requests.oldest_ms().await?.is_some_and(|oldest| oldest < before) {
                    return Ok(Task::Age(before));
                }
            }
        }
        if is_due(self.glanced, if requests.is_file() { GLANCE } else { LOOK }) {
            self.glanced = Some(now);
            return self.glance(requests).await;
        }
        Ok(Task::None)
    }

    /// Beyond 95 of 100 bytes the oldest go, down to 90.
    async fn glance(&mut self, requests: &Requests) -> Result<Task, StoreError> {
        let most = self.limits.max_bytes;
        if most > 0 && self.used(requests).await? > most / 100 * 95 {
            return Ok(Task::Bytes(most / 100 * 90));
        }
        self.after_shrinking(requests).await
    }

    async fn after_shrinking(&self, requests: &Requests) -> Result<Task, StoreError> {
        let Room { whole, free } = requests.room().await?;
        Ok(if free > whole / 4 && free > SMALL { Task::Shrink } else { Task::None })
    }

    /// Bytes in use.
    async fn used(&mut self, requests: &Requests) -> Result<u64, StoreError> {
        let Room { whole, free } = requests.room().await?;
        if requests.is_file() {
            return Ok(whole.saturating_sub(free));
        }
        let count = requests.total().await?;
        if self.density.is_none() {
            self.density = requests.remembered(DENSITY).await?.map(|density| (density, 0));
        }
        let known = self.density.filter(|(_, found_at)| whole <= found_at.saturating_add(found_at / 200));
        let density = match known {
            Some((density, _)) => density,
            None => {
                let fresh = whole.saturating_mul(1_000) / count.max(1);
                // After a start the tables may have room that nothing is in: what was remembered is right then.
                let density =
                    self.density.filter(|(_, at)| *at == 0).map_or(fresh, |(old, _)| old.min(fresh));
                self.density = Some((density, whole));
                requests.remember(DENSITY, density).await?;
                density
            }
        };
        Ok((count / 1_000).saturating_mul(density).min(whole))
    }
}
