//! The words for why an answer ended. The provider's own word always travels with the sorted reason.

use serde_json::Value;

use crate::ir::{Finish, FinishReason};

/// Sorts a `stop_reason`. A word from a newer API counts as a normal end; the word itself is kept.
pub(super) fn reason(native: &str) -> FinishReason {
    match native {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

pub(super) fn finish(native: String, stop_sequence: Option<String>, details: Option<Value>) -> Finish {
    Finish { reason: reason(&native), native, stop_sequence, details }
}

/// What the parts of an answer say about its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub tool_call: bool,
    pub refusal: bool,
}

/// The `stop_reason` to write: the provider's own word when it is one of ours, else by reason. An answer
/// that says `stop` although it holds calls ends in `tool_use`, or clients would not run them.
pub(super) fn word(finish: Option<&Finish>, seen: Seen) -> &'static str {
    if let Some(native) = finish.and_then(|finish| known(&finish.native)) {
        // Nova ends so even where it calls.
        return if native == "end_turn" && seen.tool_call { "tool_use" } else { native };
    }
    if seen.refusal {
        return "refusal";
    }
    match finish {
        Some(Finish { reason: FinishReason::Length, .. }) => "max_tokens",
        Some(Finish { reason: FinishReason::ContentFilter, .. }) => "refusal",
        Some(Finish { reason: FinishReason::ToolCalls, .. }) => "tool_use",
        _ if seen.tool_call => "tool_use",
        Some(Finish { stop_sequence: Some(_), .. }) => "stop_sequence",
        _ => "end_turn",
    }
}

/// The provider's word when none of this wire's says the same: it can only be told.
pub(super) fn untold(finish: &Finish) -> Option<&str> {
    const PLAIN: [&str; 14] = [
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
        "completed",
        "tool_call",
        "max_output_tokens",
        "TOOL_CALL",
    ];
    let word = finish.native.as_str();
    (!word.is_empty() && !PLAIN.contains(&word) && known(word).is_none()).then_some(word)
}

/// The words of this wire; no other wire shares one of them.
fn known(native: &str) -> Option<&'static str> {
    const WORDS: [&str; 8] = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "compaction",
    ];
    WORDS.into_iter().find(|word| *word == native)
}
