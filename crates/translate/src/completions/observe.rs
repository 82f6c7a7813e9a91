//! What a relay must know of text completions it does not change. Typed and borrowed; errors and counts are
//! read as chat's are.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::frame::Frame;
use crate::ir::FinishReason;
use crate::wire::openai_chat::OpenAiChat;
use crate::wire::{BadResponse, Dialect, FrameVerdict, Observation, json};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default, borrow)]
    finish_reason: Option<&'a RawValue>,
}

/// Looks at one frame.
pub(super) fn frame(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    let data = frame.data.trim_ascii();
    // Whatever is not a text chunk (the end, counts alone, errors) is told as chat tells it.
    let Ok(chunk) = json::read::<Chunk<'_>>(data) else { return OpenAiChat.observe_frame(frame, seen) };
    if chunk.choices.is_empty() || chunk.error.is_some() {
        return OpenAiChat.observe_frame(frame, seen);
    }
    note(&chunk, seen);
    FrameVerdict::Relay
}

/// Looks at one whole answer.
///
/// # Errors
/// [`BadResponse`] for a body that is none.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    match json::read::<Chunk<'_>>(body) {
        Ok(chunk) if chunk.error.is_none() => {
            let mut seen = Observation::default();
            note(&chunk, &mut seen);
            seen.content = true;
            seen.done = true;
            Ok(seen)
        }
        _ => OpenAiChat.observe_response(body),
    }
}

fn note(chunk: &Chunk<'_>, seen: &mut Observation) {
    if seen.model.is_none() && !chunk.model.is_empty() {
        seen.model = Some(chunk.model.clone().into_owned());
    }
    for choice in &chunk.choices {
        let bit = 1_u64 << choice.index.min(63);
        if seen.choices_open & bit == 0 {
            seen.choices_open |= bit;
            seen.finish = None;
        }
        seen.content |= !choice.text.is_empty();
        seen.output_chars = seen.output_chars.saturating_add(choice.text.chars().count() as u64);
        if let Some(reason) = choice.finish_reason.and_then(finish) {
            seen.choices_finished |= bit;
            if seen.choices_open & !seen.choices_finished == 0 {
                seen.finish = Some(reason);
            }
        }
    }
    if let Some(raw) = chunk.usage.filter(|raw| raw.get() != "null") {
        // Counts alone are a chunk of chat's: one function sorts them for both.
        let alone = format!("{{\"choices\":[],\"usage\":{}}}", raw.get());
        let mut counted = Observation::default();
        let frame = Frame { raw: alone.as_bytes(), event: "", data: alone.as_bytes() };
        OpenAiChat.observe_frame(&frame, &mut counted);
        seen.usage = counted.usage.or(seen.usage);
    }
}

fn finish(raw: &RawValue) -> Option<FinishReason> {
    Some(match serde_json::from_str::<Option<Cow<'_, str>>>(raw.get()).ok()??.as_ref() {
        "length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "error" => FinishReason::Error,
        _ => FinishReason::Stop,
    })
}
