//! What a relay must know of bytes it does not change: content, finish, usage, errors, the end. Runs on
//! every frame of every relayed stream: typed, borrowed, nothing is kept.

use super::types::{OneOrMore, SeenAnswer, SeenContent, SeenDelta, SeenEvent, SeenMessage, finish};
use super::{error, response, usage};
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
    let Ok(event) = json::read::<SeenEvent<'_>>(data) else { return odd(frame, seen) };
    let kind = match event.kind.get() {
        "" => frame.event,
        kind => kind,
    };
    if kind.is_empty() || kind == "error" {
        return odd(frame, seen);
    }
    open(seen);
    match (kind, event.delta) {
        ("message-end", Some(delta)) => message_end(&delta, seen),
        ("tool-call-start", delta) => {
            seen.tool_call = true;
            seen.content = true;
            note(delta.as_ref(), seen)
        }
        (_, delta) => note(delta.as_ref(), seen),
    }
}

/// Looks at one whole answer.
///
/// # Errors
/// [`BadResponse`] for a body without a message.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    let answer: SeenAnswer<'_> = json::read(body).map_err(|error| response::bad_json(&error))?;
    let message = answer.message.filter(|raw| raw.get().starts_with('{'));
    let Some(message) = message else { return Err(response::not_an_answer(body)) };
    let mut seen = Observation { content: true, done: true, ..Observation::default() };
    let word = answer.finish_reason.get();
    seen.tool_call = word == "TOOL_CALL";
    seen.usage = answer.usage.and_then(usage::read);
    if seen.usage.is_none() || word.is_empty() {
        // No count came: what was said is measured, as the base of an estimate.
        let said: SeenMessage<'_> =
            serde_json::from_str(message.get()).map_err(|error| response::bad_json(&error))?;
        said_of(&said, &mut seen);
        seen.tool_call |= !said.tool_calls.0.is_empty();
    }
    seen.finish = finish(word, seen.tool_call).map(|finish| finish.reason);
    Ok(seen)
}

/// There is one choice.
fn open(seen: &mut Observation) {
    if seen.choices_open == 0 {
        seen.choices_open = 1;
    }
}

fn message_end(delta: &SeenDelta<'_>, seen: &mut Observation) -> FrameVerdict {
    if let Some(counts) = delta.usage.and_then(usage::read) {
        seen.usage = Some(counts);
    }
    let complaint = delta.error.get();
    if !complaint.is_empty() {
        seen.failure = Some(error::in_stream(complaint));
        return FrameVerdict::Failure;
    }
    if let Some(finish) = finish(delta.finish_reason.get(), seen.tool_call) {
        seen.finish = Some(finish.reason);
        seen.choices_finished = seen.choices_open;
    }
    FrameVerdict::Relay
}

fn note(delta: Option<&SeenDelta<'_>>, seen: &mut Observation) -> FrameVerdict {
    if let Some(message) = delta.and_then(|delta| delta.message.as_ref()) {
        said_of(message, seen);
    }
    FrameVerdict::Relay
}

fn said_of(said: &SeenMessage<'_>, seen: &mut Observation) {
    let OneOrMore(contents) = &said.content;
    let text = |one: &SeenContent<'_>| count(one.text.get()) + count(one.thinking.get());
    let mut chars = count(said.tool_plan.get()) + contents.iter().map(text).sum::<u64>();
    for call in &said.tool_calls.0 {
        chars += call.function.as_ref().map_or(0, |function| count(function.arguments.get()));
    }
    seen.content |= chars > 0;
    seen.output_chars = seen.output_chars.saturating_add(chars);
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// A frame that is no event: an error of some shape, or nothing of this wire.
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
