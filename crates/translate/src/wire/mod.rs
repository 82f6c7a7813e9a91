//! The wires: one folder per format, the same six files in each.
//!
//! [`Wire`] is a closed enum so that the compiler finds the missing arm. [`Codec`] is what each folder
//! implements: the half towards providers. [`Dialect`] is the half towards callers, which wires that no
//! caller speaks do not have: [`Wire::dialect`] is the only way to it. A codec never guesses: what it does
//! not understand is kept in `Extra`, `Opaque` or reported as a loss.

pub mod anthropic;
pub mod bedrock_converse;
pub mod cohere;
pub(crate) mod failure_shapes;
pub(crate) mod fields;
pub mod gemini;
pub(crate) mod ids;
pub(crate) mod json;
pub(crate) mod lend;
pub mod openai_chat;
pub mod openai_responses;
mod queue;
pub mod replicate;
pub(crate) mod retrieved;
mod schema;
mod sound;
mod told;
pub(crate) mod tool_names;
pub(crate) mod tool_schema;
pub(crate) mod tree;

#[cfg(test)]
mod crossing_tests;
#[cfg(test)]
mod served_tests;

pub use tool_names::ToolNames;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::frame::{Frame, Framing};
use crate::ir::{Event, Failure, FinishReason, Request, Response, Usage};
use crate::loss::Losses;
use crate::provider::Destination;

/// The formats we speak: all as upstream, those in [`Wire::ALL`] also as dialect (towards callers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Anthropic Messages (`/v1/messages`).
    Anthropic,
    /// Amazon Bedrock Converse (`/model/{model}/converse`), streamed in event-stream frames.
    BedrockConverse,
    /// Cohere Chat, version 2 (`/v2/chat`).
    Cohere,
    /// Google Gemini (`/v1beta/models/{model}:generateContent`).
    Gemini,
    #[serde(rename = "openai_chat")]
    /// OpenAI Chat Completions (`/v1/chat/completions`), and the embeddings that share its errors.
    OpenAiChat,
    #[serde(rename = "openai_responses")]
    /// OpenAI Responses (`/v1/responses`).
    OpenAiResponses,
    /// Replicate's predictions (`/v1/models/{owner}/{name}/predictions`). Upstream only.
    Replicate,
}

impl Wire {
    /// The wires that are dialects as well, in alphabetical order of their names: every one of them meets
    /// every other. Those that no caller speaks are in [`Self::UPSTREAM_ONLY`].
    pub const ALL: [Self; 6] = [
        Self::Anthropic,
        Self::BedrockConverse,
        Self::Cohere,
        Self::Gemini,
        Self::OpenAiChat,
        Self::OpenAiResponses,
    ];

    /// The wires that providers speak and callers do not: never a dialect, never relayed.
    pub const UPSTREAM_ONLY: [Self; 1] = [Self::Replicate];

    /// The wire of that [`Self::name`], upstream-only ones included.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::UPSTREAM_ONLY).find(|wire| wire.name() == name)
    }

    /// The name used in labels, golden file names and docs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::BedrockConverse => "bedrock_converse",
            Self::Cohere => "cohere",
            Self::Gemini => "gemini",
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Replicate => "replicate",
        }
    }

    /// The half towards providers.
    #[must_use]
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::Anthropic => &anthropic::Anthropic,
            Self::BedrockConverse => &bedrock_converse::BedrockConverse,
            Self::Cohere => &cohere::Cohere,
            Self::Gemini => &gemini::Gemini,
            Self::OpenAiChat => &openai_chat::OpenAiChat,
            Self::OpenAiResponses => &openai_responses::OpenAiResponses,
            Self::Replicate => &replicate::Replicate,
        }
    }

    /// Both halves; `None` for the wires that no caller speaks ([`Self::UPSTREAM_ONLY`]).
    #[must_use]
    pub fn dialect(self) -> Option<&'static dyn Dialect> {
        Some(match self {
            Self::Anthropic => &anthropic::Anthropic,
            Self::BedrockConverse => &bedrock_converse::BedrockConverse,
            Self::Cohere => &cohere::Cohere,
            Self::Gemini => &gemini::Gemini,
            Self::OpenAiChat => &openai_chat::OpenAiChat,
            Self::OpenAiResponses => &openai_responses::OpenAiResponses,
            Self::Replicate => return None,
        })
    }

    /// How streams of this wire are cut into frames.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::BedrockConverse => Framing::EventStream,
            _ => Framing::Sse,
        }
    }

    /// Model and streaming are told by the request's path, not by its body.
    #[must_use]
    pub fn model_in_path(self) -> bool {
        matches!(self, Self::BedrockConverse | Self::Gemini)
    }

    /// Providers of this wire fetch such a URL of an image (or else a document) themselves.
    #[must_use]
    pub fn takes_url(self, image: bool, url: &str) -> bool {
        match self {
            Self::Anthropic | Self::OpenAiResponses => true,
            Self::BedrockConverse => url.starts_with("s3://"),
            Self::Cohere | Self::OpenAiChat | Self::Replicate => image,
            Self::Gemini => gemini::takes_url(url),
        }
    }

    /// The member that holds the conversation of a chat request, which must be there as a list. `None`: the
    /// wire has several ways to say it, or is no dialect.
    #[must_use]
    pub fn turns(self) -> Option<&'static str> {
        match self {
            Self::Anthropic | Self::Cohere | Self::OpenAiChat => Some("messages"),
            Self::Gemini => Some("contents"),
            // A stored prompt holds its own messages.
            Self::BedrockConverse | Self::OpenAiResponses | Self::Replicate => None,
        }
    }

    /// The wire whose reasoning signatures stand plain in this one: hosts of Claude pass on Anthropic's.
    #[must_use]
    pub fn signer(self) -> Self {
        match self {
            Self::BedrockConverse | Self::OpenAiChat => Self::Anthropic,
            own => own,
        }
    }
}

