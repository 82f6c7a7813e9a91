//! `/api/session`: in and out.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Typed;
use super::{Stranger, agent, moment};
use crate::admin::access::login::{self, LOGINS, Login};
use crate::admin::access::records::Unreachable;
use crate::admin::access::secret::{self, Kind};
use crate::admin::access::session::{self, How, Session, set_cookie};
use crate::admin::access::{By, Proven, failed, now_ms, password, setup, token, told, unauthorized};
use crate::admin::api::AdminState;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::who::Role;
use crate::config::access::Door;

/// A session of the one-time token: long enough to set a login.
const SETUP_SESSION: Duration = Duration::from_secs(3600);

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(set_up))
        .routes(routes!(log_out))
        .routes(routes!(is_enabled))
        .routes(routes!(who_am_i))
        .routes(routes!(list))
        .routes(routes!(revoke))
        .routes(routes!(change_password))
}

/// A name and a password, or a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    /// A token for programs, or the one-time token of the first start.
    #[serde(default)]
    token: Option<String>,
}

/// The first login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetupBody {
    /// The one-time token that the gateway printed at its start.
    token: String,
    username: String,
    /// At least 10 characters.
    password: String,
}

/// A session that was begun. Its secret is in the cookie.
#[derive(Serialize, ToSchema)]
#[schema(as = BegunSession)]
struct Begun {
    message: &'static str,
    name: String,
    #[schema(value_type = String, example = "admin")]
    role: Role,
    /// To be sent in the header `x-csrf-token` with each change.
    csrf_token: String,
    expires_at: String,
    /// The secret, as a bearer token: for programs, never for pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// How one gets in.
#[derive(Serialize, ToSchema)]
struct Ways {
    is_auth_enabled: bool,
    /// The request came with a proof that counts.
    has_valid_token: bool,
    /// Nobody can log in yet: the one-time token sets a login.
    needs_setup: bool,
    /// There is a login at an identity provider.
    oidc: bool,
}

/// Who asks.
#[derive(Serialize, ToSchema)]
struct Me {
    name: String,
    #[schema(value_type = String, example = "admin")]
    role: Role,
    /// For a session with a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// A session in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionShown)]
struct Shown {
    id: String,
    name: String,
    #[schema(value_type = String, example = "admin")]
    role: Role,
    /// `password`, `setup`, `token` or `oidc`.
    #[schema(value_type = String)]
    how: How,
    created_at: String,
    expires_at: String,
    address: String,
    agent: String,
    /// The one that asks.
    current: bool,
}

#[derive(Serialize, ToSchema)]
struct Sessions {
    sessions: Vec<Shown>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessDone)]
pub(super) struct Done {
    pub message: &'static str,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    current_password: String,
    /// At least 10 characters.
    new_password: String,
}

/// Log in: a session's cookie.
#[utoipa::path(post, path = "/api/session/login", tag = "session", request_body = LoginBody, security(()), responses(
    (status = 200, body = Begun), (status = 401, body = ErrorBody), (status = 429, body = ErrorBody)))]
async fn log_in(
    State(state): State<AdminState>,
    stranger: Stranger,
    Typed(body): Typed<LoginBody>,
) -> Result<Response, Response> {
    let session = match body {
        LoginBody { username: Some(name), password: Some(password), token: None } => {
            let settings = state.access.settings();
            let known = state.access.check(&settings, (&name, &password), stranger.visitor).await?;
            draft(&stranger, (&name, known.role), (How::Password, &known.proof), settings.session)
        }
        LoginBody { username: None, password: None, token: Some(secret) } => {
            by_token(&state, &stranger, secret.trim()).await?
        }
        _ => {
            let message = "expected either username and password, or token";
            return Err(Refused::field("", message).into());
        }
    };
    begin(&state, &stranger, session).await
}

async fn by_token(state: &AdminState, stranger: &Stranger, secret: &str) -> Result<Session, Response> {
    let records = &*state.access.records;
    let refused = || unauthorized("this token is not known, was used before, or its time is over");
    match Kind::of(secret) {
        Some(Kind::Setup) => {
            let used = token::use_setup(records, secret, now_ms()).await.map_err(failed)?;
            used.then(|| draft(stranger, ("setup", Role::Admin), (How::Setup, ""), SETUP_SESSION))
                .ok_or_else(refused)
        }
        Some(Kind::Token) => {
            let found = token::find(records, secret, now_ms()).await.map_err(failed)?.ok_or_else(refused)?;
            let name = format!("token:{}", found.token.name);
            let proof = secret::hash(secret);
            let lasts = state.access.settings().session;
            Ok(draft(stranger, (&name, found.token.role), (How::Token, &proof), lasts))
        }
        _ => Err(refused()),
    }
}

/// Set the first login with the one-time token.
#[utoipa::path(post, path = "/api/session/setup", tag = "session", request_body = SetupBody, security(()), responses(
    (status = 200, body = Begun), (status = 401, body = ErrorBody), (status = 422, body = ErrorBody)))]
