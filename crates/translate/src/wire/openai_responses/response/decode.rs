//! Reads a provider's whole answer.
//!
//! A 200 is no proof of an answer: the status inside may be `failed`, and hosts send errors under it.

use serde_json::Value;

use super::super::items::{self, Item};
use super::super::reasoning::Side;
use super::super::types::Outline;
use super::super::{OWN, error, usage};
use crate::ir::{Choice, Extra, Finish, FinishReason, Part, Response};
use crate::wire::fields::{Fields, Path};
use crate::wire::json::{self, Json, Members};
use crate::wire::openai_chat::speaks;
use crate::wire::{BadRequest, BadResponse, failure_shapes};

/// Reads an answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error object, failed, or has no `output`.
pub(in crate::wire::openai_responses) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let answer: Outline<'_> = json::read(body).map_err(|error| unread(body, &error))?;
    let Some(output) = answer.output.as_deref().filter(|_| !speaks(answer.error)) else {
        return Err(not_an_answer(&answer, body));
    };
    let at = Path::Body.field("output");
    let mut parts = Vec::new();
    for (index, raw) in output.iter().enumerate() {
        let item = item(raw.get(), &at.item(index));
        parts.extend(item.map_err(|bad| BadResponse::WrongShape(bad.message))?);
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let choice = Choice {
        parts,
        finish: finish(answer.status.get(), &answer.reason(), calls),
        logprobs: None,
        extra: Extra::default(),
    };
    Ok(Response {
        id: answer.id.get().to_owned(),
        model: answer.model.get().to_owned(),
        created: answer.created_at.0.filter(|created| *created > 0),
        choices: vec![choice.with_logprobs()],
        usage: answer
            .usage
            .and_then(|raw| usage::read(raw, answer.searches()))
            .map(|usage| usage.in_tier(answer.service_tier.get())),
        service_tier: answer.service_tier.0.as_deref().map(str::to_owned),
        extra: leftovers(&answer, body),
    })
}

/// What a body without an answer is: an error of some shape, or something else.
pub(in crate::wire::openai_responses) fn not_an_answer(answer: &Outline<'_>, body: &[u8]) -> BadResponse {
    if let Some(raw) = answer.error.filter(|raw| speaks(Some(raw))) {
        return BadResponse::Failure(error::of_answer(raw.get()));
    }
    match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it has no `output`".to_owned()),
    }
}

/// Tells a body that is no JSON from JSON of the wrong shape.
pub(in crate::wire::openai_responses) fn bad_json(error: &serde_json::Error) -> BadResponse {
    if error.is_data() {
        BadResponse::WrongShape(error.to_string())
    } else {
        BadResponse::NotJson(error.to_string())
    }
}

/// The finish a status stands for; `None` while the provider is still at it.
pub(in crate::wire::openai_responses) fn finish(status: &str, reason: &str, calls: bool) -> Option<Finish> {
    let sorted = match (status, reason) {
        ("completed", _) if calls => FinishReason::ToolCalls,
        ("completed", _) => FinishReason::Stop,
        ("incomplete", "content_filter") => FinishReason::ContentFilter,
        ("incomplete", _) => FinishReason::Length,
        ("failed" | "cancelled", _) => FinishReason::Error,
        _ => return None,
    };
    let native = if status == "incomplete" && !reason.is_empty() { reason } else { status };
    Some(Finish { reason: sorted, native: native.to_owned(), stop_sequence: None, details: None })
}

/// What a body is that could not be read: no JSON, an error that is no object, or the wrong shape.
fn unread(body: &[u8], error: &serde_json::Error) -> BadResponse {
    match serde_json::from_slice::<Value>(body) {
        Ok(_) if error.is_data() => match failure_shapes::recognise(200, body) {
            Some(failure) => BadResponse::Failure(failure),
            None => bad_json(error),
        },
        Ok(_) => bad_json(error),
        Err(error) => bad_json(&error),
    }
}

fn item(raw: &str, path: &Path<'_>) -> Result<Vec<Part>, BadRequest> {
    let value = serde_json::from_str::<Json<'_>>(raw);
    let value = value.map_err(|error| BadRequest::at(path.to_string(), error.to_string()))?;
    Ok(match items::read(Fields::of(value, path)?, Side::Provider)? {
        Item::Did(parts) => parts,
        Item::Result(part) => vec![part],
        Item::Message { mut parts, extra, .. } => {
            if let Some(Part::Text(text)) = parts.iter_mut().find(|part| matches!(part, Part::Text(_)))
                && !extra.is_empty()
            {
                text.extra.wire = extra.wire;
                text.extra.fields.extend(extra.fields);
            }
            parts
        }
    })
}

/// The members that repeat nothing of the request. Seldom any: the body is read again only then.
fn leftovers(answer: &Outline<'_>, body: &[u8]) -> Extra {
    if answer.unknown.is_empty() {
        return Extra::default();
    }
    let Ok(mut members) = json::read::<Members<'_>>(body) else { return Extra::default() };
    members.retain(|name, _| answer.unknown.iter().any(|unknown| unknown == name));
    Extra::of(OWN, members.into_map())
}

impl Choice {
    /// Moves the log probabilities of the texts to the choice, where the pivot has them.
    fn with_logprobs(mut self) -> Self {
        let mut all = Vec::new();
        for part in &mut self.parts {
            let Part::Text(text) = part else { continue };
            if let Some(Value::Array(_)) = text.extra.fields.get("logprobs")
                && let Some(Value::Array(list)) = text.extra.fields.shift_remove("logprobs")
            {
                all.extend(list);
                text.extra = Extra::of(OWN, std::mem::take(&mut text.extra.fields));
            }
        }
        if !all.is_empty() {
            self.logprobs = Some(serde_json::json!({"content": all, "refusal": null}));
        }
        self
    }
}
