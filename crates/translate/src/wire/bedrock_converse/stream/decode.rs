//! Provider frames into events. One method per kind of frame. Blocks of text and reasoning begin with
//! their first delta: the API announces calls alone. No finish reason is ever made up here.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base64;
use crate::frame::{Frame, is_exception};
use crate::ir::{Delta, Event, PartKind, Signature};
use crate::wire::bedrock_converse::types::OWN;
use crate::wire::bedrock_converse::usage::{self, WireUsage};
use crate::wire::bedrock_converse::{blocks, error, response, stop};
use crate::wire::json::{self, Json, Members};
use crate::wire::told::{Told, says_nothing};
use crate::wire::{BadFrame, StreamDecoder};

/// A stream being read.
#[derive(Debug, Default)]
pub(in crate::wire::bedrock_converse) struct Decoder {
    started: bool,
    finished: bool,
    ended: bool,
    parts: u32,
    open: Vec<OpenBlock>,
    told: Told,
}

#[derive(Debug)]
struct OpenBlock {
    /// The wire's number.
    index: u64,
    /// Ours: counted from 0, whatever the provider counts from.
    part: u32,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    /// Encrypted reasoning so far, in base64: given out when it is whole.
    Redacted(String),
    /// A call; `fed`: a fragment of its arguments came.
    ToolUse {
        fed: bool,
    },
    Opaque,
}

/// Any frame: the members of all kinds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent<'a> {
    content_block_index: Option<u64>,
    #[serde(borrow)]
    start: Option<Members<'a>>,
    #[serde(borrow)]
    delta: Option<Members<'a>>,
    stop_reason: Option<String>,
    #[serde(borrow)]
    additional_model_response_fields: Option<Json<'a>>,
    #[serde(borrow)]
    usage: Option<Members<'a>>,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        if self.ended || frame.data.is_empty() {
            return Ok(());
        }
        let known = matches!(
            frame.event,
            "messageStart"
                | "contentBlockStart"
                | "contentBlockDelta"
                | "contentBlockStop"
                | "messageStop"
                | "metadata"
        );
        if !known {
            self.other(frame, out);
            return Ok(());
        }
        let event: WireEvent<'_> = json::read(frame.data).map_err(|err| BadFrame(err.to_string()))?;
        match frame.event {
            "messageStart" => self.message_start(out),
            "contentBlockStart" => return self.block_start(event, out),
            "contentBlockDelta" => return self.block_delta(event, out),
            "contentBlockStop" => self.block_stop(event.content_block_index, out),
            "messageStop" => return self.message_stop(event, out),
            _ => self.metadata(event, frame.data, out),
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.ended {
            self.close_all(out);
        }
    }
}

impl Decoder {
    fn other(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if is_exception(frame) {
            self.ended = true;
            out.push(Event::Failure(error::exception(frame.event, frame.data)));
        } else if frame.event != "initial-response" {
            self.told.once("event", frame.event, "", out);
        }
    }

