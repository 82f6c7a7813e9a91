//! What is added up of requests: counts, tokens, money and times of one name in one span.
//!
//! Adding is all that is done to it, so that spans, processes and names add up in any order. Its written form outlives
//! the program: counts are known by their number, which is never given to another one.

use govern::sketch::{Broken, Sketch, read_number, write_number};

use crate::telemetry::record::Outcome;

/// What is counted. The number of each is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Count {
    /// How requests ended: the numbers are those of [`Outcome`].
    Success = 0,
    FailedOver = 1,
    CacheHit = 2,
    ClientError = 3,
    UpstreamError = 4,
    Cancelled = 5,
    /// Input tokens that were neither read from nor written to a cache.
    Input = 6,
    CacheRead = 7,
    CacheWrite = 8,
    /// Reasoning included.
    Output = 9,
    Reasoning = 10,
    /// Nano-dollars.
    Cost = 11,
    /// Requests of which nobody knows what all of it cost.
    Unpriced = 12,
    /// Microseconds of all requests together.
    Took = 13,
    /// Tries of this target or key, failed ones included.
    Attempts = 14,
    FailedAttempts = 15,
    /// Requests whose tokens were estimated.
    Estimated = 16,
    /// Nano-dollars that answers cost which were given again from the cache.
    Saved = 17,
}

/// How many counts there are.
const WIDTH: usize = 18;

/// Counts and times of one name in one span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    counts: [u64; WIDTH],
    /// Microseconds; where they are kept.
    times: Option<Box<Times>>,
}

/// How times are distributed, in microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    pub took: Sketch,
    pub first_token: Sketch,
    pub overhead: Sketch,
}

/// Which parts of a cell are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Counts,
    Times,
}

impl Cell {
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.counts.get(usize::from(count as u8)).copied().unwrap_or(0)
    }

    pub fn add(&mut self, count: Count, more: u64) {
        if let Some(sum) = self.counts.get_mut(usize::from(count as u8)) {
            *sum = sum.saturating_add(more);
        }
    }

    /// One more request that ended so.
    pub fn add_outcome(&mut self, outcome: Outcome) {
        if let Some(sum) = self.counts.get_mut(usize::from(outcome as u8)) {
            *sum = sum.saturating_add(1);
        }
    }

    /// Times, to add to.
    pub fn times_mut(&mut self) -> &mut Times {
        self.times.get_or_insert_default()
    }

    /// Times; `None` where none are kept.
    #[must_use]
    pub fn times(&self) -> Option<&Times> {
        self.times.as_deref()
    }

    /// Requests, however they ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.counts.iter().take(6).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Requests that were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        [Count::Success, Count::FailedOver, Count::CacheHit].map(|count| self.get(count)).iter().sum()
    }

    /// Requests that failed, whoever was at fault; not those whose caller left.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.get(Count::ClientError).saturating_add(self.get(Count::UpstreamError))
    }

    /// Input tokens of all classes.
    #[must_use]
    pub fn input(&self) -> u64 {
        [Count::Input, Count::CacheRead, Count::CacheWrite].map(|count| self.get(count)).iter().sum()
    }

    /// Input and output tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input().saturating_add(self.get(Count::Output))
    }

    /// Adds all that another one has.
    pub fn merge(&mut self, other: &Self, depth: Depth) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(more);
        }
        if let (Depth::Times, Some(more)) = (depth, &other.times) {
            let times = self.times_mut();
            times.took.merge(&more.took);
            times.first_token.merge(&more.first_token);
            times.overhead.merge(&more.overhead);
        }
    }

    /// Appends it: which counts are not 0, those, then the times.
    pub fn write(&self, out: &mut Vec<u8>) {
        let bits = self.counts.iter().rev().fold(0, |bits, count| bits << 1 | u64::from(*count > 0));
        write_number(bits << 1 | u64::from(self.times.is_some()), out);
        self.counts.iter().filter(|count| **count > 0).for_each(|count| write_number(*count, out));
        if let Some(times) = &self.times {
            times.took.write(out);
            times.first_token.write(out);
            times.overhead.write(out);
        }
    }

    /// Adds what was written. Counts of a later version are passed over.
    ///
    /// # Errors
    /// It is no cell. Part of it may have been added.
    pub fn merge_written(&mut self, mut bytes: &[u8], depth: Depth) -> Result<(), Broken> {
        let bits = read_number(&mut bytes)?;
        for number in 0..63 {
            if bits >> (number + 1) & 1 == 1 {
                let more = read_number(&mut bytes)?;
                if let Some(sum) = self.counts.get_mut(number) {
                    *sum = sum.saturating_add(more);
                }
            }
        }
        if bits & 1 == 1 && depth == Depth::Times {
            let times = self.times_mut();
            times.took.merge_written(&mut bytes)?;
            times.first_token.merge_written(&mut bytes)?;
            times.overhead.merge_written(&mut bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(number: u64) -> Cell {
        let mut cell = Cell::default();
        cell.add_outcome(Outcome::FailedOver);
        cell.add(Count::Cost, 1_234_567 * number);
        cell.add(Count::Estimated, 1);
        cell.times_mut().took.add(900_000 + number);
        cell.times_mut().overhead.add(80);
        cell
    }

    #[test]
    fn what_is_written_adds_up_as_the_cells_do() {
        let (one, two) = (cell(1), cell(50_000));
        let (mut sum, mut read) = (one.clone(), Cell::default());
        sum.merge(&two, Depth::Times);
        for cell in [&one, &two] {
            let mut bytes = Vec::new();
            cell.write(&mut bytes);
            read.merge_written(&bytes, Depth::Times).unwrap();
        }
        assert_eq!(read, sum);
        assert_eq!((sum.requests(), sum.answered(), sum.get(Count::FailedOver)), (2, 2, 2));
    }

    #[test]
    fn a_cell_of_few_requests_is_small() {
        let mut busy = cell(3);
        for number in 0..4 {
            busy.add_outcome(Outcome::Success);
            busy.add(Count::Input, 1_500);
            busy.add(Count::Output, 700);
            busy.times_mut().took.add(1_000_000 * number);
            busy.times_mut().first_token.add(200_000 * number);
        }
        let mut bytes = Vec::new();
        busy.write(&mut bytes);
        assert!(bytes.len() < 100, "{} bytes", bytes.len());
    }

    #[test]
    fn counts_of_a_later_version_are_passed_over() {
        // Success once, and a count with the number 40.
        let mut bytes = Vec::new();
        write_number(1 << 1 | 1 << 41, &mut bytes);
        bytes.extend([1, 7]);
        let mut cell = Cell::default();
        cell.merge_written(&bytes, Depth::Times).unwrap();
        assert_eq!((cell.requests(), cell.get(Count::Success)), (1, 1));
    }
}
