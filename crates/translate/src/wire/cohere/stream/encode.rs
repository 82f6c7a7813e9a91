//! Events into frames for a caller of this dialect.
//!
//! What its clients count on: `message-start` once; content blocks and calls numbered apart, one open at a
//! time; a citation inside the block that it cites; `message-end` with finish and usage as the last event.

use serde_json::Value;

use super::super::citation::{self, Cited};
use super::super::types::{NO_COUNTERPART, REFUSAL, SEQUENCE, finish_word, untold};
use super::super::{error, logprobs, usage};
use crate::Wire;
use crate::frame::{write_data, write_event};
use crate::ir::{Citation, Delta, Event, Failure, FailureKind, Finish, PartKind, Signature, Usage};
use crate::loss::Losses;
use crate::wire::queue::{Queue, Step, Turn};
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{Echo, StreamEncoder};

/// The state of one caller stream.
#[derive(Debug)]
pub(in crate::wire::cohere) struct Encoder {
    echo: Echo,
    started: bool,
    done: bool,
    id: String,
    queue: Queue,
    /// Parts that have no block here: what comes for them was already reported.
    left_out: Vec<u32>,
    contents: u64,
    calls: u64,
    citations: u64,
    open: Option<Open>,
    /// The open text so far: a citation repeats the words it cites.
    text: String,
    finish: Option<Finish>,
    usage: Option<Usage>,
    scratch: Vec<u8>,
}

/// The open block: which deltas fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Call {
        fed: bool,
    },
    /// Was reported when it began.
    Nothing,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.done {
            return;
        }
        match event {
            Event::Start { id, .. } => self.start(id, out),
            Event::PartStart { choice, .. }
            | Event::PartDelta { choice, .. }
            | Event::PartStop { choice, .. }
            | Event::Logprobs { choice, .. }
            | Event::Finish { choice, .. }
                if *choice != 0 =>
            {
                losses.report(format!("choices[{choice}]"), "cohere gives one choice per answer");
            }
            Event::PartStart { part, kind, .. } => self.part_start(*part, kind, out, losses),
            Event::PartDelta { part, delta, .. } => self.part_delta(*part, delta, out, losses),
            Event::PartStop { part, .. } => {
                self.queue.stop(*part);
                self.pump(out, losses);
            }
            Event::Logprobs { value, .. } => self.logprobs(value, out, losses),
            Event::Finish { finish, .. } => self.finish = Some(finish.clone()),
            Event::Usage(counts) => self.usage = Some(*counts),
            Event::Failure(failure) => self.fail(failure, out),
            Event::Lost { path, reason } => losses.report(path, reason),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out, losses),
        }
    }
}

impl Encoder {
    pub(in crate::wire::cohere) fn new(echo: Echo) -> Self {
        Self {
            echo,
            started: false,
            done: false,
            id: String::new(),
            queue: Queue::default(),
            left_out: Vec::new(),
            contents: 0,
            calls: 0,
            citations: 0,
            open: None,
            text: String::new(),
            finish: None,
            usage: None,
            scratch: Vec::new(),
        }
    }

    fn start(&mut self, id: &str, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.id = if id.is_empty() { self.echo.unique.clone() } else { id.to_owned() };
        let message = Object::new()
            .with("role", "assistant")
            .with("content", Vec::new())
            .with("tool_plan", "")
            .with("tool_calls", Vec::new())
            .with("citations", Vec::new());
        let frame = Object::new().with("id", self.id.clone()).with("type", "message-start");
        write(out, "message-start", frame.with("delta", Object::new().with("message", message)));
    }

    fn part_start(&mut self, part: u32, kind: &PartKind, out: &mut Vec<u8>, losses: &mut Losses) {
        self.start("", out);
        let lost = match kind {
            PartKind::Image(_) | PartKind::RedactedThinking { .. } => true,
            PartKind::Opaque { wire, .. } => *wire != Wire::Cohere,
            _ => false,
        };
        if lost {
            losses.report(format!("content[{part}]"), NO_COUNTERPART);
            self.left_out.push(part);
            return;
        }
        if *kind == PartKind::Refusal {
            losses.report(format!("content[{part}]"), REFUSAL);
        }
        self.queue.start(part, kind.clone());
        self.pump(out, losses);
    }

    fn part_delta(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.left_out.contains(&part) {
            return;
        }
        match self.queue.delta(part, delta.clone()) {
            Turn::Now(delta) => self.delta(&delta, out, losses),
            Turn::Later => self.pump(out, losses),
            Turn::Lost => losses.report(format!("content[{part}]"), "came after its block was closed"),
        }
    }

    fn pump(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        while let Some(step) = self.queue.next() {
            match step {
                Step::Open(kind) => self.block_start(&kind, out),
                Step::Delta(delta) => self.delta(&delta, out, losses),
                Step::Close => self.block_end(out),
            }
        }
    }

