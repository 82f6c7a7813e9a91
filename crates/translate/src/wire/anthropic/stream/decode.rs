//! Provider frames into events. One method per kind of frame; unknown kinds are skipped, because the
//! API adds them without notice. No finish reason is ever made up here.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::frame::Frame;
use crate::ir::{Delta, Event, PartKind, Signature, Usage};
use crate::wire::anthropic::usage::{self, WireUsage};
use crate::wire::anthropic::{Wire, citation, error, stop};
use crate::wire::json::{self, Json, Members, Name};
use crate::wire::told::{Told, says_nothing};
use crate::wire::{BadFrame, StreamDecoder};

/// A stream being read.
#[derive(Debug, Default)]
pub(in crate::wire::anthropic) struct Decoder {
    started: bool,
    finished: bool,
    ended: bool,
    usage: Usage,
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
    kind: BlockKind,
}

#[derive(Debug)]
enum BlockKind {
    Text,
    Thinking,
    /// Complete at its start.
    Whole,
    /// A call; `pending` are the arguments to give out if no fragment comes.
    ToolUse {
        pending: Option<String>,
    },
    Opaque,
}

#[derive(Default, Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Name<'a>>,
    index: Option<u64>,
    #[serde(borrow)]
    message: Option<StartMessage<'a>>,
    #[serde(borrow)]
    content_block: Option<WireBlock<'a>>,
    #[serde(borrow)]
    delta: Option<Members<'a>>,
    #[serde(borrow)]
    usage: Option<Members<'a>>,
}

#[derive(Default, Deserialize)]
struct StartMessage<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    usage: Option<Members<'a>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What a `message_start` says of an answer that has not begun.
const AT_START: [&str; 5] = ["type", "role", "content", "stop_reason", "stop_sequence"];

/// The kinds of frames this decoder acts on.
const KINDS: [&str; 8] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
];

/// A kind of event this code does not know may have fields of any shape.
fn news(json: &[u8]) -> Option<WireEvent<'_>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, rename = "type")]
        kind: Name<'a>,
    }
    let Named { kind } = serde_json::from_slice(json).ok()?;
    (!KINDS.contains(&kind.0.as_ref())).then(|| WireEvent { kind: Some(kind), ..WireEvent::default() })
}

