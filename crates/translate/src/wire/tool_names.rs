//! Names of tools within what a provider takes. A caller's names are its own (`server.tool`, the long ones of
//! MCP servers); a name the provider refuses costs the whole request.
//!
//! A name that fits stays. Another is written with a digest, the same in every turn and on every machine, in
//! tools, choice and history alike, and the caller finds its own name in the answer. Must not remember
//! anything beyond one request.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Wire;
use super::ids::digest;
use crate::ir::{Event, Message, Part, PartKind, Request, Response, Tool, ToolChoice};

/// Why a tool is not sent to a provider that cannot be told of it without being let call it.
pub(crate) const LEFT_OUT: &str = "left out: other tools are to be chosen from";

/// Signs behind the beginning of a name that did not fit: an underscore and eight digits.
const TAIL: usize = 9;

/// The names of one request that its provider knows by another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames(Vec<(String, String)>);

impl ToolNames {
    /// The names in `request` that a provider of `wire` does not take as they are.
    #[must_use]
    pub fn of(request: &Request, wire: Wire) -> Self {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut names: Vec<(String, String)> = Vec::new();
        for name in all(request) {
            if !fits(name, wire) && seen.insert(name) {
                names.push((fit(name, wire).into_owned(), name.to_owned()));
            }
        }
        Self(names)
    }

    /// Every name is taken as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the calls of an answer the caller's names.
    pub fn restore(&self, response: &mut Response) {
        for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let Part::ToolCall(call) = part {
                self.give_back(&mut call.name);
            }
        }
    }

    /// The same for one step of a streamed answer.
    pub fn restore_step(&self, event: &mut Event) {
        if let Event::PartStart { kind: PartKind::ToolCall { name, .. }, .. } = event {
            self.give_back(name);
        }
    }

    fn give_back(&self, name: &mut String) {
        if let Some((_, own)) = self.0.iter().find(|(fitted, _)| fitted == name) {
            name.clone_from(own);
        }
    }
}

/// The request with names that a provider of `wire` takes; a copy only where one must change.
pub(crate) fn fitted(request: &Request, wire: Wire) -> Cow<'_, Request> {
    if all(request).all(|name| fits(name, wire)) {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    let change = |name: &mut String| {
        if let Cow::Owned(fitted) = fit(name, wire) {
            *name = fitted;
        }
    };
    for tool in &mut request.tools {
        if let Tool::Function { name, .. } = tool {
            change(name);
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Named(name)) => change(name),
        Some(ToolChoice::Among { names, .. }) => names.iter_mut().for_each(change),
        _ => {}
    }
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ToolCall(call) = part {
            change(&mut call.name);
        }
    }
    Cow::Owned(request)
}

/// The name as `wire` takes it.
fn fit(name: &str, wire: Wire) -> Cow<'_, str> {
    if fits(name, wire) {
        return Cow::Borrowed(name);
    }
    let sign = |c: char| if u8::try_from(c).is_ok_and(|byte| takes(byte, wire)) { c } else { '_' };
    let kept: String = name.chars().map(sign).take(most(wire) - TAIL).collect();
    let first = if kept.bytes().next().is_some_and(begins) { "" } else { "t_" };
    let kept: String = first.chars().chain(kept.chars()).take(most(wire) - TAIL).collect();
    Cow::Owned(format!("{kept}_{:08x}", digest(name) & 0xffff_ffff))
}

fn fits(name: &str, wire: Wire) -> bool {
    let first = name.bytes().next().is_some_and(|byte| wire != Wire::Gemini || begins(byte));
    first && name.len() <= most(wire) && name.bytes().all(|byte| takes(byte, wire))
}

/// The longest name, in bytes. Cohere tells no limit: that of the others is kept.
fn most(wire: Wire) -> usize {
    if wire == Wire::Anthropic { 128 } else { 64 }
}

/// Letters, digits, `_` and `-`; Gemini takes dots and colons too.
fn takes(byte: u8, wire: Wire) -> bool {
    let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    plain || (wire == Wire::Gemini && matches!(byte, b'.' | b':'))
}

/// What Gemini's names begin with.
fn begins(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn all(request: &Request) -> impl Iterator<Item = &str> {
    let tools = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function { name, .. } => Some(name.as_str()),
        Tool::Opaque { .. } => None,
    });
    let (one, several): (Option<&str>, &[String]) = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => (Some(name), &[]),
        Some(ToolChoice::Among { names, .. }) => (None, names),
        _ => (None, &[]),
    };
    let calls = request.messages.iter().flat_map(called);
    tools.chain(one).chain(several.iter().map(String::as_str)).chain(calls)
}

fn called(message: &Message) -> impl Iterator<Item = &str> {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitting_name_stays_and_another_fits_afterwards() {
        let long = "mcp__a_server_with_a_long_name__and_a_tool_whose_name_is_longer_still";
        let names = ["f", "ns.tool", "fs.read:file", "1st-tool", long, "é", "", &long.repeat(2)];
        for wire in Wire::ALL {
            let mut seen: Vec<String> = Vec::new();
            for name in names {
                let fitted = fit(name, wire).into_owned();
                assert!(fits(&fitted, wire), "{wire:?} {name:?} {fitted:?}");
                assert_eq!(fits(name, wire), fitted == name);
                assert_eq!(fit(&fitted, wire), fitted, "fitting twice changes nothing");
                assert!(!seen.contains(&fitted), "{wire:?} {name:?}");
                seen.push(fitted);
            }
        }
        assert!(fits("fs.read:file", Wire::Gemini) && !fits("1st", Wire::Gemini));
        assert!(fits(long, Wire::Anthropic) && !fits(long, Wire::OpenAiChat));
        assert!(fits("1st-tool", Wire::OpenAiChat) && !fits("", Wire::Cohere));
    }

    #[test]
    fn many_names_that_do_not_fit_took_time_by_their_square() {
        let began = std::time::Instant::now();
        let names: Vec<String> = (0..60_000).map(|n| format!("a.tool.of.a.server.{n}")).collect();
        let twice = names.iter().chain(&names).cloned().collect();
        let choice = ToolChoice::Among { names: twice, required: false };
        let request = Request { tool_choice: Some(choice), ..Request::default() };
        let known = ToolNames::of(&request, Wire::OpenAiChat);
        assert!(known.0.iter().map(|(_, own)| own).eq(&names));
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}
