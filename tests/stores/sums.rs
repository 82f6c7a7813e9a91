//! Sums of several processes in one database: they add up, each once, whoever ends how.

use std::sync::Arc;

use bifrost::observe::sums::{Cell, Count, Depth, Frame, Kind, Question, Row, Span, Sums, keep};
use bifrost::store::requests::{Requests, SumRange, SumRow};
use bifrost::telemetry::record::Record;

use crate::rig::{Place, each};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 10:05 and a half on some day.
const NOW: u64 = 20_775 * DAY + 10 * HOUR + 5 * MINUTE + MINUTE / 2;

async fn requests(place: &Place) -> Arc<Requests> {
    Requests::open(&Requests::beside(&place.settings)).await.unwrap()
}

fn tell(sums: &Arc<Sums>, now_ms: u64, count: u64) {
    let record = |number: u64| {
        Arc::new(Record {
            started_us: (now_ms - number) * 1_000,
            took_us: 1_000_000 + number,
            provider: Some("openai".into()),
            model: Some("gpt-4o".into()),
            cost_nanos: Some(7),
            status: 200,
            ..Record::default()
        })
    };
    let records: Vec<Arc<Record>> = (0..count).map(record).collect();
    sums.listener(None).told(&records, now_ms);
}

async fn total(sums: &Sums, requests: &Requests, (from_ms, now_ms): (u64, u64), bucket_ms: u64) -> Cell {
    let frame = Frame { from_ms, to_ms: now_ms + 1, bucket_ms }.rounded(now_ms);
    let question = Question { kind: Kind::Target, frame, depth: Depth::Times, only: None };
    let chart = keep::whole(sums, requests, &question, now_ms).await;
    assert!(chart.complete);
    chart.total()
}

#[test]
fn every_process_sees_the_requests_of_all_of_them_once() {
    each(async |place| {
        let requests = requests(&place).await;
        let mut processes = [Sums::new(true), Sums::new(true)];
        let mut told = 0;
        for minute in 0..50_u64 {
            let now = NOW + minute * MINUTE;
            for (number, sums) in (0_u64..).zip(&processes) {
                let count = minute % 7 + number;
                tell(sums, now, count);
                told += count;
            }
            if minute % 3 == 0 {
                keep::store(&processes[0], &requests, false).await.unwrap();
            }
            if minute % 20 == 19 {
                // The second one ends, and another one takes its place.
                keep::store(&processes[1], &requests, true).await.unwrap();
                processes[1] = Sums::new(true);
            }
            // The first one sees its own whatever is stored; what the second one has not stored it cannot see.
            keep::store(&processes[1], &requests, true).await.unwrap();
            for bucket in [MINUTE, HOUR, DAY] {
                let seen = total(&processes[0], &requests, (NOW - DAY, now), bucket).await;
                assert_eq!(
                    (seen.requests(), seen.times().unwrap().took.count()),
                    (told, told),
                    "minute {minute}"
                );
            }
        }
    });
}

#[test]
fn a_process_that_is_killed_loses_what_it_has_not_stored_and_nothing_else() {
    each(async |place| {
        let requests = requests(&place).await;
        let first = Sums::new(true);
        tell(&first, NOW, 5);
        tell(&first, NOW + MINUTE, 3);
        keep::store(&first, &requests, false).await.unwrap();
        drop(first);
        let second = Sums::new(true);
        let seen = total(&second, &requests, (NOW - DAY, NOW + 2 * MINUTE), MINUTE).await;
        assert_eq!(seen.requests(), 5, "the minute that had ended");
    });
}

#[test]
fn what_is_settled_is_put_together_and_what_is_old_is_forgotten() {
    each(async |place| {
        let requests = requests(&place).await;
        for _ in 0..4 {
            let sums = Sums::new(true);
            tell(&sums, NOW, 10);
            keep::store(&sums, &requests, true).await.unwrap();
        }
        let rows = async |span: Span| {
            let range = SumRange {
                span: span as u8,
                kind: Kind::Target as u8,
                from: 0,
                to: i64::MAX.cast_unsigned(),
            };
            let mut found = Vec::new();
            requests.sums(&[range], |row| found.push(row)).await.unwrap();
            found
        };
        keep::tidy(&requests, NOW + HOUR).await.unwrap();
        assert_eq!((rows(Span::Hour).await.len(), rows(Span::Minute).await.len()), (4, 4));
        let later = NOW + 4 * DAY;
        keep::tidy(&requests, later).await.unwrap();
        let hours = rows(Span::Hour).await;
        assert_eq!((hours.len(), hours[0].writer, rows(Span::Minute).await.len()), (1, 0, 0));
        let seen = total(&Sums::new(true), &requests, (NOW - DAY, later), DAY).await;
        assert_eq!((seen.requests(), seen.get(Count::Cost)), (40, 280));
        keep::tidy(&requests, NOW + 402 * DAY).await.unwrap();
        assert_eq!((rows(Span::Hour).await.len(), rows(Span::Day).await.len()), (0, 0));
    });
}

#[test]
fn rows_are_replaced_whole_and_read_in_the_order_of_time() {
    each(async |place| {
        let requests = requests(&place).await;
        let row =
            |start, writer, body: &[u8]| SumRow { span: 2, kind: 1, start, writer, body: body.to_vec() };
        let large = [0_u8, 255, 7, 0].repeat(10_000);
        requests.put_sums(&[row(9, 1, b"a"), row(7, 1, b"b"), row(7, 2, &large)]).await.unwrap();
        requests.put_sums(&[row(9, 1, b"c")]).await.unwrap();
        let mut found = Vec::new();
        let range = |from, to| SumRange { span: 2, kind: 1, from, to };
        requests.sums(&[range(7, 9), range(9, 10)], |row| found.push(row)).await.unwrap();
        found.sort_by_key(|row| (row.start, row.writer));
        assert_eq!(found, [row(7, 1, b"b"), row(7, 2, &large), row(9, 1, b"c")]);
    });
}

