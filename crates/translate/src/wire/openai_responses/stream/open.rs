//! The items of a provider's stream while they arrive, and the parts of the pivot they became.
//!
//! Providers leave out what the reference promises: an item that was never added, a piece that was never begun,
//! deltas that only come whole in the `done` event. Parts are opened by whatever comes first, and what came
//! whole is told only where nothing came before.

use super::super::custom;
use crate::ir::{Delta, Event, PartKind, Signature};

/// The most items of an answer, and pieces of an item, that are kept apart.
const MOST: usize = 4096;

/// Which piece of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Content(u64),
    Summary(u64),
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prose {
    Text,
    Refusal,
    Thinking,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call {
        custom: bool,
    },
    /// Told whole when it is done.
    Whole,
}

#[derive(Debug)]
struct Piece {
    key: Key,
    part: u32,
    prose: Prose,
    fed: bool,
    cited: bool,
    stopped: bool,
}

/// One item.
#[derive(Debug)]
pub(super) struct Open {
    pub index: u64,
    pub kind: Kind,
    pieces: Vec<Piece>,
    /// The part of a call.
    part: Option<u32>,
    fed: bool,
    pub done: bool,
}

/// All items of an answer.
#[derive(Debug, Default)]
pub(super) struct Items {
    items: Vec<Open>,
    next_part: u32,
    /// Any tool of the caller's was called.
    pub calls: bool,
}

/// Where parts get their numbers from, and where events go.
pub(super) struct Sink<'a> {
    pub next_part: &'a mut u32,
    pub out: &'a mut Vec<Event>,
}

impl Items {
    /// The item of that number, if it was seen, and the sink for its events.
    pub(super) fn find<'a>(
        &'a mut self,
        index: u64,
        out: &'a mut Vec<Event>,
    ) -> Option<(&'a mut Open, Sink<'a>)> {
        let found = self.items.iter_mut().rev().find(|item| item.index == index)?;
        Some((found, Sink { next_part: &mut self.next_part, out }))
    }

    /// The item of that number, begun as `kind` when it is new. `None` when it is of another kind, or one too
    /// many.
    pub(super) fn of<'a>(
        &'a mut self,
        index: u64,
        kind: Kind,
        out: &'a mut Vec<Event>,
    ) -> Option<(&'a mut Open, Sink<'a>)> {
        if !self.items.iter().rev().any(|item| item.index == index) {
            if self.items.len() >= MOST {
                return None;
            }
            self.calls |= matches!(kind, Kind::Call { .. });
            self.items.push(Open { index, kind, pieces: Vec::new(), part: None, fed: false, done: false });
        }
        self.find(index, out).filter(|(item, _)| item.kind == kind)
    }

    /// Stops every part that is open.
    pub(super) fn close(&mut self, out: &mut Vec<Event>) {
        for item in &mut self.items {
            let mut sink = Sink { next_part: &mut self.next_part, out: &mut *out };
            item.close(&mut sink);
        }
    }
}

impl Sink<'_> {
    fn start(&mut self, kind: PartKind) -> u32 {
        let part = *self.next_part;
        *self.next_part += 1;
        self.out.push(Event::PartStart { choice: 0, part, kind });
        part
    }

    fn delta(&mut self, part: u32, delta: Delta) {
        self.out.push(Event::PartDelta { choice: 0, part, delta });
    }

    fn stop(&mut self, part: u32) {
        self.out.push(Event::PartStop { choice: 0, part });
    }
}

impl Open {
    /// Begins a piece, if it was not. Pieces of reasoning follow one another; the last stays open for the seal.
    pub(super) fn open(&mut self, key: Key, prose: Prose, sink: &mut Sink<'_>) {
        if self.pieces.iter().rev().any(|piece| piece.key == key) || self.pieces.len() >= MOST {
            return;
        }
        if prose == Prose::Thinking {
            self.pieces.iter_mut().for_each(|piece| piece.stop(sink));
        }
        let part = sink.start(match prose {
            Prose::Text => PartKind::Text,
            Prose::Refusal => PartKind::Refusal,
            Prose::Thinking => PartKind::Thinking,
        });
        self.pieces.push(Piece { key, part, prose, fed: false, cited: false, stopped: false });
    }

