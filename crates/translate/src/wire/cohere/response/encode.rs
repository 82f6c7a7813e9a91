//! Writes a whole answer for a caller of this dialect.
//!
//! Beside calls the wire has no text content: what was said before them is the `tool_plan`. The model has
//! no field in an answer of this wire.

use std::borrow::Cow;

use super::super::citation::{self, Cited};
use super::super::types::{NO_COUNTERPART, REFUSAL, SEQUENCE, finish_word, untold};
use super::super::{logprobs, parts, usage};
use crate::Wire;
use crate::ir::{Choice, Part, Response, Text, Thinking};
use crate::loss::Losses;
use crate::wire::Echo;
use crate::wire::fields::{Path, lose_extra, write_extra};
use crate::wire::tree::{Node, Object, to_bytes};

/// Writes the answer.
pub(in crate::wire::cohere) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    let choice = response.choices.first();
    for index in 1..response.choices.len() {
        losses.report(format!("choices[{index}]"), "cohere gives one choice per answer");
    }
    let id = if response.id.is_empty() { &echo.unique } else { &response.id };
    let calls = choice.is_some_and(|choice| choice.parts.iter().any(is_call));
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    if let Some(reason) = finish.and_then(untold) {
        losses.report("choices[0].finish_reason", reason);
    }
    if finish.is_some_and(|finish| finish.stop_sequence.is_some()) {
        losses.report("choices[0].stop_sequence", SEQUENCE);
    }
    let mut body = Object::new()
        .with("id", id.as_str())
        .with("message", choice.map(|choice| message(choice, echo, losses)))
        .with("finish_reason", finish_word(finish, calls));
    body.put_some("usage", response.usage.as_ref().map(usage::write));
    if let Some(choice) = choice {
        if let Some(value) = &choice.logprobs {
            let items = logprobs::write(value, "choices[0].logprobs", losses);
            body.put("logprobs", items.into_iter().map(Node::from).collect::<Vec<_>>());
        }
        lose_extra(&choice.extra, &Path::Body.field("choices").item(0), Wire::Cohere, losses);
    }
    // The usual tier says nothing.
    if response.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "default" | "standard")) {
        losses.report("service_tier", NO_COUNTERPART);
    }
    write_extra(&mut body, &response.extra, &Path::Body, Wire::Cohere, losses);
    to_bytes(&body)
}

fn is_call(part: &Part) -> bool {
    matches!(part, Part::ToolCall(_))
}

fn message<'a>(choice: &'a Choice, echo: &Echo, losses: &mut Losses) -> Object<'a> {
    let mut said = Said { has_calls: choice.parts.iter().any(is_call), ..Said::default() };
    let choices = Path::Body.field("choices");
    let first = choices.item(0);
    let at = first.field("content");
    for (index, part) in choice.parts.iter().enumerate() {
        said.add(part, echo, &at.item(index), losses);
    }
    let mut object = Object::new().with("role", "assistant");
    if !said.plan.is_empty() {
        object.put("tool_plan", said.plan);
    }
    if !said.calls.is_empty() {
        object.put("tool_calls", said.calls);
    }
    if !said.content.is_empty() || !said.has_calls {
        object.put("content", said.content);
    }
    if !said.citations.is_empty() {
        object.put("citations", said.citations);
    }
    object
}

/// A choice's parts, sorted into the places this wire has for them.
#[derive(Default)]
struct Said<'a> {
    has_calls: bool,
    plan: String,
    /// The characters of the plan.
    planned: u64,
    content: Vec<Node<'a>>,
    calls: Vec<Node<'a>>,
    citations: Vec<Node<'a>>,
}

impl<'a> Said<'a> {
    fn add(&mut self, part: &'a Part, echo: &Echo, path: &Path<'_>, losses: &mut Losses) {
        match part {
            Part::Text(text) => self.text(text, path, losses),
            Part::Refusal(text) => {
                losses.report(path.to_string(), REFUSAL);
                self.content.push(Object::typed("text").with("text", text.as_str()).into());
            }
            Part::Thinking(thinking) => self.content.push(write_thinking(thinking, path, losses)),
            Part::ToolCall(call) => {
                let made = || format!("call_{}_{}", echo.unique, self.calls.len());
                let id = if call.id.is_empty() { made().into() } else { Cow::Borrowed(call.id.as_str()) };
                let mut object = parts::write_call(call, id);
                write_extra(&mut object, &call.extra, path, Wire::Cohere, losses);
                self.calls.push(object.into());
            }
            Part::Opaque { wire: Wire::Cohere, value } => self.content.push(value.into()),
            Part::Opaque { value, .. } => parts::lose_opaque(value, path, losses),
            Part::RedactedThinking { .. } => {
                losses.report(path.to_string(), format!("encrypted reasoning {NO_COUNTERPART}"));
            }
            Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::ToolResult(_) => {
                losses.report(path.to_string(), "an answer of this wire holds text and calls only");
            }
        }
    }

    fn text(&mut self, text: &'a Text, path: &Path<'_>, losses: &mut Losses) {
        if self.has_calls {
            if !self.plan.is_empty() {
                self.plan.push('\n');
                self.planned += 1;
            }
            let from = self.planned;
            self.plan.push_str(&text.text);
            self.planned += text.text.chars().count() as u64;
            let cited = Cited { text: &text.text, index: None, from };
            citation::write_all(&text.citations, cited, &mut self.citations);
            return lose_extra(&text.extra, path, Wire::Cohere, losses);
        }
        let cited = Cited { text: &text.text, index: Some(self.content.len() as u64), from: 0 };
        citation::write_all(&text.citations, cited, &mut self.citations);
        let mut object = Object::typed("text").with("text", text.text.as_str());
        write_extra(&mut object, &text.extra, path, Wire::Cohere, losses);
        self.content.push(object.into());
    }
}

/// A signature is not the vendor's: it stands there to come back with the next turn.
fn write_thinking<'a>(thinking: &'a Thinking, path: &Path<'_>, losses: &mut Losses) -> Node<'a> {
    let mut object = Object::typed("thinking").with("thinking", thinking.text.as_str());
    let signature = thinking.signature.as_ref().map(|signature| signature.written(Wire::Cohere));
    object.put_some("signature", signature);
    write_extra(&mut object, &thinking.extra, path, Wire::Cohere, losses);
    object.into()
}
