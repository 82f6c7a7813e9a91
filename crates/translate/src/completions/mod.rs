//! Text completions (`/v1/completions`), the older sibling of chat, for callers that still speak it.
//!
//! One prompt is one user message. Answers are chat answers in other words: what the chat dialect writes is
//! rewritten, so that ids, counts and finish reasons cannot differ between the two. A provider of text
//! completions is read the same way round, and relayed by looking at `choices[].text` alone.
//!
//! What a conversation cannot hold (`echo`, `suffix`, `best_of`) is left over, and reported by whichever
//! encoder the request reaches. The default of 16 tokens that the vendor has here is not made up for chat.

mod logprobs;
mod observe;
mod request;
mod rewrite;

#[cfg(test)]
mod tests;

use crate::frame::{Frame, SseParser, write_data};
use crate::ir::{Event, Failure, Request, Response};
use crate::loss::Losses;
use crate::provider::Destination;
use crate::wire::openai_chat::OpenAiChat;
use crate::wire::{
    BadFrame, BadRequest, BadResponse, Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder,
    StreamEncoder,
};

/// The codec. No [`crate::Wire`] of its own: its errors are those of OpenAI chat.
#[derive(Debug, Clone, Copy)]
pub struct TextCompletions;

impl Codec for TextCompletions {
    /// # Errors
    /// [`BadRequest`] for anything but one text of one user: the format holds no conversation.
    fn encode_request(
        &self,
        request: &Request,
        to: &Destination<'_>,
        losses: &mut Losses,
    ) -> Result<Vec<u8>, BadRequest> {
        request::encode(request, to, losses)
    }

    fn decode_response(&self, body: &[u8]) -> Result<Response, BadResponse> {
        OpenAiChat.decode_response(&rewrite::to_chat(body).unwrap_or_else(|| body.to_vec()))
    }

    fn decode_failure(&self, status: u16, body: &[u8]) -> Failure {
        OpenAiChat.decode_failure(status, body)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(Decoder { chat: OpenAiChat.stream_decoder() })
    }
}

impl Dialect for TextCompletions {
    fn decode_request(&self, body: &[u8]) -> Result<Request, BadRequest> {
        request::decode(body)
    }

    fn encode_response(&self, response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
        let chat = OpenAiChat.encode_response(response, echo, losses);
        rewrite::answer(&chat, response.id.is_empty(), echo, losses)
    }

    fn encode_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        OpenAiChat.encode_failure(failure, request_id)
    }

    fn encode_stream_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        OpenAiChat.encode_stream_failure(failure, request_id)
    }

    fn stream_encoder(&self, echo: Echo) -> Box<dyn StreamEncoder> {
        Box::new(Encoder {
            chunks: rewrite::Chunks::new(&echo),
            chat: OpenAiChat.stream_encoder(echo),
            written: Vec::new(),
        })
    }

    fn observe_frame(&self, frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
        observe::frame(frame, seen)
    }

    fn observe_response(&self, body: &[u8]) -> Result<Observation, BadResponse> {
        observe::response(body)
    }

    fn stream_terminator(&self) -> &'static [u8] {
        OpenAiChat.stream_terminator()
    }
}

/// A provider's text chunks, read as chat chunks.
struct Decoder {
    chat: Box<dyn StreamDecoder>,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        match rewrite::to_chat(frame.data) {
            Some(data) => self.chat.frame(&Frame { data: &data, ..*frame }, out),
            None => self.chat.frame(frame, out),
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.chat.end(out);
    }

    fn ending(&self) -> u64 {
        self.chat.ending()
    }
}

/// The chat dialect's chunks, rewritten as text chunks.
struct Encoder {
    chat: Box<dyn StreamEncoder>,
    chunks: rewrite::Chunks,
    /// Reused between events.
    written: Vec<u8>,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        if let Event::Start { id, .. } = event {
            self.chunks.start(id);
        }
        self.written.clear();
        self.chat.event(event, &mut self.written, losses);
        let mut parser = SseParser::new();
        let mut rest = self.written.as_slice();
        while let Some(frame) = parser.frame_in(rest) {
            match self.chunks.chunk(frame.data, losses) {
                rewrite::Chunk::AsItIs => out.extend_from_slice(frame.raw),
                rewrite::Chunk::Nothing => {}
                rewrite::Chunk::Json(json) => write_data(out, &json),
            }
            rest = rest.get(frame.raw.len()..).unwrap_or_default();
        }
    }
}
