//! Writes the messages of a request.
//!
//! The one order that matters: `tool` messages stand right behind the assistant's calls. Other wires
//! put results into user messages, beside text, with images inside: results are pulled out first, then
//! one user message carries the media of all results, then the rest of the turn follows.

use std::borrow::Cow;

use serde_json::Value;

use super::super::fields::{NO_COUNTERPART, Path, write_extra};
use super::super::parts::{
    is_custom_call, typed, write_audio, write_call, write_document, write_image, write_text,
};
use super::super::{call_signature, reasoning};
use super::encode::{keeps_marks, write_mark};
use crate::Wire;
use crate::ir::{Extra, Message, Part, Role, Text, Thinking, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::provider::{CallIdForm, Destination, Fix, ReasoningField};
use crate::wire::BadRequest;
use crate::wire::ids::{CallIds, IdRule};
use crate::wire::retrieved::as_text;
use crate::wire::tree::{Node, Object};

/// Claude Code's first system line: it changes per session, and means nothing to other providers.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// Stands for reasoning that is not in the conversation, where a model insists on some. Not empty: that
/// is refused as well.
const NO_REASONING: &str = "(no reasoning)";

/// The messages written so far.
pub(super) struct Turns<'a, 'd, 'm> {
    to: &'a Destination<'d>,
    losses: &'a mut Losses,
    written: Vec<Node<'m>>,
    ids: CallIds<'m>,
    /// Media of tool results, waiting until the last `tool` message of the run is written.
    media: Vec<Node<'m>>,
}

impl<'a, 'd, 'm> Turns<'a, 'd, 'm> {
    pub(super) fn new(to: &'a Destination<'d>, losses: &'a mut Losses) -> Self {
        Self { to, losses, written: Vec::new(), ids: CallIds::new(id_rule(to)), media: Vec::new() }
    }

    /// Begins with an instruction of ours.
    pub(super) fn instructed(mut self, line: &'static str) -> Self {
        self.written.push(Object::new().with("role", "system").with("content", line).into());
        self
    }

    /// Writes all messages, in order.
    pub(super) fn write(mut self, messages: &'m [Message]) -> Result<Node<'m>, BadRequest> {
        self.written.reserve(messages.len());
        let at = Path::Body.field("messages");
        for (index, message) in messages.iter().enumerate() {
            let at = at.item(index);
            match message.role {
                Role::Assistant => self.assistant(message, &at)?,
                Role::System | Role::Developer | Role::User | Role::Tool => self.said(message, &at)?,
            }
        }
        self.flush_media();
        Ok(self.written.into())
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
        if message.role == Role::Tool && results > 0 {
            self.report_rest_of_tool_turn(message, path);
            return Ok(());
        }
        if results > 0 && results == message.parts.len() {
            self.report_extra(&message.extra, path);
            return Ok(());
        }
        let mut list = Vec::with_capacity(message.parts.len());
        let mut dropped = false;
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            if is_billing_line(message.role, part) {
                self.losses.report(at.to_string(), "Anthropic's billing line is of no use to this provider");
                dropped = true;
            } else if !matches!(part, Part::ToolResult(_)) {
                list.extend(self.content_part(part, &at)?);
            }
        }
        if list.is_empty() && (dropped || results > 0) {
            return Ok(());
        }
        if message.role == Role::User && !self.media.is_empty() {
            // One user turn, not two: some templates refuse neighbours of the same role.
            let turn = std::mem::replace(&mut list, std::mem::take(&mut self.media));
            list.extend(turn);
        }
        self.flush_media();
        let role = self.role_word(message.role);
        let map = Object::new().with("role", role).with("content", string_or_list(list));
        self.finish(map, message, path);
        Ok(())
    }

