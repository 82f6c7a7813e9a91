//! `GET /api/logs/export`: all requests of a filter as CSV or as lines of JSON, written while they are read.
//!
//! It is read page by page, each a question of its own: whoever takes the answer slowly holds nothing open in the database.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::filter::{Asked, FilterParams, Pairs};
use super::row::Row;
use crate::admin::api::AdminState;
use crate::admin::api::body::Query;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::observe::log::RequestLog;
use crate::store::StoreError;
use crate::store::requests::{Page, Question};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(export))
}

/// Rows of one question.
const BATCH: u64 = 500;
/// Rows where nobody says how many, and at most.
const LIMIT: (u64, u64) = (100_000, 10_000_000);
/// Pieces that may wait for who reads.
const PIECES: usize = 2;

/// What is written, and how much of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct ExportParams {
    /// `csv` or `jsonl`.
    format: Option<String>,
    /// Rows, 100000 by default, at most 10000000.
    limit: Option<u64>,
    /// `desc` or `asc`, by time.
    order: Option<String>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Lines,
}

/// Columns of CSV.
const COLUMNS: [&str; 30] = [
    "id",
    "timestamp",
    "status",
    "outcome",
    "status_code",
    "object",
    "provider",
    "model",
    "model_requested",
    "dialect",
    "stream",
    "latency_ms",
    "time_to_first_token_ms",
    "overhead_us",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_usd",
    "number_of_retries",
    "fallback_index",
    "selected_key",
    "virtual_key_id",
    "virtual_key_name",
    "team_id",
    "customer_id",
    "routing_rule",
    "error_type",
    "error_message",
    "session_id",
    "metadata",
];

/// All requests of a filter. What is cut is said at its end: in the last line of JSON, or in a last line of CSV that begins with
/// `#`.
#[utoipa::path(get, path = "/api/logs/export", tag = "logs", params(FilterParams, ExportParams),
    responses((status = 200, content_type = "text/csv", body = String), (status = "default", body = ErrorBody)))]
async fn export(State(state): State<AdminState>, Query(pairs): Query<Pairs>) -> Result<Response, Refused> {
    let asked = Asked::read(pairs, &["format", "limit", "order"])?;
    let form = match asked.other("format").unwrap_or_default() {
        "" | "csv" => Form::Csv,
        "jsonl" | "ndjson" => Form::Lines,
        _ => return Err(Refused::field("format", "expected csv or jsonl")),
    };
    let limit = match asked.other("limit").map(str::parse::<u64>) {
        None => LIMIT.0,
        Some(Ok(limit)) if (1..=LIMIT.1).contains(&limit) => limit,
        Some(_) => return Err(Refused::field("limit", format!("expected 1 to {}", LIMIT.1))),
    };
    let ascending = match asked.other("order").unwrap_or_default() {
        "" | "desc" => false,
        "asc" => true,
        _ => return Err(Refused::field("order", "expected desc or asc")),
    };
    let question = Question { filter: asked.filter, ascending, limit: BATCH, ..Question::default() };
    let log = Arc::clone(state.request_log()?);
    // What cannot be read at all is refused; what breaks later breaks the answer off.
    let first = ask(&log, &question).await.map_err(crate::admin::api::edit::refused)?;
    let (pieces, body) = mpsc::channel(PIECES);
    let export = Export { log, form, question, left: limit, exported: 0, cut: false };
    tokio::spawn(export.write(first, pieces));
    let (kind, name) = match form {
        Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"requests.csv\""),
        Form::Lines => ("application/x-ndjson", "attachment; filename=\"requests.jsonl\""),
    };
    let head = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((head, Body::new(Pieces(body))).into_response())
}

struct Export {
    log: Arc<RequestLog>,
    form: Form,
    question: Question,
    left: u64,
    exported: u64,
    /// A row that was read was not written.
    cut: bool,
}

