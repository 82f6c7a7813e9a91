//! Google's tokens: service accounts, user and workload credentials, the metadata server.
//!
//! The same files and the same order as Google's own libraries ("application default credentials").
//! A file is read anew at each renewal, so a rotated key is picked up. Must not know Vertex AI.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::gcp_federated::External;
use super::jwt::{Claims, Signer};
use super::oauth::{Headers, Token, get_token, post_form};
use super::slot::{Renewal, Renewed, Source, SourceError};
use super::{Misconfigured, Secret};
use crate::egress::http::Client;

/// The one scope that all of Google Cloud accepts.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const METADATA_HOST: &str = "metadata.google.internal";
const TOKEN_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// The longest life Google gives an assertion.
const ASSERTION_LIFE: u64 = 3600;

/// Where Google credentials are.
#[derive(Debug, Clone)]
pub enum Place {
    /// The JSON text itself.
    Inline(Secret),
    File(PathBuf),
    /// A metadata server: Compute Engine, Cloud Run, GKE. Host, with a port if it has one.
    Metadata(String),
}

/// Gets Google tokens.
pub struct Google {
    client: Client,
    place: Place,
}

impl Place {
    /// Application default credentials: `GOOGLE_APPLICATION_CREDENTIALS`, the file of
    /// `gcloud auth application-default login`, else the metadata server (`GCE_METADATA_HOST`).
    #[must_use]
    pub fn default_of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(path) = set("GOOGLE_APPLICATION_CREDENTIALS") {
            return Self::File(path.into());
        }
        let folder = set("CLOUDSDK_CONFIG")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config/gcloud")));
        let known = folder.map(|folder| folder.join("application_default_credentials.json"));
        match known.filter(|path| path.is_file()) {
            Some(path) => Self::File(path),
            None => Self::Metadata(set("GCE_METADATA_HOST").unwrap_or_else(|| METADATA_HOST.into())),
        }
    }
}

impl Google {
    /// # Errors
    /// Inline credentials that no token can come from. Files are looked at on renewal only: they may
    /// be written later.
    pub fn new(client: Client, place: Place) -> Result<Self, Misconfigured> {
        if let Place::Inline(json) = &place {
            let file = File::parse(json.expose())?;
            if let File::ServiceAccount(account) = &file {
                account.signer()?;
            }
        }
        Ok(Self { client, place })
    }

    async fn fetch(&self) -> Result<Renewed<Headers>, SourceError> {
        let file = match &self.place {
            Place::Metadata(host) => {
                let url = format!("http://{host}{TOKEN_PATH}");
                let token = get_token(&self.client, &url, &[("Metadata-Flavor", "Google")]).await?;
                return token.renewed(Headers::new());
            }
            Place::Inline(json) => File::parse(json.expose()),
            Place::File(path) => {
                let unread = |e| SourceError(format!("{} cannot be read: {e}", path.display()));
                File::parse(&tokio::fs::read_to_string(path).await.map_err(unread)?)
            }
        };
        let file = file.map_err(said)?;
        let token = match &file {
            File::ServiceAccount(account) => account.token(&self.client).await?,
            File::AuthorizedUser(user) => user.token(&self.client).await?,
            File::ExternalAccount(external) => external.token(&self.client, SCOPE).await?,
        };
        token.renewed(file.quota_header())
    }
}

impl Source<Headers> for Google {
    fn renew(&self) -> Renewal<'_, Headers> {
        Box::pin(self.fetch())
    }
}

impl fmt::Debug for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Google").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The project a credential file belongs to, when it says so.
#[must_use]
pub fn project_of(json: &str) -> Option<String> {
    let file: serde_json::Value = serde_json::from_str(json).ok()?;
    let project = file.get("project_id").or_else(|| file.get("quota_project_id"))?;
    project.as_str().map(str::to_owned)
}

/// A credential file.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount(ServiceAccount),
    AuthorizedUser(AuthorizedUser),
    ExternalAccount(External),
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct AuthorizedUser {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    quota_project_id: Option<String>,
    token_uri: Option<String>,
}

impl File {
    fn parse(json: &str) -> Result<Self, Misconfigured> {
        let value: serde_json::Value = serde_json::from_str(json).map_err(|e| {
            Misconfigured(format!(
                "the Google credentials are no JSON (line {}, column {})",
                e.line(),
                e.column()
            ))
        })?;
        let kind = value.get("type").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
        if !matches!(kind.as_str(), "service_account" | "authorized_user" | "external_account") {
            return Err(Misconfigured(format!(
                "Google credentials of type `{kind}` are not supported: service_account, authorized_user \
                 and external_account are"
            )));
        }
        // The parser's message names fields; values of wrong type could be quoted, so only missing ones are said.
        serde_json::from_value(value).map_err(|e| {
            let text = e.to_string();
            let why =
                if text.starts_with("missing field") { text } else { "a field has the wrong type".into() };
            Misconfigured(format!("the Google credentials of type `{kind}`: {why}"))
        })
    }

    /// User credentials name the project that pays.
    fn quota_header(&self) -> Headers {
        let project = match self {
            Self::AuthorizedUser(user) => user.quota_project_id.as_deref(),
            Self::ExternalAccount(external) => external.quota_project_id.as_deref(),
            Self::ServiceAccount(_) => None,
        };
        let value = project.and_then(|project| HeaderValue::from_str(project).ok());
        value.map(|value| (HeaderName::from_static("x-goog-user-project"), value)).into_iter().collect()
    }
}

impl ServiceAccount {
    fn signer(&self) -> Result<Signer, Misconfigured> {
        Signer::new(&self.private_key, self.private_key_id.clone())
    }

    async fn token(&self, client: &Client) -> Result<Token, SourceError> {
        let url = self.token_uri.as_deref().unwrap_or(TOKEN_URI);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims {
            iss: &self.client_email,
            scope: SCOPE,
            aud: url,
            iat: now,
            exp: now.saturating_add(ASSERTION_LIFE),
        };
        let assertion = self.signer().and_then(|signer| signer.sign(&claims)).map_err(said)?;
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        post_form(client, url, &[("grant_type", grant), ("assertion", &assertion)]).await
    }
}

impl AuthorizedUser {
    async fn token(&self, client: &Client) -> Result<Token, SourceError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("refresh_token", &self.refresh_token),
        ];
        post_form(client, self.token_uri.as_deref().unwrap_or(TOKEN_URI), &fields).await
    }
}

fn said(error: Misconfigured) -> SourceError {
    SourceError(error.0)
}

#[cfg(test)]
mod tests;
