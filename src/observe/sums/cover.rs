//! Which spans a time range is made of: as few as there can be.
//!
//! A range is covered without gaps and without overlaps. Its ends are rounded outwards to the finest spans that are
//! still kept there: minutes for two days, hours before. No span reaches over the edge of a bucket of the chart.

use super::book::Span;

/// A row of spans: from the first up to and without the second, in spans since 1970.
pub type Run = (Span, u64, u64);

/// The time of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Unix milliseconds: from the first up to and without the second.
    pub from_ms: u64,
    pub to_ms: u64,
    pub bucket_ms: u64,
}

impl Frame {
    /// The most buckets that anybody gets.
    pub const MOST: u64 = 1_500;

    /// The frame whose ends are where spans end, and whose buckets are no finer than spans are kept.
    #[must_use]
    pub fn rounded(self, now_ms: u64) -> Self {
        let from_ms = self.from_ms.min(self.to_ms.saturating_sub(1));
        let finest = finest(from_ms, self.bucket_ms, now_ms).millis();
        let fewest = (self.to_ms - from_ms).div_ceil(Self::MOST);
        let bucket_ms = self.bucket_ms.max(finest).max(fewest).next_multiple_of(finest);
        let from_ms = from_ms - from_ms % finest;
        let end = finest_at(self.to_ms, bucket_ms, now_ms).millis();
        Self { from_ms, to_ms: self.to_ms.next_multiple_of(end), bucket_ms }
    }

    /// Where each bucket begins.
    #[must_use]
    pub fn starts(&self) -> Vec<u64> {
        let bucket = self.bucket_ms.max(1);
        let first = self.from_ms - self.from_ms % bucket;
        (first..self.to_ms).step_by(usize::try_from(bucket).unwrap_or(usize::MAX)).collect()
    }

    /// The bucket that a moment of the range is in.
    #[must_use]
    pub fn bucket(&self, at_ms: u64) -> usize {
        let bucket = self.bucket_ms.max(1);
        let first = self.from_ms - self.from_ms % bucket;
        usize::try_from(at_ms.saturating_sub(first) / bucket).unwrap_or(usize::MAX)
    }

    /// The range of the same length before it.
    #[must_use]
    pub fn before(&self) -> Self {
        let length = self.to_ms - self.from_ms;
        Self { from_ms: self.from_ms.saturating_sub(length), to_ms: self.from_ms, ..*self }
    }

    /// The spans that a rounded frame is made of, in the order of time.
    #[must_use]
    pub fn runs(&self, now_ms: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut at = self.from_ms;
        while at < self.to_ms {
            let span = self.widest(at, now_ms);
            let start = span.of(at);
            match runs.last_mut() {
                Some((last, _, to)) if *last == span && *to == start => *to += 1,
                _ => runs.push((span, start, start + 1)),
            }
            at = (start + 1) * span.millis();
        }
        runs
    }

    /// The widest span that begins at a moment and ends within its bucket and the range.
    fn widest(&self, at: u64, now_ms: u64) -> Span {
        let finest = finest_at(at, self.bucket_ms, now_ms);
        let wider =
            [Span::Day, Span::Hour, Span::Quarter, Span::Minute].into_iter().filter(|span| *span > finest);
        let fits = |span: &Span| {
            let length = span.millis();
            at.is_multiple_of(length) && at + length <= self.to_ms && self.bucket_ms.is_multiple_of(length)
        };
        wider.into_iter().find(fits).unwrap_or(finest)
    }
}

/// The finest spans for a range that begins there.
fn finest(from_ms: u64, bucket_ms: u64, now_ms: u64) -> Span {
    let seconds = now_ms.saturating_sub(Span::Second.kept() * 1_000);
    if bucket_ms < Span::Minute.millis() && from_ms >= seconds {
        return Span::Second;
    }
    finest_at(from_ms, bucket_ms.max(Span::Minute.millis()), now_ms)
}

/// The finest spans that are kept of a moment, for buckets of that length.
fn finest_at(at_ms: u64, bucket_ms: u64, now_ms: u64) -> Span {
    if bucket_ms < Span::Minute.millis() {
        return Span::Second;
    }
    // Whole hours, so that hours and minutes meet; one of them is left for rows that are swept away meanwhile.
    let minutes = (Span::Hour.of(now_ms) + 1).saturating_sub(Span::Minute.kept() / 60) * Span::Hour.millis();
    if at_ms >= minutes { Span::Minute } else { Span::Hour }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_123_456;
    const HOUR: u64 = 3_600_000;

    fn frame(from_ms: u64, to_ms: u64, bucket_ms: u64) -> Frame {
        Frame { from_ms, to_ms, bucket_ms }.rounded(NOW)
    }

    #[test]
    fn a_day_by_quarters_is_quarters_and_a_year_is_days_with_ragged_ends() {
        let day = frame(NOW - 24 * HOUR + 7 * 60_000, NOW, 15 * 60_000).runs(NOW);
        let spans: Vec<Span> = day.iter().map(|run| run.0).collect();
        assert_eq!(spans, [Span::Minute, Span::Quarter, Span::Minute]);
        assert!(day.iter().map(|run| run.2 - run.1).sum::<u64>() < 96 + 15 + 15, "{day:?}");
        let year = frame(NOW - 365 * 24 * HOUR, NOW, 7 * 24 * HOUR).runs(NOW);
        let spans: Vec<Span> = year.iter().map(|run| run.0).collect();
        assert_eq!(spans, [Span::Hour, Span::Day, Span::Hour, Span::Quarter, Span::Minute]);
        let rows: u64 = year.iter().map(|run| run.2 - run.1).sum();
        assert!(rows < 364 + 24 + 24 + 60, "{rows}");
    }

    #[test]
    fn fine_buckets_far_back_become_hours() {
        assert_eq!(frame(NOW - 72 * HOUR, NOW, 60_000).bucket_ms, HOUR);
        assert_eq!(frame(NOW - 600_000, NOW, 1_000).bucket_ms, 1_000);
        assert_eq!(frame(NOW - 2 * HOUR, NOW, 1_000).bucket_ms, 60_000);
    }

    #[test]
    fn runs_cover_the_range_once_and_stay_in_their_buckets() {
        const BUCKETS: [u64; 7] = [1_000, 60_000, 600_000, HOUR, 8 * HOUR, 24 * HOUR, 168 * HOUR];
        let mut seeded = fastrand::Rng::with_seed(7);
        for _ in 0..400 {
            let longest = *seeded.choice([HOUR, 48 * HOUR, 400 * 24 * HOUR].iter()).unwrap();
            let (back, length) = (seeded.u64(1..longest), seeded.u64(1..longest));
            let (from, to) = (NOW - back, (NOW - back + length).min(NOW));
            let frame = frame(from, to, *seeded.choice(BUCKETS.iter()).unwrap());
            let mut at = frame.from_ms;
            assert!(at <= from && frame.to_ms >= to, "{frame:?}");
            for (span, from, to) in frame.runs(NOW) {
                assert_eq!(from * span.millis(), at, "{frame:?}");
                at = to * span.millis();
                for start in from..to {
                    let last = (start + 1) * span.millis() - 1;
                    assert_eq!(frame.bucket(start * span.millis()), frame.bucket(last), "{frame:?}");
                    assert!(start + span.kept() >= span.of(NOW), "{frame:?}");
                }
            }
            assert_eq!(at, frame.to_ms, "{frame:?}");
            assert_eq!(frame.bucket(frame.to_ms - 1), frame.starts().len() - 1, "{frame:?}");
        }
    }
}