    fn block_start(&mut self, kind: &PartKind, out: &mut Vec<u8>) {
        self.text.clear();
        let (open, content) = match kind {
            PartKind::Text | PartKind::Refusal => (Open::Text, Object::typed("text").with("text", "").into()),
            PartKind::Thinking => (Open::Thinking, Object::typed("thinking").with("thinking", "").into()),
            PartKind::ToolCall { id, name } => {
                self.open = Some(Open::Call { fed: false });
                let made = || format!("call_{}_{}", self.echo.unique, self.calls);
                let id = if id.is_empty() { made() } else { id.clone() };
                let function = Object::new().with("name", name.as_str()).with("arguments", "");
                let call = Object::new().with("id", id).with("type", "function").with("function", function);
                return write(
                    out,
                    "tool-call-start",
                    indexed("tool-call-start", self.calls, "tool_calls", call),
                );
            }
            PartKind::Opaque { value, .. } => (Open::Nothing, Node::from(value)),
            PartKind::Image(_) | PartKind::RedactedThinking { .. } => (Open::Nothing, Node::Null),
        };
        self.open = Some(open);
        write(out, "content-start", indexed("content-start", self.contents, "content", content));
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match (self.open, delta) {
            (Some(Open::Text), Delta::Text(text) | Delta::Refusal(text)) => {
                self.text.push_str(text);
                self.said("text", text, out);
            }
            (Some(Open::Thinking), Delta::Thinking(text)) => self.said("thinking", text, out),
            (Some(Open::Thinking), Delta::Signature(signature)) => self.signature(signature, out),
            (Some(Open::Text), Delta::Citation(citation)) => self.citation(citation, out),
            (Some(Open::Call { fed }), Delta::Arguments(text)) => {
                self.open = Some(Open::Call { fed: fed || !text.is_empty() });
                self.arguments(text, out);
            }
            (Some(Open::Nothing), _) => {}
            _ => losses.report(format!("content[{}]", self.contents), NO_COUNTERPART),
        }
    }

    /// Written by hand: this runs for every token.
    fn said(&mut self, field: &str, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let json = &mut self.scratch;
        json.clear();
        json.extend_from_slice(b"{\"type\":\"content-delta\",\"index\":");
        json.extend_from_slice(self.contents.to_string().as_bytes());
        json.extend_from_slice(b",\"delta\":{\"message\":{\"content\":{\"");
        json.extend_from_slice(field.as_bytes());
        json.extend_from_slice(b"\":");
        push_text(json, text);
        json.extend_from_slice(b"}}}}");
        write_event(out, "content-delta", json);
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let json = &mut self.scratch;
        json.clear();
        json.extend_from_slice(b"{\"type\":\"tool-call-delta\",\"index\":");
        json.extend_from_slice(self.calls.to_string().as_bytes());
        json.extend_from_slice(b",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":");
        push_text(json, text);
        json.extend_from_slice(b"}}}}}");
        write_event(out, "tool-call-delta", json);
    }

    /// Not the vendor's: it stands there to come back with the next turn.
    fn signature(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        let content = Object::new().with("thinking", "").with("signature", signature.written(Wire::Cohere));
        write(out, "content-delta", indexed("content-delta", self.contents, "content", content));
    }

    fn citation(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let cited = Cited { text: &self.text, index: Some(self.contents), from: 0 };
        let written = match citation.for_wire(Wire::Cohere) {
            Some(raw) => raw.into(),
            None => Node::from(citation::made(citation, cited)),
        };
        let start = indexed("citation-start", self.citations, "citations", written);
        write(out, "citation-start", start);
        write(out, "citation-end", Object::typed("citation-end").with("index", self.citations));
        self.citations += 1;
    }

    /// They stand beside the text: here beside no more text, as they come behind it.
    fn logprobs(&mut self, value: &Value, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.open != Some(Open::Text) {
            return losses.report("choices[0].logprobs", "only those of text are told on cohere");
        }
        for item in logprobs::write(value, "choices[0].logprobs", losses) {
            let content = Object::new().with("text", "");
            let frame = indexed("content-delta", self.contents, "content", content).with("logprobs", item);
            write(out, "content-delta", frame);
        }
    }

    /// A call without arguments is still a call with an object of them.
    fn block_end(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Call { fed }) => {
                if !fed {
                    self.arguments("{}", out);
                }
                write(out, "tool-call-end", Object::typed("tool-call-end").with("index", self.calls));
                self.calls += 1;
            }
            _ => {
                write(out, "content-end", Object::typed("content-end").with("index", self.contents));
                self.contents += 1;
            }
        }
    }

    /// An end without a reason is told as an error, so that the caller does not take half an answer for a
    /// whole one.
    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(finish) = self.finish.take() else {
            let failure = Failure {
                status: 502,
                kind: FailureKind::Upstream,
                message: "the provider's stream ended without a finish reason".to_owned(),
                native_type: None,
                code: None,
                param: None,
            };
            return self.fail(&failure, out);
        };
        if let Some(reason) = untold(&finish) {
            losses.report("choices[0].finish_reason", reason);
        }
        if finish.stop_sequence.is_some() {
            losses.report("choices[0].stop_sequence", SEQUENCE);
        }
        self.start("", out);
        self.queue.stop_all();
        self.pump(out, losses);
        let mut delta = Object::new().with("finish_reason", finish_word(Some(&finish), self.calls > 0));
        delta.put_some("usage", self.usage.as_ref().map(usage::write));
        let frame = Object::typed("message-end").with("id", self.id.clone()).with("delta", delta);
        write(out, "message-end", frame);
        write_data(out, b"[DONE]");
        self.done = true;
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.done = true;
        out.extend(error::encode_in_stream(failure, &self.id));
    }
}

/// `{"type":kind,"index":…,"delta":{"message":{field:value}}}`.
fn indexed<'a>(kind: &'a str, index: u64, field: &'a str, value: impl Into<Node<'a>>) -> Object<'a> {
    let delta = Object::new().with("message", Object::new().with(field, value));
    Object::typed(kind).with("index", index).with("delta", delta)
}

fn write(out: &mut Vec<u8>, kind: &str, frame: Object<'_>) {
    write_event(out, kind, &to_bytes(&frame));
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Text always serialises, and a Vec takes every write.
    let _written = serde_json::to_writer(out, text);
}
