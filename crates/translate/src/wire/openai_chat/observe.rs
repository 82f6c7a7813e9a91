//! What a relay must know of bytes it does not change: content, finish, usage, errors, the end.
//!
//! Runs on every frame of every relayed stream, so it parses only the typed parts, borrowing from the
//! frame. Must not allocate for an ordinary text chunk beyond the list of choices.

use super::response::{bad_json, finish as finish_word, not_an_answer};
use super::types::{Answer, AnswerChoice, Content, Said, says_something, speaks};
use super::usage;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::scan::Scanner;
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
    let counts = raw.and_then(|raw| usage::read(raw.get()));
    let counts = counts.map(|counts| counts.in_tier(chunk.service_tier.get()));
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
    let Some(answer) = Outline::of(body) else { return read_whole(body) };
    let Some(usage) = answer.usage.filter(|_| answer.choices || answer.embeddings()) else {
        return read_whole(body);
    };
    Ok(Observation {
        content: true,
        tool_call: answer.finish == "tool_calls",
        finish: finish_word(answer.finish, "", false).map(|finish| finish.reason),
        usage: Some(usage.in_tier(answer.tier)),
        model: (!answer.model.is_empty()).then(|| answer.model.to_owned()),
        done: true,
        ..Observation::default()
    })
}

/// A whole answer as a relay sees it. What was said is stepped over.
#[derive(Default)]
struct Outline<'a> {
    model: &'a str,
    tier: &'a str,
    object: &'a str,
    /// A list of choices is there.
    choices: bool,
    /// The reason of the last choice.
    finish: &'a str,
    usage: Option<Usage>,
    /// The vectors of an embeddings answer are there.
    data: bool,
}

impl<'a> Outline<'a> {
    /// `None` for what is unusual: an error, no JSON object, counts of a strange form.
    fn of(body: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(std::str::from_utf8(body).ok()?);
        let mut outline = Self::default();
        scanner.object(|scanner, name| {
            match name {
                "model" => outline.model = text(scanner)?,
                "service_tier" => outline.tier = text(scanner)?,
                "object" => outline.object = text(scanner)?,
                "choices" => {
                    outline.choices = true;
                    scanner.list(|scanner| outline.choice(scanner))?;
                }
                "usage" => outline.usage = usage::scan(scanner)?,
                "error" => return (!says_something(scanner.raw()?)).then_some(()),
                "data" => outline.data = scanner.raw()? != "null",
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        scanner.end().then_some(outline)
    }

    fn choice(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        self.finish = "";
        scanner.object(|scanner, name| {
            match name {
                "finish_reason" => self.finish = text(scanner)?,
                "error" => return (!says_something(scanner.raw()?)).then_some(()),
                _ => scanner.skip()?,
            }
            Some(())
        })
    }

    fn embeddings(&self) -> bool {
        self.data && self.object == "list"
    }
}

/// A string without escapes; empty for null.
fn text<'a>(scanner: &mut Scanner<'a>) -> Option<&'a str> {
    let raw = scanner.raw()?;
    if raw == "null" {
        return Some("");
    }
    raw.strip_prefix('"')?.strip_suffix('"').filter(|inner| !inner.contains('\\'))
}

/// The full reading: an error under a 200, no count (what was said is measured, as the base of an estimate), or
/// something unusual.
fn read_whole(body: &[u8]) -> Result<Observation, BadResponse> {
    let answer: Answer<'_> = json::read(body).map_err(|error| bad_json(&error))?;
    let embeddings = answer.choices.is_none() && is_embeddings(body);
    if speaks(answer.error) || (answer.choices.is_none() && !embeddings) {
        return Err(not_an_answer(body));
    }
    let mut seen = Observation::default();
    note(&answer, &mut seen);
    let counts = answer.usage.and_then(|raw| usage::read(raw.get()));
    seen.usage = counts.map(|counts| counts.in_tier(answer.service_tier.get()));
    seen.content |= embeddings || seen.usage.is_some();
    seen.done = true;
    Ok(seen)
}

fn is_embeddings(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| {
        let (mut data, mut list) = (false, false);
        let read = crate::scan::members(body, |key, value| match body.get(key) {
            Some("\"data\"") => data = body.get(value) != Some("null"),
            Some("\"object\"") => list = body.get(value) == Some("\"list\""),
            _ => {}
        });
        read.is_some() && data && list
    })
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
