//! Inner requests as they come in: the pipe as a connection, its ticket, and where an embedding goes.
//!
//! The ticket is with the connection, where no caller's bytes are: whoever comes over a socket has none. What is sent and
//! what for is known in [`crate::inner`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession as HttpSession;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::watch;

use super::Gateway;
use super::exchange::Exchange;
use super::fault::Fault;
use super::front::Front;
use super::request_filter::model_not_found;
use super::rules::{Planned, Request};
use super::wish;
use crate::config::snapshot::Snapshot;
use crate::inner::{Purpose, Ticket, Way};
use crate::route::lead::Names;
use crate::route::plan::{Keys, Plan};

/// Inner requests go through `front`. They end with whoever asks, not with the process' listeners.
#[must_use]
pub fn way(front: &Arc<Front>) -> Way {
    let (never, shutdown) = watch::channel(false);
    let front = Arc::clone(front);
    Box::new(move |pipe, ticket| {
        // Nobody says that it ends, as long as there is somebody who could.
        let (_, shutdown, front) = (&never, shutdown.clone(), Arc::clone(&front));
        // HTTP/1.1, whatever listeners take: and one request, whatever is said of the connection.
        let session = HttpSession::new_http1(Box::new(Piped::of(pipe, ticket)));
        tokio::spawn(async move { drop(front.process_new_http(session, &shutdown).await) });
    })
}

/// What the request came with, if it is an inner one.
#[must_use]
pub fn ticket(session: &Session) -> Option<Arc<Ticket>> {
    let with = session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?;
    with.downcast_ref::<Arc<Ticket>>().map(Arc::clone)
}

/// A ticket for a request that is made for this one.
#[must_use]
pub fn ticket_of(exchange: &Exchange, purpose: Purpose) -> Ticket {
    Ticket {
        caller: exchange.caller.clone(),
        purpose,
        parent: exchange.request_id.clone(),
        trace: exchange.trace.clone(),
        depth: exchange.inner.as_ref().map_or(0, |ticket| ticket.depth.saturating_add(1)),
    }
}

/// The plan of an embedding: the model that was named, and nothing instead of it. A vector of another model would be compared
/// with what it is not comparable with.
///
/// # Errors
/// There is no such model.
pub fn embedding(gateway: &Gateway, snapshot: &Snapshot, request: Request<'_>) -> Result<Planned, Fault> {
    let names = Names { family: request.endpoint.names(), snapshot, catalog: gateway.catalog };
    let name = &request.peek.model;
    let found = gateway.routes.resolve(name, names.family, snapshot, gateway.catalog);
    let found = found.map_err(|unknown| model_not_found(name, &unknown))?;
    let mut plan = Plan::only(&found, Keys::OfModel, snapshot);
    for step in &mut plan.steps {
        // Lists of models are for callers, and often name no model of embeddings.
        if !step.provider.keys.iter().any(|key| step.served_by(key)) {
            step.keys = Keys::Any;
        }
    }
    Ok(Planned { plan, wish: wish::of_caller(request.headers, request.caller)?, own: true })
}

/// The server's end of a pipe, as Pingora knows connections.
struct Piped {
    pipe: DuplexStream,
    with: Arc<ProxyDigest>,
}

impl Piped {
    fn of(pipe: DuplexStream, ticket: Ticket) -> Self {
        // What Pingora keeps of a proxy that a connection came through: the only thing of a connection that may be anything.
        let head = Box::new(ResponseHeader::from(http::Response::new(()).into_parts().0));
        Self { pipe, with: Arc::new(ProxyDigest::new(head, Some(Box::new(Arc::new(ticket))))) }
    }
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, into)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Piped {
    async fn shutdown(&mut self) {
        // The other end may be gone: that is no trouble of anybody's.
        drop(AsyncWriteExt::shutdown(&mut self.pipe).await);
    }
}

impl Peek for Piped {}

impl Ssl for Piped {}

impl UniqueID for Piped {
    fn id(&self) -> UniqueIDType {
        0
    }
}

impl GetTimingDigest for Piped {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Piped {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.with))
    }
}

impl GetSocketDigest for Piped {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl fmt::Debug for Piped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Piped")
    }
}
