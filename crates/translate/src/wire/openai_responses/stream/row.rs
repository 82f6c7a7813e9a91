//! The items of an answer while it is written: which are begun, what they hold, which part of the pivot feeds
//! which. Knows nothing of events.
//!
//! An item is closed once all its parts are and a later item has begun, or at the end: a text behind a text
//! belongs to the same message, and only the end tells whether the last item is whole.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::client_tools::Client;

/// All items, by their number in the output.
#[derive(Debug, Default)]
pub(super) struct Row {
    items: Vec<Item>,
    /// The numbers of the items that are not closed, oldest first.
    pub(super) open: Vec<usize>,
    /// Open parts and where they go, latest last.
    slots: Vec<(u32, Place)>,
    /// The items that a provider's relayed events announced.
    pub(super) adopted: Vec<Adopted>,
}

/// An item as the caller knows it from the provider.
#[derive(Debug)]
pub(super) struct Adopted {
    pub number: usize,
    pub id: Option<String>,
    pub done: bool,
}

/// Where a part goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The item and the piece of it.
    Piece(usize, usize),
    /// The item as a whole: calls.
    Item(usize),
    /// Reasoning that said nothing yet.
    Nowhere,
    /// Was reported when it began.
    Lost,
}

/// One item.
#[derive(Debug)]
pub(super) struct Item {
    pub id: String,
    pub body: Body,
    /// The bytes of the item, once it is closed.
    pub closed: Option<Box<RawValue>>,
}

/// What an item holds.
#[derive(Debug)]
pub(super) enum Body {
    Message(Vec<Piece>),
    Reasoning {
        summary: Vec<Piece>,
        seal: Option<String>,
    },
    Call {
        call_id: String,
        group: Option<String>,
        name: String,
        input: String,
        custom: bool,
        /// A tool of the wire's own: told when it is done.
        client: Option<Client>,
        open: bool,
    },
    Whole(Value),
}

/// A piece of a message or of reasoning.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub text: String,
    pub refusal: bool,
    pub annotations: Vec<Value>,
    pub logprobs: Vec<Value>,
    pub open: bool,
}

impl Row {
    /// The item of that number.
    pub(super) fn get(&self, number: usize) -> Option<&Item> {
        self.items.get(number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Item> {
        self.items.get_mut(number)
    }

    /// How many items were begun.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Begins an item; its number.
    pub(super) fn begin(&mut self, id: String, body: Body) -> usize {
        self.items.push(Item { id, body, closed: None });
        self.open.push(self.items.len() - 1);
        self.items.len() - 1
    }

    /// The last item, when it is open and `fits`.
    pub(super) fn last_open(&self, fits: impl FnOnce(&Body) -> bool) -> Option<usize> {
        let number = self.items.len().checked_sub(1)?;
        let last = self.items.last()?;
        (last.closed.is_none() && fits(&last.body)).then_some(number)
    }

    /// The items that can be closed: all their parts are, and a later item has begun (or `all`).
    pub(super) fn quiet(&self, all: bool) -> Vec<usize> {
        let later = |number: &usize| all || number + 1 < self.items.len();
        let quiet = |number: &usize| self.get(*number).is_some_and(|item| !item.body.is_fed());
        self.open.iter().copied().filter(|number| later(number) && quiet(number)).collect()
    }

    /// Notes that an item is closed.
    pub(super) fn close(&mut self, number: usize, bytes: Box<RawValue>) {
        self.open.retain(|open| *open != number);
        if let Some(item) = self.get_mut(number) {
            item.closed = Some(bytes);
        }
    }

    /// The bytes of all items, in order.
    pub(super) fn output(&self) -> impl Iterator<Item = &RawValue> {
        self.items.iter().filter_map(|item| item.closed.as_deref())
    }

    /// Items that were announced have the ids they were announced with.
    pub(super) fn take_ids(&mut self) {
        for Adopted { number, id, .. } in &self.adopted {
            if let (Some(item), Some(id)) = (self.items.get_mut(*number), id) {
                item.id.clone_from(id);
            }
        }
    }

    /// What was announced is what was begun, and what was closed is closed.
    pub(super) fn fits(&self) -> bool {
        let closed = |number| self.get(number).is_some_and(|item| item.closed.is_some());
        self.adopted.len() == self.items.len()
            && self.adopted.iter().enumerate().all(|(at, item)| item.number == at && item.done == closed(at))
    }

    pub(super) fn place(&self, part: u32) -> Option<Place> {
        self.slots.iter().rev().find(|(known, _)| *known == part).map(|(_, place)| *place)
    }

    pub(super) fn put(&mut self, part: u32, place: Place) {
        match self.slots.iter_mut().rev().find(|(known, _)| *known == part) {
            Some((_, old)) => *old = place,
            None => self.slots.push((part, place)),
        }
    }

    /// Forgets a part; where it went.
    pub(super) fn take(&mut self, part: u32) -> Option<Place> {
        let at = self.slots.iter().rposition(|(known, _)| *known == part)?;
        Some(self.slots.remove(at).1)
    }

    /// A part that is open, if any is.
    pub(super) fn any_part(&self) -> Option<u32> {
        self.slots.first().map(|(part, _)| *part)
    }
}

impl Item {
    /// The piece of that number.
    pub(super) fn piece_mut(&mut self, number: usize) -> Option<&mut Piece> {
        match &mut self.body {
            Body::Message(pieces) | Body::Reasoning { summary: pieces, .. } => pieces.get_mut(number),
            Body::Call { .. } | Body::Whole(_) => None,
        }
    }
}

impl Body {
    /// A part that feeds it is open.
    fn is_fed(&self) -> bool {
        match self {
            Self::Message(pieces) | Self::Reasoning { summary: pieces, .. } => {
                pieces.iter().any(|piece| piece.open)
            }
            Self::Call { open, .. } => *open,
            Self::Whole(_) => false,
        }
    }
}
