//! How a quantity is distributed (times, mostly), in few bytes, so that many of them can be added up: percentiles of a
//! day are those of its minutes together.
//!
//! A log-linear histogram: 32 steps per power of two, so any percentile is within [`Sketch::ERROR`] of the exact one
//! whatever was added and however it was merged, and values below 64 are exact. Merging is addition: its order and
//! grouping change nothing. What is measured, and in which unit, is not known here.

mod bytes;

pub use self::bytes::{Broken, read_number, write_number};

/// Steps per power of two, as a power of two.
const BITS: u32 = 5;
const STEPS: u64 = 1 << BITS;
/// Where the number of a step stands in a slot; below it is its count.
const SHIFT: u32 = 53;
const COUNT: u64 = (1 << SHIFT) - 1;
/// Steps that any value can be in.
const ALL: u64 = (64 - BITS as u64 + 1) * STEPS;

/// A distribution of whole numbers. Empty ones take no memory but their own 32 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Step and count in one number each, by step.
    slots: Vec<u64>,
    sum: u64,
}

impl Sketch {
    /// The largest relative error of a percentile.
    pub const ERROR: f64 = 1.0 / 64.0;

    /// Nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many values were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.slots.iter().map(|slot| slot & COUNT).fold(0, u64::saturating_add)
    }

    /// Of all values; exact, unless it has reached the largest number.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The exact mean, rounded down; `None` where nothing was added.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count())
    }

    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        self.sum = self.sum.saturating_add(value);
        self.put(step(value), 1);
    }

    /// Adds all that another one has.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        other.slots.iter().for_each(|slot| self.put(slot >> SHIFT, slot & COUNT));
    }

    /// The value below or at which the `share` (0 to 1) of all values is, by the nearest rank; `None` where nothing was
    /// added.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        self.quantiles([share]).map(|[value]| value)
    }

    /// Several at once, in ascending order.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[u64; N]> {
        let count = self.count();
        let last = self.slots.last()? >> SHIFT;
        let mut slots = self.slots.iter();
        let (mut at, mut below) = (0, 0_u64);
        Some(shares.map(|share| {
            let rank = rank(share, count);
            while below < rank {
                let Some(slot) = slots.next() else { return middle(last) };
                (at, below) = (slot >> SHIFT, below.saturating_add(slot & COUNT));
            }
            middle(at)
        }))
    }

    /// How many values are above `limit`, where the step that it is in counts as below.
    #[must_use]
    pub fn above(&self, limit: u64) -> u64 {
        let limit = step(limit);
        let above = self.slots.iter().rev().take_while(|slot| *slot >> SHIFT > limit);
        above.map(|slot| slot & COUNT).fold(0, u64::saturating_add)
    }

    /// Bytes that it takes in memory, its own size included.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + self.slots.capacity() * size_of::<u64>()
    }

    /// `count` more in a step.
    fn put(&mut self, step: u64, count: u64) {
        let fresh = step << SHIFT | count;
        match self.slots.binary_search_by(|slot| (slot >> SHIFT).cmp(&step)) {
            Ok(at) => {
                if let Some(slot) = self.slots.get_mut(at) {
                    let sum = (*slot & COUNT).saturating_add(count).min(COUNT);
                    *slot = step << SHIFT | sum;
                }
            }
            Err(at) => self.slots.insert(at, fresh),
        }
    }
}

/// The nearest rank: from 1 to `count`.
fn rank(share: f64, count: u64) -> u64 {
    // Beyond 2^53 values a rank more or less is nothing.
    let rank = (share.clamp(0.0, 1.0) * count as f64).ceil() as u64;
    rank.clamp(1, count.max(1))
}

/// The step that a value is in: values below 32 have one of their own, then each power of two has 32.
fn step(value: u64) -> u64 {
    let power = u64::from(63 - (value | 1).leading_zeros());
    match power.checked_sub(u64::from(BITS)) {
        None => value,
        Some(shift) => shift * STEPS + (value >> shift),
    }
}

/// The value that stands for a step: the middle of it.
fn middle(step: u64) -> u64 {
    match (step / STEPS).checked_sub(1) {
        None => step,
        Some(shift) => {
            let shift = shift.min(u64::from(63 - BITS));
            ((step % STEPS + STEPS) << shift) + ((1 << shift) - 1) / 2
        }
    }
}

#[cfg(test)]
mod tests;
