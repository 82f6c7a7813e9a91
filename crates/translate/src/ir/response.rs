//! A whole chat answer in the pivot.

use serde_json::Value;

use super::{Extra, Failure, FailureKind, Part, Usage};

/// What the model answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// The provider's id of the answer; may be empty.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// Unix seconds, where the wire has them.
    pub created: Option<u64>,
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
    pub extra: Extra,
}

impl Response {
    /// What went wrong, when every choice says that the provider failed inside of it. No dialect has a word that
    /// its callers would take for that.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let ends = self.choices.iter().map(|choice| choice.finish.as_ref().and_then(Finish::failure));
        ends.collect::<Option<Vec<_>>>()?.into_iter().next()
    }
}

impl Finish {
    /// What went wrong, when the provider failed inside the answer.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let word = if self.native.is_empty() { String::new() } else { format!(": {}", self.native) };
        (self.reason == FinishReason::Error).then(|| Failure {
            status: 502,
            kind: FailureKind::Upstream,
            message: format!("the provider broke its answer off{word}"),
            native_type: None,
            code: None,
            param: None,
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Assistant parts: `Text`, `Image`, `Thinking`, `RedactedThinking`, `ToolCall`, `Refusal`, `Opaque`.
    pub parts: Vec<Part>,
    pub finish: Option<Finish>,
    /// OpenAI's `logprobs` object of the choice, whole.
    pub logprobs: Option<Value>,
    pub extra: Extra,
}

/// Why the answer ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    pub reason: FinishReason,
    /// The provider's own word, kept (`pause_turn`, `model_context_window_exceeded`, …).
    pub native: String,
    /// The stop sequence that was hit, where the wire tells.
    pub stop_sequence: Option<String>,
    /// Details of a refusal or stop (Anthropic `stop_details`), whole.
    pub details: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    /// The provider says that it failed inside the answer.
    Error,
}

impl FinishReason {
    /// The word for it, as OpenAI has it where it has one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
        }
    }
}
