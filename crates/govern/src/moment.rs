//! Header values that mean a span or a moment: all become milliseconds from now, rounded up.
//!
//! Exact integer arithmetic, no calendar beyond what HTTP and RFC 3339 need. A moment that has passed is
//! zero; what cannot be read is `None`, never a guess.

const NANOS_PER_MS: u128 = 1_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Plain numbers from here on are seconds since 1970 (2001 and later), not a span (31 years).
const EPOCH_SECONDS_FROM: u128 = 1_000_000_000;
/// And from here on milliseconds since 1970 (as seconds it would be the year 5138).
const EPOCH_MS_FROM: u128 = 100_000_000_000;

/// Milliseconds from now until `text`: seconds (`1`, `0.5`), a Go duration (`6m0s`, `12ms`,
/// `1h2m3.4s`), a Unix time in seconds or milliseconds, an RFC 3339 time or an HTTP date.
#[must_use]
pub fn until(text: &str, now_unix_ms: u64) -> Option<u64> {
    let text = text.trim();
    if let Some(nanos) = decimal(text, NANOS_PER_SECOND) {
        let now = u128::from(now_unix_ms) * NANOS_PER_MS;
        let nanos = match nanos / NANOS_PER_SECOND {
            EPOCH_MS_FROM.. => (nanos / 1_000).saturating_sub(now),
            EPOCH_SECONDS_FROM.. => nanos.saturating_sub(now),
            _ => nanos,
        };
        return Some(ms(nanos));
    }
    duration(text).or_else(|| Some(rfc3339(text).or_else(|| http_date(text))?.saturating_sub(now_unix_ms)))
}

/// A plain number of milliseconds, rounded up.
#[must_use]
pub fn millis(text: &str) -> Option<u64> {
    decimal(text.trim(), NANOS_PER_MS).map(ms)
}

fn ms(nanos: u128) -> u64 {
    u64::try_from(nanos.div_ceil(NANOS_PER_MS)).unwrap_or(u64::MAX)
}

/// A decimal number of `unit` nanoseconds each. No sign, no exponent.
fn decimal(text: &str, unit: u128) -> Option<u128> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    u128::try_from(digits(whole)?).ok()?.checked_mul(unit)?.checked_add(fraction(rest, unit)?)
}

/// The digits after a point, as a part of `unit`; what is below one nanosecond is cut.
fn fraction(text: &str, unit: u128) -> Option<u128> {
    let (mut sum, mut place) = (0_u128, unit);
    for byte in text.bytes() {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit <= 9)?;
        place /= 10;
        sum += place * u128::from(digit);
    }
    (!text.is_empty()).then_some(sum)
}

/// A number written in ASCII digits only (`parse` alone would take a sign).
fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Exactly `width` digits.
fn field(text: &str, width: usize) -> Option<i64> {
    if text.len() == width { digits(text) } else { None }
}

/// Go's duration format, in milliseconds.
fn duration(text: &str) -> Option<u64> {
    let (mut rest, mut nanos) = (text, 0_u128);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, tail) = rest.split_at_checked(number)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = match unit {
            "h" => 3_600 * NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "s" => NANOS_PER_SECOND,
            "ms" => NANOS_PER_MS,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        nanos = nanos.checked_add(decimal(value, unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| ms(nanos))
}

/// `2026-11-22T16:00:00.5+01:00` as Unix milliseconds.
#[must_use]
pub fn rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let days = unix_days(field(year, 4)?, field(month, 2)?, field(day, 2)?)?;
    let (clock, offset) = match rest.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => zone(rest)?,
    };
    let (clock, below) = clock.split_once('.').unwrap_or((clock, "0"));
    let seconds = days * 86_400 + seconds_of_day(clock)? - offset;
    u64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(ms(fraction(below, NANOS_PER_SECOND)?))
}

/// `12:00:00+01:30` as the clock and its offset from UTC in seconds.
fn zone(text: &str) -> Option<(&str, i64)> {
    let (clock, zone) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = field(hours, 2)? * 3_600 + field(minutes, 2)? * 60;
    Some((clock, if zone.starts_with('-') { -seconds } else { seconds }))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as Unix milliseconds. The two obsolete forms are not read: no
/// provider sends them.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.strip_suffix(" GMT")?.split(' ');
    let day = field(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = (1..).zip(MONTHS).find(|(_, month)| *month == name)?.0;
    let days = unix_days(field(parts.next()?, 4)?, month, day)?;
    let seconds = days * 86_400 + seconds_of_day(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    u64::try_from(seconds).ok()?.checked_mul(1_000)
}

/// `08:49:37`; a leap second counts as the second after it.
fn seconds_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) =
        (field(parts.next()?, 2)?, field(parts.next()?, 2)?, field(parts.next()?, 2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar. Years count from March here, so that the leap day
/// is the last of its year and months have one closed form.
pub(crate) fn unix_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

/// The year and month (1 to 12) of a day since 1970-01-01: the way back of [`unix_days`].
pub(crate) fn civil(days: i64) -> (i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    (if month <= 2 { year + 1 } else { year }, month)
}

#[cfg(test)]
mod tests;
