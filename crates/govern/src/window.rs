//! The span of time a budget or a limit is for: the last minutes, or this day, week or month.
//!
//! A rolling window is always as long as it says and ends now. A calendar window begins where the calendar does
//! (UTC): days at midnight, weeks on Monday, months on the first, years on 1 January; shorter ones at whole
//! multiples since 1970. Months and years of a rolling window are 30 and 365 days.

use std::fmt;

use crate::moment::{civil, unix_days};

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;
/// 1970 began on a Thursday; weeks begin three days before it.
const DAYS_TO_MONDAY: i64 = 3;

/// A span such as `30s`, `5m`, `1h`, `1d`, `1w`, `1M` or `1Y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    count: u32,
    unit: Unit,
    calendar: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// From `start_ms` up to and without `end_ms`, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub start_ms: u64,
    pub end_ms: u64,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number and a unit, such as 30s, 5m, 1h, 1d, 1w, 1M (month) or 1Y, from 1s to 10Y")]
pub struct BadWindow;

impl Window {
    /// Ten years: nobody waits longer, and no sum of milliseconds overflows.
    const LONGEST_MS: u64 = 3_650 * DAY;

    /// Reads `text`: a whole number above 0 and one of the units `s`, `m`, `h`, `d`, `w`, `M`, `Y`.
    ///
    /// # Errors
    /// It is not of that form, or longer than ten years.
    pub fn parse(text: &str, calendar: bool) -> Result<Self, BadWindow> {
        let split = text.len().checked_sub(1).ok_or(BadWindow)?;
        let (digits, unit) = text.split_at_checked(split).ok_or(BadWindow)?;
        let unit = Unit::ALL.into_iter().find(|(letter, _)| *letter == unit).ok_or(BadWindow)?.1;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadWindow);
        }
        let count = digits.parse().map_err(|_| BadWindow)?;
        let window = Self { count, unit, calendar };
        if count == 0 || window.length_ms() > Self::LONGEST_MS { Err(BadWindow) } else { Ok(window) }
    }

    /// A rolling minute.
    #[must_use]
    pub const fn minute() -> Self {
        Self { count: 1, unit: Unit::Minute, calendar: false }
    }

    /// It begins where the calendar does.
    #[must_use]
    pub fn is_calendar(&self) -> bool {
        self.calendar
    }

    /// Its length in milliseconds, with months of 30 and years of 365 days.
    #[must_use]
    pub fn length_ms(&self) -> u64 {
        u64::from(self.count).saturating_mul(self.unit.millis())
    }

    /// The period that `now_ms` (Unix milliseconds) is in: of a rolling window the one that ends now.
    #[must_use]
    pub fn period(&self, now_ms: u64) -> Period {
        if !self.calendar {
            return Period { start_ms: now_ms.saturating_sub(self.length_ms()), end_ms: now_ms };
        }
        match self.unit {
            Unit::Month => self.months(now_ms, 1),
            Unit::Year => self.months(now_ms, 12),
            Unit::Week => {
                let shift = DAYS_TO_MONDAY.unsigned_abs() * DAY;
                let period = aligned(now_ms.saturating_add(shift), self.length_ms());
                let back = |at: u64| at.saturating_sub(shift);
                Period { start_ms: back(period.start_ms), end_ms: back(period.end_ms) }
            }
            _ => aligned(now_ms, self.length_ms()),
        }
    }

    /// Periods of whole months, counted from the year 0.
    fn months(&self, now_ms: u64, each: i64) -> Period {
        let length = i64::from(self.count) * each;
        let days = i64::try_from(now_ms / DAY).unwrap_or(i64::MAX / 2);
        let (year, month) = civil(days);
        let first = (year * 12 + month - 1).div_euclid(length) * length;
        Period { start_ms: month_start(first), end_ms: month_start(first + length) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter =
            Unit::ALL.into_iter().find(|(_, unit)| *unit == self.unit).map_or("s", |(letter, _)| letter);
        write!(f, "{}{letter}", self.count)
    }
}

impl Unit {
    const ALL: [(&'static str, Self); 7] = [
        ("s", Self::Second),
        ("m", Self::Minute),
        ("h", Self::Hour),
        ("d", Self::Day),
        ("w", Self::Week),
        ("M", Self::Month),
        ("Y", Self::Year),
    ];

    fn millis(self) -> u64 {
        match self {
            Self::Second => SECOND,
            Self::Minute => 60 * SECOND,
            Self::Hour => 3_600 * SECOND,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Year => 365 * DAY,
        }
    }
}

fn aligned(now_ms: u64, length: u64) -> Period {
    let start_ms = now_ms - now_ms % length.max(1);
    Period { start_ms, end_ms: start_ms.saturating_add(length) }
}

/// The first moment of a month, counted from January of the year 0; 0 before 1970.
fn month_start(months: i64) -> u64 {
    let days = unix_days(months.div_euclid(12), months.rem_euclid(12) + 1, 1).unwrap_or(0);
    u64::try_from(days).unwrap_or(0).saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        crate::moment::until(text, 0).unwrap()
    }

    fn period(window: &str, now: &str) -> (u64, u64) {
        let period = Window::parse(window, true).unwrap().period(at(now));
        (period.start_ms, period.end_ms)
    }

    #[test]
    fn calendar_periods_begin_where_the_calendar_does() {
        let noon = "2026-11-22T12:34:56.789Z";
        assert_eq!(period("1d", noon), (at("2026-11-22T00:00:00Z"), at("2026-11-23T00:00:00Z")));
        // A Sunday: its week began the Monday before.
        assert_eq!(period("1w", noon), (at("2026-11-16T00:00:00Z"), at("2026-11-23T00:00:00Z")));
        assert_eq!(period("1M", noon), (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")));
        assert_eq!(period("3M", noon), (at("2026-10-01T00:00:00Z"), at("2027-01-01T00:00:00Z")));
        assert_eq!(period("1Y", noon), (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")));
        assert_eq!(period("1h", noon), (at("2026-11-22T12:00:00Z"), at("2026-11-22T13:00:00Z")));
        assert_eq!(period("30s", noon), (at("2026-11-22T12:34:30Z"), at("2026-11-22T12:35:00Z")));
        assert_eq!(
            period("1M", "2024-02-29T23:59:59.999Z"),
            (at("2024-02-01T00:00:00Z"), at("2024-03-01T00:00:00Z"))
        );
        assert_eq!(period("1w", "1970-01-01T00:00:00Z").1, at("1970-01-05T00:00:00Z"));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in
            ["", "s", "0s", "1", "-1s", "+1s", "1.5h", "1D", "1mo", "11Y", "99999999999s", "1 h", "１h"]
        {
            assert_eq!(Window::parse(text, false), Err(BadWindow), "{text}");
        }
        for text in ["1s", "30s", "5m", "1h", "1d", "1w", "1M", "1Y", "10Y"] {
            assert_eq!(Window::parse(text, false).unwrap().to_string(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn now_is_in_its_period_and_periods_meet(now in 0_u64..4_102_444_800_000, count in 1_u32..10, unit in 0_usize..7) {
            let window = Window { count, unit: Unit::ALL[unit].1, calendar: true };
            let period = window.period(now);
            proptest::prop_assert!(period.start_ms <= now && now < period.end_ms);
            proptest::prop_assert_eq!(window.period(period.end_ms).start_ms, period.end_ms);
            proptest::prop_assert_eq!(window.period(period.start_ms), period);
        }
    }
}
