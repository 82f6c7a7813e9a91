//! A provider's events into the pivot's.
//!
//! An event of an item that only this wire knows says nothing the item does not say when it is done. The last
//! event holds the whole answer: items that never came by themselves are told from there.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::reasoning::{self, Side};
use super::super::response::finish;
use super::super::types::{Item, ItemPart, Outline, Step, is_call};
use super::super::{OWN, citation, error, usage};
use super::left_out;
use super::open::{Items, Key, Kind, Open, Prose, Sink};
use crate::frame::Frame;
use crate::ir::{Delta, Event, Failure, Part, Signature};
use crate::wire::fields::{Fields, Path};
use crate::wire::json::Json;
use crate::wire::openai_chat::speaks;
use crate::wire::told::Told;
use crate::wire::{BadFrame, StreamDecoder, failure_shapes};

/// The state of one provider stream.
#[derive(Debug, Default)]
pub(in crate::wire::openai_responses) struct Decoder {
    started: bool,
    /// The last event or a failure was seen: nothing follows.
    done: bool,
    items: Items,
    told: Told,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let data = frame.data.trim_ascii();
        // Some hosts end with Chat Completions' terminator.
        if self.done || data == b"[DONE]" {
            return Ok(());
        }
        if data.is_empty() {
            out.extend((!frame.raw.is_empty()).then_some(Event::Ping));
            return Ok(());
        }
        // Checked once as a whole: cheaper than string by string.
        let Ok(text) = std::str::from_utf8(data) else {
            return self.unreadable(frame, "it is not UTF-8", out);
        };
        let step: Step<'_> = match serde_json::from_str(text) {
            Ok(step) => step,
            Err(error) => return self.unreadable(frame, &error.to_string(), out),
        };
        let kind = match step.kind.get() {
            "" => frame.event,
            kind => kind,
        };
        if kind == "error" || (step.kind.get().is_empty() && speaks(step.error)) {
            return self.unreadable(frame, "an error event without an error", out);
        }
        self.step(kind, &step, out)
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.done {
            self.done = true;
            self.items.close(out);
        }
    }
}

