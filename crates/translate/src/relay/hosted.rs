//! Claude at another cloud: what of a messages body only Anthropic's own API takes, left out by span. Callers
//! that believe they speak to Anthropic (Claude Code) send all of it, and one such field is a 400 for the
//! whole request.
//!
//! Must not touch anything else: the rest is the prefix that the host has cached.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::edit::Edits;
use super::members::{Members, slice, string};
use crate::loss::Losses;
use crate::provider::{Fix, Quirks};

#[cfg(test)]
mod tests;

/// Claude Code's first system line. It changes per session, and hosts refuse it by name.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";
const SCOPE: &[u8] = b"\"scope\"";
/// Lists in lists that hold marks: messages, their blocks, and the blocks of a tool's result.
const LEVELS: usize = 3;

/// Whether any of it may stand in the body: a search costs a tenth of reading it.
pub(super) fn may_apply(body: &[u8]) -> bool {
    let holds = |word: &[u8]| memchr::memmem::find(body, word).is_some();
    holds(BILLING_HEADER.as_bytes()) || holds(b"\"cache_control\"") || may_run_tools(body)
}

/// Collects the edits. `served` are the types of Anthropic's own tools that this host runs as well.
pub(super) fn collect(edits: &mut Edits<'_>, served: &[&str], losses: &mut Losses) {
    drop_automatic_caching(edits, losses);
    drop_billing_line(edits, losses);
    drop_scopes(edits, losses);
    drop_tools(edits, served, losses);
}

/// A finished body without the members whose beta is not asked for: they would be refused. The betas stand in
/// their place: in the body, or in `header`, the value of `anthropic-beta` (empty without one). `None` when all
/// may stay.
#[must_use]
pub fn without_unasked(body: &[u8], header: &str, quirks: &Quirks, losses: &mut Losses) -> Option<Vec<u8>> {
    let needs = |fix: &Fix| match *fix {
        Fix::NeedsBeta(field, betas) => {
            memchr::memmem::find(body, field.as_bytes()).is_some().then_some((field, betas))
        }
        _ => None,
    };
    let mut needed = quirks.fixes.iter().filter_map(needs).peekable();
    needed.peek()?;
    let members = Members::scan(body).ok()?;
    let mut edits = Edits::new(body, &members);
    let named = edits.find("anthropic_beta").map(|at| edits.value(at));
    let named =
        named.and_then(|list| serde_json::from_slice::<Vec<&RawValue>>(list).ok()).unwrap_or_default();
    let named = named.iter().filter_map(|name| string(name.get().as_bytes()));
    let asked: Vec<_> = named.chain(header.split(',').map(|name| Cow::Borrowed(name.trim()))).collect();
    let is_asked = |betas: &[&str]| asked.iter().any(|name| betas.iter().any(|beta| name.starts_with(beta)));
    let unasked: Vec<_> = needed.filter(|(_, betas)| !is_asked(betas)).collect();
    for (field, _) in unasked {
        let Some(at) = edits.find(field) else { continue };
        losses.report(field, "this host takes it with its beta only");
        edits.remove(at);
    }
    match edits.apply() {
        Cow::Borrowed(_) => None,
        Cow::Owned(body) => Some(body),
    }
}

/// Cuts one member out of every tool; said once, where it asked for anything.
pub(super) fn drop_in_tools(edits: &mut Edits<'_>, name: &str, losses: &mut Losses) {
    let Some(at) = edits.find("tools") else { return };
    let span = edits.value_span(at);
    let tools = slice(edits.body(), &span);
    if memchr::memmem::find(tools, name.as_bytes()).is_none() {
        return;
    }
    let mut cuts = Vec::new();
    let mut asked = false;
    for item in items(tools) {
        let tool = slice(tools, &item);
        let Some(found) = cut_of(tool, name) else { continue };
        asked |= member(tool, name).is_some_and(|value| !matches!(value, b"false" | b"null"));
        cuts.push(shifted(&found, span.start + item.start));
    }
    if asked {
        losses.report(format!("tools[].{name}"), "the provider does not take it of tools");
    }
    edits.replace_nested(cuts.into_iter(), &b""[..]);
}

