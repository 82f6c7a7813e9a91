//! Whether an answer that no filter has seen has begun: a stream with its first content, a whole one when it is complete.
//!
//! The same codecs as in the phases look at it. What they make of it is thrown away: whoever takes the answer over reads
//! it from its first byte.

use bytes::{Bytes, BytesMut};
use govern::verdict::FaultClass;
use pingora_http::ResponseHeader;
use translate::relay::{Flow, StreamPipe};
use translate::wire::BadResponse;
use translate::{embed, rerank};

use crate::proxy::attempt::Attempt;
use crate::proxy::coding::Inflater;
use crate::proxy::exchange::Call;
use crate::proxy::fault::Fault;
use crate::proxy::response_body_filter::{bad_answer, held_limit, in_band, no_stream, too_long};
use crate::proxy::tasks::Format;
use crate::proxy::upstream_response_filter::{is_json, stream_pipe};
use crate::route::endpoint::Endpoint;

/// Whole answers beyond this are passed on unchecked, as in the phases.
const WHOLE_LIMIT: usize = 32 * 1024 * 1024;

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Nothing,
    Content,
}

/// Looks at one answer.
pub struct Inspector {
    /// A stream was asked for.
    pub stream: bool,
    endpoint: Endpoint,
    /// Most bytes without content.
    limit: usize,
    seen: usize,
    pipe: Option<Box<StreamPipe>>,
    whole: BytesMut,
    coding: Option<Box<Inflater>>,
}

impl Inspector {
    /// For the answer that `attempt` gets.
    pub fn new(call: &Call, attempt: &Attempt, request_id: &str) -> Self {
        Self {
            stream: call.stream,
            endpoint: call.endpoint,
            limit: held_limit(call),
            seen: 0,
            pipe: call.stream.then(|| Box::new(stream_pipe(call, attempt, request_id))),
            whole: BytesMut::new(),
            coding: None,
        }
    }

    /// The head of a success.
    pub fn head(&mut self, head: &ResponseHeader) {
        self.coding = Inflater::of(&head.headers);
        if is_json(head) {
            self.pipe = None;
        }
    }

    /// The answer is a stream.
    pub fn streams(&self) -> bool {
        self.pipe.is_some()
    }

    /// The next piece of the body, as it came.
    ///
    /// # Errors
    /// The answer is none.
    pub fn look(&mut self, attempt: &Attempt, piece: &Bytes, ended: bool) -> Result<Look, Fault> {
        let inflated = self.coding.as_mut().map(|coding| coding.inflate(piece));
        let plain = match inflated {
            None => piece.clone(),
            Some(Ok(plain)) => plain.into(),
            Some(Err(message)) => return Err(Fault::new(FaultClass::BadAnswer, message)),
        };
        self.seen = self.seen.saturating_add(plain.len());
        match &mut self.pipe {
            Some(pipe) => {
                let look = streamed(pipe, &plain, ended)?;
                let too_much = look == Look::Nothing && self.seen > self.limit;
                if too_much { Err(too_long()) } else { Ok(look) }
            }
            None => self.gathered(attempt, &plain, ended),
        }
    }

    fn gathered(&mut self, attempt: &Attempt, plain: &[u8], ended: bool) -> Result<Look, Fault> {
        self.whole.extend_from_slice(plain);
        if !ended {
            return match self.whole.len() > WHOLE_LIMIT {
                false => Ok(Look::Nothing),
                true if self.stream => Err(too_long()),
                true => Ok(Look::Content),
            };
        }
        if self.stream {
            return Err(no_stream(attempt, &self.whole));
        }
        self.check(attempt).map_err(bad_answer)?;
        Ok(Look::Content)
    }

    fn check(&self, attempt: &Attempt) -> Result<(), BadResponse> {
        let upstream = &attempt.upstream;
        match upstream.task {
            Some(Format::Embed(format)) => embed::observe_response(format, &self.whole).map(drop),
            Some(Format::Rerank(format)) => rerank::observe_response(format, &self.whole).map(drop),
            _ if upstream.relay => self.endpoint.codec().observe_response(&self.whole).map(drop),
            _ => match upstream.target.wire.codec().decode_response(&self.whole)?.failure() {
                Some(failure) => Err(BadResponse::Failure(failure)),
                None => Ok(()),
            },
        }
    }
}

fn streamed(pipe: &mut StreamPipe, plain: &[u8], ended: bool) -> Result<Look, Fault> {
    let mut thrown_away = Vec::new();
    let flow = pipe.push(plain, &mut thrown_away);
    let seen = pipe.seen();
    if let Some(failure) = &seen.failure {
        return Err(in_band(failure.clone()));
    }
    if seen.content || seen.finish.is_some() {
        return Ok(Look::Content);
    }
    if !ended && flow != Flow::Complete {
        return Ok(Look::Nothing);
    }
    if pipe.end(None, &mut thrown_away) {
        return Ok(Look::Content);
    }
    Err(Fault::new(FaultClass::BadAnswer, "the stream ended without a finish reason"))
}
