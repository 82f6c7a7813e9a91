//! A stream that no provider sends: an answer that is given again, or that comes for another request at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Version, header};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use translate::cache::stored::{self, Grain, Replay, Steps, Stored};
use translate::ir::Event;
use translate::wire::gemini::JsonArray;

use super::super::exchange::{Call, Exchange};
use super::super::extra_fields;
use super::super::fault::Fault;
use super::super::response_filter::stream_type;
use super::super::upstream_response_filter::echo;
use super::told;

/// Bytes that are written at once of a stream at full speed.
const PIECE: usize = 32 * 1024;
/// Between two pieces of a paced stream, at least.
const TICK: Duration = Duration::from_millis(10);

/// Gives a kept answer as a stream: at full speed, or as fast as is configured.
///
/// # Errors
/// The caller's connection failed.
pub(super) async fn replay(
    session: &mut Session,
    exchange: &mut Exchange,
    stored: &Arc<Stored>,
) -> Result<()> {
    let pace = exchange.cache.as_ref().and_then(|cached| cached.settings.pace);
    let Some(call) = exchange.call.as_deref() else { return Ok(()) };
    let framing = call.endpoint.framing;
    let grain = if pace.is_some() { Grain::Words(1) } else { Grain::Whole };
    let steps = Steps::new(Arc::clone(stored), grain);
    let spoken = (call.endpoint.codec(), call.endpoint.dialect);
    let echo = echo(call, &exchange.request_id);
    let mut replay = Replay::new(steps, spoken, echo, call.endpoint.extra_fields())
        .through(|pipe| pipe.with_framing(call.endpoint.dialect.framing(), framing));
    let mut writer = Writer::begin(session, exchange).await?;
    let mut out = Vec::new();
    let mut clock = pace.map(Pacing::at);
    while replay.next(&mut out) {
        match &mut clock {
            None if out.len() >= PIECE => writer.write(session, exchange, &mut out).await?,
            None => {}
            Some(clock) => {
                if let Some(until) = clock.said_a_word() {
                    writer.write(session, exchange, &mut out).await?;
                    exchange.wait();
                    tokio::time::sleep_until(until.into()).await;
                    exchange.work();
                }
            }
        }
    }
    let extra = exchange.extra_fields().then(|| extra_fields::of_given(exchange, replay.losses().clone()));
    replay.end(extra.as_deref(), &mut out);
    writer.end(session, exchange, out).await
}

/// When the next word is due.
struct Pacing {
    began: Instant,
    per_word: Duration,
    words: u32,
    written: Instant,
}

impl Pacing {
    /// A word is a token and a third, about.
    fn at(tokens_per_second: f64) -> Self {
        let now = Instant::now();
        let per_word = Duration::try_from_secs_f64(4.0 / 3.0 / tokens_per_second).unwrap_or_default();
        Self { began: now, per_word, words: 0, written: now }
    }

    /// One more word is ready. The moment until which nothing follows, where it is worth to wait.
    fn said_a_word(&mut self) -> Option<Instant> {
        self.words = self.words.saturating_add(1);
        let due = self.began + self.per_word.saturating_mul(self.words);
        let worth = due.saturating_duration_since(self.written) >= TICK;
        worth.then(|| {
            self.written = due;
            due
        })
    }
}

/// Writes a stream's head and pieces.
struct Writer {
    list: Option<JsonArray>,
}

impl Writer {
    async fn begin(session: &mut Session, exchange: &mut Exchange) -> Result<Self> {
        // A caller that does not read its answer must not hold it in our memory for ever.
        let timeout = exchange.snapshot.as_ref().map(|snapshot| snapshot.client.request_read_timeout);
        session.downstream_session.set_write_timeout(timeout);
        let mut head = ResponseHeader::build(200, Some(12))?;
        let list = exchange.call.as_ref().is_some_and(|call| call.list);
        let kind = exchange.call.as_deref().map_or("text/event-stream", stream_type);
        head.insert_header(header::CONTENT_TYPE, kind)?;
        head.insert_header(header::CACHE_CONTROL, "no-cache")?;
        head.insert_header("x-accel-buffering", "no")?;
        head.insert_header("x-request-id", &*exchange.request_id)?;
        for (name, value) in told::headers(exchange) {
            head.insert_header(name, value)?;
        }
        match session.req_header().version {
            Version::HTTP_11 => {
                head.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
            }
            // It ends with the connection.
            Version::HTTP_10 => session.set_keepalive(None),
            _ => {}
        }
        exchange.status = 200;
        session.write_response_header(Box::new(head), false).await?;
        Ok(Self { list: list.then(JsonArray::new) })
    }

