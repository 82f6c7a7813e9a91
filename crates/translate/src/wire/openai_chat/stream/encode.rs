//! Events into chunks for a caller of this dialect.
//!
//! What OpenAI's SDKs count on: the first chunk of a choice carries the role; tool calls are numbered
//! from 0 among themselves, not among content blocks; one chunk per choice has the finish reason; every
//! chunk has the same id, time and model; usage comes in a chunk of its own and only when asked for.
//! Chunks are written straight to bytes: this runs for every token.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::fields::Path;
use super::super::parts::write_image;
use super::super::response::{MadeIds, finish_of, foreign_native, id, refusal_text};
use super::super::{citation, error, reasoning, usage};
use crate::Wire;
use crate::frame::write_data;
use crate::ir::{Delta, Event, Finish, PartKind, Signature, Usage};
use crate::loss::Losses;
use crate::wire::tree::Node;
use crate::wire::{Echo, StreamEncoder};

/// The state of one caller stream.
#[derive(Debug)]
pub(in crate::wire::openai_chat) struct Encoder {
    echo: Echo,
    /// `{"id":…,"object":…,"created":…,"model":…,"choices":[`, the same in every chunk.
    head: Vec<u8>,
    choices: Vec<ChoiceState>,
    /// Calls of all choices so far.
    calls: u32,
    usage: Option<Usage>,
    /// `[DONE]` or an error was written: nothing follows.
    done: bool,
    json: Vec<u8>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u32,
    calls: u32,
    details: u32,
    refused: bool,
    finished: bool,
    /// Gemini's signature of the part of that number: it stands on the call behind it once more.
    sealed: Option<(u32, String)>,
    open: Vec<OpenPart>,
}

/// A part of a choice.
#[derive(Debug, Clone, Copy)]
struct Spot {
    choice: u32,
    part: u32,
}

#[derive(Debug)]
struct OpenPart {
    part: u32,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    Prose,
    /// Its text, which the signature's entry repeats whole: clients that collect the list can send the
    /// pair back byte for byte.
    Thinking(String),
    Call {
        number: u32,
        fed: bool,
    },
    /// Was written or reported when it began.
    Lost,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.done {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created, out),
            Event::PartStart { choice, part, kind } => {
                self.part_start(Spot { choice: *choice, part: *part }, kind, out, losses);
            }
            Event::PartDelta { choice, part, delta } => {
                self.part_delta(Spot { choice: *choice, part: *part }, delta, out, losses);
            }
            Event::PartStop { choice, part } => self.part_stop(*choice, *part, out),
            Event::Logprobs { choice, value } => self.logprobs(*choice, value, out),
            Event::Finish { choice, finish } => self.finish(*choice, finish, out, losses),
            Event::Usage(counts) => self.usage = Some(*counts),
            Event::Failure(failure) => {
                self.done = true;
                write_data(out, &error::encode(failure));
            }
            Event::Lost { path, reason } => losses.report(path, reason),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out),
        }
    }
}

impl Encoder {
    pub(in crate::wire::openai_chat) fn new(echo: Echo) -> Self {
        Self {
            echo,
            head: Vec::new(),
            choices: Vec::new(),
            calls: 0,
            usage: None,
            done: false,
            json: Vec::new(),
        }
    }

    fn start(&mut self, given: &str, model: &str, created: Option<u64>, out: &mut Vec<u8>) {
        if !self.head.is_empty() {
            return;
        }
        self.write_head(given, model, created);
        self.choice(0, out);
    }

    fn write_head(&mut self, given: &str, model: &str, created: Option<u64>) {
        let model = if self.echo.model.is_empty() { model } else { &self.echo.model };
        let mut head = b"{\"id\":".to_vec();
        push_json(&mut head, &id(given, &self.echo));
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        push_json(&mut head, &created.unwrap_or(self.echo.now));
        head.extend_from_slice(b",\"model\":");
        push_json(&mut head, model);
        head.extend_from_slice(b",\"choices\":[");
        self.head = head;
    }

    /// The choice's state; its role chunk is written when it is new.
    fn choice(&mut self, index: u32, out: &mut Vec<u8>) -> usize {
        if self.head.is_empty() {
            self.write_head("", "", None);
        }
        if let Some(known) = self.choices.iter().position(|state| state.index == index) {
            return known;
        }
        self.choices.push(ChoiceState { index, ..ChoiceState::default() });
        self.chunk(index, b"{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", out);
        self.choices.len() - 1
    }

