use super::*;
use crate::balance::{Candidate, Outlook, Strategy, choose, pick};
use crate::seeded::Seeded;
use proptest::prelude::*;

/// 2026-11-22T16:00:00Z.
const NOW: u64 = 1_795_363_200_000;

fn told(headers: &[(&str, &str)]) -> Vec<(bool, Option<u64>, u64, Option<u64>)> {
    let ours = |name: &str| concerns(&name.to_ascii_lowercase());
    assert!(headers.iter().all(|(name, _)| ours(name) || *name == "x-items-remaining"), "{headers:?}");
    let report = read(headers.iter().copied(), NOW);
    report
        .told
        .iter()
        .flatten()
        .map(|t| (t.counts != Counts::Calls, t.limit, t.remaining, t.refilled_in_ms))
        .collect()
}

/// One answer per family of names that providers have.
#[test]
fn each_vendors_limits_are_understood() {
    let openai = [
        ("X-RateLimit-Limit-Requests", "10000"),
        ("x-ratelimit-limit-tokens", "200000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "199984"),
        ("x-ratelimit-reset-requests", "8.64s"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    let wanted = [(false, Some(10_000), 9_999, Some(8_640)), (true, Some(200_000), 199_984, Some(360_000))];
    assert_eq!(told(&openai), wanted);
    let anthropic = [
        ("anthropic-ratelimit-input-tokens-limit", "40000"),
        ("anthropic-ratelimit-input-tokens-remaining", "39000"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-11-22T16:00:02Z"),
    ];
    assert_eq!(told(&anthropic), [(true, Some(40_000), 39_000, Some(2_000))]);
    let unified = [
        ("anthropic-ratelimit-unified-5h-utilization", "0.83"),
        ("anthropic-ratelimit-unified-5h-reset", "1795363260"),
    ];
    assert_eq!(told(&unified), [(false, Some(1_000_000), 170_000, Some(60_000))]);
    let azure = [("x-ratelimit-remaining-requests", "12"), ("x-ratelimit-remaining-tokens", "-40")];
    assert_eq!(told(&azure), [(false, None, 12, None), (true, None, 0, None)]);
    let cerebras = [
        ("x-ratelimit-limit-requests-day", "1440000"),
        ("x-ratelimit-remaining-requests-day", "1439999"),
        ("x-ratelimit-reset-requests-day", "4345.5"),
    ];
    assert_eq!(told(&cerebras), [(false, Some(1_440_000), 1_439_999, Some(4_345_500))]);
    let mistral = [("x-ratelimit-limit-req-minute", "60"), ("x-ratelimit-remaining-req-minute", "59")];
    assert_eq!(told(&mistral), [(false, Some(60), 59, None)]);
    let together = [
        ("x-ratelimit-limit", "10.5"),
        ("x-ratelimit-remaining", "9.5"),
        ("x-ratelimit-reset", "1"),
        ("x-tokenlimit-limit", "3000"),
        ("x-tokenlimit-remaining", "2900"),
    ];
    assert_eq!(told(&together), [(false, Some(10), 9, Some(1_000)), (true, Some(3_000), 2_900, None)]);
    let cohere = [("x-trial-endpoint-call-limit", "40"), ("x-trial-endpoint-call-remaining", "39")];
    assert_eq!(told(&cohere), [(false, Some(40), 39, None)]);
    let replicate = [("ratelimit-remaining", "5"), ("ratelimit-limit", "6"), ("ratelimit-reset", "10")];
    assert_eq!(told(&replicate), [(false, Some(6), 5, Some(10_000))]);
    let openrouter = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1795363230000")];
    assert_eq!(told(&openrouter), [(false, None, 0, Some(30_000))]);
    let elevenlabs = [("current-concurrent-requests", "4"), ("maximum-concurrent-requests", "10")];
    assert_eq!(told(&elevenlabs), [(false, Some(10), 6, Some(10_000))]);
    assert!(read([("x-ratelimit-over-limit", "yes")].into_iter(), NOW).strained);
}

#[test]
fn what_cannot_be_read_is_no_limit() {
    let odd = [
        ("x-ratelimit-remaining-requests", "many"),
        ("x-items-remaining", "3"),
        ("x-ratelimit-remaining-tokens", ""),
    ];
    assert_eq!(told(&odd), []);
    let headroom = Headroom::default();
    assert_eq!(headroom.permille(0), FULL);
}

fn minute(remaining: &str) -> Report {
    let headers = [
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-requests", remaining),
        ("x-ratelimit-reset-requests", "60s"),
    ];
    read(headers.into_iter(), NOW)
}

#[test]
fn calls_that_the_provider_has_not_counted_yet_are_counted_here() {
    let mut headroom = Headroom::default();
    let first = headroom.begin();
    headroom.hear(first, &minute("40"), 1_000);
    assert_eq!(headroom.permille(1_000), 400);
    let numbers: Vec<u64> = (0..30).map(|_| headroom.begin()).collect();
    assert_eq!(headroom.permille(1_000), 100);
    // The answer to the tenth knows of ten of them; twenty are still on their way.
    headroom.hear(numbers[9], &minute("30"), 1_000);
    assert_eq!(headroom.permille(1_000), 100);
    // One from before says nothing new.
    headroom.hear(numbers[3], &minute("36"), 1_000);
    assert_eq!(headroom.permille(1_000), 100);
    (0..10).for_each(|_| _ = headroom.begin());
    assert_eq!(headroom.permille(1_000), 0);
}

#[test]
fn a_bucket_refills_evenly_until_its_reset() {
    let mut headroom = Headroom::default();
    let number = headroom.begin();
    headroom.hear(number, &minute("0"), 0);
    assert_eq!(headroom.permille(0), 0);
    assert_eq!(headroom.permille(30_000), 500);
    assert_eq!(headroom.permille(60_000), FULL);
    assert_eq!(headroom.permille(600_000), FULL);
    // Calls that nobody told of since then do not count for ever.
    (0..500).for_each(|_| _ = headroom.begin());
    assert_eq!(headroom.permille(60_001), FULL);
}

fn only(pairs: &[(&str, &str)]) -> Headroom {
    let mut headroom = Headroom::default();
    let number = headroom.begin();
    headroom.hear(number, &read(pairs.iter().copied(), NOW), 0);
    headroom
}

#[test]
fn a_key_that_told_of_an_empty_bucket_once_was_never_asked_again() {
    let azure = only(&[("x-ratelimit-remaining-tokens", "0")]);
    assert_eq!((azure.permille(59_999), azure.permille(60_000)), (0, FULL));
    let past = only(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795363100")]);
    assert_eq!((past.permille(1_000), past.permille(60_000)), (0, FULL));
    let daily = only(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "24h0m0s")]);
    assert_eq!((daily.permille(299_999), daily.permille(300_000)), (0, FULL));
}

#[test]
fn a_limit_that_shrank_kept_its_key_back() {
    let mut headroom = only(&[("x-ratelimit-remaining-requests", "1000")]);
    let told = read([("x-ratelimit-remaining-requests", "60")].into_iter(), NOW);
    let number = headroom.begin();
    headroom.hear(number, &told, 70_000);
    assert_eq!(headroom.permille(70_000), FULL);
}

#[test]
fn input_was_charged_to_the_limit_of_the_output() {
    let mut headroom = only(&[
        ("anthropic-ratelimit-output-tokens-limit", "8000"),
        ("anthropic-ratelimit-output-tokens-remaining", "8000"),
    ]);
    headroom.used(20_000, 50);
    assert_eq!(headroom.permille(0), FULL);
    (0..80).for_each(|_| _ = headroom.begin());
    assert_eq!(headroom.permille(0), 500);
}

#[test]
fn a_full_bucket_is_never_too_small() {
    let mut headroom = only(&[("x-ratelimit-limit-tokens", "500"), ("x-ratelimit-remaining-tokens", "500")]);
    headroom.used(4_000, 1_000);
    assert_eq!(headroom.permille(0), FULL);
}

#[test]
fn tokens_are_counted_by_what_calls_have_cost() {
    let mut headroom = Headroom::default();
    headroom.used(900, 100);
    let headers = [("x-ratelimit-limit-tokens", "10000"), ("x-ratelimit-remaining-tokens", "2500")];
    let number = headroom.begin();
    headroom.hear(number, &read(headers.into_iter(), NOW), 0);
    assert_eq!(headroom.permille(0), 250);
    _ = headroom.begin();
    assert_eq!(headroom.permille(0), 150);
    _ = headroom.begin();
    assert_eq!(headroom.permille(0), 0, "500 tokens are too few for a call of 1,000");
}

#[test]
fn a_warning_without_numbers_is_believed_for_some_seconds() {
    let mut headroom = Headroom::default();
    let number = headroom.begin();
    headroom.hear(number, &read([("x-ratelimit-over-limit", "yes")].into_iter(), NOW), 0);
    assert_eq!(headroom.permille(0), 100);
    assert_eq!(headroom.permille(5_000), FULL);
}

proptest! {
    #[test]
    fn no_headers_panic(
        names in proptest::collection::vec("(x-)?(rate|token)limit-?(remaining|limit|reset|utilization)?-?[a-z]{0,8}", 0..12),
        values in proptest::collection::vec("[-0-9.smhTZ:]{0,24}|\\PC{0,6}", 12),
        now in any::<u64>(),
    ) {
        let headers = names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_str()));
        let report = read(headers, now);
        let mut headroom = Headroom::default();
        let number = headroom.begin();
        headroom.hear(number, &report, now);
        prop_assert!(headroom.permille(now) <= FULL);
        prop_assert!(headroom.permille(u64::MAX) <= FULL);
    }
}

/// A provider's own bucket of 60 requests a minute, as it counts.
struct Limited {
    left_milli: u64,
    at_ms: u64,
}

impl Limited {
    const LIMIT: u64 = 60;

    fn refill(&mut self, now: u64) {
        self.left_milli = (self.left_milli + (now - self.at_ms)).min(Self::LIMIT * 1_000);
        self.at_ms = now;
    }

    /// True when the call passes; what its headers say.
    fn call(&mut self, now: u64) -> (bool, Report) {
        self.refill(now);
        let passes = self.left_milli >= 1_000;
        if passes {
            self.left_milli -= 1_000;
        }
        let remaining = (self.left_milli / 1_000).to_string();
        let reset = format!("{}ms", Self::LIMIT * 1_000 - self.left_milli);
        let headers = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", &*remaining),
            ("x-ratelimit-reset-requests", &*reset),
        ];
        (passes, read(headers.into_iter(), NOW))
    }
}

