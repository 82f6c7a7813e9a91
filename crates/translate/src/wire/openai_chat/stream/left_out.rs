//! What a chunk holds that the events have no place for. Looked at for translated streams only; a
//! relayed chunk keeps everything.

use serde_json::Value;

use super::super::call_signature;
use super::super::parts::image_of;
use super::super::reasoning::{maker, sealed};
use super::super::types::{Answer, AnswerChoice, Call, Content, Detail, Said};
use crate::ir::Event;
use crate::wire::told::{Told, says_nothing};

/// Members of typed content that the decoder reads.
const PART: [&str; 5] = ["type", "text", "thinking", "summary", "refusal"];

/// The fields around the choices.
pub(super) fn of_chunk(chunk: &Answer<'_>, told: &mut Told, out: &mut Vec<Event>) {
    for name in &chunk.unknown {
        told.once("chunk", name, "", out);
    }
    let named = [("service_tier", &chunk.service_tier), ("system_fingerprint", &chunk.system_fingerprint)];
    for (name, _) in named.iter().filter(|(_, value)| !value.get().is_empty()) {
        told.once("chunk", name, "", out);
    }
}

/// One choice with its delta.
pub(super) fn of_choice(choice: &AnswerChoice<'_>, index: u32, told: &mut Told, out: &mut Vec<Event>) {
    for name in &choice.unknown {
        told.once("choice", name, format_args!("choices[{index}]"), out);
    }
    if let Some(said) = choice.delta.as_ref().or(choice.message.as_ref()) {
        of_delta(said, index, told, out);
    }
}

fn of_delta(said: &Said<'_>, index: u32, told: &mut Told, out: &mut Vec<Event>) {
    for name in &said.unknown {
        told.once("delta", name, format_args!("choices[{index}].delta"), out);
    }
    if let Content::Parts(parts) = &said.content {
        parts.iter().for_each(|part| of_part(part, index, told, out));
    }
    // Hosts of models that draw number them; the place in the list tells the same.
    if said.images.iter().flatten().any(|image| image_of(image).is_none()) {
        told.once("delta", "images", format_args!("choices[{index}].delta"), out);
    }
    for call in said.tool_calls.as_deref().unwrap_or_default() {
        of_call(call, index, told, out);
    }
    for detail in said.reasoning_details.as_deref().unwrap_or_default() {
        of_detail(detail, index, told, out);
    }
}

/// Parts of other types travel whole.
fn of_part(part: &Value, index: u32, told: &mut Told, out: &mut Vec<Event>) {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    if !matches!(kind, "text" | "thinking" | "reasoning" | "refusal") {
        return;
    }
    for (name, value) in part.as_object().into_iter().flatten() {
        if !PART.contains(&name.as_str()) && !says_nothing(value) {
            told.once("part", name, format_args!("choices[{index}].delta.content[]"), out);
        }
    }
}

fn of_call(call: &Call<'_>, index: u32, told: &mut Told, out: &mut Vec<Event>) {
    let number = call.index.0.unwrap_or(0);
    let at = format_args!("choices[{index}].delta.tool_calls[{number}]");
    // A call with free text for its input.
    if call.custom.is_some() {
        return told.once("custom call", "custom", at, out);
    }
    if !matches!(call.kind.get(), "" | "function") {
        told.once("call", "type", at, out);
    }
    if call.extra_content.as_ref().is_some_and(says_more) {
        told.once("call", "extra_content", at, out);
    }
    let function = call.function.as_ref().map(|function| function.unknown.as_slice());
    for name in call.unknown.iter().chain(function.unwrap_or_default()) {
        told.once("call", name, at, out);
    }
}

/// More than Google's signature.
fn says_more(content: &Value) -> bool {
    let Value::Object(fields) = content else { return !says_nothing(content) };
    let mut fields = fields.clone();
    call_signature::take_from(&mut fields);
    !says_nothing(&Value::Object(fields))
}

/// The encrypted entry of a maker nobody knows travels whole; a known one is told by the signature.
fn of_detail(detail: &Detail<'_>, index: u32, told: &mut Told, out: &mut Vec<Event>) {
    let (data, format) = (detail.data.get(), detail.format.get());
    let encrypted = !data.is_empty();
    let whole = encrypted && sealed(data, format).is_none();
    let signed = (encrypted || !detail.signature.get().is_empty()) && maker(format).is_some();
    let named = [
        ("id", &detail.id, !whole),
        ("format", &detail.format, !(whole || signed)),
        ("text", &detail.text, encrypted),
        ("summary", &detail.summary, encrypted || !detail.text.get().is_empty()),
        ("signature", &detail.signature, encrypted),
    ];
    let named = named.iter().filter(|(_, value, lost)| *lost && !value.get().is_empty());
    let unknown = detail.unknown.iter().map(AsRef::as_ref);
    for name in unknown.chain(named.map(|(name, ..)| *name)) {
        told.once("detail", name, format_args!("choices[{index}].delta.reasoning_details[]"), out);
    }
}
