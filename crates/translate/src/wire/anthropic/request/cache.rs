//! Prompt-cache breakpoints: the API takes four and refuses a fifth.
//!
//! Which ones are kept when there are more: the first two of tools and system (the prefix every call
//! shares), then the latest ones of the messages (the next turn reads from there); what the messages
//! leave free goes back to tools and system. Marks inside opaque blocks always stay and count first.

use serde_json::Value;

use crate::ir::{CacheMark, Message, Part, Request, Tool};
use crate::loss::Losses;
use crate::wire::anthropic::Wire;
use crate::wire::anthropic::types::Place;

const MOST: usize = 4;
const MOST_AHEAD: usize = 2;

/// How many marks may still be written, or must still be skipped.
#[derive(Debug)]
pub(super) struct Marks {
    ahead_left: usize,
    surplus_in_messages: usize,
}

impl Marks {
    /// Counts the marks of a request whose first `leading` messages are its system prompt.
    pub(super) fn plan(request: &Request, leading: usize) -> Self {
        let (system, rest) = request.messages.split_at(leading.min(request.messages.len()));
        let mut fixed = usize::from(request.extra.fields.contains_key("cache_control"));
        let mut ahead = 0;
        for tool in &request.tools {
            match tool {
                Tool::Function { cache, .. } => ahead += usize::from(cache.is_some()),
                Tool::Opaque { value, .. } => fixed += opaque(value),
            }
        }
        let mut later = 0;
        system.iter().for_each(|message| count(message, &mut ahead, &mut fixed));
        rest.iter().for_each(|message| count(message, &mut later, &mut fixed));
        let free = MOST.saturating_sub(fixed);
        let kept_later = later.min(free.saturating_sub(ahead.min(MOST_AHEAD)));
        Self { ahead_left: free.saturating_sub(kept_later), surplus_in_messages: later - kept_later }
    }

    /// The mark of a tool or system block, unless too many came before it.
    pub(super) fn ahead<'a>(
        &mut self,
        mark: Option<&'a CacheMark>,
        place: &Place<'_>,
        losses: &mut Losses,
    ) -> Option<&'a Value> {
        let mark = mark?;
        match self.ahead_left.checked_sub(1) {
            Some(left) => self.ahead_left = left,
            None => return surplus(place, losses),
        }
        Some(&mark.raw)
    }

    /// The mark of a block in the messages, unless too many come after it.
    pub(super) fn in_messages<'a>(
        &mut self,
        mark: Option<&'a CacheMark>,
        place: &Place<'_>,
        losses: &mut Losses,
    ) -> Option<&'a Value> {
        let mark = mark?;
        if let Some(left) = self.surplus_in_messages.checked_sub(1) {
            self.surplus_in_messages = left;
            return surplus(place, losses);
        }
        Some(&mark.raw)
    }
}

fn surplus<'a>(place: &Place<'_>, losses: &mut Losses) -> Option<&'a Value> {
    let path = place.field("cache_control").to_string();
    losses.report(path, "anthropic takes at most four cache breakpoints");
    None
}

fn count(message: &Message, marks: &mut usize, fixed: &mut usize) {
    for part in &message.parts {
        count_part(part, marks, fixed);
    }
}

fn count_part(part: &Part, marks: &mut usize, fixed: &mut usize) {
    let mark = match part {
        Part::Text(text) if text.text.trim().is_empty() => &None,
        Part::Text(text) => &text.cache,
        Part::Image(image) => &image.cache,
        Part::Document(document) => &document.cache,
        Part::ToolCall(call) => &call.cache,
        Part::ToolResult(result) => {
            result.parts.iter().for_each(|inner| count_part(inner, marks, fixed));
            &result.cache
        }
        Part::Opaque { wire: Wire::Anthropic, value } => {
            *fixed += opaque(value);
            &None
        }
        _ => &None,
    };
    *marks += usize::from(mark.is_some());
}

fn opaque(value: &Value) -> usize {
    usize::from(value.get("cache_control").is_some_and(|mark| !mark.is_null()))
}
