//! Tokens of AWS services whose OpenAI paths take no signature: a signed URL, written as one word.
//!
//! Made anew for each call and asked of nobody; the service reads keys, region and time out of it. Must not
//! know endpoints or models.
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html>

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::CredentialError;
use super::sigv4::Scope;

/// Services, and what the paths that take their tokens hold.
const PATHS: &[(&str, &str)] = &[("sagemaker", "/openai/")];
/// A token outlives the start of its call, and little more.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether a call of `service` at `path` takes a token where others are signed.
pub(super) fn wanted(service: &str, path: &str) -> bool {
    PATHS.iter().any(|(known, part)| *known == service && path.contains(part))
}

/// The header with the token of `keys` for the scope's service and region.
///
/// # Errors
/// The keys cannot sign, or hold characters that no header may.
pub(super) fn authorization(
    keys: &Identity,
    scope: &Scope,
    now: SystemTime,
) -> Result<(HeaderName, HeaderValue), CredentialError> {
    let wrong = |e: &dyn Display| CredentialError::Unsignable(e.to_string());
    let host = format!("{}.amazonaws.com", scope.service);
    let query = "Action=CallWithBearerToken";
    let headers = std::iter::once(("host", host.as_str()));
    let url = format!("https://{host}/?{query}");
    let request = SignableRequest::new("POST", url, headers, SignableBody::empty()).map_err(|e| wrong(&e))?;
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let params = v4::SigningParams::builder()
        .identity(keys)
        .region(&scope.region)
        .name(&scope.service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|e| wrong(&e))?;
    let (signed, _) = sign(request, &params.into()).map_err(|e| wrong(&e))?.into_parts();
    let mut text = format!("{host}/?{query}");
    for (name, value) in signed.params() {
        text.push_str(&format!("&{name}={}", utf8_percent_encode(value, UNRESERVED)));
    }
    // Not signed: it tells how the rest is to be read.
    text.push_str("&Version=1");
    let token = format!("Bearer {}-api-key-{}", scope.service, STANDARD.encode(text));
    let mut value = HeaderValue::from_str(&token).map_err(|e| wrong(&e))?;
    value.set_sensitive(true);
    Ok((header::AUTHORIZATION, value))
}
