//! Writes the messages of a request.
//!
//! Documents leave their messages for the request's `documents`. Tool results stand right behind the calls,
//! each in a message of its own; images in them follow in one user message. Text beside calls is the plan.

use std::borrow::Cow;

use serde_json::Value;

use super::super::citation::{self, Cited};
use super::super::parts;
use super::super::types::NO_COUNTERPART;
use super::encode::is_call;
use crate::Wire;
use crate::ir::{Message, Part, Role, Text, Thinking, ToolResult};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{Path, lose_extra, write_extra};
use crate::wire::retrieved::as_text;
use crate::wire::tree::{Node, Object};

/// Claude Code's first system line: it changes per session, and means nothing to other providers.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// The messages written so far.
pub(super) struct Turns<'l, 'm> {
    /// The model reasons: it takes reasoning of earlier turns.
    reasons: bool,
    losses: &'l mut Losses,
    written: Vec<Node<'m>>,
    documents: Vec<Node<'m>>,
    /// Media of tool results, waiting until the last `tool` message of the run is written.
    media: Vec<Node<'m>>,
    /// The last message that was written is the user's or a tool's; instructions do not count.
    asked: bool,
    /// The caller's last message was the user's and said nothing.
    silent: bool,
}

/// Stands where the provider needs a user's turn and the caller's was blank.
const FILLER: &str = "Continue.";

/// What is said beside calls.
#[derive(Default)]
struct Plan {
    text: String,
    /// In characters.
    length: u64,
}

impl Plan {
    /// Appends a text; tells where it begins.
    fn push(&mut self, text: &str) -> u64 {
        if !self.text.is_empty() {
            self.text.push('\n');
            self.length += 1;
        }
        let from = self.length;
        self.text.push_str(text);
        self.length += text.chars().count() as u64;
        from
    }
}

impl<'l, 'm> Turns<'l, 'm> {
    pub(super) fn new(reasons: bool, losses: &'l mut Losses) -> Self {
        Self {
            reasons,
            losses,
            written: Vec::new(),
            documents: Vec::new(),
            media: Vec::new(),
            asked: false,
            silent: false,
        }
    }

    /// Messages and documents.
    pub(super) fn finish(mut self) -> (Vec<Node<'m>>, Vec<Node<'m>>) {
        self.flush_media();
        if self.silent && !self.asked {
            let reason = "blank text is refused by cohere: another user turn was put for it";
            self.losses.report("messages", reason);
            self.written.push(Object::new().with("role", "user").with("content", FILLER).into());
        }
        (self.written, self.documents)
    }

    /// Writes all messages, in order.
    pub(super) fn conversation(&mut self, messages: &'m [Message]) -> Result<(), BadRequest> {
        self.written.reserve(messages.len());
        let at = Path::Body.field("messages");
        for (index, message) in messages.iter().enumerate() {
            let at = at.item(index);
            if message.name.is_some() && message.role != Role::Tool {
                self.losses.report(at.field("name").to_string(), NO_COUNTERPART);
            }
            let written = self.written.len();
            match message.role {
                Role::Assistant => self.assistant(message, &at)?,
                _ => self.said(message, &at)?,
            }
            if matches!(message.role, Role::System | Role::Developer) {
                continue;
            }
            let grew = self.written.len() > written;
            if grew {
                self.asked = message.role != Role::Assistant;
            }
            self.silent = message.role == Role::User && !grew && self.media.is_empty();
        }
        Ok(())
    }

