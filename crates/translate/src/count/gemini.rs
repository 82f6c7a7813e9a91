//! Gemini's forms: `contents` alone, the whole request in `generateContentRequest` (Gemini's API), or its members
//! side by side (Vertex).

use serde_json::{Map, Value};

use super::{Counted, below, number, object_in};
use crate::ir::Request;
use crate::relay::{Members, rename_models, with};
use crate::wire::BadRequest;
use crate::wire::Dialect;
use crate::wire::gemini::Gemini;
use crate::wire::tree::{Node, Object};

/// What of a request Gemini's API takes.
pub(super) const TAKES: [&str; 9] = [
    "cachedContent",
    "contents",
    "generationConfig",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];
/// What Vertex takes.
pub(super) const VERTEX_TAKES: [&str; 4] = ["contents", "generationConfig", "systemInstruction", "tools"];

/// The member that holds a whole request, in both spellings.
const WHOLE: [&str; 2] = ["generateContentRequest", "generate_content_request"];

/// # Errors
/// What is wrong with the request, with its place; both forms at once.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, BadRequest> {
    let members = Members::read(body)?;
    for name in WHOLE {
        let Some(whole) = object_in(body, &members, name, name)? else { continue };
        if members.value(body, "contents").is_some() {
            let message = format!("`contents` stands beside `{name}`, expected one of the two");
            return Err(BadRequest::at("contents", message));
        }
        return Gemini.decode_request(whole).map_err(|bad| below(name, bad));
    }
    Gemini.decode_request(body)
}

/// A whole request is in one member.
pub(super) fn is_wrapped(body: &[u8]) -> bool {
    Members::read(body).is_ok_and(|members| WHOLE.iter().any(|name| members.span(body, name).is_some()))
}

/// Members that only Vertex takes side by side are not there.
pub(super) fn is_of_the_api(body: &[u8]) -> bool {
    const ONLY_VERTEX: [&str; 6] = [
        "generationConfig",
        "generation_config",
        "systemInstruction",
        "system_instruction",
        "toolConfig",
        "tools",
    ];
    let has = |members: &Members, name: &&str| members.span(body, name).is_some();
    Members::read(body).is_ok_and(|members| !ONLY_VERTEX.iter().any(|name| has(&members, name)))
}

/// The request as the one member of a question for `model`.
pub(super) fn wrapped(request: &[u8], model: &str) -> Vec<u8> {
    let named = with(request, "model", "\"\"").map_or_else(|_| request.to_vec(), |named| named.into_owned());
    let body = [br#"{"generateContentRequest":"#, named.as_slice(), b"}"].concat();
    rename_models(&body, model).into_owned()
}

/// A count of nothing may be left out of the answer, as zeros are.
pub(super) fn decode_response(members: &mut Map<String, Value>) -> Option<Counted> {
    let input_tokens = match members.shift_remove("totalTokens") {
        Some(count) => number(&count)?,
        None if members.is_empty() => 0,
        None => return None,
    };
    let cached_tokens = members.shift_remove("cachedContentTokenCount").as_ref().and_then(number);
    let mut by_modality = Vec::new();
    if let Some(Value::Array(details)) = members.shift_remove("promptTokensDetails") {
        by_modality.extend(details.iter().filter_map(|detail| {
            let kind = detail.get("modality")?.as_str()?.to_owned();
            Some((kind.into(), detail.get("tokenCount").and_then(number).unwrap_or(0)))
        }));
    }
    Some(Counted { input_tokens, cached_tokens, by_modality, ..Counted::default() })
}

/// `text`: what was counted holds nothing else.
pub(super) fn answer(counted: &Counted, text: bool) -> Object<'_> {
    let mut body = Object::new().with("totalTokens", counted.input_tokens);
    body.put_some("cachedContentTokenCount", counted.cached_tokens);
    let detail =
        |kind: &'static str, count: u64| Object::new().with("modality", kind).with("tokenCount", count);
    let details: Vec<Node<'_>> = match counted.by_modality.as_slice() {
        [] if text => vec![detail("TEXT", counted.input_tokens).into()],
        known => known
            .iter()
            .map(|(kind, count)| {
                Object::new().with("modality", kind.as_ref()).with("tokenCount", *count).into()
            })
            .collect(),
    };
    if !details.is_empty() {
        body.put("promptTokensDetails", details);
    }
    body
}
