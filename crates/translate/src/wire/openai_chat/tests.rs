//! Behaviour of the wire, by subject. Bodies are synthetic, after the vendors' reference pages.

mod failures;
mod losses;
mod requests;
mod responses;
mod robustness;
mod signatures;
mod streams;
mod translation;

use serde_json::Value;

use super::OpenAiChat;
use crate::frame::Frame;
use crate::ir::{Event, Request, Response};
use crate::loss::Losses;
use crate::provider::{
    Destination, ModelRules, Quirks, ReasoningField, SamplingRule, ThinkingStyle, UsageStyle,
};
use crate::wire::{Codec, Dialect, Echo};

pub(super) const PLAIN_RULES: ModelRules = ModelRules {
    max_output_tokens: 16_384,
    thinking: ThinkingStyle::None,
    xhigh_effort: true,
    sampling: SamplingRule::Free,
    structured_output: true,
    prefill: true,
    developer_role: true,
    openai_reasoning: false,
    takes_effort: None,
    lowest_effort: None,
    needs_reasoning_echo: false,
    always_thinks: false,
    input: None,
};

pub(super) const fn quirks(reasoning_echo: ReasoningField) -> Quirks {
    Quirks { fixes: &[], stream_usage: true, reasoning_echo, usage: UsageStyle::Wire }
}

/// Reads marks and structured reasoning: nothing of this wire is lost there.
pub(super) const OPENROUTER: Quirks = quirks(ReasoningField::Details);
pub(super) const OPENAI: Quirks = quirks(ReasoningField::None);

pub(super) fn to<'a>(quirks: &'a Quirks, rules: &'a ModelRules) -> Destination<'a> {
    Destination { quirks, rules, model: "m" }
}

pub(super) fn decode(body: &str) -> Request {
    OpenAiChat.decode_request(body.as_bytes()).expect(body)
}

pub(super) fn encode(request: &Request, to: &Destination<'_>) -> (Value, Losses) {
    let mut losses = Losses::default();
    let body = OpenAiChat.encode_request(request, to, &mut losses).expect("encodes");
    (serde_json::from_slice(&body).expect("JSON"), losses)
}

pub(super) fn decode_response(body: &str) -> Response {
    OpenAiChat.decode_response(body.as_bytes()).expect(body)
}

pub(super) fn encode_response(response: &Response) -> (Value, Losses) {
    let mut losses = Losses::default();
    let body = OpenAiChat.encode_response(response, &echo(), &mut losses);
    (serde_json::from_slice(&body).expect("JSON"), losses)
}

pub(super) fn echo() -> Echo {
    Echo { unique: "u1".into(), now: 1_700_000_000, model: String::new(), stream_usage: true, request: None }
}

/// The losses' paths.
pub(super) fn paths(losses: &Losses) -> Vec<&str> {
    losses.as_slice().iter().map(|loss| loss.path.as_str()).collect()
}

/// Events of a stream whose frames are given by their `data`; a leading `:` makes a comment.
pub(super) fn events(data: &[&str]) -> Vec<Event> {
    let mut decoder = OpenAiChat.stream_decoder();
    let mut out = Vec::new();
    for one in data {
        let data = if one.starts_with(':') { &b""[..] } else { one.as_bytes() };
        let frame = Frame { raw: one.as_bytes(), event: "", data };
        decoder.frame(&frame, &mut out).expect(one);
    }
    decoder.end(&mut out);
    out
}

/// The `data` of each frame an encoder wrote for these events.
pub(super) fn chunks(events: &[Event], echo: Echo) -> Vec<String> {
    let mut encoder = OpenAiChat.stream_encoder(echo);
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in events {
        encoder.event(event, &mut out, &mut losses);
    }
    let text = String::from_utf8(out).expect("UTF-8");
    text.split_terminator("\n\n")
        .filter(|frame| !frame.starts_with(':'))
        .map(|frame| frame.strip_prefix("data: ").expect("a data frame").to_owned())
        .collect()
}