/// A block's start, with the text of its `input` where it has one.
type WireBlock<'a> = crate::wire::anthropic::types::Block<'a>;

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        if self.ended || frame.data.is_empty() {
            return Ok(());
        }
        let event: WireEvent<'_> = match json::read(frame.data) {
            Ok(event) => event,
            Err(err) if err.is_data() => news(frame.data).ok_or_else(|| BadFrame(err.to_string()))?,
            Err(err) => return Err(BadFrame(err.to_string())),
        };
        let kind = match &event.kind {
            Some(kind) => kind.0.as_ref(),
            None if !frame.event.is_empty() => frame.event,
            None => return Err(BadFrame("the event has no type".to_owned())),
        };
        match kind {
            "message_start" => self.message_start(event.message.unwrap_or_default(), out),
            "content_block_start" => return self.block_start(event.index, event.content_block, out),
            "content_block_delta" => return self.block_delta(event.index, event.delta, out),
            "content_block_stop" => return self.block_stop(event.index, out),
            "message_delta" => {
                self.around(frame.data, out);
                self.message_delta(event.delta.unwrap_or_default(), event.usage, out);
            }
            "message_stop" => self.message_stop(out),
            "ping" => out.push(Event::Ping),
            "error" => {
                self.ended = true;
                out.push(Event::Failure(error::decode(200, frame.data)));
            }
            news => self.told.once("event", news, "", out),
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
    fn message_start(&mut self, message: StartMessage<'_>, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            let id = message.id.unwrap_or_default();
            out.push(Event::Start { id, model: message.model.unwrap_or_default(), created: None });
        }
        let mut rest = message.rest;
        rest.retain(|name, _| !AT_START.contains(&name.as_str()));
        self.lose("message", "message", &rest, out);
        self.count(message.usage, out);
    }

    /// Counts are cumulative; a field that is absent or null leaves the earlier count standing.
    fn count(&mut self, usage: Option<Members<'_>>, out: &mut Vec<Event>) {
        let Some(usage) = usage else { return };
        if let Ok(counts) = WireUsage::read(&usage) {
            counts.apply(&mut self.usage);
            out.push(Event::Usage(self.usage));
        }
        self.lose_members("usage", "usage", &usage::leftovers(usage), out);
    }

    /// Tells of fields nobody read, each name once.
    fn lose(&mut self, kind: &'static str, path: &str, fields: &Map<String, Value>, out: &mut Vec<Event>) {
        for (name, _) in fields.iter().filter(|(_, value)| !says_nothing(value)) {
            self.told.once(kind, name, path, out);
        }
    }

    fn lose_members(&mut self, kind: &'static str, path: &str, left: &Members<'_>, out: &mut Vec<Event>) {
        for (name, _) in left.iter().filter(|(_, value)| !value.says_nothing()) {
            self.told.once(kind, name, path, out);
        }
    }

    /// The fields beside `delta` and `usage` of a `message_delta`, which comes once or twice in a stream.
    fn around(&mut self, frame: &[u8], out: &mut Vec<Event>) {
        let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(frame) else { return };
        fields.retain(|name, _| !matches!(name.as_str(), "type" | "delta" | "usage"));
        self.lose("event", "", &fields, out);
    }

    fn block_start(
        &mut self,
        index: Option<u64>,
        block: Option<WireBlock<'_>>,
        out: &mut Vec<Event>,
    ) -> Result<(), BadFrame> {
        let index = index.ok_or_else(|| BadFrame("a block starts without an index".to_owned()))?;
        let Some(WireBlock::Object { fields, special }) = block else {
            return Err(BadFrame("a block starts without a content_block object".to_owned()));
        };
        if self.open.iter().any(|block| block.index == index) {
            return Err(BadFrame(format!("block {index} starts twice")));
        }
        let part = self.parts;
        self.parts += 1;
        let opened = open(fields.into_map(), special);
        self.lose("block", "content_block", &opened.rest, out);
        out.push(Event::PartStart { choice: 0, part, kind: opened.start });
        out.extend(opened.first.into_iter().map(|delta| Event::PartDelta { choice: 0, part, delta }));
        self.open.push(OpenBlock { index, part, kind: opened.kind });
        Ok(())
    }

    fn block_delta(
        &mut self,
        index: Option<u64>,
        delta: Option<Members<'_>>,
        out: &mut Vec<Event>,
    ) -> Result<(), BadFrame> {
        let mut delta = delta.ok_or_else(|| BadFrame("a block delta without delta".to_owned()))?;
        let block = self.open.iter_mut().find(|block| Some(block.index) == index);
        let block = block.ok_or_else(|| BadFrame("a delta for a block that is not open".to_owned()))?;
        let part = block.part;
        let read = block.kind.delta(&mut delta);
        out.extend(read.map(|delta| Event::PartDelta { choice: 0, part, delta }));
        self.lose_members("delta", "delta", &delta, out);
        Ok(())
    }

    fn block_stop(&mut self, index: Option<u64>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let position = self.open.iter().position(|block| Some(block.index) == index);
        let position = position.ok_or_else(|| BadFrame("a stop for a block that is not open".to_owned()))?;
        self.open.remove(position).close(out);
        Ok(())
    }

    fn message_delta(&mut self, mut delta: Members<'_>, usage: Option<Members<'_>>, out: &mut Vec<Event>) {
        let text = |key| delta.get(key).and_then(|value| value.look().as_str()).map(str::to_owned);
        if let Some(native) = text("stop_reason").filter(|_| !self.finished) {
            self.finished = true;
            let details = delta.get("stop_details").filter(|details| !details.is_null()).cloned();
            let details = details.map(Json::into_value);
            let finish = stop::finish(native, text("stop_sequence"), details);
            out.push(Event::Finish { choice: 0, finish });
        }
        delta.retain(|name, _| !matches!(name, "stop_reason" | "stop_sequence" | "stop_details"));
        self.lose_members("message_delta", "delta", &delta, out);
        self.count(usage, out);
    }

    fn message_stop(&mut self, out: &mut Vec<Event>) {
        self.close_all(out);
        self.ended = true;
        out.push(Event::End);
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for block in self.open.drain(..) {
            block.close(out);
        }
    }
}

