//! Reads the contents of a request.
//!
//! Ids are optional on this wire: a call without one gets an id made from its place, the same every time,
//! and an answer without one belongs to the first call of its function that has none yet. The SDKs keep a
//! streamed answer chunk by chunk, each a content of its own: those are one turn.

use serde_json::Value;

use crate::ir::{Extra, Message, Part, Role, Thinking};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};
use crate::wire::gemini::spelling::extra;
use crate::wire::gemini::{Wire, parts};
use crate::wire::json::Json;

/// Takes `contents`: a list, or a single content.
pub(super) fn contents(fields: &mut Fields<'_>, out: &mut Vec<Message>) -> Result<(), BadRequest> {
    let at = fields.path().field("contents");
    let Some(value) = fields.take_json("contents") else {
        return Err(fields.missing("contents", "a list of contents"));
    };
    let mut calls = Calls::default();
    match value.items() {
        Ok(list) if list.is_empty() => {
            Err(BadRequest::at("contents", "`contents` is an empty list, expected at least one content"))
        }
        Ok(list) => {
            out.reserve(list.len());
            for (index, value) in list.into_iter().enumerate() {
                calls.content = index;
                let message = content(value, &at.item(index), &mut calls)?;
                add(message, out);
            }
            out.iter_mut().for_each(join_thoughts);
            Ok(())
        }
        Err(single) => {
            out.push(content(single, &at, &mut calls)?);
            Ok(())
        }
    }
}

fn content(value: Json<'_>, at: &Path<'_>, calls: &mut Calls) -> Result<Message, BadRequest> {
    if let Json::Value(Value::String(text)) = value {
        let parts = vec![Part::text(text)];
        return Ok(Message { role: Role::User, name: None, parts, extra: Extra::default() });
    }
    let mut fields = Fields::of(value, at)?;
    let role = match fields.text("role")?.as_deref() {
        None | Some("user" | "") => Role::User,
        Some("model") => Role::Assistant,
        Some("function" | "tool") => Role::Tool,
        Some("system") => Role::System,
        Some(word) => {
            return Err(fields.wrong("role", &Value::String(word.to_owned()), "\"user\" or \"model\""));
        }
    };
    let inner = at.field("parts");
    let list = match fields.take_json("parts").map(Json::items) {
        Some(Ok(list)) => list,
        Some(Err(single @ Json::Object(_))) => vec![single],
        Some(Err(other)) => return Err(fields.wrong("parts", other.look(), "a list of parts")),
        None => return Err(fields.missing("parts", "a list of parts")),
    };
    let mut parts = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let at = inner.item(index);
        let before = parts.len();
        parts::read(value, &at, &mut parts)?;
        calls.part = index;
        parts.iter_mut().skip(before).try_for_each(|part| calls.pair(part, &at))?;
    }
    Ok(Message { role, name: None, parts, extra: extra(fields) })
}

/// Adds a turn. More of the model's turn goes on where that stopped.
fn add(message: Message, out: &mut Vec<Message>) {
    let same = |last: &&mut Message| {
        last.role == Role::Assistant
            && message.role == Role::Assistant
            && last.extra.is_empty()
            && message.extra.is_empty()
    };
    let Some(last) = out.last_mut().filter(same) else { return out.push(message) };
    let mut parts = message.parts.into_iter().peekable();
    if let Some(Part::Text(more)) = parts.next_if(is_plain) {
        match last.parts.last_mut() {
            Some(part) if is_plain(part) => append(part, &more.text),
            _ if more.text.is_empty() => {}
            _ => last.parts.push(Part::Text(more)),
        }
    }
    last.parts.extend(parts);
}

fn is_plain(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.extra.is_empty())
}

fn append(part: &mut Part, more: &str) {
    if let Part::Text(text) = part {
        text.text.push_str(more);
    }
}

/// Another maker's signature is for the reasoning before it, which came in pieces: without the whole text it
/// would be worth nothing.
fn join_thoughts(message: &mut Message) {
    let foreign = |part: &Part| match part {
        Part::Thinking(Thinking { text, signature: Some(signature), .. }) => {
            text.is_empty() && signature.for_wire(Wire::Gemini).is_none()
        }
        _ => false,
    };
    if message.role != Role::Assistant || !message.parts.iter().any(foreign) {
        return;
    }
    let mut joined: Vec<Part> = Vec::with_capacity(message.parts.len());
    for mut part in std::mem::take(&mut message.parts) {
        if foreign(&part)
            && let Part::Thinking(signed) = &mut part
        {
            let unsigned = |part: &Part| matches!(part, Part::Thinking(piece) if piece.signature.is_none());
            let from = joined.iter().rposition(|part| !unsigned(part)).map_or(0, |last| last + 1);
            for piece in joined.drain(from..) {
                if let Part::Thinking(piece) = piece {
                    signed.text.push_str(&piece.text);
                }
            }
        }
        joined.push(part);
    }
    message.parts = joined;
}

/// The calls that wait for an answer.
#[derive(Default)]
struct Calls {
    content: usize,
    part: usize,
    open: Vec<(String, String)>,
}

impl Calls {
    /// Gives a call its id, and an answer the id of its call.
    fn pair(&mut self, part: &mut Part, at: &Path<'_>) -> Result<(), BadRequest> {
        match part {
            Part::ToolCall(call) => {
                if call.id.is_empty() {
                    call.id = format!("call_{}_{}", self.content, self.part);
                }
                self.open.push((call.id.clone(), call.name.clone()));
            }
            Part::ToolResult(result) => {
                let name = result.extra.fields.get("name").and_then(Value::as_str).unwrap_or_default();
                let by_id = !result.call_id.is_empty();
                let found = self
                    .open
                    .iter()
                    .position(|(id, of)| if by_id { *id == result.call_id } else { of == name });
                let known = match found.map(|found| self.open.remove(found)) {
                    Some((id, of)) => {
                        result.call_id = id;
                        of == name
                    }
                    // Answered already, or cut off from its history: the provider may know the id.
                    None if by_id => false,
                    None => {
                        let at = at.field("functionResponse");
                        let message = format!("`{at}` answers a call of {name:?}, but none is open");
                        return Err(BadRequest::at(at.to_string(), message));
                    }
                };
                if known {
                    result.extra.fields.shift_remove("name");
                    result.extra = Extra::of(Wire::Gemini, std::mem::take(&mut result.extra.fields));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
