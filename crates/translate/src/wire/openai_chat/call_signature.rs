//! Gemini's signature of a tool call, as Google's endpoint for this wire has it: on the call, in
//! `extra_content.google.thought_signature`. In the pivot it is the signature of the reasoning directly before
//! the call. Knows nothing of `reasoning_details`, where the same signature may stand once more.

use std::collections::{HashMap, VecDeque};

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

/// Appends calls with their signatures. Reasoning that `parts` holds already under the same signature, or under
/// the id of the call, is moved to stand directly before it.
pub(super) fn push_calls(parts: &mut Vec<Part>, calls: Vec<(Part, Option<Signature>)>) {
    let mut seals = Seals::of(parts);
    let mut before: Vec<Option<Part>> = std::mem::take(parts).into_iter().map(Some).collect();
    let mut behind = Vec::with_capacity(calls.len());
    for (part, signature) in calls {
        if let Part::ToolCall(call) = &part {
            match seals.take(&mut before, call, signature.as_ref()) {
                Some(seal) => behind.push(seal),
                None if signature.is_some() => {
                    behind.push(Part::Thinking(Thinking { signature, ..Thinking::default() }));
                }
                None => {}
            }
        }
        behind.push(part);
    }
    parts.extend(before.into_iter().flatten());
    parts.append(&mut behind);
}

/// Where Gemini's signed reasoning stands, by what it is looked up with: thousands of calls may each have one.
#[derive(Default)]
struct Seals {
    by_text: HashMap<String, VecDeque<usize>>,
    by_call: HashMap<String, VecDeque<usize>>,
}

impl Seals {
    fn of(parts: &[Part]) -> Self {
        let mut seals = Self::default();
        for (at, part) in parts.iter().enumerate() {
            let Part::Thinking(Thinking { signature: Some(signature), extra, .. }) = part else { continue };
            if signature.by != Wire::Gemini {
                continue;
            }
            seals.by_text.entry(signature.text.clone()).or_default().push_back(at);
            let named = extra.for_wire(Wire::OpenAiChat).and_then(|fields| fields.get("id")?.as_str());
            if let Some(id) = named.filter(|id| !id.is_empty()) {
                seals.by_call.entry(id.to_owned()).or_default().push_back(at);
            }
        }
        seals
    }

    /// The first of `parts` that signs the call and was not taken yet.
    fn take(
        &mut self,
        parts: &mut [Option<Part>],
        call: &ToolCall,
        given: Option<&Signature>,
    ) -> Option<Part> {
        let list = match given {
            Some(given) if given.by != Wire::Gemini => return None,
            Some(given) => self.by_text.get_mut(&given.text)?,
            None => self.by_call.get_mut(&call.id)?,
        };
        while let Some(at) = list.pop_front() {
            let Some(mut part) = parts.get_mut(at).and_then(Option::take) else { continue };
            if let Part::Thinking(thinking) = &mut part
                && thinking.extra.fields.get("id").and_then(Value::as_str) == Some(call.id.as_str())
            {
                thinking.extra.fields.shift_remove("id");
                thinking.extra.wire = thinking.extra.wire.filter(|_| !thinking.extra.fields.is_empty());
            }
            return Some(part);
        }
        None
    }
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
