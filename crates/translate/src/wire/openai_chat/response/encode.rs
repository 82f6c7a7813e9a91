//! Writes a whole answer for a caller of this dialect.
//!
//! Fields stand in OpenAI's own order. Several text parts become one `content` string, as clients
//! expect a string; reasoning goes to `reasoning_content`, and to `reasoning_details` as well when a
//! signature or encrypted data must survive the way back.

use std::borrow::Cow;

use serde_json::Value;

use super::super::fields::{NO_COUNTERPART, Path, write_extra};
use super::super::parts::{is_custom_call, write_call, write_image};
use super::super::types::{finish_alias, finish_word};
use super::super::{call_signature, citation, reasoning, usage};
use crate::Wire;
use crate::ir::{Choice, Finish, FinishReason, Part, Response, Text, Thinking};
use crate::loss::Losses;
use crate::wire::Echo;
use crate::wire::tree::{Node, Object, to_bytes};

/// Writes the answer.
pub(in crate::wire::openai_chat) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    let model = if echo.model.is_empty() { &response.model } else { &echo.model };
    let at = Path::Body.field("choices");
    let mut ids = MadeIds { unique: &echo.unique, calls: 0 };
    let choices: Vec<Node<'_>> = (response.choices.iter().enumerate())
        .map(|(index, one)| choice(one, index, (&at.item(index), &mut ids), losses).into())
        .collect();
    let mut body = Object::new()
        .with("id", id(&response.id, echo))
        .with("object", "chat.completion")
        .with("created", response.created.unwrap_or(echo.now))
        .with("model", model.as_str())
        .with("choices", choices);
    body.put_some("usage", response.usage.as_ref().map(usage::write));
    let own = response.extra.for_wire(Wire::OpenAiChat);
    body.put_some("system_fingerprint", own.and_then(|own| own.get("system_fingerprint")));
    body.put_some("service_tier", response.service_tier.as_deref());
    write_extra(&mut body, &response.extra, &Path::Body, losses);
    to_bytes(&body)
}

/// Ids for calls that came without one: numbered through the whole answer.
#[derive(Debug)]
pub(in crate::wire::openai_chat) struct MadeIds<'e> {
    pub unique: &'e str,
    pub calls: u32,
}

impl MadeIds<'_> {
    /// The id of the next call.
    pub(in crate::wire::openai_chat) fn next<'a>(&mut self, given: &'a str) -> Cow<'a, str> {
        let number = self.calls;
        self.calls += 1;
        match given.is_empty() {
            true => format!("call_{}_{number}", self.unique).into(),
            false => given.into(),
        }
    }
}

/// The provider's id, or one made of the echo's unique text. Never empty.
pub(in crate::wire::openai_chat) fn id(given: &str, echo: &Echo) -> String {
    if given.is_empty() { format!("chatcmpl-{}", echo.unique) } else { given.to_owned() }
}

/// The reason to write. Tools were called: then `stop` becomes `tool_calls` (trap 31).
pub(in crate::wire::openai_chat) fn finish_of(finish: &Finish, calls: bool) -> &'static str {
    match finish.reason {
        FinishReason::Stop if calls => finish_word(FinishReason::ToolCalls),
        reason => finish_word(reason),
    }
}

/// The provider's own word, when it says something else than the reason does (`pause_turn`).
pub(in crate::wire) fn foreign_native(finish: &Finish) -> Option<&str> {
    let native = finish.native.as_str();
    (!native.is_empty() && finish_alias(native) != Some(finish.reason)).then_some(native)
}

fn choice<'a>(
    choice: &'a Choice,
    index: usize,
    (path, ids): (&Path<'_>, &mut MadeIds<'_>),
    losses: &mut Losses,
) -> Object<'a> {
    let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let word = choice.finish.as_ref().map(|finish| finish_of(finish, calls));
    let mut map = Object::new()
        .with("index", index as u64)
        .with("message", message(choice, path, ids, losses))
        .with("logprobs", choice.logprobs.as_ref())
        .with("finish_reason", word);
    if let Some(finish) = &choice.finish {
        map.put_some("native_finish_reason", foreign_native(finish));
        if finish.stop_sequence.is_some() {
            losses.report(path.field("stop_sequence").to_string(), NO_COUNTERPART);
        }
    }
    write_extra(&mut map, &choice.extra, path, losses);
    map
}

