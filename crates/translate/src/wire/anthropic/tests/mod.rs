//! The wire's behaviour, seen from the codec.

mod failures;
mod lent;
mod losses;
mod properties;
mod request_decode;
mod request_encode;
mod responses;
mod round_trip;
mod sdk;
mod signatures;
mod streams;

use serde_json::Value;

use super::Anthropic;
use crate::frame::Frame;
use crate::ir::{Event, Message, Part, Request, Role, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::provider::{
    Destination, ModelRules, Quirks, ReasoningField, SamplingRule, ThinkingStyle, UsageStyle,
};
use crate::wire::{BadRequest, Codec, Dialect, Echo};

const QUIRKS: Quirks =
    Quirks { fixes: &[], stream_usage: true, reasoning_echo: ReasoningField::None, usage: UsageStyle::Wire };

/// A model that takes everything: losses in its tests are never the model's fault.
const FREE: ModelRules = ModelRules {
    max_output_tokens: 64_000,
    thinking: ThinkingStyle::Budget,
    xhigh_effort: true,
    sampling: SamplingRule::Free,
    structured_output: true,
    prefill: true,
    developer_role: false,
    openai_reasoning: false,
    takes_effort: None,
    lowest_effort: None,
    needs_reasoning_echo: false,
    always_thinks: false,
    input: None,
};

const ADAPTIVE: ModelRules = ModelRules { thinking: ThinkingStyle::Adaptive, ..FREE };

fn encode(request: &Request, rules: &ModelRules) -> Result<(Value, Losses), BadRequest> {
    let (bytes, losses) = encode_bytes(request, rules)?;
    Ok((serde_json::from_slice(&bytes).unwrap(), losses))
}

fn encode_bytes(request: &Request, rules: &ModelRules) -> Result<(Vec<u8>, Losses), BadRequest> {
    let mut losses = Losses::default();
    let to = Destination { quirks: &QUIRKS, rules, model: &request.model };
    let bytes = Anthropic.encode_request(request, &to, &mut losses)?;
    Ok((bytes, losses))
}

fn lost(losses: &Losses) -> Vec<&str> {
    losses.as_slice().iter().map(|loss| loss.path.as_str()).collect()
}

fn echo() -> Echo {
    Echo { unique: "u1".to_owned(), now: 1, model: "alias".to_owned(), stream_usage: true, request: None }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extra: Default::default() }
}

fn user(text: &str) -> Message {
    message(Role::User, vec![Part::text(text)])
}

fn ask(messages: Vec<Message>) -> Request {
    Request { model: "m".to_owned(), messages, max_tokens: Some(4096), ..Request::default() }
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        cache: None,
        extra: Default::default(),
    })
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult(ToolResult {
        call_id: id.to_owned(),
        parts,
        is_error: None,
        cache: None,
        extra: Default::default(),
    })
}

/// The frames of a stream written by hand: one JSON object per line.
fn decode_lines(lines: &str) -> Vec<Event> {
    let mut decoder = Anthropic.stream_decoder();
    let mut out = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let frame = Frame { raw: line.as_bytes(), event: "", data: line.as_bytes() };
        decoder.frame(&frame, &mut out).unwrap();
    }
    decoder.end(&mut out);
    out
}

/// Writes events for a caller.
fn encode_events(events: &[Event]) -> (String, Losses) {
    let mut encoder = Anthropic.stream_encoder(echo());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in events {
        encoder.event(event, &mut out, &mut losses);
    }
    (String::from_utf8(out).unwrap(), losses)
}
