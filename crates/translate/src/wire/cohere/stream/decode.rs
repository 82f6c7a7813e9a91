//! Provider events into the pivot's.
//!
//! One content block is open at a time; calls are numbered apart. Citations come while their text is
//! streamed, or after its end: so a block's end is held until something else than a citation follows.

use serde_json::Value;

use super::super::types::finish;
use super::super::{citation, error, logprobs, usage};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Delta, Event, Finish, PartKind};
use crate::wire::json::{self, Json, Members};
use crate::wire::told::Told;
use crate::wire::{BadFrame, StreamDecoder, failure_shapes};

/// The state of one provider stream.
#[derive(Debug, Default)]
pub(in crate::wire::cohere) struct Decoder {
    started: bool,
    /// `[DONE]` or a failure was seen: nothing follows.
    done: bool,
    next_part: u32,
    open: Option<Open>,
    calls: Vec<Call>,
    finished: bool,
    told: Told,
}

/// The open run of text, reasoning or plan.
#[derive(Debug)]
struct Open {
    part: u32,
    kind: Prose,
    /// Its end was told, but a citation may follow.
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Thinking,
    Plan,
}

#[derive(Debug)]
struct Call {
    index: u64,
    part: u32,
    stopped: bool,
    /// The word `null`, which may be all the arguments there are.
    held: String,
    fed: bool,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let data = frame.data.trim_ascii();
        if self.done {
            return Ok(());
        }
        if data.is_empty() {
            if !frame.raw.is_empty() {
                out.push(Event::Ping);
            }
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end(out);
            out.push(Event::End);
            return Ok(());
        }
        let event: Members<'_> = match json::read(data) {
            Ok(event) => event,
            Err(error) => return self.unreadable(frame, &error.to_string(), out),
        };
        let kind = event.get("type").and_then(|kind| kind.look().as_str()).unwrap_or(frame.event).to_owned();
        if kind.is_empty() || kind == "error" {
            return self.unreadable(frame, "it has no `type`", out);
        }
        self.event(&kind, event, out);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.done {
            self.done = true;
            self.close(out);
            self.stop_calls(out);
        }
    }
}

