//! Login at an identity provider: OpenID Connect's code flow, with PKCE, state and nonce.
//!
//! A login on its way is a random secret in a cookie of the browser that began it; state, nonce and verifier are made of
//! it, so that nothing is kept here until it comes back, and it comes back through any process. What the provider
//! says of somebody is read by [`claims`].

mod claims;

use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
    CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoClaims,
};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

pub use self::claims::Person;
use super::secret;
use crate::config::access::Oidc;
use crate::egress::http::{Client as Http, HttpError};

/// The cookie of a login on its way.
pub const COOKIE: &str = "bifrost_oidc";
/// How long one may be on its way, in seconds.
pub const UNDERWAY: u64 = 600;
/// What a provider says of itself holds so long.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Why somebody was not let in. For the log: what is shown says less.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the identity provider cannot be asked: {0}")]
    Unreachable(String),
    #[error("the login was begun by another browser, or too long ago")]
    Stranger,
    #[error("the identity provider refused: {0}")]
    Refused(String),
    #[error("the identity provider's answer does not hold: {0}")]
    Invalid(String),
    #[error("{0} has no role here")]
    NoRole(String),
}

/// Asks identity providers.
#[derive(Debug, Default)]
pub struct Provider {
    http: OnceLock<Option<Http>>,
    known: Mutex<Option<(Oidc, Instant, CoreProviderMetadata)>>,
}

/// A login that was begun.
#[derive(Debug)]
pub struct Underway {
    /// Where the browser is sent.
    pub to: Url,
    /// For its cookie.
    pub secret: String,
}

/// What the provider sent the browser back with.
#[derive(Debug, Default, Deserialize)]
pub struct Returned {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// Claims that the standard has no name for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Further(Map<String, Value>);

impl AdditionalClaims for Further {}

type Fields = IdTokenFields<
    Further,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type Relying = Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Signatures that only the provider can make. Not those with a shared secret.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 8] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

impl Provider {
    /// Begins a login.
    ///
    /// # Errors
    /// The provider cannot be asked.
    pub async fn begin(&self, settings: &Oidc) -> Result<Underway, Refusal> {
        let relying = self.relying(settings).await?;
        let secret = secret::random::<32>().map_err(|error| Refusal::Unreachable(error.to_string()))?;
        let secret = URL_SAFE_NO_PAD.encode(secret);
        let (state, nonce) = (of(&secret, "state"), of(&secret, "nonce"));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(&secret));
        let request = relying.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        );
        let scopes = settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let (to, _, _) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        Ok(Underway { to, secret })
    }

    /// Who came back. `secret` is that of the browser's cookie.
    ///
    /// # Errors
    /// As the variants of `Refusal` say.
    pub async fn end(&self, settings: &Oidc, secret: &str, returned: Returned) -> Result<Person, Refusal> {
        let told = returned.state.as_deref().unwrap_or_default();
        if secret.len() != 43 || !secret::same(told, &of(secret, "state")) {
            return Err(Refusal::Stranger);
        }
        if let Some(error) = returned.error {
            let more = returned.error_description.unwrap_or_default();
            return Err(Refusal::Refused(printable(&format!("{error} {more}"))));
        }
        let code = returned.code.ok_or_else(|| Refusal::Refused("it sent no code".to_owned()))?;
        let claims = self.claims(settings, secret, code).await?;
        Person::of(&claims, settings)
    }

    /// What the provider says of who came back, all of it checked to be from there and for this login.
    async fn claims(
        &self,
        settings: &Oidc,
        secret: &str,
        code: String,
    ) -> Result<Map<String, Value>, Refusal> {
        let relying = self.relying(settings).await?;
        let http = self.http()?;
        let invalid = |what: String| Refusal::Invalid(what);
        let exchange = relying
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| invalid(error.to_string()))?;
        let tokens: Tokens = exchange
            .set_pkce_verifier(verifier(secret))
            .request_async(&http)
            .await
            .map_err(|error| Refusal::Refused(printable(&causes(&error))))?;
        let id = tokens.id_token().ok_or_else(|| invalid("there is no ID token".to_owned()))?;
        let checker = relying.id_token_verifier().set_allowed_algs(ALGORITHMS);
        let said =
            id.claims(&checker, &Nonce::new(of(secret, "nonce"))).map_err(|error| invalid(causes(&error)))?;
        let mut claims = object(said);
        if let Ok(request) = relying.user_info(tokens.access_token().clone(), Some(said.subject().clone())) {
            let more: UserInfoClaims<Further, CoreGenderClaim> =
                request.request_async(&http).await.map_err(|error| invalid(causes(&error)))?;
            for (name, value) in object(&more) {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }

    async fn relying(&self, settings: &Oidc) -> Result<Relying, Refusal> {
        let metadata = self.metadata(settings).await?;
        let methods = metadata.token_endpoint_auth_methods_supported().cloned().unwrap_or_default();
        let by_body = methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic);
        let secret =
            settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let id = ClientId::new(settings.client_id.clone());
        let back = RedirectUrl::from_url(settings.redirect.clone());
        let relying = Client::from_provider_metadata(metadata, id, secret).set_redirect_uri(back);
        Ok(if by_body { relying.set_auth_type(AuthType::RequestBody) } else { relying })
    }

    /// What the provider says of itself, with its keys.
    async fn metadata(&self, settings: &Oidc) -> Result<CoreProviderMetadata, Refusal> {
        if let Some((of, at, metadata)) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && of == settings
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(metadata.clone());
        }
        let unreachable = |text: String| Refusal::Unreachable(printable(&text));
        let issuer =
            IssuerUrl::new(settings.issuer.clone()).map_err(|error| unreachable(error.to_string()))?;
        let http = self.http()?;
        let found = CoreProviderMetadata::discover_async(issuer, &http).await;
        let metadata = found.map_err(|error| unreachable(causes(&error)))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((settings.clone(), Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    fn http(&self) -> Result<Asking, Refusal> {
        let http = self.http.get_or_init(|| Http::new(&[]).ok()).clone();
        http.map(Asking)
            .ok_or_else(|| Refusal::Unreachable("the system's certificates cannot be read".to_owned()))
    }
}

/// The gateway's own client, as the protocol's crate asks for one.
struct Asking(Http);

impl<'c> AsyncHttpClient<'c> for Asking {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (head, body) = self.0.ask(request.map(Bytes::from)).await?;
            Ok(http::Response::from_parts(head, body.to_vec()))
        })
    }
}

/// Something that only who has the cookie can know.
fn of(secret: &str, what: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, what.as_bytes()).as_ref())
}

fn verifier(secret: &str) -> PkceCodeVerifier {
    PkceCodeVerifier::new(of(secret, "verifier"))
}

fn object(claims: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// For the log: what a stranger can write there is short and on one line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_is_made_of_is_different_for_each_use_and_fits_pkce() {
        let secret = URL_SAFE_NO_PAD.encode([7; 32]);
        let made: Vec<String> = ["state", "nonce", "verifier"].iter().map(|what| of(&secret, what)).collect();
        assert!(made[0] != made[1] && made[1] != made[2]);
        assert!(made.iter().all(|text| text.len() == 43 && !text.contains(&secret)));
    }

    #[test]
    fn strangers_write_one_short_line() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(printable(&"x".repeat(1_000)).len(), 300);
    }
}
