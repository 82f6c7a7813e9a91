//! One allowance that several nodes spend from: each leases a part of it and spends that part on its own.
//!
//! In the middle stands a [`Pool`](pool::Pool): what all nodes together have used, and what each of them may use
//! beyond that. A node has a [`Slice`]: it holds and spends within its lease without asking anybody, tells the pool
//! behind what it spent ([`Report`]), and is leased more in the same answer ([`Grant`]), ahead of need.
//!
//! The bound: what was used and what is leased never passes the allowance when a lease is given. So the use passes
//! it only by what requests use beyond their hold, and by the leases of nodes whose lease ran out while they, or
//! requests of theirs, were still spending (a node that was killed or cut off): those were given to others.
//!
//! Nothing here knows what is between node and pool. A report may be lost or come twice, an answer may be lost, the
//! pool may forget everything; times are told as ages, because clocks differ.

pub mod pool;
mod slice;

use crate::window::Window;

pub use slice::{Ask, OnLoss, Slice};

/// What a node tells the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Of this node: with the same number it says the same again, and counts once.
    pub number: u64,
    /// Age in milliseconds and amount of what was spent since the report before.
    pub spent: Vec<(u64, u64)>,
    /// What requests under way hold: as much has to stay leased.
    pub need: u64,
    /// What was asked of the node and not there.
    pub short: u64,
    /// What it would like to have beyond these two, for what comes next. Until the answer comes it keeps to `need` and
    /// this, so that the pool may take the rest of its lease.
    pub spare: u64,
    /// The pool that it knows; 0: none yet.
    pub epoch: u64,
    /// Age and amount of what it knows that all have used, for a pool that does not; `None`: only if it is asked for.
    pub known: Option<Vec<(u64, u64)>>,
}

/// What the pool answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Changes when the pool has forgotten.
    pub epoch: u64,
    /// What the node may spend from now on, with what it holds.
    pub lease: u64,
    /// Of all nodes, ever; the report's own is in it.
    pub total: u64,
    /// Nodes that have a lease.
    pub nodes: u32,
    /// Others have less than their requests need.
    pub others_lack: bool,
    /// What all nodes have used, for one that does not know: age and amount.
    pub known: Option<Vec<(u64, u64)>>,
    /// The pool knows less than the node: nothing was counted or leased, it shall send what it knows.
    pub tell: bool,
}

/// What is shared, as the pool has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub max: u64,
    pub span: Span,
    /// A lease ends so long after the latest report, in milliseconds.
    pub lease_ms: u64,
}

/// For how long something used counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// So many milliseconds; it is kept in parts of `grain_ms`, and leaves by at most one of them late.
    Rolling { length_ms: u64, grain_ms: u64 },
    /// For the period that began at `start_ms` (Unix milliseconds) and is to last `left_ms` more.
    Calendar { start_ms: u64, left_ms: u64 },
}

impl Span {
    /// Parts of a rolling window that the pool keeps apart.
    const GRAINS: u64 = 60;

    /// Of `window` at `now_ms`, Unix milliseconds.
    #[must_use]
    pub fn of(window: Window, now_ms: u64) -> Self {
        if window.is_calendar() {
            let period = window.period(now_ms);
            return Self::Calendar {
                start_ms: period.start_ms,
                left_ms: period.end_ms.saturating_sub(now_ms),
            };
        }
        let length_ms = window.length_ms();
        Self::Rolling { length_ms, grain_ms: (length_ms / Self::GRAINS).max(1) }
    }

    /// Of what is only leased and never used up: places.
    #[must_use]
    pub fn never() -> Self {
        Self::Calendar { start_ms: 0, left_ms: 0 }
    }

    /// Parts with their age at `now_ms`, joined where the pool would join them: at the younger one.
    fn ages(self, parts: impl Iterator<Item = (u64, u64)>, now_ms: u64) -> Vec<(u64, u64)> {
        let mut ages: Vec<(u64, u64)> = Vec::new();
        for (at, amount) in parts {
            let age = match self {
                Self::Calendar { start_ms, .. } if at < start_ms => continue,
                Self::Calendar { .. } => 0,
                Self::Rolling { length_ms, .. } if at.saturating_add(length_ms) <= now_ms => continue,
                Self::Rolling { grain_ms, .. } => now_ms.saturating_sub(at) / grain_ms.max(1) * grain_ms,
            };
            match ages.last_mut() {
                Some((last, sum)) if *last == age => *sum = sum.saturating_add(amount),
                _ => ages.push((age, amount)),
            }
        }
        ages
    }
}

fn sum(parts: &[(u64, u64)]) -> u64 {
    parts.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
}

#[cfg(test)]
mod tests;
