//! The downstream session while a request is proxied: replays the body, holds the answer back,
//! watches the clock.
//!
//! Pingora keeps at most 64 KiB of a request for a retry, sends response headers as soon as they
//! come, and has one read timeout per upstream. A gateway needs more: the whole body on every
//! attempt, headers that stay unsent until the first token (so that a silent or broken answer can
//! still be replaced), and separate limits for first byte, first token, idle and total. All three
//! live in this one wrapper around the real session.
//!
//! The wrapped trait is doc-hidden in Pingora: the version is pinned, and the body sizes and framings
//! that matter are tested against the real binary in `tests/integration`.

mod stage;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Version};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::ServerSession as HttpSession;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session as CustomSession;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::Sleep;

use super::hedge::{HEDGED, WatchEvent};
use super::response_body_filter::FAULT;

pub use stage::{Limit, Stage};

/// The error type raised when a limit of [`Limit`] is reached.
pub const DEADLINE: ErrorType = ErrorType::Custom("deadline");

/// Longest that the counts of a complete answer are read for behind a caller that left.
const COUNTS: Duration = Duration::from_millis(500);

/// The error type raised when an answer has a header and nothing else.
pub const EMPTY: ErrorType = ErrorType::Custom("empty body");

/// Wraps `session` so that `body` is sent on every attempt.
pub fn wrap(session: &mut Box<HttpSession>, body: Bytes, stage: &Arc<Stage>) {
    let inner = std::mem::replace(session, placeholder());
    **session = HttpSession::new_custom(Box::new(Replay {
        inner: Some(inner),
        body,
        held: None,
        timer: None,
        left: None,
        stage: Arc::clone(stage),
    }));
}

/// Puts the real session back; an answer that is still held is dropped. Does nothing when the session
/// is not wrapped.
pub fn unwrap(session: &mut Box<HttpSession>, stage: &Stage) {
    if !matches!(**session, HttpSession::Custom(_)) {
        return;
    }
    // The wrapper's drop hands the inner session to the stage.
    drop(std::mem::replace(session, placeholder()));
    if let Some(inner) = stage.take_back() {
        *session = inner;
    }
}

/// The head of the answer is with the caller. That it may go on with its request (100) is none.
#[must_use]
pub fn is_begun(session: &HttpSession) -> bool {
    session.response_written().is_some_and(|head| !head.status.is_informational())
}

/// A stand-in of no size for the moment between two sessions.
fn placeholder() -> Box<HttpSession> {
    Box::new(HttpSession::new_custom(Box::new(())))
}

struct Replay {
    /// `None` only while being dropped.
    inner: Option<Box<HttpSession>>,
    body: Bytes,
    /// The response header, until the first byte of the answer may go out.
    held: Option<Box<ResponseHeader>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// How the caller left, while its answer is still read.
    left: Option<Left>,
    stage: Arc<Stage>,
}

/// A caller that left, and whose answer is read on: for the counts of what it had, or for others who wait for it.
struct Left {
    error: Box<Error>,
    /// Until when that may last; `None`: as long as any answer.
    until: Option<Instant>,
}

impl Left {
    /// The caller has left.
    ///
    /// # Errors
    /// Its answer is of no use to anybody: how it left.
    fn of(error: Box<Error>, stage: &Stage) -> std::result::Result<Self, Box<Error>> {
        let until = match (stage.awaits_counts(), stage.goes_on()) {
            (_, true) => None,
            (true, false) => Some(Instant::now() + COUNTS),
            (false, false) => return Err(error),
        };
        Ok(Self { error, until })
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            *self.stage.returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(inner);
        }
    }
}

impl Replay {
    #[expect(clippy::expect_used, reason = "`inner` is taken in Drop only")]
    fn inner(&self) -> &HttpSession {
        self.inner.as_ref().expect("session present until drop")
    }

    #[expect(clippy::expect_used, reason = "`inner` is taken in Drop only")]
    fn inner_mut(&mut self) -> &mut HttpSession {
        self.inner.as_mut().expect("session present until drop")
    }

