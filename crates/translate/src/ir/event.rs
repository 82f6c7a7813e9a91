//! A streamed answer as typed steps.
//!
//! The shape is a block structure: a part is opened, fed, closed. Several parts may be open at once
//! (OpenAI interleaves parallel tool calls); an encoder whose wire wants one open block at a time
//! (Anthropic) holds the later ones back. `part` numbers count from 0 within a choice, in the order
//! in which the parts were opened.

use serde_json::Value;

use super::{Citation, Failure, Finish, Image, Signature, Usage};

/// One step of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first step, once.
    Start {
        id: String,
        model: String,
        created: Option<u64>,
    },
    PartStart {
        choice: u32,
        part: u32,
        kind: PartKind,
    },
    PartDelta {
        choice: u32,
        part: u32,
        delta: Delta,
    },
    PartStop {
        choice: u32,
        part: u32,
    },
    /// OpenAI's logprobs of one chunk, whole.
    Logprobs {
        choice: u32,
        value: Value,
    },
    /// Once per choice; never invented.
    Finish {
        choice: u32,
        finish: Finish,
    },
    /// Cumulative counts so far: the last one stands. May come more than once.
    Usage(Usage),
    /// The provider failed inside the stream. Nothing follows.
    Failure(Failure),
    /// Something the provider sent that has no place in these events. A decoder tells each path once.
    Lost {
        /// Where it stood in the frame: `choices[0].delta.audio`.
        path: String,
        reason: String,
    },
    /// A sign of life.
    Ping,
    /// The provider ended the stream in good order (`[DONE]`, `message_stop`).
    End,
}

/// What kind of part was opened.
#[derive(Debug, Clone, PartialEq)]
pub enum PartKind {
    Text,
    Refusal,
    Thinking,
    /// Complete at once: no deltas follow.
    RedactedThinking {
        data: String,
    },
    /// Complete at once: no deltas follow.
    Image(Box<Image>),
    /// `id` is empty where the wire has none: encoders make one.
    ToolCall {
        id: String,
        name: String,
    },
    /// A block only `wire` understands, as its start was written; deltas are [`Delta::Opaque`].
    Opaque {
        wire: crate::Wire,
        value: Value,
    },
}

/// More of an open part.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    Text(String),
    Refusal(String),
    Thinking(String),
    /// The signature of a thinking part: comes once, before its stop.
    Signature(Signature),
    /// A fragment of the arguments' JSON text.
    Arguments(String),
    /// A citation for the open text part, whole.
    Citation(Box<Citation>),
    Opaque(Value),
}
