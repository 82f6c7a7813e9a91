//! The request log: `/api/logs`. Its paths, filters and names are the original's; what is ours comes beside them.
//!
//! Questions are answered on the log's own runtime. A page never takes longer than its budget: where not all could be
//! looked at, the answer says so and has a place to go on from.

mod cached;
mod delete;
mod detail;
mod export;
mod facets;
mod figures;
pub mod filter;
mod histograms;
mod list;
pub mod row;
mod stats;

use std::future::Future;
use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::AdminState;
use super::edit::refused;
use super::fault::Refused;
use crate::observe::log::RequestLog;
use crate::store::StoreError;
use crate::store::requests::Requests;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        // Before those of one request: `stats` is no id.
        .merge(stats::routes())
        .merge(histograms::routes())
        .merge(facets::routes())
        .merge(list::routes())
        .merge(export::routes())
        .merge(delete::routes())
        .merge(detail::routes())
}

impl AdminState {
    /// The request log.
    ///
    /// # Errors
    /// 404 where none is kept.
    pub fn request_log(&self) -> Result<&Arc<RequestLog>, Refused> {
        self.gateway.requests.as_ref().ok_or_else(|| {
            let message = "no request log is kept: client.enable_logging or logs_store.enabled is off";
            Refused::not_found(message)
        })
    }

    /// An answer of the request log.
    ///
    /// # Errors
    /// 404 where none is kept, 503 while it cannot be read.
    pub async fn ask_log<T, F>(&self, question: impl FnOnce(Arc<Requests>) -> F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.request_log()?.ask(question).await.map_err(refused)
    }
}
