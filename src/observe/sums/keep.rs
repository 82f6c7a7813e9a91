//! Sums and the database of the request log: what has ended goes there, what is asked of the past comes from there.
//!
//! All of it runs on the runtime of the log. While the database is away, what has ended waits in memory; nobody else does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::book::Span;
use super::chart::{Chart, Question};
use super::page::{Kind, Page};
use super::{Row, Sums};
use crate::observe::log::RequestLog;
use crate::store::StoreError;
use crate::store::requests::{Requests, SumRange, SumRow};
use crate::telemetry::clock;

/// Between two looks at the time.
const ROUND: Duration = Duration::from_secs(1);
/// Rows of one transaction.
const AT_ONCE: usize = 500;
/// The longest that the end of the process waits for what is not stored yet.
const LAST: Duration = Duration::from_secs(2);
/// Spans that are put together at once, and how long they must be over: nobody writes them any more.
const TOGETHER: u32 = 100;
const SETTLED_MS: u64 = 48 * 3_600_000;

/// Stores what has ended, once a minute, for as long as the process lives.
pub fn start(sums: &Arc<Sums>, log: &Arc<RequestLog>) {
    let (sums, requests) = (Arc::clone(sums), Arc::clone(&log.requests));
    log.runtime.spawn(async move {
        let (mut minute, mut hour) = (0, 0);
        loop {
            sleep(ROUND).await;
            let now = clock::now_ms();
            if Span::Minute.of(now) != minute && store(&sums, &requests, false).await.is_ok() {
                minute = Span::Minute.of(now);
            }
            if Span::Hour.of(now) != hour && tidy(&requests, now).await.is_ok() {
                hour = Span::Hour.of(now);
            }
        }
    });
}

/// Stores everything, what runs too: the process ends.
pub(super) fn end(sums: &Sums, log: &RequestLog) {
    let all = async { timeout(LAST, store(sums, &log.requests, true)).await };
    if !matches!(log.runtime.block_on(all), Ok(Ok(()))) {
        log::warn!("the sums of the last minute could not be stored");
    }
}

/// Stores what has ended; `all`: what has not, too.
///
/// # Errors
/// The database is not available: it is tried again, with what there is then.
pub async fn store(sums: &Sums, requests: &Requests, all: bool) -> Result<(), StoreError> {
    loop {
        let rows = sums.unstored(all, AT_ONCE);
        if rows.is_empty() {
            return Ok(());
        }
        let put: Vec<SumRow> = rows.iter().map(|row| stored(row, sums.writer)).collect();
        requests.put_sums(&put).await?;
        sums.stored(&rows);
    }
}

/// Answers questions from memory and the database, in their order.
pub async fn ask(
    sums: &Arc<Sums>,
    log: Option<&Arc<RequestLog>>,
    questions: Vec<Question>,
    now_ms: u64,
) -> Vec<Chart> {
    let asked = Arc::clone(sums);
    let answered = match log {
        Some(log) => {
            let requests = Arc::clone(&log.requests);
            let charts = async move {
                let mut charts = Vec::with_capacity(questions.len());
                for question in &questions {
                    charts.push(whole(&asked, &requests, question, now_ms).await);
                }
                charts
            };
            log.runtime.spawn(charts).await
        }
        None => {
            let charts = move || questions.iter().map(|question| asked.ask(question, now_ms)).collect();
            tokio::task::spawn_blocking(charts).await
        }
    };
    answered.unwrap_or_default()
}

/// What is in memory and what is stored, each once.
pub async fn whole(sums: &Sums, requests: &Requests, question: &Question, now_ms: u64) -> Chart {
    let mut chart = Chart::new(question);
    // Memory first: what leaves it meanwhile was stored before, and is not in `seen`.
    let seen = sums.look(question, &mut chart, now_ms);
    let runs = question.frame.runs(now_ms).into_iter().filter(|run| run.0 != Span::Second);
    let ranges: Vec<SumRange> = runs
        .map(|(span, from, to)| SumRange { span: span as u8, kind: question.kind as u8, from, to })
        .collect();
    let add = |row: SumRow| {
        let Some(span) = Span::numbered(row.span) else { return };
        if row.writer != sums.writer || !seen.contains(&(span, row.start)) {
            chart.add_written(row.start * span.millis(), &row.body);
        }
    };
    if requests.sums(&ranges, add).await.is_err() {
        chart.complete = false;
    }
    chart
}

/// Puts together what is settled, and forgets what is too old.
///
/// # Errors
/// The database is not available: the rest is done another time.
pub async fn tidy(requests: &Requests, now_ms: u64) -> Result<(), StoreError> {
    for span in [Span::Minute, Span::Quarter, Span::Hour, Span::Day] {
        let oldest = span.of(now_ms).saturating_sub(span.kept());
        requests.forget_sums(span as u8, oldest).await?;
    }
    for span in [Span::Hour, Span::Day] {
        let before = span.of(now_ms.saturating_sub(SETTLED_MS));
        while requests.join_sums(span as u8, before, TOGETHER, together).await? > 0 {}
    }
    Ok(())
}

/// One body of several; `None`: they are not of this version.
pub(super) fn together(kind: u8, bodies: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut page = Page::new(Kind::numbered(kind)?);
    for body in bodies {
        page.merge_written(body).ok()?;
    }
    Some(page.written())
}

fn stored(row: &Row, writer: u64) -> SumRow {
    SumRow { span: row.span as u8, kind: row.kind as u8, start: row.start, writer, body: row.body.to_vec() }
}
