//! How a request to a provider proves who sent it.
//!
//! The request path only reads: `Credential::sign` is synchronous, asks nobody and never waits. What
//! expires is renewed by a task of its own (`slot`); the shell awaits `ready` once before the first
//! attempt that needs it. Must not know endpoints, models or wires.

pub mod aws;
mod aws_http;
mod aws_token;
pub mod bearer;
pub mod entra;
mod gcp_federated;
pub mod gcp_oauth;
pub mod ibm;
mod jwt;
pub mod oauth;

pub mod sigv4;
pub mod sigv4_verify;
pub mod slot;

use std::time::{Duration, SystemTime};

use ::http::{HeaderName, HeaderValue};

pub use crate::config::snapshot::Secret;
pub use bearer::Fixed;
pub use oauth::OAuth;
pub use sigv4::SigV4;
pub use slot::{Failure, Status, Unready};
use translate::provider::CredentialScheme;

/// One provider key, ready to be put on requests.
#[derive(Debug)]
pub enum Credential {
    /// The provider asks for none.
    None,
    /// An API key in a header: `Authorization: Bearer` (or another word), `x-api-key`, `x-goog-api-key`.
    Fixed(Fixed),
    /// AWS keys that sign each request.
    SigV4(SigV4),
    /// A short-lived token: Google, Microsoft Entra, IBM Cloud.
    OAuth(OAuth),
}

/// A request as it will be sent; a signature covers it byte for byte.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub method: &'a str,
    /// The `Host` header's value.
    pub host: &'a str,
    /// Percent-encoded as on the wire.
    pub path_and_query: &'a str,
    /// Further headers to sign: few, and none that a proxy on the way may change.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub now: SystemTime,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error(transparent)]
    Unready(#[from] Unready),
    #[error("the request cannot be signed: {0}")]
    Unsignable(String),
}

/// Why a credential cannot be made from its configuration. No secrets in the texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub String);

impl Credential {
    /// A key that is sent as it is, in the header its provider reads.
    #[must_use]
    pub fn of_key(scheme: CredentialScheme, key: &Secret) -> Self {
        let made = match scheme {
            CredentialScheme::Header(name) => Fixed::header(HeaderName::from_static(name), key),
            CredentialScheme::Azure => Fixed::header(HeaderName::from_static("api-key"), key),
            CredentialScheme::Google => Fixed::header(HeaderName::from_static("x-goog-api-key"), key),
            CredentialScheme::Word(word) => Fixed::word(word, key),
            // A caller's own is the token, not the key it is exchanged for.
            CredentialScheme::Bearer
            | CredentialScheme::Optional
            | CredentialScheme::Aws(_)
            | CredentialScheme::Ibm => Fixed::bearer(key),
        };
        // A key that no header can carry is refused with the configuration.
        made.map_or(Self::None, Self::Fixed)
    }

    /// Gives the headers to set on `request`. They replace what is there under the same names.
    ///
    /// # Errors
    /// There is no valid token or key at this moment.
    pub fn sign(
        &self,
        request: &Outgoing<'_>,
        mut set: impl FnMut(HeaderName, HeaderValue),
    ) -> Result<(), CredentialError> {
        match self {
            Self::None => {}
            Self::Fixed(fixed) => set(fixed.name().clone(), fixed.value().clone()),
            Self::SigV4(keys) => {
                for (name, value) in keys.sign(request)? {
                    set(name, value);
                }
            }
            Self::OAuth(token) => {
                for (name, value) in &token.headers()?.value {
                    set(name.clone(), value.clone());
                }
            }
        }
        Ok(())
    }

    /// Waits for the first token, at most `within`. Immediate when there is one.
    ///
    /// # Errors
    /// The token endpoint failed, or took longer.
    pub async fn ready(&self, within: Duration) -> Result<(), Unready> {
        match self {
            Self::None | Self::Fixed(_) => Ok(()),
            Self::SigV4(keys) => keys.slot().ready(within).await,
            Self::OAuth(token) => token.slot().ready(within).await,
        }
    }

    /// Starts renewal in the background. Needs a Tokio runtime around it.
    pub fn start(&self) {
        match self {
            Self::None | Self::Fixed(_) => {}
            Self::SigV4(keys) => keys.slot().start(),
            Self::OAuth(token) => token.slot().start(),
        }
    }

    /// The provider refused the token (401 or 403): renew early. Cheap, and may be called often.
    pub fn invalidate(&self) {
        match self {
            Self::None | Self::Fixed(_) => {}
            Self::SigV4(keys) => keys.slot().invalidate(),
            Self::OAuth(token) => token.slot().invalidate(),
        }
    }

    /// For the admin pages; `None` when nothing expires.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::None | Self::Fixed(_) => None,
            Self::SigV4(keys) => Some(keys.slot().status()),
            Self::OAuth(token) => Some(token.slot().status()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
