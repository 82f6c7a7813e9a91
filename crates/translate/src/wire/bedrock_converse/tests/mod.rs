//! The wire's behaviour, seen from the codec.

mod failures;
mod pipes;
mod properties;
mod requests;
mod responses;
mod sdk;
mod streams;

use serde_json::Value;

use super::BedrockConverse;
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Event, Message, Part, Request, Role, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::provider::{Destination, ModelRules, Quirks, ReasoningField, UsageStyle};
use crate::wire::{BadRequest, Codec, Dialect, Echo};

const QUIRKS: Quirks =
    Quirks { fixes: &[], stream_usage: true, reasoning_echo: ReasoningField::None, usage: UsageStyle::Wire };

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NEWEST: &str = "global.anthropic.claude-opus-4-7";
const NOVA: &str = "us.amazon.nova-pro-v1:0";
const NOVA_2: &str = "global.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "us.meta.llama4-scout-17b-instruct-v1:0";
const MISTRAL: &str = "mistral.mistral-large-2407-v1:0";

fn encode(request: &Request, model: &str) -> Result<(Value, Losses), BadRequest> {
    let mut losses = Losses::default();
    let rules = ModelRules::of("bedrock", Wire::BedrockConverse, model);
    let to = Destination { quirks: &QUIRKS, rules: &rules, model };
    let bytes = BedrockConverse.encode_request(request, &to, &mut losses)?;
    Ok((serde_json::from_slice(&bytes).unwrap(), losses))
}

fn decode(body: &Value) -> Request {
    BedrockConverse.decode_request(body.to_string().as_bytes()).unwrap()
}

fn refusal(body: &Value) -> BadRequest {
    BedrockConverse.decode_request(body.to_string().as_bytes()).unwrap_err()
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
    Request { messages, ..Request::default() }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
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

/// The events of a stream written by hand: name and payload.
fn decode_stream(frames: &[(&str, Value)]) -> Vec<Event> {
    let mut decoder = BedrockConverse.stream_decoder();
    let mut out = Vec::new();
    for (event, data) in frames {
        let data = data.to_string();
        decoder.frame(&Frame { raw: b"", event, data: data.as_bytes() }, &mut out).unwrap();
    }
    decoder.end(&mut out);
    out
}

/// Writes events for a caller.
fn encode_events(events: &[Event]) -> (Vec<u8>, Losses) {
    let mut encoder = BedrockConverse.stream_encoder(echo());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in events {
        encoder.event(event, &mut out, &mut losses);
    }
    (out, losses)
}
