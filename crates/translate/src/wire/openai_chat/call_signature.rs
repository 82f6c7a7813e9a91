//! Gemini's signature of a tool call, as Google's endpoint for this wire has it: on the call, in
//! `extra_content.google.thought_signature`. In the pivot it is the signature of the reasoning directly before
//! the call. Knows nothing of `reasoning_details`, where the same signature may stand once more.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::Wire;
use crate::ir::{Part, Signature, Thinking, ToolCall};
use crate::wire::tree::Object;

const CONTENT: &str = "extra_content";
const MAKER: &str = "google";
const SIGNATURE: &str = "thought_signature";

/// Takes the signature out of a call; what else stands in `extra_content` stays there.
pub(super) fn take(call: &mut Fields<'_>) -> Option<Signature> {
    let held = call.peek(CONTENT).is_some_and(Value::is_object);
    let Some(Value::Object(mut content)) = held.then(|| call.take(CONTENT)).flatten() else { return None };
    let signature = take_from(&mut content);
    call.keep_nested(CONTENT, content);
    signature
}

/// The same out of the member's value.
pub(super) fn take_from(content: &mut Map<String, Value>) -> Option<Signature> {
    let maker = content.get_mut(MAKER)?.as_object_mut()?;
    let text = match maker.get(SIGNATURE)? {
        Value::String(text) if !text.is_empty() => text.clone(),
        _ => return None,
    };
    maker.shift_remove(SIGNATURE);
    if maker.is_empty() {
        content.shift_remove(MAKER);
    }
    Some(Signature::read(Wire::Gemini, text))
}

/// Appends a call with its signature. Reasoning that `parts` holds already under the same signature, or under
/// the id of the call, is moved to stand directly before it.
pub(super) fn push_call(parts: &mut Vec<Part>, call: ToolCall, signature: Option<Signature>) {
    let position = parts.iter().position(|part| match part {
        Part::Thinking(thinking) => signs(thinking, &call, signature.as_ref()),
        _ => false,
    });
    match position {
        Some(at) => {
            let mut part = parts.remove(at);
            if let Part::Thinking(thinking) = &mut part
                && thinking.extra.fields.get("id").and_then(Value::as_str) == Some(call.id.as_str())
            {
                thinking.extra.fields.shift_remove("id");
                thinking.extra.wire = thinking.extra.wire.filter(|_| !thinking.extra.fields.is_empty());
            }
            parts.push(part);
        }
        None if signature.is_some() => {
            parts.push(Part::Thinking(Thinking { signature, ..Thinking::default() }));
        }
        None => {}
    }
    parts.push(Part::ToolCall(call));
}

/// Gemini's signature of the reasoning that stands directly before the part at `index`.
pub(super) fn before(parts: &[Part], index: usize) -> Option<&str> {
    let before = index.checked_sub(1).and_then(|before| parts.get(before))?;
    match before {
        Part::Thinking(Thinking { signature: Some(signature), .. }) if signature.by == Wire::Gemini => {
            Some(&signature.text)
        }
        _ => None,
    }
}

/// Writes the signature on a call.
pub(super) fn write<'a>(call: &mut Object<'a>, signature: &'a str) {
    let maker = Object::new().with(SIGNATURE, signature);
    call.put(CONTENT, Object::new().with(MAKER, maker));
}

fn signs(thinking: &Thinking, call: &ToolCall, given: Option<&Signature>) -> bool {
    let Some(held) = thinking.signature.as_ref().filter(|held| held.by == Wire::Gemini) else { return false };
    let named = thinking.extra.for_wire(Wire::OpenAiChat).and_then(|fields| fields.get("id")?.as_str());
    given.map_or_else(|| !call.id.is_empty() && named == Some(call.id.as_str()), |given| given == held)
}
