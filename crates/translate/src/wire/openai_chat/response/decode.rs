//! Reads a provider's whole answer.
//!
//! A 200 is no proof of an answer: vLLM, OpenRouter and MiniMax send errors under it (trap 72), and
//! proxies send HTML. Leftovers of nested objects keep their nesting in `Extra` (`message.annotations`,
//! `usage.queue_time`), so that writing them back restores the shape.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::fields::{Fields, Path};
use super::super::parts::{content, image_of};
use super::super::types::finish_alias;
use super::super::{call_signature, citation, reasoning, usage};
use crate::Wire;
use crate::ir::{Choice, Finish, FinishReason, Part, Response, Signature, ToolCall, Usage};
use crate::wire::failure_shapes;
use crate::wire::json::{self, Json, Members, Name};
use crate::wire::{BadRequest, BadResponse};

/// Reads an answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error object, or has no `choices`.
pub(in crate::wire::openai_chat) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let answer: Answer<'_> = json::read(body).map_err(|error| unread(body, &error))?;
    // What cannot be built from the counts' text cannot be built from the body's.
    let left = answer.uncounted().map_err(|error| unread(body, &error))?;
    let field = |name| answer.members.get(name).map(Json::look);
    if !field("choices").is_some_and(Value::is_array) || field("error").is_some_and(says_something) {
        return Err(not_an_answer(body));
    }
    let usage = answer.usage();
    read(answer.members, usage, left).map_err(|bad| BadResponse::WrongShape(bad.message))
}

/// What a body without an answer is: an error of some shape, or something else.
pub(in crate::wire::openai_chat) fn not_an_answer(body: &[u8]) -> BadResponse {
    match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it has no `choices`".to_owned()),
    }
}

/// Tells a body that is no JSON from JSON of the wrong shape.
pub(in crate::wire::openai_chat) fn bad_json(error: &serde_json::Error) -> BadResponse {
    if error.is_data() {
        BadResponse::WrongShape(error.to_string())
    } else {
        BadResponse::NotJson(error.to_string())
    }
}

/// The finish a word stands for. Tools were called: then `stop` means `tool_calls` (trap 31).
pub(in crate::wire::openai_chat) fn finish(word: &str, native: &str, calls: bool) -> Option<Finish> {
    if word.is_empty() {
        return None;
    }
    let reason = match finish_alias(word).unwrap_or(FinishReason::Stop) {
        FinishReason::Stop if calls => FinishReason::ToolCalls,
        reason => reason,
    };
    let native = if native.is_empty() { word } else { native };
    Some(Finish { reason, native: native.to_owned(), stop_sequence: None, details: None })
}

fn says_something(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

/// The members of an answer. The counts are kept as text: a cost must not pass through a float.
#[derive(Default)]
struct Answer<'a> {
    members: Members<'a>,
    counts: Option<&'a RawValue>,
    /// `usage` stood twice: which of them counts nobody knows.
    ambiguous: bool,
}

impl<'a> Answer<'a> {
    fn usage(&self) -> Option<Usage> {
        self.counts.filter(|_| !self.ambiguous).and_then(|raw| usage::read(raw.get()))
    }

    /// What `usage` holds besides counts.
    fn uncounted(&self) -> Result<Option<Json<'a>>, serde_json::Error> {
        let Some(counts) = self.counts else { return Ok(None) };
        let counts = serde_json::from_str::<Json<'a>>(counts.get())?;
        Ok(match counts.members() {
            Ok(members) => {
                let left = usage::leftovers(members);
                (!left.is_empty()).then_some(Json::Object(left))
            }
            Err(other) => (!other.is_null()).then_some(other),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Answer<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnswerVisitor)
    }
}

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut answer = Answer::default();
        while let Some(Name(name)) = map.next_key()? {
            if name == "usage" {
                answer.ambiguous = answer.counts.replace(map.next_value()?).is_some();
            } else {
                let value = json::member(&name, &mut map)?;
                answer.members.push(name, value);
            }
        }
        answer.members.settle();
        Ok(answer)
    }
}

/// What a body is that could not be read: no JSON, or no object.
fn unread(body: &[u8], error: &serde_json::Error) -> BadResponse {
    match serde_json::from_slice::<Value>(body) {
        Ok(_) if error.is_data() => not_an_answer(body),
        Ok(_) => bad_json(error),
        Err(error) => bad_json(&error),
    }
}

fn read(
    members: Members<'_>,
    usage: Option<Usage>,
    uncounted: Option<Json<'_>>,
) -> Result<Response, BadRequest> {
    let mut fields = Fields::of(Json::Object(members), &Path::Body)?;
    let at = fields.path().field("choices");
    let mut choices = Vec::new();
    for (position, value) in fields.list("choices")?.unwrap_or_default().into_iter().enumerate() {
        let at = at.item(position);
        choices.push(choice(Fields::of(value, &at)?, position)?);
    }
    choices.sort_by_key(|(index, _)| *index);
    fields.take("error");
    if fields.peek("object").and_then(Value::as_str) == Some("chat.completion") {
        fields.take("object");
    }
    let service_tier = fields.text("service_tier")?;
    let mut response = Response {
        id: loose_text(&mut fields, "id"),
        model: loose_text(&mut fields, "model"),
        created: fields.take("created").and_then(|value| value.as_u64()),
        choices: choices.into_iter().map(|(_, choice)| choice).collect(),
        usage: usage.map(|usage| usage.in_tier(service_tier.as_deref().unwrap_or_default())),
        service_tier,
        ..Response::default()
    };
    if let Some(left) = uncounted {
        fields.put("usage", left.into_value());
    }
    response.extra = fields.extra(Wire::OpenAiChat);
    Ok(response)
}

