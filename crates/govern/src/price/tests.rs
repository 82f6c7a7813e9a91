use super::*;
use proptest::prelude::*;

/// A dollar per million tokens, in femto-dollars per token.
const PER_MILLION: u64 = 1_000_000_000;
/// A dollar.
const DOLLAR: u64 = 1_000_000_000_000_000;
/// Micro-dollars in nano-dollars.
const MICRO: u64 = 1_000;

fn priced(rates: &[(Class, u64)]) -> Price {
    Price::new(rates.iter().map(|&(class, femtos)| rate(class, femtos))).unwrap()
}

fn rate(class: Class, femtos: u64) -> Rate {
    Rate { class, service: Service::Standard, above: 0, femtos }
}

/// $3 in, $15 out, $0.30 read, $3.75 write, $6 write for an hour, $10 per 1,000 searches.
fn sonnet() -> Price {
    priced(&[
        (Class::Input, 3 * PER_MILLION),
        (Class::Output, 15 * PER_MILLION),
        (Class::CacheRead, 3 * PER_MILLION / 10),
        (Class::CacheWrite, 375 * PER_MILLION / 100),
        (Class::CacheWrite1h, 6 * PER_MILLION),
        (Class::SearchMedium, DOLLAR / 100),
    ])
}

fn standard(price: &Price, counts: &TokenCounts) -> Bill {
    price.bill(counts, &Terms::default())
}

#[test]
fn each_class_is_billed_at_its_own_price_on_a_line_of_its_own() {
    let counts = TokenCounts {
        input_uncached: 1_000,
        cache_read: 20_000,
        cache_write: 4_000,
        cache_write_1h: 500,
        output: 700,
        web_searches: 2,
        ..TokenCounts::default()
    };
    let bill = standard(&sonnet(), &counts);
    let lines: Vec<(&str, u64, u64)> =
        bill.lines().iter().map(|line| (line.what.name(), line.quantity, line.nanos)).collect();
    assert_eq!(
        lines,
        [
            ("input", 1_000, 3_000_000),
            ("cache_read", 20_000, 6_000_000),
            ("cache_write", 4_000, 15_000_000),
            ("cache_write_1h", 500, 3_000_000),
            ("output", 700, 10_500_000),
            ("search", 2, 20_000_000),
        ]
    );
    assert_eq!(bill.nanos(), 57_500_000);
    assert!(bill.is_complete());
}

#[test]
fn parts_are_taken_out_of_their_side_not_added_to_it() {
    let price = priced(&[
        (Class::Input, 25 * PER_MILLION / 10),
        (Class::Output, 10 * PER_MILLION),
        (Class::AudioInput, 40 * PER_MILLION),
        (Class::AudioOutput, 80 * PER_MILLION),
        (Class::Reasoning, 20 * PER_MILLION),
    ]);
    let counts = TokenCounts {
        input_uncached: 1_000,
        audio_input: 400,
        output: 100,
        audio_output: 60,
        reasoning: 30,
        image_input: 100,
        ..TokenCounts::default()
    };
    // 600 × 2.5 + 400 × 40 + 10 × 10 + 30 × 20 + 60 × 80 micro-dollars; images have no price of their own
    let sum = (1_500 + 16_000 + 100 + 600 + 4_800) * MICRO;
    assert_eq!(cost(&price, &counts), sum);
    let absurd = TokenCounts { audio_input: u64::MAX, audio_output: u64::MAX, ..counts };
    assert_eq!(cost(&price, &absurd), (40_000 + 8_000) * MICRO, "no part is larger than its side");
}

#[test]
fn a_class_without_a_price_takes_that_of_its_family() {
    let price = priced(&[(Class::Input, PER_MILLION), (Class::Output, 2 * PER_MILLION)]);
    let all = TokenCounts {
        input_uncached: 10,
        cache_read: 10,
        cache_write: 10,
        cache_write_1h: 10,
        output: 10,
        reasoning: 3,
        audio_input: 5,
        audio_output: 5,
        web_searches: 9,
        requests: 1,
        ..TokenCounts::default()
    };
    assert_eq!(cost(&price, &all), 60 * MICRO);
    let written = price.overridden(&priced(&[(Class::CacheWrite, 5 * PER_MILLION)]));
    assert_eq!(cost(&written, &all), (20 + 100 + 20) * MICRO);
    let searched = price.overridden(&priced(&[(Class::SearchMedium, DOLLAR)]));
    let terms = Terms { search: SearchSize::High, ..Terms::default() };
    assert_eq!(searched.bill(&all, &terms).nanos(), 9_000_060_000);
}