/// Half an hour of callers at random moments that use 95 % of what ten keys allow together, each of which has used
/// 95 % of its bucket; answers take one to three seconds. How many were refused.
fn refused(strategy: Option<Strategy>, seed: u64) -> (u32, u32) {
    let mut random = Seeded(seed);
    let mut keys: Vec<Limited> = (0..10).map(|_| Limited { left_milli: 3_000, at_ms: 0 }).collect();
    let mut known = vec![Headroom::default(); 10];
    let mut under_way: Vec<(u64, usize, u64, Report)> = Vec::new();
    let (mut calls, mut refused) = (0, 0);
    for now in 0..1_800_000_u64 {
        under_way.retain(|(due, key, number, report)| {
            if *due == now {
                known[*key].hear(*number, report, now);
            }
            *due != now
        });
        // Ten calls a second are allowed; 9.5 come.
        if random.next() % 100_000 >= 950 {
            continue;
        }
        let key = match strategy {
            Some(strategy) => {
                let outlook = |known: &Headroom| Outlook { headroom: known.permille(now), ..Outlook::of(1) };
                choose(strategy, known.iter().map(outlook), random.next()).unwrap()
            }
            None => pick(&[Candidate { weight: 1, eligible: true }; 10], random.next()).unwrap(),
        };
        let number = known[key].begin();
        let (passed, report) = keys[key].call(now);
        calls += 1;
        refused += u32::from(!passed);
        under_way.push((now + 1_000 + random.next() % 2_000, key, number, report));
    }
    (calls, refused)
}

#[test]
fn ten_keys_at_95_percent_of_their_quota_are_hardly_ever_refused() {
    for seed in 1..=3 {
        let (_, blind) = refused(None, seed);
        for strategy in [Strategy::Weighted, Strategy::Adaptive] {
            let (calls, seeing) = refused(Some(strategy), seed);
            println!("seed {seed}: {strategy:?} {seeing} of {calls}, by weights alone {blind}");
            assert!(calls > 16_000, "the simulation hardly ran: {calls}");
            assert!(seeing * 1_000 <= calls, "seed {seed}: {seeing} of {calls} refused");
            assert!(
                blind > 5 * seeing.max(1),
                "seed {seed}: {blind} by weights alone, {seeing} by {strategy:?}"
            );
        }
    }
}
