//! OpenAI Responses: the younger sibling of Chat Completions, spoken by the OpenAI SDKs, coding agents and a
//! growing number of providers.
//!
//! A conversation is a flat list of items: messages, calls, results and reasoning each stand for themselves.
//! The pivot gathers what the model said between two turns of the caller into one message; `items` reads them,
//! `request` and `response` write them back. Errors are those of Chat Completions.
//!
//! The wire can refer to a conversation that the provider keeps. The gateway keeps none: what needs one is
//! refused where it would have to be translated, and relayed untouched elsewhere.

mod citation;
mod client_tools;
mod custom;
mod echo;
mod error;
mod items;
mod namespace;
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

pub use echo::echo_of;

use super::{
    BadRequest, BadResponse, Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder, StreamEncoder,
};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;

/// This wire.
const OWN: Wire = Wire::OpenAiResponses;
/// Why a field of another wire is left out.
const NO_COUNTERPART: &str = "has no counterpart on openai_responses";

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiResponses;

/// The end of a relayed stream that failed: it goes on with the numbers and the names of what was seen of it.
pub(crate) fn failure_after(failure: &Failure, seen: &Observation) -> Vec<u8> {
    stream::encode_failure_after(failure, seen)
}

impl Codec for OpenAiResponses {
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

impl Dialect for OpenAiResponses {
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

    /// Without the stream's state: numbered from 0. [`StreamEncoder::fail`] knows better.
    fn encode_stream_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        stream::encode_failure(failure, request_id)
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

    /// `response.completed` is the end, and holds what only the provider knows: nothing can stand in for it.
    fn stream_terminator(&self) -> &'static [u8] {
        b""
    }
}
