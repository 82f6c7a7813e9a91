use govern::sketch::Sketch;

use super::*;
use crate::telemetry::access_log::{AttemptRecord, Spent};
use crate::telemetry::record::{AttemptPhases, Failed};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// 10:05 on some day, on the second.
const NOW: u64 = 20_775 * 24 * HOUR + 10 * HOUR + 5 * MINUTE;

fn record(began_ms: u64, provider: &str, model: &str) -> Record {
    Record {
        started_us: began_ms * 1_000,
        took_us: 1_200_000,
        first_token_us: Some(300_000),
        overhead_us: 90,
        object: "chat_completion",
        status: 200,
        provider: Some(provider.into()),
        model: Some(model.into()),
        key: Some("main".into()),
        attempts: vec![attempt(provider, model, "main", "success")],
        cost_nanos: Some(1_000),
        ..Record::default()
    }
}

fn attempt(provider: &str, model: &str, key: &str, outcome: &'static str) -> AttemptRecord {
    AttemptRecord {
        key: Some(key.into()),
        latency_ms: 7,
        reason: None,
        phases: AttemptPhases { ended_us: 7_000, ..AttemptPhases::default() },
        ..AttemptRecord::skipped(&provider.into(), &model.into(), outcome, "")
    }
}

/// What a day's question says, at that time.
fn day(sums: &Sums, kind: Kind, now_ms: u64) -> Chart {
    let frame = Frame { from_ms: NOW - 24 * HOUR, to_ms: now_ms + 1, bucket_ms: HOUR }.rounded(now_ms);
    sums.ask(&Question { kind, frame, depth: Depth::Times, only: None }, now_ms)
}

fn tell(sums: &Arc<Sums>, now_ms: u64, records: Vec<Record>) {
    let records: Vec<Arc<Record>> = records.into_iter().map(Arc::new).collect();
    sums.listener(None).told(&records, now_ms);
}

fn cell<'c>(chart: &'c Chart, name: (&str, &str)) -> &'c [Cell] {
    chart.names.get(&Name(name.0.into(), name.1.into())).map_or(&[], Vec::as_slice)
}

#[test]
fn a_request_counts_for_each_of_its_names_where_it_began() {
    let sums = Sums::new(false);
    tell(&sums, NOW, vec![record(NOW - 90_000, "openai", "gpt-4o"), record(NOW - 5, "mistral", "small")]);
    let all = day(&sums, Kind::All, NOW);
    assert_eq!(all.total().requests(), 2);
    assert_eq!(all.total().get(Count::Cost), 2_000);
    assert_eq!(all.total().times().unwrap().took.count(), 2);
    assert_eq!(
        all.total().times().unwrap().overhead.quantile(0.5),
        Some(Sketch::quantile(&of(90), 0.5).unwrap())
    );
    assert_eq!(
        cell(&day(&sums, Kind::Target, NOW), ("openai", "gpt-4o")).iter().map(Cell::requests).sum::<u64>(),
        1
    );
    assert_eq!(day(&sums, Kind::Object, NOW).total().requests(), 2);
    assert_eq!(
        day(&sums, Kind::Status, NOW).names.keys().map(|name| &*name.0).collect::<Vec<_>>(),
        ["success"]
    );
    let minutes = Frame { from_ms: NOW - 5 * MINUTE, to_ms: NOW, bucket_ms: MINUTE }.rounded(NOW);
    let question = Question { kind: Kind::All, frame: minutes, depth: Depth::Counts, only: None };
    let by_minute: Vec<u64> = sums.ask(&question, NOW).by_bucket().iter().map(Cell::requests).collect();
    assert_eq!(by_minute, [0, 0, 0, 1, 1], "each in the minute that it began in");
}

fn of(value: u64) -> Sketch {
    let mut sketch = Sketch::default();
    sketch.add(value);
    sketch
}

#[test]
fn seconds_are_told_apart_and_forgotten_after_a_quarter_of_an_hour() {
    let sums = Sums::new(false);
    tell(
        &sums,
        NOW,
        vec![record(NOW - 3_000, "a", "m"), record(NOW - 2_400, "a", "m"), record(NOW - 10, "a", "m")],
    );
    let of = |back| sums.second(back, NOW).cell.requests();
    assert_eq!((of(3), of(1), of(2)), (2, 1, 0));
    tell(&sums, NOW + 17 * MINUTE, Vec::new());
    assert_eq!(sums.second(17 * 60 + 3, NOW + 17 * MINUTE).cell.requests(), 0);
    assert_eq!(day(&sums, Kind::All, NOW + 17 * MINUTE).total().requests(), 3, "minutes are kept");
}

