//! `/api/users`: people who log in with a password.

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
use super::session::{Done, check_new};
use super::{Trusted, moment};
use crate::admin::access::login::{self, LOGINS, Login};
use crate::admin::access::{failed, now_ms, told};
use crate::admin::api::AdminState;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::who::Role;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(change, remove))
}

#[derive(Serialize, ToSchema)]
struct User {
    username: String,
    #[schema(value_type = String, example = "viewer")]
    role: Role,
    /// `file` or `store`.
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Users {
    users: Vec<User>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    username: String,
    /// At least 10 characters.
    password: String,
    /// `admin` or `viewer`.
    #[schema(value_type = String, example = "viewer")]
    role: Role,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    #[serde(default)]
    password: Option<String>,
    /// `admin` or `viewer`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
}

/// Everybody with a password.
#[utoipa::path(get, path = "/api/users", tag = "access",
    responses((status = 200, body = Users), (status = 403, body = ErrorBody)))]
async fn list(State(state): State<AdminState>, _admin: Trusted) -> Result<Json<Users>, Response> {
    let settings = state.access.settings();
    let configured = settings.admin.iter().map(|account| User {
        username: account.name.clone(),
        role: Role::Admin,
        source: "file",
        changed_at: None,
    });
    let mut users: Vec<User> = configured.collect();
    for (name, text) in state.access.records.under(LOGINS).await.map_err(failed)? {
        let (Some(name), Ok(login)) = (name.strip_prefix(LOGINS), serde_json::from_str::<Login>(&text))
        else {
            continue;
        };
        // The configuration's login of that name is the one that counts.
        if users.iter().all(|user| user.username != name) {
            let changed_at = Some(moment(login.changed_ms));
            users.push(User { username: name.to_owned(), role: login.role, source: "store", changed_at });
        }
    }
    Ok(Json(Users { users }))
}

/// A new login.
#[utoipa::path(post, path = "/api/users", tag = "access", request_body = NewUser, responses(
    (status = 201, body = Done), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)))]
async fn create(
    State(state): State<AdminState>,
    admin: Trusted,
    Typed(body): Typed<NewUser>,
) -> Result<(StatusCode, Json<Done>), Response> {
    check_new(&body.username, &body.password)?;
    let found = login::find(&state.access.settings(), &*state.access.records, &body.username).await;
    if found.map_err(failed)?.is_some() {
        return Err(Refused::conflict(format!("there is a login {:?} already", body.username)).into());
    }
    let hash = state.access.passwords.hash(&body.password).await.map_err(failed)?;
    let detail = json!({ "name": body.username, "role": body.role });
    keep(&state, &admin, (&body.username, hash, body.role), ("user.create", detail)).await?;
    Ok((StatusCode::CREATED, Json(Done { message: "the login was made" })))
}

/// Another role, another password, or both. Sessions of an old password are over.
#[utoipa::path(put, path = "/api/users/{name}", tag = "access", params(("name" = String, Path)),
    request_body = UserChange,
    responses((status = 200, body = Done), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn change(
    State(state): State<AdminState>,
    admin: Trusted,
    Path(name): Path<String>,
    Typed(body): Typed<UserChange>,
) -> Result<Json<Done>, Response> {
    let login = of_store(&state, &name).await?;
    let role = body.role.unwrap_or(login.role);
    if admin.name == name && role < login.role {
        return Err(Refused::conflict("nobody takes the own role away").into());
    }
    let detail = json!({ "name": name, "role": role, "password": body.password.is_some() });
    let hash = match body.password {
        Some(password) => state.access.passwords.hash(&password).await.map_err(failed)?,
        None => login.password,
    };
    keep(&state, &admin, (&name, hash, role), ("user.change", detail)).await?;
    Ok(Json(Done { message: "the login was changed" }))
}

/// Remove a login. Its sessions are over.
#[utoipa::path(delete, path = "/api/users/{name}", tag = "access", params(("name" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn remove(
    State(state): State<AdminState>,
    admin: Trusted,
    Path(name): Path<String>,
) -> Result<Json<Done>, Response> {
    of_store(&state, &name).await?;
    if admin.name == name {
        return Err(Refused::conflict("nobody removes the own login").into());
    }
    let told = told(&admin.name, admin.visitor, "user.delete", json!({ "name": name }));
    state.access.records.take(&format!("{LOGINS}{name}"), Some(&told)).await.map_err(failed)?;
    Ok(Json(Done { message: "the login was removed" }))
}

async fn of_store(state: &AdminState, name: &str) -> Result<Login, Response> {
    if state.access.settings().admin.as_ref().is_some_and(|account| account.name == name) {
        return Err(Refused::conflict("this login is written in the configuration: change it there").into());
    }
    let kept = state.access.records.get(&format!("{LOGINS}{name}")).await.map_err(failed)?;
    let login = kept.and_then(|text| serde_json::from_str(&text).ok());
    login.ok_or_else(|| Refused::not_found(format!("there is no login {name:?}")).into())
}

async fn keep(
    state: &AdminState,
    admin: &Trusted,
    (name, password, role): (&str, String, Role),
    (action, detail): (&str, serde_json::Value),
) -> Result<(), Response> {
    let text = serde_json::to_string(&Login { password, role, changed_ms: now_ms() }).unwrap_or_default();
    let told = told(&admin.name, admin.visitor, action, detail);
    state.access.records.put(&format!("{LOGINS}{name}"), &text, Some(&told)).await.map_err(failed)
}
