//! What a relay must know of bytes it does not change: content, finish, usage, errors, the end.
//!
//! Runs on every frame of every relayed stream, so it parses only the typed parts, borrowing from the
//! frame. Must not allocate for an ordinary text chunk beyond the list of choices.

use serde_json::value::RawValue;

use super::response::{bad_json, finish as finish_word, not_an_answer};
use super::types::{Answer, AnswerChoice, Content, Outline, Said, speaks};
use super::usage;
use crate::frame::Frame;
use crate::wire::{BadResponse, FrameVerdict, Observation, failure_shapes, json};

/// Looks at one frame.
pub(super) fn frame(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    let data = frame.data.trim_ascii();
    if data.is_empty() {
        return FrameVerdict::Relay;
    }
    if data == b"[DONE]" {
        seen.done = true;
        return FrameVerdict::Terminator;
    }
    // Checked once as a whole: cheaper than string by string.
    let Ok(text) = std::str::from_utf8(data) else { return odd(frame, seen) };
    let Ok(chunk) = serde_json::from_str::<Answer<'_>>(text) else { return odd(frame, seen) };
    if speaks(chunk.error) || frame.event == "error" {
        return odd(frame, seen);
    }
    let raw = chunk.usage.or_else(|| chunk.x_groq.as_ref().and_then(|groq| groq.usage));
    if chunk.choices.is_none() && raw.is_none() && chunk.object.get() != "chat.completion.chunk" {
        return odd(frame, seen);
    }
    let counts = raw.and_then(usage::read);
    note(&chunk, seen);
    if counts.is_some() {
        seen.usage = counts;
    }
    let choices = chunk.choices.as_deref().unwrap_or_default();
    if let Some(error) = choices.iter().find_map(|choice| choice.error.filter(|raw| speaks(Some(raw)))) {
        let body = format!("{{\"error\":{}}}", error.get());
        seen.failure = Some(failure_shapes::read(200, body.as_bytes()));
        return FrameVerdict::Failure;
    }
    if choices.is_empty() && counts.is_some() { FrameVerdict::UsageOnly } else { FrameVerdict::Relay }
}

/// Looks at one whole answer: a chat completion, or a list of embeddings.
///
/// # Errors
/// [`BadResponse`] for a body that is neither.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    let answer: Outline<'_> = json::read(body).map_err(|error| bad_json(&error))?;
    let embeddings = answer.data.is_some() && answer.object.get() == "list";
    let choices = answer.choices.map(RawValue::get).filter(|choices| *choices != "null");
    if speaks(answer.error) || (choices.is_none() && !embeddings) {
        return Err(not_an_answer(body));
    }
    if choices.is_some_and(|choices| !choices.starts_with('[')) {
        // No list: the full reading says what is wrong with it.
        return uncounted(body, embeddings);
    }
    let Some(usage) = answer.usage.and_then(usage::read) else { return uncounted(body, embeddings) };
    let word = choices.and_then(last_finish).unwrap_or_default();
    let model = answer.model.get();
    Ok(Observation {
        content: true,
        tool_call: word == "tool_calls",
        finish: finish_word(word, "", false).map(|finish| finish.reason),
        usage: Some(usage),
        model: (!model.is_empty()).then(|| model.to_owned()),
        done: true,
        ..Observation::default()
    })
}

/// The finish reason of the last choice, found from the end: it stands behind the message. Inside a text
/// the quotes of such a name would be escaped, so only a member's name can match.
fn last_finish(choices: &str) -> Option<&str> {
    const NAME: &str = "\"finish_reason\"";
    let behind = choices.get(choices.rfind(NAME)? + NAME.len()..)?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split('"').next()
}

/// No count came: what was said is measured, as the base of an estimate.
fn uncounted(body: &[u8], embeddings: bool) -> Result<Observation, BadResponse> {
    let answer: Answer<'_> = json::read(body).map_err(|error| bad_json(&error))?;
    let mut seen = Observation::default();
    note(&answer, &mut seen);
    seen.content |= embeddings;
    seen.done = true;
    Ok(seen)
}

/// A frame that is no chunk: an error of some shape, or nothing of this wire.
fn odd(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    let failure = match failure_shapes::recognise(200, frame.data) {
        None if frame.event == "error" => Some(failure_shapes::read(200, frame.data)),
        other => other,
    };
    if failure.is_some() {
        seen.failure = failure;
        return FrameVerdict::Failure;
    }
    seen.skipped += 1;
    FrameVerdict::Invalid
}

fn note(answer: &Answer<'_>, seen: &mut Observation) {
    if seen.model.is_none() && !answer.model.get().is_empty() {
        seen.model = Some(answer.model.get().to_owned());
    }
    for choice in answer.choices.as_deref().unwrap_or_default() {
        note_choice(choice, seen);
    }
}

fn note_choice(choice: &AnswerChoice<'_>, seen: &mut Observation) {
    let bit = 1_u64 << choice.index.0.unwrap_or(0).min(63);
    if seen.choices_open & bit == 0 {
        seen.choices_open |= bit;
        // A choice that opens behind the others' finish is not finished.
        seen.finish = None;
    }
    if let Some(said) = choice.delta.as_ref().or(choice.message.as_ref()) {
        note_said(said, seen);
    }
    let word = choice.finish_reason.get();
    if word.is_empty() {
        return;
    }
    seen.choices_finished |= bit;
    if seen.choices_finished == seen.choices_open {
        seen.finish = finish_word(word, "", seen.tool_call).map(|finish| finish.reason);
    }
}

fn note_said(said: &Said<'_>, seen: &mut Observation) {
    let reasoning = match said.reasoning_content.get() {
        "" => said.reasoning.get(),
        text => text,
    };
    let mut chars = count(reasoning) + count(said.refusal.get());
    chars += match &said.content {
        Content::None => 0,
        Content::Text(text) => count(text),
        Content::Parts(parts) => parts.iter().map(count_part).sum(),
    };
    if reasoning.is_empty() {
        for detail in said.reasoning_details.as_deref().unwrap_or_default() {
            chars += count(detail.text.get()) + count(detail.summary.get());
            seen.content |= !detail.data.get().is_empty();
        }
    }
    let calls = said.tool_calls.as_deref().unwrap_or_default();
    let functions = calls.iter().filter_map(|call| call.function.as_ref()).chain(said.function_call.as_ref());
    for function in functions {
        chars += count(function.arguments.get());
    }
    let called = !calls.is_empty() || said.function_call.is_some();
    seen.tool_call |= called;
    seen.content |= chars > 0 || called;
    seen.output_chars = seen.output_chars.saturating_add(chars);
}

/// The texts inside a typed part, however deep the maker put them.
fn count_part(part: &serde_json::Value) -> u64 {
    use serde_json::Value;
    match part {
        Value::Object(map) => ["text", "thinking", "summary"]
            .iter()
            .filter_map(|name| map.get(*name))
            .map(|inner| inner.as_str().map_or_else(|| count_part(inner), count))
            .sum(),
        Value::Array(list) => list.iter().map(count_part).sum(),
        _ => 0,
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}
