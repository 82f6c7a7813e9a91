//! How an answer was served decides its price: each wire's whole answers and streams, read and relayed, tell it
//! the same.

use serde_json::{Value, json};

use super::*;
use crate::frame::Frame;
use crate::ir::{Served, ServiceTier};

const FLEX: Served = Served { tier: ServiceTier::Flex, in_us: false, fast: false };

/// A wire, a whole answer of it, the frame of a stream with the counts, and how both were served.
fn cases() -> Vec<(Wire, Value, (&'static str, Value), Served)> {
    let chat_counts = json!({"prompt_tokens": 5, "completion_tokens": 2});
    let response = json!({"id": "r", "object": "response", "status": "completed", "model": "m", "service_tier": "flex",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": {"input_tokens": 5, "output_tokens": 2}});
    let fast = Served { tier: ServiceTier::Priority, in_us: true, fast: true };
    let claude = json!({"input_tokens": 5, "output_tokens": 2, "service_tier": "priority", "inference_geo": "us",
        "speed": "fast"});
    let gemini = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "trafficType": "ON_DEMAND_FLEX"}});
    vec![
        (
            Wire::OpenAiChat,
            json!({"id": "c", "object": "chat.completion", "model": "m", "service_tier": "flex", "usage": chat_counts,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}),
            (
                "",
                json!({"id": "c", "object": "chat.completion.chunk", "choices": [], "service_tier": "flex", "usage": chat_counts}),
            ),
            FLEX,
        ),
        (
            Wire::OpenAiResponses,
            response.clone(),
            ("response.completed", json!({"type": "response.completed", "response": response})),
            FLEX,
        ),
        (
            Wire::Anthropic,
            json!({"type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
                "stop_reason": "end_turn", "usage": claude}),
            (
                "message_start",
                json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
                "content": [], "model": "m", "usage": claude}}),
            ),
            fast,
        ),
        (Wire::Gemini, gemini.clone(), ("", gemini), FLEX),
        (
            Wire::BedrockConverse,
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 5, "outputTokens": 2}, "serviceTier": {"type": "flex"}}),
            (
                "metadata",
                json!({"usage": {"inputTokens": 5, "outputTokens": 2}, "serviceTier": {"type": "flex"}}),
            ),
            FLEX,
        ),
    ]
}

#[test]
fn how_it_was_served_is_told_by_answers_read_and_relayed() {
    for (wire, whole, (event, frame), served) in cases() {
        let body = whole.to_string();
        let read = wire.codec().decode_response(body.as_bytes()).unwrap();
        assert_eq!(read.usage.unwrap().served, served, "{wire:?} read");
        let seen = wire.dialect().unwrap().observe_response(body.as_bytes()).unwrap();
        assert_eq!(seen.usage.unwrap().served, served, "{wire:?} relayed");
        let data = frame.to_string();
        let frame = Frame { raw: b"", event, data: data.as_bytes() };
        let mut events = Vec::new();
        wire.codec().stream_decoder().frame(&frame, &mut events).unwrap();
        let counted = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(usage.served),
            _ => None,
        });
        assert_eq!(counted, Some(served), "{wire:?} streamed");
        let mut seen = Observation::default();
        wire.dialect().unwrap().observe_frame(&frame, &mut seen);
        assert_eq!(seen.usage.unwrap().served, served, "{wire:?} stream relayed");
    }
}

#[test]
fn an_ordinary_answer_says_nothing_of_how_it_was_served() {
    for (wire, whole, _, _) in cases() {
        let mut whole = whole;
        for name in ["service_tier", "serviceTier"] {
            whole.as_object_mut().unwrap().shift_remove(name);
        }
        for name in ["service_tier", "inference_geo", "speed", "trafficType"] {
            for counts in ["usage", "usageMetadata"] {
                whole.get_mut(counts).and_then(Value::as_object_mut).map(|counts| counts.shift_remove(name));
            }
        }
        let seen = wire.dialect().unwrap().observe_response(whole.to_string().as_bytes()).unwrap();
        assert_eq!(seen.usage.unwrap().served, Served::default(), "{wire:?}");
        assert!(!serde_json::to_string(&seen.usage).unwrap().contains("served"), "{wire:?}");
    }
}
