//! Whole answers of this wire, both ways.

use serde_json::Value;

use super::types::{Fields, Item, List, Message, Place};
use super::usage::{self, WireUsage};
use super::write::{NO_TWIN, input, keep_extra};
use super::{Wire, blocks, citation, error, stop};
use crate::ir::{Choice, Extra, Finish, FinishReason, Part, Response, Usage};
use crate::loss::Losses;
use crate::wire::json::{self, Json, Members};
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{BadResponse, Echo};

/// Reads a provider's answer.
pub(super) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let answer: Message<'_> = json::read(body).map_err(|err| BadResponse::NotJson(err.to_string()))?;
    let (map, content) = match answer {
        Item::Object { fields, special } => (fields, special),
        Item::Other(_) => return Err(BadResponse::WrongShape("expected a JSON object".to_owned())),
    };
    if is_error(&map) {
        return Err(BadResponse::Failure(error::decode(200, body)));
    }
    let place = Place::Root.field("content");
    let parts = match content {
        Some(List::Items(items)) => blocks::decode_all(items, &place).map_err(wrong_shape)?,
        _ => return Err(BadResponse::WrongShape("expected an array in `content`".to_owned())),
    };
    let mut fields = Fields::new(map, &Place::Root);
    for fixed in ["content", "type", "role"] {
        fields.take(fixed);
    }
    let id = fields.text("id").map_err(wrong_shape)?.unwrap_or_default();
    let model = fields.text("model").map_err(wrong_shape)?.unwrap_or_default();
    let finish = take_finish(&mut fields)?;
    let (usage, service_tier) = take_usage(&mut fields)?;
    let choice = Choice { parts, finish, logprobs: None, extra: Extra::default() };
    let extra = fields.extra();
    Ok(Response { id, model, created: None, choices: vec![choice], usage, service_tier, extra })
}

/// Writes an answer for a caller.
pub(super) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    for index in 1..response.choices.len() {
        losses.report(format!("choices[{index}]"), "anthropic gives one choice per answer");
    }
    let choice = response.choices.first();
    let mut seen = stop::Seen::default();
    let content = choice.map(|choice| content(choice, echo, &mut seen, losses)).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    if finish.is_some_and(|finish| finish.reason == FinishReason::Error) {
        losses.report("choices[0].finish_reason", "the provider reported a fault inside its answer");
    }
    if let Some(word) = finish.and_then(stop::untold) {
        losses.report("choices[0].finish_reason", format!("{word:?} has no counterpart on anthropic"));
    }
    let mut body = Object::new()
        .with("id", message_id(&response.id, echo))
        .with("type", "message")
        .with("role", "assistant")
        .with("model", echo.model.as_str())
        .with("content", content)
        .with("stop_reason", stop::word(finish, seen))
        .with("stop_sequence", stop_sequence(finish));
    body.put_some("stop_details", finish.and_then(|finish| finish.details.as_ref()));
    let mut usage = usage::object(&response.usage.unwrap_or_default());
    put_service_tier(&mut usage, response.service_tier.as_deref(), losses);
    body.put("usage", usage);
    keep_extra(&mut body, &response.extra, &Place::Root, losses);
    to_bytes(&body)
}

/// The provider's id when it is of this wire, else one made from the exchange's unique text.
pub(super) fn message_id(id: &str, echo: &Echo) -> String {
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{}", echo.unique) }
}

pub(super) fn stop_sequence(finish: Option<&Finish>) -> Node<'_> {
    finish.and_then(|finish| finish.stop_sequence.as_deref()).map_or(Node::Null, Node::from)
}

fn wrong_shape(err: crate::wire::BadRequest) -> BadResponse {
    BadResponse::WrongShape(err.message)
}

fn is_error(fields: &Members<'_>) -> bool {
    fields.get("type").is_some_and(|kind| kind.look() == "error")
        || fields.get("error").is_some_and(|error| !error.is_null())
}

fn take_finish(fields: &mut Fields<'_>) -> Result<Option<Finish>, BadResponse> {
    let Some(native) = fields.text("stop_reason").map_err(wrong_shape)? else { return Ok(None) };
    let stop_sequence = fields.text("stop_sequence").map_err(wrong_shape)?;
    Ok(Some(stop::finish(native, stop_sequence, fields.take("stop_details"))))
}

