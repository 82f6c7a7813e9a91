//! A small HTTP/1.1 client for what the gateway asks on its own: tokens, metadata, media by URL.
//!
//! One connection per request, to an address that was looked up and checked here: what was checked is
//! what is connected to. No redirects, no pool, no cookies. Must not be used for provider traffic,
//! which is Pingora's.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, Uri, header, response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// What a lookup returns.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Names to addresses.
pub trait Resolve: Send + Sync {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

/// Why a request has no answer. Shown to operators: holds no header and no body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("`{0}` is no http or https URL")]
    Url(String),
    #[error("{host} cannot be resolved: {reason}")]
    Resolve { host: String, reason: String },
    #[error("{host} is at {address}, which may not be reached")]
    Refused { host: String, address: IpAddr },
    #[error("no connection to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error("no answer from {host}: {reason}")]
    Exchange { host: String, reason: String },
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
}

/// Which addresses a request may be sent to.
pub type Guard = fn(IpAddr) -> bool;

const CONNECT: Duration = Duration::from_secs(5);
/// Token endpoints answer within this time and size.
const ASK: Duration = Duration::from_secs(15);
const ANSWER: u64 = 1 << 20;

impl Client {
    /// Trusts the system's certificate authorities and `extra` (DER).
    ///
    /// # Errors
    /// The system's certificates cannot be read, or an extra one is none.
    pub fn new(extra: &[Vec<u8>]) -> io::Result<Self> {
        Ok(Self { tls: Arc::new(tls(extra)?).into(), resolver: Arc::new(SystemResolver) })
    }

    /// The same client with other name resolution.
    #[must_use]
    pub fn with_resolver(self, resolver: impl Resolve + 'static) -> Self {
        Self { resolver: Arc::new(resolver), ..self }
    }

    /// Sends a request to a configured endpoint and reads the whole answer.
    ///
    /// # Errors
    /// No answer, a broken one, or one over a mebibyte.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<(response::Parts, Bytes), HttpError> {
        let asked = async {
            let (parts, body) = self.send(request, |_| true).await?.into_parts();
            Ok((parts, read_limited(body, ANSWER).await?))
        };
        timeout(ASK, asked).await.map_err(|_| HttpError::Timeout(ASK))?
    }

    /// Sends a request if every address of its host passes `guard`; the body is not read yet.
    ///
    /// # Errors
    /// As the variants of `HttpError` say. The caller bounds the time.
    pub async fn send(&self, request: Request<Bytes>, guard: Guard) -> Result<Response<Incoming>, HttpError> {
        let place = Place::of(request.uri())?;
        let addresses = self.addresses(&place, guard).await?;
        let stream = connect(&place, &addresses).await?;
        let request = place.origin_form(request)?;
        if !place.tls {
            return exchange(&place.host, stream, request).await;
        }
        let failed = |reason: String| HttpError::Connect { host: place.host.clone(), reason };
        let name = ServerName::try_from(place.host.clone()).map_err(|e| failed(e.to_string()))?;
        let secured = timeout(CONNECT, self.tls.connect(name, stream)).await;
        let secured = secured.map_err(|_| failed("the TLS handshake took too long".into()))?;
        exchange(&place.host, secured.map_err(|e| failed(e.to_string()))?, request).await
    }

    async fn addresses(&self, place: &Place, guard: Guard) -> Result<Vec<SocketAddr>, HttpError> {
        let addresses = match place.host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, place.port)],
            Err(_) => place.look_up(&*self.resolver).await?,
        };
        // One address inside is enough to refuse the name: it was made to be tried again and again.
        match addresses.iter().find(|address| !guard(address.ip())) {
            Some(bad) => Err(HttpError::Refused { host: place.host.clone(), address: bad.ip() }),
            None => Ok(addresses),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// TLS that trusts the system's certificate authorities and `extra` (DER), over the program's one provider.
///
/// # Errors
/// The system's certificates cannot be read, or an extra one is none.
pub fn tls(extra: &[Vec<u8>]) -> io::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs()?);
    for der in extra {
        roots.add(der.clone().into()).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Reads a body up to `limit` bytes; stops reading at the first byte more.
///
/// # Errors
/// `TooLarge`, or the connection broke.
pub async fn read_limited(mut body: Incoming, limit: u64) -> Result<Bytes, HttpError> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broke = |e: hyper::Error| HttpError::Exchange { host: "the body".into(), reason: causes(&e) };
        let Ok(chunk) = frame.map_err(broke)?.into_data() else { continue };
        if all.len().saturating_add(chunk.len()) as u64 > limit {
            return Err(HttpError::TooLarge(limit));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Scheme, host and port of a URL.
struct Place {
    tls: bool,
    /// Without the brackets of an IPv6 literal.
    host: String,
    port: u16,
}

impl Place {
    fn of(uri: &Uri) -> Result<Self, HttpError> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Url(uri.to_string())),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| HttpError::Url(uri.to_string()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { tls, host, port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }) })
    }

    async fn look_up(&self, resolver: &dyn Resolve) -> Result<Vec<SocketAddr>, HttpError> {
        let failed = |reason: &str| HttpError::Resolve { host: self.host.clone(), reason: reason.into() };
        let found = timeout(CONNECT, resolver.resolve(&self.host, self.port)).await;
        let found = found.map_err(|_| failed("the lookup took too long"))?;
        let mut found = found.map_err(|e| failed(&e.to_string()))?;
        if found.is_empty() {
            return Err(failed("the name has no address"));
        }
        // IPv4 first: an unreachable IPv6 route costs a connect timeout.
        found.sort_by_key(SocketAddr::is_ipv6);
        found.dedup();
        Ok(found)
    }

    /// The request as HTTP/1.1 wants it: the path alone, and the host as a header.
    fn origin_form(&self, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let wrong = || HttpError::Url(self.host.clone());
        if !parts.headers.contains_key(header::HOST) {
            let authority = parts.uri.authority().ok_or_else(wrong)?.as_str();
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            parts.headers.insert(header::HOST, HeaderValue::from_str(host).map_err(|_| wrong())?);
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse().map_err(|_| wrong())?;
        Ok(Request::from_parts(parts, Full::new(body)))
    }
}

async fn connect(place: &Place, addresses: &[SocketAddr]) -> Result<TcpStream, HttpError> {
    let mut reason = String::new();
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => reason = format!("{address}: {error}"),
            Err(_) => reason = format!("{address}: the connect took too long"),
        }
    }
    Err(HttpError::Connect { host: place.host.clone(), reason })
}

async fn exchange<S>(
    host: &str,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |e: hyper::Error| HttpError::Exchange { host: host.to_owned(), reason: causes(&e) };
    let made = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = made.map_err(failed)?;
    // Ends by itself when the answer is read or dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(failed)
}

/// An error with what caused it: hyper's own text alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
