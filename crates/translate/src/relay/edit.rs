//! Edits of a JSON object by span: what is not edited is copied as it came.

use std::borrow::Cow;
use std::iter::Peekable;
use std::ops::Range;
use std::slice::Iter;

use super::members::{Members, slice};

type Replacement<'a> = (Range<usize>, Cow<'a, [u8]>);

/// Edits of one body, collected first and applied in one pass.
pub(super) struct Edits<'a> {
    body: &'a [u8],
    members: &'a Members,
    /// Which members are left out, by their place in `members`.
    removed: Vec<bool>,
    /// Replaced keys and values; sorted when they are applied.
    replaced: Vec<Replacement<'a>>,
    /// Replaced ranges inside values: kept apart since they may be many and are never looked up.
    nested: Vec<Replacement<'a>>,
    /// Members added behind the last one: key and value, both as JSON.
    added: Vec<(String, String)>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(body: &'a [u8], members: &'a Members) -> Self {
        let removed = vec![false; members.list.len()];
        Self { body, members, removed, replaced: Vec::new(), nested: Vec::new(), added: Vec::new() }
    }

    /// The place of the member that bears `name` after the edits so far.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        (0..self.members.list.len()).find(|at| !self.is_removed(*at) && self.is_named(*at, name))
    }

    /// The value of a member after the edits so far (nested edits not seen).
    pub(super) fn value(&self, at: usize) -> &[u8] {
        self.members.list.get(at).map_or(&[], |member| self.text(&member.value))
    }

    /// Where the value of a member stands in the body.
    pub(super) fn value_span(&self, at: usize) -> Range<usize> {
        self.members.list.get(at).map_or(0..0, |member| member.value.clone())
    }

    pub(super) fn body(&self) -> &'a [u8] {
        self.body
    }

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(removed) = self.removed.get_mut(at) {
            *removed = true;
        }
    }

    pub(super) fn rename(&mut self, at: usize, name: &str) {
        if let Some(member) = self.members.list.get(at) {
            self.replace(member.key.clone(), quoted(name).into_bytes());
        }
    }

    pub(super) fn replace_value(&mut self, at: usize, json: impl Into<Cow<'a, [u8]>>) {
        if let Some(member) = self.members.list.get(at) {
            self.replace(member.value.clone(), json);
        }
    }

    /// Replaces a range. Ranges must not overlap, but the same one may be replaced again.
    pub(super) fn replace(&mut self, span: Range<usize>, with: impl Into<Cow<'a, [u8]>>) {
        let with = with.into();
        match self.replaced.iter_mut().find(|(known, _)| *known == span) {
            Some(known) => known.1 = with,
            None => self.replaced.push((span, with)),
        }
    }

    /// Replaces ranges inside values that are themselves not replaced.
    pub(super) fn replace_nested(
        &mut self,
        spans: impl Iterator<Item = Range<usize>>,
        with: impl Into<Cow<'a, [u8]>>,
    ) {
        let with = with.into();
        self.nested.extend(spans.map(|span| (span, with.clone())));
    }

    pub(super) fn add(&mut self, name: &str, json: String) {
        self.added.push((quoted(name), json));
    }

    /// The edited body; borrowed when there was nothing to edit.
    pub(super) fn apply(mut self) -> Cow<'a, [u8]> {
        self.replaced.append(&mut self.nested);
        let untouched = self.replaced.is_empty() && self.added.is_empty() && !self.removed.contains(&true);
        if untouched {
            return Cow::Borrowed(self.body);
        }
        self.replaced.sort_by_key(|(span, _)| span.start);
        let grown: usize = self.replaced.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(self.body.len() + grown + 64 * self.added.len());
        self.write(&mut out);
        Cow::Owned(out)
    }

    /// Each member is written with what stands before it (comma and white space); the first one kept
    /// takes the place of the first one of the body.
    fn write(&self, out: &mut Vec<u8>) {
        let first_key = self.members.list.first().map_or(self.members.open, |member| member.key.start);
        let mut next = self.replaced.iter().peekable();
        let mut lead = self.members.open;
        out.extend_from_slice(slice(self.body, &(0..first_key)));
        let mut kept = 0_usize;
        for (at, member) in self.members.list.iter().enumerate() {
            if !self.is_removed(at) {
                let from = if kept == 0 { member.key.start } else { lead };
                self.copy(from..member.value.end, &mut next, out);
                kept += 1;
            }
            lead = member.value.end;
        }
        for (key, json) in &self.added {
            if kept > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b':');
            out.extend_from_slice(json.as_bytes());
            kept += 1;
        }
        let tail = if self.members.list.is_empty() { first_key } else { lead };
        out.extend_from_slice(slice(self.body, &(tail..self.body.len())));
    }

    /// Copies a range of the body with its replacements; those before it belong to removed members.
    fn copy<'b>(
        &self,
        range: Range<usize>,
        next: &mut Peekable<Iter<'b, Replacement<'_>>>,
        out: &mut Vec<u8>,
    ) {
        let mut from = range.start;
        while let Some((span, with)) = next.next_if(|(span, _)| span.start < range.end) {
            if span.start < from {
                continue;
            }
            out.extend_from_slice(slice(self.body, &(from..span.start)));
            out.extend_from_slice(with);
            from = span.end;
        }
        out.extend_from_slice(slice(self.body, &(from..range.end)));
    }

    fn is_removed(&self, at: usize) -> bool {
        self.removed.get(at).copied().unwrap_or(true)
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        let Some(member) = self.members.list.get(at) else { return false };
        match self.replaced.iter().find(|(span, _)| *span == member.key) {
            Some((_, key)) => key.as_ref() == quoted(name).as_bytes(),
            None => member.is(self.body, name),
        }
    }

    fn text(&self, span: &Range<usize>) -> &[u8] {
        match self.replaced.iter().find(|(known, _)| known == span) {
            Some((_, with)) => with,
            None => slice(self.body, span),
        }
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