    fn said(&mut self, message: &'m Message, path: &Path<'_>) -> Result<(), BadRequest> {
        let inside = path.field("content");
        let mut results = 0;
        for (index, part) in message.parts.iter().enumerate() {
            if let Part::ToolResult(result) = part {
                self.tool_result(result, message, &inside.item(index))?;
                results += 1;
            }
        }
        if results > 0 && (message.role == Role::Tool || results == message.parts.len()) {
            if results < message.parts.len() {
                self.losses.report(inside.to_string(), "a tool message holds results only");
            }
            if message.role != Role::Tool {
                lose_extra(&message.extra, path, Wire::Cohere, self.losses);
            }
            return Ok(());
        }
        let mut list = Vec::with_capacity(message.parts.len());
        let mut dropped = false;
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            if is_billing_line(message.role, part) {
                self.losses.report(at.to_string(), "Anthropic's billing line is of no use to this provider");
                dropped = true;
            } else if !(matches!(part, Part::ToolResult(_)) || self.is_blank(part, &at)) {
                list.extend(self.content_part(part, &at)?);
            }
        }
        let attached = message.role == Role::User && !self.media.is_empty();
        if list.is_empty() && (dropped || results > 0 || !attached) {
            lose_extra(&message.extra, path, Wire::Cohere, self.losses);
            return Ok(());
        }
        if message.role == Role::User && !self.media.is_empty() {
            let turn = std::mem::replace(&mut list, std::mem::take(&mut self.media));
            list.extend(turn);
        }
        self.flush_media();
        let role = match message.role {
            Role::System | Role::Developer => "system",
            _ => "user",
        };
        let mut object = Object::new().with("role", role).with("content", string_or_list(list));
        write_extra(&mut object, &message.extra, path, Wire::Cohere, self.losses);
        self.written.push(object.into());
        Ok(())
    }

    fn tool_result(
        &mut self,
        result: &'m ToolResult,
        message: &'m Message,
        path: &Path<'_>,
    ) -> Result<(), BadRequest> {
        let inside = path.field("content");
        let mut list = Vec::new();
        let mut media = Vec::new();
        for (index, part) in result.parts.iter().enumerate() {
            let at = inside.item(index);
            match part {
                Part::Text(_) if self.is_blank(part, &at) => {}
                Part::Text(text) => list.push(self.result_text(text, &at)),
                Part::Image(image) => media.push(parts::write_image(image, &at, self.losses)?),
                Part::Document(document) => {
                    let written = parts::write_document(document, &at, self.losses)?;
                    list.push(Object::typed("document").with("document", written).into());
                }
                _ => list.extend(self.content_part(part, &at)?),
            }
        }
        if !media.is_empty() {
            if list.is_empty() {
                list.push(text_part("The result is attached in the next user message.".into()));
            }
            let words = format!("Attached to the result of tool call {}:", result.call_id);
            self.media.push(text_part(words.into()));
            self.media.append(&mut media);
        }
        if result.is_error == Some(true) {
            mark_error(&mut list);
        }
        self.lose_mark(result.cache.is_some(), path);
        let mut object = Object::new()
            .with("role", "tool")
            .with("tool_call_id", result.call_id.as_str())
            .with("content", string_or_list(list));
        write_extra(&mut object, &result.extra, path, Wire::Cohere, self.losses);
        if message.role == Role::Tool {
            write_extra(&mut object, &message.extra, path, Wire::Cohere, self.losses);
        }
        self.written.push(object.into());
        Ok(())
    }

    /// Text with an id was a document, and becomes one again.
    fn result_text(&mut self, text: &'m Text, path: &Path<'_>) -> Node<'m> {
        self.lose_mark(text.cache.is_some(), path);
        let own = text.extra.for_wire(Wire::Cohere);
        let data = own.filter(|own| own.contains_key("id"));
        let data = data.and_then(|_| serde_json::from_str::<serde_json::Map<String, Value>>(&text.text).ok());
        let mut object = match data {
            Some(data) => {
                let mut document = Object::new();
                document.put_some("id", own.and_then(|own| own.get("id")));
                document.put("data", Value::Object(data));
                return Object::typed("document").with("document", document).into();
            }
            None => Object::typed("text").with("text", text.text.as_str()),
        };
        write_extra(&mut object, &text.extra, path, Wire::Cohere, self.losses);
        object.into()
    }

    fn flush_media(&mut self) {
        if !self.media.is_empty() {
            let content = std::mem::take(&mut self.media);
            self.written.push(Object::new().with("role", "user").with("content", content).into());
        }
    }

    fn assistant(&mut self, message: &'m Message, path: &Path<'_>) -> Result<(), BadRequest> {
        self.flush_media();
        let inside = path.field("content");
        let has_calls = message.parts.iter().any(is_call);
        let (mut content, mut calls, mut citations) = (Vec::new(), Vec::new(), Vec::new());
        let mut plan = Plan::default();
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            match part {
                Part::ToolCall(call) => {
                    self.lose_mark(call.cache.is_some(), &at);
                    let mut object = parts::write_call(call, Cow::Borrowed(&call.id));
                    write_extra(&mut object, &call.extra, &at, Wire::Cohere, self.losses);
                    calls.push(object.into());
                }
                Part::Text(_) | Part::Refusal(_) if self.is_blank(part, &at) => {}
                Part::Text(text) if has_calls => {
                    self.lose_mark(text.cache.is_some(), &at);
                    let cited = Cited { text: &text.text, index: None, from: plan.push(&text.text) };
                    self.cite(text, cited, &at, &mut citations);
                    lose_extra(&text.extra, &at, Wire::Cohere, self.losses);
                }
                Part::Text(text) => {
                    let cited = Cited { text: &text.text, index: Some(content.len() as u64), from: 0 };
                    self.cite(text, cited, &at, &mut citations);
                    content.extend(self.content_part(part, &at)?);
                }
                Part::Thinking(thinking) => content.extend(self.thinking(thinking, &at)),
                Part::Image(_) => self
                    .losses
                    .report(at.to_string(), "an image of the model's cannot be sent back to this provider"),
                _ => content.extend(self.content_part(part, &at)?),
            }
        }
        if content.is_empty() && !has_calls {
            lose_extra(&message.extra, path, Wire::Cohere, self.losses);
            return Ok(());
        }
        let mut object = Object::new().with("role", "assistant");
        if !content.is_empty() {
            object.put("content", string_or_list(content));
        }
        if !plan.text.is_empty() {
            object.put("tool_plan", plan.text);
        }
        if !calls.is_empty() {
            object.put("tool_calls", calls);
        }
        if !citations.is_empty() {
            object.put("citations", citations);
        }
        write_extra(&mut object, &message.extra, path, Wire::Cohere, self.losses);
        self.written.push(object.into());
        Ok(())
    }

    fn cite(&mut self, text: &'m Text, cited: Cited<'_>, path: &Path<'_>, list: &mut Vec<Node<'m>>) {
        if text.citations.iter().all(|citation| citation.for_wire(Wire::Cohere).is_some()) {
            return citation::write_all(&text.citations, cited, list);
        }
        self.losses.report(path.field("citations").to_string(), citation::NOT_SENT);
    }

    /// Reasoning is unsigned here: the text goes, another maker's signature does not.
    fn thinking(&mut self, thinking: &'m Thinking, path: &Path<'_>) -> Option<Node<'m>> {
        if !self.reasons || thinking.text.is_empty() {
            if !thinking.text.is_empty() || thinking.signature.is_some() {
                let reason = "reasoning of earlier turns cannot be sent to this model";
                self.losses.report(path.to_string(), reason);
            }
            return None;
        }
        if thinking.signature.is_some() {
            let reason = "the signature of another maker's reasoning is not sent";
            self.losses.report(path.field("signature").to_string(), reason);
        }
        let mut object = Object::typed("thinking").with("thinking", thinking.text.as_str());
        write_extra(&mut object, &thinking.extra, path, Wire::Cohere, self.losses);
        Some(object.into())
    }

    /// One piece of content; `None` when it cannot go, or went to the documents.
    fn content_part(&mut self, part: &'m Part, path: &Path<'_>) -> Result<Option<Node<'m>>, BadRequest> {
        Ok(Some(match part {
            Part::Text(text) => {
                self.lose_mark(text.cache.is_some(), path);
                let mut object = Object::typed("text").with("text", text.text.as_str());
                write_extra(&mut object, &text.extra, path, Wire::Cohere, self.losses);
                object.into()
            }
            Part::Refusal(text) => text_part(text.as_str().into()),
            Part::Image(image) => {
                self.lose_mark(image.cache.is_some(), path);
                parts::write_image(image, path, self.losses)?
            }
            Part::Document(document) => {
                self.lose_mark(document.cache.is_some(), path);
                let written = parts::write_document(document, path, self.losses)?;
                self.documents.push(written);
                return Ok(None);
            }
            Part::Audio { .. } => {
                let message = format!("`{path}` is audio, which this provider cannot hear");
                return Err(BadRequest::at(path.to_string(), message));
            }
            Part::Opaque { wire: Wire::Cohere, value } => value.into(),
            Part::Opaque { wire, value } => match as_text(*wire, value, &path.to_string(), self.losses) {
                Some(text) => text_part(text.into()),
                None => {
                    parts::lose_opaque(value, path, self.losses);
                    return Ok(None);
                }
            },
            Part::RedactedThinking { .. } => {
                self.losses.report(path.to_string(), "encrypted reasoning cannot be sent to this provider");
                return Ok(None);
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Thinking(_) => {
                self.losses.report(path.to_string(), "has no place in a message of this role");
                return Ok(None);
            }
        }))
    }

    /// Blank text is refused. An empty string holds nothing; white space is reported.
    fn is_blank(&mut self, part: &Part, path: &Path<'_>) -> bool {
        let text = match part {
            Part::Text(text) => &text.text,
            Part::Refusal(text) => text,
            _ => return false,
        };
        if !text.trim().is_empty() {
            return false;
        }
        if !text.is_empty() {
            self.losses.report(path.to_string(), "blank text is refused by cohere");
        }
        if let Part::Text(text) = part {
            self.lose_mark(text.cache.is_some(), path);
            lose_extra(&text.extra, path, Wire::Cohere, self.losses);
        }
        true
    }

    fn lose_mark(&mut self, marked: bool, path: &Path<'_>) {
        if marked {
            let at = path.field("cache_control").to_string();
            self.losses.report(at, "this provider takes no cache marks");
        }
    }
}

fn is_billing_line(role: Role, part: &Part) -> bool {
    let Part::Text(Text { text, .. }) = part else { return false };
    matches!(role, Role::System | Role::Developer) && text.starts_with(BILLING_HEADER)
}

/// A lone plain text part is written as a string.
fn string_or_list(mut list: Vec<Node<'_>>) -> Node<'_> {
    if list.is_empty() {
        return "".into();
    }
    if list.len() == 1
        && let Some(text) = list.first_mut().and_then(Node::object_mut).and_then(Object::take_only_text)
    {
        return text;
    }
    list.into()
}

fn text_part(text: Cow<'_, str>) -> Node<'_> {
    Object::typed("text").with("text", text).into()
}

fn mark_error(list: &mut Vec<Node<'_>>) {
    let first = list.first_mut().and_then(Node::object_mut).and_then(|part| part.text_mut("text"));
    match first {
        Some(text) => text.insert_str(0, "Error: "),
        None => list.insert(0, text_part("Error: ".into())),
    }
}