#[test]
fn what_takes_longer_than_a_quarter_counts_in_the_oldest_minute_that_is_open() {
    let sums = Sums::new(false);
    tell(&sums, NOW, vec![record(NOW - HOUR, "a", "m")]);
    let frame = Frame { from_ms: NOW - 15 * MINUTE, to_ms: NOW - 14 * MINUTE, bucket_ms: MINUTE };
    let question = Question { kind: Kind::All, frame, depth: Depth::Counts, only: None };
    assert_eq!(sums.ask(&question, NOW).total().requests(), 1);
}

#[test]
fn the_sum_is_the_same_whether_spans_run_or_have_closed() {
    let sums = Sums::new(false);
    let mut expected = 0;
    for minute in 0..200 {
        let now = NOW + minute * MINUTE;
        tell(&sums, now, vec![record(now - 1, "a", "m"), record(now - 12 * MINUTE, "b", "m")]);
        expected += 2;
        assert_eq!(day(&sums, Kind::All, now).total().requests(), expected, "after {minute} minutes");
        assert_eq!(day(&sums, Kind::Key, now).total().get(Count::Attempts), expected);
    }
    let week = Frame { from_ms: NOW - 72 * HOUR, to_ms: NOW + 96 * HOUR, bucket_ms: 24 * HOUR };
    let now = NOW + 200 * MINUTE;
    let frame = week.rounded(now);
    let question = Question { kind: Kind::Target, frame, depth: Depth::Times, only: None };
    let total = sums.ask(&question, now).total();
    assert_eq!((total.requests(), total.times().unwrap().took.count()), (expected, expected));
}

#[test]
fn a_failed_try_counts_for_its_own_target_and_key_and_what_it_cost_too() {
    let sums = Sums::new(false);
    let mut failed = attempt("openai", "gpt-4o", "first", "rate_limited");
    failed.spent = Some(Spent { input_tokens: 5, output_tokens: 0, cost_nanos: Some(300), unpriced: false });
    let passed_over = AttemptRecord::skipped(&"cohere".into(), &"c".into(), "cooling", "it rests");
    let mut record = record(NOW, "azure", "gpt-4o");
    record.attempts = vec![failed, passed_over, attempt("azure", "gpt-4o", "main", "success")];
    tell(&sums, NOW, vec![record]);
    let keys = day(&sums, Kind::Key, NOW);
    let sum = |name, count| cell(&keys, name).iter().map(|cell| cell.get(count)).sum::<u64>();
    assert_eq!(
        (sum(("openai", "first"), Count::Attempts), sum(("openai", "first"), Count::FailedAttempts)),
        (1, 1)
    );
    assert_eq!(
        (sum(("azure", "main"), Count::Attempts), sum(("azure", "main"), Count::FailedAttempts)),
        (1, 0)
    );
    assert_eq!((sum(("openai", "first"), Count::Cost), sum(("azure", "main"), Count::Cost)), (300, 700));
    let targets = day(&sums, Kind::Target, NOW);
    assert_eq!(targets.total().get(Count::Cost), day(&sums, Kind::All, NOW).total().get(Count::Cost));
    assert!(cell(&targets, ("cohere", "c")).is_empty());
    assert_eq!(day(&sums, Kind::All, NOW).total().get(Count::FailedOver), 1);
}

#[test]
fn names_that_nothing_succeeds_with_do_not_push_out_those_that_matter() {
    let sums = Sums::new(false);
    let bad = |number: u64| {
        let mut record = record(NOW, "openai", &format!("made-up-{number}"));
        record.error = Some(Failed { kind: "model_not_found", message: "no".into() });
        record.status = 404;
        record.attempts = Vec::new();
        record
    };
    tell(&sums, NOW, (0..5_000).map(bad).collect());
    tell(&sums, NOW, vec![record(NOW, "openai", "gpt-4o")]);
    let chart = day(&sums, Kind::Target, NOW);
    assert_eq!(chart.names.len(), 128 + 2);
    assert_eq!(cell(&chart, ("openai", "gpt-4o")).iter().map(Cell::answered).sum::<u64>(), 1);
    assert_eq!(chart.total().requests(), 5_001, "the rest is together, not gone");
    assert_eq!(day(&sums, Kind::Error, NOW).total().get(Count::ClientError), 5_000);
}

#[test]
fn a_copy_for_another_model_spends_and_is_no_request() {
    let sums = Sums::new(false);
    let copy = Record { mirror_of: Some("r1".into()), ..record(NOW, "a", "m") };
    tell(&sums, NOW, vec![copy]);
    let total = day(&sums, Kind::All, NOW).total();
    assert_eq!((total.requests(), total.get(Count::Cost)), (0, 1_000));
}

/// Stored rows and what is in memory, as a database and a process have them.
#[derive(Default)]
struct Place(std::collections::HashMap<(Span, u64, Kind), Row>);

impl Place {
    fn take(&mut self, sums: &Sums, all: bool) -> usize {
        let rows = sums.unstored(all, usize::MAX);
        for row in &rows {
            self.0.insert((row.span, row.start, row.kind), row.clone());
        }
        sums.stored(&rows);
        rows.len()
    }

