//! Short-lived bearer tokens: what all token endpoints have in common.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;

use super::slot::{Held, Renewed, Slot, Source, SourceError, Unready};
use crate::egress::http::Client;

/// The headers a token stands for.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// A token that is renewed.
#[derive(Debug)]
pub struct OAuth {
    slot: Slot<Headers>,
}

/// What a token endpoint gave.
pub(super) struct Token {
    pub access_token: String,
    pub lifetime: Option<Duration>,
}

impl OAuth {
    #[must_use]
    pub fn renewed_by(source: impl Source<Headers> + 'static) -> Self {
        Self { slot: Slot::renewed_by(source) }
    }

    #[must_use]
    pub fn slot(&self) -> &Slot<Headers> {
        &self.slot
    }

    /// The headers of the current token.
    ///
    /// # Errors
    /// There is no valid token.
    pub fn headers(&self) -> Result<std::sync::Arc<Held<Headers>>, Unready> {
        self.slot.get()
    }
}

impl Token {
    /// `Authorization: Bearer`, and `more`.
    pub fn renewed(self, more: Headers) -> Result<Renewed<Headers>, SourceError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.access_token))
            .map_err(|_| SourceError("the endpoint's token is no valid header value".into()))?;
        value.set_sensitive(true);
        let mut headers = vec![(header::AUTHORIZATION, value)];
        headers.extend(more);
        Ok(Renewed { value: headers, lifetime: self.lifetime })
    }
}

/// Posts a form to a token endpoint.
pub(super) async fn post_form(
    client: &Client,
    url: &str,
    fields: &[(&str, &str)],
) -> Result<Token, SourceError> {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(Bytes::from(form));
    token_from(&ask(client, request).await?)
}

/// Gets a token from a metadata server.
pub(super) async fn get_token(
    client: &Client,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Token, SourceError> {
    let mut request = Request::get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    token_from(&ask(client, request.body(Bytes::new())).await?)
}

/// Sends a request and gives the body of a 200.
pub(super) async fn ask(
    client: &Client,
    request: http::Result<Request<Bytes>>,
) -> Result<Bytes, SourceError> {
    let request = request.map_err(|e| SourceError(format!("the token endpoint's address: {e}")))?;
    let host = request.uri().host().unwrap_or_default().to_owned();
    let (answer, body) = client.ask(request).await.map_err(|e| SourceError(e.to_string()))?;
    if answer.status == StatusCode::OK { Ok(body) } else { Err(refusal(&host, answer.status, &body)) }
}

fn token_from(body: &[u8]) -> Result<Token, SourceError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: Option<Seconds>,
    }
    /// Azure's metadata service writes the number as text.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    // The parser's own message could quote the token.
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| SourceError("the token endpoint's answer has no access_token".into()))?;
    let lifetime = match answer.expires_in {
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.parse().ok(),
        None => None,
    };
    // An hour is what all of them give when they say nothing.
    let lifetime = Some(Duration::from_secs(lifetime.unwrap_or(3600)));
    Ok(Token { access_token: answer.access_token, lifetime })
}

/// What an OAuth error says, in one line.
fn refusal(host: &str, status: StatusCode, body: &[u8]) -> SourceError {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| json.get(name).and_then(|value| value.as_str().map(str::to_owned));
    let nested = || json.get("error")?.get("message")?.as_str().map(str::to_owned);
    let code = field("error").or_else(nested);
    let description = field("error_description").or_else(|| field("message"));
    let said: Vec<String> = [code, description].into_iter().flatten().collect();
    let said = if said.is_empty() { String::from_utf8_lossy(body).into_owned() } else { said.join(": ") };
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    SourceError(format!("{host} answered with status {}: {said}", status.as_u16()))
}
