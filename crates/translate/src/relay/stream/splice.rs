//! The seam between a stream that broke and the one that goes on with it, in events.
//!
//! A caller has one answer: one start, parts numbered on, an open text that stays the open one, counts that are those
//! of all attempts. The second provider knows nothing of that; here its events are made to fit. Nothing is compared and
//! nothing guessed: of what comes twice only white space at the seam is taken out.

use crate::ir::{Delta, Event, PartKind, Usage};

/// A caller's text beyond this is not gone on with, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Where the answer stands for its caller.
#[derive(Debug, Clone, Default)]
pub(super) struct Splice {
    /// All text so far.
    text: String,
    /// Characters of text and reasoning so far.
    chars: u64,
    /// The part that is open, and whether it is text.
    open: Option<(u32, bool)>,
    /// The number of the next part.
    next: u32,
    /// Something was said that cannot be gone on with: a call, an image, a refusal, a second choice, an end.
    fixed: bool,
    /// The running provider's parts: its number, and ours where the caller gets it.
    parts: Vec<(u32, Option<u32>)>,
    /// White space that the caller has and the provider was not told: it may come once more.
    seam: String,
    /// Counts of the attempts before.
    before: Usage,
    /// It was told once that reasoning is left out.
    told: bool,
}

impl Splice {
    /// Notes an event of the first provider, which the caller got as it is.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::PartStart { choice: 0, part, kind } => self.begun(*part, kind),
            Event::PartDelta { choice: 0, delta, .. } => self.fed(delta),
            Event::PartStop { choice: 0, part } => self.stopped(*part),
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Finish { .. } => {
                self.fixed = true;
            }
            _ => {}
        }
    }

    /// The answer can be gone on with.
    pub(super) fn is_open(&self) -> bool {
        !self.fixed && self.text.len() <= LONGEST
    }

    /// More was said than is kept.
    pub(super) fn is_too_long(&self) -> bool {
        self.text.len() > LONGEST
    }

    /// Reasoning that is not whole stands last.
    pub(super) fn is_thinking(&self) -> bool {
        matches!(self.open, Some((_, false)))
    }

    /// What was said, without the white space at its end.
    pub(super) fn text(&self) -> &str {
        self.text.trim_end()
    }

    pub(super) fn chars(&self) -> u64 {
        self.chars
    }

    /// Another provider goes on from here. `spent` are the counts of the attempt that broke.
    pub(super) fn turn_over(&mut self, spent: &Usage) {
        self.parts.clear();
        self.seam = self.text.get(self.text().len()..).unwrap_or_default().to_owned();
        self.before = self.before.plus(spent);
    }

    /// The counts of the attempts before.
    pub(super) fn before(&self) -> Usage {
        self.before
    }

    /// What the caller gets of an event of the provider that goes on.
    pub(super) fn turned(&mut self, event: &Event) -> Vec<Event> {
        match event {
            Event::Start { .. } => Vec::new(),
            Event::PartStart { choice: 0, part, kind } => self.part_start(*part, kind),
            Event::PartDelta { choice: 0, part, delta } => self.part_delta(*part, delta),
            Event::PartStop { choice: 0, part } => self.part_stop(*part),
            Event::Finish { choice: 0, .. } => {
                self.fixed = true;
                let mut events = self.close_open();
                events.push(event.clone());
                events
            }
            Event::Usage(usage) => vec![Event::Usage(self.before.plus(usage))],
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { choice: 1.., .. }
            | Event::Finish { .. } => Vec::new(),
            other => vec![other.clone()],
        }
    }

    fn part_start(&mut self, theirs: u32, kind: &PartKind) -> Vec<Event> {
        let thinks = matches!(kind, PartKind::Thinking | PartKind::RedactedThinking { .. });
        if thinks && !self.text().is_empty() {
            self.parts.push((theirs, None));
            let path = "choices[0].message.reasoning".to_owned();
            let reason = "the answer was gone on with: its text stands before this reasoning".to_owned();
            let told = std::mem::replace(&mut self.told, true);
            return if told { Vec::new() } else { vec![Event::Lost { path, reason }] };
        }
        if let (PartKind::Text, Some((open, true))) = (kind, self.open) {
            self.parts.push((theirs, Some(open)));
            return Vec::new();
        }
        let mut events = self.close_open();
        let ours = self.next;
        self.parts.push((theirs, Some(ours)));
        self.begun(ours, kind);
        events.push(Event::PartStart { choice: 0, part: ours, kind: kind.clone() });
        events
    }

    fn part_delta(&mut self, theirs: u32, delta: &Delta) -> Vec<Event> {
        let Some(ours) = self.ours(theirs) else { return Vec::new() };
        let delta = match delta {
            Delta::Text(text) => match self.mended(text) {
                "" => return Vec::new(),
                rest => Delta::Text(rest.to_owned()),
            },
            other => other.clone(),
        };
        self.fed(&delta);
        vec![Event::PartDelta { choice: 0, part: ours, delta }]
    }

    fn part_stop(&mut self, theirs: u32) -> Vec<Event> {
        let Some(ours) = self.ours(theirs) else { return Vec::new() };
        self.stopped(ours);
        vec![Event::PartStop { choice: 0, part: ours }]
    }

    fn ours(&self, theirs: u32) -> Option<u32> {
        self.parts.iter().rev().find(|(known, _)| *known == theirs).and_then(|(_, ours)| *ours)
    }

    /// `text` without the white space that the caller has already.
    fn mended<'t>(&mut self, text: &'t str) -> &'t str {
        let mut rest = text;
        while let Some(first) = self.seam.chars().next() {
            match rest.strip_prefix(first) {
                Some(after) => {
                    rest = after;
                    self.seam.remove(0);
                }
                None if rest.is_empty() => return rest,
                None => self.seam.clear(),
            }
        }
        rest
    }

    fn close_open(&mut self) -> Vec<Event> {
        let open = self.open.take();
        open.into_iter().map(|(part, _)| Event::PartStop { choice: 0, part }).collect()
    }

    fn begun(&mut self, part: u32, kind: &PartKind) {
        self.next = self.next.max(part.saturating_add(1));
        match kind {
            PartKind::Text => self.open = Some((part, true)),
            // Behind a text it cannot be said again.
            PartKind::Thinking if self.text().is_empty() => self.open = Some((part, false)),
            PartKind::RedactedThinking { .. } if self.text().is_empty() => self.open = None,
            _ => self.fixed = true,
        }
    }

    fn fed(&mut self, delta: &Delta) {
        let text = match delta {
            Delta::Text(text) => {
                self.text.push_str(text);
                text
            }
            Delta::Thinking(text) => text,
            _ => return,
        };
        self.chars = self.chars.saturating_add(text.chars().count() as u64);
    }

    fn stopped(&mut self, part: u32) {
        self.open.take_if(|(open, _)| *open == part);
    }
}
