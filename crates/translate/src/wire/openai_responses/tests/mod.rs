//! Behaviour of the wire, by subject. Bodies are synthetic, after the vendor's reference pages.

mod failures;
mod observe;
mod properties;
mod requests;
mod responses;
mod sdk;
mod streams;

use std::sync::Arc;

use serde_json::{Value, json};

use super::OpenAiResponses;
use crate::frame::Frame;
use crate::ir::{Event, Finish, FinishReason, Request, Response};
use crate::loss::Losses;
use crate::provider::{
    Destination, ModelRules, Quirks, ReasoningField, SamplingRule, ThinkingStyle, UsageStyle,
};
use crate::wire::{Codec, Dialect, Echo};

pub(super) const RULES: ModelRules = ModelRules {
    max_output_tokens: 16_384,
    thinking: ThinkingStyle::None,
    xhigh_effort: true,
    sampling: SamplingRule::Free,
    structured_output: true,
    prefill: true,
    developer_role: true,
    openai_reasoning: true,
    takes_effort: Some(true),
    lowest_effort: None,
    needs_reasoning_echo: false,
    always_thinks: false,
    input: None,
};
/// A model that does not reason.
pub(super) const CHAT_RULES: ModelRules =
    ModelRules { openai_reasoning: false, takes_effort: Some(false), ..RULES };

pub(super) const OPENAI: Quirks = quirks(ReasoningField::None);
/// Takes reasoning that is not sealed.
pub(super) const OPEN_WEIGHTS: Quirks = quirks(ReasoningField::ReasoningContent);

const fn quirks(reasoning_echo: ReasoningField) -> Quirks {
    Quirks { fixes: &[], stream_usage: true, reasoning_echo, usage: UsageStyle::Wire }
}

pub(super) fn decode(body: &Value) -> Request {
    OpenAiResponses.decode_request(body.to_string().as_bytes()).expect("a request")
}

/// The path and the message of the refusal.
pub(super) fn refused(body: &Value) -> (String, String) {
    let refusal = OpenAiResponses.decode_request(body.to_string().as_bytes()).expect_err("a refusal");
    (refusal.path, refusal.message)
}

pub(super) fn encode_for(request: &Request, quirks: &Quirks, rules: &ModelRules) -> (Value, Losses) {
    let mut losses = Losses::default();
    let to = Destination { quirks, rules, model: "m" };
    let body = OpenAiResponses.encode_request(request, &to, &mut losses).expect("encodes");
    (serde_json::from_slice(&body).expect("JSON"), losses)
}

pub(super) fn encode(request: &Request) -> (Value, Losses) {
    encode_for(request, &OPENAI, &RULES)
}

pub(super) fn decode_response(body: &Value) -> Response {
    OpenAiResponses.decode_response(body.to_string().as_bytes()).expect("an answer")
}

pub(super) fn encode_response(response: &Response, echo: &Echo) -> (Value, Losses) {
    let mut losses = Losses::default();
    let body = OpenAiResponses.encode_response(response, echo, &mut losses);
    (serde_json::from_slice(&body).expect("JSON"), losses)
}

pub(super) fn echo() -> Echo {
    let request = json!({"tools": [{"type": "custom", "name": "patch"}], "temperature": 0.5});
    let request = super::echo_of(request.to_string().as_bytes());
    Echo {
        unique: "u1".into(),
        now: 7,
        model: "alias".into(),
        stream_usage: true,
        request: Some(Arc::new(request)),
    }
}

/// An answer of one provider around its output.
pub(super) fn answer(output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 5, "status": "completed", "error": null,
        "incomplete_details": null, "model": "m", "output": output, "tools": [{"type": "web_search"}],
        "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 14}})
}

/// The losses' paths.
pub(super) fn paths(losses: &Losses) -> Vec<&str> {
    losses.as_slice().iter().map(|loss| loss.path.as_str()).collect()
}

/// What the decoder makes of these events, each given by its data.
pub(super) fn events(data: &[Value]) -> Vec<Event> {
    let mut decoder = OpenAiResponses.stream_decoder();
    let mut out = Vec::new();
    for one in data {
        let text = one.to_string();
        let frame = Frame { raw: text.as_bytes(), event: "", data: text.as_bytes() };
        decoder.frame(&frame, &mut out).unwrap_or_else(|bad| panic!("{one}: {bad}"));
    }
    decoder.end(&mut out);
    out
}

/// The stream the encoder makes of these events.
pub(super) fn written(events: &[Event], echo: Echo) -> (String, Losses) {
    let mut encoder = OpenAiResponses.stream_encoder(echo);
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in events {
        encoder.event(event, &mut out, &mut losses);
    }
    (String::from_utf8(out).expect("UTF-8"), losses)
}

pub(super) fn finish(reason: FinishReason, native: &str) -> Event {
    let finish = Finish { reason, native: native.to_owned(), stop_sequence: None, details: None };
    Event::Finish { choice: 0, finish }
}
