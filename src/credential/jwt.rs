//! Signed assertions for Google's token endpoint (RFC 7523), by the crypto library that TLS uses too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;

use super::Misconfigured;

/// What an assertion claims.
#[derive(Debug, Serialize)]
pub(super) struct Claims<'a> {
    pub iss: &'a str,
    pub scope: &'a str,
    pub aud: &'a str,
    /// Seconds since 1970.
    pub iat: u64,
    pub exp: u64,
}

/// An RSA key read from PEM.
pub(super) struct Signer {
    pair: RsaKeyPair,
    id: Option<String>,
}

impl Signer {
    /// # Errors
    /// The text is no RSA key in PEM form (PKCS #8 or PKCS #1) of at least 2048 bits.
    pub fn new(pem: &str, id: Option<String>) -> Result<Self, Misconfigured> {
        let wrong = |what: &str| Misconfigured(format!("the private key {what}"));
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong("is not in PEM form"))?;
        let pair = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(wrong("is no RSA key")),
        };
        Ok(Self { pair: pair.map_err(|e| wrong(&format!("is no usable RSA key: {e}")))?, id })
    }

    /// The claims as a compact JWT.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn sign(&self, claims: &Claims<'_>) -> Result<String, Misconfigured> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'a str,
            typ: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            kid: Option<&'a str>,
        }
        let failed = |_| Misconfigured("the assertion could not be signed".into());
        let header = Header { alg: "RS256", typ: "JWT", kid: self.id.as_deref() };
        let header = serde_json::to_vec(&header).map_err(|_| failed(ring::error::Unspecified))?;
        let claims = serde_json::to_vec(claims).map_err(|_| failed(ring::error::Unspecified))?;
        let mut text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).map_err(failed)?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }
}
