//! Events into chunks for a caller of this dialect. Each chunk is a whole answer by itself: clients append
//! the parts, and take finish reason and counts from the last one.
//!
//! Calls are sent whole, when they end. Nothing is written for a sign of life: the JavaScript SDK does not
//! skip comments. Chunks are written straight to bytes: this runs for every token.

use serde::Serialize;
use serde_json::Value;

use crate::Wire;
use crate::frame::write_data;
use crate::ir::{Delta, Event, Finish, PartKind, Signature, Usage};
use crate::loss::Losses;
use crate::wire::fields::{Path, write_extra};
use crate::wire::gemini::citation::Grounding;
use crate::wire::gemini::response::response_id;
use crate::wire::gemini::write::{CUT_CALL, NO_COUNTERPART, REFUSAL, image_part, whole_args};
use crate::wire::gemini::{error, finish, logprobs, signature, usage};
use crate::wire::tree::{Object, to_bytes};
use crate::wire::{Echo, StreamEncoder};

/// The state of one caller stream.
#[derive(Debug)]
pub(in crate::wire::gemini) struct Encoder {
    echo: Echo,
    /// `,"modelVersion":…,"responseId":…}`, the same in every chunk.
    tail: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    calls: u32,
    /// The last chunk or an error was written: nothing follows.
    done: bool,
    json: Vec<u8>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    open: Vec<Open>,
    /// A signature of this wire's maker for the part that comes next.
    signature: Option<String>,
    /// Bytes of text in parts that are closed.
    said: u64,
    grounding: Grounding,
    finish: Option<Finish>,
    /// A call was left out.
    cut: bool,
}

#[derive(Debug)]
struct Open {
    part: u32,
    kind: Kind,
    /// What was said, or the arguments so far.
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call {
        id: String,
        name: String,
    },
    /// Written already, or left out.
    Closed,
}

/// A part of a choice.
#[derive(Debug, Clone, Copy)]
struct Spot {
    choice: u32,
    part: u32,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.done {
            return;
        }
        match event {
            Event::Start { id, model, .. } => self.start(id, model),
            Event::PartStart { choice, part, kind } => {
                self.part_start(Spot { choice: *choice, part: *part }, kind, out, losses);
            }
            Event::PartDelta { choice, part, delta } => {
                self.part_delta(Spot { choice: *choice, part: *part }, delta, out, losses);
            }
            Event::PartStop { choice, part } => {
                self.part_stop(Spot { choice: *choice, part: *part }, out, losses);
            }
            Event::Logprobs { choice, value } => match logprobs::write(value) {
                Some(result) => self.logprobs(*choice, &result, out),
                None => losses.report(format!("candidates[{choice}].logprobs"), NO_COUNTERPART),
            },
            Event::Finish { choice, finish } => {
                if finish.stop_sequence.is_some() {
                    losses.report(format!("candidates[{choice}].stop_sequence"), NO_COUNTERPART);
                }
                if let Some(reason) = finish::untold(finish) {
                    losses.report(format!("candidates[{choice}].finish_reason"), reason);
                }
                if let Some(state) = self.choice(*choice) {
                    state.finish.get_or_insert_with(|| finish.clone());
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Failure(failure) => {
                self.done = true;
                write_data(out, &error::encode(failure, ""));
            }
            Event::Lost { path, reason } => losses.report(path, reason),
            Event::Ping => {}
            Event::End => self.end(out, losses),
        }
    }
}

impl Encoder {
    pub(in crate::wire::gemini) fn new(echo: Echo) -> Self {
        Self {
            echo,
            tail: Vec::new(),
            choices: Vec::new(),
            usage: None,
            calls: 0,
            done: false,
            json: Vec::new(),
        }
    }

    fn start(&mut self, id: &str, model: &str) {
        if !self.tail.is_empty() {
            return;
        }
        let model = if self.echo.model.is_empty() { model } else { &self.echo.model };
        let mut tail = b",\"modelVersion\":".to_vec();
        push_json(&mut tail, model);
        tail.extend_from_slice(b",\"responseId\":");
        push_json(&mut tail, &response_id(id, &self.echo));
        tail.push(b'}');
        self.tail = tail;
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        self.start("", "");
        let known = self.choices.iter().position(|choice| choice.index == index);
        match known {
            Some(place) => self.choices.get_mut(place),
            None => Some(self.choices.push_mut(Choice { index, ..Choice::default() })),
        }
    }

    fn open(&mut self, spot: Spot) -> Option<&mut Open> {
        let choice = self.choices.iter_mut().find(|choice| choice.index == spot.choice)?;
        choice.open.iter_mut().find(|open| open.part == spot.part)
    }