/// The pause that a refusal's body asks for, in milliseconds, where a provider tells it there and not in a
/// header.
#[must_use]
pub fn retry_delay_ms(body: &[u8]) -> Option<u64> {
    failure_shapes::retry_delay_ms(body)
}

/// The half of a wire towards providers: what goes to them, and what they answer.
pub trait Codec: Sync {
    /// Writes a request for `to`. What the wire or the model cannot carry is reported in `losses`.
    ///
    /// # Errors
    /// [`BadRequest`] when the request has no meaning at all on this wire (audio input for a provider
    /// without ears): better a clear 400 than a silent change of what was asked.
    fn encode_request(
        &self,
        request: &Request,
        to: &Destination<'_>,
        losses: &mut Losses,
    ) -> Result<Vec<u8>, BadRequest>;

    /// Reads a provider's whole answer.
    ///
    /// # Errors
    /// [`BadResponse`] when the body is not an answer of this wire (truncated, HTML, an error object).
    fn decode_response(&self, body: &[u8]) -> Result<Response, BadResponse>;

    /// Reads an error body of any of the shapes providers use, or none of them (HTML, plain text).
    fn decode_failure(&self, status: u16, body: &[u8]) -> Failure;

    /// A decoder for one provider stream.
    fn stream_decoder(&self) -> Box<dyn StreamDecoder>;
}

/// The half of a wire towards callers, and what a relay needs where both sides speak it.
pub trait Dialect: Codec {
    /// Reads a caller's chat request.
    ///
    /// # Errors
    /// [`BadRequest`] names the path in the body and what was expected there. Never panics.
    fn decode_request(&self, body: &[u8]) -> Result<Request, BadRequest>;

    /// Writes a whole answer for the caller.
    fn encode_response(&self, response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8>;

    /// Writes an error body for the caller.
    fn encode_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8>;

    /// Writes an error as the last frame(s) of a stream that already began.
    fn encode_stream_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8>;

    /// An encoder for one caller stream.
    fn stream_encoder(&self, echo: Echo) -> Box<dyn StreamEncoder>;

    /// Looks at one relayed frame and notes what accounting and fault detection need. Cheap: parses
    /// typed parts only.
    fn observe_frame(&self, frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict;

    /// Looks at one relayed whole answer.
    ///
    /// # Errors
    /// [`BadResponse`] as in [`Codec::decode_response`].
    fn observe_response(&self, body: &[u8]) -> Result<Observation, BadResponse>;

    /// The bytes that end a stream in this dialect when the provider left them out
    /// (`data: [DONE]\n\n`); empty where the last event is the end.
    fn stream_terminator(&self) -> &'static [u8];

    /// The data frame that ends a stream and says nothing else (`message_stop`), for a relay to add when
    /// the provider left it out; empty where the last frame holds what only the provider knows.
    fn closing_frame(&self) -> &'static [u8] {
        b""
    }

    /// An answer of this dialect has counts in any case: where the provider told none, what would be written without an
    /// estimate are zeros, which callers take for a count.
    fn always_counts(&self) -> bool {
        false
    }
}

/// Turns provider frames into events.
pub trait StreamDecoder: Send + Sync {
    /// Appends the events of one frame to `out`.
    ///
    /// # Errors
    /// [`BadFrame`] when the frame is no event of this wire; the caller skips and counts it, the
    /// decoder's state is as before.
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame>;