/// Some providers leave ids out or send numbers.
fn loose_text(fields: &mut Fields<'_>, name: &str) -> String {
    match fields.take(name) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn choice(mut fields: Fields<'_>, position: usize) -> Result<(u64, Choice), BadRequest> {
    let index = fields.take("index").and_then(|value| value.as_u64()).unwrap_or(position as u64);
    let at = fields.path().field("message");
    let mut parts = Vec::new();
    if let Some(value) = fields.take_json("message") {
        let mut message = Fields::of(value, &at)?;
        parts = said(&mut message)?;
        fields.keep_nested("message", message.rest());
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let word = fields.text("finish_reason")?.unwrap_or_default();
    let native = fields.text("native_finish_reason")?.unwrap_or_default();
    let finish = finish(&word, &native, calls);
    let logprobs = fields.take("logprobs");
    Ok((index, Choice { parts, finish, logprobs, extra: fields.extra(Wire::OpenAiChat) }))
}

fn said(message: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    if message.peek("role").and_then(Value::as_str) == Some("assistant") {
        message.take("role");
    }
    let mut parts = reasoning::take(message)?;
    let at = message.path().field("content");
    match message.take_json("content") {
        None => {}
        Some(Json::Value(Value::String(text))) if text.is_empty() => {}
        Some(value) => parts.extend(content(value, &at)?),
    }
    if let Some(refusal) = message.text("refusal")?.filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal(refusal));
    }
    annotations(message, &mut parts)?;
    images(message, &mut parts);
    let at = message.path().field("tool_calls");
    let list = message.list("tool_calls")?.unwrap_or_default();
    let calls = list.into_iter().enumerate().map(|(index, value)| tool_call(value, &at.item(index)));
    call_signature::push_calls(&mut parts, calls.collect::<Result<_, _>>()?);
    let at = message.path().field("function_call");
    if let Some(value) = message.take_json("function_call") {
        parts.push(Part::ToolCall(function(Fields::of(value, &at)?, String::new())?));
    }
    // An absent value says nothing.
    if message.peek("audio").is_none() {
        message.take("audio");
    }
    Ok(parts)
}

/// Images stand beside the text; a list that holds anything else stays where it is.
pub(in crate::wire::openai_chat) fn images(message: &mut Fields<'_>, parts: &mut Vec<Part>) {
    let Some(value) = message.take("images") else { return };
    let list = value.as_array();
    match list.and_then(|list| list.iter().map(image_of).collect::<Option<Vec<_>>>()) {
        Some(images) => parts.extend(images.into_iter().map(Part::Image)),
        None => message.put("images", value),
    }
}

/// Annotations count characters of the whole content, which is one part in an answer. Without a text they
/// stay where they are.
fn annotations(message: &mut Fields<'_>, parts: &mut [Part]) -> Result<(), BadRequest> {
    if !message.peek("annotations").is_none_or(Value::is_array) {
        return Ok(());
    }
    let is_text = |part: &&mut Part| matches!(part, Part::Text(_));
    match parts.iter_mut().find(is_text) {
        Some(Part::Text(text)) => {
            let list = message.list("annotations")?.unwrap_or_default();
            text.citations.extend(list.into_iter().map(|one| citation::read(one.into_value())));
        }
        _ if message.peek("annotations") == Some(&Value::Array(Vec::new())) => {
            drop(message.take("annotations"))
        }
        _ => {}
    }
    Ok(())
}

/// Lenient where requests are strict: an id may be missing, arguments may be an object.
fn tool_call(value: Json<'_>, path: &Path<'_>) -> Result<(Part, Option<Signature>), BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let Some(inner) = fields.take_json("function") else {
        let value = Value::Object(fields.rest());
        return Ok((Part::Opaque { wire: Wire::OpenAiChat, value }, None));
    };
    if fields.peek("type").and_then(Value::as_str) == Some("function") {
        fields.take("type");
    }
    // The place in the list, which streams need and whole answers repeat.
    fields.take("index");
    let id = fields.text("id")?.unwrap_or_default();
    let signature = call_signature::take(&mut fields);
    let at = path.field("function");
    let mut call = function(Fields::of(inner, &at)?, id)?;
    fields.keep_nested("function", std::mem::take(&mut call.extra.fields));
    call.extra = fields.extra(Wire::OpenAiChat);
    Ok((Part::ToolCall(call), signature))
}

fn function(mut fields: Fields<'_>, id: String) -> Result<ToolCall, BadRequest> {
    let name = fields.required_text("name")?;
    let arguments = match fields.take("arguments") {
        None => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    Ok(ToolCall { id, name, arguments, cache: None, extra: fields.extra(Wire::OpenAiChat) })
}
