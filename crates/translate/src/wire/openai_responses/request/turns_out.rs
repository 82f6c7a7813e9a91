//! Takes messages apart into items.
//!
//! The order of parts is the order of items; parts of content that stand together make one message. Reasoning
//! goes back only to its maker: sealed text of another would be refused.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::super::{OWN, client_tools, custom, namespace, parts, reasoning};
use crate::ir::{Message, Part, Request, Role, Text, Thinking, Tool, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::provider::{Destination, ReasoningField};
use crate::wire::fields::{self, Path};
use crate::wire::openai_chat::fnv1a;
use crate::wire::tree::{Node, Object};

/// Claude Code's first system line: it changes per session, and means nothing to other providers.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";
/// The longest id of a call, in bytes.
const MAX_ID: usize = 64;

/// The first message as `instructions`, when it is plain text of the system, and the messages behind it.
pub(super) fn instructions(messages: &[Message]) -> (Option<&str>, &[Message]) {
    match messages {
        [first, rest @ ..] if first.role == Role::System && !rest.is_empty() => {
            match first.parts.as_slice() {
                [Part::Text(text)] if is_plain(text) && first.extra.is_empty() && first.name.is_none() => {
                    (Some(text.text.as_str()), rest)
                }
                _ => (None, messages),
            }
        }
        _ => (None, messages),
    }
}

/// The items written so far.
pub(super) struct Turns<'a, 'd, 'm> {
    to: &'a Destination<'d>,
    losses: &'a mut Losses,
    items: Vec<Node<'m>>,
    /// Names of tools whose calls carry free text.
    customs: Vec<&'m str>,
    /// Ids of their calls.
    custom_ids: Vec<&'m str>,
    /// The tools, for those that stand in groups.
    tools: &'m [Tool],
    /// Calls and results without an id so far: they are paired in their order.
    nameless: (usize, usize),
}

impl<'a, 'd, 'm> Turns<'a, 'd, 'm> {
    pub(super) fn new(request: &'m Request, to: &'a Destination<'d>, losses: &'a mut Losses) -> Self {
        let customs = custom::names(request);
        let tools = &request.tools;
        Self { to, losses, items: Vec::new(), customs, custom_ids: Vec::new(), tools, nameless: (0, 0) }
    }

    /// Begins with an instruction of ours.
    pub(super) fn instructed(mut self, line: &'static str) -> Self {
        let content = Object::typed("input_text").with("text", line);
        let item = Object::typed("message").with("role", "system").with("content", vec![content.into()]);
        self.items.push(item.into());
        self
    }

    /// Writes all messages, in order; `skipped` stood before them.
    pub(super) fn write(mut self, messages: &'m [Message], skipped: usize) -> Node<'m> {
        self.items.reserve(messages.len());
        let at = Path::Body.field("messages");
        for (index, message) in messages.iter().enumerate() {
            let at = at.item(index + skipped);
            if message.name.is_some() {
                self.lose(&at.field("name"), super::super::NO_COUNTERPART);
            }
            match message.role {
                Role::Assistant => self.answer(message, &at),
                _ => self.said(message, &at),
            }
        }
        self.items.into()
    }

    fn lose(&mut self, path: &Path<'_>, reason: &str) {
        self.losses.report(path.to_string(), reason);
    }

    /// What was said to the model: results are items of their own.
    fn said(&mut self, message: &'m Message, path: &Path<'_>) {
        let inside = path.field("content");
        let mut content = Vec::with_capacity(message.parts.len());
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            match part {
                Part::ToolResult(result) => {
                    self.flush(message.role, std::mem::take(&mut content), None);
                    self.result(result, &at);
                }
                // Results of what only this wire knows are items.
                Part::Opaque { wire, value } if *wire == OWN && message.role == Role::Tool => {
                    self.items.push(value.into());
                }
                Part::Text(text) if is_instruction(message.role) && text.text.starts_with(BILLING_HEADER) => {
                    self.lose(&at, "Anthropic's billing line is of no use to this provider");
                }
                part => content.extend(parts::write_input(part, &at, self.losses).map(Node::from)),
            }
        }
        if content.is_empty() {
            return fields::lose_extra(&message.extra, path, OWN, self.losses);
        }
        self.flush(message.role, content, Some((&message.extra, path)));
    }