    /// Decides what of `tasks` goes out now. A held header leaves with the first bytes of the body.
    fn release(&mut self, tasks: Vec<HttpTask>) -> Release {
        let mut out = Vec::with_capacity(tasks.len() + 1);
        let mut failed = None;
        let mut ended = false;
        let breaks = self.stage.breaking.swap(false, Ordering::Relaxed);
        let begun = is_begun(self.inner());
        for task in tasks {
            match task {
                // Another attempt goes on with an answer whose head is with the caller.
                HttpTask::Header(_, false) if begun => {}
                HttpTask::Body(Some(bytes), true) if breaks && !bytes.is_empty() => {
                    out.push(HttpTask::Body(Some(bytes), false));
                }
                task if breaks && task.is_end() => {}
                // For the hop only; passed on, it would count as the beginning of an answer.
                HttpTask::Header(header, _) if header.status.is_informational() => {}
                HttpTask::Header(header, false) => self.held = Some(header),
                HttpTask::Header(header, true) if self.stage.empty.load(Ordering::Relaxed) => {
                    ended = true;
                    out.push(HttpTask::Header(header, true));
                }
                HttpTask::Header(_, true) => {
                    // No filter sees the body that is not there: it must not pass as an answer.
                    failed = Some(Error::create(EMPTY, ErrorSource::Upstream, None, None));
                    break;
                }
                HttpTask::Body(None, false) => {}
                HttpTask::Body(Some(bytes), false) if bytes.is_empty() => {}
                HttpTask::Failed(error) => {
                    failed = Some(error);
                    break;
                }
                other => {
                    ended |= other.is_end();
                    if let Some(mut header) = self.held.take() {
                        if self.stage.leaving.load(Ordering::Relaxed) {
                            self.inner_mut().set_keepalive(None);
                        }
                        if let Some(cost) = self.stage.take_cost() {
                            // A name and a value that are valid by their types.
                            let _ = header.insert_header("x-bifrost-cost", cost);
                        }
                        frame(&mut header, &other, self.inner().req_header().version);
                        out.push(HttpTask::Header(header, false));
                    }
                    out.push(other);
                }
            }
        }
        if breaks && failed.is_none() {
            failed = Some(Error::create(FAULT, ErrorSource::Upstream, None, None));
        }
        Release { out, failed, ended }
    }
}

struct Release {
    out: Vec<HttpTask>,
    failed: Option<Box<Error>>,
    ended: bool,
}

