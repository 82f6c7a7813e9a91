use super::*;
use proptest::prelude::*;

/// 2026-11-22T16:00:00Z.
const NOW: u64 = 1_795_363_200_000;

fn after(headers: &[(&str, &str)]) -> Option<u64> {
    read(headers.iter().copied(), NOW).retry_after_ms
}

#[test]
fn an_explicit_wait_wins_and_milliseconds_are_the_more_exact() {
    let resets = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "9s")];
    let mut headers = vec![("Retry-After", "2")];
    headers.extend(resets);
    assert_eq!(after(&headers), Some(2_000));
    headers.push(("retry-after-ms", "1250"));
    assert_eq!(after(&headers), Some(1_250));
    assert_eq!(after(&resets), Some(9_000));
}

#[test]
fn retry_after_takes_its_forms() {
    assert_eq!(after(&[("retry-after", "0.5")]), Some(500));
    assert_eq!(after(&[("retry-after", "Sun, 22 Nov 2026 16:01:00 GMT")]), Some(60_000));
    assert_eq!(after(&[("retry-after", "Sun, 22 Nov 2020 16:01:00 GMT")]), Some(0));
    assert_eq!(after(&[("retry-after", "later")]), None);
    assert_eq!(after(&[("retry-after", "later"), ("retry-after", "3")]), Some(3_000));
}

#[test]
fn only_the_reset_of_an_empty_bucket_counts() {
    let mut headers = vec![
        ("x-ratelimit-remaining-requests", "12"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "8.64s"),
    ];
    assert_eq!(after(&headers), Some(8_640));
    headers[0].1 = "0";
    assert_eq!(after(&headers), Some(360_000));
    headers[0].1 = "12";
    headers[2].1 = "3";
    assert_eq!(after(&headers), None);
}

#[test]
fn each_vendors_way_of_naming_buckets_is_understood() {
    for (remaining, reset, value, wanted) in [
        (
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
            "2026-11-22T16:00:07Z",
            7_000,
        ),
        ("X-RateLimit-Remaining", "X-RateLimit-Reset", "1795363201500", 1_500),
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "1795363204", 4_000),
        ("x-ratelimit-remaining-tokens-minute", "x-ratelimit-reset-tokens-minute", "11.25", 11_250),
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "2m59.56s", 179_560),
        ("ratelimit-remaining", "ratelimit-reset", "1", 1_000),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "12ms", 12),
    ] {
        assert_eq!(after(&[(reset, value), (remaining, "0")]), Some(wanted), "{reset}: {value}");
        assert_eq!(after(&[(reset, value), (remaining, "5")]), None);
        assert_eq!(after(&[(reset, value)]), None);
    }
}

#[test]
fn a_bucket_without_a_reset_and_headers_of_other_kinds_say_nothing() {
    assert_eq!(after(&[("x-ratelimit-remaining-req-minute", "0")]), None);
    assert_eq!(after(&[("x-credits-remaining", "0"), ("x-credits-reset", "5")]), None);
    assert_eq!(after(&[("x-ratelimit-remaining-a", "0"), ("x-ratelimit-reset-b", "5")]), None);
    assert_eq!(read([].into_iter(), NOW), RetryHint::default());
}

#[test]
fn should_retry_is_passed_on() {
    let should = |value| read([("X-Should-Retry", value)].into_iter(), NOW).should_retry;
    assert_eq!(should("true"), Some(true));
    assert_eq!(should("false"), Some(false));
    assert_eq!(should("maybe"), None);
}

proptest! {
    #[test]
    fn no_headers_panic(
        headers in prop::collection::vec(("[a-zé-]{0,30}", "\\PC{0,20}"), 0..6), now in any::<u64>(),
    ) {
        let _ = read(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())), now);
    }
}
