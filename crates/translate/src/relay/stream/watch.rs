//! An [`Observation`] filled from events, as relayed frames fill it through their codec.

use crate::ir::{Delta, Event, PartKind};
use crate::wire::Observation;

/// Notes one event.
pub(super) fn note(seen: &mut Observation, event: &Event) {
    match event {
        Event::Start { model, .. } if !model.is_empty() => seen.model = Some(model.clone()),
        Event::PartStart { choice, kind, .. } => part_start(seen, *choice, kind),
        Event::PartDelta { choice, delta, .. } => part_delta(seen, *choice, delta),
        Event::Finish { choice, finish } => {
            open(seen, *choice);
            if seen.choices_open == bit(*choice)
                && let Some(failure) = finish.failure()
            {
                // No dialect has a word for it: it ends like any stream that broke off.
                seen.failure = Some(failure);
                return;
            }
            seen.choices_finished |= bit(*choice);
            if seen.choices_open & !seen.choices_finished == 0 {
                seen.finish = Some(finish.reason);
            }
        }
        Event::Usage(usage) => seen.usage = Some(*usage),
        Event::Failure(failure) => seen.failure = Some(failure.clone()),
        Event::End => seen.done = true,
        Event::Start { .. }
        | Event::PartStop { .. }
        | Event::Logprobs { .. }
        | Event::Lost { .. }
        | Event::Ping => {}
    }
}

fn part_start(seen: &mut Observation, choice: u32, kind: &PartKind) {
    open(seen, choice);
    match kind {
        PartKind::ToolCall { .. } => {
            seen.tool_call = true;
            seen.content = true;
        }
        PartKind::Image(_) | PartKind::RedactedThinking { .. } | PartKind::Opaque { .. } => {
            seen.content = true
        }
        PartKind::Text | PartKind::Refusal | PartKind::Thinking => {}
    }
}

fn part_delta(seen: &mut Observation, choice: u32, delta: &Delta) {
    open(seen, choice);
    let text = match delta {
        Delta::Text(text) | Delta::Refusal(text) | Delta::Thinking(text) | Delta::Arguments(text) => text,
        Delta::Signature(_) | Delta::Citation(_) | Delta::Opaque(_) => return,
    };
    if !text.is_empty() {
        seen.content = true;
        seen.output_chars = seen.output_chars.saturating_add(text.chars().count() as u64);
    }
}

/// A choice that opens after all others finished makes the answer unfinished again.
fn open(seen: &mut Observation, choice: u32) {
    let bit = bit(choice);
    if seen.choices_open & bit != bit {
        seen.choices_open |= bit;
        seen.finish = None;
    }
}

/// Choices from 64 on are not told apart: no provider gives as many.
fn bit(choice: u32) -> u64 {
    1_u64.checked_shl(choice).unwrap_or(0)
}
