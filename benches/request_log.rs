//! Fills a request log with as many requests as are asked for, in a realistic mix, and measures what a person asks of it.
//!
//! `cargo bench --bench request_log -- --rows 10000000 --file /tmp/requests.db`. A file that has them already is only measured.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_precision_loss)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bifrost::store::StoreSettings;
use bifrost::store::requests::entry::{Counts, Detail, Entry, Flags, Limit, Looked, Names, Steps, Tried};
use bifrost::store::requests::names::NameKind;
use bifrost::store::requests::{Bodies, Filter, Packed, Part, Question, Rank, Requests, Span};
use bifrost::telemetry::clock;
use bifrost::telemetry::record::{Outcome, Record};

const BATCH: u64 = 1_000;
const DAYS: u64 = 30;
/// How often each question is asked.
const TIMES: usize = 60;
/// One of so many requests has its bodies kept.
const WITH_BODIES: u64 = 100;

fn main() {
    let mut rows = 1_000_000;
    let mut file = std::env::temp_dir().join("bifrost-request-log.db");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rows" => rows = arguments.next().unwrap().parse().unwrap(),
            "--file" => file = PathBuf::from(arguments.next().unwrap()),
            // Said by cargo.
            "--bench" => {}
            other => panic!("{other}: only --rows and --file are known"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log = Requests::open(&StoreSettings::Sqlite { path: file.clone() }).await.unwrap();
        let there = log.total().await.unwrap();
        if there < rows {
            fill(&log, there, rows).await;
        }
        let room = log.room().await.unwrap();
        println!(
            "{} requests, {} MiB, {} bytes each",
            log.total().await.unwrap(),
            room.whole >> 20,
            room.whole / rows.max(1)
        );
        measure(&log).await;
        log.close().await;
    });
}

async fn fill(log: &Arc<Requests>, there: u64, rows: u64) {
    let mut dice = fastrand::Rng::with_seed(there);
    let began = Instant::now();
    let end = clock::now_ms();
    let (mut done, mut slowest) = (there, Duration::ZERO);
    while done < rows {
        let count = BATCH.min(rows - done);
        let mut bodies = Vec::new();
        let mut entries: Vec<Entry<'static>> = (done..done + count)
            .map(|n| {
                let at =
                    end - DAYS * 86_400_000 + (n as f64 / rows as f64 * (DAYS * 86_400_000) as f64) as u64;
                let entry = request(&mut dice, at);
                if n.is_multiple_of(WITH_BODIES) {
                    bodies.push(said(&mut dice, entry.id));
                }
                entry
            })
            .collect();
        for kept in &bodies {
            let entry = entries.iter_mut().find(|entry| entry.id == kept.id).unwrap();
            entry.counts.flags = entry.counts.flags.with(Flags::CONTENT, true);
        }
        let batch = Instant::now();
        log.append(&mut entries, &mut bodies).await.unwrap();
        slowest = slowest.max(batch.elapsed());
        done += count;
        if done.is_multiple_of(500_000) {
            let rate = (done - there) as f64 / began.elapsed().as_secs_f64();
            println!("{done} requests, {rate:.0} per second, slowest batch {slowest:?}");
            slowest = Duration::ZERO;
        }
    }
    println!("filled with {} requests in {:.0?}", rows - there, began.elapsed());
}

/// The lower a number, the more often.
fn often(dice: &mut fastrand::Rng, count: u64) -> u64 {
    ((count as f64).powf(dice.f64()) - 1.0) as u64
}

const PROVIDERS: [&str; 8] =
    ["openai", "anthropic", "gemini", "bedrock", "azure", "groq", "mistral", "cohere"];
const ERRORS: [&str; 6] =
    ["rate_limited", "server_error", "timeout", "invalid_request", "overloaded", "stream_broken"];

