//! The enum as the shell uses it, and what the other tests share.

pub mod server;

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderName;

use super::oauth::Headers;
use super::slot::{Renewal, Renewed, Slot, Source};
use super::*;
use crate::egress::http::Client;

/// An RSA key made for these tests; it opens nothing.
pub const KEY: &str = include_str!("key.pem");

pub fn client() -> Client {
    Client::new(&[]).unwrap()
}

/// One renewal, as the slot does it.
pub async fn renewed(source: impl Source<Headers> + 'static) -> Result<String, String> {
    let slot = Slot::renewed_by(source);
    slot.ready(Duration::from_secs(30)).await.map_err(|e| e.to_string())?;
    let held = slot.get().map_err(|e| e.to_string())?;
    let shown: Vec<String> =
        held.value.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    Ok(shown.join("\n"))
}

struct Given(&'static str);

impl Source<Headers> for Given {
    fn renew(&self) -> Renewal<'_, Headers> {
        let headers = vec![(::http::header::AUTHORIZATION, self.0.parse().unwrap())];
        Box::pin(async move { Ok(Renewed { value: headers, lifetime: Some(Duration::from_secs(3600)) }) })
    }
}

fn outgoing() -> Outgoing<'static> {
    Outgoing {
        method: "POST",
        host: "h",
        path_and_query: "/",
        headers: &[],
        body: b"{}",
        now: SystemTime::UNIX_EPOCH,
    }
}

fn signed(credential: &Credential) -> Result<Vec<(HeaderName, String)>, CredentialError> {
    let mut headers = Vec::new();
    let set = |name, value: HeaderValue| headers.push((name, value.to_str().unwrap().to_owned()));
    credential.sign(&outgoing(), set).map(|()| headers)
}

#[tokio::test]
async fn fixed_credentials_are_ready_at_once_and_change_nothing_else() {
    assert_eq!(signed(&Credential::None).unwrap(), []);
    let key = Secret::new("sk-1");
    let fixed = Credential::Fixed(Fixed::bearer(&key).unwrap());
    fixed.start();
    fixed.invalidate();
    assert!(fixed.ready(Duration::ZERO).await.is_ok() && fixed.status().is_none());
    assert_eq!(signed(&fixed).unwrap(), [(::http::header::AUTHORIZATION, "Bearer sk-1".to_owned())]);
}

#[tokio::test]
async fn a_token_is_refused_before_it_is_there_and_signed_with_afterwards() {
    let token = Credential::OAuth(OAuth::renewed_by(Given("Bearer ya29.secret")));
    assert!(matches!(signed(&token), Err(CredentialError::Unready(Unready::Pending))));
    token.ready(Duration::from_secs(5)).await.unwrap();
    assert_eq!(signed(&token).unwrap(), [(::http::header::AUTHORIZATION, "Bearer ya29.secret".to_owned())]);
    let shown = format!("{token:?}");
    assert!(shown.contains("usable: true") && !shown.contains("ya29"), "{shown}");
}

#[tokio::test]
async fn secrets_are_masked_wherever_a_credential_is_shown() {
    let keys = || aws::Aws {
        access_key: Some(Secret::new("AKIDHIDDEN")),
        secret_key: Some(Secret::new("hidden/key")),
        session_token: Some(Secret::new("hidden-token")),
        ..aws::Aws::default()
    };
    let google = gcp_oauth::Place::Inline(Secret::new("hidden-json"));
    let entra = entra::Application {
        authority: entra::AUTHORITY.into(),
        tenant_id: "t".into(),
        client_id: "c".into(),
        proof: entra::Proof::Secret(Secret::new("hidden-secret")),
        scopes: vec![entra::SCOPE.into()],
    };
    let signing = Credential::SigV4(keys().signing(sigv4::Scope::bedrock("eu-west-1"), client()).unwrap());
    let shown = format!("{:?} {google:?} {entra:?} {signing:?} {:?}", keys(), Credential::Fixed(bearer()));
    assert!(!shown.to_lowercase().contains("hidden"), "{shown}");
    let headers = {
        let mut headers = Vec::new();
        signing.sign(&outgoing(), |_, value| headers.push(value)).unwrap();
        headers
    };
    assert!(!format!("{headers:?}").contains("hidden"), "{headers:?}");
}

fn bearer() -> Fixed {
    Fixed::bearer(&Secret::new("hidden-bearer")).unwrap()
}

/// The whole snapshot is shared between threads.
#[test]
fn credentials_may_cross_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Credential>>();
    shared::<Client>();
}