/// The whole request's `cache_control`: the marks on blocks are what hosts know.
fn drop_automatic_caching(edits: &mut Edits<'_>, losses: &mut Losses) {
    let Some(at) = edits.find("cache_control") else { return };
    if edits.value(at) != b"null" {
        losses.report("cache_control", "this host caches by marks on blocks only");
    }
    edits.remove(at);
}

fn drop_billing_line(edits: &mut Edits<'_>, losses: &mut Losses) {
    let Some(at) = edits.find("system") else { return };
    let span = edits.value_span(at);
    let system = slice(edits.body(), &span);
    if memchr::memmem::find(system, BILLING_HEADER.as_bytes()).is_none() {
        return;
    }
    let reason = "Anthropic's billing line is of no use to this provider";
    if let Some(text) = string(system) {
        if let Some(rest) = text.strip_prefix(BILLING_HEADER) {
            losses.report("system", reason);
            let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            match rest.trim().is_empty() {
                true => edits.remove(at),
                false => edits.replace_value(at, super::edit::quoted(rest).into_bytes()),
            }
        }
        return;
    }
    let items = items(system);
    let is_line = |item: &Range<usize>| {
        let text = member(slice(system, item), "text").and_then(|text| text.strip_prefix(b"\""));
        text.is_some_and(|text| text.starts_with(BILLING_HEADER.as_bytes()))
    };
    let dropped: Vec<bool> = items.iter().map(is_line).collect();
    for (index, _) in dropped.iter().enumerate().filter(|(_, dropped)| **dropped) {
        losses.report(format!("system[{index}]"), reason);
    }
    cut(edits, at, &items, &dropped);
}

/// `scope` in the marks of system blocks, tools, and what the messages hold.
fn drop_scopes(edits: &mut Edits<'_>, losses: &mut Losses) {
    let mut scopes = Vec::new();
    for name in ["system", "tools", "messages"] {
        let Some(at) = edits.find(name) else { continue };
        let span = edits.value_span(at);
        let list = slice(edits.body(), &span);
        if memchr::memmem::find(list, SCOPE).is_some() {
            scopes_of(list, span.start, if name == "messages" { LEVELS } else { 1 }, &mut scopes);
        }
    }
    if !scopes.is_empty() {
        losses.report("cache_control.scope", "this host's caches have one scope");
        edits.replace_nested(scopes.into_iter(), &b""[..]);
    }
}

/// The spans to cut from the marks of the items of a list, and of the `levels` of lists in it.
fn scopes_of(list: &[u8], base: usize, levels: usize, found: &mut Vec<Range<usize>>) {
    for item in items(list) {
        let text = slice(list, &item);
        if memchr::memmem::find(text, SCOPE).is_none() {
            continue;
        }
        let Ok(members) = Members::scan(text) else { continue };
        let base = base + item.start;
        if let Some(mark) = members.span(text, "cache_control") {
            found.extend(cut_of(slice(text, &mark), "scope").map(|cut| shifted(&cut, base + mark.start)));
        }
        if let Some(content) = members.span(text, "content").filter(|_| levels > 1) {
            scopes_of(slice(text, &content), base + content.start, levels - 1, found);
        }
    }
}

/// The member `name` of an object, with the comma that goes with it.
fn cut_of(object: &[u8], name: &str) -> Option<Range<usize>> {
    let members = Members::scan(object).ok()?;
    let at = members.list.iter().position(|member| member.is(object, name))?;
    let ends = |at: usize| members.list.get(at).map(|member| (member.key.start, member.value.end));
    let (from, to) = ends(at)?;
    Some(match (at.checked_sub(1).and_then(ends), ends(at + 1)) {
        (Some((_, before)), _) => before..to,
        (None, Some((after, _))) => from..after,
        (None, None) => from..to,
    })
}