    /// The body ended: appends the closing events that the frames seen so far imply (open parts are
    /// stopped), but never a finish reason that was not sent.
    fn end(&mut self, out: &mut Vec<Event>);

    /// Choices whose finish reason came but was not told yet (bit per index below 64).
    fn ending(&self) -> u64 {
        0
    }
}

/// Turns events into bytes of a caller's stream.
pub trait StreamEncoder: Send + Sync {
    /// Appends the frames for one event to `out`. One event makes zero or more **whole** frames.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses);

    /// Ends the stream with the dialect's error, where it must know what was written before (a running
    /// number). False, and nothing appended: [`Dialect::encode_stream_failure`] writes it.
    fn fail(&mut self, _failure: &Failure, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// A frame of this dialect that the caller got as it came, after its events: what the encoder writes from now on
    /// goes on with the ids and numbers in it. False: what the caller saw last leaves no place to go on from.
    fn adopt(&mut self, _frame: &Frame<'_>) -> bool {
        true
    }
}

/// What a response encoder must know that the provider's answer does not hold.
#[derive(Debug, Clone, Default)]
pub struct Echo {
    /// Unique text to build ids from where the provider gave none.
    pub unique: String,
    /// Unix seconds now.
    pub now: u64,
    /// The model name the caller should see.
    pub model: String,
    /// The caller asked for usage in the stream.
    pub stream_usage: bool,
    /// What the answer repeats of the request, for dialects whose answers do
    /// ([`openai_responses::echo_of`]); also tells which tools take free text.
    pub request: Option<Arc<Map<String, Value>>>,
}

/// What a relay learned from frames or from a whole body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// Text, reasoning or a tool call began to arrive.
    pub content: bool,
    /// A tool call was seen.
    pub tool_call: bool,
    /// Set when every choice seen has its finish reason.
    pub finish: Option<FinishReason>,
    /// The last cumulative usage.
    pub usage: Option<Usage>,
    /// An error the provider sent inside a 200.
    pub failure: Option<Failure>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The provider's terminator was seen (`[DONE]`, `message_stop`).
    pub done: bool,
    /// Frames that were no event of the wire: skipped.
    pub skipped: u32,
    /// Characters of text, reasoning and arguments: the base of an estimate when usage never came.
    pub output_chars: u64,
    /// Choices opened and finished so far (bit per choice index below 64).
    pub choices_open: u64,
    pub choices_finished: u64,
    /// Choices whose finish reason came but is held back, since more may follow it.
    pub choices_ending: u64,
    /// Of streams whose events are numbered and repeat the answer's head.
    pub head: Head,
}

impl Observation {
    /// Every choice that opened has its finish reason, told or held back, and nothing failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let ended = self.choices_finished | self.choices_ending;
        let held = self.choices_ending != 0 && self.choices_open & !ended == 0;
        self.failure.is_none() && (self.finish.is_some() || held)
    }

    /// How many choices have their finish reason: 64 stands for any number from there on.
    #[must_use]
    pub fn endings(&self) -> u64 {
        u64::from((self.choices_finished | self.choices_ending).count_ones())
    }
}

/// What an event of ours must go on with, at the end of a stream that was relayed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The answer's id; empty where nothing is repeated.
    pub id: String,
    /// When it was made, seconds since 1970.
    pub created: Option<u64>,
    /// The number of the next event.
    pub next: u64,
}

/// What a relay does with a frame it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameVerdict {
    /// Belongs to the answer.
    Relay,
    /// Holds nothing but usage (OpenAI's `choices: []` frame): withheld when only we asked for it.
    UsageOnly,
    /// The stream's terminator.
    Terminator,
    /// An in-band error: `Observation::failure` is set.
    Failure,
    /// No event of this wire: skip it. The codec has counted it in `Observation::skipped`.
    Invalid,
}

/// A body that is no request of its dialect. Rendered as a 400 in that dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// Dotted path in the body: `messages[3].content`; empty for the body as a whole.
    pub path: String,
    /// What was found and what was expected, a full sentence naming the path.
    pub message: String,
}

impl BadRequest {
    /// A complaint about one place in the body.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A 200 body that is no answer of its wire: treated as an upstream fault (502 class).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    #[error("the provider's answer is not valid JSON: {0}")]
    NotJson(String),
    #[error("the provider's answer has not the shape of its wire: {0}")]
    WrongShape(String),
    /// An error object under a 200.
    #[error("the provider answered 200 with an error: {}", .0.message)]
    Failure(Failure),
}

/// A frame that is no event of its wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream event could not be read: {0}")]
pub struct BadFrame(pub String);
