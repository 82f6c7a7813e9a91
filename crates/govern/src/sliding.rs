//! A sum over the last so many milliseconds, exact as long as that fits.
//!
//! What came is kept with its moment, so that the sum is that of an ideal sliding window. Where more distinct moments
//! come than are kept, neighbours are joined at the later one of them: then an amount leaves late, by at most one
//! part in [`Sliding::GRAINS`] of the window, and never early.

use std::collections::VecDeque;

/// The amounts of a window's length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sliding {
    /// Moment (Unix milliseconds) and amount, in order of time.
    parts: VecDeque<(u64, u64)>,
    sum: u64,
    /// Moments closer than this are joined; 0 and 1: none are.
    grain: u64,
}

impl Sliding {
    /// Distinct moments that are kept at most.
    pub const GRAINS: usize = 4_096;

    /// Notes `amount` at `now_ms`. A clock that went back does not make it leave early.
    pub fn add(&mut self, amount: u64, now_ms: u64, length_ms: u64) {
        if amount == 0 {
            return;
        }
        self.expire(now_ms, length_ms);
        let now_ms = self.parts.back().map_or(now_ms, |(last, _)| now_ms.max(*last));
        self.sum = self.sum.saturating_add(amount);
        let grain = self.grain.max(1);
        match self.parts.back_mut() {
            Some((last, sum)) if *last / grain == now_ms / grain => {
                *last = now_ms;
                *sum = sum.saturating_add(amount);
            }
            _ => self.parts.push_back((now_ms, amount)),
        }
        if self.parts.len() > Self::GRAINS {
            self.join(length_ms);
        }
    }

    /// Notes what came at `at_ms`, before what was noted since.
    pub fn insert(&mut self, amount: u64, at_ms: u64, now_ms: u64, length_ms: u64) {
        if amount == 0 || at_ms.saturating_add(length_ms) <= now_ms {
            return;
        }
        let behind = self.parts.partition_point(|(at, _)| *at < at_ms);
        if behind == self.parts.len() {
            return self.add(amount, at_ms, length_ms);
        }
        self.expire(now_ms, length_ms);
        let grain = self.grain.max(1);
        let behind = self.parts.partition_point(|(at, _)| *at < at_ms);
        self.sum = self.sum.saturating_add(amount);
        match self.parts.get_mut(behind) {
            // It ends no earlier than this came: nothing leaves early.
            Some((at, sum)) if *at / grain == at_ms / grain => *sum = sum.saturating_add(amount),
            _ => self.parts.insert(behind, (at_ms, amount)),
        }
        if self.parts.len() > Self::GRAINS {
            self.join(length_ms);
        }
    }

    /// Takes back what was noted at `at_ms` and never came to be.
    pub fn remove(&mut self, amount: u64, at_ms: u64) {
        let mut rest = amount.min(self.sum);
        let from = self.parts.partition_point(|(at, _)| *at < at_ms);
        for (_, part) in self.parts.range_mut(from..) {
            let less = rest.min(*part);
            (*part, rest) = (*part - less, rest - less);
            self.sum = self.sum.saturating_sub(less);
            if rest == 0 {
                break;
            }
        }
    }

    /// The sum of the last `length_ms`.
    pub fn sum(&mut self, now_ms: u64, length_ms: u64) -> u64 {
        self.expire(now_ms, length_ms);
        self.sum
    }

    /// Milliseconds until the sum, with nothing added, is `target` or less; 0 when it is.
    pub fn falls_to(&mut self, target: u64, now_ms: u64, length_ms: u64) -> u64 {
        let mut over = self.sum(now_ms, length_ms).saturating_sub(target);
        if target == 0 {
            let last = self.parts.back().map_or(now_ms, |(at, _)| at.saturating_add(length_ms));
            return last.saturating_sub(now_ms);
        }
        for (at, amount) in &self.parts {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(*amount);
            if over == 0 {
                return at.saturating_add(length_ms).saturating_sub(now_ms);
            }
        }
        0
    }

