//! Reads a provider's whole answer. A prompt that was blocked is an answer as well: one choice that says
//! nothing and why. An answer without either is a fault of the provider.

use serde_json::{Map, Value};

use crate::ir::{Choice, Citation, Extra, Part, Response, Usage};
use crate::wire::fields::{Fields, Path};
use crate::wire::gemini::spelling::{extra, rest};
use crate::wire::gemini::usage::WireUsage;
use crate::wire::gemini::{Wire, citation, error, finish, logprobs, moment, parts};
use crate::wire::json::{self, Json};
use crate::wire::{BadRequest, BadResponse};

/// Reads an answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error, or has neither candidates nor a block reason.
pub(in crate::wire::gemini) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let value: Json<'_> = json::read(body).map_err(|error| bad_json(body, &error))?;
    let Ok(mut fields) = Fields::of(value, &Path::Body) else { return Err(not_an_answer(body)) };
    if fields.peek("error").is_some() {
        return Err(not_an_answer(body));
    }
    let usage = fields.take("usageMetadata").map(|value| counts(&value));
    let mut response = read(&mut fields).map_err(|bad| BadResponse::WrongShape(bad.message))?;
    if response.choices.is_empty() {
        match blocked(&mut fields) {
            Some(choice) => response.choices.push(choice),
            None => return Err(not_an_answer(body)),
        }
    }
    if response.choices.iter().all(|choice| choice.finish.is_none()) {
        // Cut off: to name an end would be to invent it.
        return Err(BadResponse::WrongShape("it has no finish reason".to_owned()));
    }
    let (usage, left) = usage.transpose()?.unzip();
    response.usage = usage;
    let searches = response.choices.iter().map(|choice| searches(&choice.extra)).sum();
    if let Some(usage) = response.usage.as_mut() {
        usage.web_searches = searches;
    }
    fields.keep_nested("usageMetadata", left.unwrap_or_default());
    response.extra = extra(fields);
    Ok(response)
}

/// What a body without candidates is: an error of some shape, or something else.
pub(in crate::wire::gemini) fn not_an_answer(body: &[u8]) -> BadResponse {
    match error::recognise(body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it has no `candidates`".to_owned()),
    }
}

/// Tells a body that is no JSON from JSON of the wrong shape, and from an error in a list.
pub(in crate::wire::gemini) fn bad_json(body: &[u8], error: &serde_json::Error) -> BadResponse {
    match error.is_data() {
        true => not_an_answer(body),
        false => BadResponse::NotJson(error.to_string()),
    }
}

fn read(fields: &mut Fields<'_>) -> Result<Response, BadRequest> {
    let at = fields.path().field("candidates");
    let mut choices = Vec::new();
    for (position, value) in fields.list("candidates")?.unwrap_or_default().into_iter().enumerate() {
        let at = at.item(position);
        choices.push(candidate(Fields::of(value, &at)?, position)?);
    }
    choices.sort_by_key(|(index, _)| *index);
    let created = fields.text("createTime")?;
    Ok(Response {
        id: fields.text("responseId")?.unwrap_or_default(),
        model: fields.text("modelVersion")?.unwrap_or_default(),
        created: created.as_deref().and_then(moment::unix_seconds),
        choices: choices.into_iter().map(|(_, choice)| choice).collect(),
        ..Response::default()
    })
}

/// The one choice of an answer to a prompt that was refused.
fn blocked(fields: &mut Fields<'_>) -> Option<Choice> {
    let feedback = fields.take("promptFeedback")?;
    let found = finish::blocked(&feedback);
    if found.is_none() {
        fields.put("promptFeedback", feedback);
        return None;
    }
    Some(Choice { parts: Vec::new(), finish: found, logprobs: None, extra: Extra::default() })
}

fn candidate(mut fields: Fields<'_>, position: usize) -> Result<(u64, Choice), BadRequest> {
    let index = fields.take("index").and_then(|value| value.as_u64()).unwrap_or(position as u64);
    let (mut parts, texts) = content(&mut fields)?;
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let message = match fields.peek("finishMessage") {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let word = fields.text("finishReason")?.filter(|word| word != "FINISH_REASON_UNSPECIFIED");
    let finish = word.map(|word| finish::finish(&word, message, calls));
    if finish.as_ref().is_some_and(|finish| finish.details.is_some()) {
        fields.take("finishMessage");
    }
    for name in ["groundingMetadata", "citationMetadata"] {
        if let Some(Value::Object(metadata)) = fields.take(name) {
            let value = Value::Object(metadata);
            cite(&value, &mut parts, &texts);
            if let Value::Object(metadata) = value {
                fields.keep_nested(name, citation::rest(metadata));
            }
        }
    }
    let logprobs = fields.take("logprobsResult").map(|result| logprobs::read(&result));
    Ok((index, Choice { parts, finish, logprobs, extra: extra(fields) }))
}

/// The parts, and which of them are text: their number on the wire and among the parts.
type Content = (Vec<Part>, Vec<(u64, usize)>);

fn content(fields: &mut Fields<'_>) -> Result<Content, BadRequest> {
    let at = fields.path().field("content");
    let (mut parts, mut texts) = (Vec::new(), Vec::new());
    let Some(value) = fields.take_json("content") else { return Ok((parts, texts)) };
    let mut content = Fields::of(value, &at)?;
    let list = at.field("parts");
    for (number, value) in content.list("parts")?.unwrap_or_default().into_iter().enumerate() {
        if value.says_nothing() {
            continue;
        }
        let before = parts.len();
        parts::read(value, &list.item(number), &mut parts)?;
        let read = parts.iter().enumerate().skip(before);
        texts.extend(read.filter(|(_, part)| is_text(part)).map(|(place, _)| (number as u64, place)));
    }
    content.take("role");
    fields.keep_nested("content", rest(content));
    Ok((parts, texts))
}

fn is_text(part: &Part) -> bool {
    matches!(part, Part::Text(_))
}

fn cite(metadata: &Value, parts: &mut [Part], texts: &[(u64, usize)]) {
    let said = texts.iter().filter_map(|(number, place)| match parts.get(*place) {
        Some(Part::Text(text)) => Some((*number, text.text.as_str())),
        _ => None,
    });
    let said: Vec<(u64, &str)> = said.collect();
    let found: Vec<(usize, Citation)> = citation::read(metadata, &said);
    for (slot, citation) in found {
        let place = texts.get(slot).map(|(_, place)| *place);
        if let Some(Part::Text(text)) = place.and_then(|place| parts.get_mut(place)) {
            text.citations.push(citation);
        }
    }
}

fn searches(extra: &Extra) -> u64 {
    extra.for_wire(Wire::Gemini).and_then(|own| own.get("groundingMetadata")).map_or(0, citation::searches)
}

/// The counts, and what the object holds besides.
fn counts(value: &Value) -> Result<(Usage, Map<String, Value>), BadResponse> {
    const READ: [&str; 6] = [
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "totalTokenCount",
    ];
    // The counts by modality tell no more than the totals, but for sound, which is read.
    const DETAILS: &str = "TokensDetails";
    let usage =
        WireUsage::read(value).map_err(|error| BadResponse::WrongShape(format!("usageMetadata: {error}")))?;
    let mut left = value.as_object().cloned().unwrap_or_default();
    left.retain(|name, value| !READ.contains(&name.as_str()) && !name.ends_with(DETAILS) && !value.is_null());
    Ok((usage, left))
}