async fn set_up(
    State(state): State<AdminState>,
    stranger: Stranger,
    Typed(body): Typed<SetupBody>,
) -> Result<Response, Response> {
    let access = &state.access;
    let SetupBody { token: secret, username: name, password } = body;
    check_new(&name, &password)?;
    let settings = access.settings();
    if login::find(&settings, &*access.records, &name).await.map_err(failed)?.is_some() {
        return Err(Refused::conflict(format!("there is a login {name:?} already")).into());
    }
    if !token::use_setup(&*access.records, secret.trim(), now_ms()).await.map_err(failed)? {
        return Err(unauthorized("this token is not known, was used before, or its time is over"));
    }
    let hash = access.passwords.hash(&password).await.map_err(failed)?;
    let login = Login { password: hash, role: Role::Admin, changed_ms: now_ms() };
    let told = told(&name, stranger.visitor, "user.create", json!({ "name": name, "role": "admin" }));
    let text = serde_json::to_string(&login).unwrap_or_default();
    access.records.put(&format!("{LOGINS}{name}"), &text, Some(&told)).await.map_err(failed)?;
    let known = login::find(&settings, &*access.records, &name).await.map_err(failed)?;
    let proof = known.map(|known| known.proof).unwrap_or_default();
    let session = draft(&stranger, (&name, Role::Admin), (How::Password, &proof), settings.session);
    begin(&state, &stranger, session).await
}

/// Log out: the session is over.
#[utoipa::path(post, path = "/api/session/logout", tag = "session", responses((status = 200, body = Done)))]
async fn log_out(State(state): State<AdminState>, stranger: Stranger) -> Result<Response, Response> {
    let headers = &stranger.head.headers;
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let secret = bearer.filter(|secret| Kind::of(secret) == Some(Kind::Session));
    if let Some(secret) = secret.or_else(|| session::from_cookies(headers)) {
        let found = session::find(&*state.access.records, secret, now_ms()).await.map_err(failed)?;
        let name = found.map_or_else(|| "-".to_owned(), |open| open.session.name);
        let told = told(&name, stranger.visitor, "session.logout", json!(null));
        session::end(&*state.access.records, secret, &told).await.map_err(failed)?;
    }
    let mut response = Json(Done { message: "Logout successful" }).into_response();
    add_cookie(&mut response, &set_cookie(None, 0, stranger.is_secure()));
    Ok(response)
}

/// Whether one has to log in, and how.
#[utoipa::path(get, path = "/api/session/is-auth-enabled", tag = "session", security(()),
    responses((status = 200, body = Ways)))]
async fn is_enabled(State(state): State<AdminState>, stranger: Stranger) -> Result<Json<Ways>, Response> {
    let settings = state.access.settings();
    let is_auth_enabled = settings.door == Door::Closed;
    let done = setup::is_done(&settings, &*state.access.records).await.map_err(failed)?;
    let asked = has_proof(&stranger);
    Ok(Json(Ways {
        is_auth_enabled,
        has_valid_token: asked && state.access.who(&stranger.head, stranger.visitor).await.is_ok(),
        needs_setup: is_auth_enabled && !done,
        oidc: settings.oidc.is_some(),
    }))
}

/// Whoever sends nothing is not told by a guess at passwords.
fn has_proof(stranger: &Stranger) -> bool {
    let headers = &stranger.head.headers;
    headers.contains_key(AUTHORIZATION) || session::from_cookies(headers).is_some()
}

/// Who asks, and the token that changes need.
#[utoipa::path(get, path = "/api/session", tag = "session",
    responses((status = 200, body = Me), (status = 401, body = ErrorBody)))]
async fn who_am_i(State(state): State<AdminState>, stranger: Stranger) -> Result<Json<Me>, Response> {
    let Proven { admin, by } = state.access.who(&stranger.head, stranger.visitor).await?;
    let by_cookie = !stranger.head.headers.contains_key(AUTHORIZATION);
    let cookie = session::from_cookies(&stranger.head.headers).filter(|_| by_cookie);
    let (csrf_token, expires_at) = match by {
        By::Session(open) => (cookie.map(secret::csrf), Some(moment(open.session.until_ms))),
        _ => (None, None),
    };
    Ok(Json(Me { name: admin.name, role: admin.role, csrf_token, expires_at }))
}

/// Sessions: an admin sees all, a viewer the own ones.
#[utoipa::path(get, path = "/api/session/sessions", tag = "session",
    responses((status = 200, body = Sessions), (status = 401, body = ErrorBody)))]
async fn list(State(state): State<AdminState>, stranger: Stranger) -> Result<Json<Sessions>, Response> {
    let proven = state.access.who(&stranger.head, stranger.visitor).await?;
    let current = match &proven.by {
        By::Session(open) => open.id.clone(),
        _ => String::new(),
    };
    let all = session::all(&*state.access.records, now_ms()).await.map_err(failed)?;
    let visible = all.into_iter().filter(|open| may_see(&proven, &open.session));
    let shown = visible.map(|open| Shown {
        current: open.id == current,
        id: open.id,
        name: open.session.name,
        role: open.session.role,
        how: open.session.how,
        created_at: moment(open.session.made_ms),
        expires_at: moment(open.session.until_ms),
        address: open.session.address,
        agent: open.session.agent,
    });
    Ok(Json(Sessions { sessions: shown.collect() }))
}

