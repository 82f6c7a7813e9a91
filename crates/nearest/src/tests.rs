use proptest::prelude::*;

use super::*;

/// Random numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        // Sums of several are nearly normal.
        unit((0..dimension).map(|_| (0..4).map(|_| self.next()).sum()).collect())
    }
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// A vector whose cosine with `to` is `near`.
fn beside(to: &[f32], near: f32, random: &mut Random) -> Vec<f32> {
    let other = random.vector(to.len());
    let along = cosine(to, &other);
    let across = unit(other.iter().zip(to).map(|(value, to)| value - along * to).collect());
    let rest = (1.0 - near * near).sqrt();
    to.iter().zip(&across).map(|(to, across)| near * to + rest * across).collect()
}

#[test]
fn a_turn_keeps_every_angle_and_spreads_what_is_in_one_number() {
    let mut random = Random(1);
    for dimension in [1, 2, 63, 64, 100, 384, 1_000, 1_536] {
        let rotation = Rotation::of(dimension).unwrap();
        let (one, other) = (random.vector(dimension), random.vector(dimension));
        let turned = [rotation.turn(&one).unwrap(), rotation.turn(&other).unwrap()];
        let difference = cosine(&one, &other) - cosine(&turned[0], &turned[1]);
        assert!(difference.abs() < 1e-5, "{dimension}: {difference}");
    }
    let rotation = Rotation::of(1_536).unwrap();
    let mut lone = vec![0.0; 1_536];
    lone[7] = 3.0;
    let turned = rotation.turn(&lone).unwrap();
    let most = turned.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(most < 0.15, "{most}");
    assert!((cosine(&turned, &turned) - 1.0).abs() < 1e-5);
}

#[test]
fn the_turn_of_a_length_is_the_same_for_good() {
    // What was written down by an earlier version is compared with what this one turns.
    let vector: Vec<f32> = (0_u8..96).map(|at| f32::from(at) - 40.5).collect();
    let bytes = Packed::of(&vector, &Rotation::of(96).unwrap()).unwrap().to_bytes();
    let sum = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    assert_eq!((bytes.len(), sum), (129, 16_998_730_579_134_181_661));
}

#[test]
fn vectors_that_are_none_are_not_taken() {
    assert!(Rotation::of(0).is_none() && Rotation::of(LARGEST + 1).is_none());
    let rotation = Rotation::of(3).unwrap();
    for none in [vec![], vec![1.0, 2.0], vec![0.0; 3], vec![f32::NAN, 1.0, 1.0], vec![f32::INFINITY; 3]] {
        assert!(Packed::of(&none, &rotation).is_none(), "{none:?}");
        assert!(Query::of(&none, &rotation).is_none(), "{none:?}");
    }
    let packed = Packed::of(&[1.0, 2.0, 3.0], &rotation).unwrap();
    assert!(Partition::new(128).add(1, &packed).is_none());
    assert!(Packed::from_bytes(&[1; 65], 128).is_none());
    assert!(Packed::from_bytes(&[2; 65], 64).is_none() && Packed::from_bytes(&[1, 0], 1).is_none());
}

#[test]
fn similarities_are_those_of_the_vectors_within_a_thousandth() {
    let mut random = Random(2);
    let mut worst = 0.0_f32;
    for dimension in [384, 768, 1_536, 3_072] {
        let rotation = Rotation::of(dimension).unwrap();
        for near in [-0.5, 0.0, 0.5, 0.8, 0.95, 1.0] {
            let one = random.vector(dimension);
            let other = beside(&one, near, &mut random);
            let mut partition = Partition::new(rotation.width());
            partition.add((), &Packed::of(&one, &rotation).unwrap()).unwrap();
            let query = Query::of(&other, &rotation).unwrap();
            let found = partition.nearest(&query, 1, &mut Scratch::default(), |()| true);
            worst = worst.max((found[0].1 - near).abs());
        }
    }
    assert!(worst < 0.001, "{worst}");
}

#[test]
fn what_is_near_is_found_among_thousands_that_are_not() {
    let mut random = Random(3);
    let rotation = Rotation::of(384).unwrap();
    let mut partition = Partition::new(rotation.width());
    // All of them have something in common, as embeddings of one language have.
    let common = random.vector(384);
    let vectors: Vec<_> = (0..5_000).map(|_| beside(&common, 0.7, &mut random)).collect();
    for (key, vector) in vectors.iter().enumerate() {
        partition.add(key, &Packed::of(vector, &rotation).unwrap()).unwrap();
    }
    let (mut scratch, mut found) = (Scratch::default(), 0);
    for key in (0..5_000).step_by(25) {
        let query = Query::of(&beside(&vectors[key], 0.85, &mut random), &rotation).unwrap();
        let best = partition.nearest(&query, 3, &mut scratch, |_| true);
        assert!(best.len() == 3 && best.is_sorted_by(|one, other| one.1 >= other.1));
        found += usize::from(best[0].0 == key);
        let others = partition.nearest(&query, 3, &mut scratch, |other| other != key);
        assert!(others.iter().all(|(other, _)| *other != key));
    }
    assert!(found >= 198, "{found} of 200");
}

proptest! {
    /// Entries that are added and removed at random: exactly those that are left are found, each by itself.
    #[test]
    fn what_was_removed_is_never_found_and_what_is_left_always(steps in prop::collection::vec((0_u32..60, any::<bool>()), 1..700)) {
        let rotation = Rotation::of(64).unwrap();
        let vector = |key: u32| Random(u64::from(key) * 7 + 1).vector(64);
        let mut partition = Partition::new(rotation.width());
        let mut places: std::collections::HashMap<u32, usize> = std::collections::HashMap::new();
        for (key, add) in steps {
            match places.get(&key).copied() {
                None if add => {
                    places.insert(key, partition.add(key, &Packed::of(&vector(key), &rotation).unwrap()).unwrap());
                }
                Some(place) if !add => {
                    places.remove(&key);
                    if let Some(moved) = partition.remove(place) {
                        places.insert(moved, place);
                    }
                }
                _ => {}
            }
        }
        prop_assert_eq!(partition.len(), places.len());
        let mut scratch = Scratch::default();
        for key in 0..60 {
            let query = Query::of(&vector(key), &rotation).unwrap();
            let found = partition.nearest(&query, 1, &mut scratch, |_| true);
            let itself = found.first().is_some_and(|(known, near)| *known == key && *near > 0.999);
            prop_assert_eq!(itself, places.contains_key(&key));
        }
        prop_assert!(partition.remove(partition.len()).is_none());
    }
}
