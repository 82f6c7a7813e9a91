//! OpenAI Chat Completions: the wire of OpenAI and of most other providers, and the dialect of most
//! callers.
//!
//! This file only delegates. `types` reads what streams and observers need; `fields` reads objects field
//! by field so that leftovers are kept; `parts`, `reasoning` and `usage` hold what requests, answers and
//! streams share, so that they cannot disagree.

mod call_signature;
mod citation;
mod error;
mod fields;
mod observe;
mod parts;
mod reasoning;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;
mod types;
mod usage;

// What the wire's younger sibling shares with it.
pub(super) use error::{encode as encode_error, words as error_words};
pub(super) use parts::{data_url, document_source, image_source};
pub(super) use request::{
    CLIENT_TOOLS, JSON_LINE, JSON_REASON, MAX_USER, allowed, effort_of, fnv1a, no_json_word,
};
pub(super) use response::foreign_native;
pub(super) use types::{Count, Str, object, speaks};
pub(super) use usage::{dollars, nanos_of_decimal};

use super::{
    BadRequest, BadResponse, Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder, StreamEncoder,
};
use crate::frame::{Frame, write_data};
use crate::ir::{Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;

/// The codec.
pub struct OpenAiChat;

impl Codec for OpenAiChat {
    fn encode_request(
        &self,
        request: &Request,
        to: &Destination<'_>,
        losses: &mut Losses,
    ) -> Result<Vec<u8>, BadRequest> {
        request::encode(request, to, losses)
    }

    fn decode_response(&self, body: &[u8]) -> Result<Response, BadResponse> {
        response::decode(body)
    }

    fn decode_failure(&self, status: u16, body: &[u8]) -> Failure {
        error::decode(status, body)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}

impl Dialect for OpenAiChat {
    fn decode_request(&self, body: &[u8]) -> Result<Request, BadRequest> {
        request::decode(body)
    }

    fn encode_response(&self, response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
        response::encode(response, echo, losses)
    }

    /// The request id has no field in this wire's errors: it travels in `x-request-id`.
    fn encode_failure(&self, failure: &Failure, _request_id: &str) -> Vec<u8> {
        error::encode(failure)
    }

    /// No `[DONE]` follows an error: a client must not take the answer for whole.
    fn encode_stream_failure(&self, failure: &Failure, _request_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_data(&mut out, &error::encode(failure));
        out
    }

    fn stream_encoder(&self, echo: Echo) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(echo))
    }

    fn observe_frame(&self, frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
        observe::frame(frame, seen)
    }

    fn observe_response(&self, body: &[u8]) -> Result<Observation, BadResponse> {
        observe::response(body)
    }

    fn stream_terminator(&self) -> &'static [u8] {
        b"data: [DONE]\n\n"
    }
}