/// `cargo test -p bifrost --test stores -- --ignored --nocapture questions_over`: prints what questions cost with 400 days of 50
/// targets and 100 provider keys, each busy all the time.
#[test]
#[ignore = "a measurement: it fills some hundred megabytes"]
fn questions_over_400_days_of_50_targets() {
    crate::rig::run(async {
        let place = Place::sqlite();
        let requests = requests(&place).await;
        let (rows, bytes) = fill(&requests).await;
        println!("{rows} rows, {} MB", bytes / 1_000_000);
        let sums = Sums::new(true);
        tell(&sums, NOW, 100);
        let all = [Kind::All, Kind::Target, Kind::Error, Kind::Key];
        for (name, length, bucket) in [
            ("1 hour by minutes", HOUR, MINUTE),
            ("6 hours by 5 minutes", 6 * HOUR, 5 * MINUTE),
            ("24 hours by quarters", DAY, 15 * MINUTE),
            ("7 days by 3 hours", 7 * DAY, 3 * HOUR),
            ("30 days by days", 30 * DAY, DAY),
            ("400 days by weeks", 400 * DAY, 7 * DAY),
        ] {
            let frame = Frame { from_ms: NOW - length, to_ms: NOW, bucket_ms: bucket }.rounded(NOW);
            let mut times = Vec::new();
            for _ in 0..20 {
                let began = std::time::Instant::now();
                let before = Frame { bucket_ms: length, ..frame.before() }.rounded(NOW);
                let frames = all.map(|kind| (kind, frame)).into_iter().chain([(Kind::All, before)]);
                for (kind, frame) in frames {
                    let depth = if kind == Kind::All { Depth::Times } else { Depth::Counts };
                    let question = Question { kind, frame, depth, only: None };
                    let chart = keep::whole(&sums, &requests, &question, NOW).await;
                    assert!(
                        chart.complete && chart.total().requests() + chart.total().get(Count::Attempts) > 0
                    );
                }
                times.push(began.elapsed());
            }
            times.sort();
            println!("overview of {name}: p50 {:?}, p95 {:?}", times[10], times[18]);
        }
    });
}

/// One hour of traffic, as often as there are hours, and so on.
async fn fill(requests: &Requests) -> (usize, usize) {
    let source = Sums::new(true);
    for minute in 0..60_u64 {
        let now = NOW - NOW % HOUR + minute * MINUTE;
        source.listener(None).told(&traffic(now, minute), now);
    }
    let made = source.unstored(true, usize::MAX);
    let (mut batch, mut rows, mut bytes) = (Vec::new(), 0, 0);
    let spans = [(Span::Minute, 48 * 60), (Span::Quarter, 48 * 4), (Span::Hour, 400 * 24), (Span::Day, 400)];
    for (span, back) in spans {
        let last = span.of(NOW) - 1;
        for start in last - back..=last {
            // A minute of the hour that was made; the same for all hours and days.
            let of = |row: &&Row| row.span == span && row.start % 60 == start % 60;
            let any = |row: &&Row| row.span == span;
            let same = made.iter().any(|row| of(&row));
            for row in made.iter().filter(|row| if same && span == Span::Minute { of(row) } else { any(row) })
            {
                bytes += row.body.len();
                rows += 1;
                let (span, kind) = (row.span as u8, row.kind as u8);
                batch.push(SumRow { span, kind, start, writer: 1, body: row.body.to_vec() });
            }
            if batch.len() > 2_000 {
                requests.put_sums(&std::mem::take(&mut batch)).await.unwrap();
            }
        }
    }
    requests.put_sums(&batch).await.unwrap();
    (rows, bytes)
}

fn traffic(now: u64, minute: u64) -> Vec<Arc<Record>> {
    use bifrost::telemetry::access_log::AttemptRecord;
    use bifrost::telemetry::record::AttemptPhases;
    let one = |number: u64| {
        let spread = (number * 7_919 + minute * 104_729) % 9_973;
        let (provider, model): (Arc<str>, Arc<str>) =
            (format!("provider-{}", number % 10).into(), format!("a-model-{}", number % 50).into());
        let key: Arc<str> = format!("key-{}", number % 100).into();
        let attempt = AttemptRecord {
            key: Some(key.clone()),
            status: Some(200),
            latency_ms: 1,
            reason: None,
            phases: AttemptPhases { ended_us: 1, ..AttemptPhases::default() },
            ..AttemptRecord::skipped(&provider, &model, "success", "")
        };
        let failed = number.is_multiple_of(23).then(|| bifrost::telemetry::record::Failed {
            kind: ["rate_limited", "timeout", "invalid_request"][(number % 3) as usize],
            message: "no".into(),
        });
        Arc::new(Record {
            started_us: (now + number % 60) * 1_000,
            took_us: 200_000 + spread * spread / 10,
            first_token_us: Some(100_000 + spread * 40),
            overhead_us: 40 + spread % 200,
            object: "chat_completion",
            status: if failed.is_some() { 500 } else { 200 },
            error: failed,
            provider: Some(provider),
            model: Some(model),
            key: Some(key),
            attempts: vec![attempt],
            cost_nanos: Some(spread * 1_000),
            ..Record::default()
        })
    };
    (0..1_000).map(one).collect()
}