impl Decoder {
    /// An error of any shape ends the stream; anything else is no event of this wire.
    fn unreadable(&mut self, frame: &Frame<'_>, why: &str, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let failure = match failure_shapes::recognise(200, frame.data) {
            Some(_) => error::decode(200, frame.data),
            None if frame.event == "error" => error::decode(200, frame.data),
            None => return Err(BadFrame(why.to_owned())),
        };
        self.fail(failure, out);
        Ok(())
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.done = true;
        out.push(Event::Failure(failure));
    }

    fn step(&mut self, kind: &str, step: &Step<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        match kind {
            "response.output_text.delta" => self.prose(step, Prose::Text, Some(step.delta.get()), out),
            "response.output_text.done" => self.prose(step, Prose::Text, None, out),
            "response.refusal.delta" => self.prose(step, Prose::Refusal, Some(step.delta.get()), out),
            "response.refusal.done" => self.prose(step, Prose::Refusal, None, out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.prose(step, Prose::Thinking, Some(step.delta.get()), out);
            }
            "response.reasoning_summary_text.done" | "response.reasoning_text.done" => {
                self.prose(step, Prose::Thinking, None, out);
            }
            "response.function_call_arguments.delta" => self.arguments(step, step.delta.get(), false, out),
            "response.function_call_arguments.done" => self.arguments(step, step.arguments.get(), true, out),
            "response.custom_tool_call_input.delta" => self.arguments(step, step.delta.get(), false, out),
            "response.custom_tool_call_input.done" => self.arguments(step, step.input.get(), true, out),
            "response.output_item.added" => self.item(step, false, out)?,
            "response.output_item.done" => self.item(step, true, out)?,
            "response.content_part.added" | "response.content_part.done" => {
                self.content_part(step, kind.ends_with("done"), out)?;
            }
            "response.reasoning_summary_part.added" => self.open_summary(step, out),
            "response.reasoning_summary_part.done" => {}
            "response.output_text.annotation.added" => self.annotation(step, out)?,
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(&outline(step)?, out);
            }
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                self.finish(&outline(step)?, out);
            }
            "response.failed" => {
                let answer = outline(step)?;
                let raw = answer.error.map_or("{}", RawValue::get);
                self.fail(error::of_answer(raw), out);
            }
            "keepalive" => out.push(Event::Ping),
            "" => return Err(BadFrame("it has no `type`".to_owned())),
            other => left_out::of_event(other, &mut self.told, out),
        }
        left_out::of_fields(kind, step, &mut self.told, out);
        Ok(())
    }

    fn start(&mut self, answer: &Outline<'_>, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            let (id, model) = (answer.id.get().to_owned(), answer.model.get().to_owned());
            out.push(Event::Start { id, model, created: answer.created_at.0.filter(|created| *created > 0) });
        }
    }

    fn ensure_started(&mut self, out: &mut Vec<Event>) {
        if !self.started {
            self.start(&Outline::default(), out);
        }
    }

    /// A delta, or (`delta` absent) the whole text in the event that ends it.
    fn prose(&mut self, step: &Step<'_>, prose: Prose, delta: Option<&str>, out: &mut Vec<Event>) {
        self.ensure_started(out);
        let kind = if prose == Prose::Thinking { Kind::Reasoning } else { Kind::Message };
        let key = key(step);
        let whole = if prose == Prose::Refusal { step.refusal.get() } else { step.text.get() };
        let index = step.output_index.0.unwrap_or(0);
        match self.items.of(index, kind, out) {
            Some((item, mut sink)) => {
                item.feed((key, prose), delta.unwrap_or(whole), delta.is_none(), &mut sink);
            }
            None => return self.told.once("item", "output_index", "", out),
        }
        if delta.is_some() {
            logprobs(step.logprobs, out);
        }
    }

    fn open_summary(&mut self, step: &Step<'_>, out: &mut Vec<Event>) {
        self.ensure_started(out);
        let index = step.output_index.0.unwrap_or(0);
        if let Some((item, mut sink)) = self.items.of(index, Kind::Reasoning, out) {
            item.open(key(step), Prose::Thinking, &mut sink);
        }
    }

    fn content_part(&mut self, step: &Step<'_>, done: bool, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let part: ItemPart<'_> = read(step.part, "part")?;
        let key = key(step);
        let index = step.output_index.0.unwrap_or(0);
        let (prose, kind) = match part.kind.get() {
            "output_text" => (Prose::Text, Kind::Message),
            "refusal" => (Prose::Refusal, Kind::Message),
            "reasoning_text" => (Prose::Thinking, Kind::Reasoning),
            other => {
                self.told.once("part", other, "part", out);
                return Ok(());
            }
        };
        self.ensure_started(out);
        let Some((item, mut sink)) = self.items.of(index, kind, out) else { return Ok(()) };
        item.open(key, prose, &mut sink);
        item.feed((key, prose), said(&part), true, &mut sink);
        if done {
            item.cite(key, citations(part.annotations), true, &mut sink);
            // Reasoning stays open for its seal.
            if prose != Prose::Thinking {
                item.stop(key, &mut sink);
            }
        }
        Ok(())
    }

    fn annotation(&mut self, step: &Step<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let value: Value = read(step.annotation, "annotation")?;
        self.ensure_started(out);
        let index = step.output_index.0.unwrap_or(0);
        if let Some((item, mut sink)) = self.items.of(index, Kind::Message, out) {
            item.open(key(step), Prose::Text, &mut sink);
            item.cite(key(step), vec![cited(value)], false, &mut sink);
        }
        Ok(())
    }

    /// A call that was not announced has no name: its item tells it whole.
    fn arguments(&mut self, step: &Step<'_>, text: &str, whole: bool, out: &mut Vec<Event>) {
        let index = step.output_index.0.unwrap_or(0);
        if let Some((item, mut sink)) = self.items.find(index, out) {
            item.arguments(text, whole, &mut sink);
        }
    }

    fn item(&mut self, step: &Step<'_>, done: bool, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let raw = step.item.ok_or_else(|| BadFrame("it has no `item`".to_owned()))?;
        self.take_item(step.output_index.0.unwrap_or(0), raw, done, out)
    }

    fn take_item(
        &mut self,
        index: u64,
        raw: &RawValue,
        done: bool,
        out: &mut Vec<Event>,
    ) -> Result<(), BadFrame> {
        let item: Item<'_> = read(Some(raw), "item")?;
        let kind = match item.kind.get() {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            word if is_call(word) => Kind::Call { custom: word == "custom_tool_call" },
            _ => Kind::Whole,
        };
        let whole = (kind == Kind::Whole && done).then(|| serde_json::from_str::<Value>(raw.get()));
        let whole = whole.transpose().map_err(|error| BadFrame(error.to_string()))?;
        self.ensure_started(out);
        left_out::of_item(kind, &item, &mut self.told, out);
        let Some((open, mut sink)) = self.items.of(index, kind, out) else { return Ok(()) };
        if open.done {
            return Ok(());
        }
        match kind {
            Kind::Message if done => message(open, &item, &mut sink),
            Kind::Reasoning if done => thought(open, &item, raw, &mut sink),
            Kind::Call { .. } => {
                open.call(item.call_id.get(), item.name.get(), &mut sink);
                let text = if item.input.0.is_some() { item.input.get() } else { item.arguments.get() };
                open.arguments(text, done, &mut sink);
            }
            _ => {}
        }
        if let Some(value) = whole {
            open.whole(value, &mut sink);
        }
        if done {
            open.close(&mut sink);
        }
        Ok(())
    }

    fn finish(&mut self, answer: &Outline<'_>, out: &mut Vec<Event>) {
        if let Some(raw) = answer.error.filter(|raw| speaks(Some(raw))) {
            return self.fail(error::of_answer(raw.get()), out);
        }
        self.start(answer, out);
        for (index, raw) in answer.output.as_deref().unwrap_or_default().iter().enumerate() {
            // An item that cannot be read must not cost the end.
            if self.take_item(index as u64, raw, true, out).is_err() {
                self.told.once("answer", "output", "", out);
            }
        }
        self.items.close(out);
        left_out::of_answer(answer, &mut self.told, out);
        if let Some(finish) = finish(answer.status.get(), &answer.reason(), self.items.calls) {
            out.push(Event::Finish { choice: 0, finish });
        }
        let usage = answer.usage.and_then(|raw| usage::read(raw, answer.searches()));
        out.extend(usage.map(|usage| Event::Usage(usage.in_tier(answer.service_tier.get()))));
        out.push(Event::End);
        self.done = true;
    }
}

