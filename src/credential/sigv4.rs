//! AWS Signature Version 4 on requests that go out.
//!
//! Canonical form, key derivation and signature are AWS's own crate; here is only what the gateway
//! signs with. Bedrock decodes no path before it checks, so the path is encoded once more in the
//! canonical form: `:` of a model id goes as `%3A` on the wire and as `%253A` into the signature.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::{HeaderName, HeaderValue};

use super::slot::{Slot, Source};
use super::{CredentialError, Outgoing, aws_token};

/// How a path becomes its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathForm {
    /// `.`, `..` and double slashes are resolved.
    pub normalize: bool,
    /// What is percent-encoded on the wire is encoded once more.
    pub encode_again: bool,
}

impl PathForm {
    /// Every service but S3.
    pub const USUAL: Self = Self { normalize: true, encode_again: true };
    /// S3, whose keys may hold anything.
    pub const S3: Self = Self { normalize: false, encode_again: false };

    pub(super) fn apply(self, settings: &mut SigningSettings) {
        if !self.normalize {
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if !self.encode_again {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
        }
    }
}

/// What a signature is valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub region: Arc<str>,
    /// `bedrock` for all of Bedrock's runtime hosts.
    pub service: Arc<str>,
    pub path: PathForm,
    /// Also send the body's hash as `x-amz-content-sha256`: asked for by S3 and by proxies that verify.
    pub hash_header: bool,
}

impl Scope {
    /// A service in a region, by the name it is signed for.
    #[must_use]
    pub fn new(service: &str, region: impl Into<Arc<str>>) -> Self {
        Self { region: region.into(), service: service.into(), path: PathForm::USUAL, hash_header: false }
    }

    /// Bedrock in a region.
    #[must_use]
    pub fn bedrock(region: impl Into<Arc<str>>) -> Self {
        Self::new("bedrock", region)
    }
}

/// AWS keys that sign.
#[derive(Debug)]
pub struct SigV4 {
    scope: Scope,
    slot: Slot<Identity>,
}

impl SigV4 {
    /// Keys that do not change, with or without a session token.
    #[must_use]
    pub fn fixed(scope: Scope, keys: Credentials) -> Self {
        Self { scope, slot: Slot::fixed(keys.into()) }
    }

    /// Keys that `source` renews.
    #[must_use]
    pub fn renewed_by(scope: Scope, source: impl Source<Identity> + 'static) -> Self {
        Self { scope, slot: Slot::renewed_by(source) }
    }

    #[must_use]
    pub fn slot(&self) -> &Slot<Identity> {
        &self.slot
    }

    /// The headers that sign `request`: `authorization`, `x-amz-date`, and those of session and body; or the
    /// one with a token, where the service takes that alone.
    ///
    /// # Errors
    /// There are no keys at this moment, or the request has a path or header that is none.
    pub fn sign(&self, request: &Outgoing<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, CredentialError> {
        let keys = self.slot.get()?;
        let wrong = |e: &dyn std::fmt::Display| CredentialError::Unsignable(e.to_string());
        if !request.path_and_query.starts_with('/') {
            return Err(CredentialError::Unsignable("the path does not begin with a slash".into()));
        }
        if aws_token::wanted(&self.scope.service, request.path_and_query) {
            let made = aws_token::authorization(&keys.value, &self.scope, whole_seconds(request.now))?;
            return Ok(vec![made]);
        }
        let uri = format!("https://{}{}", request.host, request.path_and_query);
        let body = SignableBody::Bytes(request.body);
        // Without it the host would be taken from the URL, where a port that is the scheme's own is lost.
        let headers = std::iter::once(("host", request.host))
            .chain(request.headers.iter().copied().filter(|(name, _)| !name.eq_ignore_ascii_case("host")));
        let signable = SignableRequest::new(request.method, uri, headers, body).map_err(|e| wrong(&e))?;
        let params = v4::SigningParams::builder()
            .identity(&keys.value)
            .region(&self.scope.region)
            .name(&self.scope.service)
            .time(whole_seconds(request.now))
            .settings(settings(&self.scope))
            .build()
            .map_err(|e| wrong(&e))?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|e| wrong(&e))?.into_parts();
        instructions.headers().map(added).collect()
    }
}

fn settings(scope: &Scope) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if scope.hash_header {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    scope.path.apply(&mut settings);
    settings
}

fn added((name, value): (&str, &str)) -> Result<(HeaderName, HeaderValue), CredentialError> {
    let wrong = || CredentialError::Unsignable("a key has characters that a header may not hold".into());
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(matches!(name.as_str(), "authorization" | "x-amz-security-token"));
    Ok((name, value))
}

/// The date header has no fractions: neither may the time that is signed.
fn whole_seconds(now: SystemTime) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs())
}

#[cfg(test)]
pub(crate) mod tests;
