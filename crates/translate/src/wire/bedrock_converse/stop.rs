//! The words for why an answer ended. The provider's own word always travels with the sorted reason.

use crate::ir::{Finish, FinishReason};

/// Sorts a `stopReason`. A word from a newer API counts as a normal end; the word itself is kept.
pub(super) fn reason(native: &str) -> FinishReason {
    match native {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
        _ => FinishReason::Stop,
    }
}

pub(super) fn finish(native: String, stop_sequence: Option<String>) -> Finish {
    Finish { reason: reason(&native), native, stop_sequence, details: None }
}

/// What the parts of an answer say about its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub tool_call: bool,
    pub refusal: bool,
}

/// The `stopReason` to write: the provider's own word when it is one of ours, else by reason. An answer
/// that says `stop` although it holds calls ends in `tool_use`, or clients would not run them.
pub(super) fn word(finish: Option<&Finish>, seen: Seen) -> &'static str {
    if let Some(native) = finish.and_then(|finish| known(&finish.native)) {
        // Nova ends so even where it calls.
        return if native == "end_turn" && seen.tool_call { "tool_use" } else { native };
    }
    if seen.refusal {
        return "content_filtered";
    }
    match finish {
        Some(Finish { reason: FinishReason::Length, .. }) => "max_tokens",
        Some(Finish { reason: FinishReason::ContentFilter, .. }) => "content_filtered",
        Some(Finish { reason: FinishReason::ToolCalls, .. }) => "tool_use",
        Some(Finish { reason: FinishReason::Error, .. }) => "malformed_model_output",
        _ if seen.tool_call => "tool_use",
        Some(Finish { stop_sequence: Some(_), .. }) => "stop_sequence",
        _ => "end_turn",
    }
}

/// The provider's word when none of this wire's says the same: it can only be told.
pub(super) fn untold(finish: &Finish) -> Option<&str> {
    const PLAIN: [&str; 16] = [
        "stop",
        "length",
        "tool_calls",
        "function_call",
        "content_filter",
        "eos",
        "eos_token",
        "STOP",
        "COMPLETE",
        "MAX_TOKENS",
        "STOP_SEQUENCE",
        "TOOL_CALL",
        "SAFETY",
        "completed",
        "tool_call",
        "refusal",
    ];
    let word = finish.native.as_str();
    (!word.is_empty() && !PLAIN.contains(&word) && known(word).is_none()).then_some(word)
}

/// The words of this wire; those it shares with others mean the same there.
fn known(native: &str) -> Option<&'static str> {
    const WORDS: [&str; 9] = [
        "end_turn",
        "tool_use",
        "max_tokens",
        "stop_sequence",
        "guardrail_intervened",
        "content_filtered",
        "malformed_model_output",
        "malformed_tool_use",
        "model_context_window_exceeded",
    ];
    WORDS.into_iter().find(|word| *word == native)
}
