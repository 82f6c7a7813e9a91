//! What a relay needs to know of frames and answers it passes on: typed views of a few fields, borrowed
//! from the bytes. Nothing is kept, nothing is changed.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::usage::WireUsage;
use super::{error, stop};
use crate::frame::{Frame, is_exception};
use crate::wire::json::{self, Name};
use crate::wire::{BadResponse, FrameVerdict, Observation};

/// Looks at one frame.
pub(super) fn frame(frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
    match frame.event {
        "contentBlockDelta" => read::<DeltaFrame<'_>>(frame, seen, |view, seen| view.delta.note(seen)),
        "contentBlockStart" => read::<StartFrame>(frame, seen, |view, seen| {
            seen.content = true;
            seen.tool_call |= view.start.tool_use.is_some();
        }),
        "contentBlockStop" => FrameVerdict::Relay,
        "messageStart" => {
            seen.choices_open |= 1;
            FrameVerdict::Relay
        }
        "messageStop" => {
            read::<StopFrame<'_>>(frame, seen, |view, seen| note_stop(&view.stop_reason.0, seen))
        }
        "metadata" => match read::<MetadataFrame>(frame, seen, note_metadata) {
            FrameVerdict::Relay => {
                seen.done = true;
                FrameVerdict::Terminator
            }
            verdict => verdict,
        },
        name if is_exception(frame) => {
            seen.failure = Some(error::exception(name, frame.data));
            FrameVerdict::Failure
        }
        _ => FrameVerdict::Relay,
    }
}

/// Looks at one whole answer: of chat, or of a token count.
pub(super) fn response(body: &[u8]) -> Result<Observation, BadResponse> {
    let view: AnswerView<'_> = json::read(body).map_err(|err| {
        if err.is_data() {
            BadResponse::WrongShape(err.to_string())
        } else {
            BadResponse::NotJson(err.to_string())
        }
    })?;
    let mut seen = Observation::default();
    match (&view.output, view.input_tokens) {
        (Some(output), _) => {
            seen.choices_open = 1;
            output.message.content.iter().for_each(|block| block.note(&mut seen));
        }
        (None, Some(input_uncached)) => {
            seen.usage = Some(crate::ir::Usage { input_uncached, ..crate::ir::Usage::default() });
        }
        (None, None) if view.message.is_some() => {
            return Err(BadResponse::Failure(error::decode(200, body)));
        }
        (None, None) => return Err(BadResponse::WrongShape("expected an object in `output`".to_owned())),
    }
    if let Some(word) = &view.stop_reason {
        note_stop(&word.0, &mut seen);
    }
    if let Some(usage) = view.usage {
        seen.usage = Some(usage.sorted().in_tier(tier_word(view.service_tier.as_ref())));
    }
    seen.done = true;
    Ok(seen)
}

/// A frame of another shape than the one known is passed on; one that is no JSON is none.
fn read<'a, T: Deserialize<'a>>(
    frame: &Frame<'a>,
    seen: &mut Observation,
    note: impl FnOnce(T, &mut Observation),
) -> FrameVerdict {
    match json::read(frame.data) {
        Ok(view) => note(view, seen),
        Err(err) if err.is_data() => {}
        Err(_) => {
            seen.skipped = seen.skipped.saturating_add(1);
            return FrameVerdict::Invalid;
        }
    }
    FrameVerdict::Relay
}

fn note_stop(word: &str, seen: &mut Observation) {
    seen.finish = Some(stop::reason(word));
    seen.choices_open |= 1;
    seen.choices_finished |= 1;
}

fn note_metadata(view: MetadataFrame, seen: &mut Observation) {
    if let Some(usage) = view.usage {
        seen.usage = Some(usage.sorted().in_tier(tier_word(view.service_tier.as_ref())));
    }
}

/// The word in `serviceTier`, whatever else that is.
fn tier_word(tier: Option<&serde_json::Value>) -> &str {
    tier.and_then(|tier| tier.get("type")?.as_str()).unwrap_or_default()
}

fn chars(text: Option<&Name<'_>>) -> u64 {
    text.map_or(0, |text| text.0.chars().count() as u64)
}

#[derive(Deserialize)]
struct DeltaFrame<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Name<'a>>,
    #[serde(borrow, rename = "toolUse")]
    tool_use: Option<Input<'a>>,
    #[serde(borrow, rename = "reasoningContent")]
    reasoning: Option<ReasoningDelta<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    input: Option<Name<'a>>,
}

#[derive(Deserialize)]
struct ReasoningDelta<'a> {
    #[serde(borrow)]
    text: Option<Name<'a>>,
    signature: Option<IgnoredAny>,
    #[serde(rename = "redactedContent")]
    redacted: Option<IgnoredAny>,
}

impl Delta<'_> {
    fn note(&self, seen: &mut Observation) {
        let reasoning = self.reasoning.as_ref();
        let written = chars(self.text.as_ref())
            + chars(self.tool_use.as_ref().and_then(|call| call.input.as_ref()))
            + chars(reasoning.and_then(|reasoning| reasoning.text.as_ref()));
        seen.output_chars = seen.output_chars.saturating_add(written);
        let signed =
            |reasoning: &ReasoningDelta<'_>| reasoning.signature.is_some() || reasoning.redacted.is_some();
        seen.content |= written > 0 || reasoning.is_some_and(signed);
    }
}

#[derive(Deserialize)]
struct StartFrame {
    start: Start,
}

#[derive(Deserialize)]
struct Start {
    #[serde(rename = "toolUse")]
    tool_use: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StopFrame<'a> {
    #[serde(borrow, rename = "stopReason")]
    stop_reason: Name<'a>,
}

#[derive(Deserialize)]
struct MetadataFrame {
    usage: Option<WireUsage>,
    #[serde(default, rename = "serviceTier")]
    service_tier: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerView<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Name<'a>>,
    usage: Option<WireUsage>,
    service_tier: Option<serde_json::Value>,
    message: Option<IgnoredAny>,
    input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<Name<'a>>,
    #[serde(borrow, rename = "toolUse")]
    tool_use: Option<Call<'a>>,
    #[serde(borrow, rename = "reasoningContent")]
    reasoning: Option<Reasoning<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(borrow, rename = "reasoningText")]
    shown: Option<ReasoningText<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow)]
    text: Option<Name<'a>>,
}

impl Block<'_> {
    /// Text counts when there is some; every other block is content by being there.
    fn note(&self, seen: &mut Observation) {
        let input = self.tool_use.as_ref().and_then(|call| call.input).map_or("{}", RawValue::get);
        let shown = self.reasoning.as_ref().and_then(|reasoning| reasoning.shown.as_ref());
        let written = chars(self.text.as_ref())
            + chars(shown.and_then(|shown| shown.text.as_ref()))
            + if input == "{}" { 0 } else { input.chars().count() as u64 };
        seen.output_chars = seen.output_chars.saturating_add(written);
        seen.tool_call |= self.tool_use.is_some();
        seen.content |= written > 0 || self.text.is_none();
    }
}