    fn role_word(&self, role: Role) -> &'static str {
        match role {
            Role::System => "system",
            Role::Developer if self.to.rules.developer_role => "developer",
            Role::Developer => "system",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        }
    }

    fn finish(&mut self, mut map: Object<'m>, message: &'m Message, path: &Path<'_>) {
        map.put_some("name", message.name.as_deref());
        write_extra(&mut map, &message.extra, path, self.losses);
        self.written.push(map.into());
    }

    /// A `tool` message has one result; the pivot's leftovers of the message go with its first.
    fn tool_result(
        &mut self,
        result: &'m ToolResult,
        message: &'m Message,
        path: &Path<'_>,
    ) -> Result<(), BadRequest> {
        let Some(id) = self.ids.result(&result.call_id) else { return Err(orphan(&result.call_id, path)) };
        let inside = path.field("content");
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for (index, part) in result.parts.iter().enumerate() {
            let written = self.content_part(part, &inside.item(index))?;
            match part {
                Part::Image(_) | Part::Document(_) | Part::Audio { .. } => media.extend(written),
                _ => texts.extend(written),
            }
        }
        if !media.is_empty() {
            if texts.is_empty() {
                texts.push(text_part("The result is attached in the next user message.".into()));
            }
            self.media.push(text_part(format!("Attached to the result of tool call {id}:").into()));
            self.media.append(&mut media);
        }
        if result.is_error == Some(true) {
            mark_error(&mut texts);
        }
        match texts.last_mut().and_then(Node::object_mut) {
            Some(last) => write_mark(last, result.cache.as_ref(), self.to, path, self.losses),
            _ if result.cache.is_some() => {
                self.losses
                    .report(path.field("cache_control").to_string(), "an empty result carries no mark");
            }
            _ => {}
        }
        let mut map = Object::new()
            .with("role", "tool")
            .with("tool_call_id", id)
            .with("content", string_or_list(texts));
        write_extra(&mut map, &result.extra, path, self.losses);
        if message.role == Role::Tool {
            if let Some(name) = &message.name {
                map.set("name", name.as_str());
            }
            for (name, value) in message.extra.for_wire(Wire::OpenAiChat).into_iter().flatten() {
                map.set(name, value);
            }
        }
        self.written.push(map.into());
        Ok(())
    }

    fn report_rest_of_tool_turn(&mut self, message: &Message, path: &Path<'_>) {
        if message.extra.for_wire(Wire::OpenAiChat).is_none() {
            self.report_extra(&message.extra, path);
        }
        for (index, part) in message.parts.iter().enumerate() {
            if !matches!(part, Part::ToolResult(_)) {
                let at = path.field("content");
                self.losses.report(at.item(index).to_string(), "a tool message holds results only");
            }
        }
    }

    fn report_extra(&mut self, extra: &Extra, path: &Path<'_>) {
        for name in extra.names() {
            self.losses.report(path.field(&name).to_string(), NO_COUNTERPART);
        }
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
        let mut content = Vec::new();
        let mut calls = Vec::new();
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            match part {
                Part::ToolCall(call) => {
                    let signature = call_signature::before(&message.parts, index);
                    calls.push(self.tool_call(call, signature.filter(|_| signs_calls(self.to)), &at));
                }
                Part::Opaque { wire: Wire::OpenAiChat, value } if is_custom_call(value) => {
                    self.ids.whole(value);
                    calls.push(value.into());
                }
                Part::Thinking(_) | Part::RedactedThinking { .. } => {}
                _ if reasoning::is_detail(part) => {}
                Part::Image(_) => self
                    .losses
                    .report(at.to_string(), "an image of the model's cannot be sent back to this provider"),
                _ => content.extend(self.content_part(part, &at)?),
            }
        }
        let silent = content.is_empty() && !calls.is_empty();
        let content = if silent { Node::Null } else { string_or_list(content) };
        let mut map = Object::new().with("role", "assistant").with("content", content);
        self.reasoning(&mut map, &message.parts, &inside);
        if !calls.is_empty() {
            map.put("tool_calls", calls);
        }
        self.finish(map, message, path);
        Ok(())
    }

    fn tool_call(&mut self, call: &'m ToolCall, signature: Option<&'m str>, path: &Path<'_>) -> Node<'m> {
        let id = self.ids.call(&call.id);
        let mut map = write_call(call, id);
        if let Some(signature) = signature {
            call_signature::write(&mut map, signature);
        }
        write_mark(&mut map, call.cache.as_ref(), self.to, path, self.losses);
        write_extra(&mut map, &call.extra, path, self.losses);
        map.into()
    }

    fn reasoning(&mut self, map: &mut Object<'m>, parts: &'m [Part], inside: &Path<'_>) {
        let field = match self.to.quirks.reasoning_echo {
            ReasoningField::Details => {
                let list = reasoning::details(parts, false);
                for (index, part) in parts.iter().enumerate() {
                    if let Part::Thinking(Thinking { extra, .. }) | Part::RedactedThinking { extra, .. } =
                        part
                    {
                        reasoning::report_foreign(extra, &inside.item(index), self.losses);
                    }
                }
                if !list.is_empty() {
                    map.put("reasoning_details", list);
                }
                return;
            }
            ReasoningField::None | ReasoningField::CallSignature => None,
            ReasoningField::ReasoningContent => Some("reasoning_content"),
            ReasoningField::Reasoning => Some("reasoning"),
        };
        let mut text = reasoning::text(parts.iter());
        let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        if text.is_empty() && called && self.to.rules.needs_reasoning_echo {
            text.push_str(NO_REASONING);
            self.losses
                .report(inside.to_string(), "a placeholder was sent for the reasoning this model wants back");
        }
        if let Some(field) = field.filter(|_| !text.is_empty()) {
            map.put(field, text);
        }
        for (index, part) in parts.iter().enumerate() {
            let at = inside.item(index);
            // The signature went with the call behind it.
            let carried = signs_calls(self.to)
                && call_signature::before(parts, index + 1).is_some()
                && matches!(parts.get(index + 1), Some(Part::ToolCall(_)));
            if carried && matches!(part, Part::Thinking(thinking) if thinking.text.is_empty()) {
                continue;
            }
            if let Some(reason) = reasoning_loss(part, field.is_some()) {
                self.losses.report(at.to_string(), reason);
            } else if let Part::Thinking(thinking) = part {
                for name in thinking.extra.fields.keys() {
                    self.losses.report(at.field(name).to_string(), "only the text of reasoning is sent back");
                }
            }
        }
    }

    /// One piece of content; `None` when it cannot go (and was reported).
    fn content_part(&mut self, part: &'m Part, path: &Path<'_>) -> Result<Option<Node<'m>>, BadRequest> {
        let (mut map, mark) = match part {
            Part::Text(text) => {
                if !text.citations.is_empty() {
                    let path = path.field("citations").to_string();
                    self.losses.report(path, "citations are not sent back to providers of this wire");
                }
                (write_text(text, path, self.losses), text.cache.as_ref())
            }
            Part::Image(image) => (write_image(image, path, self.losses)?, image.cache.as_ref()),
            Part::Document(document) => {
                let urls = keeps_marks(self.to);
                (write_document(document, urls, path, self.losses)?, document.cache.as_ref())
            }
            Part::Audio { data, format } => (write_audio(data, format), None),
            Part::Refusal(text) => (typed("refusal", "refusal", text.as_str()), None),
            Part::Opaque { wire: Wire::OpenAiChat, value } => return Ok(Some(value.into())),
            Part::Opaque { wire, value } => {
                if let Some(text) = as_text(*wire, value, &path.to_string(), self.losses) {
                    return Ok(Some(text_part(text.into())));
                }
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                self.losses.report(path.to_string(), format!("a part of type {kind:?} {NO_COUNTERPART}"));
                return Ok(None);
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Thinking(_) | Part::RedactedThinking { .. } => {
                self.losses.report(path.to_string(), "has no place in a message of this role");
                return Ok(None);
            }
        };
        write_mark(&mut map, mark, self.to, path, self.losses);
        Ok(Some(map.into()))
    }
}

