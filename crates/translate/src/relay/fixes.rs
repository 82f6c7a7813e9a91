//! A provider's quirks applied to a request body, by span.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::edit::{Edits, quoted};
use super::hosted;
use super::members::{Members, slice, string};
use crate::loss::Losses;
use crate::provider::{CallIdForm, Fix, Quirks};
use crate::wire::ids::{self, IdRule};

/// Applies the fixes to a body an encoder made. A body that is no JSON object comes back as it is.
#[must_use]
pub fn apply_quirks(body: Vec<u8>, quirks: &Quirks, losses: &mut Losses) -> Vec<u8> {
    if !quirks.fixes.iter().any(|fix| may_apply(fix, &body)) {
        return body;
    }
    let Ok(members) = Members::scan(&body) else { return body };
    let mut edits = Edits::new(&body, &members);
    collect(&mut edits, quirks, losses);
    match edits.apply() {
        Cow::Borrowed(_) => body,
        Cow::Owned(edited) => edited,
    }
}

/// Whether the words that a fix looks for stand anywhere in the body: a search costs a tenth of reading it.
/// Encoders never write these names with escapes.
fn may_apply(fix: &Fix, body: &[u8]) -> bool {
    let word = match *fix {
        Fix::Put(..) => return true,
        Fix::Drop(field) | Fix::Take(field) | Fix::Rename(field, _) | Fix::Respell(field, _, _) => field,
        Fix::DeveloperToSystem => "developer",
        // Stands in `tools`, `tool_choice` and `parallel_tool_calls`.
        Fix::DropEmptyTools => "tool",
        // The encoder has seen to it.
        Fix::CallIds(_) => return false,
        Fix::DropInTools(member) => member,
        Fix::Hosted(_) => return hosted::may_apply(body),
        // Waits for the betas to stand in their place.
        Fix::NeedsBeta(..) => return false,
    };
    memchr::memmem::find(body, word.as_bytes()).is_some()
}

/// Collects the edits that the fixes ask for, in their order.
pub(super) fn collect(edits: &mut Edits<'_>, quirks: &Quirks, losses: &mut Losses) {
    for fix in quirks.fixes {
        match *fix {
            Fix::Drop(field) => drop_field(edits, field, losses),
            Fix::Take(field) => edits.find(field).into_iter().for_each(|at| edits.remove(at)),
            Fix::Put(field, json) => {
                if edits.find(field).is_none() {
                    edits.add(field, json.to_owned());
                }
            }
            Fix::Rename(from, to) => rename(edits, from, to, losses),
            Fix::Respell(field, from, to) => respell(edits, field, from, to),
            Fix::DeveloperToSystem => developer_to_system(edits),
            Fix::DropEmptyTools => drop_empty_tools(edits, losses),
            Fix::CallIds(CallIdForm::Forty) => {}
            Fix::CallIds(CallIdForm::Nine) => fit_call_ids(edits, IdRule::NINE),
            Fix::DropInTools(member) => hosted::drop_in_tools(edits, member, losses),
            Fix::Hosted(served) => hosted::collect(edits, served, losses),
            Fix::NeedsBeta(..) => {}
        }
    }
}

fn drop_field(edits: &mut Edits<'_>, field: &'static str, losses: &mut Losses) {
    let Some(at) = edits.find(field) else { return };
    if edits.value(at) != b"null" {
        losses.report(field, "the provider does not take this field");
    }
    edits.remove(at);
}

fn rename(edits: &mut Edits<'_>, from: &'static str, to: &'static str, losses: &mut Losses) {
    let Some(at) = edits.find(from) else { return };
    let Some(other) = edits.find(to) else { return edits.rename(at, to) };
    if edits.value(at) != edits.value(other) {
        losses.report(from, format!("the provider knows it as {to}, which was given too"));
    }
    edits.remove(at);
}

fn respell(edits: &mut Edits<'_>, field: &str, from: &str, to: &str) {
    let Some(at) = edits.find(field) else { return };
    if string(edits.value(at)).is_some_and(|text| text == from) {
        edits.replace_value(at, quoted(to).into_bytes());
    }
}