/// Tools that Anthropic runs itself and this host does not, and the choice of one of them.
fn drop_tools(edits: &mut Edits<'_>, served: &[&str], losses: &mut Losses) {
    let Some(at) = edits.find("tools") else { return };
    let span = edits.value_span(at);
    let tools = slice(edits.body(), &span);
    if !may_run_tools(tools) {
        return;
    }
    let items = items(tools);
    let mut names: Vec<String> = Vec::new();
    let mut dropped = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let tool = slice(tools, item);
        let kind = member(tool, "type").and_then(string);
        let foreign = kind.is_some_and(|kind| is_anthropics(&kind) && !served.contains(&kind.as_ref()));
        if foreign {
            losses.report(format!("tools[{index}]"), "this host does not run the tool");
            names.extend(member(tool, "name").and_then(string).map(|name| name.into_owned()));
        }
        dropped.push(foreign);
    }
    let none_left = dropped.iter().all(|dropped| *dropped);
    cut(edits, at, &items, &dropped);
    let Some(at) = edits.find("tool_choice") else { return };
    let choice = edits.value(at);
    let chosen = member(choice, "name").and_then(string);
    if none_left || chosen.is_some_and(|chosen| names.iter().any(|name| *name == chosen)) {
        losses.report("tool_choice", "the tool it is about was left out");
        edits.remove(at);
    }
}

/// The families of tools that run at Anthropic; behind most of them stands a date.
const RUN_BY_ANTHROPIC: [&str; 5] =
    ["web_search_", "web_fetch_", "code_execution_", "advisor_", "mcp_toolset"];

fn is_anthropics(kind: &str) -> bool {
    RUN_BY_ANTHROPIC.iter().any(|family| kind.starts_with(family))
}

/// A quick look for tools that might have to go.
fn may_run_tools(text: &[u8]) -> bool {
    let mut families = RUN_BY_ANTHROPIC.iter();
    families.any(|family| memchr::memmem::find(text, format!("\"{family}").as_bytes()).is_some())
}

/// Cuts the `dropped` items out of the list that is the value of the member at `at`; the member goes with
/// the last of them.
fn cut(edits: &mut Edits<'_>, at: usize, items: &[Range<usize>], dropped: &[bool]) {
    if !dropped.contains(&true) {
        return;
    }
    if dropped.iter().all(|dropped| *dropped) {
        return edits.remove(at);
    }
    let base = edits.value_span(at).start;
    let mut kept: Option<usize> = None;
    let mut spans = Vec::new();
    for (index, (item, dropped)) in items.iter().zip(dropped).enumerate() {
        match (dropped, kept) {
            (false, _) => kept = Some(item.end),
            // With the comma before it, or, where nothing stays before it, up to the next item.
            (true, Some(_)) => {
                let before = index
                    .checked_sub(1)
                    .and_then(|before| items.get(before))
                    .map_or(item.start, |before| before.end);
                spans.push(shifted(&(before..item.end), base));
            }
            (true, None) => {
                let next = items.get(index + 1).map_or(item.end, |next| next.start);
                spans.push(shifted(&(item.start..next), base));
            }
        }
    }
    edits.replace_nested(spans.into_iter(), &b""[..]);
}

fn shifted(span: &Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// Where the items of a list stand; none for anything but a list.
fn items(list: &[u8]) -> Vec<Range<usize>> {
    let base = list.as_ptr() as usize;
    let Ok(all) = serde_json::from_slice::<Vec<&RawValue>>(list) else { return Vec::new() };
    let span = |item: &RawValue| {
        let from = (item.get().as_ptr() as usize).saturating_sub(base);
        from..from + item.get().len()
    };
    all.into_iter().map(span).collect()
}

/// The value of a member of an object.
fn member<'t>(object: &'t [u8], name: &str) -> Option<&'t [u8]> {
    Members::scan(object).ok()?.value(object, name)
}
