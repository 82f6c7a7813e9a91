use super::*;
use proptest::prelude::*;

/// 2026-11-22T16:00:00Z.
const NOW: u64 = 1_795_363_200_000;

#[test]
fn spans_are_read_exactly() {
    for (text, wanted) in [
        ("0", 0),
        ("2", 2_000),
        ("0.5", 500),
        (" 1.0001 ", 1_001),
        ("2.3", 2_300),
        ("1.1", 1_100),
        ("6m0s", 360_000),
        ("8.64s", 8_640),
        ("12ms", 12),
        ("1h2m3.4s", 3_723_400),
        ("2m59.56s", 179_560),
        ("250us", 1),
        ("1.5ms", 2),
        ("0s", 0),
        ("38s", 38_000),
        ("31536000", 31_536_000_000),
    ] {
        assert_eq!(until(text, NOW), Some(wanted), "{text}");
    }
}

#[test]
fn moments_are_told_apart_by_form_and_magnitude() {
    for (text, wanted) in [
        ("1795363205", 5_000),
        ("1795363205.25", 5_250),
        ("1795363200750", 750),
        ("1795363100", 0),
        ("2026-11-22T16:00:30Z", 30_000),
        ("2026-11-22T16:00:30.5Z", 30_500),
        ("2026-11-22T17:30:30+01:30", 30_000),
        ("2026-11-22T08:00:30.000-08:00", 30_000),
        ("2026-11-22T15:59:00Z", 0),
        ("Sun, 22 Nov 2026 16:02:00 GMT", 120_000),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
    ] {
        assert_eq!(until(text, NOW), Some(wanted), "{text}");
    }
}

#[test]
fn the_calendar_agrees_with_known_days() {
    for (date, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1994-11-06T08:49:37Z", 784_111_777),
        ("2000-02-29T12:00:00Z", 951_825_600),
        ("2000-03-01T00:00:00Z", 951_868_800),
        ("2024-12-31T23:59:59Z", 1_735_689_599),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
    ] {
        assert_eq!(rfc3339(date), Some(seconds * 1_000), "{date}");
    }
    assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
}

#[test]
fn every_day_follows_the_day_before() {
    let mut days = unix_days(1969, 12, 31).unwrap();
    for year in 1970..2200 {
        for month in 1..=12 {
            for day in (1..=31).filter_map(|day| unix_days(year, month, day)) {
                assert_eq!(day, days + 1);
                days = day;
            }
        }
    }
    // 2200-01-01 minus 1970-01-01, less one.
    assert_eq!(days, 230 * 365 + 56 - 1);
}

#[test]
fn what_cannot_be_read_is_none() {
    for text in [
        "",
        "soon",
        "-1",
        "+1",
        "1e3",
        "1.",
        ".5",
        "1.2.3",
        "NaN",
        "inf",
        "1d",
        "s",
        "5m3",
        "1h-2m",
        "2026-11-22",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T16:00:00",
        "Sun, 22 Nix 2026 16:02:00 GMT",
        "Sun, 22 Nov 2026 16:02:00 CET",
        "Sun, 22 Nov 2026 16:02:00 x GMT",
        "ä",
        "1µ",
        "99999999999999999999999999999999999999999",
    ] {
        assert_eq!(until(text, NOW), None, "{text:?}");
    }
}

#[test]
fn plain_milliseconds() {
    assert_eq!(millis("120"), Some(120));
    assert_eq!(millis("120.2"), Some(121));
    assert_eq!(millis("2s"), None);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}", now in any::<u64>()) {
        let _ = (until(&text, now), millis(&text));
    }

    #[test]
    fn no_near_miss_panics(text in "[0-9hmsun.:TZGMTJan, +µ-]{0,40}", now in any::<u64>()) {
        let _ = (until(&text, now), millis(&text));
    }
}
