//! An answer that is kept, and given again: as a whole or as a stream, in any dialect.
//!
//! Kept is what the pivot holds of it, not the bytes that came: so any dialect may hit what another stored. It is taken of
//! a whole answer or put together from a stream ([`Gathering`]), written as JSON of its own shape ([`Stored::to_bytes`])
//! and replayed through the codecs like an answer that just came ([`replay`]). What is no whole, good answer is not
//! kept and says why ([`Unkept`]). Must not know for how long, for whom and where.

mod gather;
mod live;
mod opaque;
mod replay;
mod shape;

#[cfg(test)]
mod tests;

pub use gather::{Complete, Gathering, Reading, complete_of_body, complete_of_stream, of_body, of_stream};
pub use live::Live;
pub use replay::{Grain, Replay, Steps};

use crate::ir::{Choice, Extra, Finish, FinishReason, Part, Response};
use crate::loss::{Loss, Losses};
use crate::wire::{Dialect, Echo};
use opaque::Streamed;

/// Words of Anthropic's for an answer that stopped to be gone on with: half of one.
const PAUSED: [&str; 2] = ["pause_turn", "compaction"];

/// Words for a normal end, on all wires. Another may mean that half of the answer is missing.
const ENDS: [&str; 15] = [
    "",
    "COMPLETE",
    "STOP",
    "STOP_SEQUENCE",
    "TOOL_CALL",
    "completed",
    "end_turn",
    "eos",
    "eos_token",
    "function_call",
    "stop",
    "stop_sequence",
    "tool_call",
    "tool_calls",
    "tool_use",
];

/// A kept answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The answer. Whoever gives it again may change its id and time, and the model's name.
    pub response: Response,
    /// What of the original did not fit the pivot: told again with each replay.
    losses: Vec<Loss>,
    /// How parts that one wire alone knows came in the stream.
    streamed: Vec<Streamed>,
}

/// Why an answer is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    #[error("the provider failed: {0}")]
    Failed(String),
    /// Broken off, cut short, left by the caller; or a job in the background that is not done.
    #[error("the answer has no end")]
    Unfinished,
    #[error("the answer was cut by a content filter")]
    Filtered,
    #[error("the model refused")]
    Refused,
    #[error("the provider paused its answer")]
    Paused,
    #[error("the answer ended for a reason nobody here knows: {0}")]
    UnknownEnd(String),
    #[error("the arguments of a call are no JSON object")]
    BrokenCall,
    #[error("the answer says nothing")]
    Empty,
    #[error("the answer is larger than {most} bytes")]
    TooLarge { most: usize },
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// No answer of a model holds it, so no encoder knows how to write it.
    #[error("the answer holds a part that answers have not")]
    StrangePart,
}

impl Unkept {
    /// A word for metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Unfinished => "unfinished",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Paused => "paused",
            Self::UnknownEnd(_) => "unknown_end",
            Self::BrokenCall => "broken_call",
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::Unreadable(_) => "unreadable",
            Self::StrangePart => "strange_part",
        }
    }
}

impl Stored {
    /// Keeps a whole answer.
    ///
    /// # Errors
    /// [`Unkept`] with the first reason not to.
    pub fn of(response: Response) -> Result<Self, Unkept> {
        Self::checked(response, Vec::new(), Vec::new())
    }

    fn checked(response: Response, losses: Vec<Loss>, streamed: Vec<Streamed>) -> Result<Self, Unkept> {
        Self::check(&response)?;
        Ok(Self { response, losses, streamed })
    }

    fn check(response: &Response) -> Result<(), Unkept> {
        if let Some(failure) = response.failure() {
            return Err(Unkept::Failed(failure.message));
        }
        if response.choices.is_empty() {
            return Err(Unkept::Empty);
        }
        response.choices.iter().try_for_each(keepable)
    }

    /// Takes off what names this one answer: whoever gets it again gets an id and a time of its own.
    pub fn make_nameless(&mut self) {
        self.response.id.clear();
        self.response.created = None;
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let parts = self.response.choices.iter().flat_map(|choice| &choice.parts);
        let streamed = self.streamed.iter().flat_map(|one| one.deltas.iter().chain([&one.start]));
        let losses = self.losses.iter().map(|loss| loss.path.len() + loss.reason.len() + size_of::<Loss>());
        let logprobs = self.response.choices.iter().filter_map(|choice| choice.logprobs.as_ref());
        size_of::<Self>()
            + parts.map(|part| size_of::<Part>() + gather::size(part)).sum::<usize>()
            + streamed.chain(logprobs).map(|value| value.to_string().len() * 2).sum::<usize>()
            + losses.sum::<usize>()
    }

    /// Bytes for a store. [`Self::from_bytes`] reads them, in this version of the gateway and in later ones.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        shape::write(self)
    }

    /// Reads what [`Self::to_bytes`] wrote. `None`: another version wrote it, or something else did; it is
    /// as if nothing were stored.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Stored { response, losses, streamed } = shape::read(bytes)?;
        // Checked once more: a store is not the gateway's own memory.
        Self::checked(response, losses, streamed).ok()
    }

    /// The answer as a whole, for a caller of `dialect`. What that dialect cannot hold is reported in `losses`.
    #[must_use]
    pub fn whole(&self, dialect: &dyn Dialect, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
        self.losses.iter().for_each(|loss| losses.report(&loss.path, &loss.reason));
        dialect.encode_response(&self.response, echo, losses)
    }
}

fn keepable(choice: &Choice) -> Result<(), Unkept> {
    ended_well(choice.finish.as_ref().ok_or(Unkept::Unfinished)?)?;
    for part in &choice.parts {
        match part {
            Part::Refusal(_) => return Err(Unkept::Refused),
            Part::ToolResult(_) => return Err(Unkept::StrangePart),
            Part::ToolCall(call) if !is_sound(&call.arguments) => return Err(Unkept::BrokenCall),
            _ => {}
        }
    }
    match choice.parts.iter().any(says_something) {
        true => Ok(()),
        false => Err(Unkept::Empty),
    }
}

fn ended_well(finish: &Finish) -> Result<(), Unkept> {
    let native = finish.native.as_str();
    match finish.reason {
        FinishReason::ContentFilter => Err(Unkept::Filtered),
        FinishReason::Error => Err(Unkept::Failed(finish.native.clone())),
        _ if PAUSED.contains(&native) => Err(Unkept::Paused),
        // The same limit cuts it again.
        FinishReason::Length => Ok(()),
        FinishReason::Stop | FinishReason::ToolCalls if ENDS.contains(&native) => Ok(()),
        FinishReason::Stop | FinishReason::ToolCalls => Err(Unkept::UnknownEnd(finish.native.clone())),
    }
}

fn is_sound(arguments: &str) -> bool {
    let text = arguments.trim();
    text.is_empty() || (text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// Reasoning alone is no answer, nor is white space.
fn says_something(part: &Part) -> bool {
    match part {
        Part::Text(text) => !text.text.trim().is_empty(),
        Part::Thinking(_) | Part::RedactedThinking { .. } | Part::Refusal(_) | Part::ToolResult(_) => false,
        Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::ToolCall(_) | Part::Opaque { .. } => {
            true
        }
    }
}

/// A choice of which nothing is known yet.
fn empty_choice() -> Choice {
    Choice { parts: Vec::new(), finish: None, logprobs: None, extra: Extra::default() }
}
