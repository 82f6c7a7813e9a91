//! `/api/session/oidc`: out to the identity provider, and back.

use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Stranger;
use super::session::{draft, keep};
use crate::admin::access::oidc::{COOKIE, Refusal, Returned, UNDERWAY};
use crate::admin::access::session::{How, cookie};
use crate::admin::access::{setup, told};
use crate::admin::api::AdminState;
use crate::admin::api::fault::{ErrorBody, Refused};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(start)).routes(routes!(callback))
}

/// Log in at the identity provider: sends the browser there.
#[utoipa::path(get, path = "/api/session/oidc/start", tag = "session", security(()), responses(
    (status = 303, description = "To the identity provider"), (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody)))]
async fn start(State(state): State<AdminState>, stranger: Stranger) -> Result<Response, Refused> {
    let settings = state.access.settings();
    let oidc = settings.oidc.as_ref().ok_or_else(unconfigured)?;
    let underway = state.access.provider.begin(oidc).await.map_err(|refusal| {
        log::warn!("no login at the identity provider: {refusal}");
        Refused::unavailable("the identity provider cannot be asked: see the log")
    })?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(underway.to.as_str());
    response.headers_mut().insert(LOCATION, location.map_err(|_| unconfigured())?);
    add(&mut response, &underway_cookie(&underway.secret, UNDERWAY, stranger.is_secure()));
    Ok(response)
}

/// Back from the identity provider: the session's cookie.
#[utoipa::path(get, path = "/api/session/oidc/callback", tag = "session", security(()),
    params(("code" = Option<String>, Query), ("state" = Option<String>, Query)),
    responses((status = 200, description = "A page that leads to the start page", content_type = "text/html"),
    (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
async fn callback(
    State(state): State<AdminState>,
    stranger: Stranger,
    Query(returned): Query<Returned>,
) -> Result<Response, Response> {
    let settings = state.access.settings();
    let oidc = settings.oidc.as_ref().ok_or_else(unconfigured)?;
    let secret = cookie(&stranger.head.headers, COOKIE).unwrap_or_default().to_owned();
    let person = match state.access.provider.end(oidc, &secret, returned).await {
        Ok(person) => person,
        Err(refusal) => return Err(refused(&state, &stranger, &refusal).await),
    };
    let proof = setup::proof(oidc);
    let session = draft(&stranger, (&person.name, person.role), (How::Oidc, &proof), settings.session);
    let (_, session) = keep(&state, &stranger, &session).await?;
    // A page, not a redirect: a browser that comes from elsewhere would follow one without the new cookie.
    let page = "<!doctype html><meta http-equiv=\"refresh\" content=\"0;url=/\"><title>bifrost</title>\
        <p>Logged in. <a href=\"/\">Go on</a>";
    let mut response = Html(page).into_response();
    add(&mut response, &session);
    add(&mut response, &underway_cookie("", 0, stranger.is_secure()));
    Ok(response)
}

/// What is shown says no more than what the visitor knows; the log says why.
async fn refused(state: &AdminState, stranger: &Stranger, refusal: &Refusal) -> Response {
    log::warn!("a login at the identity provider was refused: {refusal}");
    let answer = match refusal {
        Refusal::Unreachable(_) => Refused::unavailable("the identity provider cannot be asked: see the log"),
        Refusal::NoRole(_) => Refused::forbidden("you have no role here"),
        Refusal::Stranger => Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", refusal.to_string()),
        Refusal::Refused(_) | Refusal::Invalid(_) => Refused::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the login at the identity provider failed",
        ),
    };
    if let Refusal::NoRole(name) = refusal {
        let detail = json!({ "name": name, "how": "oidc" });
        state.access.tell(&told("-", stranger.visitor, "session.refused", detail)).await;
    }
    answer.into_response()
}

fn unconfigured() -> Refused {
    Refused::not_found("no identity provider is configured: see governance.auth_config.oidc")
}

/// `Lax`: the browser comes back from another site.
fn underway_cookie(secret: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={secret}; Path=/api/session/oidc; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

fn add(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
