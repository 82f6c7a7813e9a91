//! The upstream request's head: path, host, credential, length. Built from nothing, see `headers`.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Version, header};
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use translate::frame::Framing;
use translate::provider::BetaPlace;

use super::attempt::Attempt;
use super::exchange::{Call, Exchange};
use super::headers::BETA;
use super::trace;
use crate::credential::{Credential, CredentialError, Outgoing};
use crate::route::endpoint::Endpoint;

/// The provider key cannot be put on the request.
pub const CREDENTIAL: ErrorType = ErrorType::Custom("credential");

/// Replaces the head that Pingora copied from the caller.
///
/// # Errors
/// A path or key that is no valid header: the configuration refuses those, so never in practice.
pub fn run(request: &mut RequestHeader, exchange: &mut Exchange) -> Result<()> {
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else {
        return Error::e_explain(ErrorType::InternalError, "no attempt was opened");
    };
    if attempt.handed {
        // It was sent already: what is written here goes nowhere.
        *request = RequestHeader::build(Method::POST, b"/", None)?;
        return request.insert_header(header::CONTENT_LENGTH, 0);
    }
    *request = build(call, attempt, request.version)?;
    Ok(())
}

/// The head of `attempt`'s request, signed.
///
/// # Errors
/// As [`run`].
pub fn build(call: &Call, attempt: &Attempt, version: Version) -> Result<RequestHeader> {
    let mut parts = common(attempt, call.endpoint)?;
    parts.version = version;
    let mut head = RequestHeader::from(parts);
    if attempt.turned {
        head.set_method(Method::GET);
        head.remove_header(&header::CONTENT_TYPE);
    } else {
        head.insert_header(header::CONTENT_LENGTH, attempt.upstream.body.len())?;
    }
    match &call.raw {
        Some((method, _)) => {
            head.set_method(method.clone());
            head.remove_header(&header::CONTENT_TYPE);
        }
        None => {
            let accept = accept(call.stream, attempt.upstream.target.framing);
            head.insert_header(header::ACCEPT, HeaderValue::from_static(accept))?;
        }
    }
    if attempt.place.as_ref().is_some_and(|place| !place.trusted) {
        // Neither the operator's headers nor the caller's are for strangers.
        return Ok(head);
    }
    // Where betas have a place, they are there and nowhere else.
    let placed = call.raw.is_none() && attempt.upstream.target.betas.place != BetaPlace::Nowhere;
    for (name, value) in call.forward.to(attempt.upstream.relay) {
        if placed && name == BETA {
            continue;
        }
        // There is one already.
        if *name == header::USER_AGENT {
            head.insert_header(name.clone(), value.clone())?;
        } else {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    if let Some(betas) = &attempt.upstream.betas {
        head.insert_header(BETA, betas.clone())?;
    }
    trace::tell(&mut head, call, attempt)?;
    dedup_version(&mut head, call, attempt)?;
    for (name, value) in &attempt.provider.network.extra_headers {
        head.insert_header(name.clone(), value.clone())?;
    }
    sign(&mut head, attempt)?;
    Ok(head)
}

/// What is the same for every request of an operation at a provider, kept where path and host are too.
fn common(attempt: &Attempt, endpoint: Endpoint) -> Result<Parts> {
    let (provider, target) = (&attempt.provider, &attempt.upstream.target);
    let kept = provider.heads.get(endpoint.operation as usize);
    let elsewhere = attempt.key.endpoint.is_some() || target.elsewhere.is_some();
    let kept = kept.filter(|_| target.fixed && !elsewhere && target.wire == provider.wire);
    if let Some(made) = kept.and_then(|kept| kept.get()) {
        return Ok(made.clone());
    }
    let mut request = http::Request::builder()
        .method(Method::POST)
        .uri(&*target.path)
        .header(header::HOST, &*attempt.endpoint().authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION")));
    for (name, value) in target.headers {
        request = request.header(*name, *value);
    }
    if let Some(options) = &provider.mock {
        request = request.header(crate::mock::OPTIONS_HEADER, crate::mock::header(options));
    }
    let made = request.body(()).or_err(ErrorType::InternalError, "the provider's head")?.into_parts().0;
    if let Some(kept) = kept {
        // Another request may have been first: then both are the same.
        let _ = kept.set(made.clone());
    }
    Ok(made)
}

/// A header that the provider's row sets and the caller sets too: the caller's stands, once.
fn dedup_version(head: &mut RequestHeader, call: &Call, attempt: &Attempt) -> Result<()> {
    for (name, _) in attempt.upstream.target.headers {
        let given =
            call.forward.to(attempt.upstream.relay).find(|(forwarded, _)| forwarded.as_str() == *name);
        if let Some((name, value)) = given {
            head.insert_header(name.clone(), value.clone())?;
        }
    }
    Ok(())
}

fn accept(stream: bool, framing: Framing) -> &'static str {
    match framing {
        _ if !stream => "application/json",
        Framing::Sse => "text/event-stream",
        Framing::EventStream | Framing::EventStreamChunks => "application/vnd.amazon.eventstream",
    }
}

/// The headers that prove who asks `request`: with the attempt's key, or the caller's own.
///
/// # Errors
/// There is no valid token or key at this moment.
pub fn proof(
    attempt: &Attempt,
    request: &Outgoing<'_>,
) -> std::result::Result<Vec<(HeaderName, HeaderValue)>, CredentialError> {
    let callers = attempt.key.secret.as_ref().filter(|_| attempt.direct);
    let callers = callers.map(|secret| Credential::of_key(attempt.provider.credential, secret));
    let credential = callers.as_ref().unwrap_or(&attempt.key.credential);
    let mut headers = Vec::new();
    credential.sign(request, |name, value| headers.push((name, value)))?;
    Ok(headers)
}

/// Puts on what proves who asks. Last, because a signature covers what is sent.
fn sign(head: &mut RequestHeader, attempt: &Attempt) -> Result<()> {
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(|value| ("content-type", value));
    let request = Outgoing {
        method: head.method.as_str(),
        host: &attempt.endpoint().authority,
        path_and_query: &attempt.upstream.target.path,
        headers: content_type.as_slice(),
        body: &attempt.upstream.body,
        now: std::time::SystemTime::now(),
    };
    match proof(attempt, &request) {
        Ok(headers) => headers.into_iter().try_for_each(|(name, value)| head.insert_header(name, value)),
        Err(error) => Error::e_explain(CREDENTIAL, error.to_string()),
    }
}
