//! Cohere Chat, version 2 (`POST /v2/chat`).
//!
//! This file only delegates. Three decisions that the other files share:
//! * `tool_plan` is text: what the model says before its calls. It is written back as `tool_plan` where
//!   calls follow, since the wire takes no content beside them; a stream, which cannot know what follows,
//!   writes it as content.
//! * `documents` are document parts at the front of the last user message.
//! * Usage is what is billed (`billed_units`); `tokens` counts the same with the maker's templates.

mod citation;
mod error;
mod logprobs;
mod observe;
mod parts;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;
mod types;
mod usage;

use super::{
    BadRequest, BadResponse, Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder, StreamEncoder,
};
use crate::frame::Frame;
use crate::ir::{Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Cohere;

impl Codec for Cohere {
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

impl Dialect for Cohere {
    fn decode_request(&self, body: &[u8]) -> Result<Request, BadRequest> {
        request::decode(body)
    }

    fn encode_response(&self, response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
        response::encode(response, echo, losses)
    }

    fn encode_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        error::encode(failure, request_id)
    }

    /// No `[DONE]` follows an error: a client must not take the answer for whole.
    fn encode_stream_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        error::encode_in_stream(failure, request_id)
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

    /// Recorded streams end with it, and the official SDKs stop there.
    fn stream_terminator(&self) -> &'static [u8] {
        b"data: [DONE]\n\n"
    }
}
