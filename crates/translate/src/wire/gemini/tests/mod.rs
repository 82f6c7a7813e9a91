//! The wire's behaviour, seen from the codec.

mod failures;
mod observing;
mod properties;
mod request_decode;
mod request_encode;
mod responses;
mod round_trip;
mod sdk;
mod streams;

use serde_json::Value;

use super::Gemini;
use crate::frame::Frame;
use crate::ir::{Event, Message, Part, Request, Role, Thinking, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::provider::{Destination, ModelRules, Quirks, ReasoningField, UsageStyle};
use crate::wire::{BadRequest, Codec, Dialect, Echo, Wire};

const QUIRKS: Quirks =
    Quirks { fixes: &[], stream_usage: true, reasoning_echo: ReasoningField::None, usage: UsageStyle::Wire };

/// A model of the second generation, and one of the third.
const SECOND: &str = "gemini-2.5-flash";
const THIRD: &str = "gemini-3-flash-preview";

fn encode_bytes(request: &Request, model: &str) -> Result<(Vec<u8>, Losses), BadRequest> {
    let mut losses = Losses::default();
    let rules = ModelRules::of("gemini", Wire::Gemini, model);
    let to = Destination { quirks: &QUIRKS, rules: &rules, model };
    let bytes = Gemini.encode_request(request, &to, &mut losses)?;
    Ok((bytes, losses))
}

fn encode(request: &Request, model: &str) -> (Value, Losses) {
    let (bytes, losses) = encode_bytes(request, model).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), losses)
}

fn decode(body: Value) -> Request {
    Gemini.decode_request(body.to_string().as_bytes()).unwrap()
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

fn thinking(text: &str, by: Option<(Wire, &str)>) -> Part {
    let signature = by.map(|(by, text)| crate::ir::Signature::of(by, text));
    Part::Thinking(Thinking { text: text.to_owned(), signature, extra: Default::default() })
}

/// The chunks of a provider's stream, one JSON object each.
fn decode_chunks(chunks: &[Value]) -> Vec<Event> {
    let mut decoder = Gemini.stream_decoder();
    let mut out = Vec::new();
    for chunk in chunks {
        let data = chunk.to_string();
        let frame = Frame { raw: data.as_bytes(), event: "", data: data.as_bytes() };
        decoder.frame(&frame, &mut out).unwrap();
    }
    decoder.end(&mut out);
    out
}

/// Writes events for a caller.
fn encode_events(events: &[Event]) -> (String, Losses) {
    let mut encoder = Gemini.stream_encoder(echo());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in events {
        encoder.event(event, &mut out, &mut losses);
    }
    (String::from_utf8(out).unwrap(), losses)
}
