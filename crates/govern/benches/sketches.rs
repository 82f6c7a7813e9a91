//! `cargo bench -p govern --bench sketches`: what a distribution costs to add to, to add up and to read.

#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use govern::sketch::Sketch;

/// Times of answers as models have them, from a fixed seed: mostly 0.3 s to 10 s, in microseconds.
fn times(count: usize) -> Vec<u64> {
    let mut seed = 7_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut normal = move || (0..12).map(|_| next()).sum::<f64>() - 6.0;
    (0..count).map(|_| (1.5e6 * (0.8 * normal()).exp()) as u64).collect()
}

fn sketches(bench: &mut Criterion) {
    let times = times(60_000);
    let minutes: Vec<Sketch> = times
        .chunks(1_000)
        .map(|minute| {
            let mut sketch = Sketch::default();
            minute.iter().for_each(|time| sketch.add(*time));
            sketch
        })
        .collect();
    let written: Vec<Vec<u8>> = minutes
        .iter()
        .map(|sketch| {
            let mut bytes = Vec::new();
            sketch.write(&mut bytes);
            bytes
        })
        .collect();
    let bytes: usize = written.iter().map(Vec::len).sum();
    println!("a minute of 1,000 requests: {} bytes", bytes / written.len().max(1));
    bench.bench_function("add a time", |b| {
        let (mut sketch, mut at) = (minutes.first().cloned().unwrap_or_default(), 0);
        b.iter(|| {
            at = (at + 7_919) % times.len();
            sketch.add(black_box(times.get(at).copied().unwrap_or_default()));
        });
    });
    bench.bench_function("add up 60 minutes of 1,000 requests", |b| {
        b.iter(|| {
            let mut sum = Sketch::default();
            minutes.iter().for_each(|minute| sum.merge(black_box(minute)));
            sum
        });
    });
    bench.bench_function("add up the same as they are stored", |b| {
        b.iter(|| {
            let mut sum = Sketch::default();
            for bytes in &written {
                let _ = black_box(sum.merge_written(&mut &**bytes));
            }
            sum
        });
    });
    bench.bench_function("four percentiles", |b| {
        let mut sum = Sketch::default();
        minutes.iter().for_each(|minute| sum.merge(minute));
        b.iter(|| black_box(&sum).quantiles([0.5, 0.9, 0.95, 0.99]));
    });
}

criterion_group!(benches, sketches);
criterion_main!(benches);
