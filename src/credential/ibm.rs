//! IBM Cloud's tokens: an API key is exchanged for one, which lives an hour.
//!
//! Must not know IBM's model endpoints.

use std::fmt;

use super::Secret;
use super::oauth::{Headers, post_form};
use super::slot::{Renewal, Renewed, Source, SourceError};
use crate::egress::http::Client;

/// The public cloud's token endpoint.
pub const TOKENS: &str = "https://iam.cloud.ibm.com/identity/token";

/// Exchanges a key.
pub struct Iam {
    client: Client,
    url: String,
    key: Secret,
}

impl Iam {
    /// `url`: [`TOKENS`], or a private cloud's.
    #[must_use]
    pub fn new(client: Client, url: &str, key: Secret) -> Self {
        Self { client, url: url.to_owned(), key }
    }

    async fn fetch(&self) -> Result<Renewed<Headers>, SourceError> {
        let kind = "urn:ibm:params:oauth:grant-type:apikey";
        let fields = [("grant_type", kind), ("apikey", self.key.expose())];
        post_form(&self.client, &self.url, &fields).await?.renewed(Headers::new())
    }
}

impl Source<Headers> for Iam {
    fn renew(&self) -> Renewal<'_, Headers> {
        Box::pin(self.fetch())
    }
}

impl fmt::Debug for Iam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iam({}, {})", self.url, self.key.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::server::{Answer, Server};
    use super::super::tests::{client, renewed};
    use super::*;

    #[tokio::test]
    async fn a_key_is_exchanged_for_a_token_and_never_shown() {
        let answer = r#"{"access_token":"ey.J","expires_in":3600,"token_type":"Bearer"}"#;
        let server = Server::start(move |_| Answer::json(200, answer)).await;
        let iam = Iam::new(client(), &server.url("/identity/token"), Secret::new("ibm-key/1+"));
        assert!(!format!("{iam:?}").contains("ibm-key"), "{iam:?}");
        assert_eq!(renewed(iam).await.unwrap(), "authorization: Bearer ey.J");
        let seen = server.seen().remove(0);
        assert_eq!(seen.line, "POST /identity/token");
        assert_eq!(
            seen.body,
            "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=ibm-key%2F1%2B"
        );
    }
}