#[expect(clippy::too_many_lines, reason = "one value behind another")]
fn request(dice: &mut fastrand::Rng, at_ms: u64) -> Entry<'static> {
    let id = format!("{at_ms:012x}{:020x}", dice.u128(..(1 << 80)));
    let provider = PROVIDERS[often(dice, 8) as usize];
    let model = format!("{provider}-model-{}", often(dice, 20));
    let failed = dice.u32(..1_000) < 20;
    let error = if failed { ERRORS[often(dice, 6) as usize] } else { "" };
    let rare = dice.u32(..100_000) == 0;
    let (input, output) = (200 + often(dice, 8_000), 50 + often(dice, 2_000));
    let took = 300_000 + often(dice, 60_000_000);
    let key = format!("{provider}-key-{}", dice.u8(..3));
    let tried = Tried {
        provider: provider.into(),
        model: model.clone().into(),
        key: key.clone().into(),
        outcome: if failed { error.into() } else { "success".into() },
        status: if failed { 429 } else { 200 },
        took_ms: took / 1_000,
        phases: Some(Steps {
            began_us: 900,
            reused: true,
            sent_us: Some(1_100),
            answered_us: Some(took / 3),
            first_token_us: Some(took / 3),
            ended_us: took,
            ..Steps::default()
        }),
        ..Tried::default()
    };
    Entry {
        id: Record::number(at_ms, &id),
        names: Names {
            provider: provider.into(),
            asked: format!("{provider}/{model}").into(),
            model: model.into(),
            key: key.into(),
            virtual_key: format!("vk-{}", often(dice, 200)).into(),
            team: format!("team-{}", often(dice, 12)).into(),
            object: if dice.bool() { "chat_completion_stream".into() } else { "chat_completion".into() },
            dialect: "openai_chat".into(),
            error: if rare { "tls".into() } else { error.into() },
            ..Names::default()
        },
        counts: Counts {
            outcome: if failed || rare { Outcome::UpstreamError } else { Outcome::Success },
            status: if failed || rare { 502 } else { 200 },
            flags: Flags::default().with(Flags::PRICED, true).with(Flags::USAGE, true),
            attempts: 1,
            took_us: took,
            first_token_us: took / 3,
            overhead_us: 150 + often(dice, 2_000),
            input_tokens: input,
            output_tokens: output,
            cached_tokens: 0,
            cost_nanos: input * 150 + output * 600,
        },
        detail: Detail {
            request_id: id.into(),
            path: "/v1/chat/completions".into(),
            upstream_id: format!("req_{:024x}", dice.u128(..(1 << 96))).into(),
            virtual_key_name: "A key of somebody".into(),
            team_name: "A team".into(),
            attempts: vec![tried],
            strategy: "weighted".into(),
            candidates: vec![Looked(provider.into(), "m".into(), "k".into(), Some(0.5), "chosen".into())],
            limits: vec![Limit(
                "virtual_key:vk-1".into(),
                "budget".into(),
                12_345_678,
                99_000_000_000,
                false,
            )],
            tags: vec![
                ("env".into(), if dice.u8(..10) == 0 { "staging".into() } else { "prod".into() }),
                ("user".into(), format!("user-{}", dice.u32(..50_000)).into()),
            ],
            usage: vec![("input_uncached".into(), input), ("output".into(), output)],
            phases: [90, 120, 200, 260],
            bytes: (input * 4, output * 4),
            revision: 3,
            ..Detail::default()
        },
    }
}

fn said(dice: &mut fastrand::Rng, id: u64) -> Bodies {
    let words: Vec<String> = (0..80).map(|_| format!("word{}", often(dice, 20_000))).collect();
    let text = words.join(" ");
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let packed = Packed {
        hash: hash.as_ref().try_into().unwrap(),
        size: text.len() as u64,
        body: zstd::bulk::compress(text.as_bytes(), 3).unwrap(),
    };
    Bodies { id, parts: vec![(Part::Request, packed)], text }
}

