//! Who looks after the gateway: logins, sessions, tokens, and who is let in.
//!
//! Nobody is, without a proof: a session's cookie, a token, or a name and a password. A gateway that nobody has set a login
//! for prints a one-time token at its start. What a proof is good for is in the store as a hash, or in the configuration.
//! What the paths of the administration do is not known here.

#![allow(clippy::result_large_err, reason = "a refusal is a whole answer, made once and sent")]

mod basic;
pub mod login;
pub mod oidc;
pub mod origin;
pub mod password;
pub mod records;
pub mod routes;
pub mod secret;
pub mod session;
pub mod setup;
pub mod token;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use self::login::Guesses;
use self::oidc::Provider;
use self::password::{PasswordError, Passwords};
use self::records::{InMemory, Records, Unreachable};
use self::secret::{Kind, NoRandomness};
use self::session::{How, Open};
use super::api::fault::Refused;
use super::door::Visitor;
use super::who::{Admin, Gate, Role};
use crate::config::access::{self, Door};
use crate::proxy::Gateway;
use crate::store::audit::Action;

/// The settings of this moment.
pub type Settings = Box<dyn Fn() -> Arc<access::Access> + Send + Sync>;

/// What all requests to the administration share.
pub struct Access {
    settings: Settings,
    pub records: Arc<dyn Records>,
    pub passwords: Passwords,
    guesses: Guesses,
    /// Of identities.
    pub provider: Provider,
    /// Makes what is remembered of passwords worthless elsewhere.
    salt: String,
}

/// Somebody, and what proved it.
#[derive(Debug, Clone)]
pub struct Proven {
    pub admin: Admin,
    pub by: By,
}

/// What proved it.
#[derive(Debug, Clone)]
pub enum By {
    Session(Box<Open>),
    Token {
        hash: String,
    },
    Password,
    /// The door is open.
    Nothing,
}

/// Why something could not be done, through no fault of who asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl Access {
    /// That of a gateway: with its configuration, over its store, or in memory where it has none.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn of(gateway: &Gateway) -> Result<Self, NoRandomness> {
        let config = Arc::clone(&gateway.config);
        let settings = Box::new(move || Arc::clone(&config.load_full().access));
        match gateway.store.clone() {
            Some(store) => Self::new(settings, store),
            None => Self::new(settings, Arc::new(InMemory::default())),
        }
    }

    /// # Errors
    /// The system gives no random numbers.
    pub fn new(settings: Settings, records: Arc<dyn Records>) -> Result<Self, NoRandomness> {
        let salt = secret::make(Kind::Session)?;
        let (passwords, guesses) = (Passwords::default(), Guesses::default());
        Ok(Self { settings, records, passwords, guesses, provider: Provider::default(), salt })
    }

    #[must_use]
    pub fn settings(&self) -> Arc<access::Access> {
        (self.settings)()
    }

    /// Who asks.
    ///
    /// # Errors
    /// The answer for those who are not let in.
    pub async fn who(&self, head: &Parts, visitor: Visitor) -> Result<Proven, Response> {
        let settings = self.settings();
        if let Some(value) = head.headers.get(AUTHORIZATION) {
            return self.by_header(value, &settings, visitor).await;
        }
        if let Some(secret) = session::from_cookies(&head.headers) {
            match self.by_session(secret, &settings).await.map_err(failed)? {
                Some(proven) => return checked(head, secret, proven),
                None if settings.door == Door::Closed => {
                    return Err(unauthorized("this session is over: log in again"));
                }
                None => {}
            }
        }
        by_door(head, settings.door, visitor)
    }

    async fn by_header(
        &self,
        value: &HeaderValue,
        settings: &access::Access,
        visitor: Visitor,
    ) -> Result<Proven, Response> {
        let text = value.to_str().unwrap_or_default();
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            return self.by_password(rest, settings, visitor).await;
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unauthorized("expected `Authorization: Bearer <token>`"));
        }
        let proven = match Kind::of(rest) {
            Some(Kind::Session) => self.by_session(rest, settings).await.map_err(failed)?,
            Some(Kind::Token) => self.by_token(&secret::hash(rest)).await.map_err(failed)?,
            Some(Kind::Setup) => {
                return Err(unauthorized(
                    "the one-time token is no bearer token: send it once to /api/session/setup or /api/session/login",
                ));
            }
            None if rest.starts_with("sk-bf-") => {
                return Err(unauthorized("a virtual key is for models, not for the administration"));
            }
            None => None,
        };
        proven.ok_or_else(|| unauthorized("this token is not known, or its time is over"))
    }

    async fn by_token(&self, hash: &str) -> Result<Option<Proven>, Unreachable> {
        let found = token::by_hash(&*self.records, hash, now_ms()).await?;
        Ok(found.map(|found| Proven {
            admin: Admin { name: format!("token:{}", found.token.name), role: found.token.role },
            by: By::Token { hash: hash.to_owned() },
        }))
    }

    /// A session counts as long as what it was begun with does, and for no more than that.
    async fn by_session(
        &self,
        secret: &str,
        settings: &access::Access,
    ) -> Result<Option<Proven>, Unreachable> {
        let Some(open) = session::find(&*self.records, secret, now_ms()).await? else { return Ok(None) };
        let session = &open.session;
        let role = match session.how {
            How::Password => {
                let known = login::find(settings, &*self.records, &session.name).await?;
                known.filter(|known| known.proof == session.proof).map(|known| known.role)
            }
            How::Token => self.by_token(&session.proof).await?.map(|proven| proven.admin.role),
            How::Oidc => {
                let same = settings.oidc.as_ref().is_some_and(|oidc| setup::proof(oidc) == session.proof);
                same.then_some(session.role)
            }
            How::Setup => Some(session.role),
        };
        Ok(role.map(|role| {
            let admin = Admin { name: open.session.name.clone(), role };
            Proven { admin, by: By::Session(Box::new(open)) }
        }))
    }

    /// Writes into the audit log what changes nothing.
    pub async fn tell(&self, told: &Action) {
        if let Err(error) = self.records.tell(told).await {
            log::error!("{} by {} is missing in the audit log: {error}", told.action, told.who);
        }
    }
}