    /// Writes what there is, and empties it.
    async fn write(
        &mut self,
        session: &mut Session,
        exchange: &mut Exchange,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let bytes = self.dressed(std::mem::take(out));
        if bytes.is_empty() {
            return Ok(());
        }
        exchange.goes(Some(&bytes));
        session.write_response_body(Some(bytes), false).await
    }

    async fn end(mut self, session: &mut Session, exchange: &mut Exchange, out: Vec<u8>) -> Result<()> {
        let mut bytes = self.dressed(out).to_vec();
        self.list.iter_mut().for_each(|list| bytes.extend(list.finish()));
        // An empty piece would be the end of the body, and the end would come twice.
        let bytes = (!bytes.is_empty()).then(|| Bytes::from(bytes));
        exchange.goes(bytes.as_ref());
        session.write_response_body(bytes, true).await
    }

    fn dressed(&mut self, out: Vec<u8>) -> Bytes {
        match &mut self.list {
            Some(list) => list.push(&out).into(),
            None => out.into(),
        }
    }
}

/// A stream that follows another one.
pub(super) struct Live {
    live: stored::Live,
    writer: Writer,
}

impl Live {
    /// Sends the head.
    ///
    /// # Errors
    /// The caller's connection failed.
    pub(super) async fn begin(session: &mut Session, exchange: &mut Exchange) -> Result<Self> {
        let live = exchange.call.as_deref().map(|call| follows(call, exchange));
        let live = live.ok_or_else(|| Error::explain(ErrorType::InternalError, "a stream of no call"))?;
        if let Some(call) = exchange.call.as_mut() {
            call.tab.iter().for_each(|tab| tab.answered_here());
            call.recovery.first_token = Some(Instant::now());
        }
        let writer = Writer::begin(session, exchange).await;
        let writer = writer.inspect_err(|_| exchange.fault = Some(super::follow::left()))?;
        Ok(Self { live, writer })
    }

    /// Sends what these say.
    ///
    /// # Errors
    /// The caller's connection failed.
    pub(super) async fn events(
        &mut self,
        session: &mut Session,
        exchange: &mut Exchange,
        events: Vec<Event>,
    ) -> Result<()> {
        let mut out = Vec::new();
        events.into_iter().for_each(|event| self.live.event(event, &mut out));
        let written = self.writer.write(session, exchange, &mut out).await;
        written.inspect_err(|_| exchange.fault = Some(super::follow::left()))
    }

    /// Sends the end.
    ///
    /// # Errors
    /// The caller's connection failed.
    pub(super) async fn end(mut self, session: &mut Session, exchange: &mut Exchange) -> Result<()> {
        let losses = self.live.losses().clone();
        let extra = exchange.extra_fields().then(|| extra_fields::of_given(exchange, losses));
        let mut out = Vec::new();
        self.live.end(extra.as_deref(), &mut out);
        let ended = self.writer.end(session, exchange, out).await;
        ended.inspect_err(|_| exchange.fault = Some(super::follow::left()))
    }

    /// Sends the error that ends it.
    ///
    /// # Errors
    /// The caller's connection failed.
    pub(super) async fn fail(
        mut self,
        session: &mut Session,
        exchange: &mut Exchange,
        fault: &Fault,
    ) -> Result<()> {
        let mut out = Vec::new();
        self.live.fail(&fault.failure, &exchange.request_id, &mut out);
        self.writer.end(session, exchange, out).await
    }
}

fn follows(call: &Call, exchange: &Exchange) -> stored::Live {
    let spoken = (call.endpoint.codec(), call.endpoint.dialect);
    let echo = echo(call, &exchange.request_id);
    stored::Live::new(spoken, echo, call.endpoint.extra_fields())
        .through(|pipe| pipe.with_framing(call.endpoint.dialect.framing(), call.endpoint.framing))
}