    fn part_start(&mut self, spot: Spot, kind: &PartKind, out: &mut Vec<u8>, losses: &mut Losses) {
        let made = format_args!("call_{}_{}", self.echo.unique, self.calls).to_string();
        let kind = match kind {
            PartKind::Text => Kind::Text,
            PartKind::Refusal => {
                losses.report(format!("candidates[{}].content.parts[{}]", spot.choice, spot.part), REFUSAL);
                Kind::Text
            }
            PartKind::Thinking => Kind::Thinking,
            PartKind::ToolCall { id, name } => {
                self.calls = self.calls.saturating_add(1);
                let id = if id.is_empty() { made } else { id.clone() };
                Kind::Call { id, name: name.clone() }
            }
            PartKind::RedactedThinking { data } => {
                let part = Object::new().with("text", "").with("thought", true);
                self.part(
                    spot.choice,
                    &to_bytes(&part.with("thoughtSignature", signature::redacted(data))),
                    out,
                );
                Kind::Closed
            }
            PartKind::Image(image) => {
                let path = format!("candidates[{}].content.parts[{}]", spot.choice, spot.part);
                match image_part(image) {
                    Some(mut object) => {
                        let signature = self.choice(spot.choice).and_then(|choice| choice.signature.take());
                        object.put_some("thoughtSignature", signature);
                        write_extra(&mut object, &image.extra, &Path::Body, Wire::Gemini, losses);
                        self.part(spot.choice, &to_bytes(&object), out);
                    }
                    None => losses.report(path, NO_COUNTERPART),
                }
                Kind::Closed
            }
            PartKind::Opaque { wire: Wire::Gemini, value } => {
                self.part(spot.choice, value.to_string().as_bytes(), out);
                Kind::Closed
            }
            PartKind::Opaque { value, .. } => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                let path = format!("candidates[{}].content.parts[{}]", spot.choice, spot.part);
                losses.report(path, format!("a part of type {kind:?} {NO_COUNTERPART}"));
                Kind::Closed
            }
        };
        if let Some(choice) = self.choice(spot.choice) {
            choice.open.push(Open { part: spot.part, kind, text: String::new() });
        }
    }

