//! Events into messages, in the one order the callers' accumulators accept: `messageStart` once, blocks
//! numbered from 0 and open one at a time, `messageStop`, and `metadata` with the counts as the end.

use std::borrow::Cow;

use serde::Serialize;

use crate::frame::write_message;
use crate::ir::{Delta, Event, Failure, FailureKind, Finish, FinishReason, PartKind, Usage};
use crate::loss::Losses;
use crate::wire::bedrock_converse::types::{NO_TWIN, OWN, blob, blob_for_caller};
use crate::wire::bedrock_converse::{error, response, stop, usage};
use crate::wire::queue::{Queue, Step, Turn};
use crate::wire::tree::{Node, Object};
use crate::wire::{Echo, StreamEncoder};

/// A stream being written.
#[derive(Debug)]
pub(in crate::wire::bedrock_converse) struct Encoder {
    echo: Echo,
    started: bool,
    done: bool,
    queue: Queue,
    /// Parts that have no block here: what comes for them was already reported.
    left_out: Vec<u32>,
    /// The number of the open block, or of the next one.
    index: u32,
    open: Option<Open>,
    /// Something of the open block was written: one that stays empty is no block.
    begun: bool,
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
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    content_block_index: u32,
    delta: DeltaBody<'a>,
}

#[derive(Serialize)]
enum DeltaBody<'a> {
    #[serde(rename = "text")]
    Text(&'a str),
    #[serde(rename = "toolUse")]
    Arguments { input: &'a str },
    #[serde(rename = "reasoningContent")]
    Reasoning(Reasoning<'a>),
    #[serde(rename = "citation")]
    Citation(Node<'a>),
}

#[derive(Serialize)]
enum Reasoning<'a> {
    #[serde(rename = "text")]
    Text(&'a str),
    #[serde(rename = "signature")]
    Signature(Cow<'a, str>),
    #[serde(rename = "redactedContent")]
    Redacted(Cow<'a, str>),
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.done {
            return;
        }
        match event {
            Event::Start { .. } => self.start(out),
            Event::PartStart { choice, .. }
            | Event::PartDelta { choice, .. }
            | Event::PartStop { choice, .. }
            | Event::Finish { choice, .. }
                if *choice != 0 =>
            {
                losses.report(format!("choices[{choice}]"), "bedrock_converse gives one choice per answer");
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
            // The wire has no sign of life.
            Event::Ping => {}
            Event::End => self.end(out, losses),
        }
    }
}

impl Encoder {
    pub(in crate::wire::bedrock_converse) fn new(echo: Echo) -> Self {
        Self {
            echo,
            started: false,
            done: false,
            queue: Queue::default(),
            left_out: Vec::new(),
            index: 0,
            open: None,
            begun: false,
            arguments: String::new(),
            finish: None,
            usage: Usage::default(),
            seen: stop::Seen::default(),
            scratch: Vec::new(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            self.write("messageStart", &Object::new().with("role", "assistant"), out);
        }
    }

    fn part_start(&mut self, part: u32, kind: &PartKind, out: &mut Vec<u8>, losses: &mut Losses) {
        self.start(out);
        match kind {
            PartKind::Image(_) => {
                losses.report(format!("content[{part}]"), "no block of an answer can hold an image");
                self.left_out.push(part);
                return;
            }
            PartKind::Opaque { wire, .. } if *wire != OWN => {
                losses.report(format!("content[{part}]"), NO_TWIN);
                self.left_out.push(part);
                return;
            }
            PartKind::RedactedThinking { data }
                if blob_for_caller(data, &format!("content[{part}]"), losses).is_none() =>
            {
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

    /// Calls alone are announced; text and reasoning begin with their first delta.
    fn block_start(&mut self, kind: &PartKind, out: &mut Vec<u8>) {
        let (open, start): (Open, Node<'_>) = match kind {
            PartKind::Text | PartKind::Refusal => return self.open = Some(Open::Text),
            PartKind::Thinking => return self.open = Some(Open::Thinking),
            PartKind::RedactedThinking { data } => {
                self.open = Some(Open::Whole);
                let data = blob(data).unwrap_or_default();
                return self.block_delta(DeltaBody::Reasoning(Reasoning::Redacted(data)), out);
            }
            PartKind::ToolCall { id, name } => {
                let id = response::tool_use_id(id, &self.echo, self.index as usize);
                let call = Object::new().with("toolUseId", id).with("name", name.as_str());
                (Open::ToolUse { fed: false }, Object::new().with("toolUse", call).into())
            }
            PartKind::Opaque { value, .. } => (Open::Opaque, value.into()),
            // Was left out when it began.
            PartKind::Image(_) => return,
        };
        self.open = Some(open);
        let frame = Object::new().with("start", start).with("contentBlockIndex", u64::from(self.index));
        self.write("contentBlockStart", &frame, out);
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let body = match (self.open, delta) {
            (Some(Open::Text), Delta::Text(text) | Delta::Refusal(text)) => DeltaBody::Text(text),
            (Some(Open::Text), Delta::Citation(citation)) => {
                DeltaBody::Citation(response::citation(citation))
            }
            (Some(Open::Thinking), Delta::Thinking(text)) => DeltaBody::Reasoning(Reasoning::Text(text)),
            (Some(Open::Thinking), Delta::Signature(signature)) => {
                DeltaBody::Reasoning(Reasoning::Signature(signature.written(OWN)))
            }
            (Some(Open::ToolUse { fed }), Delta::Arguments(fragment)) => {
                self.open = Some(Open::ToolUse { fed: fed || !fragment.is_empty() });
                self.arguments.push_str(fragment);
                DeltaBody::Arguments { input: fragment }
            }
            (Some(Open::Opaque), Delta::Opaque(value)) => {
                let index = u64::from(self.index);
                let frame = Object::new().with("delta", value).with("contentBlockIndex", index);
                return self.write("contentBlockDelta", &frame, out);
            }
            _ => return losses.report(format!("content[{}]", self.index), NO_TWIN),
        };
        self.block_delta(body, out);
    }

    fn block_delta(&mut self, delta: DeltaBody<'_>, out: &mut Vec<u8>) {
        let frame = BlockDelta { content_block_index: self.index, delta };
        self.write("contentBlockDelta", &frame, out);
    }

    /// A call without a single fragment still has an input: the fragments add up to `{}`. What was fed is
    /// on its way already: when it adds up to no object, that can only be told.
    fn block_stop(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        match self.open {
            Some(Open::ToolUse { fed: false }) => {
                self.block_delta(DeltaBody::Arguments { input: "{}" }, out);
            }
            Some(Open::ToolUse { fed: true }) if !is_object(&self.arguments) => {
                losses.report(format!("content[{}].input", self.index), "the arguments are no JSON object");
            }
            _ => {}
        }
        self.arguments.clear();
        self.open = None;
        if !std::mem::take(&mut self.begun) {
            return;
        }
        let frame = Object::new().with("contentBlockIndex", u64::from(self.index));
        self.write("contentBlockStop", &frame, out);
        self.index = self.index.saturating_add(1);
    }

    /// Finish and counts come in either order from other wires: both are written here. An end without a
    /// reason, or for a fault, is told as an exception, so that the caller does not take half an answer
    /// for a whole one.
    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let finish = match self.finish.take() {
            Some(finish) if finish.reason != FinishReason::Error => finish,
            Some(_) => return self.fail_with("the provider reported a fault inside its answer", out),
            None => return self.fail_with("the provider's stream ended without a stop reason", out),
        };
        response::report_finish(Some(&finish), losses);
        self.start(out);
        self.queue.stop_all();
        self.pump(out, losses);
        let mut frame = Object::new().with("stopReason", stop::word(Some(&finish), self.seen));
        frame.put_some("additionalModelResponseFields", response::stop_sequence(Some(&finish)));
        self.write("messageStop", &frame, out);
        let frame = Object::new().with("usage", usage::object(&self.usage));
        self.write("metadata", &frame.with("metrics", response::metrics()), out);
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
        out.extend(error::encode_in_stream(failure));
    }

    fn write(&mut self, name: &str, frame: &impl Serialize, out: &mut Vec<u8>) {
        self.begun = self.open.is_some();
        self.scratch.clear();
        if serde_json::to_writer(&mut self.scratch, frame).is_ok() {
            write_message(out, name, &self.scratch);
        }
    }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