/// A row for the audit log.
#[must_use]
pub fn told(who: &str, visitor: Visitor, action: &str, detail: serde_json::Value) -> Action {
    let address = visitor.address.map(|address| address.to_canonical().to_string()).unwrap_or_default();
    Action { at_ms: now_ms(), who: who.to_owned(), address, action: action.to_owned(), detail }
}

#[async_trait]
impl Gate for Access {
    async fn admit(&self, head: &Parts, visitor: Visitor) -> Result<Admin, Response> {
        self.who(head, visitor).await.map(|proven| proven.admin)
    }
}

/// A cookie comes by itself: what changes something needs the page's word as well.
fn checked(head: &Parts, secret: &str, proven: Proven) -> Result<Proven, Response> {
    let told = head.headers.get(origin::CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if head.method.is_safe() || secret::same(told, &secret::csrf(secret)) {
        return Ok(proven);
    }
    let message =
        format!("a change with a session's cookie needs its csrf_token in the header {}", origin::CSRF);
    Err(Refused::new(StatusCode::FORBIDDEN, "csrf_token_missing", message).into())
}

fn by_door(head: &Parts, door: Door, visitor: Visitor) -> Result<Proven, Response> {
    let anyone = |name: &str| {
        let admin = Admin { name: name.to_owned(), role: Role::Admin };
        Ok(Proven { admin, by: By::Nothing })
    };
    match door {
        Door::Closed => Err(unauthorized("log in, or send a token as `Authorization: Bearer <token>`")),
        Door::Open => anyone("anyone"),
        Door::OpenToThisMachine => {
            let here = visitor.address.is_some_and(|address| address.to_canonical().is_loopback());
            let relayed = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
                .iter()
                .any(|name| head.headers.contains_key(*name));
            if here && !relayed && origin::names_this_machine(head) {
                return anyone("loopback");
            }
            Err(unauthorized("without login the administration is open to this machine only"))
        }
    }
}

/// 401.
fn unauthorized(message: &str) -> Response {
    let mut response = Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bifrost\""));
    response
}

/// 429.
fn too_soon(wait_ms: u64) -> Response {
    let seconds = wait_ms.div_ceil(1_000);
    let message = format!("too many wrong passwords: try again in {seconds} s");
    let refused = Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
    let mut response = refused.into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn failed(trouble: impl Into<Trouble>) -> Response {
    match trouble.into() {
        Trouble::Password(error @ (PasswordError::Short | PasswordError::Long)) => {
            Refused::field("password", error.to_string()).into()
        }
        Trouble::NoRandomness(error) => {
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()).into()
        }
        trouble => Refused::unavailable(trouble.to_string()).into(),
    }
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