/// End a session: any as an admin, an own one as a viewer.
#[utoipa::path(delete, path = "/api/session/sessions/{id}", tag = "session", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = ErrorBody)))]
async fn revoke(
    State(state): State<AdminState>,
    stranger: Stranger,
    Path(id): Path<String>,
) -> Result<Json<Done>, Response> {
    let proven = state.access.who(&stranger.head, stranger.visitor).await?;
    let told = told(&proven.admin.name, stranger.visitor, "session.revoke", json!({ "id": id }));
    let over = |open: &session::Open| open.id == id && may_see(&proven, &open.session);
    match session::end_where(&*state.access.records, over, Some(&told)).await.map_err(failed)? {
        0 => Err(Refused::not_found(format!("there is no session {id:?}")).into()),
        _ => Ok(Json(Done { message: "the session is over" })),
    }
}

/// Change the own password. Every session of the old one is over, this one too.
#[utoipa::path(put, path = "/api/session/password", tag = "session", request_body = PasswordBody,
    responses((status = 200, body = Begun), (status = 401, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn change_password(
    State(state): State<AdminState>,
    stranger: Stranger,
    Typed(body): Typed<PasswordBody>,
) -> Result<Response, Response> {
    let access = &state.access;
    let name = access.who(&stranger.head, stranger.visitor).await?.admin.name;
    let settings = access.settings();
    let known = access.check(&settings, (&name, &body.current_password), stranger.visitor).await?;
    if known.configured {
        let message = "this password is written in the configuration: change it there";
        return Err(Refused::conflict(message).into());
    }
    let hash = access.passwords.hash(&body.new_password).await.map_err(failed)?;
    let told = told(&name, stranger.visitor, "user.password", json!({ "name": name }));
    let login = Login { password: hash, role: known.role, changed_ms: now_ms() };
    let text = serde_json::to_string(&login).unwrap_or_default();
    access.records.put(&format!("{LOGINS}{name}"), &text, Some(&told)).await.map_err(failed)?;
    let known = login::find(&settings, &*access.records, &name).await.map_err(failed)?;
    let gone = || failed(Unreachable("the login is gone".to_owned()));
    let known = known.ok_or_else(gone)?;
    let session = draft(&stranger, (&name, known.role), (How::Password, &known.proof), settings.session);
    begin(&state, &stranger, session).await
}

/// What a new name and password must be.
///
/// # Errors
/// 422 with the field.
pub(super) fn check_new(name: &str, word: &str) -> Result<(), Response> {
    if !login::is_name(name) {
        let message = "a name has up to 128 bytes, without `:`, `/` and control characters";
        return Err(Refused::field("username", message).into());
    }
    password::check_length(word).map_err(failed)
}

fn may_see(proven: &Proven, session: &Session) -> bool {
    proven.admin.role == Role::Admin || proven.admin.name == session.name
}

/// A session as it would be kept.
pub(super) fn draft(
    stranger: &Stranger,
    (name, role): (&str, Role),
    (how, proof): (How, &str),
    lasts: Duration,
) -> Session {
    let made_ms = now_ms();
    let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    Session {
        name: name.to_owned(),
        role,
        how,
        proof: proof.to_owned(),
        made_ms,
        until_ms: made_ms.saturating_add(lasts),
        address: stranger.address(),
        agent: agent(&stranger.head.headers),
    }
}

/// Keeps the session; gives its secret and its cookie.
///
/// # Errors
/// 503: the store cannot be reached.
pub(super) async fn keep(
    state: &AdminState,
    stranger: &Stranger,
    session: &Session,
) -> Result<(String, String), Response> {
    let told = told(&session.name, stranger.visitor, "session.login", json!({ "how": session.how }));
    let secret = session::begin(&*state.access.records, session, &told).await.map_err(failed)?;
    let seconds = session.until_ms.saturating_sub(session.made_ms) / 1_000;
    let cookie = set_cookie(Some(&secret), seconds, stranger.is_secure());
    Ok((secret, cookie))
}

/// Keeps the session and answers with its cookie.
async fn begin(state: &AdminState, stranger: &Stranger, session: Session) -> Result<Response, Response> {
    let (secret, cookie) = keep(state, stranger, &session).await?;
    let begun = Begun {
        message: "Login successful",
        csrf_token: secret::csrf(&secret),
        expires_at: moment(session.until_ms),
        name: session.name,
        role: session.role,
        token: (!stranger.is_page()).then_some(secret),
    };
    let mut response = (StatusCode::OK, Json(begun)).into_response();
    add_cookie(&mut response, &cookie);
    Ok(response)
}

fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
