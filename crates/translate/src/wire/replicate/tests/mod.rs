//! The wire's behaviour, seen from the codec. What goes across wires is in `tests/golden`.

mod answers;
mod properties;
mod requests;
mod streams;

use serde_json::{Value, json};

use super::Replicate;
use crate::Wire;
use crate::ir::Request;
use crate::loss::Losses;
use crate::provider::{self, Destination, ModelRules};
use crate::wire::{BadRequest, Codec};

const LLAMA: &str = "meta/meta-llama-3-70b-instruct";
const SEES: &str = "openai/gpt-4.1-mini";
const REASONS: &str = "openai/gpt-5-mini";
const BUDGETS: &str = "anthropic/claude-4-sonnet";

/// A caller's request in the OpenAI dialect.
fn asked(body: &Value) -> Request {
    Wire::OpenAiChat.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap()
}

fn encode(body: &Value, model: &str) -> Result<(Value, Losses), BadRequest> {
    let spec = provider::find("replicate").unwrap();
    let rules = ModelRules::of(spec.name, Wire::Replicate, model);
    let to = Destination { quirks: &spec.quirks, rules: &rules, model };
    let mut losses = Losses::default();
    let body = Replicate.encode_request(&asked(body), &to, &mut losses)?;
    Ok((serde_json::from_slice(&body).unwrap(), losses))
}

/// What becomes of a request that must be taken.
fn sent(body: &Value, model: &str) -> (Value, Vec<String>) {
    let (body, losses) = encode(body, model).unwrap();
    (body, losses.as_slice().iter().map(|loss| loss.path.clone()).collect())
}

fn user(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]})
}
