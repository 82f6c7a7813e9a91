//! What a relay learns must be what a translation learns.

use serde_json::{Value, json};

use crate::frame::Frame;
use crate::ir::{FinishReason, Usage};
use crate::wire::gemini::Gemini;
use crate::wire::{BadResponse, Codec, Dialect, FrameVerdict, Observation};

fn look(seen: &mut Observation, data: &str) -> FrameVerdict {
    Gemini.observe_frame(&Frame { raw: data.as_bytes(), event: "", data: data.as_bytes() }, seen)
}

#[test]
fn content_finish_and_counts_are_seen() {
    let mut seen = Observation::default();
    let first = json!({"candidates": [{"content": {"parts": [{"text": "ü", "thought": true}]}, "index": 0}],
        "modelVersion": "m", "usageMetadata": {"promptTokenCount": 4}});
    assert_eq!(look(&mut seen, &first.to_string()), FrameVerdict::Relay);
    assert!(seen.content && !seen.tool_call && seen.finish.is_none());
    assert_eq!((seen.output_chars, seen.model.as_deref()), (1, Some("m")));
    let end = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]},
        "finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a"]}}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}});
    assert_eq!(look(&mut seen, &end.to_string()), FrameVerdict::Relay);
    assert_eq!(seen.finish, Some(FinishReason::ToolCalls));
    let expected = Usage { input_uncached: 4, output: 5, reasoning: 3, web_searches: 1, ..Usage::default() };
    assert_eq!(seen.usage, Some(expected));
    assert!(!seen.done, "there is no terminator");
}

#[test]
fn a_finish_counts_when_every_candidate_has_one() {
    let mut seen = Observation::default();
    look(&mut seen, r#"{"candidates":[{"index":0,"finishReason":"STOP"},{"index":1}]}"#);
    assert_eq!(seen.finish, None);
    look(&mut seen, r#"{"candidates":[{"index":1,"finishReason":"MAX_TOKENS"}]}"#);
    assert_eq!(seen.finish, Some(FinishReason::Length));
}

#[test]
fn errors_and_noise_are_told_apart() {
    let mut seen = Observation::default();
    assert_eq!(look(&mut seen, "{\"x\":1}"), FrameVerdict::Invalid);
    assert_eq!(look(&mut seen, "[DONE]"), FrameVerdict::Invalid);
    assert_eq!(seen.skipped, 2);
    let error = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#;
    assert_eq!(look(&mut seen, error), FrameVerdict::Failure);
    assert_eq!(seen.failure.unwrap().status, 429);
}

#[test]
fn a_whole_answer_is_observed_as_it_is_decoded() {
    let bodies = [
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP",
            "groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
            "usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 4}, "modelVersion": "m"}),
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}),
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}]}),
    ];
    for body in bodies {
        let bytes = body.to_string().into_bytes();
        let (seen, read) =
            (Gemini.observe_response(&bytes).unwrap(), Gemini.decode_response(&bytes).unwrap());
        assert_eq!(seen.usage, read.usage, "{body}");
        let finish = read.choices[0].finish.as_ref().map(|finish| finish.reason);
        assert_eq!(seen.finish, finish, "{body}");
        assert!(seen.done);
    }
    let refused = Gemini.observe_response(&Value::Null.to_string().into_bytes());
    assert!(matches!(refused, Err(BadResponse::WrongShape(_))));
}
