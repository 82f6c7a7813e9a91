//! `cargo bench -p govern`: reading the shipped table, looking a price up, billing an answer.

#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use govern::catalog::{Catalog, embedded};
use govern::price::{Service, Terms, TokenCounts};

const TABLE: &str = include_str!("../../../conf/catalog.json");

fn prices(bench: &mut Criterion) {
    bench.bench_function("read the shipped table", |b| {
        b.iter(|| Catalog::parse(black_box(TABLE.as_bytes())).map(|catalog| catalog.len()));
    });
    bench.bench_function("look up a name as it stands", |b| {
        b.iter(|| embedded().price(black_box("openai"), black_box("gpt-5.4")).is_some());
    });
    bench.bench_function("look up a regional name with a version", |b| {
        b.iter(|| embedded().price(black_box("bedrock"), black_box("us.amazon.nova-pro-v1:0")).is_some());
    });
    bench.bench_function("look up a name that nobody has", |b| {
        b.iter(|| {
            embedded().price(black_box("bedrock"), black_box("us.nobody.model-20250929-v1:0")).is_some()
        });
    });
    let Some(price) = embedded().price("openai", "gpt-5.4") else { return };
    let plain = TokenCounts { input_uncached: 900, output: 120, requests: 1, ..TokenCounts::default() };
    let rich = TokenCounts {
        cache_read: 300_000,
        cache_write: 2_000,
        reasoning: 70,
        audio_input: 10,
        web_searches: 2,
        ..plain
    };
    bench.bench_function("bill input and output", |b| {
        b.iter(|| black_box(price).bill(black_box(&plain), &Terms::default()).nanos());
    });
    let flex = Terms { service: Service::Flex, ..Terms::default() };
    bench.bench_function("bill a long prompt with caches, flex", |b| {
        b.iter(|| black_box(price).bill(black_box(&rich), black_box(&flex)).nanos());
    });
}

criterion_group!(benches, prices);
criterion_main!(benches);
