//! What a relay must know of bytes it does not change: content, finish, usage, errors. Runs on every frame
//! of every relayed stream: typed, borrowed from the frame.

use super::finish::reason;
use super::response::{bad_json, not_an_answer};
use super::types::{Candidate, Chunk, WirePart, speaks, text};
use super::{citation, error};
use crate::frame::Frame;
use crate::ir::FinishReason;
use crate::wire::{BadResponse, FrameVerdict, Observation, json};

/// Looks at one frame.
pub(super) fn frame(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    let data = frame.data.trim_ascii();
    if data.is_empty() {
        return FrameVerdict::Relay;
    }
    // Checked once as a whole: cheaper than string by string.
    let chunk = std::str::from_utf8(data).ok().and_then(|json| serde_json::from_str::<Chunk<'_>>(json).ok());
    let Some(chunk) = chunk.filter(|chunk| is_answer(chunk)) else { return odd(data, seen) };
    note(&chunk, seen);
    FrameVerdict::Relay
}

/// Looks at one whole answer.
///
/// # Errors
/// [`BadResponse`] when it has neither candidates nor a block reason.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    let answer: Chunk<'_> = json::read(body).map_err(|error| bad_json(body, &error))?;
    let said = answer.candidates.as_ref().is_some_and(|list| !list.is_empty()) || is_blocked(&answer);
    if speaks(answer.error) || !said {
        return Err(not_an_answer(body));
    }
    let mut seen = Observation::default();
    note(&answer, &mut seen);
    seen.done = true;
    Ok(seen)
}

fn is_answer(chunk: &Chunk<'_>) -> bool {
    let says = chunk.candidates.is_some() || chunk.usage.is_some() || chunk.feedback.is_some();
    says && !speaks(chunk.error)
}

fn is_blocked(chunk: &Chunk<'_>) -> bool {
    chunk.feedback.is_some_and(|feedback| feedback.get().contains("\"blockReason\""))
}

/// A frame that is no chunk: an error of some shape, or nothing of this wire.
fn odd(data: &[u8], seen: &mut Observation) -> FrameVerdict {
    seen.failure = error::recognise(data);
    if seen.failure.is_some() {
        return FrameVerdict::Failure;
    }
    seen.skipped = seen.skipped.saturating_add(1);
    FrameVerdict::Invalid
}

fn note(chunk: &Chunk<'_>, seen: &mut Observation) {
    let model = text(&chunk.model);
    if seen.model.is_none() && !model.is_empty() {
        seen.model = Some(model.to_owned());
    }
    let mut searches = seen.usage.map_or(0, |usage| usage.web_searches);
    for candidate in chunk.candidates.as_deref().unwrap_or_default() {
        note_candidate(candidate, seen);
        let grounding = candidate.grounding.and_then(|raw| serde_json::from_str(raw.get()).ok());
        searches += grounding.map_or(0, |grounding| citation::searches(&grounding));
    }
    if is_blocked(chunk) {
        seen.choices_open |= 1;
        seen.choices_finished |= 1;
        seen.finish = Some(FinishReason::ContentFilter);
    }
    if let Some(counts) = &chunk.usage {
        seen.usage = Some(counts.usage());
    }
    if let Some(usage) = seen.usage.as_mut() {
        usage.web_searches = searches;
    }
}

fn note_candidate(candidate: &Candidate<'_>, seen: &mut Observation) {
    let index = candidate.index.map_or(0, |index| index.get());
    let bit = 1_u64 << index.min(63);
    if seen.choices_open & bit == 0 {
        seen.choices_open |= bit;
        // A choice that opens behind the others' finish is not finished.
        seen.finish = None;
    }
    let content = candidate.content.as_ref();
    for part in content.and_then(|content| content.parts.as_deref()).unwrap_or_default() {
        note_part(part, seen);
    }
    let word = text(&candidate.finish);
    if word.is_empty() || word == "FINISH_REASON_UNSPECIFIED" {
        return;
    }
    seen.choices_finished |= bit;
    if seen.choices_finished == seen.choices_open {
        seen.finish = Some(reason(word, seen.tool_call));
    }
}

fn note_part(part: &WirePart<'_>, seen: &mut Observation) {
    let args = part.call.as_ref().and_then(|call| call.args).map_or("", |args| args.get());
    let chars = text(&part.text).chars().count() + args.chars().count();
    seen.tool_call |= part.call.is_some();
    seen.content |= chars > 0 || part.call.is_some() || !part.rest.is_empty();
    seen.output_chars = seen.output_chars.saturating_add(chars as u64);
}