impl Export {
    /// Writes until all is written, or nobody reads any more.
    async fn write(mut self, first: Page, to: mpsc::Sender<Result<Bytes, StoreError>>) {
        let mut piece = self.begin();
        let mut page = Ok(first);
        loop {
            let read = match page {
                Ok(read) => read,
                Err(error) => {
                    drop(to.send(Err(error)).await);
                    return;
                }
            };
            self.rows(&read, &mut piece);
            let next = read.next.filter(|_| self.left > 0);
            if next.is_none() {
                self.end(&read, &mut piece);
            }
            if to.send(Ok(std::mem::take(&mut piece).into())).await.is_err() || next.is_none() {
                return;
            }
            self.question.after = next;
            page = ask(&self.log, &self.question).await;
        }
    }

    fn begin(&self) -> Vec<u8> {
        match self.form {
            Form::Csv => record(&COLUMNS.map(str::to_owned)),
            Form::Lines => Vec::new(),
        }
    }

    fn rows(&mut self, page: &Page, out: &mut Vec<u8>) {
        let some = usize::try_from(self.left).unwrap_or(usize::MAX);
        self.cut = page.entries.len() > some;
        for entry in page.entries.iter().take(some) {
            let row = Row::of(entry);
            match self.form {
                Form::Csv => out.extend(record(&cells(&row))),
                Form::Lines => {
                    // A Vec takes every byte.
                    let _ = serde_json::to_writer(&mut *out, &row);
                    out.push(b'\n');
                }
            }
            self.left -= 1;
            self.exported += 1;
        }
    }

    /// Says how much it was, and whether there is more.
    fn end(&self, page: &Page, out: &mut Vec<u8>) {
        let limited = self.cut || (self.left == 0 && page.next.is_some());
        let exported = self.exported;
        match self.form {
            Form::Lines => {
                let end = json!({ "exported": exported, "limited": limited });
                out.extend(end.to_string().into_bytes());
                out.push(b'\n');
            }
            Form::Csv if limited => {
                let end = format!("# {exported} requests; there are more: the limit was reached\r\n");
                out.extend(end.into_bytes());
            }
            Form::Csv => {}
        }
    }
}

async fn ask(log: &Arc<RequestLog>, question: &Question) -> Result<Page, StoreError> {
    let question = question.clone();
    log.ask(async move |log| log.page(&question).await).await
}

fn cells(row: &Row<'_>) -> [String; 30] {
    let text = |text: &str| harmless(text);
    let (input, output, cached) = row.token_usage.as_ref().map_or_else(Default::default, |tokens| {
        let numbers = [tokens.prompt_tokens, tokens.completion_tokens, tokens.cached_tokens];
        let [input, output, cached] = numbers.map(|number| number.to_string());
        (input, output, cached)
    });
    let error = row.error_details.as_ref().map(|problem| &problem.error);
    let metadata = match row.metadata.is_empty() {
        true => String::new(),
        false => serde_json::to_string(&row.metadata).unwrap_or_default(),
    };
    [
        text(row.id),
        row.timestamp.clone(),
        row.status.to_owned(),
        row.outcome.to_owned(),
        row.status_code.to_string(),
        text(row.object),
        text(row.provider),
        text(row.model),
        text(row.model_requested),
        text(row.dialect),
        row.stream.to_string(),
        row.latency.to_string(),
        row.time_to_first_token.map(|time| time.to_string()).unwrap_or_default(),
        row.overhead_us.to_string(),
        input,
        output,
        cached,
        row.cost.as_ref().map(|cost| cost.get().to_owned()).unwrap_or_default(),
        row.number_of_retries.to_string(),
        row.fallback_index.to_string(),
        text(row.selected_key_id),
        text(row.virtual_key_id),
        text(row.virtual_key_name),
        text(row.team_id),
        text(row.customer_id),
        text(row.routing_rule_name),
        error.map(|error| text(error.kind)).unwrap_or_default(),
        error.map(|error| text(error.message)).unwrap_or_default(),
        text(row.session_id),
        metadata,
    ]
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// A line of CSV, as RFC 4180 has it.
fn record(cells: &[String; 30]) -> Vec<u8> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::with_capacity(256));
    // A Vec takes every byte.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}

/// The body of the answer.
struct Pieces(mpsc::Receiver<Result<Bytes, StoreError>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("gpt-4o", "gpt-4o"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), cell);
        }
    }
}
