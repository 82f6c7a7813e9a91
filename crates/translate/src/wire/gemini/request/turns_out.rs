//! Writes the contents of a request.
//!
//! Three things matter: neighbours of one role are one content; the answers to calls stand in a content of
//! their own right behind the calls, in their order, as the API matches them by place and name; and in the
//! current turn the first call of each step carries its signature, or newer models refuse it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::encode::is_third_generation;
use super::media;
use super::tools_out::NO_MARKS;
use crate::ir::{CacheMark, Message, Part, Role, Text, Thinking, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::provider::ModelRules;
use crate::wire::BadRequest;
use crate::wire::fields::{Path, lose_extra, write_extra};
use crate::wire::gemini::Wire;
use crate::wire::gemini::signature::PLACEHOLDER;
use crate::wire::gemini::write::{NO_COUNTERPART, Parts, args, audio_type, inline};
use crate::wire::retrieved::{Retrieved, as_text};
use crate::wire::tree::{Node, Object};

/// Claude Code's first system line: it changes per session, and means nothing to other providers.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// The contents written so far.
pub(super) struct Turns<'a, 'l> {
    /// Reads media inside of results, and checks signatures.
    third: bool,
    losses: &'l mut Losses,
    turns: Vec<Turn<'a>>,
    /// Calls by id: the function's name, and the call's place among all.
    calls: HashMap<&'a str, (&'a str, usize)>,
    next_call: usize,
    /// Media of results, waiting until the last result of the run is written.
    media: Parts<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Model,
    Results,
}

struct Turn<'a> {
    kind: Kind,
    parts: Parts<'a>,
    /// Answers, with the places of their calls.
    results: Vec<(usize, Node<'a>)>,
    /// The first call's place among the parts, when it has no signature.
    unsigned_call: Option<usize>,
    /// The places of the model's images without a signature.
    unsigned_images: Vec<usize>,
    called: bool,
    /// Said in one message with results.
    along: bool,
}

impl<'a, 'l> Turns<'a, 'l> {
    pub(super) fn new(rules: &ModelRules, losses: &'l mut Losses) -> Self {
        Self {
            third: is_third_generation(rules),
            losses,
            turns: Vec::new(),
            calls: HashMap::new(),
            next_call: 0,
            media: Parts::default(),
        }
    }