#[expect(clippy::too_many_lines, reason = "a table")]
async fn measure(log: &Arc<Requests>) {
    let one =
        |kind: NameKind, name: String| Filter { names: [(kind, vec![name])].into(), ..Filter::default() };
    let time = |filter: Filter| Question { filter, limit: 50, ..Question::default() };
    let now = clock::now_ms();
    type Make<'m> = Box<dyn Fn(&mut fastrand::Rng) -> Question + 'm>;
    let cases: Vec<(&str, Make<'_>)> = vec![
        ("the newest", Box::new(|_| time(Filter::default()))),
        (
            "from a moment on, back",
            Box::new(|dice| {
                let to_ms = Some(now - dice.u64(..DAYS * 86_400_000));
                time(Filter { to_ms, ..Filter::default() })
            }),
        ),
        (
            "provider and model",
            Box::new(|dice| {
                let provider = PROVIDERS[dice.usize(..8)];
                let mut filter = one(NameKind::Provider, provider.to_owned());
                filter.names.insert(NameKind::Model, vec![format!("{provider}-model-{}", dice.u8(..20))]);
                time(filter)
            }),
        ),
        (
            "a provider with another's model",
            Box::new(|_| {
                let mut filter = one(NameKind::Provider, "openai".to_owned());
                filter.names.insert(NameKind::Model, vec!["anthropic-model-0".to_owned()]);
                time(filter)
            }),
        ),
        ("a rare error", Box::new(|_| time(one(NameKind::Error, "tls".to_owned())))),
        (
            "errors of a provider",
            Box::new(|dice| {
                let mut filter = one(NameKind::Provider, PROVIDERS[dice.usize(..8)].to_owned());
                filter.outcomes = vec![Outcome::ClientError, Outcome::UpstreamError];
                time(filter)
            }),
        ),
        ("a virtual key", Box::new(|dice| time(one(NameKind::VirtualKey, format!("vk-{}", dice.u8(..200)))))),
        (
            "slower than 59.9 s",
            Box::new(|_| {
                time(Filter { took_us: Span { min: Some(59_900_000), max: None }, ..Filter::default() })
            }),
        ),
        (
            "of a provider, slower than 59.9 s",
            Box::new(|dice| {
                let mut filter = one(NameKind::Provider, PROVIDERS[dice.usize(..8)].to_owned());
                filter.took_us = Span { min: Some(59_900_000), max: None };
                time(filter)
            }),
        ),
        ("the slowest", Box::new(|_| Question { rank: Some(Rank::Latency), ..time(Filter::default()) })),
        ("the dearest", Box::new(|_| Question { rank: Some(Rank::Cost), ..time(Filter::default()) })),
        (
            "the dearest of a virtual key",
            Box::new(|dice| Question {
                rank: Some(Rank::Cost),
                ..time(one(NameKind::VirtualKey, format!("vk-{}", dice.u8(..200))))
            }),
        ),
        (
            "a common tag",
            Box::new(|_| time(Filter { tags: vec![("env".into(), "staging".into())], ..Filter::default() })),
        ),
        (
            "a rare tag",
            Box::new(|dice| {
                let user = format!("user-{}", dice.u32(..50_000));
                time(Filter { tags: vec![("user".into(), user)], ..Filter::default() })
            }),
        ),
        (
            "a common word",
            Box::new(|dice| time(Filter { text: format!("word{}", dice.u8(..10)), ..Filter::default() })),
        ),
        (
            "a rare word",
            Box::new(|dice| {
                time(Filter { text: format!("word{}", dice.u32(10_000..19_000)), ..Filter::default() })
            }),
        ),
        (
            "two words",
            Box::new(|dice| {
                time(Filter {
                    text: format!("word{} word{}", dice.u8(..50), dice.u32(..5_000)),
                    ..Filter::default()
                })
            }),
        ),
        (
            "what no index has (status code)",
            Box::new(|_| time(Filter { statuses: vec![418], ..Filter::default() })),
        ),
    ];
    println!("{:<38} {:>9} {:>9} {:>9}  found  complete", "a page of 50", "p50 ms", "p95 ms", "tally p95");
    for (name, make) in cases {
        let mut dice = fastrand::Rng::with_seed(7);
        let (mut times, mut tallies, mut found, mut complete) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..TIMES {
            let question = make(&mut dice);
            let began = Instant::now();
            let page = log.page(&question).await.unwrap();
            times.push(began.elapsed());
            let began = Instant::now();
            log.tally(&question.filter).await.unwrap();
            tallies.push(began.elapsed());
            found += page.entries.len();
            complete += usize::from(page.complete);
        }
        let (p50, p95) = (percentile(&mut times, 50), percentile(&mut times, 95));
        println!(
            "{name:<38} {p50:>9.2} {p95:>9.2} {:>9.2}  {:>5}  {complete}/{TIMES}",
            percentile(&mut tallies, 95),
            found / TIMES
        );
    }
    detail(log).await;
}

async fn detail(log: &Arc<Requests>) {
    let page = log.page(&Question { limit: 1_000, offset: 500, ..Question::default() }).await.unwrap();
    let mut times = Vec::new();
    for entry in page.entries.iter().step_by(10) {
        let began = Instant::now();
        let found = log.find(&entry.detail.request_id).await.unwrap().unwrap();
        log.content(found.id).await.unwrap();
        times.push(began.elapsed());
    }
    let (p50, p95) = (percentile(&mut times, 50), percentile(&mut times, 95));
    println!("{:<38} {p50:>9.2} {p95:>9.2}", "one request with its bodies");
}

fn percentile(times: &mut [Duration], of: usize) -> f64 {
    times.sort();
    times[(times.len() - 1) * of / 100].as_secs_f64() * 1_000.0
}