fn read<'a, T: serde::Deserialize<'a>>(raw: Option<&'a RawValue>, name: &str) -> Result<T, BadFrame> {
    let raw = raw.ok_or_else(|| BadFrame(format!("it has no `{name}`")))?;
    serde_json::from_str(raw.get()).map_err(|error| BadFrame(error.to_string()))
}

fn outline<'a>(step: &Step<'a>) -> Result<Outline<'a>, BadFrame> {
    read(step.response, "response")
}

fn key(step: &Step<'_>) -> Key {
    match step.summary_index.0 {
        Some(index) => Key::Summary(index),
        None => Key::Content(step.content_index.0.unwrap_or(0)),
    }
}

fn said<'a>(part: &'a ItemPart<'_>) -> &'a str {
    if part.kind.get() == "refusal" { part.refusal.get() } else { part.text.get() }
}

fn cited(value: Value) -> Delta {
    Delta::Citation(Box::new(citation::read(value)))
}

fn citations(raw: Option<&RawValue>) -> Vec<Delta> {
    let list = raw.and_then(|raw| serde_json::from_str::<Vec<Value>>(raw.get()).ok());
    list.unwrap_or_default().into_iter().map(cited).collect()
}

fn logprobs(raw: Option<&RawValue>, out: &mut Vec<Event>) {
    if let Some(raw) = raw.filter(|raw| speaks(Some(raw)))
        && let Ok(list) = serde_json::from_str::<Vec<Value>>(raw.get())
    {
        let value = serde_json::json!({"content": list, "refusal": null});
        out.push(Event::Logprobs { choice: 0, value });
    }
}

/// Pieces that did not come by themselves.
fn message(open: &mut Open, item: &Item<'_>, sink: &mut Sink<'_>) {
    for (number, part) in item.content.as_deref().unwrap_or_default().iter().enumerate() {
        let key = Key::Content(number as u64);
        let prose = if part.kind.get() == "refusal" { Prose::Refusal } else { Prose::Text };
        open.feed((key, prose), said(part), true, sink);
        open.cite(key, citations(part.annotations), true, sink);
    }
}

/// The same for reasoning, and its seal.
fn thought(open: &mut Open, item: &Item<'_>, raw: &RawValue, sink: &mut Sink<'_>) {
    if open.is_untold() {
        for thinking in pieces(raw) {
            let key = Key::Summary(thinking.0);
            open.feed((key, Prose::Thinking), &thinking.1, true, sink);
        }
    }
    let seal = item.encrypted_content.get();
    if !seal.is_empty() {
        open.seal(Signature::of(OWN, seal), sink);
    }
}

/// The texts of a reasoning item, numbered.
fn pieces(raw: &RawValue) -> Vec<(u64, String)> {
    let Ok(value) = serde_json::from_str::<Json<'_>>(raw.get()) else { return Vec::new() };
    let parts = Fields::of(value, &Path::Body).and_then(|mut fields| {
        fields.take("type");
        reasoning::read(fields, Side::Provider)
    });
    let texts = parts.unwrap_or_default().into_iter().filter_map(|part| match part {
        Part::Thinking(thinking) if !thinking.text.is_empty() => Some(thinking.text),
        _ => None,
    });
    texts.enumerate().map(|(number, text)| (number as u64, text)).collect()
}
