//! The conversation as a list of turns.
//!
//! Dialects place a tool's result differently: in a message of its own, or in the user's next one. Here each
//! result is a turn of its own, and what the user says beside it another. Ids of calls are names that a model or
//! a client made up for one conversation: a result says which call it answers by the call's number.

use serde_json::Value;

use super::chat::{Shown, opaque};
use super::form::Form;
use super::rest;
use crate::base64;
use crate::ir::{Citation, Message, Part, Role, Source, ToolCall, ToolResult};

/// A number of more digits than this is not the same in every reader: arguments that hold one are compared as written.
const EXACT_DIGITS: usize = 15;

/// Writes the list; `shown` says how much of the message of that number.
pub(super) fn write(form: &mut Form, messages: &[Message], shown: &dyn Fn(usize) -> Shown) {
    let mut writer = Writer { form, calls: Vec::new() };
    writer.form.list_open();
    for (index, message) in messages.iter().enumerate() {
        match shown(index) {
            Shown::Nothing => {}
            shown => writer.message(message, shown == Shown::Asked),
        }
    }
    writer.form.list_close();
}

struct Writer<'f, 'm> {
    form: &'f mut Form,
    /// Ids of the calls so far, in their order.
    calls: Vec<&'m str>,
}

impl<'m> Writer<'_, 'm> {
    fn message(&mut self, message: &'m Message, asked: bool) {
        let point = |part: &&Part| matches!(part, Part::Opaque { value, .. } if rest::is_point(value));
        let parts: Vec<&Part> = message.parts.iter().filter(|part| !point(part)).collect();
        let mut told = message.name.is_none() && message.extra.is_empty();
        let results = |part: &&Part| matches!(part, Part::ToolResult(_));
        for run in parts.chunk_by(|one, other| !results(one) && !results(other)) {
            match run.first().copied() {
                Some(Part::ToolResult(result)) => self.result(result, asked),
                _ => {
                    let about = (!told).then_some(message);
                    told = true;
                    self.turn(message.role, run, about, asked);
                }
            }
        }
        if parts.is_empty() || !told {
            self.turn(message.role, &[], Some(message), asked);
        }
    }

    /// `about`: the message whose name and leftovers are told here.
    fn turn(&mut self, role: Role, parts: &[&'m Part], about: Option<&Message>, asked: bool) {
        self.form.object_open();
        self.form.text_field("role", Some(word(role)));
        if let Some(message) = about {
            self.form.text_field("name", message.name.as_deref());
            rest::of_part(self.form, &message.extra);
        }
        self.parts(parts.iter().copied(), asked);
        self.form.object_close();
    }

    fn result(&mut self, result: &'m ToolResult, asked: bool) {
        self.form.object_open();
        self.form.text_field("role", Some("result"));
        match self.calls.iter().rposition(|id| *id == result.call_id) {
            Some(number) => self.form.count_field("call", u64::try_from(number).ok()),
            // Its call is not here: it was cut off, or a provider keeps it.
            None => self.form.text_field("call_id", Some(&result.call_id)),
        }
        self.form.flag_field("error", result.is_error.filter(|error| *error));
        rest::of_part(self.form, &result.extra);
        self.parts(result.parts.iter(), asked);
        self.form.object_close();
    }

    fn parts(&mut self, parts: impl Iterator<Item = &'m Part>, asked: bool) {
        if asked {
            return self.form.flag_field("asked", Some(true));
        }
        self.form.text("parts");
        self.form.list_open();
        parts.for_each(|part| self.part(part));
        self.form.list_close();
    }

    fn part(&mut self, part: &'m Part) {
        if let Part::ToolCall(call) = part {
            self.calls.push(&call.id);
        }
        match part {
            Part::Opaque { wire, value } => opaque(self.form, *wire, value),
            part => self.form.object(|form| write_part(form, part)),
        }
    }
}

fn word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn write_part(form: &mut Form, part: &Part) {
    match part {
        Part::Text(text) => {
            form.text_field("text", Some(&text.text));
            citations(form, &text.citations);
            rest::of_part(form, &text.extra);
        }
        Part::Image(image) => {
            form.field("image", |form| source(form, &image.source));
            // What holds without a word.
            form.text_field("detail", image.detail.as_deref().filter(|detail| *detail != "auto"));
            rest::of_part(form, &image.extra);
        }
        Part::Document(document) => {
            form.field("document", |form| source(form, &document.source));
            form.text_field("name", document.name.as_deref());
            rest::of_part(form, &document.extra);
        }
        Part::Audio { data, format } => {
            form.field("audio", |form| media(form, data));
            form.text_field("format", Some(format));
        }
        Part::Refusal(text) => form.text_field("refusal", Some(text)),
        Part::ToolCall(one) => call(form, one),
        Part::Thinking(thinking) => {
            form.text_field("thinking", Some(&thinking.text));
            if let Some(signature) = &thinking.signature {
                form.text_field("signed_by", Some(signature.by.name()));
                form.text_field("signature", Some(&signature.text));
            }
            rest::of_part(form, &thinking.extra);
        }
        Part::RedactedThinking { data, extra } => {
            form.text_field("redacted", Some(data));
            rest::of_part(form, extra);
        }
        // Turns of their own, and written before.
        Part::ToolResult(_) | Part::Opaque { .. } => {}
    }
}

fn call(form: &mut Form, call: &ToolCall) {
    form.text_field("call", Some(&call.name));
    let exact = longest_number(&call.arguments) <= EXACT_DIGITS;
    match serde_json::from_str::<Value>(&call.arguments) {
        Ok(arguments) if exact => form.field("arguments", |form| form.value(&arguments)),
        _ if call.arguments.trim().is_empty() => form.field("arguments", |form| form.object(|_| ())),
        _ => form.text_field("written", Some(&call.arguments)),
    }
    rest::of_part(form, &call.extra);
}

/// Most digits in a row, a point among them counted.
fn longest_number(text: &str) -> usize {
    let of_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    text.as_bytes().chunk_by(|one, other| of_number(one) == of_number(other)).fold(0, |longest, run| {
        if run.first().is_some_and(of_number) { longest.max(run.len()) } else { longest }
    })
}

fn citations(form: &mut Form, citations: &[Citation]) {
    if citations.is_empty() {
        return;
    }
    form.field("citations", |form| {
        form.list(|form| citations.iter().for_each(|one| opaque(form, one.wire, &one.raw)));
    });
}

/// Bytes are bytes in whatever alphabet of base64 they came.
pub(super) fn source(form: &mut Form, source: &Source) {
    form.object(|form| match source {
        Source::Base64 { media_type, data } => {
            form.text_field("type", Some(media_type));
            form.field("data", |form| media(form, data));
        }
        Source::Url(url) => form.text_field("url", Some(url)),
        Source::File(id) => form.text_field("file", Some(id)),
        Source::Text { media_type, text } => {
            form.text_field("type", Some(media_type));
            form.text_field("text", Some(text));
        }
    });
}

fn media(form: &mut Form, data: &str) {
    match base64::decode(data) {
        Some(bytes) => form.bytes(&bytes),
        None => form.text(data),
    }
}
