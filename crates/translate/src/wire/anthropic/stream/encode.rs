//! Events into frames, in the one order the callers' accumulators accept: `message_start` once, blocks
//! numbered from 0 and open one at a time, `message_delta` with the final counts, `message_stop`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::frame::{Frame, write_event};
use crate::ir::{Delta, Event, Failure, FailureKind, Finish, FinishReason, PartKind, Usage};
use crate::loss::Losses;
use crate::wire::anthropic::write::NO_TWIN;
use crate::wire::anthropic::{Wire, citation, error, response, stop, usage};
use crate::wire::queue::{Queue, Step, Turn};
use crate::wire::tree::{Node, Object};
use crate::wire::{Echo, StreamEncoder};

/// A stream being written.
#[derive(Debug)]
pub(in crate::wire::anthropic) struct Encoder {
    echo: Echo,
    started: bool,
    done: bool,
    queue: Queue,
    /// Parts that have no block here: what comes for them was already reported.
    left_out: Vec<u32>,
    /// The number of the open block, or of the next one.
    index: u32,
    open: Option<Open>,
    /// The arguments of the open call so far.
    arguments: String,
    finish: Option<Finish>,
    usage: Usage,
    seen: stop::Seen,
    scratch: Vec<u8>,
}

/// The open block: which deltas fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Whole,
    ToolUse { fed: bool },
    Opaque,
}

#[derive(Serialize)]
struct BlockDelta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    delta: DeltaBody<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum DeltaBody<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: Cow<'a, str> },
    #[serde(rename = "input_json_delta")]
    Arguments { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citation { citation: Node<'a> },
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
            | Event::Finish { choice, .. }
                if *choice != 0 =>
            {
                losses.report(format!("choices[{choice}]"), "anthropic gives one choice per answer");
            }
            Event::PartStart { part, kind, .. } => self.part_start(*part, kind, out, losses),
            Event::PartDelta { part, delta, .. } => self.part_delta(*part, delta, out, losses),
            Event::PartStop { part, .. } => {
                self.queue.stop(*part);
                self.pump(out, losses);
            }
            Event::Logprobs { .. } => losses.report("logprobs", NO_TWIN),
            Event::Finish { finish, .. } => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = *usage,
            Event::Failure(failure) => self.fail(failure, out),
            Event::Lost { path, reason } => losses.report(path, reason),
            Event::Ping => self.write("ping", &Object::typed("ping"), out),
            Event::End => self.end(out, losses),
        }
    }

    /// Whatever a provider counts its blocks from: the open one has its number.
    fn adopt(&mut self, frame: &Frame<'_>) -> bool {
        #[derive(serde::Deserialize)]
        struct Start {
            #[serde(rename = "type")]
            kind: String,
            index: u32,
        }
        if let Ok(start) = serde_json::from_slice::<Start>(frame.data)
            && start.kind == "content_block_start"
        {
            self.index = start.index;
        }
        true
    }
}

impl Encoder {
    pub(in crate::wire::anthropic) fn new(echo: Echo) -> Self {
        Self {
            echo,
            started: false,
            done: false,
            queue: Queue::default(),
            left_out: Vec::new(),
            index: 0,
            open: None,
            arguments: String::new(),
            finish: None,
            usage: Usage::default(),
            seen: stop::Seen::default(),
            scratch: Vec::new(),
        }
    }

    /// Counts are not known yet: zeros, and the true ones in `message_delta`.
    fn start(&mut self, id: &str, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        let model = self.echo.model.clone();
        let message = Object::new()
            .with("id", response::message_id(id, &self.echo))
            .with("type", "message")
            .with("role", "assistant")
            .with("model", model)
            .with("content", Vec::new())
            .with("stop_reason", Node::Null)
            .with("stop_sequence", Node::Null)
            .with("usage", usage::object(&self.usage));
        let frame = Object::typed("message_start").with("message", message);
        self.write("message_start", &frame, out);
    }

