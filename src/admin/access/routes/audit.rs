//! `/api/audit`: what was done to the gateway, in pages or as a file.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Trusted, moment};
use crate::admin::access::failed;
use crate::admin::access::records::Records;
use crate::admin::api::AdminState;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::store::audit::AuditRow;

/// Rows of a page, unless it says otherwise, and at most.
const PAGE: (u32, u32) = (100, 1_000);

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Rows behind this number.
    #[serde(default)]
    after: u64,
    /// Rows of a page, up to 1000.
    limit: Option<u32>,
    /// `jsonl`: all rows from there on, as a file that `bifrost audit verify` reads.
    format: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditRows)]
struct Page {
    rows: Vec<Shown>,
    /// For `after` of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A row. Its hash covers all that is in it, and the hash of the row before.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow)]
struct Shown {
    number: u64,
    at: String,
    at_ms: u64,
    who: String,
    address: String,
    action: String,
    /// JSON, as it was hashed.
    detail: String,
    previous: String,
    hash: String,
}

/// What was done to the gateway, oldest first.
#[utoipa::path(get, path = "/api/audit", tag = "access", params(Asked),
    responses((status = 200, body = Page), (status = 403, body = ErrorBody)))]
async fn list(
    State(state): State<AdminState>,
    _admin: Trusted,
    Query(asked): Query<Asked>,
) -> Result<Response, Response> {
    match asked.format.as_deref() {
        Some("jsonl") => return Ok(file(Arc::clone(&state.access.records), asked.after)),
        None | Some("json") => {}
        Some(_) => return Err(Refused::field("format", "expected json or jsonl").into()),
    }
    let limit = asked.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let rows = state.access.records.told(asked.after, limit).await.map_err(failed)?;
    let full = u32::try_from(rows.len()).is_ok_and(|length| length == limit);
    let next = rows.last().map(|row| row.number).filter(|_| full);
    Ok(Json(Page { rows: rows.into_iter().map(shown).collect(), next }).into_response())
}

fn shown(row: AuditRow) -> Shown {
    let AuditRow { number, at_ms, who, address, action, detail, previous, hash } = row;
    Shown { number, at: moment(at_ms), at_ms, who, address, action, detail, previous, hash }
}

/// Page by page: the whole log is never in memory.
fn file(records: Arc<dyn Records>, mut after: u64) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let rows = match records.told(after, PAGE.1).await {
                Ok(rows) => rows,
                Err(error) => return drop(sender.send(Err(std::io::Error::other(error))).await),
            };
            let Some(last) = rows.last().map(|row| row.number) else { return };
            after = last;
            let mut text = String::new();
            for row in &rows {
                text.push_str(&serde_json::to_string(row).unwrap_or_default());
                text.push('\n');
            }
            if sender.send(Ok(Bytes::from(text))).await.is_err() {
                return;
            }
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/jsonl"),
        (CONTENT_DISPOSITION, "attachment; filename=\"bifrost-audit.jsonl\""),
    ];
    (headers, Body::from_stream(Pieces(receiver))).into_response()
}

struct Pieces(mpsc::Receiver<std::io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
