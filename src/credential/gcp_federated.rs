//! Workload identity federation: another issuer's token for a Google token (RFC 8693).
//!
//! The subject token comes from a file (Kubernetes, GitHub) or a URL (Azure). AWS's signed requests and
//! executables are not supported and say so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use serde::Deserialize;

use super::oauth::{Token, ask, post_form};
use super::slot::SourceError;
use crate::egress::http::Client;

/// An `external_account` file.
#[derive(Deserialize)]
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Subject,
    service_account_impersonation_url: Option<String>,
    pub quota_project_id: Option<String>,
}

#[derive(Deserialize)]
struct Subject {
    file: Option<PathBuf>,
    url: Option<String>,
    /// Present for AWS, whose `url` means another thing.
    environment_id: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    subject_token_field_name: Option<String>,
}

/// How long an impersonated token shall live, in seconds: the longest that needs no organisation policy.
const IMPERSONATED: u64 = 3600;

impl External {
    pub async fn token(&self, client: &Client, scope: &str) -> Result<Token, SourceError> {
        let subject = self.credential_source.token(client).await?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", &self.audience),
            ("scope", scope),
            ("subject_token", &subject),
            ("subject_token_type", &self.subject_token_type),
        ];
        let token = post_form(client, &self.token_url, &fields).await?;
        match &self.service_account_impersonation_url {
            Some(url) => impersonate(client, url, &token, scope).await,
            None => Ok(token),
        }
    }
}

impl Subject {
    async fn token(&self, client: &Client) -> Result<String, SourceError> {
        let text = match (&self.environment_id, &self.file, &self.url) {
            (None, Some(path), _) => {
                let unread = |e| SourceError(format!("{} cannot be read: {e}", path.display()));
                tokio::fs::read_to_string(path).await.map_err(unread)?
            }
            (None, None, Some(url)) => {
                let mut request = Request::get(url);
                for (name, value) in &self.headers {
                    request = request.header(name, value);
                }
                let body = ask(client, request.body(Bytes::new())).await?;
                String::from_utf8(body.into())
                    .map_err(|_| SourceError("the subject token is no text".into()))?
            }
            _ => return Err(SourceError("only files and URLs are supported as credential_source".into())),
        };
        let Some(field) = self.format.as_ref().and_then(|f| f.subject_token_field_name.as_ref()) else {
            return Ok(text.trim().to_owned());
        };
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let token = json.get(field).and_then(|token| token.as_str());
        token.map(str::to_owned).ok_or_else(|| SourceError(format!("the subject token has no field {field}")))
    }
}

async fn impersonate(client: &Client, url: &str, token: &Token, scope: &str) -> Result<Token, SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        access_token: String,
    }
    let body = serde_json::json!({ "scope": [scope], "lifetime": format!("{IMPERSONATED}s") });
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.access_token))
        .body(Bytes::from(body.to_string()));
    let answer: Answer = serde_json::from_slice(&ask(client, request).await?)
        .map_err(|_| SourceError("the impersonation's answer has no accessToken".into()))?;
    // The answer's end is the lifetime that was asked for.
    Ok(Token { access_token: answer.access_token, lifetime: Some(Duration::from_secs(IMPERSONATED)) })
}
