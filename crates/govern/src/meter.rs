//! One allowance: so much of something per window, counted so that it is never overdrawn and never locked.
//!
//! What may be used is held before, and what was used is counted after: between the two nobody else can have it. The
//! sum of what was used and what is held never passes the allowance, so the use passes it only by what requests
//! under way use beyond their hold. A hold is no record: whoever holds must settle exactly once, on every way out.
//!
//! The unit is the owner's: nano-dollars, tokens or requests. This file must not know which.

mod shared;

use crate::lease::Slice;
use crate::sliding::Sliding;
use crate::window::Window;

/// So much per window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    max: u64,
    window: Window,
    used: Used,
    held: u64,
    /// What this node has leased, where other nodes use of it too; then what was used is what is known of all of them.
    /// Large, and not there where gateways stand alone.
    slice: Option<Box<Slice>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Used {
    Rolling(Sliding),
    /// Since the start of the period it belongs to.
    Calendar {
        start_ms: u64,
        sum: u64,
    },
}

/// What becomes of a request that is expected to use more than is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fit {
    /// It is refused: the allowance is never passed.
    #[default]
    Whole,
    /// It goes all the same while something is left and nobody else is under way: an expectation may be wrong, and must not
    /// leave a rest that nobody can use.
    Alone,
}

/// Why nothing was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub max: u64,
    pub used: u64,
    /// By requests under way.
    pub held: u64,
    pub wanted: u64,
    pub wait: Wait,
}

/// When what was wanted can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// In so many milliseconds, if nobody else comes first.
    Millis(u64),
    /// When requests under way have ended: nobody knows when.
    ForOthers,
    /// When this node has leased more: other nodes have the rest.
    ForShare,
    /// Never: it is more than the whole allowance.
    Never,
}

/// How an allowance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    pub max: u64,
    pub used: u64,
    pub held: u64,
    /// Milliseconds until all of it is there again, if nothing more is used.
    pub full_in_ms: u64,
}

impl Level {
    /// What can still be held.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.used).saturating_sub(self.held)
    }
}

impl Meter {
    /// `max` per `window`, nothing used yet.
    #[must_use]
    pub fn new(max: u64, window: Window) -> Self {
        let used = match window.is_calendar() {
            true => Used::Calendar { start_ms: 0, sum: 0 },
            false => Used::Rolling(Sliding::default()),
        };
        Self { max, window, used, held: 0, slice: None }
    }

    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Another maximum; what was used stays used.
    pub fn set_max(&mut self, max: u64) {
        self.max = max;
    }

    /// By requests under way.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// What requests under way hold, where this meter was not there when they began.
    pub fn set_held(&mut self, amount: u64) {
        self.held = amount;
    }

    /// Holds `amount`. With nothing left even an amount of 0 is refused.
    ///
    /// # Errors
    /// That much is not left; nothing was held.
    pub fn hold(&mut self, amount: u64, fit: Fit, now_ms: u64) -> Result<(), Refusal> {
        let used = self.used(now_ms);
        let wait = match self.fits(used, amount, fit) {
            false => self.wait(amount, fit, now_ms),
            true => match self.ask_slice(used, amount, fit, now_ms) {
                None => {
                    self.held = self.held.saturating_add(amount);
                    return Ok(());
                }
                Some(wait) => wait,
            },
        };
        Err(Refusal { max: self.max, used, held: self.held, wanted: amount, wait })
    }

    /// Gives a hold back and counts what was really used, be it more or less.
    pub fn settle(&mut self, held: u64, used: u64, now_ms: u64) {
        self.held = self.held.saturating_sub(held);
        self.spend(used, held, now_ms);
        self.learn(used, now_ms);
    }

    /// Takes back what was counted at `at_ms` and was not used after all.
    pub fn uncount(&mut self, amount: u64, at_ms: u64) {
        if let Some(slice) = &mut self.slice {
            slice.unspent(amount, at_ms);
        }
        match &mut self.used {
            Used::Rolling(parts) => parts.remove(amount, at_ms),
            Used::Calendar { start_ms, sum } if self.window.period(at_ms).start_ms == *start_ms => {
                *sum = sum.saturating_sub(amount);
            }
            Used::Calendar { .. } => {}
        }
    }

