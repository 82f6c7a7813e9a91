//! What an answer says of its counts that is no good as an answer: the provider bills it all the same.
//!
//! The counts are read by the wire's own reader: the answer is given the content that it lacks, and everything that
//! counts stays as it came. Nothing of this is for callers.

use serde_json::{Map, Value, json};

use crate::Wire;
use crate::ir::Usage;

/// The counts in `answer`, a whole answer of `wire` with any content or none; `None` when it has none, or is no JSON.
#[must_use]
pub fn counts_in(wire: Wire, answer: &[u8]) -> Option<Usage> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(answer) else { return None };
    for (name, value) in content(wire)? {
        fields.insert(name, value);
    }
    fields.remove("error");
    let answer = serde_json::to_vec(&fields).ok()?;
    wire.codec().decode_response(&answer).ok()?.usage
}

/// The least that makes an answer one.
fn content(wire: Wire) -> Option<Map<String, Value>> {
    let least = match wire {
        Wire::OpenAiChat => json!({"choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": ""}}]}),
        Wire::OpenAiResponses => json!({"object": "response", "status": "completed", "output": []}),
        Wire::Anthropic => {
            json!({"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"})
        }
        Wire::Gemini => {
            json!({"candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": []}}]})
        }
        Wire::BedrockConverse => json!({"stopReason": "end_turn",
            "output": {"message": {"role": "assistant", "content": [{"text": ""}]}}}),
        Wire::Cohere => json!({"finish_reason": "COMPLETE", "message": {"role": "assistant", "content": []}}),
        _ => return None,
    };
    match least {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_tells_its_counts_without_content() {
        let plain = Usage { input_uncached: 11, output: 4, ..Usage::default() };
        for (wire, answer) in [
            (
                Wire::OpenAiChat,
                json!({"choices": null, "usage": {"prompt_tokens": 11, "completion_tokens": 4}}),
            ),
            (Wire::OpenAiResponses, json!({"output": 7, "usage": {"input_tokens": 11, "output_tokens": 4}})),
            (Wire::Anthropic, json!({"content": null, "usage": {"input_tokens": 11, "output_tokens": 4}})),
            (Wire::Gemini, json!({"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 4}})),
            (Wire::BedrockConverse, json!({"usage": {"inputTokens": 11, "outputTokens": 4}})),
            (Wire::Cohere, json!({"usage": {"billed_units": {"input_tokens": 11, "output_tokens": 4}}})),
        ] {
            let told = counts_in(wire, answer.to_string().as_bytes());
            assert_eq!(
                told.map(|usage| (usage.input_total(), usage.output)),
                Some((11, plain.output)),
                "{wire:?}"
            );
        }
    }

    #[test]
    fn what_says_nothing_counts_nothing() {
        for answer in ["", "<html>", "[1]", "{}", r#"{"usage":"#, r#"{"usage":null}"#] {
            for wire in [Wire::OpenAiChat, Wire::Anthropic, Wire::Gemini, Wire::Cohere] {
                let told = counts_in(wire, answer.as_bytes()).filter(|usage| usage.total() > 0);
                assert_eq!(told, None, "{wire:?} {answer}");
            }
        }
    }
}
