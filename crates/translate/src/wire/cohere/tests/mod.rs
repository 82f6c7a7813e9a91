//! The wire's behaviour, seen from the codec. What goes across wires is in `tests/golden`.

mod properties;
mod requests;
mod responses;
mod sdk;
mod streams;

use serde_json::Value;

use super::Cohere;
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Event, Request};
use crate::loss::Losses;
use crate::provider::{self, Destination, ModelRules};
use crate::wire::{BadRequest, Codec, Dialect, Echo};

const REASONS: &str = "command-a-reasoning-08-2025";
const PLAIN: &str = "command-a-03-2025";

fn encode(request: &Request, model: &str) -> Result<(Vec<u8>, Losses), BadRequest> {
    let spec = provider::find("cohere").unwrap();
    let rules = ModelRules::of(spec.name, Wire::Cohere, model);
    let to = Destination { quirks: &spec.quirks, rules: &rules, model: &request.model };
    let mut losses = Losses::default();
    Cohere.encode_request(request, &to, &mut losses).map(|body| (body, losses))
}

fn decode(body: &Value) -> Result<Request, BadRequest> {
    Cohere.decode_request(body.to_string().as_bytes())
}

fn echo() -> Echo {
    Echo { unique: "u1".to_owned(), now: 1, model: "alias".to_owned(), stream_usage: true, request: None }
}

fn lost(losses: &Losses) -> Vec<&str> {
    losses.as_slice().iter().map(|loss| loss.path.as_str()).collect()
}

/// The frames of a stream written by hand: one JSON object per line.
fn decode_lines(lines: &str) -> Vec<Event> {
    let mut decoder = Cohere.stream_decoder();
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
    let mut encoder = Cohere.stream_encoder(echo());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in events {
        encoder.event(event, &mut out, &mut losses);
    }
    (String::from_utf8(out).unwrap(), losses)
}
