//! What a relay must know of bytes it does not change: content, finish, usage, errors, the end.
//!
//! Runs on every frame of every relayed stream, so it parses only the typed parts, borrowing from the frame;
//! what an answer repeats of its request is passed over.

use serde_json::value::RawValue;

use super::error;
use super::response::{bad_json, finish, not_an_answer};
use super::types::{Item, Outline, Step};
use super::usage;
use crate::frame::Frame;
use crate::ir::Failure;
use crate::wire::openai_chat::speaks;
use crate::wire::{BadResponse, FrameVerdict, Observation, failure_shapes, json};

/// Looks at one frame.
pub(super) fn frame(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    let data = frame.data.trim_ascii();
    // Some hosts end with Chat Completions' terminator.
    if data.is_empty() || data == b"[DONE]" {
        return FrameVerdict::Relay;
    }
    // Checked once as a whole: cheaper than string by string.
    let Ok(text) = std::str::from_utf8(data) else { return odd(frame, seen) };
    let Ok(step) = serde_json::from_str::<Step<'_>>(text) else { return odd(frame, seen) };
    let kind = match step.kind.get() {
        "" => frame.event,
        kind => kind,
    };
    let verdict = event(kind, &step, frame, seen);
    // A failure is not relayed: what is written instead takes its number.
    if let Some(number) = step.sequence.0
        && verdict != FrameVerdict::Failure
    {
        seen.head.next = number.saturating_add(1);
    }
    verdict
}

fn event(kind: &str, step: &Step<'_>, frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    match kind {
        "" | "error" => odd(frame, seen),
        "response.created" | "response.in_progress" | "response.queued" => answer(step, seen, false),
        "response.completed" | "response.incomplete" | "response.cancelled" | "response.failed" => {
            answer(step, seen, true)
        }
        "response.output_item.added" | "response.output_item.done" => {
            if let Some(item) = step.item.and_then(|raw| serde_json::from_str::<Item<'_>>(raw.get()).ok()) {
                begin(seen);
                note_item(&item, seen);
            }
            FrameVerdict::Relay
        }
        kind if kind.ends_with(".delta") => {
            begin(seen);
            let chars = count(step.delta.get());
            seen.content |= chars > 0;
            seen.output_chars = seen.output_chars.saturating_add(chars);
            FrameVerdict::Relay
        }
        _ => FrameVerdict::Relay,
    }
}

/// Looks at one whole answer.
///
/// # Errors
/// [`BadResponse`] for a body that is none, or that failed.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    let answer: Outline<'_> =
        json::read(body).map_err(|error| match failure_shapes::recognise(200, body) {
            Some(failure) => BadResponse::Failure(failure),
            None => bad_json(&error),
        })?;
    let Some(output) = answer.output.as_deref().filter(|_| !speaks(answer.error)) else {
        return Err(not_an_answer(&answer, body));
    };
    let mut seen = Observation::default();
    begin(&mut seen);
    for raw in output {
        if let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get()) {
            note_item(&item, &mut seen);
            note_chars(&item, &mut seen);
        }
    }
    note_answer(&answer, &mut seen);
    note_end(&answer, &mut seen);
    seen.done = true;
    Ok(seen)
}

/// An event that holds the answer, so far or (`last`) whole.
fn answer(step: &Step<'_>, seen: &mut Observation, last: bool) -> FrameVerdict {
    let read = |raw: &RawValue| {
        serde_json::from_str::<Outline<'_>>(raw.get()).ok().map(|outline| {
            note_answer(&outline, seen);
            let failure = failure(&outline);
            if last && failure.is_none() {
                note_end(&outline, seen);
            }
            failure
        })
    };
    match step.response.and_then(read) {
        None => {
            seen.skipped += 1;
            FrameVerdict::Invalid
        }
        Some(Some(failure)) => {
            seen.failure = Some(failure);
            FrameVerdict::Failure
        }
        Some(None) if last => {
            seen.done = true;
            FrameVerdict::Terminator
        }
        Some(None) => FrameVerdict::Relay,
    }
}

fn failure(answer: &Outline<'_>) -> Option<Failure> {
    let raw = answer.error.filter(|raw| speaks(Some(raw)));
    match raw {
        Some(raw) => Some(error::of_answer(raw.get())),
        None => (answer.status.get() == "failed").then(|| error::of_answer("{}")),
    }
}

/// A frame that is no event: an error of some shape, or nothing of this wire.
fn odd(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    let known = failure_shapes::recognise(200, frame.data).is_some();
    if known || frame.event == "error" {
        seen.failure = Some(error::decode(200, frame.data));
        return FrameVerdict::Failure;
    }
    seen.skipped += 1;
    FrameVerdict::Invalid
}

/// There is one choice.
fn begin(seen: &mut Observation) {
    seen.choices_open |= 1;
}

fn note_item(item: &Item<'_>, seen: &mut Observation) {
    seen.tool_call |= item.is_call();
    seen.content |= !matches!(item.kind.get(), "message" | "reasoning") || item.content.is_some();
}

/// In streams the deltas are counted.
fn note_chars(item: &Item<'_>, seen: &mut Observation) {
    let pieces = item.content.iter().chain(&item.summary).flatten();
    let said: u64 = pieces.map(|piece| count(piece.text.get()) + count(piece.refusal.get())).sum();
    let chars = said + count(item.arguments.get()) + count(item.input.get());
    seen.output_chars = seen.output_chars.saturating_add(chars);
}

fn note_answer(answer: &Outline<'_>, seen: &mut Observation) {
    if seen.model.is_none() && !answer.model.get().is_empty() {
        seen.model = Some(answer.model.get().to_owned());
    }
    if seen.head.id.is_empty() {
        seen.head.id = answer.id.get().to_owned();
        seen.head.created = answer.created_at.0;
    }
}

fn note_end(answer: &Outline<'_>, seen: &mut Observation) {
    let usage = answer.usage.and_then(|raw| usage::read(raw, answer.searches()));
    seen.usage = usage.map(|usage| usage.in_tier(answer.service_tier.get())).or(seen.usage);
    let ended = finish(answer.status.get(), &answer.reason(), seen.tool_call);
    if let Some(ended) = ended {
        seen.choices_finished = seen.choices_open;
        seen.finish = Some(ended.reason);
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}
