//! Seeded chance. Every decision of a run is thrown from the seed and what it is about (a request, an
//! attempt, a slot of time), so that one request can be repeated alone and meets the same faults.

/// A stream of numbers that depends on nothing but how it was made (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice for the matter that `parts` name.
    #[must_use]
    pub fn of(parts: &[u64]) -> Self {
        let mut dice = Self(0x9e37_79b9_7f4a_7c15);
        for part in parts {
            dice.0 ^= part.wrapping_mul(0xff51_afd7_ed55_8ccd);
            dice.0 = dice.throw();
        }
        dice
    }

    /// The next number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.throw().checked_rem(bound).unwrap_or(0)
    }

    /// A number from `from` up to and with `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// True `permille` times of a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// An index below `length`; 0 for an empty list.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_matter_gives_the_same_throws_and_another_gives_others() {
        let throws = |parts: &[u64]| {
            let mut dice = Dice::of(parts);
            [dice.throw(), dice.throw(), dice.throw()]
        };
        assert_eq!(throws(&[1, 2, 3]), throws(&[1, 2, 3]));
        assert_ne!(throws(&[1, 2, 3]), throws(&[1, 3, 2]));
        assert_ne!(throws(&[1]), throws(&[1, 0]));
    }

    #[test]
    fn chances_are_met() {
        let hits = (0..10_000).filter(|n| Dice::of(&[7, *n]).chance(100)).count();
        assert!((900..1_100).contains(&hits), "{hits} of 10000 at 10 %");
        let mut dice = Dice::of(&[1]);
        assert!((0..1_000).all(|_| (3..=5).contains(&dice.between(3, 5))));
    }
}
