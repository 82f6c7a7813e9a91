//! Writes a whole answer for a caller of this dialect.
//!
//! Fields stand in OpenAI's own order. Several text parts become one `content` string, as clients
//! expect a string; reasoning goes to `reasoning_content`, and to `reasoning_details` as well when a
//! signature or encrypted data must survive the way back.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::super::fields::{NO_COUNTERPART, Path, write_extra};
use super::super::parts::{is_custom_call, write_call};
use super::super::types::{finish_alias, finish_word};
use super::super::{reasoning, usage};
use crate::Wire;
use crate::ir::{Choice, Finish, FinishReason, Part, Response, Text, Thinking};
use crate::loss::Losses;
use crate::wire::Echo;
use crate::wire::tree::{Node, Object, to_bytes};

/// Writes the answer.
pub(in crate::wire::openai_chat) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    let model = if echo.model.is_empty() { &response.model } else { &echo.model };
    let at = Path::Body.field("choices");
    let choices: Vec<Node<'_>> = (response.choices.iter().enumerate())
        .map(|(index, one)| choice(one, index, &at.item(index), losses).into())
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
pub(in crate::wire::openai_chat) fn foreign_native(finish: &Finish) -> Option<&str> {
    let native = finish.native.as_str();
    (!native.is_empty() && finish_alias(native) != Some(finish.reason)).then_some(native)
}

/// An annotation of this wire for a citation; `None` when it names no web page.
pub(in crate::wire::openai_chat) fn citation(value: &Value) -> Option<Value> {
    if value.get("type").and_then(Value::as_str) == Some("url_citation") {
        return Some(value.clone());
    }
    let url = value.get("url").and_then(Value::as_str)?;
    let title = value.get("title").and_then(Value::as_str).unwrap_or_default();
    Some(json!({"type": "url_citation", "url_citation": {"url": url, "title": title}}))
}

fn choice<'a>(choice: &'a Choice, index: usize, path: &Path<'_>, losses: &mut Losses) -> Object<'a> {
    let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let word = choice.finish.as_ref().map(|finish| finish_of(finish, calls));
    let mut map = Object::new()
        .with("index", index as u64)
        .with("message", message(choice, path, losses))
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

fn message<'a>(choice: &'a Choice, path: &Path<'_>, losses: &mut Losses) -> Object<'a> {
    let at = path.field("content");
    let mut gathered = Gathered::default();
    for (index, part) in choice.parts.iter().enumerate() {
        gathered.add(part, &at.item(index), losses);
    }
    let refusal = gathered.refusal.or_else(|| explanation(choice, path, losses));
    let mut map =
        Object::new().with("role", "assistant").with("content", gathered.content).with("refusal", refusal);
    let text = reasoning::text(choice.parts.iter());
    if !text.is_empty() {
        map.put("reasoning_content", text);
    }
    if reasoning::needs_details(&choice.parts) {
        map.put("reasoning_details", reasoning::details(choice.parts.iter()));
    }
    if !gathered.calls.is_empty() {
        map.put("tool_calls", gathered.calls);
    }
    if !gathered.annotations.is_empty() {
        map.put("annotations", gathered.annotations);
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
}

impl<'a> Gathered<'a> {
    fn add(&mut self, part: &'a Part, path: &Path<'_>, losses: &mut Losses) {
        match part {
            Part::Text(text) => self.text(text, path, losses),
            Part::Refusal(text) => self.refusal.get_or_insert_default().push_str(text),
            Part::ToolCall(call) => {
                let mut map = write_call(call);
                write_extra(&mut map, &call.extra, path, losses);
                self.calls.push(map.into());
            }
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
            Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::ToolResult(_) => {
                losses.report(path.to_string(), "an answer of this wire holds text and calls only");
            }
        }
    }

    fn text(&mut self, text: &'a Text, path: &Path<'_>, losses: &mut Losses) {
        let content = self.content.get_or_insert_default();
        let from = content.len();
        *content += text.text.as_str();
        if text.extra.is_empty() {
            return;
        }
        let start = content.get(..from).unwrap_or_default().chars().count();
        let end = start + text.text.chars().count();
        for (name, value) in &text.extra.fields {
            let list = value.as_array().filter(|_| name == "citations");
            let Some(list) = list else {
                if text.extra.wire != Some(Wire::OpenAiChat) || !value.is_null() {
                    losses.report(path.field(name).to_string(), NO_COUNTERPART);
                }
                continue;
            };
            for one in list {
                match citation(one) {
                    Some(mut annotation) => {
                        place(&mut annotation, start, end);
                        self.annotations.push(annotation.into());
                    }
                    None => {
                        losses.report(path.field(name).to_string(), "only citations of web pages are carried")
                    }
                }
            }
        }
    }
}

/// The span of the text that the citation belongs to, in characters.
fn place(annotation: &mut Value, start: usize, end: usize) {
    if let Some(Value::Object(inner)) = annotation.get_mut("url_citation") {
        inner.entry("start_index").or_insert(start.into());
        inner.entry("end_index").or_insert(end.into());
    }
}
