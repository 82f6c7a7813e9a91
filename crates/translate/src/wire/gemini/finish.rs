//! The words for why an answer ended. The list is the API's `FinishReason` and `BlockReason`; Vertex has a
//! few more of them.

use serde_json::{Value, json};

use crate::ir::{Finish, FinishReason};

/// Sorts a `finishReason`. The API says `STOP` for calls as well: those are told by what was said. A word
/// from a newer API counts as a normal end; the word itself is kept.
pub(super) fn reason(native: &str, calls: bool) -> FinishReason {
    match native {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => FinishReason::Error,
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// Why a candidate ended, with the provider's explanation where it gave one.
pub(super) fn finish(native: &str, message: Option<String>, calls: bool) -> Finish {
    let reason = reason(native, calls);
    let refused = message.filter(|text| reason == FinishReason::ContentFilter && !text.is_empty());
    let details = refused.map(|text| json!({"type": "refusal", "category": null, "explanation": text}));
    Finish { reason, native: native.to_owned(), stop_sequence: None, details }
}

/// The prompt was refused: there is no candidate at all.
pub(super) fn blocked(feedback: &Value) -> Option<Finish> {
    let native = feedback.get("blockReason")?.as_str()?;
    let message = feedback.get("blockReasonMessage").and_then(Value::as_str);
    let message = message.unwrap_or("the prompt was blocked");
    let details = json!({"type": "refusal", "category": null, "explanation": message});
    Some(Finish {
        reason: FinishReason::ContentFilter,
        native: native.to_owned(),
        stop_sequence: None,
        details: Some(details),
    })
}

/// The `finishReason` to write, and a `finishMessage` for what it does not tell.
pub(super) fn words(finish: &Finish) -> (&str, Option<String>) {
    let explanation = finish.details.as_ref().and_then(|details| details.get("explanation")?.as_str());
    let native = finish.native.as_str();
    if is_own(native) {
        return (native, explanation.map(str::to_owned));
    }
    let word = match finish.reason {
        FinishReason::Stop | FinishReason::ToolCalls => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
        FinishReason::Error => "OTHER",
    };
    let untold = (!native.is_empty() && !PLAIN.contains(&native)).then_some(native);
    let message = match (untold, explanation) {
        (Some(native), Some(text)) => Some(format!("{native}: {text}")),
        (None, Some(text)) => Some(text.to_owned()),
        (Some(native), None) => Some(native.to_owned()),
        (None, None) => None,
    };
    (word, message)
}

/// The same where a call may have been left out (`cut`): then the answer did not end well.
pub(super) fn words_of(finish: &Finish, cut: bool) -> (&str, Option<String>) {
    let well = matches!(finish.reason, FinishReason::Stop | FinishReason::ToolCalls);
    match words(finish) {
        (_, message) if cut && well => ("MALFORMED_FUNCTION_CALL", message),
        words => words,
    }
}

/// Why the word does not say what happened; `None` when it does.
pub(super) fn untold(finish: &Finish) -> Option<&'static str> {
    let failed = finish.reason == FinishReason::Error && !is_own(&finish.native);
    failed.then_some("a failure inside an answer has no word on gemini: sent as OTHER")
}

/// Words of other wires that say no more than the sorted reason does.
const PLAIN: [&str; 17] = [
    "stop",
    "end_turn",
    "stop_sequence",
    "eos",
    "eos_token",
    "COMPLETE",
    "completed",
    "length",
    "max_tokens",
    "model_length",
    "max_output_tokens",
    "tool_calls",
    "tool_use",
    "tool_call",
    "function_call",
    "TOOL_CALL",
    "content_filter",
];

fn is_own(native: &str) -> bool {
    const OWN: [&str; 19] = [
        "STOP",
        "MAX_TOKENS",
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MALFORMED_FUNCTION_CALL",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_OTHER",
        "NO_IMAGE",
        "IMAGE_RECITATION",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    ];
    OWN.contains(&native)
}
