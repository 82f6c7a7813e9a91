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

/// Gives Gemini's signatures that name no part the parts that Gemini signs: the first call of a turn, else the
/// images (the last `images` parts that are one), latest with latest; what is left stays before the text. Clients
/// that send back `reasoning_details` alone say no more.
pub(super) fn settle(parts: &mut Vec<Part>, images: usize) {
    let first = parts.iter().position(|part| matches!(part, Part::ToolCall(_)));
    match first {
        Some(call) if before(parts, call).is_none() => {
            if let Some(lone) = lone_before(parts, call) {
                let part = parts.remove(lone);
                // It stood before: everything moved up by one.
                parts.insert(call - 1, part);
            }
        }
        Some(_) => {}
        None => {
            let mut end = parts.len();
            for _ in 0..images {
                let last = parts.get(..end).and_then(|known| known.iter().rposition(is_image));
                let Some(image) = last else { return };
                let Some(lone) = lone_before(parts, image) else { return };
                let part = parts.remove(lone);
                parts.insert(image - 1, part);
                end = image - 1;
            }
        }
    }
}

fn is_image(part: &Part) -> bool {
    matches!(part, Part::Image(_))
}

/// The last reasoning before `end` that Gemini signed and that signs no call.
fn lone_before(parts: &[Part], end: usize) -> Option<usize> {
    let known = parts.get(..end)?;
    (0..known.len())
        .rev()
        .find(|at| before(known, at + 1).is_some() && !matches!(known.get(at + 1), Some(Part::ToolCall(_))))
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
