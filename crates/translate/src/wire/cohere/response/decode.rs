//! Reads a provider's whole answer. There is one choice, and the wire names no model.
//!
//! Reasoning comes first, then the plan, then text, then calls: the order of the stream.

use serde_json::Value;

use super::super::types::finish;
use super::super::{citation, logprobs, parts, usage};
use crate::Wire;
use crate::ir::{Choice, Part, Response};
use crate::wire::fields::{Fields, Path};
use crate::wire::json::{self, Json};
use crate::wire::{BadRequest, BadResponse, failure_shapes};

/// Reads an answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error object, or has no `message`.
pub(in crate::wire::cohere) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let value: Json<'_> = json::read(body).map_err(|error| bad_json(&error))?;
    let members = value.members().map_err(|_| not_an_answer(body))?;
    if !members.get("message").is_some_and(|message| message.look().is_object()) {
        return Err(not_an_answer(body));
    }
    read(Json::Object(members)).map_err(|bad| BadResponse::WrongShape(bad.message))
}

/// What a body without an answer is: an error of some shape, or something else.
pub(in crate::wire::cohere) fn not_an_answer(body: &[u8]) -> BadResponse {
    match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it has no `message` object".to_owned()),
    }
}

/// Tells a body that is no JSON from JSON of the wrong shape.
pub(in crate::wire::cohere) fn bad_json(error: &serde_json::Error) -> BadResponse {
    if error.is_data() {
        BadResponse::WrongShape(error.to_string())
    } else {
        BadResponse::NotJson(error.to_string())
    }
}

fn read(value: Json<'_>) -> Result<Response, BadRequest> {
    let mut fields = Fields::of(value, &Path::Body)?;
    let id = match fields.take("id") {
        Some(Value::String(id)) => id,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let at = Path::Body.field("message");
    let mut choice = Choice { parts: Vec::new(), finish: None, logprobs: None, extra: Default::default() };
    if let Some(value) = fields.take_json("message") {
        let mut message = Fields::of(value, &at)?;
        choice.parts = said(&mut message)?;
        fields.keep_nested("message", message.rest());
    }
    let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    choice.finish = finish(&fields.text("finish_reason")?.unwrap_or_default(), calls);
    choice.logprobs = match fields.take("logprobs") {
        Some(Value::Array(items)) => logprobs::read(&items),
        _ => None,
    };
    let (counts, left) = usage::take(fields.take("usage").unwrap_or_default());
    fields.keep_nested("usage", left);
    Ok(Response {
        id,
        choices: vec![choice],
        usage: counts,
        extra: fields.extra(Wire::Cohere),
        ..Response::default()
    })
}

fn said(message: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    if message.peek("role").and_then(Value::as_str) == Some("assistant") {
        message.take("role");
    }
    let at = message.path().field("content");
    let mut found = match message.take_json("content") {
        None => Vec::new(),
        Some(Json::Value(Value::String(text))) if text.is_empty() => Vec::new(),
        Some(value) => parts::content(value, &at)?,
    };
    let plan = plan(message, &mut found)?;
    cite(message, &mut found, plan)?;
    let at = message.path().field("tool_calls");
    for (index, value) in message.list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        found.push(Part::ToolCall(parts::call(value, &at.item(index), false)?));
    }
    Ok(found)
}

/// Puts the plan behind the reasoning; where it stands comes back.
pub(in crate::wire::cohere) fn plan(
    message: &mut Fields<'_>,
    found: &mut Vec<Part>,
) -> Result<Option<usize>, BadRequest> {
    let Some(text) = message.text("tool_plan")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let at = found.iter().take_while(|part| matches!(part, Part::Thinking(_))).count();
    found.insert(at, Part::text(text));
    Ok(Some(at))
}

/// Gives each citation to its text: the plan, the content block that it names, or the only text there is.
/// Those of reasoning stay where they are.
pub(in crate::wire::cohere) fn cite(
    message: &mut Fields<'_>,
    found: &mut [Part],
    plan: Option<usize>,
) -> Result<(), BadRequest> {
    let mut left = Vec::new();
    for value in message.list("citations")?.unwrap_or_default() {
        let raw = value.into_value();
        match place(&raw, found, plan).and_then(|at| found.get_mut(at)) {
            Some(Part::Text(text)) => text.citations.extend(citation::read(raw)),
            _ => left.push(raw),
        }
    }
    if !left.is_empty() {
        message.put("citations", Value::Array(left));
    }
    Ok(())
}

fn place(raw: &Value, found: &[Part], plan: Option<usize>) -> Option<usize> {
    match raw.get("type").and_then(Value::as_str) {
        Some("PLAN") => return plan,
        Some("THINKING_CONTENT") => return None,
        _ => {}
    }
    let is_text = |at: usize| matches!(found.get(at), Some(Part::Text(_))) && Some(at) != plan;
    let named = raw.get("content_index").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
    // The plan was put in between.
    let named = named.map(|at| if plan.is_some_and(|plan| plan <= at) { at + 1 } else { at });
    named.filter(|at| is_text(*at)).or_else(|| (0..found.len()).find(|at| is_text(*at))).or(plan)
}