fn message<'a>(
    choice: &'a Choice,
    path: &Path<'_>,
    ids: &mut MadeIds<'_>,
    losses: &mut Losses,
) -> Object<'a> {
    let at = path.field("content");
    let mut gathered = Gathered::default();
    for (index, part) in choice.parts.iter().enumerate() {
        let at = at.item(index);
        match part {
            Part::ToolCall(call) => {
                let mut map = write_call(call, ids.next(&call.id));
                if let Some(signature) = call_signature::before(&choice.parts, index) {
                    call_signature::write(&mut map, signature);
                }
                write_extra(&mut map, &call.extra, &at, losses);
                gathered.calls.push(map.into());
            }
            part => gathered.add(part, &at, losses),
        }
    }
    let refusal = gathered.refusal.or_else(|| explanation(choice, path, losses));
    let mut map =
        Object::new().with("role", "assistant").with("content", gathered.content).with("refusal", refusal);
    let text = reasoning::text(choice.parts.iter());
    if !text.is_empty() {
        map.put("reasoning_content", text);
    }
    if reasoning::needs_details(&choice.parts) {
        map.put("reasoning_details", reasoning::details(&choice.parts, true));
    }
    if !gathered.calls.is_empty() {
        map.put("tool_calls", gathered.calls);
    }
    if !gathered.annotations.is_empty() {
        map.put("annotations", gathered.annotations);
    }
    if !gathered.images.is_empty() {
        map.put("images", gathered.images);
    }
    map
}

/// Why the provider stopped, as the refusal's text when it gave no other.
fn explanation(choice: &Choice, path: &Path<'_>, losses: &mut Losses) -> Option<String> {
    let finish = choice.finish.as_ref()?;
    let details = finish.details.as_ref()?;
    let text = refusal_text(finish);
    if text.is_none() {
        losses.report(
            path.field("stop_details").to_string(),
            format!("{} {NO_COUNTERPART}", details_kind(details)),
        );
    }
    text
}

/// The explanation Anthropic gives with a refusal.
pub(in crate::wire::openai_chat) fn refusal_text(finish: &Finish) -> Option<String> {
    let text = finish.details.as_ref()?.get("explanation")?.as_str()?;
    (finish.reason == FinishReason::ContentFilter && !text.is_empty()).then(|| text.to_owned())
}

fn details_kind(details: &Value) -> &str {
    details.get("type").and_then(Value::as_str).unwrap_or("it")
}

/// A choice's parts, sorted into the places this wire has for them.
#[derive(Default)]
struct Gathered<'a> {
    content: Option<Cow<'a, str>>,
    refusal: Option<String>,
    calls: Vec<Node<'a>>,
    annotations: Vec<Node<'a>>,
    images: Vec<Node<'a>>,
}

impl<'a> Gathered<'a> {
    /// A part that is no call.
    fn add(&mut self, part: &'a Part, path: &Path<'_>, losses: &mut Losses) {
        match part {
            Part::Text(text) => self.text(text, path, losses),
            Part::Refusal(text) => self.refusal.get_or_insert_default().push_str(text),
            Part::Thinking(Thinking { extra, .. }) | Part::RedactedThinking { extra, .. } => {
                reasoning::report_foreign(extra, path, losses);
            }
            _ if reasoning::is_detail(part) => {}
            Part::Opaque { wire: Wire::OpenAiChat, value } if is_custom_call(value) => {
                self.calls.push(value.into());
            }
            Part::Opaque { value, .. } => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                losses.report(path.to_string(), format!("a part of type {kind:?} {NO_COUNTERPART}"));
            }
            // Where hosts of models that draw put them, beside the text.
            Part::Image(image) => match write_image(image, path, losses) {
                Ok(image) => self.images.push(image.into()),
                Err(_) => losses.report(path.to_string(), "an image of another provider's files"),
            },
            Part::Document(_) | Part::Audio { .. } | Part::ToolCall(_) | Part::ToolResult(_) => {
                losses.report(path.to_string(), "an answer of this wire holds text and calls only");
            }
        }
    }

    fn text(&mut self, text: &'a Text, path: &Path<'_>, losses: &mut Losses) {
        let content = self.content.get_or_insert_default();
        let from = content.len();
        *content += text.text.as_str();
        for name in text.extra.names() {
            let null = text.extra.fields.get(&name).is_some_and(Value::is_null);
            if text.extra.wire != Some(Wire::OpenAiChat) || !null {
                losses.report(path.field(&name).to_string(), NO_COUNTERPART);
            }
        }
        if text.citations.is_empty() {
            return;
        }
        let start = content.get(..from).unwrap_or_default().chars().count() as u64;
        let end = start + text.text.chars().count() as u64;
        for one in &text.citations {
            match citation::write(one, Some((start, end))) {
                Some(annotation) => self.annotations.push(annotation.into()),
                None => losses.report(path.field("citations").to_string(), citation::PAGES_ONLY),
            }
        }
    }
}
