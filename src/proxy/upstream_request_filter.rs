//! The upstream request's head: path, host, credential, length. Built from nothing, see `headers`.

use http::request::Parts;
use http::{HeaderValue, Method, header};
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use translate::provider::CredentialScheme;

use super::attempt::Attempt;
use super::exchange::{Call, Exchange};
use super::target_path;
use crate::config::snapshot::Provider;
use crate::route::endpoint::Endpoint;

/// Replaces the head that Pingora copied from the caller.
///
/// # Errors
/// A path or key that is no valid header: the configuration refuses those, so never in practice.
pub fn run(request: &mut RequestHeader, exchange: &mut Exchange) -> Result<()> {
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else {
        return Error::e_explain(ErrorType::InternalError, "no attempt was opened");
    };
    let mut parts = common(&attempt.provider, call.endpoint)?;
    parts.version = request.version;
    let mut head = RequestHeader::from(parts);
    head.insert_header(header::CONTENT_LENGTH, attempt.upstream.body.len())?;
    let accept = if call.stream { "text/event-stream" } else { "application/json" };
    head.insert_header(header::ACCEPT, HeaderValue::from_static(accept))?;
    for (name, value) in call.forward.to(attempt.upstream.relay) {
        head.append_header(name.clone(), value.clone())?;
    }
    dedup_version(&mut head, call, attempt)?;
    for (name, value) in &attempt.provider.network.extra_headers {
        head.insert_header(name.clone(), value.clone())?;
    }
    sign(&mut head, attempt)?;
    *request = head;
    Ok(())
}

/// What is the same for every request of an operation at a provider.
fn common(provider: &Provider, endpoint: Endpoint) -> Result<Parts> {
    let kept = provider.heads.get(endpoint.operation as usize);
    if let Some(made) = kept.and_then(|kept| kept.get()) {
        return Ok(made.clone());
    }
    let Some(path) = target_path(provider, endpoint) else {
        return Error::e_explain(ErrorType::InternalError, "the provider has no such operation");
    };
    let mut request = http::Request::builder()
        .method(Method::POST)
        .uri(&**path)
        .header(header::HOST, &*provider.endpoint.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION")));
    for (name, value) in provider.spec.headers {
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
    for (name, _) in attempt.provider.spec.headers {
        let given =
            call.forward.to(attempt.upstream.relay).find(|(forwarded, _)| forwarded.as_str() == *name);
        if let Some((name, value)) = given {
            head.insert_header(name.clone(), value.clone())?;
        }
    }
    Ok(())
}

fn sign(head: &mut RequestHeader, attempt: &Attempt) -> Result<()> {
    let Some(secret) = attempt.key.secret.as_ref() else { return Ok(()) };
    match attempt.provider.credential {
        CredentialScheme::Bearer | CredentialScheme::Optional => {
            head.insert_header(header::AUTHORIZATION, format!("Bearer {}", secret.expose()))
        }
        CredentialScheme::Header(name) => head.insert_header(name, secret.expose()),
    }
    .or_err(ErrorType::InternalError, "the provider key is no valid header value")
}