    fn flush(
        &mut self,
        role: Role,
        content: Vec<Node<'m>>,
        extra: Option<(&'m crate::ir::Extra, &Path<'_>)>,
    ) {
        if content.is_empty() {
            return;
        }
        let role = match role {
            Role::System => "system",
            Role::Developer if self.to.rules.developer_role => "developer",
            Role::Developer => "system",
            _ => "user",
        };
        let mut item = Object::typed("message").with("role", role).with("content", content);
        if let Some((extra, path)) = extra {
            fields::write_extra(&mut item, extra, path, OWN, self.losses);
        }
        self.items.push(item.into());
    }

    /// What the model said and did.
    fn answer(&mut self, message: &'m Message, path: &Path<'_>) {
        let inside = path.field("content");
        let mut content: Vec<Node<'m>> = Vec::new();
        let mut own: Option<&'m Text> = None;
        let mut row = message.parts.iter().enumerate().peekable();
        while let Some((index, part)) = row.next() {
            let at = inside.item(index);
            match part {
                Part::Text(text) => {
                    // Leftovers of this wire belong to a message of their own.
                    if text.extra.for_wire(OWN).is_some() {
                        self.flush_answer(&mut content, own.take());
                        own = Some(text);
                    } else {
                        fields::lose_extra(&text.extra, &at, OWN, self.losses);
                    }
                    parts::lose_mark(text.cache.as_ref(), &at, self.losses);
                    content.push(output_text(text, &at, self.losses).into());
                }
                Part::Refusal(text) => {
                    content.push(Object::typed("refusal").with("refusal", text.as_str()).into());
                }
                Part::Thinking(_) => {
                    self.flush_answer(&mut content, own.take());
                    let mut run = vec![(index, part)];
                    while !is_sealed(run.last().map(|last| last.1))
                        && let Some(next) = row.next_if(|(_, next)| is_more(next))
                    {
                        run.push(next);
                    }
                    self.reasoning(&run, &inside);
                }
                Part::ToolCall(call) => {
                    self.flush_answer(&mut content, own.take());
                    self.call(call, &at);
                }
                Part::RedactedThinking { .. } => self.lose(&at, ANOTHER_MAKERS),
                Part::Opaque { wire, value } if *wire == OWN => {
                    self.flush_answer(&mut content, own.take());
                    self.items.push(value.into());
                }
                other => parts::report_unwritten(other, &at, self.losses),
            }
        }
        self.flush_answer(&mut content, own);
        fields::lose_extra(&message.extra, path, OWN, self.losses);
    }

    fn flush_answer(&mut self, content: &mut Vec<Node<'m>>, own: Option<&'m Text>) {
        if content.is_empty() {
            return;
        }
        let content = std::mem::take(content);
        let mut item = Object::typed("message").with("role", "assistant").with("content", content);
        if let Some(fields) = own.and_then(|text| text.extra.for_wire(OWN)) {
            item.adopt(fields);
        }
        self.items.push(item.into());
    }

