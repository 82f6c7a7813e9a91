//! What stands between a connection and the proxy: it reads the request's head.
//!
//! Pingora reads a head itself and answers one that it cannot read with a bare 400, before any hook. Here
//! the same reader runs first, so that such a caller too gets an error it can parse, with a request id.
//! A head that was read is handed on inside [`Read`], which the first hook takes off again: from there on
//! nothing is different. HTTP/2 comes with its head read and goes straight through.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, header};
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession as HttpSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::ShutdownWatch;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::HttpProxy;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use translate::ir::FailureKind;
use translate::wire::Dialect;
use translate::wire::openai_chat::OpenAiChat;

use super::fault::Fault;
use super::replay::{self, Stage};
use super::{Proxy, request_id};

thread_local! {
    /// The way back for the session whose head was just read. Set and taken within one poll: Pingora does
    /// not wait between the call and the first hook.
    static READ: Cell<Option<Arc<Stage>>> = const { Cell::new(None) };
}

/// A connection whose last answer said "keep alive" is given at least this long for its next request, even when
/// the process ends meanwhile: closed at once, it would take along what its caller is just sending.
const AFTER_AN_ANSWER: Duration = Duration::from_secs(2);

/// How connections are let go when this process stops accepting.
#[derive(Debug, Default)]
pub struct Farewell {
    announced: AtomicBool,
    patience: AtomicU64,
}

impl Farewell {
    /// From now on answers say `connection: close`. Connections are closed when they have been without a request
    /// for `idle`, counted from the end of accepting or of their last answer.
    pub fn announce(&self, idle: Duration) {
        self.patience.store(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.announced.store(true, Ordering::Release);
    }

    /// How long a connection may be idle.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Ordering::Relaxed))
    }

    /// How long it may be after an answer.
    #[must_use]
    pub fn after_an_answer(&self) -> Duration {
        self.patience().max(AFTER_AN_ANSWER)
    }
}

/// The proxy with its own reading of heads.
pub struct Front {
    proxy: Arc<HttpProxy<Proxy>>,
    farewell: Arc<Farewell>,
    ending: AtomicBool,
    ended: Notify,
}

impl Front {
    #[must_use]
    pub fn new(proxy: HttpProxy<Proxy>, farewell: Arc<Farewell>) -> Self {
        Self { proxy: Arc::new(proxy), farewell, ending: AtomicBool::new(false), ended: Notify::new() }
    }

    /// Resolves when connections without a request are to be closed.
    async fn end(&self) {
        let since = Instant::now();
        let ended = self.ended.notified();
        if !self.ending.load(Ordering::Acquire) {
            ended.await;
        }
        sleep_until(since + self.farewell.after_an_answer()).await;
    }
}

/// Takes the wrapping off that brought a session here.
pub fn unwrap(session: &mut Box<HttpSession>) {
    if let Some(stage) = READ.take() {
        replay::unwrap(session, &stage);
    }
}

#[async_trait]
impl HttpServerApp for Front {
    async fn process_new_http(
        self: &Arc<Self>,
        session: HttpSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !matches!(session, HttpSession::H1(_)) {
            return start(&self.proxy, session, shutdown).await;
        }
        let mut session = Box::new(session);
        let read = tokio::select! {
            biased;
            read = session.read_request() => read,
            () = self.end() => return None,
        };
        match read {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                refuse(&mut session, &error).await;
                return None;
            }
        }
        if *shutdown.borrow() || self.farewell.announced.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        let stage = Stage::new(std::time::Instant::now());
        replay::wrap(&mut session, Bytes::new(), &stage);
        READ.set(Some(stage));
        let reused = start(&self.proxy, *session, shutdown).await;
        // Left over when no hook was called (CONNECT).
        READ.take();
        reused
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }

    async fn http_cleanup(&self) {
        sleep(self.farewell.patience()).await;
        self.ending.store(true, Ordering::Release);
        self.ended.notify_waiters();
        self.proxy.http_cleanup().await;
    }
}

/// Apart from its callers, so that the proxy's large future is made where it stays and is not copied.
#[inline(never)]
fn start<'a>(
    proxy: &'a Arc<HttpProxy<Proxy>>,
    session: HttpSession,
    shutdown: &'a ShutdownWatch,
) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'a>> {
    proxy.process_new_http(session, shutdown)
}

/// Tells a caller what is wrong with a head that could not be read. The connection is closed after it.
async fn refuse(session: &mut HttpSession, error: &Error) {
    if *error.etype() != ErrorType::InvalidHTTPHeader {
        log::debug!("a connection ended before its request: {error}");
        return;
    }
    let id = request_id::made(std::time::SystemTime::now());
    let fault = unreadable(error);
    log::info!("request {id} could not be read: {}", fault.failure.message);
    if let Err(error) = answer(session, &fault, &id).await {
        log::debug!("a caller left before its error was written: {error}");
    }
    session.shutdown().await;
}

async fn answer(session: &mut HttpSession, fault: &Fault, id: &str) -> Result<()> {
    // The path could not be read: nobody knows the dialect. Most clients speak this one.
    let body = OpenAiChat.encode_failure(&fault.failure, id);
    let mut head = ResponseHeader::build(fault.failure.status, Some(4))?;
    head.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    head.insert_header(header::CONNECTION, HeaderValue::from_static("close"))?;
    head.insert_header("x-request-id", id)?;
    session.set_keepalive(None);
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(body.into(), true).await
}

/// What was wrong, as far as the reader told. Its context holds the caller's bytes: they are not repeated.
fn unreadable(error: &Error) -> Fault {
    let told = error.to_string();
    if told.contains("too many headers") || told.contains("larger than") {
        return too_large("the request has more than 256 headers, or more than 1 MB of them");
    }
    let message = "the request could not be read as HTTP/1.1: its request line or a header is malformed";
    Fault::request(FailureKind::InvalidRequest, 400, message)
}

/// 431 for a head that is larger than anybody needs.
pub fn too_large(message: &str) -> Fault {
    Fault::request(FailureKind::InvalidRequest, 431, message)
}
