//! What is only read: the version, and how targets do.

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use crate::admin::targets;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(version)).routes(routes!(health))
}

/// The version of this gateway.
#[utoipa::path(get, path = "/api/version", tag = "config", responses((status = 200, body = String, content_type = "application/json")))]
async fn version() -> Json<&'static str> {
    Json(env!("CARGO_PKG_VERSION"))
}

/// Every target that was asked, how it does, and how busy its provider is.
#[utoipa::path(get, path = "/api/health/targets", tag = "health", responses((status = 200, body = Value)))]
async fn health(State(state): State<AdminState>) -> Json<Value> {
    let snapshot = state.gateway.config.load_full();
    Json(targets::list(&state.gateway, &snapshot))
}
