//! How long a lookup takes among 100,000 vectors, what it finds, and what it costs: `cargo bench -p nearest`.
//!
//! Two kinds of vectors, because models differ: those of "wide" models have nothing in common (cosine of strangers about 0),
//! those of "narrow" ones nearly everything (0.75). A question is a kept vector, moved away to a cosine of 0.8, 0.9 or 0.97.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_precision_loss, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use nearest::{Packed, Partition, Query, Rotation, Scratch};

const ENTRIES: usize = 100_000;
const QUESTIONS: usize = 2_000;

fn main() {
    for dimension in [384, 1_536, 3_072] {
        for (name, common) in [("wide", 0.0), ("narrow", 0.75_f32)] {
            measure(dimension, name, common);
        }
    }
}

fn measure(dimension: usize, name: &str, common: f32) {
    let rotation = Rotation::of(dimension).unwrap();
    let mut random = Random(dimension as u64);
    let center = random.vector(dimension);
    let vectors: Vec<Vec<f32>> = (0..ENTRIES).map(|_| beside(&center, common.sqrt(), &mut random)).collect();
    let begun = Instant::now();
    let packed: Vec<Vec<u8>> =
        vectors.iter().map(|vector| Packed::of(vector, &rotation).unwrap().to_bytes()).collect();
    let pack = begun.elapsed() / ENTRIES as u32;
    let begun = Instant::now();
    let mut partition = Partition::new(rotation.width());
    for (key, bytes) in packed.iter().enumerate() {
        partition.add(key, &Packed::from_bytes(bytes, rotation.width()).unwrap()).unwrap();
    }
    let load = begun.elapsed();
    println!(
        "{dimension} {name}: {} MB, packed in {pack:?} each, {ENTRIES} added in {load:?}",
        partition.bytes() / 1_000_000
    );
    for near in [0.8, 0.9, 0.97] {
        let asked: Vec<(usize, Vec<f32>)> = (0..QUESTIONS)
            .map(|at| (at * (ENTRIES / QUESTIONS), ()))
            .map(|(key, ())| (key, beside(&vectors[key], near, &mut random)))
            .collect();
        let (mut scratch, mut took, mut found, mut true_best) = (Scratch::default(), Vec::new(), 0, 0);
        for (at, (key, vector)) in asked.iter().enumerate() {
            let begun = Instant::now();
            let query = Query::of(vector, &rotation).unwrap();
            let best = black_box(partition.nearest(&query, 4, &mut scratch, |_| true));
            took.push(begun.elapsed());
            found += usize::from(best[0].0 == *key);
            if at < 50 {
                let nearest = (0..ENTRIES).max_by(|one, other| {
                    dot(vector, &vectors[*one]).total_cmp(&dot(vector, &vectors[*other]))
                });
                true_best += usize::from(nearest == Some(best[0].0));
            }
        }
        took.sort_unstable();
        let at = |share: f64| took[((QUESTIONS - 1) as f64 * share) as usize];
        let (p50, p99, most): (Duration, Duration, Duration) = (at(0.5), at(0.99), at(1.0));
        println!(
            "  at {near}: p50 {p50:?}, p99 {p99:?}, most {most:?}; moved one found {:.2} %, same as exact scan {true_best} of 50",
            found as f64 * 100.0 / QUESTIONS as f64
        );
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        unit((0..dimension).map(|_| self.next() + self.next() + self.next()).collect())
    }
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    vector.iter().map(|value| value / length).collect()
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (one, other) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum += one[at] * other[at];
        }
    }
    sums.iter().sum()
}

/// A vector whose cosine with `to` is `near`.
fn beside(to: &[f32], near: f32, random: &mut Random) -> Vec<f32> {
    let other = random.vector(to.len());
    let along = dot(to, &other);
    let across = unit(other.iter().zip(to).map(|(value, to)| value - along * to).collect());
    let rest = (1.0 - near * near).sqrt();
    to.iter().zip(&across).map(|(to, across)| near * to + rest * across).collect()
}
