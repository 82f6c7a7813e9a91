use super::*;
use proptest::prelude::*;

const DOLLAR: u64 = 1_000_000_000;

/// $3 in, $15 out, $0.30 read, $3.75 write, $6 write for an hour, $10 per 1,000 searches.
const SONNET: Price = Price {
    input: Some(3 * DOLLAR),
    output: Some(15 * DOLLAR),
    cache_read: Some(300_000_000),
    cache_write: Some(3_750_000_000),
    cache_write_1h: Some(6 * DOLLAR),
    audio_input: None,
    audio_output: None,
    web_search: Some(10_000_000),
};

#[test]
fn each_class_is_billed_at_its_own_price() {
    let counts = TokenCounts {
        input_uncached: 1_000,
        cache_read: 20_000,
        cache_write: 4_000,
        cache_write_1h: 500,
        output: 700,
        web_searches: 2,
        ..TokenCounts::default()
    };
    // 0.003 + 0.006 + 0.015 + 0.003 + 0.0105 + 0.02 dollars
    assert_eq!(cost(&SONNET, &counts), 57_500_000);
}

#[test]
fn audio_is_taken_out_of_its_side_not_added_to_it() {
    let price = Price {
        input: Some(2_500_000_000),
        output: Some(10 * DOLLAR),
        audio_input: Some(40 * DOLLAR),
        audio_output: Some(80 * DOLLAR),
        ..Price::default()
    };
    let counts = TokenCounts {
        input_uncached: 1_000,
        audio_input: 400,
        output: 100,
        audio_output: 60,
        ..TokenCounts::default()
    };
    // 600 × 2.5 + 400 × 40 + 40 × 10 + 60 × 80 micro-dollars
    assert_eq!(cost(&price, &counts), (1_500 + 16_000 + 400 + 4_800) * 1_000);
    let absurd = TokenCounts { audio_input: u64::MAX, ..counts };
    assert_eq!(cost(&price, &absurd), (40_000 + 400 + 4_800) * 1_000);
}

#[test]
fn a_class_without_a_price_takes_that_of_its_family() {
    let price = Price { input: Some(DOLLAR), output: Some(2 * DOLLAR), ..Price::default() };
    let all = TokenCounts {
        input_uncached: 10,
        cache_read: 10,
        cache_write: 10,
        cache_write_1h: 10,
        output: 10,
        audio_input: 5,
        audio_output: 5,
        web_searches: 9,
    };
    assert_eq!(cost(&price, &all), 40_000 + 20_000);
    let written = Price { cache_write: Some(5 * DOLLAR), ..price };
    assert_eq!(cost(&written, &all), 20_000 + 100_000 + 20_000);
}

#[test]
fn rounds_half_up_once_at_the_end() {
    let price = |input| Price { input: Some(input), output: Some(input), ..Price::default() };
    let one = TokenCounts { input_uncached: 1, ..TokenCounts::default() };
    assert_eq!(cost(&price(499_999), &one), 0);
    assert_eq!(cost(&price(500_000), &one), 1);
    // Two halves are one: rounding each line would make two.
    let both = TokenCounts { output: 1, ..one };
    assert_eq!(cost(&price(500_000), &both), 1);
}

#[test]
fn the_largest_counts_saturate() {
    let price = Price { input: Some(u64::MAX), web_search: Some(u64::MAX), ..Price::default() };
    let counts = TokenCounts {
        input_uncached: u64::MAX,
        cache_read: u64::MAX,
        web_searches: u64::MAX,
        ..TokenCounts::default()
    };
    assert_eq!(cost(&price, &counts), u64::MAX);
}

proptest! {
    #[test]
    fn splitting_a_bill_moves_it_by_less_than_one_nano_dollar_per_part(
        a in 0_u64..10_000_000, b in 0_u64..10_000_000, input in 0_u64..1_000_000_000_000,
    ) {
        let price = Price { input: Some(input), ..Price::default() };
        let bill = |n| cost(&price, &TokenCounts { input_uncached: n, ..TokenCounts::default() });
        prop_assert!(bill(a + b).abs_diff(bill(a) + bill(b)) <= 1);
    }
}

#[test]
fn a_common_request_is_three_parts_input_and_one_output() {
    let price = |input, output| Price { input, output, ..Price::default() };
    assert_eq!(common(&price(Some(4_000), Some(16_000))), Some(7_000));
    assert_eq!(common(&price(Some(4_000), None)), Some(3_000));
    assert_eq!(common(&price(None, None)), None);
}