impl Decoder {
    /// An error of any shape ends the stream; anything else is no event of this wire.
    fn unreadable(&mut self, frame: &Frame<'_>, why: &str, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let failure = match failure_shapes::recognise(200, frame.data) {
            Some(failure) => failure,
            None if frame.event == "error" => failure_shapes::read(200, frame.data),
            None => return Err(BadFrame(why.to_owned())),
        };
        self.done = true;
        out.push(Event::Failure(failure));
        Ok(())
    }

    fn event(&mut self, kind: &str, mut event: Members<'_>, out: &mut Vec<Event>) {
        event.take("type");
        let index = event.take("index").and_then(|index| index.look().as_u64());
        let mut delta = members(event.take("delta"));
        let mut message = members(delta.take("message"));
        if !self.started {
            self.started = true;
            let id = if kind == "message-end" { String::new() } else { text(event.take("id")) };
            out.push(Event::Start { id, model: String::new(), created: None });
        }
        if !kind.starts_with("citation") {
            self.close_ended(out);
        }
        match kind {
            "message-start" => drop(message.take("role")),
            "content-start" => self.content_start(&mut message, out),
            "content-delta" => self.content_delta(&mut message, out),
            "content-end" => self.open.iter_mut().for_each(|open| open.ended = true),
            "tool-plan-delta" => {
                let more = text(message.take("tool_plan"));
                self.prose(Prose::Plan, more, out);
            }
            "tool-call-start" => self.call_start(index, &mut message, out),
            "tool-call-delta" => self.call_delta(index, &mut message, out),
            "tool-call-end" => self.call_end(index, out),
            "citation-start" => self.citation(&mut message, out),
            "citation-end" => {}
            "message-end" => return self.message_end(event, delta, out),
            _ => return self.told.once("event", kind, "", out),
        }
        if let Some(value) = event.take("logprobs").filter(|value| !value.is_null()) {
            let value = logprobs::read(std::slice::from_ref(&value.into_value()));
            out.extend(value.map(|value| Event::Logprobs { choice: 0, value }));
        }
        event.take("id");
        self.left(kind, "", &event, out);
        self.left(kind, "delta", &delta, out);
        self.left(kind, "delta.message", &message, out);
    }

    /// Tells what nobody took.
    fn left(&mut self, kind: &str, at: &'static str, left: &Members<'_>, out: &mut Vec<Event>) {
        for (name, _) in left.iter().filter(|(_, value)| !value.says_nothing()) {
            let dot = if at.is_empty() { "" } else { "." };
            self.told.once(at, name, format_args!("{kind}{dot}{at}"), out);
        }
    }

    fn content_start(&mut self, message: &mut Members<'_>, out: &mut Vec<Event>) {
        self.close(out);
        let Some(content) = message.take("content") else { return };
        let kind = content.text_of("type").unwrap_or("text").to_owned();
        let mut content = members(Some(content));
        content.take("type");
        match kind.as_str() {
            "text" => self.open(Prose::Text, out),
            "thinking" => self.open(Prose::Thinking, out),
            _ => {
                let part = self.take_part();
                let value = Value::Object(content.into_map());
                let value = with_type(value, &kind);
                out.push(Event::PartStart {
                    choice: 0,
                    part,
                    kind: PartKind::Opaque { wire: Wire::Cohere, value },
                });
                out.push(Event::PartStop { choice: 0, part });
                return;
            }
        }
        self.content(content, out);
    }

    fn content_delta(&mut self, message: &mut Members<'_>, out: &mut Vec<Event>) {
        match message.take("content") {
            Some(Json::Value(Value::String(more))) => self.prose(Prose::Text, more, out),
            content => self.content(members(content), out),
        }
    }

    fn content(&mut self, mut content: Members<'_>, out: &mut Vec<Event>) {
        self.prose(Prose::Thinking, text(content.take("thinking")), out);
        self.prose(Prose::Text, text(content.take("text")), out);
        content.take("type");
        self.left("content-delta", "delta.message.content", &content, out);
    }

    fn prose(&mut self, kind: Prose, more: String, out: &mut Vec<Event>) {
        if more.is_empty() {
            return;
        }
        self.close_ended(out);
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(out);
            self.open(kind, out);
        }
        let Some(open) = &self.open else { return };
        let delta = if kind == Prose::Thinking { Delta::Thinking(more) } else { Delta::Text(more) };
        out.push(Event::PartDelta { choice: 0, part: open.part, delta });
    }

    fn open(&mut self, kind: Prose, out: &mut Vec<Event>) {
        let part = self.take_part();
        self.open = Some(Open { part, kind, ended: false });
        let kind = if kind == Prose::Thinking { PartKind::Thinking } else { PartKind::Text };
        out.push(Event::PartStart { choice: 0, part, kind });
    }

    fn close_ended(&mut self, out: &mut Vec<Event>) {
        if self.open.as_ref().is_some_and(|open| open.ended) {
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            out.push(Event::PartStop { choice: 0, part: open.part });
        }
    }

    fn take_part(&mut self) -> u32 {
        let part = self.next_part;
        self.next_part += 1;
        part
    }

    fn citation(&mut self, message: &mut Members<'_>, out: &mut Vec<Event>) {
        let list = match message.take("citations") {
            Some(Json::List(list)) => list,
            other => other.into_iter().collect(),
        };
        let open = self.open.as_ref().filter(|open| open.kind != Prose::Thinking).map(|open| open.part);
        for raw in list.into_iter().filter(|raw| !raw.is_null()) {
            let Some(part) = open else {
                self.told.once("citation", "citations", "citation-start.delta.message", out);
                continue;
            };
            for cited in citation::read(raw.into_value()) {
                let delta = Delta::Citation(Box::new(cited));
                out.push(Event::PartDelta { choice: 0, part, delta });
            }
        }
    }

    fn call_start(&mut self, index: Option<u64>, message: &mut Members<'_>, out: &mut Vec<Event>) {
        self.close(out);
        for mut call in one_or_more(message.take("tool_calls")) {
            call.take("type");
            let mut function = members(call.take("function"));
            let kind = PartKind::ToolCall { id: text(call.take("id")), name: text(function.take("name")) };
            let part = self.take_part();
            let index = index.unwrap_or(self.calls.len() as u64);
            self.calls.push(Call { index, part, stopped: false, held: String::new(), fed: false });
            out.push(Event::PartStart { choice: 0, part, kind });
            if let Some(call) = self.calls.last_mut() {
                call.feed(text(function.take("arguments")), out);
            }
            self.left("tool-call-start", "delta.message.tool_calls", &call, out);
            self.left("tool-call-start", "delta.message.tool_calls.function", &function, out);
        }
    }

    fn call_delta(&mut self, index: Option<u64>, message: &mut Members<'_>, out: &mut Vec<Event>) {
        for mut call in one_or_more(message.take("tool_calls")) {
            let mut function = members(call.take("function"));
            let more = text(function.take("arguments"));
            match self.call(index) {
                Some(call) => call.feed(more, out),
                None if more.is_empty() => {}
                None => self.told.once("call", "arguments", "tool-call-delta", out),
            }
            call.take("type");
            call.take("id");
            self.left("tool-call-delta", "delta.message.tool_calls", &call, out);
        }
    }

    /// The open call of that number; without one the latest.
    fn call(&mut self, index: Option<u64>) -> Option<&mut Call> {
        let mut open = self.calls.iter_mut().rev().filter(|call| !call.stopped);
        open.find(|call| index.is_none_or(|index| call.index == index))
    }

    fn call_end(&mut self, index: Option<u64>, out: &mut Vec<Event>) {
        if let Some(call) = self.call(index) {
            call.stop(out);
        }
    }

    fn stop_calls(&mut self, out: &mut Vec<Event>) {
        self.calls.iter_mut().for_each(|call| call.stop(out));
    }

    fn message_end(&mut self, mut event: Members<'_>, mut delta: Members<'_>, out: &mut Vec<Event>) {
        let (counts, left) = usage::take(delta.take("usage").map(Json::into_value).unwrap_or_default());
        let complaint = text(delta.take("error"));
        let word = text(delta.take("finish_reason"));
        event.take("id");
        self.left("message-end", "", &event, out);
        self.left("message-end", "delta", &delta, out);
        self.left("message-end", "delta.usage", &Members::from(left), out);
        self.close(out);
        self.stop_calls(out);
        out.extend(counts.map(Event::Usage));
        if !complaint.is_empty() {
            self.done = true;
            out.push(Event::Failure(error::in_stream(&complaint)));
            return;
        }
        if let Some(finish) = self.finish(&word) {
            out.push(Event::Finish { choice: 0, finish });
        }
    }

    /// Once.
    fn finish(&mut self, word: &str) -> Option<Finish> {
        let finish = finish(word, !self.calls.is_empty()).filter(|_| !self.finished)?;
        self.finished = true;
        Some(finish)
    }
}

