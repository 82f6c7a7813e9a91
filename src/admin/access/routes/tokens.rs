//! `/api/tokens`: tokens for programs that look after the gateway.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Typed;
use super::session::Done;
use super::{Trusted, moment};
use crate::admin::access::{failed, login, now_ms, token, told};
use crate::admin::api::AdminState;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::who::Role;

const DAY_MS: u64 = 86_400_000;
/// Ten years.
const LONGEST_DAYS: u64 = 3_650;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

#[derive(Serialize, ToSchema)]
#[schema(as = TokenShown)]
struct Shown {
    id: String,
    name: String,
    #[schema(value_type = String, example = "viewer")]
    role: Role,
    created_by: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    expired: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminTokens)]
struct Tokens {
    tokens: Vec<Shown>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What it is for; stands in the audit log.
    name: String,
    /// `admin` or `viewer`.
    #[schema(value_type = String, example = "viewer")]
    role: Role,
    /// Days until it ends. Absent: it does not end by itself.
    #[serde(default)]
    expires_in_days: Option<u64>,
}

/// A new token.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeAdminToken)]
struct Made {
    id: String,
    /// The token: shown once, kept as a hash.
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/api/tokens", tag = "access",
    responses((status = 200, body = Tokens), (status = 403, body = ErrorBody)))]
async fn list(State(state): State<AdminState>, _admin: Trusted) -> Result<Json<Tokens>, Response> {
    let now = now_ms();
    let all = token::all(&*state.access.records).await.map_err(failed)?;
    let shown = all.into_iter().map(|found| Shown {
        id: found.id,
        name: found.token.name,
        role: found.token.role,
        created_by: found.token.made_by,
        created_at: moment(found.token.made_ms),
        expires_at: found.token.until_ms.map(moment),
        expired: found.token.until_ms.is_some_and(|until| until <= now),
    });
    Ok(Json(Tokens { tokens: shown.collect() }))
}

/// A new token, which is shown once.
#[utoipa::path(post, path = "/api/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, body = Made), (status = 422, body = ErrorBody)))]
async fn create(
    State(state): State<AdminState>,
    admin: Trusted,
    Typed(body): Typed<NewToken>,
) -> Result<(StatusCode, Json<Made>), Response> {
    if !login::is_name(&body.name) {
        let message = "a name has up to 128 bytes, without `:`, `/` and control characters";
        return Err(Refused::field("name", message).into());
    }
    if body.expires_in_days.is_some_and(|days| days == 0 || days > LONGEST_DAYS) {
        return Err(Refused::field("expires_in_days", format!("expected 1 to {LONGEST_DAYS}")).into());
    }
    let made_ms = now_ms();
    let until_ms = body.expires_in_days.map(|days| made_ms.saturating_add(days.saturating_mul(DAY_MS)));
    let detail = json!({ "name": body.name, "role": body.role, "expires_at": until_ms.map(moment) });
    let told = told(&admin.name, admin.visitor, "token.create", detail);
    let token = token::Token { name: body.name, role: body.role, made_by: admin.name, made_ms, until_ms };
    let (id, secret) = token::make(&*state.access.records, &token, &told).await.map_err(failed)?;
    Ok((StatusCode::CREATED, Json(Made { id, token: secret, expires_at: until_ms.map(moment) })))
}

/// Revoke a token. Sessions that were begun with it are over.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = ErrorBody)))]
async fn revoke(
    State(state): State<AdminState>,
    admin: Trusted,
    Path(id): Path<String>,
) -> Result<Json<Done>, Response> {
    let told = told(&admin.name, admin.visitor, "token.revoke", json!({ "id": id }));
    match token::revoke(&*state.access.records, &id, &told).await.map_err(failed)? {
        Some(_) => Ok(Json(Done { message: "the token was revoked" })),
        None => Err(Refused::not_found(format!("there is no token {id:?}")).into()),
    }
}
