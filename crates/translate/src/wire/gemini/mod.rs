//! Google Gemini (`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`): the wire of
//! the Gemini API and of Gemini on Vertex AI, and the dialect of Google's own SDKs and CLI.
//!
//! This file only delegates. Model and streaming stand in the request's path, never in its body. Callers
//! may spell every field in camelCase or in snake_case (`spelling`); what is written is camelCase.

mod citation;
mod error;
mod finish;
mod json_array;
mod logprobs;
mod moment;
mod observe;
mod parts;
mod request;
mod response;
mod schema;
mod signature;
mod spelling;
mod stream;
#[cfg(test)]
mod tests;
mod types;
mod usage;
mod write;

pub use json_array::JsonArray;
pub use request::takes_url;

use super::{
    BadRequest, BadResponse, Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder, StreamEncoder,
    Wire,
};
use crate::frame::{Frame, write_data};
use crate::ir::{Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Codec for Gemini {
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

impl Dialect for Gemini {
    fn decode_request(&self, body: &[u8]) -> Result<Request, BadRequest> {
        request::decode(body)
    }

    fn encode_response(&self, response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
        response::encode(response, echo, losses)
    }

    fn encode_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        error::encode(failure, request_id)
    }

    fn encode_stream_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_data(&mut out, &error::encode(failure, request_id));
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

    /// Nothing: the chunk with the finish reason is the last one.
    fn stream_terminator(&self) -> &'static [u8] {
        b""
    }
}
