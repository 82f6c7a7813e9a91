//! Requests that go to a provider as they are: any method, any path, any body.
//!
//! The provider's key replaces the caller's, the answer comes back as it was given, also when it is an error.
//! Connections that fail are tried again; an answer never is, since nobody knows what it did.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use govern::catalog::Catalog;
use percent_encoding::percent_decode_str;
use pingora_proxy::Session;
use serde::Deserialize;
use translate::Wire;
use translate::ir::FailureKind;
use translate::loss::Losses;
use translate::relay::{self, Peek};

use super::exchange::Call;
use super::fault::Fault;
use super::grants;
use super::headers::Forward;
use super::lease::Lease;
use super::replay::Stage;
use super::request_filter::direct_key;
use super::wish;
use crate::auth::Caller;
use crate::config::snapshot::{ModelRef, Provider, Snapshot};
use crate::route::endpoint::Endpoint;
use crate::route::model::{own_provider, resolve};
use crate::route::plan::{Keys, Plan};
use crate::upstream::select::Cursor;
use crate::upstream::target;

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
    pub caller: Option<&'a Caller>,
}

/// The call of a passthrough request.
///
/// # Errors
/// The provider is not configured, does not allow it, or has keys for some models only.
pub fn plan(
    session: &Session,
    (snapshot, catalog): (&Snapshot, &Catalog<'_>),
    endpoint: Endpoint,
    asked: Asked<'_>,
) -> Result<Call, Fault> {
    let Asked { provider, path, body, started, caller } = asked;
    let head = session.req_header();
    let named = provider.is_some() || head.headers.contains_key(PROVIDER);
    let told = (endpoint.dialect == Wire::OpenAiResponses && !named)
        .then(|| model_told(&body, endpoint, snapshot, catalog))
        .flatten();
    if let Some((target, peek)) = told {
        let mut plan = Plan::only(&target, Keys::OfModel, snapshot);
        grants::apply(&mut plan, caller, direct_key(session, snapshot).is_some(), true)?;
        if let Some(step) = plan.steps.first() {
            check(&step.provider, endpoint, false, true)?;
        }
        return call(session, snapshot, (plan, caller), (endpoint, peek), (path, body, started));
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
    // Answers that were kept run no model.
    let reads = endpoint.dialect == Wire::OpenAiResponses && !path.ends_with("/compact");
    let mut plan = Plan::only(&target, if reads { Keys::Any } else { Keys::OfAllModels }, snapshot);
    grants::unread(&mut plan, caller, !reads)?;
    let peek = Peek::nothing(NO_MODEL);
    let call = call(session, snapshot, (plan, caller), (endpoint, peek), (path, body, started))?;
    check(provider, endpoint, call.stream, reads || call.direct_key.is_some())?;
    Ok(call)
}

/// The model that a body names, and where it is: a long conversation is made short by the model it is with.
fn model_told(
    body: &[u8],
    endpoint: Endpoint,
    snapshot: &Snapshot,
    catalog: &Catalog<'_>,
) -> Option<(ModelRef, Peek<'static>)> {
    let peek = relay::peek(body).ok()?;
    let target = resolve(&peek.model, endpoint.names(), snapshot, catalog).ok()?;
    Some((target, peek.into_owned()))
}

fn call(
    session: &Session,
    snapshot: &Snapshot,
    (plan, caller): (Plan, Option<&Caller>),
    (endpoint, peek): (Endpoint, Peek<'static>),
    (path, body, started): (&str, Bytes, Instant),
) -> Result<Call, Fault> {
    let head = session.req_header();
    let direct_key = direct_key(session, snapshot);
    let query = head.uri.query().map(without_credentials).unwrap_or_default();
    let stream = streams(path, &body);
    let wish = plan.steps.first().map(|step| wish::of(&head.headers, &step.provider, caller)).transpose()?;
    Ok(Call {
        endpoint,
        model_asked: peek.model.as_ref().into(),
        stream,
        include_usage: true,
        body,
        lost: Losses::default(),
        peek,
        raw: Some((head.method.clone(), format!("{path}{query}").into())),
        decoded: None,
        inlined: false,
        betas: Vec::new(),
        task: None,
        single: false,
        list: false,
        plan,
        cursor: Cursor::at_start(stream, wish.unwrap_or_default()),
        stage: Stage::new(started),
        forward: Forward::everything(&head.headers, direct_key.is_some()),
        recovery: Default::default(),
        tab: None,
        lease: Lease::default(),
        size: None,
        trace: None,
        direct_key,
    })
}

/// What goes through unread can be held to no list: it is for providers that allow it, with keys for every model.
fn check(provider: &Provider, endpoint: Endpoint, stream: bool, any_key: bool) -> Result<(), Fault> {
    let name = &provider.name;
    if !target::takes(provider, endpoint, stream) {
        let what = if stream { "passthrough_stream" } else { "passthrough" };
        let message = format!("{name} does not allow {what} (`allowed_requests`)");
        return Err(Fault::request(FailureKind::Permission, 403, message));
    }
    let mut enabled = provider.keys.iter().filter(|key| key.disabled.is_none()).peekable();
    if !any_key && enabled.peek().is_some() && !enabled.any(|key| key.serves_all()) {
        let message = format!(
            "every key of {name} is for some models only, and a passthrough request names none that could be checked: give {name} a key without `models` and `blacklisted_models`"
        );
        return Err(Fault::request(FailureKind::Permission, 403, message));
    }
    Ok(())
}

/// A stream is asked for, as far as anybody can tell.
fn streams(path: &str, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Asked {
        #[serde(default)]
        stream: bool,
    }
    path.to_ascii_lowercase().contains("stream")
        || (body.trim_ascii_start().starts_with(b"{")
            && serde_json::from_slice::<Asked>(body).is_ok_and(|asked| asked.stream))
}

/// The query with its question mark, without what Google's clients write their credentials into.
fn without_credentials(query: &str) -> String {
    let kept = query.split('&').filter(|pair| {
        let name = percent_decode_str(pair.split('=').next().unwrap_or_default()).decode_utf8_lossy();
        !matches!(&*name.to_ascii_lowercase(), "key" | "access_token" | "oauth_token")
    });
    let kept: Vec<&str> = kept.collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_key_in_the_query_went_to_the_provider() {
        for (query, kept) in [
            ("key=k", ""),
            ("alt=sse&key=k&pageSize=2", "?alt=sse&pageSize=2"),
            ("Key=k&%6Bey=k&access_token=t&oauth_token=t", ""),
            ("monkey=1&k=key", "?monkey=1&k=key"),
            ("", "?"),
        ] {
            assert_eq!(without_credentials(query), kept, "{query}");
        }
    }

    #[test]
    fn a_stream_is_known_by_the_path_or_the_body() {
        for (path, body, expected) in [
            ("/v1/x:streamGenerate", "", true),
            ("/v1/audio/speech", r#" {"a": [1], "stream": true}"#, true),
            ("/v1/audio/speech", r#"{"stream": false}"#, false),
            ("/v1/files", "stream: true", false),
        ] {
            assert_eq!(streams(path, body.as_bytes()), expected, "{path} {body}");
        }
    }
}
