//! Cache points: blocks of their own behind what they end. Models take four and refuse a fifth.
//!
//! Which ones are kept when there are more: the first two of tools and system (the prefix every call
//! shares), then the latest ones of the messages (the next turn reads from there); what the messages
//! leave free goes back to tools and system. Points that callers of this dialect put where no part can
//! carry a mark always stay and count first.

use serde_json::Value;

use crate::ir::{CacheMark, Message, Part, Request, Tool};
use crate::loss::Losses;
use crate::wire::bedrock_converse::family::{Family, caches, caches_for_an_hour};
use crate::wire::bedrock_converse::types::{NO_TWIN, OWN};
use crate::wire::fields::Path;
use crate::wire::tree::{Node, Object};

const MOST: usize = 4;
const MOST_AHEAD: usize = 2;

/// How many points may still be written, or must still be skipped.
#[derive(Debug)]
pub(super) struct Points {
    family: Family,
    caches: bool,
    hour: bool,
    ahead_left: usize,
    surplus_in_messages: usize,
}

impl Points {
    /// Counts the marks of a request whose first `leading` messages are its system prompt.
    pub(super) fn plan(request: &Request, leading: usize, family: Family, model: &str) -> Self {
        let (system, rest) = request.messages.split_at(leading.min(request.messages.len()));
        let (mut fixed, mut ahead, mut later) = (0, 0, 0);
        for tool in &request.tools {
            match tool {
                Tool::Function { cache, .. } => {
                    ahead += usize::from(cache.is_some() && family.caches_tools())
                }
                Tool::Opaque { value, .. } => fixed += is_point(value),
            }
        }
        system.iter().for_each(|message| count(message, &mut ahead, &mut fixed));
        rest.iter().for_each(|message| count(message, &mut later, &mut fixed));
        let free = MOST.saturating_sub(fixed);
        let kept_later = later.min(free.saturating_sub(ahead.min(MOST_AHEAD)));
        Self {
            family,
            caches: caches(model),
            hour: caches_for_an_hour(model),
            ahead_left: free.saturating_sub(kept_later),
            surplus_in_messages: later - kept_later,
        }
    }

    /// The point behind a tool.
    pub(super) fn of_tool<'a>(
        &mut self,
        mark: Option<&CacheMark>,
        path: &Path<'_>,
        losses: &mut Losses,
    ) -> Option<Node<'a>> {
        if mark.is_some() && !self.family.caches_tools() {
            return lost(path, "this model takes no cache points among its tools", losses);
        }
        self.ahead(mark, path, losses)
    }

    /// The point behind a block of `system`, unless too many came before it.
    pub(super) fn ahead<'a>(
        &mut self,
        mark: Option<&CacheMark>,
        path: &Path<'_>,
        losses: &mut Losses,
    ) -> Option<Node<'a>> {
        let mark = mark?;
        match self.ahead_left.checked_sub(1) {
            Some(left) => self.ahead_left = left,
            None => return lost(path, "bedrock_converse takes at most four cache points", losses),
        }
        self.point(mark, path, losses)
    }

    /// The point behind a block of the messages, unless too many come after it.
    pub(super) fn in_messages<'a>(
        &mut self,
        mark: Option<&CacheMark>,
        path: &Path<'_>,
        losses: &mut Losses,
    ) -> Option<Node<'a>> {
        let mark = mark?;
        if let Some(left) = self.surplus_in_messages.checked_sub(1) {
            self.surplus_in_messages = left;
            return lost(path, "bedrock_converse takes at most four cache points", losses);
        }
        self.point(mark, path, losses)
    }

    fn point<'a>(&self, mark: &CacheMark, path: &Path<'_>, losses: &mut Losses) -> Option<Node<'a>> {
        if !self.caches {
            return lost(path, "this model takes no cache points", losses);
        }
        let place = path.field("cache_control");
        let mut point = Object::typed("default");
        for (name, value) in mark.raw.as_object().into_iter().flatten() {
            match (name.as_str(), value.as_str()) {
                ("type", _) => {}
                ("ttl", Some("5m")) => point.put("ttl", "5m"),
                ("ttl", Some("1h")) if self.hour => point.put("ttl", "1h"),
                ("ttl", Some("1h")) => {
                    let reason = "this model keeps its cache for five minutes";
                    losses.report(place.field("ttl").to_string(), reason);
                }
                _ if value.is_null() => {}
                _ => losses.report(place.field(name).to_string(), NO_TWIN),
            }
        }
        Some(Object::new().with("cachePoint", point).into())
    }
}

fn lost<'a>(path: &Path<'_>, reason: &str, losses: &mut Losses) -> Option<Node<'a>> {
    losses.report(path.field("cache_control").to_string(), reason);
    None
}

fn count(message: &Message, marks: &mut usize, fixed: &mut usize) {
    message.parts.iter().for_each(|part| *marks += marks_of(part, fixed));
}

/// The mark of a part, one at most: what is marked inside a result becomes the point behind it.
fn marks_of(part: &Part, fixed: &mut usize) -> usize {
    let mark = match part {
        Part::Text(text) if text.text.trim().is_empty() => &None,
        Part::Text(text) => &text.cache,
        Part::Image(image) => &image.cache,
        Part::Document(document) => &document.cache,
        Part::ToolCall(call) => &call.cache,
        Part::ToolResult(result) => return usize::from(of_result(result).is_some()),
        Part::Opaque { wire, value } if *wire == OWN => {
            *fixed += is_point(value);
            &None
        }
        _ => &None,
    };
    usize::from(mark.is_some())
}

/// The mark of a tool's result: its own, or the last one inside, where Converse takes none.
pub(super) fn of_result(result: &crate::ir::ToolResult) -> Option<&CacheMark> {
    let inside = |part: &'_ Part| match part {
        Part::Text(text) => text.cache.is_some(),
        Part::Image(image) => image.cache.is_some(),
        Part::Document(document) => document.cache.is_some(),
        _ => false,
    };
    result.cache.as_ref().or_else(|| match result.parts.iter().rfind(|part| inside(part))? {
        Part::Text(text) => text.cache.as_ref(),
        Part::Image(image) => image.cache.as_ref(),
        Part::Document(document) => document.cache.as_ref(),
        _ => None,
    })
}

fn is_point(value: &Value) -> usize {
    usize::from(value.get("cachePoint").is_some())
}
