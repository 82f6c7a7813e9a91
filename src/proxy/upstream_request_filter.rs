//! The upstream request's head: path, host, credential, length. Built from nothing, see `headers`.

use http::{HeaderValue, Method, header};
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use translate::provider::CredentialScheme;

use super::attempt::Attempt;
use super::exchange::{Call, Exchange};
use super::target_path;

/// Replaces the head that Pingora copied from the caller.
///
/// # Errors
/// A path or key that is no valid header: the configuration refuses those, so never in practice.
pub fn run(request: &mut RequestHeader, exchange: &mut Exchange) -> Result<()> {
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else {
        return Error::e_explain(ErrorType::InternalError, "no attempt was opened");
    };
    let Some(path) = target_path(&attempt.provider, call.endpoint) else {
        return Error::e_explain(ErrorType::InternalError, "the provider has no such operation");
    };
    let mut head = RequestHeader::build(Method::POST, path.as_bytes(), Some(12))?;
    head.set_version(request.version);
    head.insert_header(header::HOST, &*attempt.provider.endpoint.authority)?;
    head.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    head.insert_header(header::CONTENT_LENGTH, attempt.upstream.body.len())?;
    let accept = if call.stream { "text/event-stream" } else { "application/json" };
    head.insert_header(header::ACCEPT, HeaderValue::from_static(accept))?;
    let agent = HeaderValue::from_static(concat!("bifrost/", env!("CARGO_PKG_VERSION")));
    head.insert_header(header::USER_AGENT, agent)?;
    for (name, value) in attempt.provider.spec.headers {
        head.insert_header(*name, *value)?;
    }
    for (name, value) in call.forward.to(attempt.upstream.relay) {
        head.append_header(name.clone(), value.clone())?;
    }
    if let Some(options) = &attempt.provider.mock {
        head.insert_header(crate::mock::OPTIONS_HEADER, crate::mock::header(options))?;
    }
    dedup_version(&mut head, call, attempt)?;
    for (name, value) in &attempt.provider.network.extra_headers {
        head.insert_header(name.clone(), value.clone())?;
    }
    sign(&mut head, call, attempt)?;
    *request = head;
    Ok(())
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

fn sign(head: &mut RequestHeader, call: &Call, attempt: &Attempt) -> Result<()> {
    let secret = call.direct_key.as_ref().or(attempt.key.secret.as_ref());
    let Some(secret) = secret else { return Ok(()) };
    match attempt.provider.credential {
        CredentialScheme::Bearer | CredentialScheme::Optional => {
            head.insert_header(header::AUTHORIZATION, format!("Bearer {}", secret.expose()))
        }
        CredentialScheme::Header(name) => head.insert_header(name, secret.expose()),
    }
    .or_err(ErrorType::InternalError, "the provider key is no valid header value")
}
