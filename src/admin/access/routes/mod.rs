//! Paths of access: sessions, logins, tokens, the audit log. And what stands around every path of the administration.

mod audit;
mod body;
mod oidc;
mod session;
mod tokens;
mod users;

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use utoipa_axum::router::OpenApiRouter;

use super::origin;
use crate::admin::api::AdminState;
use crate::admin::api::fault::Refused;
use crate::admin::door::Visitor;
use crate::admin::who::{Admin, Role};
use crate::telemetry::clock::write_rfc3339;

/// Paths that ask for themselves who is there: one has to get in somewhere.
pub fn open() -> OpenApiRouter<AdminState> {
    session::routes().merge(oidc::routes())
}

/// Paths behind the gate.
pub fn gated() -> OpenApiRouter<AdminState> {
    users::routes().merge(tokens::routes()).merge(audit::routes())
}

/// Around every answer of the administration: pages of other origins change nothing, and headers for browsers.
pub async fn guard(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let settings = state.access.settings();
    let (head, body) = request.into_parts();
    let page = origin::page(&head, &settings);
    let visitor = visitor(&head);
    let seen = head.clone();
    let mut response = if origin::is_preflight(&head) {
        let mut response = StatusCode::NO_CONTENT.into_response();
        origin::preflight(response.headers_mut(), &settings, page);
        response
    } else if origin::is_forged(&head, page, settings.door) {
        let message = "a page of another origin may not change anything here: see client.allowed_origins";
        Refused::new(StatusCode::FORBIDDEN, "cross_origin", message).into_response()
    } else {
        next.run(Request::from_parts(head, body)).await
    };
    origin::secure(response.headers_mut(), visitor.secure);
    origin::allow(response.headers_mut(), &seen, page);
    response
}

/// Who stands at the door, before anybody asked for a name.
struct Stranger {
    head: Parts,
    visitor: Visitor,
}

impl Stranger {
    /// The browser's connection is encrypted, here or before.
    fn is_secure(&self) -> bool {
        let told = self.head.headers.get("x-forwarded-proto");
        self.visitor.secure || told.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
    }

    /// A page asks, not a program. Browsers tell.
    fn is_page(&self) -> bool {
        ["origin", "sec-fetch-site", "sec-fetch-mode"]
            .iter()
            .any(|name| self.head.headers.contains_key(*name))
    }

    fn address(&self) -> String {
        self.visitor.address.map(|address| address.to_canonical().to_string()).unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Stranger {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self { visitor: visitor(parts), head: parts.clone() })
    }
}

/// An admin, let in by the gate; viewers see nothing of who else there is.
struct Trusted {
    name: String,
    visitor: Visitor,
}

impl<S: Sync> FromRequestParts<S> for Trusted {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        match parts.extensions.get::<Admin>() {
            Some(admin) if admin.role == Role::Admin => {
                Ok(Self { name: admin.name.clone(), visitor: visitor(parts) })
            }
            _ => Err(Refused::forbidden("this is for admins")),
        }
    }
}

fn visitor(head: &Parts) -> Visitor {
    head.extensions.get::<Visitor>().copied().unwrap_or(Visitor { address: None, secure: false })
}

fn agent(headers: &HeaderMap) -> String {
    let text = headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    text.unwrap_or_default().chars().take(200).collect()
}

/// RFC 3339.
fn moment(at_ms: u64) -> String {
    let mut text = Vec::new();
    write_rfc3339(std::time::UNIX_EPOCH + std::time::Duration::from_millis(at_ms), &mut text);
    String::from_utf8(text).unwrap_or_default()
}
