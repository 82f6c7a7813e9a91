//! Replicate's predictions, for language models: upstream only, no caller speaks it.
//!
//! A prediction is created with the inputs that the model's own schema names, and read later: the shell
//! creates it at [`path`], follows it ([`Prediction`]) and hands the final object to
//! [`Codec::decode_response`], or the events of its stream to the stream decoder. Decisions that the files
//! share:
//! * The conversation becomes one text, the `prompt`: see `request::prompt` for its form.
//! * What an input is called is the model's rule (`provider::InputNames`). Inputs a model does not have are
//!   ignored by the vendor without a word, so they are reported instead of sent.
//! * What tells of the job (its input, logs, times, URLs) is no part of the answer.

mod error;
mod model;
mod prediction;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;

pub use model::path;
pub use prediction::{Prediction, Status};

use super::{BadRequest, BadResponse, Codec, StreamDecoder};
use crate::ir::{Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Replicate;

impl Codec for Replicate {
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
