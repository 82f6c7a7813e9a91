//! Anthropic Messages (`POST /v1/messages`, `anthropic-version: 2023-06-01`).
//!
//! This file only names the
//! pieces; no field of the wire is spelled here.

mod blocks;
mod citation;
mod error;
mod observe;
mod request;
mod response;
mod stop;
pub(in crate::wire) mod stream;
mod types;
mod usage;
mod write;

#[cfg(test)]
mod tests;

use super::{
    BadRequest, BadResponse, Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder, StreamEncoder,
    Wire,
};
use crate::frame::Frame;
use crate::ir::{Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Anthropic;

impl Codec for Anthropic {
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

impl Dialect for Anthropic {
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

    /// `message_stop` is the end: nothing follows it.
    fn stream_terminator(&self) -> &'static [u8] {
        b""
    }

    fn closing_frame(&self) -> &'static [u8] {
        b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
    }

    fn always_counts(&self) -> bool {
        true
    }
}