    fn message_start(&mut self, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            out.push(Event::Start { id: String::new(), model: String::new(), created: None });
        }
    }

    fn block_start(&mut self, event: WireEvent<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let index = index(&event)?;
        let mut start = event.start.ok_or_else(|| BadFrame("a block starts without start".to_owned()))?;
        if self.open.iter().any(|block| block.index == index) {
            return Err(BadFrame(format!("block {index} starts twice")));
        }
        self.message_start(out);
        let call = start.get("toolUse").filter(|call| call.text_of("type").is_none()).is_some();
        let mut call = match start.take("toolUse").filter(|_| call).map(Json::members) {
            Some(Ok(call)) => call,
            // A tool that the provider runs, or a block that came later than this code.
            _ if start.is_empty() => return Ok(()),
            _ => {
                let value = Value::Object(start.into_map());
                self.begin(index, Kind::Opaque, PartKind::Opaque { wire: OWN, value }, out);
                return Ok(());
            }
        };
        let mut text = |name| match call.take(name) {
            Some(Json::Value(Value::String(text))) => text,
            _ => String::new(),
        };
        let kind = PartKind::ToolCall { id: text("toolUseId"), name: text("name") };
        self.lose("toolUse", "start.toolUse", &call, out);
        self.begin(index, Kind::ToolUse { fed: false }, kind, out);
        Ok(())
    }

    /// The part of a new block, announced unless it is whole only at its end.
    fn begin(&mut self, index: u64, kind: Kind, start: PartKind, out: &mut Vec<Event>) -> u32 {
        let part = self.parts;
        self.parts = self.parts.saturating_add(1);
        if !matches!(kind, Kind::Redacted(_)) {
            out.push(Event::PartStart { choice: 0, part, kind: start });
        }
        self.open.push(OpenBlock { index, part, kind });
        part
    }

    fn block_delta(&mut self, event: WireEvent<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let index = index(&event)?;
        let mut delta = event.delta.ok_or_else(|| BadFrame("a block delta without delta".to_owned()))?;
        self.message_start(out);
        if let Some(block) = self.open.iter().find(|block| block.index == index && block.kind == Kind::Opaque)
        {
            let delta = Delta::Opaque(Value::Object(delta.into_map()));
            out.push(Event::PartDelta { choice: 0, part: block.part, delta });
            return Ok(());
        }
        if let Some(text) = take_text(&mut delta, "text") {
            self.feed(index, &Kind::Text, Delta::Text(text), out);
        }
        if let Some(Ok(mut call)) = delta.take("toolUse").map(Json::members) {
            if let Some(fragment) = take_text(&mut call, "input") {
                self.arguments(index, fragment, out)?;
            }
            self.lose("toolUse", "delta.toolUse", &call, out);
        }
        if let Some(Ok(reasoning)) = delta.take("reasoningContent").map(Json::members) {
            self.reasoning(index, reasoning, out);
        }
        if let Some(raw) = delta.take("citation").map(Json::into_value).filter(Value::is_object) {
            let citation = Delta::Citation(Box::new(blocks::citation(raw)));
            self.feed(index, &Kind::Text, citation, out);
        }
        self.lose("delta", "delta", &delta, out);
        Ok(())
    }

    /// One delta for the block of this number. A block that is not open, or was of another kind so far,
    /// begins here.
    fn feed(&mut self, index: u64, kind: &Kind, delta: Delta, out: &mut Vec<Event>) {
        let open = self.open.iter().find(|block| block.index == index);
        let part = match open.filter(|block| block.kind == *kind) {
            Some(block) => block.part,
            None => {
                self.block_stop(Some(index), out);
                let start = if *kind == Kind::Text { PartKind::Text } else { PartKind::Thinking };
                self.begin(index, kind.clone(), start, out)
            }
        };
        out.push(Event::PartDelta { choice: 0, part, delta });
    }

    fn arguments(&mut self, index: u64, fragment: String, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let block = self.open.iter_mut().find(|block| block.index == index);
        let Some((part, Kind::ToolUse { fed })) = block.map(|block| (block.part, &mut block.kind)) else {
            return Err(BadFrame("arguments for a call that was not announced".to_owned()));
        };
        *fed = true;
        out.push(Event::PartDelta { choice: 0, part, delta: Delta::Arguments(fragment) });
        Ok(())
    }

    fn reasoning(&mut self, index: u64, mut reasoning: Members<'_>, out: &mut Vec<Event>) {
        if let Some(text) = take_text(&mut reasoning, "text") {
            self.feed(index, &Kind::Thinking, Delta::Thinking(text), out);
        }
        if let Some(text) = take_text(&mut reasoning, "signature") {
            self.feed(index, &Kind::Thinking, Delta::Signature(Signature::of(OWN, text)), out);
        }
        if let Some(more) = take_text(&mut reasoning, "redactedContent") {
            let open = self.open.iter_mut().find(|block| block.index == index);
            match open.map(|block| &mut block.kind) {
                Some(Kind::Redacted(data)) => *data = joined(data, &more),
                _ => {
                    self.block_stop(Some(index), out);
                    self.begin(index, Kind::Redacted(more), PartKind::Thinking, out);
                }
            }
        }
        self.lose("reasoning", "delta.reasoningContent", &reasoning, out);
    }

    /// A stop for a block that is not open ends an empty one.
    fn block_stop(&mut self, index: Option<u64>, out: &mut Vec<Event>) {
        if let Some(position) = self.open.iter().position(|block| Some(block.index) == index) {
            self.open.remove(position).close(out);
        }
    }

    fn message_stop(&mut self, event: WireEvent<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let native = event.stop_reason.ok_or_else(|| BadFrame("a stop without a reason".to_owned()))?;
        self.message_start(out);
        self.close_all(out);
        let mut more = event.additional_model_response_fields.map(Json::into_value).unwrap_or_default();
        let stop_sequence = response::take_stop_sequence(&mut more);
        if let Value::Object(fields) = &more {
            self.lose_map("additional", "additionalModelResponseFields", fields, out);
        }
        if !self.finished {
            self.finished = true;
            out.push(Event::Finish { choice: 0, finish: stop::finish(native, stop_sequence) });
        }
        Ok(())
    }

    /// Comes once, behind the stop: the end.
    fn metadata(&mut self, event: WireEvent<'_>, data: &[u8], out: &mut Vec<Event>) {
        let mut fields: Map<String, Value> = serde_json::from_slice(data).unwrap_or_default();
        if let Some(usage) = event.usage {
            let tier = fields.get("serviceTier").and_then(|tier| tier.get("type")?.as_str());
            out.push(Event::Usage(WireUsage::read(&usage).sorted().in_tier(tier.unwrap_or_default())));
            self.lose_map("usage", "usage", &usage::leftovers(usage), out);
        }
        // `p` is padding; how long the provider took is measured anyway.
        fields.retain(|name, _| !matches!(name.as_str(), "usage" | "p" | "metrics"));
        self.lose_map("metadata", "", &fields, out);
        self.close_all(out);
        self.ended = true;
        out.push(Event::End);
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for block in self.open.drain(..) {
            block.close(out);
        }
    }

    /// Tells of fields nobody read, each name once.
    fn lose(&mut self, kind: &'static str, path: &str, left: &Members<'_>, out: &mut Vec<Event>) {
        for (name, _) in left.iter().filter(|(_, value)| !value.says_nothing()) {
            self.told.once(kind, name, path, out);
        }
    }

    fn lose_map(&mut self, kind: &'static str, path: &str, left: &Map<String, Value>, out: &mut Vec<Event>) {
        for (name, _) in left.iter().filter(|(_, value)| !says_nothing(value)) {
            self.told.once(kind, name, path, out);
        }
    }
}

impl OpenBlock {
    fn close(self, out: &mut Vec<Event>) {
        let (choice, part) = (0, self.part);
        match self.kind {
            Kind::Redacted(data) => {
                out.push(Event::PartStart { choice, part, kind: PartKind::RedactedThinking { data } });
            }
            // A call without arguments.
            Kind::ToolUse { fed: false } => {
                out.push(Event::PartDelta { choice, part, delta: Delta::Arguments("{}".to_owned()) });
            }
            _ => {}
        }
        out.push(Event::PartStop { choice, part });
    }
}

fn index(event: &WireEvent<'_>) -> Result<u64, BadFrame> {
    event.content_block_index.ok_or_else(|| BadFrame("a block without contentBlockIndex".to_owned()))
}

fn take_text(members: &mut Members<'_>, name: &str) -> Option<String> {
    match members.take(name)? {
        Json::Value(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The base64 of the bytes of both.
fn joined(data: &str, more: &str) -> String {
    match (base64::decode(data), base64::decode(more)) {
        (Some(bytes), Some(more)) => base64::encode([bytes, more].concat()),
        _ => format!("{data}{more}"),
    }
}