/// A role written with escapes (`"\u0064eveloper"`) is not looked for: the word's absence spares
/// nearly every body the second pass.
fn developer_to_system(edits: &mut Edits<'_>) {
    let Some(at) = edits.find("messages") else { return };
    let span = edits.value_span(at);
    let messages = slice(edits.body(), &span);
    if memchr::memmem::find(messages, b"\"developer\"").is_none() {
        return;
    }
    let roles = developer_roles(messages);
    let spans = roles.into_iter().map(|role| span.start + role.start..span.start + role.end);
    edits.replace_nested(spans, &b"\"system\""[..]);
}

/// An empty list of tools says nothing, and is refused by some; so is a choice among no tools.
fn drop_empty_tools(edits: &mut Edits<'_>, losses: &mut Losses) {
    let tools = edits.find("tools");
    if tools.is_some_and(|at| !is_empty_list(edits.value(at))) {
        return;
    }
    if let Some(at) = tools {
        edits.remove(at);
    }
    if let Some(at) = edits.find("tool_choice") {
        if !matches!(edits.value(at), b"null" | b"\"auto\"" | b"\"none\"") {
            losses.report("tool_choice", "no tools were given to choose from");
        }
        edits.remove(at);
    }
    if let Some(at) = edits.find("parallel_tool_calls") {
        edits.remove(at);
    }
}

fn is_empty_list(value: &[u8]) -> bool {
    let inner = value.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    value == b"null" || inner.is_some_and(|inner| inner.iter().all(u8::is_ascii_whitespace))
}

/// The ids of calls and results in messages. Ids are never told to the caller: answers name new ones.
fn fit_call_ids(edits: &mut Edits<'_>, rule: IdRule) {
    let Some(at) = edits.find("messages") else { return };
    let span = edits.value_span(at);
    let messages = slice(edits.body(), &span);
    for (from, message) in elements(messages, b"\"tool_call") {
        let Ok(members) = Members::scan(message) else { continue };
        for member in &members.list {
            let value = slice(message, &member.value);
            let from = span.start + from + member.value.start;
            if member.is(message, "tool_call_id") {
                fit_id(edits, from, value, rule);
            } else if member.is(message, "tool_calls") {
                for (inner, call) in elements(value, b"\"id\"") {
                    let Ok(members) = Members::scan(call) else { continue };
                    for id in members.list.iter().filter(|member| member.is(call, "id")) {
                        fit_id(edits, from + inner + id.value.start, slice(call, &id.value), rule);
                    }
                }
            }
        }
    }
}

fn fit_id(edits: &mut Edits<'_>, from: usize, value: &[u8], rule: IdRule) {
    let Some(id) = string(value) else { return };
    if let Cow::Owned(fitted) = ids::fit(&id, rule) {
        edits.replace_nested(std::iter::once(from..from + value.len()), quoted(&fitted).into_bytes());
    }
}

/// The spans, within the list's text, of the role values that are `"developer"`.
fn developer_roles(messages: &[u8]) -> Vec<Range<usize>> {
    let mut roles = Vec::new();
    for (from, element) in elements(messages, b"\"developer\"") {
        let Ok(members) = Members::scan(element) else { continue };
        let role = members.list.iter().filter(|member| member.is(element, "role"));
        let role = role.filter(|member| slice(element, &member.value) == b"\"developer\"");
        roles.extend(role.map(|member| from + member.value.start..from + member.value.end));
    }
    roles
}

/// The elements of a list that say `words` somewhere, each with its place in the list's text.
fn elements<'a>(list: &'a [u8], words: &[u8]) -> Vec<(usize, &'a [u8])> {
    let base = list.as_ptr() as usize;
    let Ok(all) = serde_json::from_slice::<Vec<&'a RawValue>>(list) else { return Vec::new() };
    let texts = all.into_iter().map(|element| element.get().as_bytes());
    let holding = texts.filter(|text| memchr::memmem::find(text, words).is_some());
    holding.map(|text| ((text.as_ptr() as usize).saturating_sub(base), text)).collect()
}