#[test]
fn tokens_without_any_price_make_the_bill_incomplete() {
    let price = priced(&[(Class::Input, PER_MILLION)]);
    let counts = TokenCounts { input_uncached: 5, web_searches: 1, ..TokenCounts::default() };
    assert!(standard(&price, &counts).is_complete(), "a search without a price is a part of the answer");
    let bill = standard(&price, &TokenCounts { output: 1, ..counts });
    assert!(!bill.is_complete());
    assert_eq!(bill.nanos(), 5 * MICRO);
}

#[test]
fn images_are_billed_by_the_piece_or_by_tokens_never_both() {
    let by_piece = priced(&[(Class::Output, PER_MILLION), (Class::ImageOut, DOLLAR / 25)]);
    let counts = TokenCounts { output: 1_290, image_output: 1_290, images_out: 1, ..TokenCounts::default() };
    assert_eq!(cost(&by_piece, &counts), 1_290 * MICRO + 40_000_000);
    let both = by_piece.overridden(&priced(&[(Class::ImageOutput, 30 * PER_MILLION)]));
    assert_eq!(cost(&both, &counts), 38_700 * MICRO);
    let untold = TokenCounts { image_output: 0, ..counts };
    assert_eq!(cost(&both, &untold), 1_290 * MICRO + 40_000_000);
}

#[test]
fn a_long_prompt_is_dearer_as_a_whole() {
    let at = |class, above, dollars: u64| Rate { above, ..rate(class, dollars * PER_MILLION) };
    let price = Price::new([
        at(Class::Input, 0, 3),
        at(Class::Input, 200_000, 6),
        at(Class::Output, 0, 15),
        at(Class::Output, 200_000, 22),
        at(Class::CacheRead, 0, 1),
    ])
    .unwrap();
    let counts = |uncached, read| TokenCounts {
        input_uncached: uncached,
        cache_read: read,
        output: 1_000,
        ..TokenCounts::default()
    };
    assert_eq!(cost(&price, &counts(200_000, 0)), (600_000 + 15_000) * MICRO, "not above it yet");
    assert_eq!(cost(&price, &counts(200_001, 0)), (1_200_006 + 22_000) * MICRO);
    let cached = (300_000 + 150_000 + 22_000) * MICRO;
    assert_eq!(cost(&price, &counts(50_000, 150_000)), (150_000 + 150_000 + 15_000) * MICRO);
    let long = TokenCounts { input_uncached: 50_000, cache_read: 150_001, ..counts(0, 0) };
    assert_eq!(cost(&price, &long), cached + MICRO, "what was cached counts too");
}

#[test]
fn a_service_has_its_own_prices_and_the_standard_ones_where_it_has_none() {
    let of =
        |service, above, dollars: u64| Rate { service, above, ..rate(Class::Input, dollars * PER_MILLION) };
    let price = Price::new([
        of(Service::Standard, 0, 4),
        of(Service::Standard, 272_000, 8),
        of(Service::Flex, 0, 2),
        of(Service::Priority, 0, 9),
    ])
    .unwrap();
    let unit = |service, total| price.of(Class::Input, service, total).map(|femtos| femtos / PER_MILLION);
    assert_eq!(unit(Service::Flex, 1), Some(2));
    assert_eq!(unit(Service::Batch, 1), Some(4));
    assert_eq!(unit(Service::Batch, 300_000), Some(8));
    assert_eq!(unit(Service::Flex, 300_000), Some(8), "the dearer of the two where the table has a gap");
    assert_eq!(unit(Service::Priority, 300_000), Some(9));
    assert_eq!(price.of(Class::Query, Service::Flex, 1), None);
}

#[test]
fn services_are_told_by_the_words_of_the_answers() {
    for (word, service) in [
        ("default", Service::Standard),
        ("standard", Service::Standard),
        ("auto", Service::Standard),
        ("FLEX", Service::Flex),
        ("priority", Service::Priority),
        ("batch", Service::Batch),
        ("batches", Service::Batch),
        ("ultrafast", Service::Ultrafast),
        ("", Service::Standard),
    ] {
        assert_eq!(Service::named(word), service, "{word}");
    }
}