    /// Counts what was used at `at_ms`, before now: what a store remembers. What has left the window is nothing. Where
    /// other nodes use of it too and have told what all have used, it is in that already.
    pub fn restore(&mut self, amount: u64, at_ms: u64, now_ms: u64) {
        if self.slice.as_deref().is_none_or(Slice::is_new) {
            self.insert(amount, at_ms, now_ms);
        }
    }

    fn insert(&mut self, amount: u64, at_ms: u64, now_ms: u64) {
        match &mut self.used {
            Used::Rolling(parts) => parts.insert(amount, at_ms, now_ms, self.window.length_ms()),
            Used::Calendar { .. } if self.window.period(at_ms) == self.window.period(now_ms) => {
                self.learn(amount, now_ms);
            }
            Used::Calendar { .. } => {}
        }
    }

    /// Counts what was used here without a hold.
    pub fn count(&mut self, amount: u64, now_ms: u64) {
        self.spend(amount, 0, now_ms);
        self.learn(amount, now_ms);
    }

    /// Counts what was used elsewhere.
    pub fn learn(&mut self, amount: u64, now_ms: u64) {
        match &mut self.used {
            Used::Rolling(parts) => parts.add(amount, now_ms, self.window.length_ms()),
            Used::Calendar { start_ms, sum } => {
                let period = self.window.period(now_ms);
                if period.start_ms > *start_ms {
                    (*start_ms, *sum) = (period.start_ms, 0);
                }
                *sum = sum.saturating_add(amount);
            }
        }
    }

    /// What was used in the window that `now_ms` is in.
    pub fn used(&mut self, now_ms: u64) -> u64 {
        match &mut self.used {
            Used::Rolling(parts) => parts.sum(now_ms, self.window.length_ms()),
            Used::Calendar { start_ms, sum } if self.window.period(now_ms).start_ms <= *start_ms => *sum,
            Used::Calendar { .. } => 0,
        }
    }

    pub fn level(&mut self, now_ms: u64) -> Level {
        let used = self.used(now_ms);
        Level { max: self.max, used, held: self.held, full_in_ms: self.falls_to(0, now_ms) }
    }

    /// Moments (Unix milliseconds) and amounts of what counts now, oldest first: to be stored.
    pub fn parts(&mut self, now_ms: u64) -> Vec<(u64, u64)> {
        let used = self.used(now_ms);
        match &self.used {
            Used::Rolling(parts) => parts.parts().collect(),
            Used::Calendar { start_ms, .. } if used > 0 => vec![(*start_ms, used)],
            Used::Calendar { .. } => Vec::new(),
        }
    }

    fn fits(&self, used: u64, amount: u64, fit: Fit) -> bool {
        let left = self.max.saturating_sub(used);
        match fit {
            Fit::Alone if self.held == 0 => left > 0,
            _ => self.held < left && self.held.saturating_add(amount) <= left,
        }
    }

    fn wait(&mut self, amount: u64, fit: Fit, now_ms: u64) -> Wait {
        // An amount of 0 needs something to be left, and who may go alone needs no more.
        let amount = match fit {
            Fit::Whole => amount.max(1),
            Fit::Alone if self.held == 0 => 1,
            Fit::Alone => amount.clamp(1, self.max.max(1)),
        };
        let Some(target) = self.max.checked_sub(amount) else { return Wait::Never };
        if self.used(now_ms) <= target {
            return Wait::ForOthers;
        }
        Wait::Millis(self.falls_to(target, now_ms).max(1))
    }

    fn falls_to(&mut self, target: u64, now_ms: u64) -> u64 {
        match &mut self.used {
            Used::Rolling(parts) => parts.falls_to(target, now_ms, self.window.length_ms()),
            Used::Calendar { start_ms, sum } if *sum > target => {
                let period = self.window.period(now_ms);
                if period.start_ms > *start_ms { 0 } else { period.end_ms.saturating_sub(now_ms) }
            }
            Used::Calendar { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests;
