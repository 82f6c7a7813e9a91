//! The span of time that a question is about, as the query says it: `range=24h`, or `from` and `to`.
//!
//! The original's names mean the same: `period`, `start_time` and `end_time`.

use govern::moment;
use govern::window::Window;
use serde::Deserialize;
use utoipa::IntoParams;

use super::fault::Refused;
use crate::observe::sums::{Frame, Span};

/// When.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Within {
    /// The time up to now: `15m`, `24h` (the default), `7d`, `30d`. Goes before `from` and `to`.
    range: Option<String>,
    /// The same.
    period: Option<String>,
    /// From then on: RFC 3339.
    from: Option<String>,
    /// The same.
    start_time: Option<String>,
    /// Up to then: RFC 3339. Absent: now.
    to: Option<String>,
    /// The same.
    end_time: Option<String>,
}

/// How far back, beside filters that have times of their own.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Period {
    /// The time up to now, in the place of `start_time` and `end_time`: `15m`, `24h`, `7d`.
    period: Option<String>,
    /// The same.
    range: Option<String>,
}

/// Lengths of a bucket, in seconds: what people can read off an axis. None of half a day: a month of those would be read
/// from hours.
const BUCKETS: [u64; 14] =
    [1, 5, 10, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 86_400, 3 * 86_400, 7 * 86_400];
/// Where nothing is said: a day.
const USUAL: &str = "24h";

impl Within {
    /// From when to when, in Unix milliseconds.
    ///
    /// # Errors
    /// It cannot be read, or ends before it begins.
    pub fn span(&self, now_ms: u64) -> Result<(u64, u64), Refused> {
        let range = self.range.as_deref().or(self.period.as_deref());
        let (from, to) =
            (self.from.as_ref().or(self.start_time.as_ref()), self.to.as_ref().or(self.end_time.as_ref()));
        if let (Some(from), None) = (from, range) {
            let from = time("from", from)?;
            let to = to.map_or(Ok(now_ms), |to| time("to", to))?;
            if from >= to {
                return Err(Refused::field("to", "the end must be after the beginning"));
            }
            return Ok((from.max(oldest(now_ms)).min(to - 1), to));
        }
        up_to_now(range.unwrap_or(USUAL), now_ms)
    }

    /// The same in buckets: at most `most` of them, of a length that people can read off an axis.
    ///
    /// # Errors
    /// As [`Self::span`].
    pub fn frame(&self, now_ms: u64, most: u64) -> Result<Frame, Refused> {
        Ok(frame(self.span(now_ms)?, most, now_ms))
    }
}

/// The last `length` of time.
///
/// # Errors
/// It is no length.
pub fn up_to_now(length: &str, now_ms: u64) -> Result<(u64, u64), Refused> {
    let length = Window::parse(length, false).map_err(|error| Refused::field("range", error.to_string()))?;
    let from = now_ms.saturating_sub(length.length_ms()).max(oldest(now_ms));
    Ok((from, now_ms))
}

/// A span in at most `most` buckets, of a length that people can read off an axis.
#[must_use]
pub fn frame((from_ms, to_ms): (u64, u64), most: u64, now_ms: u64) -> Frame {
    let from_ms = from_ms.max(oldest(now_ms)).min(to_ms.saturating_sub(1));
    let seconds = (to_ms - from_ms).div_ceil(1_000);
    let fits = BUCKETS.into_iter().find(|bucket| seconds.div_ceil(*bucket) <= most);
    let bucket = fits.unwrap_or_else(|| seconds.div_ceil(most).next_multiple_of(86_400));
    Frame { from_ms, to_ms, bucket_ms: bucket * 1_000 }.rounded(now_ms)
}

fn oldest(now_ms: u64) -> u64 {
    now_ms.saturating_sub(Span::Day.kept() * Span::Day.millis())
}

fn time(field: &str, text: &str) -> Result<u64, Refused> {
    // A plus sign in a query is a space: the offset of a zone.
    let read = moment::rfc3339(text).or_else(|| moment::rfc3339(&text.replacen(' ', "+", 1)));
    read.ok_or_else(|| Refused::field(field, "expected an RFC 3339 time, such as 2026-11-22T16:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_123_456;

    fn within(pairs: &[(&str, &str)]) -> Within {
        let fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        serde_json::from_value(serde_json::Value::Object(fields)).unwrap()
    }

    #[test]
    fn a_range_ends_now_and_says_how_long_it_is() {
        assert_eq!(within(&[]).span(NOW).unwrap(), (NOW - 86_400_000, NOW));
        assert_eq!(within(&[("period", "7d")]).span(NOW).unwrap(), (NOW - 7 * 86_400_000, NOW));
        assert_eq!(within(&[("range", "15m"), ("from", "x")]).span(NOW).unwrap(), (NOW - 900_000, NOW));
        assert_eq!(within(&[("range", "2Y")]).span(NOW).unwrap().0, NOW - 400 * 86_400_000);
    }

    #[test]
    fn times_are_read_and_wrong_ones_named() {
        let span =
            within(&[("start_time", "2026-09-01T10:00:00+02:00"), ("end_time", "2026-09-01T09:00:00Z")]);
        assert_eq!(span.span(NOW).unwrap(), (1_788_249_600_000, 1_788_253_200_000));
        let spaced = within(&[("from", "2026-09-01T10:00:00 02:00"), ("to", "2026-09-01T09:00:00Z")]);
        assert_eq!(spaced.span(NOW).unwrap(), (1_788_249_600_000, 1_788_253_200_000));
        for (pairs, field) in [
            (&[("from", "yesterday")][..], "from"),
            (&[("from", "2026-09-01T10:00:00Z"), ("to", "2026-09-01T09:00:00Z")], "to"),
            (&[("range", "a day")], "range"),
        ] {
            assert_eq!(within(pairs).span(NOW).unwrap_err().problems[0].path, field);
        }
    }

    #[test]
    fn buckets_are_few_and_round() {
        for (range, bucket) in
            [("15m", 10), ("1h", 60), ("24h", 900), ("7d", 10_800), ("30d", 86_400), ("400d", 604_800)]
        {
            assert_eq!(
                within(&[("range", range)]).frame(NOW, 100).unwrap().bucket_ms,
                bucket * 1_000,
                "{range}"
            );
        }
    }
}
