use proptest::prelude::*;

use super::*;
use crate::seeded::Seeded;

/// The exact value by the nearest rank.
fn exact(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = rank(share, u64::try_from(sorted.len()).unwrap());
    sorted[usize::try_from(rank - 1).unwrap()]
}

fn of(values: &[u64]) -> Sketch {
    let mut sketch = Sketch::default();
    values.iter().for_each(|value| sketch.add(*value));
    sketch
}

fn within(found: u64, exact: u64) -> bool {
    found.abs_diff(exact) as f64 <= exact as f64 * Sketch::ERROR
}

fn written(sketch: &Sketch) -> Vec<u8> {
    let mut bytes = Vec::new();
    sketch.write(&mut bytes);
    bytes
}

#[test]
fn the_first_and_the_last_rank_are_the_smallest_and_the_largest_value() {
    let sketch = of(&[3, 40, 7]);
    assert_eq!(sketch.quantile(0.0), Some(3));
    assert_eq!(sketch.quantile(0.5), Some(7));
    assert_eq!(sketch.quantile(1.0), Some(40));
    assert_eq!((sketch.count(), sketch.sum(), sketch.mean()), (3, 50, Some(16)));
}

#[test]
fn nothing_has_no_percentile() {
    assert_eq!(Sketch::default().quantile(0.5), None);
    assert_eq!(Sketch::default().mean(), None);
    assert_eq!(written(&Sketch::default()), [0]);
}

#[test]
fn extreme_values_have_their_place() {
    for value in [0, 1, 31, 32, 63, 64, 65, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        let found = of(&[value]).quantile(0.5).unwrap();
        assert!(within(found, value), "{value}: {found}");
    }
    assert!(step(u64::MAX) < ALL);
    assert_eq!(of(&[u64::MAX, 1]).sum(), u64::MAX);
}

#[test]
fn steps_follow_each_other_without_gaps() {
    let mut before = 0;
    for value in 0..100_000_u64 {
        let now = step(value);
        assert!(now == before || now == before + 1, "{value}: {before} then {now}");
        before = now;
    }
}

#[test]
fn values_above_a_limit_are_counted() {
    let sketch = of(&[10, 20, 30, 1_000, 2_000]);
    assert_eq!((sketch.above(20), sketch.above(5_000), sketch.above(0)), (3, 0, 5));
}

#[test]
fn a_minute_of_answers_is_a_few_hundred_bytes_and_a_quiet_one_a_few() {
    let quiet = written(&of(&[812_000, 1_204_000, 3_500_000, 790_000]));
    assert!(quiet.len() <= 16, "{} bytes", quiet.len());
    // Log-normal times of an answer, as models have them: 0.2 s to 20 s.
    let mut seeded = Seeded(7);
    let normal = |seeded: &mut Seeded| {
        (0..12).map(|_| (seeded.next() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0
    };
    let times: Vec<u64> = (0..6_000).map(|_| (1.5e6 * (0.8 * normal(&mut seeded)).exp()) as u64).collect();
    let sketch = of(&times);
    let bytes = written(&sketch).len();
    println!("6,000 times: {bytes} bytes written, {} in memory", sketch.footprint());
    assert!(bytes < 700, "{bytes} bytes");
    for share in [0.5, 0.9, 0.95, 0.99, 0.999] {
        let (found, exact) = (sketch.quantile(share).unwrap(), exact(&times, share));
        assert!(within(found, exact), "p{share}: {found} for {exact}");
    }
}

#[test]
fn bytes_that_no_sketch_wrote_are_refused() {
    let whole = written(&of(&[5, 1_000, 1_000]));
    for cut in 0..whole.len() {
        let mut rest = &whole[..cut];
        assert_eq!(Sketch::default().merge_written(&mut rest), Err(Broken), "cut at {cut}");
        assert_eq!(Sketch::skip_written(&mut &whole[..cut]), Err(Broken), "cut at {cut}");
    }
    // A step twice, a step that there is not, a count of nothing, a number beyond 64 bits.
    let far = [1, 0, 0x81, 0x80, 0x80, 1];
    let endless = [0xff; 11];
    for bytes in [&[2, 9, 3, 1][..], &far, &[1, 9, 2, 0], &endless] {
        assert_eq!(Sketch::default().merge_written(&mut &*bytes), Err(Broken), "{bytes:?}");
    }
}

/// Times as they are: from nothing to an hour in microseconds, and anything.
fn values() -> impl Strategy<Value = Vec<u64>> {
    let any = prop_oneof![0_u64..64, 0_u64..100_000, 0_u64..3_600_000_000, any::<u64>()];
    prop::collection::vec(any, 1..400)
}

proptest! {
    #[test]
    fn percentiles_are_within_the_error_of_the_exact_ones(values in values(), share in 0.0_f64..=1.0) {
        let (found, exact) = (of(&values).quantile(share).unwrap(), exact(&values, share));
        prop_assert!(within(found, exact), "p{share}: {found} for {exact}");
    }

    #[test]
    fn several_percentiles_are_the_same_as_each(values in values(), a in 0.0_f64..=1.0, b in 0.0_f64..=1.0) {
        let sketch = of(&values);
        let (low, high) = (a.min(b), a.max(b));
        prop_assert_eq!(sketch.quantiles([low, high]), Some([sketch.quantile(low).unwrap(), sketch.quantile(high).unwrap()]));
    }

    #[test]
    fn merging_is_adding_in_any_order(one in values(), two in values()) {
        let (a, b) = (of(&one), of(&two));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(&ab, &of(&[one, two].concat()));
    }

    #[test]
    fn what_is_written_is_read_and_merged_as_it_was(one in values(), two in values()) {
        let (a, b) = (of(&one), of(&two));
        let bytes = [written(&a), written(&b), vec![42]].concat();
        let (mut rest, mut skipped, mut read) = (&*bytes, &*bytes, Sketch::default());
        read.merge_written(&mut rest).unwrap();
        prop_assert_eq!(&read, &a);
        read.merge_written(&mut rest).unwrap();
        prop_assert_eq!(rest, [42]);
        Sketch::skip_written(&mut skipped).unwrap();
        Sketch::skip_written(&mut skipped).unwrap();
        prop_assert_eq!(skipped, [42]);
        let mut both = a;
        both.merge(&b);
        prop_assert_eq!(read, both);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut sketch = Sketch::default();
        if sketch.merge_written(&mut &*bytes).is_ok() {
            prop_assert!(Sketch::skip_written(&mut &*bytes).is_ok());
        }
    }
}