    fn part_start(&mut self, part: u32, kind: &PartKind, out: &mut Vec<u8>, losses: &mut Losses) {
        self.start("", out);
        match kind {
            PartKind::Image(_) => {
                losses.report(format!("content[{part}]"), "no block of an answer can hold an image");
                self.left_out.push(part);
                return;
            }
            PartKind::Opaque { wire, .. } if *wire != Wire::Anthropic => {
                losses.report(format!("content[{part}]"), NO_TWIN);
                self.left_out.push(part);
                return;
            }
            PartKind::ToolCall { .. } => self.seen.tool_call = true,
            PartKind::Refusal => self.seen.refusal = true,
            _ => {}
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
                Step::Close => self.block_stop(out, losses),
            }
        }
    }

    fn block_start(&mut self, kind: &PartKind, out: &mut Vec<u8>) {
        let (open, block) = match kind {
            PartKind::Text | PartKind::Refusal => (Open::Text, Object::typed("text").with("text", "").into()),
            PartKind::Thinking => {
                let block = Object::typed("thinking").with("thinking", "").with("signature", "");
                (Open::Thinking, block.into())
            }
            PartKind::RedactedThinking { data } => {
                (Open::Whole, Object::typed("redacted_thinking").with("data", data.as_str()).into())
            }
            PartKind::ToolCall { id, name } => {
                let made = || format!("toolu_{}_{}", self.echo.unique, self.index);
                let id = if id.is_empty() { made() } else { id.clone() };
                let block = Object::typed("tool_use").with("id", id).with("name", name.as_str());
                (Open::ToolUse { fed: false }, block.with("input", Object::new()).into())
            }
            PartKind::Opaque { value, .. } => (Open::Opaque, Node::from(value)),
            // Was left out when it began.
            PartKind::Image(_) => return,
        };
        self.open = Some(open);
        let index = u64::from(self.index);
        let frame = Object::typed("content_block_start").with("index", index).with("content_block", block);
        self.write("content_block_start", &frame, out);
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let body = match (self.open, delta) {
            (Some(Open::Text), Delta::Text(text) | Delta::Refusal(text)) => DeltaBody::Text { text },
            (Some(Open::Text), Delta::Citation(citation)) => match citation::write(citation) {
                Some(citation) => DeltaBody::Citation { citation },
                None => {
                    let path = format!("content[{}].citations", self.index);
                    return losses.report(path, "only citations of web pages are carried");
                }
            },
            (Some(Open::Thinking), Delta::Thinking(thinking)) => DeltaBody::Thinking { thinking },
            (Some(Open::Thinking), Delta::Signature(signature)) => {
                DeltaBody::Signature { signature: signature.written(Wire::Anthropic) }
            }
            (Some(Open::ToolUse { fed }), Delta::Arguments(fragment)) => {
                self.open = Some(Open::ToolUse { fed: fed || !fragment.is_empty() });
                self.arguments.push_str(fragment);
                DeltaBody::Arguments { partial_json: fragment }
            }
            (Some(Open::Opaque), Delta::Opaque(value)) => return self.opaque_delta(value, out),
            _ => return losses.report(format!("content[{}]", self.index), NO_TWIN),
        };
        self.block_delta(body, out);
    }

    fn block_delta(&mut self, delta: DeltaBody<'_>, out: &mut Vec<u8>) {
        let frame = BlockDelta { kind: "content_block_delta", index: self.index, delta };
        self.write("content_block_delta", &frame, out);
    }

    fn opaque_delta(&mut self, delta: &Value, out: &mut Vec<u8>) {
        let index = u64::from(self.index);
        let frame = Object::typed("content_block_delta").with("index", index).with("delta", delta);
        self.write("content_block_delta", &frame, out);
    }

    /// A call without a single fragment still has an input: the fragments add up to `{}`.
    /// What was fed is on its way already: when it adds up to no object, that can only be told.
    fn block_stop(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        match self.open {
            Some(Open::ToolUse { fed: false }) => {
                self.block_delta(DeltaBody::Arguments { partial_json: "" }, out);
                self.block_delta(DeltaBody::Arguments { partial_json: "{}" }, out);
            }
            Some(Open::ToolUse { fed: true }) if !is_object(&self.arguments) => {
                losses.report(format!("content[{}].input", self.index), "the arguments are no JSON object");
            }
            _ => {}
        }
        self.arguments.clear();
        self.open = None;
        let frame = Object::typed("content_block_stop").with("index", u64::from(self.index));
        self.write("content_block_stop", &frame, out);
        self.index = self.index.saturating_add(1);
    }

    /// Finish and counts come in either order from other wires: both are written here. An end without a
    /// reason, or for a fault, is told as an error, so that the caller does not take half an answer for
    /// a whole one.
    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let finish = match self.finish.take() {
            Some(finish) if finish.reason != FinishReason::Error => finish,
            Some(_) => return self.fail_with("the provider reported a fault inside its answer", out),
            None => return self.fail_with("the provider's stream ended without a stop reason", out),
        };
        if let Some(word) = stop::untold(&finish) {
            losses.report("choices[0].finish_reason", format!("{word:?} {NO_TWIN}"));
        }
        self.start("", out);
        self.queue.stop_all();
        self.pump(out, losses);
        let mut delta = Object::new()
            .with("stop_reason", stop::word(Some(&finish), self.seen))
            .with("stop_sequence", response::stop_sequence(Some(&finish)));
        delta.put_some("stop_details", finish.details.as_ref());
        let frame = Object::typed("message_delta").with("delta", delta);
        let frame = frame.with("usage", usage::object(&self.usage));
        self.write("message_delta", &frame, out);
        self.write("message_stop", &Object::typed("message_stop"), out);
        self.done = true;
    }

    fn fail_with(&mut self, message: &str, out: &mut Vec<u8>) {
        let failure = Failure {
            status: 502,
            kind: FailureKind::Upstream,
            message: message.to_owned(),
            native_type: None,
            code: None,
            param: None,
        };
        self.fail(&failure, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.done = true;
        out.extend(error::encode_in_stream(failure, &self.echo.unique));
    }

    fn write(&mut self, name: &str, frame: &impl Serialize, out: &mut Vec<u8>) {
        self.scratch.clear();
        if serde_json::to_writer(&mut self.scratch, frame).is_ok() {
            write_event(out, name, &self.scratch);
        }
    }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