    fn part_delta(&mut self, spot: Spot, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => self.text(spot, text, out),
            Delta::Thinking(text) => {
                if let Some(open) = self.open(spot) {
                    open.text.push_str(text);
                }
                self.prose(spot.choice, text, b",\"thought\":true}", out);
            }
            Delta::Signature(signature) => self.signature(spot, signature, out),
            Delta::Arguments(text) => {
                if let Some(open) = self.open(spot) {
                    open.text.push_str(text);
                }
            }
            Delta::Citation(citation) => {
                if let Some(choice) = self.choice(spot.choice) {
                    let text = choice.open.iter().find(|open| open.part == spot.part);
                    let text = text.map(|open| open.text.as_str()).unwrap_or_default();
                    choice.grounding.add(citation, text, None, choice.said);
                }
            }
            Delta::Opaque(_) => {
                let path = format!("candidates[{}].content.parts[{}]", spot.choice, spot.part);
                losses.report(path, NO_COUNTERPART);
            }
        }
    }

    fn text(&mut self, spot: Spot, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if let Some(open) = self.open(spot) {
            open.text.push_str(text);
        }
        match self.choice(spot.choice).and_then(|choice| choice.signature.take()) {
            None => self.prose(spot.choice, text, b"}", out),
            Some(signature) => {
                let part = Object::new().with("text", text).with("thoughtSignature", signature);
                self.part(spot.choice, &to_bytes(&part), out);
            }
        }
    }

    /// This maker's own signature is for the part behind the reasoning; another's belongs to the reasoning.
    fn signature(&mut self, spot: Spot, given: &Signature, out: &mut Vec<u8>) {
        if let Some(own) = given.for_wire(Wire::Gemini) {
            self.settle(spot.choice, out);
            if let Some(choice) = self.choice(spot.choice) {
                choice.signature = Some(own.to_owned());
            }
            return;
        }
        let part = Object::new().with("text", "").with("thought", true);
        let part = part.with("thoughtSignature", signature::written(given));
        self.part(spot.choice, &to_bytes(&part), out);
    }

    /// A signature that found no part stands on an empty text.
    fn settle(&mut self, choice: u32, out: &mut Vec<u8>) {
        if let Some(signature) = self.choice(choice).and_then(|choice| choice.signature.take()) {
            let part = Object::new().with("text", "").with("thoughtSignature", signature);
            self.part(choice, &to_bytes(&part), out);
        }
    }

    fn part_stop(&mut self, spot: Spot, out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(choice) = self.choice(spot.choice) else { return };
        let Some(place) = choice.open.iter().position(|open| open.part == spot.part) else { return };
        let open = choice.open.remove(place);
        match open.kind {
            Kind::Text => choice.said = choice.said.saturating_add(open.text.len() as u64),
            Kind::Thinking | Kind::Closed => {}
            Kind::Call { id, name } => {
                let signature = choice.signature.take();
                let list = Path::Body.field("candidates");
                let candidate = list.item(spot.choice as usize);
                let content = candidate.field("content");
                let parts = content.field("parts");
                let Some(args) = whole_args(&open.text) else {
                    let path = parts.item(spot.part as usize).field("arguments").to_string();
                    choice.cut = true;
                    return losses.report(path, CUT_CALL);
                };
                let call = Object::new().with("id", id).with("name", name).with("args", args);
                let mut part = Object::new().with("functionCall", call);
                part.put_some("thoughtSignature", signature);
                let part = to_bytes(&part);
                self.part(spot.choice, &part, out);
            }
        }
    }

    fn logprobs(&mut self, choice: u32, result: &Value, out: &mut Vec<u8>) {
        self.start("", "");
        let content = Object::new().with("parts", Vec::new()).with("role", "model");
        let candidate = Object::new().with("content", content).with("index", u64::from(choice));
        let candidate = to_bytes(&candidate.with("logprobsResult", result));
        self.chunk(&candidate, b"", out);
    }

    /// The last chunk: every choice's finish reason and sources, and the counts.
    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        self.start("", "");
        for spot in self.still_open() {
            self.part_stop(spot, out, losses);
        }
        let indices: Vec<u32> = self.choices.iter().map(|choice| choice.index).collect();
        indices.into_iter().for_each(|index| self.settle(index, out));
        self.done = true;
        let mut candidates = Vec::new();
        for choice in std::mem::take(&mut self.choices) {
            if !candidates.is_empty() {
                candidates.push(b',');
            }
            candidates.append(&mut to_bytes(&choice.last()));
        }
        let mut counts = Vec::new();
        if let Some(usage) = &self.usage {
            counts.extend_from_slice(b",\"usageMetadata\":");
            counts.append(&mut to_bytes(&usage::write(usage)));
        }
        self.chunk(&candidates, &counts, out);
    }

    fn still_open(&self) -> Vec<Spot> {
        let spots = self
            .choices
            .iter()
            .flat_map(|choice| choice.open.iter().map(|open| Spot { choice: choice.index, part: open.part }));
        spots.collect()
    }

    /// A chunk with a text and what stands behind it in its part. Empty text makes none.
    fn prose(&mut self, choice: u32, text: &str, tail: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.begin(choice);
        self.json.extend_from_slice(b"{\"text\":");
        push_json(&mut self.json, text);
        self.json.extend_from_slice(tail);
        self.finish(choice, out);
    }

    /// A chunk with one part.
    fn part(&mut self, choice: u32, part: &[u8], out: &mut Vec<u8>) {
        self.begin(choice);
        self.json.extend_from_slice(part);
        self.finish(choice, out);
    }

    fn begin(&mut self, choice: u32) {
        // A choice is known from its first part on, or it would have no finish.
        self.choice(choice);
        self.json.clear();
        self.json.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
    }

    fn finish(&mut self, choice: u32, out: &mut Vec<u8>) {
        self.json.extend_from_slice(b"],\"role\":\"model\"},\"index\":");
        push_json(&mut self.json, &choice);
        self.json.extend_from_slice(b"}]");
        self.json.extend_from_slice(&self.tail);
        write_data(out, &self.json);
    }

    fn chunk(&mut self, candidates: &[u8], counts: &[u8], out: &mut Vec<u8>) {
        self.json.clear();
        self.json.extend_from_slice(b"{\"candidates\":[");
        self.json.extend_from_slice(candidates);
        self.json.push(b']');
        self.json.extend_from_slice(counts);
        self.json.extend_from_slice(&self.tail);
        write_data(out, &self.json);
    }
}

impl Choice {
    /// What the last chunk says of it. A part stands in it as in the API's own last chunks.
    fn last(self) -> Object<'static> {
        let empty = Object::new().with("text", "");
        let content = Object::new().with("parts", vec![empty.into()]).with("role", "model");
        let mut candidate = Object::new().with("content", content);
        if let Some(finish) = &self.finish {
            let (word, message) = finish::words_of(finish, self.cut);
            candidate.put("finishReason", word.to_owned());
            candidate.put_some("finishMessage", message);
        }
        candidate.put("index", u64::from(self.index));
        candidate.put_some("groundingMetadata", self.grounding.finish());
        candidate
    }
}

fn push_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Text and numbers always serialise, and a Vec takes every write.
    let _written = serde_json::to_writer(out, value);
}
