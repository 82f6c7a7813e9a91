//! A caller's body into the pivot: the fields around the contents. Unknown ones are kept, wrong ones are
//! refused with their place.

use serde_json::Value;

use super::{config_in, tools_in, turns_in};
use crate::ir::{Extra, Message, Part, Request, Role};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};
use crate::wire::gemini::parts;
use crate::wire::gemini::spelling::{extra, spelled};
use crate::wire::json::{self, Json};

/// Fields of the gateway itself, and those that this dialect has in its path.
const NOT_ASKED: [&str; 4] = ["fallbacks", "extra_fields", "model", "stream"];

/// Reads a request body. Model and streaming are set by whoever knows the path.
///
/// # Errors
/// [`BadRequest`] with the line and column of broken JSON, or the path of a wrong field.
pub(in crate::wire::gemini) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let value: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in NOT_ASKED {
        fields.take(name);
    }
    let mut request = Request { stream_usage: true, ..Request::default() };
    request.messages.extend(system(&mut fields)?);
    turns_in::contents(&mut fields, &mut request.messages)?;
    request.tools = tools_in::tools(&mut fields)?;
    request.tool_choice = tools_in::choice(&mut fields)?;
    config_in::config(&mut fields, &mut request)?;
    request.service_tier = tier(&mut fields)?;
    request.extra = extra(fields);
    Ok(request)
}

/// A content, a part, a list of parts or a string: the SDKs' helpers allow all of them.
fn system(fields: &mut Fields<'_>) -> Result<Option<Message>, BadRequest> {
    let key = spelled(fields, "systemInstruction", "system_instruction");
    let at = fields.path().field(key);
    let Some(value) = fields.take_json(key) else { return Ok(None) };
    let mut parts = Vec::new();
    let mut kept = Extra::default();
    match value.items() {
        Ok(list) => several(list, &at, &mut parts)?,
        Err(value) => match value.members() {
            Ok(members) if members.get("parts").is_some() => {
                let mut content = Fields::of(Json::Object(members), &at)?;
                content.take("role");
                let inner = at.field("parts");
                match content.take_json("parts").map(Json::items) {
                    Some(Ok(list)) => several(list, &inner, &mut parts)?,
                    Some(Err(one)) => parts::read(one, &inner, &mut parts)?,
                    None => {}
                }
                kept = extra(content);
            }
            Ok(members) => parts::read(Json::Object(members), &at, &mut parts)?,
            Err(Json::Value(Value::String(text))) => parts.push(Part::text(text)),
            Err(other) => {
                return Err(fields.wrong(key, other.look(), "a content with `parts`"));
            }
        },
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.text.is_empty() && text.extra.is_empty()));
    let message = Message { role: Role::System, name: None, parts, extra: kept };
    Ok((!message.parts.is_empty()).then_some(message))
}

fn several(list: Vec<Json<'_>>, at: &Path<'_>, out: &mut Vec<Part>) -> Result<(), BadRequest> {
    list.into_iter().enumerate().try_for_each(|(index, part)| parts::read(part, &at.item(index), out))
}

fn tier(fields: &mut Fields<'_>) -> Result<Option<String>, BadRequest> {
    let key = spelled(fields, "serviceTier", "service_tier");
    let Some(word) = fields.text(key)? else { return Ok(None) };
    let word = word.to_ascii_lowercase();
    let plain = word.strip_prefix("service_tier_").unwrap_or(&word);
    Ok(match plain {
        "unspecified" => None,
        "standard" => Some("default".to_owned()),
        other => Some(other.to_owned()),
    })
}
