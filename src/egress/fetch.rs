//! Media that a prompt names by URL, for providers that take bytes only.
//!
//! The URL comes from whoever wrote the prompt. The name is resolved here, every address is checked,
//! and the connection goes to the checked address: a second answer of a hostile name server changes
//! nothing. Redirects start over. No cookies, no credentials, no proxy.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use tokio::time::timeout;
use url::{Host, Url};

use super::address::is_public;
use super::http::{Client, Guard, HttpError, read_limited};
use super::media::{Wanted, media_type};

/// What may be fetched.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Allows private, loopback and link-local addresses, the cloud's metadata service included.
    pub allow_private: bool,
    /// Empty: any host. Else these only; `*.example.com` stands for every host below it.
    pub allowed_hosts: Vec<String>,
    pub max_bytes: u64,
    /// For the whole fetch with its redirects.
    pub timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow_private: false,
            allowed_hosts: Vec::new(),
            max_bytes: 20 * 1024 * 1024,
            timeout: Duration::from_secs(20),
        }
    }
}

/// A fetched file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// What the bytes are, whatever the server called them.
    pub media_type: String,
    pub bytes: Bytes,
}

/// Why a URL gave nothing. All but `Upstream` are the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{0}` is no URL")]
    Malformed(String),
    #[error("only http and https URLs without user and password are fetched")]
    Scheme,
    #[error("the host {0} is not in the list of allowed hosts")]
    HostNotAllowed(String),
    /// The address is not in the message: it would tell a stranger what a name resolves to inside.
    #[error("the host {0} is not on the public internet")]
    Private(String),
    #[error("the URL redirects more than {REDIRECTS} times")]
    Redirects,
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the file was not complete within {0:?}")]
    Timeout(Duration),
    #[error("the server answered with status {0}")]
    Status(u16),
    #[error("the file is not what the part needs: its first bytes say {found}")]
    WrongType { found: String },
    #[error("the file could not be fetched: {0}")]
    Upstream(String),
}

const REDIRECTS: usize = 3;

/// Fetches `url`, whose content must be what is `wanted`.
///
/// # Errors
/// The policy refuses the URL, one it redirects to, its size or its type; or the fetch failed.
pub async fn fetch_media(
    client: &Client,
    url: &str,
    wanted: Wanted,
    policy: &Policy,
) -> Result<Media, FetchError> {
    let fetched = timeout(policy.timeout, follow(client, url, wanted, policy)).await;
    fetched.map_err(|_| FetchError::Timeout(policy.timeout))?
}

async fn follow(client: &Client, url: &str, wanted: Wanted, policy: &Policy) -> Result<Media, FetchError> {
    let mut url = Url::parse(url).map_err(|_| FetchError::Malformed(shortened(url)))?;
    for _ in 0..=REDIRECTS {
        permitted(&url, policy)?;
        let response = get(client, &url, policy).await?;
        match redirect(&url, &response)? {
            Some(next) => url = next,
            None => return read(response, wanted, policy).await,
        }
    }
    Err(FetchError::Redirects)
}

/// What can be refused without a lookup.
fn permitted(url: &Url, policy: &Policy) -> Result<(), FetchError> {
    let plain = matches!(url.scheme(), "http" | "https");
    if !plain || !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::Scheme);
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').to_owned(),
        Some(host) => host.to_string(),
        None => return Err(FetchError::Scheme),
    };
    let allowed = policy.allowed_hosts.is_empty() || policy.allowed_hosts.iter().any(|p| fits(p, &host));
    if allowed { Ok(()) } else { Err(FetchError::HostNotAllowed(host)) }
}

fn fits(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    match pattern.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => host.len() > suffix.len() && host.ends_with(suffix),
        _ => host == pattern,
    }
}

async fn get(client: &Client, url: &Url, policy: &Policy) -> Result<Response<Incoming>, FetchError> {
    let mut target = url.clone();
    target.set_fragment(None);
    let request = Request::get(target.as_str())
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::new())
        .map_err(|_| FetchError::Malformed(shortened(url.as_str())))?;
    let guard: Guard = if policy.allow_private { |_| true } else { is_public };
    client.send(request, guard).await.map_err(said)
}

/// Where the answer points to, if it does.
fn redirect(url: &Url, response: &Response<Incoming>) -> Result<Option<Url>, FetchError> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let to = text(response.headers(), header::LOCATION).ok_or(FetchError::Status(status.as_u16()))?;
    url.join(to).map(Some).map_err(|_| FetchError::Malformed(shortened(to)))
}

async fn read(response: Response<Incoming>, wanted: Wanted, policy: &Policy) -> Result<Media, FetchError> {
    if response.status() != http::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let headers = response.headers();
    // A body under a coding that was not asked for could grow without limit when undone.
    if text(headers, header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(FetchError::Upstream("the server compressed the file unasked".into()));
    }
    let declared = text(headers, header::CONTENT_TYPE).map(str::to_owned);
    let length = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > policy.max_bytes) {
        return Err(FetchError::TooLarge(policy.max_bytes));
    }
    let bytes = read_limited(response.into_body(), policy.max_bytes).await.map_err(said)?;
    let found = media_type(&bytes, declared.as_deref());
    match found {
        Some(media_type) if wanted.accepts(&media_type) => Ok(Media { media_type, bytes }),
        found => Err(FetchError::WrongType { found: found.unwrap_or_else(|| "nothing known".into()) }),
    }
}

fn said(error: HttpError) -> FetchError {
    match error {
        HttpError::Refused { host, .. } => FetchError::Private(host),
        HttpError::TooLarge(limit) => FetchError::TooLarge(limit),
        other => FetchError::Upstream(other.to_string()),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Enough of a URL to find it again: it may be a whole picture.
fn shortened(url: &str) -> String {
    url.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
