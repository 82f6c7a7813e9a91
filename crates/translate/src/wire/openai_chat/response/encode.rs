//! Writes a whole answer for a caller of this dialect.
//!
//! Fields stand in OpenAI's own order. Several text parts become one `content` string, as clients
//! expect a string; reasoning goes to `reasoning_content`, and to `reasoning_details` as well when a
//! signature or encrypted data must survive the way back.

use serde_json::{Map, Value, json};

use super::super::fields::{NO_COUNTERPART, Path, call_kind, write_extra};
use super::super::parts::is_custom_call;
use super::super::types::{finish_alias, finish_word};
use super::super::{reasoning, usage};
use crate::Wire;
use crate::ir::{Choice, Finish, FinishReason, Part, Response, Text, Thinking};
use crate::loss::Losses;
use crate::wire::Echo;

/// Writes the answer.
pub(in crate::wire::openai_chat) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("id".into(), id(&response.id, echo).into());
    body.insert("object".into(), "chat.completion".into());
    body.insert("created".into(), response.created.unwrap_or(echo.now).into());
    let model = if echo.model.is_empty() { &response.model } else { &echo.model };
    body.insert("model".into(), model.as_str().into());
    let at = Path::Body.field("choices");
    let choices =
        response.choices.iter().enumerate().map(|(index, one)| choice(one, index, &at.item(index), losses));
    body.insert("choices".into(), choices.collect());
    if let Some(counts) = &response.usage {
        body.insert("usage".into(), Value::Object(usage::write(counts)));
    }
    if let Some(fingerprint) =
        response.extra.for_wire(Wire::OpenAiChat).and_then(|own| own.get("system_fingerprint"))
    {
        body.insert("system_fingerprint".into(), fingerprint.clone());
    }
    if let Some(tier) = &response.service_tier {
        body.insert("service_tier".into(), tier.as_str().into());
    }
    write_extra(&mut body, &response.extra, &Path::Body, losses);
    // A map of strings to values always serialises.
    serde_json::to_vec(&Value::Object(body)).unwrap_or_default()
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

fn choice(choice: &Choice, index: usize, path: &Path<'_>, losses: &mut Losses) -> Value {
    let mut map = Map::new();
    map.insert("index".into(), index.into());
    map.insert("message".into(), Value::Object(message(choice, path, losses)));
    map.insert("logprobs".into(), choice.logprobs.clone().unwrap_or_default());
    let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let word = choice.finish.as_ref().map(|finish| finish_of(finish, calls));
    map.insert("finish_reason".into(), word.into());
    if let Some(finish) = &choice.finish {
        if let Some(native) = foreign_native(finish) {
            map.insert("native_finish_reason".into(), native.into());
        }
        if finish.stop_sequence.is_some() {
            losses.report(path.field("stop_sequence").to_string(), NO_COUNTERPART);
        }
    }
    write_extra(&mut map, &choice.extra, path, losses);
    Value::Object(map)
}

fn message(choice: &Choice, path: &Path<'_>, losses: &mut Losses) -> Map<String, Value> {
    let at = path.field("content");
    let mut gathered = Gathered::default();
    for (index, part) in choice.parts.iter().enumerate() {
        gathered.add(part, &at.item(index), losses);
    }
    let mut map = Map::new();
    map.insert("role".into(), "assistant".into());
    map.insert("content".into(), gathered.content.map_or(Value::Null, Value::String));
    let refusal = gathered.refusal.or_else(|| explanation(choice, path, losses));
    map.insert("refusal".into(), refusal.map_or(Value::Null, Value::String));
    let text = reasoning::text(choice.parts.iter());
    if !text.is_empty() {
        map.insert("reasoning_content".into(), text.into());
    }
    if reasoning::needs_details(&choice.parts) {
        map.insert("reasoning_details".into(), Value::Array(reasoning::details(choice.parts.iter())));
    }
    if !gathered.calls.is_empty() {
        map.insert("tool_calls".into(), Value::Array(gathered.calls));
    }
    if !gathered.annotations.is_empty() {
        map.insert("annotations".into(), Value::Array(gathered.annotations));
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
struct Gathered {
    content: Option<String>,
    refusal: Option<String>,
    calls: Vec<Value>,
    annotations: Vec<Value>,
}

impl Gathered {
    fn add(&mut self, part: &Part, path: &Path<'_>, losses: &mut Losses) {
        match part {
            Part::Text(text) => self.text(text, path, losses),
            Part::Refusal(text) => self.refusal.get_or_insert_default().push_str(text),
            Part::ToolCall(call) => {
                let mut map = Map::new();
                map.insert("id".into(), call.id.as_str().into());
                map.insert("type".into(), call_kind(&call.extra).into());
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                map.insert("function".into(), json!({"name": call.name, "arguments": arguments}));
                write_extra(&mut map, &call.extra, path, losses);
                self.calls.push(Value::Object(map));
            }
            Part::Thinking(Thinking { extra, .. }) | Part::RedactedThinking { extra, .. } => {
                reasoning::report_foreign(extra, path, losses);
            }
            _ if reasoning::is_detail(part) => {}
            Part::Opaque { wire: Wire::OpenAiChat, value } if is_custom_call(value) => {
                self.calls.push(value.clone());
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

    fn text(&mut self, text: &Text, path: &Path<'_>, losses: &mut Losses) {
        let content = self.content.get_or_insert_default();
        let from = content.len();
        content.push_str(&text.text);
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
                        self.annotations.push(annotation);
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