/// Frames the answer: one that goes out in one piece has a known length, another is chunked in HTTP/1.1
/// (HTTP/2 has frames of its own, HTTP/1.0 ends with the connection).
fn frame(header: &mut ResponseHeader, first: &HttpTask, version: Version) {
    let length = match first {
        HttpTask::Body(Some(bytes), true) => Some(bytes.len()),
        HttpTask::Body(None, true) | HttpTask::Done => Some(0),
        _ => None,
    };
    // Pingora adds its own framing behind our filters when a provider gave none (HTTP/2).
    header.remove_header(&http::header::TRANSFER_ENCODING);
    header.remove_header(&http::header::CONTENT_LENGTH);
    // A number in decimal and a fixed word are always valid header values.
    let _ = match length {
        Some(length) => header.insert_header(http::header::CONTENT_LENGTH, length),
        None if version != Version::HTTP_11 => Ok(()),
        None => header.insert_header(http::header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    };
}

#[async_trait]
impl CustomSession for Replay {
    fn req_header(&self) -> &RequestHeader {
        self.inner().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner_mut().req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(&mut self, header: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.held = None;
        self.inner_mut().write_response_header(header).await
    }

    async fn write_response_header_ref(&mut self, header: &ResponseHeader, _end: bool) -> Result<()> {
        self.held = None;
        self.inner_mut().write_response_header_ref(header).await
    }

    async fn write_body(&mut self, bytes: Bytes, end: bool) -> Result<()> {
        self.inner_mut().write_response_body(bytes, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner_mut().write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let Release { out, failed, mut ended } = self.release(tasks);
        if !out.is_empty() && self.left.is_none() {
            let began = Instant::now();
            match self.inner_mut().response_duplex_vec(out).await {
                Ok(end) => ended |= end,
                Err(error) => self.left = Some(Left::of(error, &self.stage)?),
            }
            self.stage.put_off(began.elapsed());
        }
        let stage = &self.stage;
        let over = |left: &mut Left| match left.until {
            Some(_) => ended || !stage.awaits_counts(),
            None => ended || !stage.goes_on(),
        };
        if let Some(left) = self.left.take_if(over) {
            return Err(left.error);
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(ended),
        }
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner().request_summary()
    }

    /// A held header does not count: the answer can still be another one.
    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner().response_written()
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        self.inner_mut().shutdown().await;
    }

    /// Not so at the moment of a second attempt: then Pingora asks `request_body_filter` for more, and sends nothing.
    fn is_body_done(&mut self) -> bool {
        !self.stage.hedge.is_due()
    }

    async fn finish(&mut self) -> Result<()> {
        self.inner_mut().finish_body().await
    }

    fn is_body_empty(&mut self) -> bool {
        false
    }

    /// Polled beside the upstream's reads for the whole attempt: watches for the caller leaving and
    /// for the running deadline.
    async fn read_body_or_idle(&mut self, _no_body_expected: bool) -> Result<Option<Bytes>> {
        let Self { inner, timer, stage, left, .. } = self;
        let Some(inner) = inner.as_mut() else { return Ok(None) };
        let mut idle = std::pin::pin!(inner.read_body_or_idle(true));
        std::future::poll_fn(|cx| {
            if left.is_none()
                && let Poll::Ready(result) = idle.as_mut().poll(cx)
            {
                match result.map_err(|error| Left::of(error, stage)) {
                    Err(Ok(gone)) => *left = Some(gone),
                    Err(Err(error)) => return Poll::Ready(Err(error)),
                    Ok(read) => return Poll::Ready(Ok(read)),
                }
            }
            match stage.hedge.poll(cx) {
                Poll::Ready(WatchEvent::Moment) => return Poll::Ready(Ok(Some(Bytes::new()))),
                Poll::Ready(WatchEvent::Overtaken) => {
                    return Poll::Ready(Err(Error::create(HEDGED, ErrorSource::Upstream, None, None)));
                }
                Poll::Pending => {}
            }
            loop {
                let until = left.as_ref().and_then(|left| left.until);
                let Some(due) = until.or_else(|| stage.due()) else { return Poll::Pending };
                let sleep = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
                // Moved nearer: the timer must follow. Moved away: it fires early and is set again.
                if sleep.deadline().into_std() > due {
                    sleep.as_mut().reset(due.into());
                }
                match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if Instant::now() >= due => {
                        let over = || Error::create(DEADLINE, ErrorSource::Upstream, None, None);
                        return Poll::Ready(Err(left.take().map_or_else(over, |left| left.error)));
                    }
                    Poll::Ready(()) => sleep.as_mut().reset(due.into()),
                }
            }
        })
        .await
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner().to_h1_raw()
    }

    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        Some(self.body.clone())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn futures_core::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn futures_core::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(
        header: &mut ResponseHeader,
        first: &HttpTask,
        version: Version,
    ) -> (Option<String>, Option<String>) {
        frame(header, first, version);
        let text = |name| header.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text("content-length"), text("transfer-encoding"))
    }

    #[test]
    fn an_answer_has_one_framing_whatever_stood_there() {
        let whole = HttpTask::Body(Some(Bytes::from_static(b"12345")), true);
        let more = HttpTask::Body(Some(Bytes::from_static(b"12345")), false);
        for wrong in [Some(("transfer-encoding", "chunked")), Some(("content-length", "99")), None] {
            let mut header = ResponseHeader::build(200, None).unwrap();
            if let Some((name, value)) = wrong {
                header.insert_header(name, value).unwrap();
            }
            assert_eq!(framed(&mut header, &whole, Version::HTTP_11), (Some("5".to_owned()), None));
            assert_eq!(framed(&mut header, &HttpTask::Done, Version::HTTP_2), (Some("0".to_owned()), None));
            assert_eq!(framed(&mut header, &more, Version::HTTP_11), (None, Some("chunked".to_owned())));
            assert_eq!(framed(&mut header, &more, Version::HTTP_2), (None, None));
            assert_eq!(framed(&mut header, &more, Version::HTTP_10), (None, None));
        }
    }
}
