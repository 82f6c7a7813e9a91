//! Reads `instructions` and `input` into messages.
//!
//! What the model said and did between two turns of the caller becomes one message: other wires want an
//! answer's text and its calls together. Order is kept.

use std::collections::HashMap;

use serde_json::Value;

use super::super::items::{self, Item};
use super::super::reasoning::Side;
use crate::ir::{Message, Part, Role};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};
use crate::wire::json::Json;

/// Takes both; at least one item must be there.
pub(super) fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, BadRequest> {
    let mut messages = Vec::new();
    if let Some(text) = fields.text("instructions")?.filter(|text| !text.is_empty()) {
        messages.push(plain(Role::System, vec![Part::text(text)]));
    }
    let expected = "a string or a list of items";
    let at = fields.path().field("input");
    match fields.take_json("input") {
        None => return Err(fields.missing("input", expected)),
        Some(Json::Value(Value::String(text))) => messages.push(plain(Role::User, vec![Part::text(text)])),
        Some(value) => match value.items() {
            Ok(list) => gather(list, &at, &mut messages)?,
            Err(other) => return Err(fields.wrong("input", other.look(), expected)),
        },
    }
    Ok(messages)
}

fn plain(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extra: Default::default() }
}

fn gather(list: Vec<Json<'_>>, path: &Path<'_>, messages: &mut Vec<Message>) -> Result<(), BadRequest> {
    if list.is_empty() {
        return Err(BadRequest::at("input", "`input` is an empty list, expected at least one item"));
    }
    messages.reserve(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let at = path.item(index);
        match items::read(Fields::of(value, &at)?, Side::Caller)? {
            Item::Did(parts) => answer(messages).parts.extend(parts),
            Item::Result(part) => messages.push(plain(Role::Tool, vec![part])),
            Item::Message { role, mut parts, extra } => match role.as_str() {
                "assistant" => {
                    // `phase` and the like belong to this piece of the answer only.
                    match parts.iter_mut().find_map(text_extra) {
                        Some(slot) if !extra.is_empty() => {
                            slot.wire = extra.wire;
                            slot.fields.extend(extra.fields);
                        }
                        _ => answer(messages).extra.fields.extend(extra.fields),
                    }
                    let answer = answer(messages);
                    answer.extra.wire = (!answer.extra.is_empty()).then_some(super::super::OWN);
                    answer.parts.extend(parts);
                }
                word => {
                    let role = self::role(word, &at)?;
                    messages.push(Message { extra, ..plain(role, parts) });
                }
            },
        }
    }
    settle(messages);
    // An empty answer says nothing, and most wires refuse one.
    let says = |message: &Message| !message.parts.is_empty() || !message.extra.is_empty();
    messages.retain(|message| message.role != Role::Assistant || says(message));
    if messages.is_empty() {
        return Err(BadRequest::at(
            "input",
            "`input` holds nothing that was said, expected at least one message",
        ));
    }
    Ok(())
}

/// Puts results directly behind the answer with their calls: other wires refuse anything in between.
fn settle(messages: &mut Vec<Message>) {
    let mut calls: HashMap<&str, usize> = HashMap::new();
    let mut places = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let mut place = (index, false);
        for part in &message.parts {
            match part {
                Part::ToolCall(call) => drop(calls.insert(&call.id, index)),
                Part::ToolResult(result) => {
                    place = calls.get(result.call_id.as_str()).map_or(place, |call| (*call, true));
                }
                _ => {}
            }
        }
        places.push(place);
    }
    if !places.is_sorted() {
        let mut placed: Vec<_> = places.into_iter().zip(std::mem::take(messages)).collect();
        placed.sort_by_key(|(place, _)| *place);
        messages.extend(placed.into_iter().map(|(_, message)| message));
    }
}

fn text_extra(part: &mut Part) -> Option<&mut crate::ir::Extra> {
    match part {
        Part::Text(text) => Some(&mut text.extra),
        _ => None,
    }
}

/// The answer that the item belongs to.
fn answer(messages: &mut Vec<Message>) -> &mut Message {
    let same = messages.pop_if(|last| last.role == Role::Assistant);
    messages.push_mut(same.unwrap_or_else(|| plain(Role::Assistant, Vec::new())))
}

fn role(word: &str, path: &Path<'_>) -> Result<Role, BadRequest> {
    match word {
        "user" => Ok(Role::User),
        "system" => Ok(Role::System),
        "developer" => Ok(Role::Developer),
        _ => {
            let path = path.field("role");
            let expected = "\"system\", \"developer\", \"user\" or \"assistant\"";
            Err(crate::wire::fields::wrong(&path, &Value::from(word), expected))
        }
    }
}