/// The counts and the tier; what `usage` holds besides is kept aside under its name.
fn take_usage(fields: &mut Fields<'_>) -> Result<(Option<Usage>, Option<String>), BadResponse> {
    let Some(mut map) = fields.members("usage").map_err(wrong_shape)? else { return Ok((None, None)) };
    let counts = WireUsage::read(&map).map_err(|err| BadResponse::WrongShape(format!("usage: {err}")))?;
    let mut usage = Usage::default();
    counts.apply(&mut usage);
    let tier = match map.take("service_tier") {
        Some(Json::Value(Value::String(word))) => {
            Some(if word == "standard" { "default".to_owned() } else { word })
        }
        _ => None,
    };
    fields.keep_rest_of("usage", usage::leftovers(map).into_map());
    Ok((Some(usage), tier))
}

fn put_service_tier<'a>(usage: &mut Object<'a>, tier: Option<&'a str>, losses: &mut Losses) {
    match tier {
        None => {}
        Some("default" | "standard") => usage.put("service_tier", "standard"),
        Some(tier @ ("priority" | "batch")) => usage.put("service_tier", tier),
        Some(_) => losses.report("service_tier", NO_TWIN),
    }
}

fn content<'a>(choice: &'a Choice, echo: &Echo, seen: &mut stop::Seen, losses: &mut Losses) -> Vec<Node<'a>> {
    let list = Place::Root.field("content");
    if choice.logprobs.is_some() {
        losses.report("choices[0].logprobs", NO_TWIN);
    }
    for field in choice.extra.names() {
        losses.report(format!("choices[0].{field}"), NO_TWIN);
    }
    let mut blocks = Vec::with_capacity(choice.parts.len());
    for (index, part) in choice.parts.iter().enumerate() {
        let place = list.item(index);
        seen.tool_call |= matches!(part, Part::ToolCall(_));
        seen.refusal |= matches!(part, Part::Refusal(_));
        match block(part, &place, losses) {
            Some(Node::Object(mut object)) => {
                if let Part::ToolCall(call) = part {
                    let made = || format!("toolu_{}_{index}", echo.unique);
                    let id = if call.id.is_empty() { made() } else { call.id.clone() };
                    object = Object::typed("tool_use").with("id", id).followed_by(object);
                }
                blocks.push(object.into());
            }
            Some(node) => blocks.push(node),
            None => {}
        }
    }
    blocks
}

/// One block; a call comes without its type and id. Empty text is left out: a caller that sends it back
/// would be refused.
fn block<'a>(part: &'a Part, place: &Place<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    let (mut object, extra) = match part {
        Part::Text(text) if text.text.is_empty() && text.extra.is_empty() && text.citations.is_empty() => {
            return None;
        }
        Part::Text(text) => {
            let mut object = Object::typed("text").with("text", text.text.as_str());
            let citations: Vec<Node<'_>> = text.citations.iter().filter_map(citation::write).collect();
            if citations.len() < text.citations.len() {
                losses
                    .report(place.field("citations").to_string(), "only citations of web pages are carried");
            }
            if !citations.is_empty() {
                object.put("citations", citations);
            }
            (object, &text.extra)
        }
        Part::Refusal(text) => return Some(Object::typed("text").with("text", text.as_str()).into()),
        Part::Thinking(thinking) => {
            let signature = thinking.signature.as_ref().map(|signature| signature.written(Wire::Anthropic));
            let signature = signature.unwrap_or_default();
            let object = Object::typed("thinking")
                .with("thinking", thinking.text.as_str())
                .with("signature", signature);
            (object, &thinking.extra)
        }
        Part::RedactedThinking { data, extra } => {
            (Object::typed("redacted_thinking").with("data", data.as_str()), extra)
        }
        Part::ToolCall(call) => {
            let input = input(&call.arguments, place, losses);
            (Object::new().with("name", call.name.as_str()).with("input", input), &call.extra)
        }
        Part::Opaque { wire: Wire::Anthropic, value } => return Some(value.into()),
        Part::Image(_)
        | Part::Document(_)
        | Part::Audio { .. }
        | Part::ToolResult(_)
        | Part::Opaque { .. } => {
            losses.report(place.to_string(), "no block of an anthropic answer can hold it");
            return None;
        }
    };
    keep_extra(&mut object, extra, place, losses);
    Some(object.into())
}