    /// One item: sealed text of its own maker, or plain text where the provider wants that back.
    fn reasoning(&mut self, run: &[(usize, &'m Part)], inside: &Path<'_>) {
        let mut item = reasoning::Item::default();
        let mut extras = Vec::new();
        let mut foreign = false;
        for (_, part) in run {
            let Part::Thinking(Thinking { text, signature, extra }) = part else { continue };
            item.texts.extend((!text.is_empty()).then_some(text.as_str()));
            if let Some(signature) = signature {
                item.seal = signature.for_wire(OWN).map(Cow::Borrowed);
                foreign = item.seal.is_none();
            }
            extras.extend(reasoning::kept(extra));
        }
        let at = inside.item(run.first().map_or(0, |first| first.0));
        let wants_text = self.to.quirks.reasoning_echo != ReasoningField::None;
        if foreign {
            self.lose(&at, ANOTHER_MAKERS);
        } else if item.seal.is_none() && !wants_text {
            if !item.is_empty() {
                self.lose(&at, "reasoning that its maker did not seal cannot be sent back");
            }
        } else if !item.is_empty() {
            let mut object = item.into_object(None);
            extras.into_iter().for_each(|(name, value)| object.adopt_one(name, value));
            self.items.push(object.into());
        }
    }

    fn call(&mut self, call: &'m ToolCall, path: &Path<'_>) {
        if let Some(whole) = client_tools::whole(&call.extra) {
            return self.items.push(whole.into());
        }
        let id = fitted(&call.id, &mut self.nameless.0);
        let group = namespace::split(self.tools, &call.name);
        let name = group.map_or(call.name.as_str(), |(_, own)| own);
        let mut item = if self.customs.contains(&call.name.as_str()) {
            self.custom_ids.push(&call.id);
            let item = Object::typed("custom_tool_call").with("call_id", id);
            item.with("name", name).with("input", custom::unwrap(&call.arguments))
        } else {
            let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
            let item = Object::typed("function_call").with("call_id", id);
            item.with("name", name).with("arguments", arguments)
        };
        item.put_some(namespace::KIND, group.map(|(group, _)| group));
        parts::lose_mark(call.cache.as_ref(), path, self.losses);
        fields::write_extra(&mut item, &call.extra, path, OWN, self.losses);
        self.items.push(item.into());
    }

    fn result(&mut self, result: &'m ToolResult, path: &Path<'_>) {
        if let Some(whole) = client_tools::whole(&result.extra) {
            return self.items.push(whole.into());
        }
        let is_custom = self.custom_ids.contains(&result.call_id.as_str());
        let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
        let id = fitted(&result.call_id, &mut self.nameless.1);
        let inside = path.field("content");
        let mut list = Vec::with_capacity(result.parts.len());
        for (index, part) in result.parts.iter().enumerate() {
            list.extend(parts::write_input(part, &inside.item(index), self.losses));
        }
        if result.is_error == Some(true) {
            mark_error(&mut list);
        }
        let mut item = Object::typed(kind).with("call_id", id).with("output", output(list, &result.parts));
        parts::lose_mark(result.cache.as_ref(), path, self.losses);
        fields::write_extra(&mut item, &result.extra, path, OWN, self.losses);
        self.items.push(item.into());
    }
}

const ANOTHER_MAKERS: &str = "reasoning of another maker cannot be sent to this provider";

fn is_instruction(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

fn is_plain(text: &Text) -> bool {
    text.cache.is_none() && text.extra.is_empty() && !text.text.starts_with(BILLING_HEADER)
}

fn is_sealed(part: Option<&Part>) -> bool {
    matches!(part, Some(Part::Thinking(thinking)) if thinking.signature.is_some())
}

/// More of the same reasoning. A seal without text is of something else than the text before it.
fn is_more(part: &Part) -> bool {
    matches!(part, Part::Thinking(thinking) if !thinking.text.is_empty() || thinking.signature.is_none())
}

/// In a request the citations are optional.
fn output_text<'a>(text: &'a Text, path: &Path<'_>, losses: &mut Losses) -> Object<'a> {
    if text.citations.is_empty() {
        return Object::typed("output_text").with("text", text.text.as_str());
    }
    parts::write_output(text, path, losses)
}

/// Plain text is written as a string: the form every provider of this wire takes.
fn output<'a>(mut list: Vec<Object<'a>>, written: &[Part]) -> Node<'a> {
    match (list.len(), written) {
        (0, _) => "".into(),
        (1, [Part::Text(text)]) if text.extra.is_empty() => match list.pop() {
            Some(mut only) => only.text_mut("text").map(std::mem::take).map_or(Node::Null, Node::from),
            None => "".into(),
        },
        _ => list.into_iter().map(Node::from).collect::<Vec<_>>().into(),
    }
}

fn mark_error(list: &mut Vec<Object<'_>>) {
    match list.first_mut().and_then(|first| first.text_mut("text")) {
        Some(text) => text.insert_str(0, "Error: "),
        None => list.insert(0, Object::typed("input_text").with("text", "Error: ")),
    }
}

/// An id that this wire takes: a call and its result come to the same one.
fn fitted<'a>(id: &'a str, nameless: &mut usize) -> Cow<'a, str> {
    if id.is_empty() {
        let number = *nameless;
        *nameless += 1;
        return format!("call_{number}").into();
    }
    if id.len() <= MAX_ID {
        return id.into();
    }
    let mut fitted = id.get(..id.floor_char_boundary(MAX_ID - 17)).unwrap_or_default().to_owned();
    // Writing to a string cannot fail.
    let _written = write!(fitted, "_{:016x}", fnv1a(id.as_bytes()));
    fitted.into()
}
