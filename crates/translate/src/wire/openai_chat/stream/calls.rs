//! Tool calls of one choice while they arrive.
//!
//! Providers bend the rules in every way there is: no `index`, the same `index` for all, an id or a name
//! that comes late or never, a whole call in one chunk. A call is announced once its id and name are
//! known; until then its arguments are held.

use super::super::types::{Call, Function};
use crate::ir::{Delta, Event, PartKind};

/// The calls seen so far, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<OpenCall>);

#[derive(Debug, Default)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    name: String,
    /// Arguments that came before the call could be announced.
    held: String,
    /// The number of the announced part.
    part: Option<u32>,
    stopped: bool,
}

impl Calls {
    /// Any call was seen.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Takes one entry of `tool_calls`.
    pub(super) fn feed(&mut self, choice: u32, delta: &Call<'_>, next: &mut u32, out: &mut Vec<Event>) {
        let empty = Function::default();
        let function = delta.function.as_ref().unwrap_or(&empty);
        let (id, name) = (delta.id.get(), function.name.get());
        let says_nothing = id.is_empty() && name.is_empty() && function.arguments.get().is_empty();
        if says_nothing && delta.index.0.is_none() {
            return;
        }
        let Some(call) = self.find_or_open(delta.index.0, id, name) else { return };
        if call.id.is_empty() {
            call.id.push_str(id);
        }
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        if call.part.is_none() && !call.id.is_empty() && !call.name.is_empty() {
            call.announce(choice, next, out);
        }
        call.arguments(choice, function.arguments.get(), out);
    }

    /// Announces what could not be announced before and closes every call.
    pub(super) fn close(&mut self, choice: u32, next: &mut u32, out: &mut Vec<Event>) {
        for (number, call) in self.0.iter_mut().enumerate() {
            if call.part.is_none() {
                if call.id.is_empty() {
                    call.id = format!("call_{number}");
                }
                call.announce(choice, next, out);
            }
            if let Some(part) = call.part.filter(|_| !call.stopped) {
                call.stopped = true;
                out.push(Event::PartStop { choice, part });
            }
        }
    }

    /// The call a delta belongs to; a new one when it cannot belong to any.
    fn find_or_open(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<&mut OpenCall> {
        let found = match index {
            // Searched from the end: a provider that numbers every call 0 means the latest.
            Some(_) => self.0.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => self.0.iter().rposition(|call| call.id == id),
            None => self.0.len().checked_sub(1),
        };
        let found = found.filter(|position| {
            let Some(call) = self.0.get(*position) else { return false };
            // An id alone may change from chunk to chunk; with a name it is another call.
            let other_id = !id.is_empty() && !call.id.is_empty() && id != call.id && !name.is_empty();
            let second_name = id.is_empty() && index.is_none() && !name.is_empty() && !call.name.is_empty();
            !(call.stopped || other_id || second_name)
        });
        match found {
            Some(position) => self.0.get_mut(position),
            None => {
                self.0.push(OpenCall { index, ..OpenCall::default() });
                self.0.last_mut()
            }
        }
    }
}

impl OpenCall {
    fn announce(&mut self, choice: u32, next: &mut u32, out: &mut Vec<Event>) {
        let part = *next;
        *next += 1;
        self.part = Some(part);
        let kind = PartKind::ToolCall { id: self.id.clone(), name: self.name.clone() };
        out.push(Event::PartStart { choice, part, kind });
        let held = std::mem::take(&mut self.held);
        self.arguments(choice, &held, out);
    }

    fn arguments(&mut self, choice: u32, more: &str, out: &mut Vec<Event>) {
        match self.part {
            _ if more.is_empty() => {}
            Some(part) => {
                out.push(Event::PartDelta { choice, part, delta: Delta::Arguments(more.to_owned()) });
            }
            None => self.held.push_str(more),
        }
    }
}