/// What is lost of a reasoning part where only text, or nothing (`echoed` false), is sent back.
fn reasoning_loss(part: &Part, echoed: bool) -> Option<&'static str> {
    match part {
        Part::Thinking(thinking) if echoed => thinking
            .signature
            .as_ref()
            .map(|_| "the signature of the reasoning cannot be sent to this provider"),
        Part::Thinking(thinking) => (!thinking.text.is_empty() || thinking.signature.is_some())
            .then_some("reasoning of earlier turns cannot be sent to this provider"),
        Part::RedactedThinking { .. } => Some("encrypted reasoning cannot be sent to this provider"),
        _ => reasoning::is_detail(part).then_some("encrypted reasoning cannot be sent to this provider"),
    }
}

/// The destination reads Gemini's signatures on the calls they sign.
fn signs_calls(to: &Destination<'_>) -> bool {
    to.quirks.reasoning_echo == ReasoningField::CallSignature
}

fn id_rule(to: &Destination<'_>) -> IdRule {
    let form = to.quirks.fixes.iter().find_map(|fix| match fix {
        Fix::CallIds(form) => Some(*form),
        _ => None,
    });
    match form {
        Some(CallIdForm::Forty) => IdRule::FORTY,
        Some(CallIdForm::Nine) => IdRule::NINE,
        None => IdRule::ANY,
    }
}

fn orphan(id: &str, path: &Path<'_>) -> BadRequest {
    let message = format!(
        "`{path}` is the result of tool call {id:?}, expected that call in a message before it that this \
         provider can be sent"
    );
    BadRequest::at(path.to_string(), message)
}

fn is_billing_line(role: Role, part: &Part) -> bool {
    let Part::Text(Text { text, .. }) = part else { return false };
    matches!(role, Role::System | Role::Developer) && text.starts_with(BILLING_HEADER)
}

/// A lone plain text part is written as a string: that is what most providers' templates expect.
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
    typed("text", "text", text).into()
}

fn mark_error(texts: &mut Vec<Node<'_>>) {
    let first = texts.first_mut().and_then(Node::object_mut).and_then(|part| part.text_mut("text"));
    match first {
        Some(text) => text.insert_str(0, "Error: "),
        None => texts.insert(0, text_part("Error: ".into())),
    }
}
