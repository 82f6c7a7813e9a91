//! The gateway as its own client: requests that it makes for a request, on the whole way of any other.
//!
//! What a cache embeds, what an agent asks: route, keys, failover, limits, cost and record are those of a caller's request,
//! because it is one. It comes in over a pipe inside the process and not over a socket, so nobody else can send one; who
//! sends it and what for goes with the connection as a [`Ticket`], never in a header. Must not know what is asked, and
//! sets no limit of time: whoever asks drops what it does not want any more, and the request ends as one whose caller left.

mod answer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use self::answer::Ends;
pub use self::answer::{Answer, Pieces};
use crate::auth::Caller;
use crate::telemetry::record::Trace;

/// Bytes that are on their way in each direction, at most.
const PIPE: usize = 64 * 1024;
/// Inner requests may have inner requests so deep.
pub const DEEPEST: u8 = 1;

const PARENT: HeaderName = HeaderName::from_static("x-bf-parent-request-id");
const PURPOSE: HeaderName = HeaderName::from_static("x-bf-dim-purpose");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What an inner request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The vector of a question. It goes to the model that the operator named and to no other: rules and the
    /// caller's grants are not asked, and it is no request of the caller's limits. What it costs is the caller's.
    Embedding,
    /// A turn of an agent: a request as if its caller had sent it.
    Agent,
}

impl Purpose {
    /// Its word in the tag `purpose` of its record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Agent => "agent",
        }
    }
}

/// Who makes an inner request, and for what. It stands for a virtual key: whoever comes with one has been let in.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Who called; `None`: callers without a virtual key are let in.
    pub caller: Option<Caller>,
    pub purpose: Purpose,
    /// Id of the request that it is made for; empty: for none.
    pub parent: Box<str>,
    /// The trace of that.
    pub trace: Option<Arc<Trace>>,
    /// How many inner requests it is inside of: 0 for one that is made for a caller's.
    pub depth: u8,
}

/// Why there is no answer. A refusal is an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("the gateway does not serve yet")]
    NotOpen,
    #[error("inner requests are nested too deeply")]
    TooDeep,
    #[error("the inner request came to nothing: {0}")]
    Broken(String),
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

/// Takes the server's end of a pipe, and answers what comes over it on the runtime that it is called on.
pub type Way = Box<dyn Fn(DuplexStream, Ticket) + Send + Sync>;

/// Where inner requests are made.
#[derive(Default)]
pub struct Inner(OnceLock<Way>);

impl Inner {
    /// From now on requests go this way. Only the first call does something.
    pub fn open(&self, way: Way) {
        drop(self.0.set(way));
    }

    /// Sends `body` (JSON, unless `headers` say otherwise) to `path`, which may have a query, and waits for the head of the
    /// answer. Runs on the runtime of whoever asks, which must be one of tokio's.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn post(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        ticket: Ticket,
    ) -> Result<Answer, Failed> {
        let way = self.0.get().ok_or(Failed::NotOpen)?;
        if ticket.depth > DEEPEST {
            return Err(Failed::TooDeep);
        }
        let request = request(path, headers, body, &ticket)?;
        let (ours, theirs) = tokio::io::duplex(PIPE);
        way(theirs, ticket);
        let broken = |error: hyper::Error| Failed::Broken(error.to_string());
        let (mut sender, connection) = handshake(TokioIo::new(ours)).await.map_err(broken)?;
        let ends = Ends::with(tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("the connection of an inner request ended: {error}");
            }
        }));
        let answer = sender.send_request(request).await.map_err(broken)?;
        Ok(Answer::of(answer, ends))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inner").field(&self.0.get().is_some()).finish()
    }
}

fn request(
    path: &str,
    headers: HeaderMap,
    body: Bytes,
    ticket: &Ticket,
) -> Result<http::Request<Full<Bytes>>, Failed> {
    let built = http::Request::builder().method(Method::POST).uri(path).body(Full::new(body));
    let mut request = built.map_err(|error| Failed::Broken(error.to_string()))?;
    *request.headers_mut() = headers;
    let head = request.headers_mut();
    head.insert(HOST, HeaderValue::from_static("inner"));
    head.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    head.insert(PURPOSE, HeaderValue::from_static(ticket.purpose.name()));
    let told = |text: &str| HeaderValue::from_str(text).ok().filter(|_| !text.is_empty());
    if let Some(parent) = told(&ticket.parent) {
        head.insert(PARENT, parent);
    }
    let trace = ticket.trace.as_ref().map(|trace| trace.parent_of(trace.span_id).to_string());
    if let Some(trace) = trace.as_deref().and_then(told) {
        head.insert(TRACEPARENT, trace);
    }
    Ok(request)
}
