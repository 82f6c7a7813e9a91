//! Questions to a provider beside the request that Pingora proxies: a job is created, looked at, cancelled; a second
//! attempt runs beside the first.
//!
//! They go to the same peers as everything else (certificates, egress proxy, HTTP version), over a connector of
//! their own, since Pingora's proxy keeps its connector to itself. What an answer means is the asker's business, and so
//! is how long it may take.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use pingora_core::connectors::TransportConnector;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, OrErr};
use pingora_http::{RequestHeader, ResponseHeader};

use super::peer;
use super::resolve::Resolver;
use super::steps::{Seen, Steps};
use crate::config::snapshot::{BaseUrl, Provider};

/// Answers are read up to here, in bytes: a job's state repeats its input, images included.
const LIMIT: usize = 32 * 1024 * 1024;

/// A question, ready to be sent.
#[derive(Debug, Clone)]
pub struct Question {
    pub provider: Arc<Provider>,
    /// The server it goes to; the path is the head's.
    pub at: BaseUrl,
    pub head: RequestHeader,
    pub body: Bytes,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub head: ResponseHeader,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("DNS lookup of {host} failed: {error}")]
    Unknown { host: Arc<str>, error: io::Error },
    #[error("no connection could be made: {0}")]
    Unconnected(Box<Error>),
    #[error("the connection broke: {0}")]
    Broken(Box<Error>),
    #[error("the answer is longer than the gateway can hold")]
    TooLong,
}

/// Asks. One for the whole process: its connections are kept between questions.
pub struct Asker {
    /// Made by the first question: it reads the system's certificates.
    connector: OnceLock<Connector>,
    /// Likewise, for connections that nothing is asked over.
    transport: OnceLock<TransportConnector>,
    resolver: Arc<Resolver>,
}

impl Asker {
    #[must_use]
    pub fn new(resolver: Arc<Resolver>) -> Self {
        Self { connector: OnceLock::new(), transport: OnceLock::new(), resolver }
    }

    /// Sends `question` and reads the whole answer, whatever its status. A kept connection that turns out to
    /// be closed is replaced once.
    ///
    /// # Errors
    /// [`Unanswered`]. There is no limit of time but that of connecting.
    pub async fn ask(&self, question: &Question) -> Result<Answer, Unanswered> {
        self.ask_seen(question, &Seen::default()).await
    }

    /// As [`Self::ask`]; `seen` is told the steps.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn ask_seen(&self, question: &Question, seen: &Seen) -> Result<Answer, Unanswered> {
        let mut open = self.begin(question, seen).await?;
        let answer = read(&mut open).await?;
        self.keep(open).await;
        Ok(answer)
    }

    /// Sends `question` and waits for the head of the answer, whatever its status, as [`Self::ask`] does. `seen` is told
    /// the steps.
    ///
    /// # Errors
    /// [`Unanswered`]. There is no limit of time but that of connecting.
    pub async fn begin(&self, question: &Question, seen: &Seen) -> Result<Open, Unanswered> {
        let (host, port) = peer::next_hop(&question.provider, &question.at);
        let address = self.resolver.resolve(host, port, 0).await;
        let address = address.map_err(|error| Unanswered::Unknown { host: Arc::clone(host), error })?;
        let connector = self.connector.get_or_init(|| Connector::new(None));
        let peer = peer::peer(&question.provider, &question.at, address, false);
        match once(connector, peer, (question, seen)).await {
            Err(Failed::Stale) => {
                let peer = peer::peer(&question.provider, &question.at, address, true);
                seen.note(|steps| *steps = Steps::default());
                once(connector, peer, (question, seen)).await.map_err(Failed::told)
            }
            other => other.map_err(Failed::told),
        }
    }

    /// The connection of an answer that was read to its end is kept for the next question.
    pub async fn keep(&self, open: Open) {
        if let Some(connector) = self.connector.get() {
            let idle = open.peer.options.idle_timeout;
            connector.release_http_session(open.session, &open.peer, idle).await;
        }
    }
}

/// An answer whose head is here. Dropped before its end, its connection is closed (its stream reset, in HTTP/2).
pub struct Open {
    session: HttpSession,
    peer: HttpPeer,
}

