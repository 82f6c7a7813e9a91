//! Bodies as the vendors document them, and as their SDKs send them.

mod answers;
mod properties;
mod requests;

use serde_json::Value;

use super::{Format, Request, decode_request, encode_request};
use crate::loss::Losses;
use crate::wire::{BadRequest, Echo};

fn decode(format: Format, body: &Value) -> Result<Request, BadRequest> {
    decode_request(format, body.to_string().as_bytes())
}

/// The body for the provider, and what was lost.
fn written(format: Format, request: &Request) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = encode_request(format, request, "target", &mut losses).unwrap();
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

fn refusal(format: Format, request: &Request) -> BadRequest {
    encode_request(format, request, "target", &mut Losses::default()).unwrap_err()
}

fn echo() -> Echo {
    Echo { unique: "u1".into(), now: 1, model: "alias".into(), stream_usage: false, request: None }
}