    /// What is kept, oldest first: to be stored.
    pub fn parts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.parts.iter().copied()
    }

    /// Nothing is in the window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// An amount that came at `at` leaves at `at` + the length.
    fn expire(&mut self, now_ms: u64, length_ms: u64) {
        while let Some((at, amount)) = self.parts.front() {
            if at.saturating_add(length_ms) > now_ms {
                break;
            }
            self.sum = self.sum.saturating_sub(*amount);
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.grain = 0;
        }
    }

    /// Joins neighbours until half of them are left, as far as the finest allowed grain goes.
    fn join(&mut self, length_ms: u64) {
        let parts = u64::try_from(Self::GRAINS).unwrap_or(u64::MAX);
        let coarsest = (length_ms / parts.max(1)).max(1) * 2;
        while self.parts.len() > Self::GRAINS / 2 && self.grain < coarsest {
            self.grain = (self.grain.max(1) * 2).min(coarsest);
            let (grain, before) = (self.grain, std::mem::take(&mut self.parts));
            for (at, amount) in before {
                match self.parts.back_mut() {
                    Some((last, sum)) if *last / grain == at / grain => {
                        *last = at;
                        *sum = sum.saturating_add(amount);
                    }
                    _ => self.parts.push_back((at, amount)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    const MINUTE: u64 = 60_000;

    #[test]
    fn an_amount_counts_for_exactly_the_length_of_the_window() {
        let mut window = Sliding::default();
        window.add(5, 1_000, MINUTE);
        window.add(7, 2_000, MINUTE);
        assert_eq!(window.sum(60_999, MINUTE), 12);
        assert_eq!(window.falls_to(7, 60_000, MINUTE), 1_000);
        assert_eq!(window.falls_to(6, 60_000, MINUTE), 2_000);
        assert_eq!(window.falls_to(12, 60_000, MINUTE), 0);
        assert_eq!(window.sum(61_000, MINUTE), 7);
        assert_eq!(window.sum(62_000, MINUTE), 0);
        assert!(window.is_empty());
    }

    #[test]
    fn a_clock_that_went_back_frees_nothing_early() {
        let mut window = Sliding::default();
        window.add(1, 100_000, MINUTE);
        window.add(1, 40_000, MINUTE);
        assert_eq!(window.sum(100_001, MINUTE), 2);
        assert_eq!(window.sum(160_000, MINUTE), 0);
    }

    #[test]
    fn however_much_comes_memory_is_bounded_and_nothing_leaves_early_or_much_too_late() {
        let (length, mut random) = (3_600_000, Seeded(7));
        let slack = length / u64::try_from(Sliding::GRAINS).unwrap() * 2;
        let (mut window, mut now) = (Sliding::default(), 0);
        let (mut ideal, mut wider) = (Ideal::default(), Ideal::default());
        for _ in 0..400_000 {
            now += random.next() % 40;
            let amount = 1 + random.next() % 9;
            window.add(amount, now, length);
            let seen = window.sum(now, length);
            assert!(seen >= ideal.add(amount, now, length));
            assert!(seen <= wider.add(amount, now, length + slack));
            assert!(window.parts.len() <= Sliding::GRAINS + 1);
        }
        assert!(window.grain > 1, "more came than is kept apart");
    }

    #[derive(Default)]
    struct Ideal(VecDeque<(u64, u64)>, u64);

    impl Ideal {
        fn add(&mut self, amount: u64, now: u64, length: u64) -> u64 {
            self.0.push_back((now, amount));
            self.1 += amount;
            while self.0.front().is_some_and(|(at, _)| at + length <= now) {
                self.1 -= self.0.pop_front().unwrap().1;
            }
            self.1
        }
    }

    #[test]
    fn up_to_its_room_it_is_the_ideal_window() {
        let (mut window, mut ideal, mut random) = (Sliding::default(), VecDeque::new(), Seeded(3));
        let mut now = 0;
        for _ in 0..200_000 {
            now += random.next() % 60;
            window.add(1, now, MINUTE);
            ideal.push_back(now);
            while ideal.front().is_some_and(|at| at + MINUTE <= now) {
                ideal.pop_front();
            }
            assert_eq!(window.sum(now, MINUTE), u64::try_from(ideal.len()).unwrap());
        }
    }
}
