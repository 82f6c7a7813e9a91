//! Times as Google writes them (RFC 3339 in UTC) into Unix seconds. Nothing here reads a clock.

/// `2025-11-18T09:30:00.123456Z` as Unix seconds; `None` for any other form.
pub(super) fn unix_seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = three(date.split('-'))?;
    let [hour, minute, second] = three(time.split('.').next()?.split(':'))?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    valid.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn three<'t>(mut parts: impl Iterator<Item = &'t str>) -> Option<[u64; 3]> {
    let mut next = || parts.next()?.parse::<u64>().ok();
    let found = [next()?, next()?, next()?];
    parts.next().is_none().then_some(found)
}

/// Days since 1970-01-01, counted in years that begin in March, so that leap days come last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600)),
            ("2025-11-18T09:30:01.123456Z", Some(1_763_458_201)),
            ("1969-12-31T23:59:59Z", None),
            ("2025-11-18T09:30:01+01:00", None),
            ("2025-13-18T09:30:01Z", None),
            ("now", None),
        ] {
            assert_eq!(unix_seconds(text), seconds, "{text}");
        }
    }
}
