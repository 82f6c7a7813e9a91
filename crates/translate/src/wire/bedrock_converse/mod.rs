//! Amazon Bedrock Converse (`POST /model/{model}/converse` and `converse-stream`).
//!
//! This file only names the pieces; no field of the wire is spelled here.

mod blocks;
mod error;
mod family;
mod invoke;
mod media;
mod names;
mod observe;
mod request;
mod response;
mod stop;
mod stream;
mod types;
mod usage;

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

pub use error::{error_status, error_type, refine};
pub use invoke::{InvokedBody, Meter, UNDERSTOOD, told_by_headers};

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct BedrockConverse;

/// The failure that an exception in a stream tells of, whatever events the stream carries else.
pub(crate) fn exception(frame: &Frame<'_>) -> Failure {
    error::exception(frame.event, frame.data)
}

impl Codec for BedrockConverse {
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

impl Dialect for BedrockConverse {
    fn decode_request(&self, body: &[u8]) -> Result<Request, BadRequest> {
        request::decode(body)
    }

    fn encode_response(&self, response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
        response::encode(response, echo, losses)
    }

    fn encode_failure(&self, failure: &Failure, _request_id: &str) -> Vec<u8> {
        error::encode(failure)
    }

    fn encode_stream_failure(&self, failure: &Failure, _request_id: &str) -> Vec<u8> {
        error::encode_in_stream(failure)
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

    /// The metadata is the end: nothing follows it, and nobody but the provider can write it.
    fn stream_terminator(&self) -> &'static [u8] {
        b""
    }

    fn always_counts(&self) -> bool {
        true
    }
}
