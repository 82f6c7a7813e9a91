//! The administration over HTTP: what is configured, who may use it, what was changed.
//!
//! Its paths and bodies are the original's, so that its UI and its tools work. Everything here runs on the background
//! runtime, behind [`super::door`]; no caller of a model waits for it. Paths and their documentation are one thing:
//! a handler that is routed is in `/openapi.json`.

pub mod body;
mod dashboard;
mod debug;
pub mod edit;
mod events;
pub mod fault;
pub mod follow;
mod governance;
mod history;
mod keyring;
pub mod logs;
mod models;
mod openapi;
mod overview;
mod provider_keys;
mod providers;
mod range;
mod resource;
mod settings;
mod shape;
mod timing;
mod usage;
mod virtual_keys;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;

use self::fault::Refused;
use self::follow::Applied;
use super::access::{Access, routes as access};
use super::metrics;
use super::who::{self, Gate};
use crate::proxy::Gateway;

/// What the handlers share.
#[derive(Clone)]
pub struct AdminState {
    pub gateway: Arc<Gateway>,
    /// Held over a change: there is one at a time.
    pub changing: Arc<tokio::sync::Mutex<Applied>>,
    pub gate: Arc<dyn Gate>,
    pub access: Arc<Access>,
}

impl AdminState {
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, access: Arc<Access>) -> Self {
        Self { gateway, changing: Arc::default(), gate: access.clone(), access }
    }
}

/// The whole administration.
pub fn router(state: AdminState) -> Router {
    let (router, mut document) = routes().split_for_parts();
    let (open, more) = access::open().split_for_parts();
    document.merge(more);
    let document = openapi::complete(&document);
    router
        .route("/metrics", get(metrics::guarded))
        .route_layer(from_fn_with_state(state.clone(), who::ask))
        .merge(open)
        .route("/openapi.json", get(async move || openapi::answer(document)))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), access::guard))
        .layer(from_fn(timing::tell))
        .with_state(state)
}

/// Every path with its handler and its documentation.
fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(overview::routes())
        .merge(dashboard::routes())
        .merge(access::gated())
        .merge(providers::routes())
        .merge(provider_keys::routes())
        .merge(models::routes())
        .merge(virtual_keys::routes())
        .merge(usage::routes())
        .merge(governance::routes())
        .merge(settings::routes())
        .merge(history::routes())
        .merge(debug::routes())
        .merge(logs::routes())
        .merge(events::routes())
}

async fn unknown(uri: Uri) -> Refused {
    Refused::not_found(format!("no such path: {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not allowed on {}", uri.path()),
    )
}