    /// More of a piece; `whole`: all of it once more, of use only when nothing came before.
    pub(super) fn feed(&mut self, (key, prose): (Key, Prose), text: &str, whole: bool, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        self.open(key, prose, sink);
        let found = self.pieces.iter_mut().rev().find(|piece| piece.key == key && !piece.stopped);
        let Some(piece) = found.filter(|piece| !(whole && piece.fed)) else { return };
        piece.fed = true;
        let text = text.to_owned();
        let delta = match piece.prose {
            Prose::Text => Delta::Text(text),
            Prose::Refusal => Delta::Refusal(text),
            Prose::Thinking => Delta::Thinking(text),
        };
        sink.delta(piece.part, delta);
    }

    /// Citations of a piece; `whole` as for [`Self::feed`].
    pub(super) fn cite(&mut self, key: Key, cited: Vec<Delta>, whole: bool, sink: &mut Sink<'_>) {
        let found = self.pieces.iter_mut().rev().find(|piece| piece.key == key && !piece.stopped);
        let Some(piece) = found.filter(|piece| !(whole && piece.cited)) else { return };
        piece.cited |= !cited.is_empty();
        cited.into_iter().for_each(|delta| sink.delta(piece.part, delta));
    }

    /// A piece of a message is whole.
    pub(super) fn stop(&mut self, key: Key, sink: &mut Sink<'_>) {
        let found = self.pieces.iter_mut().rev().find(|piece| piece.key == key);
        found.into_iter().for_each(|piece| piece.stop(sink));
    }

    /// Nothing of the item was told yet.
    pub(super) fn is_untold(&self) -> bool {
        self.pieces.is_empty() && self.part.is_none()
    }

    /// A call begins.
    pub(super) fn call(&mut self, id: &str, name: &str, sink: &mut Sink<'_>) {
        if self.part.is_none() {
            self.part = Some(sink.start(PartKind::ToolCall { id: id.to_owned(), name: name.to_owned() }));
        }
    }

    /// More of a call's arguments or free text; `whole` as for [`Self::feed`].
    pub(super) fn arguments(&mut self, text: &str, whole: bool, sink: &mut Sink<'_>) {
        let repeated = whole && self.fed;
        let Some(part) = self.part.filter(|_| !(text.is_empty() || self.done || repeated)) else { return };
        let text = match self.kind {
            Kind::Call { custom: true } if self.fed => custom::escaped(text),
            Kind::Call { custom: true } => format!("{}{}", custom::OPENING, custom::escaped(text)),
            _ => text.to_owned(),
        };
        self.fed = true;
        sink.delta(part, Delta::Arguments(text));
    }

    /// The seal of reasoning, on its last piece.
    pub(super) fn seal(&mut self, signature: Signature, sink: &mut Sink<'_>) {
        let last = self.pieces.last().filter(|last| !last.stopped).map(|last| last.part);
        match last {
            Some(part) => sink.delta(part, Delta::Signature(signature)),
            None => {
                let part = sink.start(PartKind::Thinking);
                sink.delta(part, Delta::Signature(signature));
                sink.stop(part);
            }
        }
    }

    /// The item is whole.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        self.pieces.iter_mut().for_each(|piece| piece.stop(sink));
        if let Some(part) = self.part {
            if self.kind == (Kind::Call { custom: true }) {
                let opening = if self.fed { "" } else { custom::OPENING };
                sink.delta(part, Delta::Arguments(format!("{opening}{}", custom::CLOSING)));
            }
            sink.stop(part);
        }
        self.done = true;
    }

    /// An item that is told whole.
    pub(super) fn whole(&mut self, value: serde_json::Value, sink: &mut Sink<'_>) {
        if !self.done {
            let part = sink.start(PartKind::Opaque { wire: super::super::OWN, value });
            sink.stop(part);
        }
        self.done = true;
    }
}

impl Piece {
    fn stop(&mut self, sink: &mut Sink<'_>) {
        if !self.stopped {
            self.stopped = true;
            sink.stop(self.part);
        }
    }
}