    fn part_start(&mut self, spot: Spot, kind: &PartKind, out: &mut Vec<u8>, losses: &mut Losses) {
        let Spot { choice, part } = spot;
        let at = self.choice(choice, out);
        let mut ids = MadeIds { unique: &self.echo.unique, calls: self.calls };
        let Some(state) = self.choices.get_mut(at) else { return };
        let (open, delta) = match kind {
            PartKind::Text | PartKind::Refusal => (OpenKind::Prose, None),
            PartKind::Thinking => (OpenKind::Thinking(String::new()), None),
            PartKind::RedactedThinking { data } => {
                let index = state.details;
                state.details += 1;
                let format = reasoning::format_of(Wire::Anthropic);
                let entry =
                    json!({"type": "reasoning.encrypted", "data": data, "format": format, "index": index});
                (OpenKind::Prose, Some(json!({"reasoning_details": [entry]})))
            }
            PartKind::ToolCall { id, name } => {
                let number = state.calls;
                state.calls += 1;
                let id = ids.next(id);
                self.calls = ids.calls;
                let function = json!({"name": name, "arguments": ""});
                let seal = state.sealed.take_if(|(before, _)| *before + 1 == part);
                let call = match seal {
                    None => json!({"index": number, "id": id, "type": "function", "function": function}),
                    Some((_, seal)) => {
                        let content = json!({"google": {"thought_signature": seal}});
                        json!({"index": number, "id": id, "type": "function", "function": function,
                            "extra_content": content})
                    }
                };
                (OpenKind::Call { number, fed: false }, Some(json!({"tool_calls": [call]})))
            }
            PartKind::Image(image) => {
                let path = format!("choices[{choice}].content[{part}]");
                let written = write_image(image, &Path::Body.field(&path), losses);
                match written.map(|image| serde_json::to_value(Node::from(image)).unwrap_or_default()) {
                    Ok(image) => (OpenKind::Lost, Some(json!({"images": [image]}))),
                    Err(_) => {
                        losses.report(path, "an image of another provider's files");
                        (OpenKind::Lost, None)
                    }
                }
            }
            PartKind::Opaque { wire: Wire::OpenAiChat, value } if is_reasoning(value) => {
                (OpenKind::Prose, Some(json!({"reasoning_details": [value]})))
            }
            PartKind::Opaque { value, .. } => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                let path = format!("choices[{choice}].content[{part}]");
                losses.report(path, format!("a part of type {kind:?} has no counterpart on openai_chat"));
                (OpenKind::Lost, None)
            }
        };
        state.open.push(OpenPart { part, kind: open });
        if let Some(delta) = delta {
            self.chunk_of(choice, &delta, out);
        }
    }

    fn part_delta(&mut self, spot: Spot, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let Spot { choice, part } = spot;
        let at = self.choice(choice, out);
        match delta {
            Delta::Text(text) => self.field(choice, "content", text, out),
            Delta::Refusal(text) => {
                if let Some(state) = self.choices.get_mut(at) {
                    state.refused = true;
                }
                self.field(choice, "refusal", text, out);
            }
            Delta::Thinking(text) => {
                if let Some(OpenKind::Thinking(sofar)) = self.open_kind(at, part) {
                    sofar.push_str(text);
                }
                self.field(choice, "reasoning_content", text, out);
            }
            Delta::Signature(signature) => self.signature(choice, part, signature, out),
            Delta::Arguments(text) => self.arguments(choice, part, text, out),
            Delta::Citation(cited) => match citation::write(cited, None) {
                Some(annotation) => self.chunk_of(choice, &json!({"annotations": [annotation]}), out),
                None => losses
                    .report(format!("choices[{choice}].content[{part}].citations"), citation::PAGES_ONLY),
            },
            Delta::Opaque(_) => {}
        }
    }

    fn signature(&mut self, choice: u32, part: u32, signature: &Signature, out: &mut Vec<u8>) {
        let at = self.choice(choice, out);
        let text = match self.open_kind(at, part) {
            Some(OpenKind::Thinking(text)) => std::mem::take(text),
            _ => String::new(),
        };
        let Some(state) = self.choices.get_mut(at) else { return };
        let index = state.details;
        state.details += 1;
        if signature.by == Wire::Gemini {
            state.sealed = Some((part, signature.text.clone()));
        }
        let entries = reasoning::signed_entries(text, signature, index);
        self.chunk_of(choice, &json!({"reasoning_details": entries}), out);
    }

    fn arguments(&mut self, choice: u32, part: u32, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let at = self.choice(choice, out);
        let Some(OpenKind::Call { number, fed }) = self.open_kind(at, part) else { return };
        *fed = true;
        let number = *number;
        let mut delta = b"{\"tool_calls\":[{\"index\":".to_vec();
        push_json(&mut delta, &number);
        delta.extend_from_slice(b",\"function\":{\"arguments\":");
        push_json(&mut delta, text);
        delta.extend_from_slice(b"}}]}");
        self.chunk(choice, &delta, out);
    }

    fn part_stop(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let at = self.choice(choice, out);
        if let Some(OpenKind::Call { fed: false, .. }) = self.open_kind(at, part) {
            // A call without arguments is still a call with an object of them.
            self.arguments(choice, part, "{}", out);
        }
        if let Some(state) = self.choices.get_mut(at) {
            state.open.retain(|open| open.part != part);
        }
    }

    fn open_kind(&mut self, at: usize, part: u32) -> Option<&mut OpenKind> {
        let state = self.choices.get_mut(at)?;
        state.open.iter_mut().find(|open| open.part == part).map(|open| &mut open.kind)
    }

    fn logprobs(&mut self, choice: u32, value: &Value, out: &mut Vec<u8>) {
        self.choice(choice, out);
        let mut tail = b"{},\"logprobs\":".to_vec();
        push_json(&mut tail, value);
        self.write(choice, &tail, b",\"finish_reason\":null}", out);
    }

    fn finish(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>, losses: &mut Losses) {
        let at = self.choice(choice, out);
        let Some(state) = self.choices.get_mut(at).filter(|state| !state.finished) else { return };
        state.finished = true;
        if let Some(failure) = finish.failure() {
            // The wire has no word for it, and what came so far is no answer.
            self.done = true;
            return write_data(out, &error::encode(&failure));
        }
        let (calls, refused) = (state.calls > 0, state.refused);
        if let Some(text) = refusal_text(finish).filter(|_| !refused) {
            self.field(choice, "refusal", &text, out);
        }
        if finish.stop_sequence.is_some() {
            losses.report(format!("choices[{choice}].stop_sequence"), "has no counterpart on openai_chat");
        }
        let mut tail = b",\"logprobs\":null,\"finish_reason\":".to_vec();
        push_json(&mut tail, finish_of(finish, calls));
        if let Some(native) = foreign_native(finish) {
            tail.extend_from_slice(b",\"native_finish_reason\":");
            push_json(&mut tail, native);
        }
        tail.push(b'}');
        self.write(choice, b"{}", &tail, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.done = true;
        if let Some(counts) = self.usage.filter(|_| self.echo.stream_usage) {
            if self.head.is_empty() {
                self.write_head("", "", None);
            }
            let mut json = self.head.clone();
            json.extend_from_slice(b"],\"usage\":");
            push_json(&mut json, &usage::write(&counts));
            json.push(b'}');
            write_data(out, &json);
        }
        write_data(out, b"[DONE]");
    }

    /// A chunk whose delta is one string field. Empty text makes no chunk.
    fn field(&mut self, choice: u32, name: &str, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let mut delta = b"{\"".to_vec();
        delta.extend_from_slice(name.as_bytes());
        delta.extend_from_slice(b"\":");
        push_json(&mut delta, text);
        delta.push(b'}');
        self.chunk(choice, &delta, out);
    }

    fn chunk_of(&mut self, choice: u32, delta: &Value, out: &mut Vec<u8>) {
        let delta = delta.to_string();
        self.chunk(choice, delta.as_bytes(), out);
    }

    fn chunk(&mut self, choice: u32, delta: &[u8], out: &mut Vec<u8>) {
        self.write(choice, delta, b",\"logprobs\":null,\"finish_reason\":null}", out);
    }

    /// `tail` ends the choice object that `delta` stands in.
    fn write(&mut self, choice: u32, delta: &[u8], tail: &[u8], out: &mut Vec<u8>) {
        self.json.clear();
        self.json.extend_from_slice(&self.head);
        self.json.extend_from_slice(b"{\"index\":");
        push_json(&mut self.json, &choice);
        self.json.extend_from_slice(b",\"delta\":");
        self.json.extend_from_slice(delta);
        self.json.extend_from_slice(tail);
        self.json.push(b']');
        if self.echo.stream_usage {
            self.json.extend_from_slice(b",\"usage\":null");
        }
        self.json.push(b'}');
        write_data(out, &self.json);
    }
}

/// An entry of `reasoning_details` that the pivot carried whole.
fn is_reasoning(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("reasoning."))
}

fn push_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Text, numbers and trees of them always serialise, and a Vec takes every write.
    let _written = serde_json::to_writer(out, value);
}
