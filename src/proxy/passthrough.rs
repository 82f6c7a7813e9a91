//! Requests that go to a provider as they are: any method, any path, any body.
//!
//! The provider's key replaces the caller's, the answer comes back as it was given, also when it is an error.
//! Connections that fail are tried again; an answer never is, since nobody knows what it did.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use govern::catalog::Catalog;
use pingora_proxy::Session;
use translate::Wire;
use translate::ir::FailureKind;
use translate::relay::{self, Peek};

use super::exchange::Call;
use super::fault::Fault;
use super::headers::Forward;
use super::replay::Stage;
use crate::config::snapshot::{ModelRef, Snapshot};
use crate::route::endpoint::Endpoint;
use crate::route::model::{own_provider, resolve};
use crate::route::plan::Plan;

/// The header that names another provider than the family's own.
const PROVIDER: &str = "x-model-provider";
/// What stands for a model that nobody looked for.
const NO_MODEL: &str = "none";

/// What the path tells, and what was sent.
pub struct Asked<'a> {
    /// The provider, where the path names it.
    pub provider: Option<&'a str>,
    /// The path at the provider.
    pub path: &'a str,
    pub body: Bytes,
    pub started: Instant,
}

/// The call of a passthrough request.
///
/// # Errors
/// The provider is not configured.
pub fn plan(
    session: &Session,
    (snapshot, catalog): (&Snapshot, &Catalog<'_>),
    endpoint: Endpoint,
    asked: Asked<'_>,
) -> Result<Call, Fault> {
    let Asked { provider, path, body, started } = asked;
    let head = session.req_header();
    let named = provider.is_some() || head.headers.contains_key(PROVIDER);
    let told = (endpoint.dialect == Wire::OpenAiResponses && !named)
        .then(|| model_told(&body, endpoint, snapshot, catalog))
        .flatten();
    if let Some((target, peek)) = told {
        return Ok(call(session, &target, snapshot, (endpoint, peek), (path, body, started)));
    }
    let named = head.headers.get(PROVIDER).and_then(|value| value.to_str().ok());
    let own = || own_provider(endpoint.family, "", |name| snapshot.provider(name).is_some());
    let name = named.or(provider).unwrap_or_else(own);
    let Some(provider) = snapshot.provider(name) else {
        let message = format!(
            "the provider `{name}` is not configured: add `providers.{name}`, or name another in {PROVIDER}"
        );
        return Err(Fault::request(FailureKind::NotFound, 404, message));
    };
    let target = ModelRef { provider: Arc::clone(&provider.name), model: NO_MODEL.into() };
    Ok(call(session, &target, snapshot, (endpoint, Peek::nothing(NO_MODEL)), (path, body, started)))
}

/// The model that a body names, and where it is: a long conversation is made short by the model it is with.
fn model_told(
    body: &[u8],
    endpoint: Endpoint,
    snapshot: &Snapshot,
    catalog: &Catalog<'_>,
) -> Option<(ModelRef, Peek<'static>)> {
    let peek = relay::peek(body).ok()?;
    let target = resolve(&peek.model, endpoint.family, snapshot, catalog).ok()?;
    Some((target, peek.into_owned()))
}

fn call(
    session: &Session,
    target: &ModelRef,
    snapshot: &Snapshot,
    (endpoint, peek): (Endpoint, Peek<'static>),
    (path, body, started): (&str, Bytes, Instant),
) -> Call {
    let head = session.req_header();
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Call {
        endpoint,
        model_asked: peek.model.as_ref().into(),
        stream: false,
        include_usage: true,
        body,
        peek,
        raw: Some((head.method.clone(), format!("{path}{query}").into())),
        decoded: None,
        inlined: false,
        betas: Vec::new(),
        task: None,
        single: false,
        list: false,
        plan: Plan::only(target, snapshot),
        cursor: crate::upstream::select::Cursor::default(),
        stage: Stage::new(started),
        direct_key: None,
        forward: Forward::everything(&head.headers),
    }
}