    /// The leading instructions, and one of ours behind them.
    pub(super) fn system(
        &mut self,
        messages: &'a [Message],
        leading: usize,
        instruction: Option<String>,
    ) -> Option<Object<'a>> {
        let list = Path::Body.field("messages");
        let mut parts = Parts::default();
        for (index, message) in messages.iter().take(leading).enumerate() {
            let at = list.item(index);
            self.rest_of(message, &at);
            let inside = at.field("content");
            for (index, part) in message.parts.iter().enumerate() {
                let at = inside.item(index);
                match part {
                    Part::Text(text) if text.text.starts_with(BILLING_HEADER) => {
                        let reason = "Anthropic's billing line is of no use to this provider";
                        self.losses.report(at.to_string(), reason);
                    }
                    Part::Text(text) => self.text(text, &mut parts, &at),
                    Part::Opaque { wire: Wire::Gemini, value } => parts.push_whole(value),
                    _ => self.losses.report(at.to_string(), "only text can instruct on gemini"),
                }
            }
        }
        if let Some(text) = instruction {
            parts.push(Object::new().with("text", text));
        }
        (!parts.is_empty()).then(|| Object::new().with("parts", parts.into_list()))
    }

    /// All messages behind the leading instructions, in order.
    pub(super) fn contents(
        mut self,
        messages: &'a [Message],
        leading: usize,
    ) -> Result<Node<'a>, BadRequest> {
        let list = Path::Body.field("messages");
        for (index, message) in messages.iter().enumerate().skip(leading) {
            let at = list.item(index);
            self.rest_of(message, &at);
            self.message(message, &at)?;
        }
        self.flush_media();
        if self.third {
            self.sign_calls();
            self.sign_images();
        }
        let starts_with_calls = self.turns.first().is_some_and(|turn| turn.called);
        if self.turns.is_empty() || starts_with_calls {
            self.losses.report("messages", "the conversation must begin with a user: a turn was added");
            let mut turn = Turn::new(Kind::User);
            turn.parts.push(Object::new().with("text", " "));
            self.turns.insert(0, turn);
        }
        Ok(self.turns.into_iter().map(|turn| Node::from(turn.into_object())).collect::<Vec<_>>().into())
    }

    fn rest_of(&mut self, message: &Message, at: &Path<'_>) {
        if message.name.is_some() && message.role != Role::Tool {
            self.losses.report(at.field("name").to_string(), NO_COUNTERPART);
        }
        if message.extra.for_wire(Wire::Gemini).is_none() {
            lose_extra(&message.extra, at, Wire::Gemini, self.losses);
        }
    }

    fn message(&mut self, message: &'a Message, at: &Path<'_>) -> Result<(), BadRequest> {
        let inside = at.field("content");
        if message.role == Role::Assistant {
            self.flush_media();
            return self.model(message, &inside);
        }
        for (index, part) in message.parts.iter().enumerate() {
            if let Part::ToolResult(result) = part {
                self.result(result, message.name.as_deref(), &inside.item(index))?;
            }
        }
        let mut parts = Parts::default();
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            match (message.role, part) {
                (_, Part::ToolResult(_)) => {}
                (Role::System | Role::Developer, Part::Text(text)) => {
                    self.mark(text.cache.as_ref(), &at);
                    let wrapped = format!("<system>\n{}\n</system>", text.text);
                    parts.push(Object::new().with("text", wrapped));
                }
                _ => self.said(part, &mut parts, &at)?,
            }
        }
        if !parts.is_empty() {
            // One user turn with what the results brought, not two.
            let media = std::mem::take(&mut self.media);
            let along = message.parts.iter().any(|part| matches!(part, Part::ToolResult(_)));
            let turn = self.turn(Kind::User);
            turn.along = along;
            turn.parts.append(media);
            turn.parts.append(parts);
        }
        Ok(())
    }

    fn turn(&mut self, kind: Kind) -> &mut Turn<'a> {
        let same = self.turns.pop_if(|last| last.kind == kind);
        self.turns.push_mut(same.unwrap_or_else(|| Turn::new(kind)))
    }

    fn flush_media(&mut self) {
        if !self.media.is_empty() {
            let media = std::mem::take(&mut self.media);
            self.turn(Kind::User).parts.append(media);
        }
    }

    fn model(&mut self, message: &'a Message, inside: &Path<'_>) -> Result<(), BadRequest> {
        let mut parts = Parts::default();
        let before = match self.turns.last() {
            Some(turn) if turn.kind == Kind::Model => turn.parts.settled_len(),
            _ => 0,
        };
        let (mut called, mut unsigned, mut images) = (false, None, Vec::new());
        let mut following = message.parts.iter().skip(1);
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            let call_follows = matches!(following.next(), Some(Part::ToolCall(_) | Part::Image(_)));
            match part {
                Part::Thinking(thinking) => self.thinking(thinking, &mut parts, call_follows, &at),
                Part::RedactedThinking { .. } => {
                    self.losses.report(at.to_string(), "encrypted reasoning cannot be sent to gemini");
                }
                Part::ToolCall(call) => {
                    let object = self.call(call, &at);
                    if !called && !parts.is_signed() {
                        unsigned = Some(before + parts.len());
                    }
                    called = true;
                    parts.push(object);
                }
                Part::Image(_) => {
                    if !parts.is_signed() {
                        images.push(before + parts.len());
                    }
                    self.said(part, &mut parts, &at)?;
                }
                _ => self.said(part, &mut parts, &at)?,
            }
        }
        if !parts.is_empty() {
            let turn = self.turn(Kind::Model);
            turn.unsigned_images.append(&mut images);
            if !turn.called {
                turn.unsigned_call = unsigned;
            }
            turn.called |= called;
            turn.parts.append(parts);
        }
        Ok(())
    }

    /// A signature of another maker would be refused, and what it signed with it.
    fn thinking(&mut self, thinking: &'a Thinking, parts: &mut Parts<'a>, call_follows: bool, at: &Path<'_>) {
        if thinking.extra.for_wire(Wire::Gemini).is_none() {
            lose_extra(&thinking.extra, at, Wire::Gemini, self.losses);
        }
        let signature = match thinking.signature.as_ref().filter(|signature| !signature.text.is_empty()) {
            None => None,
            Some(signature) => match signature.for_wire(Wire::Gemini) {
                Some(text) => Some(Cow::Borrowed(text)),
                None => {
                    let reason = "reasoning that another provider signed cannot be sent to gemini";
                    return self.losses.report(at.to_string(), reason);
                }
            },
        };
        parts.thought(&thinking.text, signature, call_follows);
    }

    /// Ids are left out: older surfaces refuse them, and all match by place and name.
    fn call(&mut self, call: &'a ToolCall, at: &Path<'_>) -> Object<'a> {
        self.calls.insert(&call.id, (&call.name, self.next_call));
        self.next_call += 1;
        self.mark(call.cache.as_ref(), at);
        let args = args(&call.arguments, at, self.losses);
        let inner = Object::new().with("name", call.name.as_str()).with("args", args);
        let mut object = Object::new().with("functionCall", inner);
        write_extra(&mut object, &call.extra, at, Wire::Gemini, self.losses);
        object
    }

    fn result(
        &mut self,
        result: &'a ToolResult,
        named: Option<&'a str>,
        at: &Path<'_>,
    ) -> Result<(), BadRequest> {
        let own = result.extra.for_wire(Wire::Gemini);
        let given = own.and_then(|own| own.get("name")?.as_str()).or(named);
        let (name, place) = match (self.calls.get(result.call_id.as_str()), given) {
            (Some((name, place)), _) => (*name, *place),
            (None, Some(name)) => (name, usize::MAX),
            (None, None) => {
                let message = format!(
                    "`{at}` answers the call {:?}, which is not in the conversation: this provider needs \
                     the name of its function",
                    result.call_id
                );
                return Err(BadRequest::at(at.to_string(), message));
            }
        };
        self.mark(result.cache.as_ref(), at);
        let (text, attached) = self.result_content(result, name, at)?;
        let mut inner = Object::new().with("name", name).with("response", response(text, result.is_error));
        if !attached.is_empty() {
            inner.put("parts", attached.into_list());
        }
        let mut object = Object::new().with("functionResponse", inner);
        match own {
            None => lose_extra(&result.extra, at, Wire::Gemini, self.losses),
            Some(own) => {
                own.iter().filter(|(key, _)| *key != "name").for_each(|(key, value)| {
                    object.adopt_one(key, value);
                });
            }
        }
        self.turn(Kind::Results).results.push((place, object.into()));
        Ok(())
    }

    /// The text of a result, and its media where this model reads them there.
    fn result_content(
        &mut self,
        result: &'a ToolResult,
        name: &str,
        at: &Path<'_>,
    ) -> Result<(Cow<'a, str>, Parts<'a>), BadRequest> {
        let inside = at.field("content");
        let mut text: Cow<'a, str> = Cow::Borrowed("");
        let mut media = Parts::default();
        for (index, part) in result.parts.iter().enumerate() {
            let at = inside.item(index);
            let said: Cow<'a, str> = match part {
                Part::Text(one) => {
                    self.mark(one.cache.as_ref(), &at);
                    Cow::Borrowed(&one.text)
                }
                Part::Opaque { wire, value } if Retrieved::of(*wire, value).is_some() => {
                    as_text(*wire, value, &at.to_string(), self.losses).unwrap_or_default().into()
                }
                _ => {
                    self.said(part, &mut media, &at)?;
                    continue;
                }
            };
            if text.is_empty() {
                text = said;
            } else {
                text.to_mut().push('\n');
                text.to_mut().push_str(&said);
            }
        }
        if !media.is_empty() && !self.third {
            let title = format!("Attached to the result of the function {name}:");
            self.media.push(Object::new().with("text", title));
            self.media.append(std::mem::take(&mut media));
            if text.is_empty() {
                text = "The result is attached in the next user turn.".into();
            }
        }
        Ok((text, media))
    }

    /// Content that either side may have said.
    fn said(&mut self, part: &'a Part, parts: &mut Parts<'a>, at: &Path<'_>) -> Result<(), BadRequest> {
        match part {
            Part::Text(text) => self.text(text, parts, at),
            Part::Refusal(text) => parts.push(Object::new().with("text", text.as_str())),
            Part::Image(image) => {
                self.mark(image.cache.as_ref(), at);
                parts.push(media::image(image, at, self.losses)?);
            }
            Part::Document(document) => {
                self.mark(document.cache.as_ref(), at);
                parts.push(media::document(document, at, self.losses)?);
            }
            Part::Audio { data, format } => parts.push(inline(audio_type(format), data)),
            Part::Opaque { wire: Wire::Gemini, value } => parts.push_whole(value),
            Part::Opaque { wire, value } => {
                if let Some(text) = as_text(*wire, value, &at.to_string(), self.losses) {
                    parts.push(Object::new().with("text", text));
                    return Ok(());
                }
                let kind = value.get("type").and_then(serde_json::Value::as_str).unwrap_or("unknown");
                self.losses.report(at.to_string(), format!("a part of type {kind:?} {NO_COUNTERPART}"));
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Thinking(_) | Part::RedactedThinking { .. } => {
                self.losses.report(at.to_string(), "has no place in a turn of this role");
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &'a Text, parts: &mut Parts<'a>, at: &Path<'_>) {
        self.mark(text.cache.as_ref(), at);
        if text.text.is_empty() && !parts.is_signed() {
            return lose_extra(&text.extra, at, Wire::Gemini, self.losses);
        }
        let mut part = Object::new().with("text", text.text.as_str());
        write_extra(&mut part, &text.extra, at, Wire::Gemini, self.losses);
        parts.push(part);
    }

    fn mark(&mut self, mark: Option<&CacheMark>, at: &Path<'_>) {
        if mark.is_some() {
            self.losses.report(at.field("cache_control").to_string(), NO_MARKS);
        }
    }

    /// The current turn begins behind what a user said last: its steps are checked. Words that came along
    /// with results may or may not begin another: the placeholder is harmless where nobody checks.
    fn sign_calls(&mut self) {
        let begins = self.turns.iter().rposition(|turn| turn.kind == Kind::User && !turn.along).unwrap_or(0);
        for turn in self.turns.iter_mut().skip(begins) {
            let Some(part) = turn.unsigned_call.and_then(|index| turn.parts.object_mut(index)) else {
                continue;
            };
            part.set("thoughtSignature", PLACEHOLDER);
            let reason = "a call without a signature of gemini: Google's placeholder for such was sent";
            self.losses.report("messages", reason);
        }
    }
}

impl Turns<'_, '_> {
    /// Images that the model made are checked in every turn.
    fn sign_images(&mut self) {
        for turn in &mut self.turns {
            for index in std::mem::take(&mut turn.unsigned_images) {
                let Some(part) = turn.parts.object_mut(index) else { continue };
                part.set("thoughtSignature", PLACEHOLDER);
                let reason = "an image without a signature of gemini: Google's placeholder for such was sent";
                self.losses.report("messages", reason);
            }
        }
    }
}

/// The object this wire wants for an answer: the answer itself when it is one.
fn response(text: Cow<'_, str>, is_error: Option<bool>) -> Node<'_> {
    if is_error == Some(true) {
        return Object::new().with("error", text).into();
    }
    let raw = match text {
        Cow::Borrowed(text) if text.trim_start().starts_with('{') => serde_json::from_str(text).ok(),
        _ => None,
    };
    raw.map_or_else(|| Object::new().with("output", text).into(), Node::Raw)
}

impl<'a> Turn<'a> {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            parts: Parts::default(),
            results: Vec::new(),
            unsigned_call: None,
            unsigned_images: Vec::new(),
            called: false,
            along: false,
        }
    }

    fn into_object(mut self) -> Object<'a> {
        let role = if self.kind == Kind::Model { "model" } else { "user" };
        let parts = match self.kind {
            Kind::Results => {
                self.results.sort_by_key(|(place, _)| *place);
                self.results.into_iter().map(|(_, node)| node).collect()
            }
            _ => self.parts.into_list(),
        };
        Object::new().with("role", role).with("parts", parts)
    }
}