impl Call {
    fn feed(&mut self, more: String, out: &mut Vec<Event>) {
        if more.is_empty() || self.stopped {
            return;
        }
        if self.fed {
            out.push(self.arguments(more));
            return;
        }
        self.held.push_str(&more);
        // `null`, in one piece or in several, is no arguments.
        if !"null".starts_with(self.held.trim()) {
            self.fed = true;
            let held = std::mem::take(&mut self.held);
            out.push(self.arguments(held));
        }
    }

    fn arguments(&self, text: String) -> Event {
        Event::PartDelta { choice: 0, part: self.part, delta: Delta::Arguments(text) }
    }

    fn stop(&mut self, out: &mut Vec<Event>) {
        if !self.stopped {
            self.stopped = true;
            let held = std::mem::take(&mut self.held);
            if !matches!(held.trim(), "" | "null") {
                out.push(self.arguments(held));
            }
            out.push(Event::PartStop { choice: 0, part: self.part });
        }
    }
}

/// The members of an object; none of anything else.
fn members(value: Option<Json<'_>>) -> Members<'_> {
    value.and_then(|value| value.members().ok()).unwrap_or_default()
}

/// One object, or a list of them as older answers had it.
fn one_or_more(value: Option<Json<'_>>) -> Vec<Members<'_>> {
    match value {
        Some(Json::List(list)) => list.into_iter().map(|one| members(Some(one))).collect(),
        Some(one) if one.look().is_object() => vec![members(Some(one))],
        _ => Vec::new(),
    }
}

fn text(value: Option<Json<'_>>) -> String {
    match value {
        Some(Json::Value(Value::String(text))) => text,
        _ => String::new(),
    }
}

fn with_type(mut value: Value, kind: &str) -> Value {
    if let Value::Object(map) = &mut value {
        map.shift_insert(0, "type".to_owned(), kind.into());
    }
    value
}