#[test]
fn uplifts_multiply_tokens_and_nothing_else() {
    let price = sonnet().uplifted(Uplift::InferenceUs, 1_100_000).uplifted(Uplift::Fast, 2_000_000);
    let counts = TokenCounts { input_uncached: 1_000, web_searches: 1, ..TokenCounts::default() };
    let bill = |uplifts| price.bill(&counts, &Terms { uplifts, ..Terms::default() }).nanos();
    let none = Uplifts::default();
    assert_eq!(bill(none), 3_000 * MICRO + 10_000_000);
    assert_eq!(bill(none.with(Uplift::InferenceUs)), 3_300 * MICRO + 10_000_000);
    assert_eq!(bill(none.with(Uplift::InferenceUs).with(Uplift::Fast)), 6_600 * MICRO + 10_000_000);
    assert_eq!(
        bill(none.with(Uplift::Endpoint)),
        3_000 * MICRO + 10_000_000,
        "no factor is published for it"
    );
}

#[test]
fn rounds_half_up_once_at_the_end() {
    let price = |femtos| priced(&[(Class::Input, femtos), (Class::Output, femtos)]);
    let one = TokenCounts { input_uncached: 1, ..TokenCounts::default() };
    assert_eq!(cost(&price(499_999), &one), 0);
    assert_eq!(cost(&price(500_000), &one), 1);
    // Two halves are one: rounding each line would make two.
    let both = TokenCounts { output: 1, ..one };
    let bill = standard(&price(500_000), &both);
    assert_eq!(bill.nanos(), 1);
    assert_eq!(bill.lines().iter().map(|line| line.nanos).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn an_override_replaces_what_it_names_and_keeps_the_rest() {
    let price = sonnet().uplifted(Uplift::Endpoint, 1_100_000);
    let changed = price.overridden(&priced(&[(Class::Output, PER_MILLION)]));
    let counts = TokenCounts { input_uncached: 10, output: 10, ..TokenCounts::default() };
    assert_eq!(cost(&changed, &counts), (30 + 10) * MICRO);
    assert_eq!(changed.uplifts().collect::<Vec<_>>(), [(Uplift::Endpoint, 1_100_000)]);
}

#[test]
fn a_common_request_is_three_parts_input_and_one_output() {
    assert_eq!(common(&priced(&[(Class::Input, 4_000), (Class::Output, 16_000)])), Some(7_000));
    assert_eq!(common(&priced(&[(Class::Input, 4_000)])), Some(3_000));
    assert_eq!(common(&priced(&[(Class::Request, 4_000)])), None);
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..10, 0_u64..1_000_000, any::<u64>()]
}

fn counts() -> impl Strategy<Value = TokenCounts> {
    proptest::collection::vec(count(), 16).prop_map(|n| TokenCounts {
        input_uncached: n[0],
        cache_read: n[1],
        cache_read_audio: n[2],
        cache_write: n[3],
        cache_write_1h: n[4],
        output: n[5],
        reasoning: n[6],
        audio_input: n[7],
        audio_output: n[8],
        image_input: n[9],
        image_output: n[10],
        images_in: n[11],
        images_out: n[12],
        web_searches: n[13],
        queries: n[14],
        requests: n[15],
    })
}

const CLASSES: [Class; 18] = [
    Class::Input,
    Class::AudioInput,
    Class::ImageInput,
    Class::CacheRead,
    Class::CacheReadAudio,
    Class::CacheWrite,
    Class::CacheWrite1h,
    Class::Output,
    Class::Reasoning,
    Class::AudioOutput,
    Class::ImageOutput,
    Class::ImageIn,
    Class::ImageOut,
    Class::Request,
    Class::Query,
    Class::SearchLow,
    Class::SearchMedium,
    Class::SearchHigh,
];

fn service() -> impl Strategy<Value = Service> {
    proptest::sample::select(vec![Service::Standard, Service::Batch, Service::Flex, Service::Priority])
}

fn rates(thresholds: bool) -> impl Strategy<Value = Vec<Rate>> {
    let above = if thresholds { vec![0, 128_000, 200_000] } else { vec![0] };
    let amount = prop_oneof![0_u64..1_000_000, 0_u64..1_000_000_000_000, any::<u64>()];
    let one =
        (proptest::sample::select(CLASSES.to_vec()), service(), proptest::sample::select(above), amount)
            .prop_map(|(class, service, above, femtos)| Rate { class, service, above, femtos });
    proptest::collection::vec(one, 1..30).prop_map(|rates| {
        // One for each key: of two the later would count, and then order would matter.
        let mut kept: Vec<Rate> = Vec::new();
        for rate in rates {
            if kept.iter().all(|other| other.key() != rate.key()) {
                kept.push(rate);
            }
        }
        kept
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    (
        service(),
        any::<bool>(),
        proptest::sample::select(vec![SearchSize::Low, SearchSize::Medium, SearchSize::High]),
    )
        .prop_map(|(service, us, search)| {
            let uplifts = Uplifts::default();
            Terms { service, uplifts: if us { uplifts.with(Uplift::InferenceUs) } else { uplifts }, search }
        })
}

proptest! {
    /// Whatever the counts and prices: also where every product is beyond 64 bits.
    #[test]
    fn lines_add_up_to_the_total(counts in counts(), rates in rates(true), terms in terms(), factor: u32) {
        let bill = Price::new(rates).unwrap().uplifted(Uplift::InferenceUs, factor).bill(&counts, &terms);
        let sum = bill.lines().iter().fold(0_u64, |sum, line| sum.checked_add(line.nanos).unwrap());
        prop_assert_eq!(sum, bill.nanos());
        let mut last = None;
        for line in bill.lines() {
            prop_assert!(line.quantity > 0);
            prop_assert!(last < Some(line.what), "each class stands once, in order");
            last = Some(line.what);
        }
    }

    #[test]
    fn the_total_is_the_exact_sum_rounded_once(counts in counts(), rates in rates(true), terms in terms()) {
        let bill = Price::new(rates).unwrap().bill(&counts, &terms);
        let exact = bill.lines().iter().fold(0_u128, |sum, line| {
            sum.saturating_add(u128::from(line.quantity) * u128::from(line.unit_femtos))
        });
        let rounded = exact.saturating_add(500_000) / 1_000_000;
        prop_assert_eq!(bill.nanos(), u64::try_from(rounded).unwrap_or(u64::MAX));
    }

    #[test]
    fn the_order_of_the_rates_does_not_matter(
        counts in counts(),
        (rates, shuffled) in rates(true).prop_flat_map(|rates| (Just(rates.clone()), Just(rates).prop_shuffle())),
        terms in terms(),
    ) {
        let (one, other) = (Price::new(rates).unwrap(), Price::new(shuffled).unwrap());
        prop_assert_eq!(one.bill(&counts, &terms), other.bill(&counts, &terms));
    }

    /// Without thresholds, more of anything that is not part of something else never costs less.
    #[test]
    fn more_never_costs_less(counts in counts(), rates in rates(false), terms in terms(), more: u32) {
        let price = Price::new(rates).unwrap();
        let before = price.bill(&counts, &terms).nanos();
        type Field = fn(&mut TokenCounts) -> &mut u64;
        let fields: [Field; 8] = [
            |c| &mut c.input_uncached, |c| &mut c.cache_read, |c| &mut c.cache_write, |c| &mut c.cache_write_1h,
            |c| &mut c.output, |c| &mut c.web_searches, |c| &mut c.queries, |c| &mut c.requests,
        ];
        for field in fields {
            let mut grown = counts;
            let bucket = field(&mut grown);
            *bucket = bucket.saturating_add(more.into());
            prop_assert!(price.bill(&grown, &terms).nanos() >= before);
        }
    }

    #[test]
    fn splitting_a_bill_moves_it_by_less_than_one_nano_dollar_per_part(
        a in 0_u64..10_000_000, b in 0_u64..10_000_000, femtos in 0_u64..1_000_000_000_000,
    ) {
        let price = priced(&[(Class::Input, femtos)]);
        let bill = |n| cost(&price, &TokenCounts { input_uncached: n, ..TokenCounts::default() });
        prop_assert!(bill(a + b).abs_diff(bill(a) + bill(b)) <= 1);
    }
}