impl Open {
    #[must_use]
    pub fn head(&self) -> Option<&ResponseHeader> {
        self.session.response_header()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Unanswered> {
        self.session.read_response_body().await.map_err(Unanswered::Broken)
    }
}

impl Asker {
    /// The status of the answer alone, over a connection of its own: a kept one would hide that no new one can be
    /// made.
    ///
    /// # Errors
    /// [`Unanswered`]. There is no limit of time but that of connecting.
    pub async fn status(&self, question: &Question) -> Result<StatusCode, Unanswered> {
        if question.provider.network.enforce_http2 {
            // Connections of HTTP/2 stay with the connector: one for every check would be one too many.
            return self.ask(question).await.map(|answer| answer.head.status);
        }
        let connector = self.connector.get_or_init(|| Connector::new(None));
        let peer = self.fresh(question).await?;
        let connected = connector.get_http_session(&peer).await;
        let (mut session, _) = connected.map_err(Unanswered::Unconnected)?;
        send(&mut session, (question, &Seen::default())).await.map_err(Unanswered::Broken)?;
        let head = session.response_header();
        head.map(|head| head.status)
            .ok_or_else(|| Unanswered::Broken(Error::new(pingora_error::ErrorType::InvalidHTTPHeader)))
    }

    /// Connects, with TLS where it is spoken, and asks nothing.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn reach(&self, question: &Question) -> Result<(), Unanswered> {
        let connector = self.transport.get_or_init(|| TransportConnector::new(None));
        let peer = self.fresh(question).await?;
        connector.new_stream(&peer).await.map(drop).map_err(Unanswered::Unconnected)
    }

    async fn fresh(&self, question: &Question) -> Result<HttpPeer, Unanswered> {
        let (host, port) = peer::next_hop(&question.provider, &question.at);
        let address = self.resolver.resolve(host, port, 0).await;
        let address = address.map_err(|error| Unanswered::Unknown { host: Arc::clone(host), error })?;
        Ok(peer::peer(&question.provider, &question.at, address, true))
    }
}

enum Failed {
    /// Nothing came over a kept connection.
    Stale,
    Finally(Unanswered),
}

impl Failed {
    fn told(self) -> Unanswered {
        match self {
            // A fresh connection is never stale.
            Self::Stale => Unanswered::Broken(Error::new(ErrorType::ConnectionClosed)),
            Self::Finally(why) => why,
        }
    }
}

async fn once(
    connector: &Connector,
    peer: HttpPeer,
    (question, seen): (&Question, &Seen),
) -> Result<Open, Failed> {
    let since = Instant::now();
    let connected = connector.get_http_session(&peer).await;
    let (mut session, reused) = connected.map_err(|error| Failed::Finally(Unanswered::Unconnected(error)))?;
    seen.note(|steps| steps.connected(since, reused, session.digest()));
    if let Err(error) = send(&mut session, (question, seen)).await {
        let failed = if reused { Failed::Stale } else { Failed::Finally(Unanswered::Broken(error)) };
        return Err(failed);
    }
    Ok(Open { session, peer })
}

/// Up to the head of the answer.
async fn send(session: &mut HttpSession, (question, seen): (&Question, &Seen)) -> Result<(), Box<Error>> {
    let mut head = question.head.clone();
    if matches!(session, HttpSession::H2(_)) {
        of_http2(&mut head, question.at.tls)?;
    }
    session.write_request_header(Box::new(head)).await?;
    if !question.body.is_empty() {
        session.write_request_body(question.body.clone(), true).await?;
    }
    session.finish_request_body().await?;
    seen.note(|steps| steps.sent(Instant::now()));
    session.read_response_header().await?;
    while session.response_header().is_some_and(|head| head.status.is_informational()) {
        session.read_response_header().await?;
    }
    seen.note(|steps| steps.answered(Instant::now()));
    if let HttpSession::H1(h1) = session {
        h1.respect_keepalive();
    }
    Ok(())
}

/// HTTP/2 has scheme and authority where HTTP/1.1 has a `Host`.
fn of_http2(head: &mut RequestHeader, tls: bool) -> Result<(), Box<Error>> {
    let host = head.remove_header(&http::header::HOST);
    let authority = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = http::Uri::builder().scheme(if tls { "https" } else { "http" }).authority(authority);
    let uri = uri.path_and_query(path).build();
    head.set_uri(uri.or_err(ErrorType::InvalidHTTPHeader, "the provider's address")?);
    head.set_version(http::Version::HTTP_2);
    Ok(())
}

async fn read(open: &mut Open) -> Result<Answer, Unanswered> {
    let Some(head) = open.head().cloned() else {
        return Err(Unanswered::Broken(Error::new(ErrorType::InvalidHTTPHeader)));
    };
    let mut body = BytesMut::new();
    while let Some(chunk) = open.next().await? {
        if body.len().saturating_add(chunk.len()) > LIMIT {
            return Err(Unanswered::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { head, body: body.freeze() })
}
