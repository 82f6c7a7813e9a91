//! Prompts and answers in spans, for collectors that are to have them: read from the bodies that are kept, without secrets.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use translate::Wire;

use super::attributes::Attributes;
use crate::observe::log::conversation::Conversation;
use crate::telemetry::record::Record;
use crate::telemetry::redact::Redactor;

/// What was said.
#[derive(Debug, Default)]
pub struct Said {
    chat: Conversation,
    /// The caller's body, where it is no chat.
    asked: Option<String>,
    finish: Option<&'static str>,
}

impl Said {
    /// Of a request whose bodies are kept.
    #[must_use]
    pub fn of(record: &Record, redactor: &Redactor) -> Option<Self> {
        let content = record.content.as_deref()?;
        let response = match content.response.as_slice() {
            [one] => Cow::Borrowed(&**one),
            many => Cow::Owned(many.iter().flat_map(|piece| piece.iter()).copied().collect::<Vec<u8>>()),
        };
        let (asked, answered) = (redactor.bytes(&content.request), redactor.bytes(&response));
        let wire = Wire::named(record.dialect);
        let chat =
            wire.map(|wire| Conversation::of(wire, &asked, &answered, record.stream)).unwrap_or_default();
        let other = chat.input.is_empty() && chat.output.is_none();
        let asked = other.then(|| String::from_utf8_lossy(&asked).into_owned());
        Some(Self { chat, asked, finish: record.finish })
    }

    /// By OpenTelemetry's conventions.
    pub fn describe(&self, out: &mut Attributes) {
        let params = &self.chat.params;
        for (name, known) in [
            ("gen_ai.request.temperature", "temperature"),
            ("gen_ai.request.top_p", "top_p"),
            ("gen_ai.request.frequency_penalty", "frequency_penalty"),
            ("gen_ai.request.presence_penalty", "presence_penalty"),
        ] {
            if let Some(number) = params.get(known).and_then(Value::as_f64) {
                out.number(name, number);
            }
        }
        let count = |name: &str| params.get(name).and_then(Value::as_u64);
        out.count_if(
            "gen_ai.request.max_tokens",
            count("max_completion_tokens").or_else(|| count("max_tokens")),
        );
        out.count_if("gen_ai.request.seed", count("seed"));
        out.count_if("gen_ai.request.choice.count", count("n").filter(|choices| *choices != 1));
        if !self.chat.input.is_empty() {
            out.text("gen_ai.input.messages", &list(self.chat.input.iter().map(message)));
        }
        if let Some(answer) = &self.chat.output {
            let mut told = message(answer);
            if let (Some(fields), Some(finish)) = (told.as_object_mut(), self.finish) {
                fields.insert("finish_reason".to_owned(), finish.into());
            }
            out.text("gen_ai.output.messages", &list(std::iter::once(told)));
        }
        if !self.chat.tools.is_empty() {
            out.text("gen_ai.tool.definitions", &list(self.chat.tools.iter().map(definition)));
        }
    }

    /// As the Vercel AI SDK has it.
    pub fn describe_for_vercel(&self, out: &mut Attributes) {
        if !self.chat.input.is_empty() {
            out.text("ai.prompt.messages", &list(self.chat.input.iter().cloned()));
        }
        let Some(answer) = &self.chat.output else { return };
        out.text_if("ai.response.text", Some(&text_of(answer)));
        if let Some(calls) = answer.get("tool_calls").filter(|calls| calls.is_array()) {
            out.text("ai.response.toolCalls", &calls.to_string());
        }
    }

    /// By OpenInference's.
    pub fn describe_for_openinference(&self, out: &mut Attributes) {
        if let Some(asked) = &self.asked {
            out.text("input.value", asked);
            out.text("input.mime_type", "application/json");
            return;
        }
        if !self.chat.params.is_empty() {
            out.text("llm.invocation_parameters", &Value::Object(self.chat.params.clone()).to_string());
        }
        for (at, tool) in self.chat.tools.iter().enumerate() {
            out.text(format!("llm.tools.{at}.tool.json_schema"), &tool.to_string());
        }
        for (at, message) in self.chat.input.iter().enumerate() {
            flat(&format!("llm.input_messages.{at}.message"), message, out);
        }
        let last = self.chat.input.iter().rev().find(|message| role(message) == "user");
        out.text_if("input.value", last.map(text_of).as_deref());
        if let Some(answer) = &self.chat.output {
            flat("llm.output_messages.0.message", answer, out);
            out.text_if("output.value", Some(&text_of(answer)));
        }
    }
}

fn list(items: impl Iterator<Item = Value>) -> String {
    Value::Array(items.collect()).to_string()
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or("assistant")
}

/// A message as OpenAI writes it, as the conventions' schema has it: a role and parts.
fn message(message: &Value) -> Value {
    let told = |name: &str| message.get(name).and_then(Value::as_str);
    let mut parts: Vec<Value> = Vec::new();
    if let Some(thought) = told("reasoning_content").or_else(|| told("reasoning")) {
        parts.push(json!({"type": "reasoning", "content": thought}));
    }
    if role(message) == "tool" {
        let response = message.get("content").cloned().unwrap_or_default();
        parts.push(json!({"type": "tool_call_response", "id": told("tool_call_id"), "response": response}));
    } else {
        match message.get("content") {
            Some(Value::String(text)) => parts.push(json!({"type": "text", "content": text})),
            Some(Value::Array(items)) => parts.extend(items.iter().map(part)),
            _ => {}
        }
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let told = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let arguments = told("/function/arguments");
        let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments));
        parts.push(json!({
            "type": "tool_call", "id": told("/id"), "name": told("/function/name"), "arguments": arguments,
        }));
    }
    let mut made = Map::new();
    made.insert("role".to_owned(), role(message).into());
    made.insert("parts".to_owned(), parts.into());
    made.extend(told("name").map(|name| ("name".to_owned(), name.into())));
    Value::Object(made)
}

fn part(part: &Value) -> Value {
    let told = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
    match (told("/type"), told("/text"), told("/image_url/url")) {
        (Some("text"), Some(text), _) => json!({"type": "text", "content": text}),
        (_, _, Some(url)) if !url.starts_with("data:") => {
            json!({"type": "uri", "modality": "image", "uri": url})
        }
        // Bytes of files make exports too large for collectors.
        (kind, ..) => json!({"type": kind.unwrap_or("unknown")}),
    }
}

/// A function of OpenAI's form, as the conventions' schema has it.
fn definition(tool: &Value) -> Value {
    let Some(Value::Object(function)) = tool.get("function") else { return tool.clone() };
    let mut made = function.clone();
    made.insert("type".to_owned(), "function".into());
    Value::Object(made)
}

/// The words of a message.
fn text_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let texts: Vec<&str> =
                items.iter().filter_map(|item| item.get("text").and_then(Value::as_str)).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// A message as OpenInference spreads it over attributes.
fn flat(prefix: &str, message: &Value, out: &mut Attributes) {
    out.text(format!("{prefix}.role"), role(message));
    out.text_if(format!("{prefix}.content"), Some(&text_of(message)));
    out.text_if(format!("{prefix}.tool_call_id"), message.get("tool_call_id").and_then(Value::as_str));
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    for (at, call) in calls.enumerate() {
        for (name, pointer) in [
            ("id", "/id"),
            ("function.name", "/function/name"),
            ("function.arguments", "/function/arguments"),
        ] {
            let name = format!("{prefix}.tool_calls.{at}.tool_call.{name}");
            out.text_if(name, call.pointer(pointer).and_then(Value::as_str));
        }
    }
}