    fn total(&self, span: Span, kind: Kind) -> Cell {
        let mut total = Cell::default();
        for row in self.0.values().filter(|row| row.span == span && row.kind == kind) {
            let add = |_: (&str, &str), cell: &[u8]| total.merge_written(cell, Depth::Times);
            super::page::each_written(&row.body, add).unwrap();
        }
        total
    }
}

#[test]
fn every_span_is_stored_whole_however_often_it_is_asked() {
    let (sums, mut place) = (Sums::new(true), Place::default());
    for minute in 0..90 {
        let now = NOW + minute * MINUTE + 30_000;
        // Some of them end minutes after they began: their minute is stored once more.
        tell(&sums, now, vec![record(now - 1, "a", "m"), record(now - 7 * MINUTE, "a", "m")]);
        place.take(&sums, false);
    }
    assert_eq!(
        place.take(&sums, true),
        5,
        "the kinds of the present minute: its hour and its day were stored with it"
    );
    assert_eq!(place.take(&sums, true), 0, "nothing has changed since");
    for span in [Span::Minute, Span::Quarter, Span::Hour, Span::Day] {
        for kind in [Kind::All, Kind::Target, Kind::Status] {
            assert_eq!(place.total(span, kind).requests(), 180, "{span:?} {kind:?}");
        }
    }
    assert_eq!(place.total(Span::Day, Kind::All).times().unwrap().took.count(), 180);
}

#[test]
fn what_is_stored_leaves_the_memory_and_what_is_not_stays() {
    let (sums, mut place) = (Sums::new(true), Place::default());
    tell(&sums, NOW, vec![record(NOW, "a", "m")]);
    tell(&sums, NOW + 20 * MINUTE, Vec::new());
    assert!(sums.shelved() > 0, "the minute has closed and nobody has stored it");
    assert_eq!(day(&sums, Kind::All, NOW + 20 * MINUTE).total().requests(), 1);
    place.take(&sums, false);
    assert_eq!(sums.shelved(), 0);
    let now = NOW + 20 * MINUTE;
    let minutes = Frame { from_ms: NOW - HOUR, to_ms: now, bucket_ms: 10 * MINUTE }.rounded(now);
    let question = Question { kind: Kind::All, frame: minutes, depth: Depth::Counts, only: None };
    assert_eq!(sums.ask(&question, now).total().requests(), 0, "the database has it");
    assert_eq!(place.total(Span::Minute, Kind::All).requests(), 1);
}

#[test]
fn without_a_place_to_store_them_spans_stay_within_their_bound() {
    const BOUND: usize = 100_000;
    let sums = Arc::new(Sums { book: Mutex::new(Book::new(true, BOUND)), writer: 1 });
    let mut told = 0;
    for minute in 0..150 {
        let now = NOW + minute * MINUTE;
        tell(
            &sums,
            now,
            (0..30).map(|number| record(now, "provider", &format!("a-model-{number}"))).collect(),
        );
        told += 30;
        assert!(sums.shelved() <= BOUND, "{} bytes", sums.shelved());
    }
    assert!(sums.lost() > 0 && sums.shelved() > BOUND / 2, "the bound was reached");
    assert_eq!(
        day(&sums, Kind::All, NOW + 150 * MINUTE).total().requests(),
        told,
        "hours outlive their minutes"
    );
}

/// `cargo test -p bifrost --lib sums -- --ignored --nocapture`: prints what adding a request costs.
#[test]
#[ignore = "a measurement"]
fn what_adding_a_request_costs() {
    const EACH: u64 = 2_000;
    let sums = Sums::new(true);
    let mut listener = sums.listener(None);
    let second = |second: u64| -> Vec<Arc<Record>> {
        let one = |number: u64| {
            let spread = (number * 7_919 + second * 104_729) % 9_973;
            let mut record = record(
                NOW + second * 1_000 - spread / 10,
                &format!("provider-{}", number % 10),
                &format!("a-model-{}", number % 50),
            );
            record.took_us = 200_000 + spread * spread / 10;
            record.first_token_us = Some(100_000 + spread * 40);
            record.overhead_us = 40 + spread % 200;
            Arc::new(record)
        };
        (0..EACH).map(one).collect()
    };
    let mut times = Vec::new();
    for at in 0..300 {
        let records = second(at);
        let began = std::time::Instant::now();
        listener.told(&records, NOW + at * 1_000);
        times.push(began.elapsed().as_nanos() / u128::from(EACH));
    }
    times.sort_unstable();
    let (middle, late) = (times[150], times[285]);
    println!("a request of 50 targets: {middle} ns (p95 of the batches {late} ns), {EACH} a second");
    let began = std::time::Instant::now();
    let rows = sums.unstored(true, usize::MAX);
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    println!(
        "what is stored of 5 minutes: {} rows, {bytes} bytes, made in {:?}",
        rows.len(),
        began.elapsed()
    );
}
