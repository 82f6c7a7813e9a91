//! Tool calls of one choice while they arrive.
//!
//! Providers bend the rules in every way there is: no `index`, the same `index` for all, an id or a name
//! that comes late or never, a whole call in one chunk. A call is announced once its id and name are
//! known; until then its arguments are held.

use serde_json::Value;

use super::super::call_signature;
use super::super::types::{Call, Function};
use crate::Wire;
use crate::ir::{Delta, Event, PartKind, Signature};

/// The kind of the deprecated `function_call` of a message.
pub(super) const SINGLE: &str = "function_call";

/// The calls seen so far, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Calls {
    list: Vec<OpenCall>,
    /// Signatures that were given out, with a call or with reasoning before it.
    signed: Vec<Signature>,
}

#[derive(Debug, Default)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    name: String,
    /// Arguments that came before the call could be announced.
    held: String,
    /// What signs the call: given out as empty reasoning before it.
    signature: Option<Signature>,
    /// The number of the announced part.
    part: Option<u32>,
    stopped: bool,
}

impl Calls {
    /// Any call was seen.
    pub(super) fn any(&self) -> bool {
        !self.list.is_empty()
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
        let signature = delta.extra_content.as_ref().and_then(signature);
        let signature = signature.filter(|new| !self.signed.contains(new));
        let Some(call) = self.find_or_open(delta.index.0, id, name) else { return };
        if call.id.is_empty() {
            call.id.push_str(id);
        }
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        match &signature {
            Some(_) if call.part.is_some() => {
                let path = format!("choices[{choice}].delta.tool_calls.extra_content");
                out.push(Event::Lost { path, reason: "the signature came behind its call".to_owned() });
            }
            Some(new) => call.signature = Some(new.clone()),
            None => {}
        }
        // The deprecated single call never gets an id.
        let identified = !call.id.is_empty() || delta.kind.get() == SINGLE;
        if call.part.is_none() && identified && !call.name.is_empty() {
            call.announce(choice, next, out);
        }
        call.arguments(choice, function.arguments.get(), out);
        self.signed.extend(signature);
    }

    /// Whether a signature was given out; from now on it was.
    pub(super) fn has_given(&mut self, signature: &Signature) -> bool {
        let given = self.signed.contains(signature);
        if !given && signature.by == Wire::Gemini {
            self.signed.push(signature.clone());
        }
        given
    }

    /// Announces what could not be announced before and closes every call.
    pub(super) fn close(&mut self, choice: u32, next: &mut u32, out: &mut Vec<Event>) {
        for call in &mut self.list {
            if call.part.is_none() {
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
            Some(_) => self.list.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => self.list.iter().rposition(|call| call.id == id),
            None => self.list.len().checked_sub(1),
        };
        let found = found.filter(|position| {
            let Some(call) = self.list.get(*position) else { return false };
            // An id alone may change from chunk to chunk; with a name it is another call.
            let other_id = !id.is_empty() && !call.id.is_empty() && id != call.id && !name.is_empty();
            let second_name = id.is_empty() && index.is_none() && !name.is_empty() && !call.name.is_empty();
            !(call.stopped || other_id || second_name)
        });
        match found {
            Some(position) => self.list.get_mut(position),
            None => {
                self.list.push(OpenCall { index, ..OpenCall::default() });
                self.list.last_mut()
            }
        }
    }
}

fn signature(content: &Value) -> Option<Signature> {
    call_signature::take_from(&mut content.as_object()?.clone())
}

impl OpenCall {
    fn announce(&mut self, choice: u32, next: &mut u32, out: &mut Vec<Event>) {
        if let Some(signature) = self.signature.take() {
            let part = *next;
            *next += 1;
            out.push(Event::PartStart { choice, part, kind: PartKind::Thinking });
            out.push(Event::PartDelta { choice, part, delta: Delta::Signature(signature) });
            out.push(Event::PartStop { choice, part });
        }
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