impl OpenBlock {
    fn close(self, out: &mut Vec<Event>) {
        let (choice, part) = (0, self.part);
        if let BlockKind::ToolUse { pending: Some(arguments) } = self.kind {
            out.push(Event::PartDelta { choice, part, delta: Delta::Arguments(arguments) });
        }
        out.push(Event::PartStop { choice, part });
    }
}

impl BlockKind {
    /// What a delta means to this block; `None` for nothing, or for a kind that came later than this code.
    /// What is left in it was not read.
    fn delta(&mut self, delta: &mut Members<'_>) -> Option<Delta> {
        if matches!(self, Self::Opaque) {
            return Some(Delta::Opaque(Value::Object(std::mem::take(delta).into_map())));
        }
        let mut text = |key| match delta.take(key) {
            Some(Json::Value(Value::String(text))) if !text.is_empty() => Some(text),
            _ => None,
        };
        let kind = text("type")?;
        match (self, kind.as_str()) {
            (Self::Text, "text_delta") => text("text").map(Delta::Text),
            (Self::Text, "citations_delta") => delta.take("citation").map(Json::into_value).map(cited),
            (Self::Thinking, "thinking_delta") => text("thinking").map(Delta::Thinking),
            (Self::Thinking, "signature_delta") => text("signature").map(signed),
            (Self::ToolUse { pending }, "input_json_delta") => {
                let fragment = text("partial_json")?;
                *pending = None;
                Some(Delta::Arguments(fragment))
            }
            _ => {
                delta.put("type", kind.into());
                None
            }
        }
    }
}

/// A block just opened: what it is, how it is announced, and what its start already holds.
struct Opened {
    kind: BlockKind,
    start: PartKind,
    first: Vec<Delta>,
    /// The fields nobody read.
    rest: Map<String, Value>,
}

fn open(mut fields: Map<String, Value>, input: Option<Box<RawValue>>) -> Opened {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let given = |text: String, delta: fn(String) -> Delta| (!text.is_empty()).then(|| delta(text));
    match text("type").as_str() {
        "text" => {
            let citations = fields.get("citations").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut first: Vec<Delta> = given(text("text"), Delta::Text).into_iter().collect();
            first.extend(citations.into_iter().map(cited));
            opened(BlockKind::Text, PartKind::Text, first, without(fields, &["text", "citations"]))
        }
        "thinking" => {
            let thinking = given(text("thinking"), Delta::Thinking);
            let first = thinking.into_iter().chain(given(text("signature"), signed)).collect();
            let rest = without(fields, &["thinking", "signature"]);
            opened(BlockKind::Thinking, PartKind::Thinking, first, rest)
        }
        "redacted_thinking" => {
            let start = PartKind::RedactedThinking { data: text("data") };
            opened(BlockKind::Whole, start, Vec::new(), without(fields, &["data"]))
        }
        "tool_use" => {
            let start = PartKind::ToolCall { id: text("id"), name: text("name") };
            // Some servers give the whole input at the start and no fragments.
            let whole = input.map(|raw| Box::<str>::from(raw).into_string());
            let pending = Some(whole.filter(|raw| raw.starts_with('{')).unwrap_or_else(|| "{}".to_owned()));
            let rest = without(fields, &["id", "name", "input"]);
            opened(BlockKind::ToolUse { pending }, start, Vec::new(), rest)
        }
        _ => {
            if let Some(value) = input.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
                fields.insert("input".to_owned(), value);
            }
            let start = PartKind::Opaque { wire: Wire::Anthropic, value: Value::Object(fields) };
            opened(BlockKind::Opaque, start, Vec::new(), Map::new())
        }
    }
}

fn signed(text: String) -> Delta {
    Delta::Signature(Signature::of(Wire::Anthropic, text))
}

fn cited(raw: Value) -> Delta {
    Delta::Citation(Box::new(citation::read(raw)))
}

fn opened(kind: BlockKind, start: PartKind, first: Vec<Delta>, rest: Map<String, Value>) -> Opened {
    Opened { kind, start, first, rest }
}

fn without(mut fields: Map<String, Value>, read: &[&str]) -> Map<String, Value> {
    fields.retain(|name, _| name != "type" && !read.contains(&name.as_str()));
    fields
}
