//! Parts of a content into the pivot: the same for what callers send and for what the provider answers.
//!
//! A signature on a text or on a call becomes an empty reasoning part before it. What no other wire has
//! (code execution, video, server tools) stays whole.

use serde_json::{Map, Value};

use super::Wire;
use super::signature::{self, Sent};
use super::spelling::{extra, rest, spelled};
use super::write::audio_format;
use crate::base64::standard;
use crate::ir::{Document, Extra, Image, Part, Source, Text, Thinking, ToolCall, ToolResult};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::Json;

/// Reads one part. Calls without an id get none here; a result keeps its function's name in `extra`.
pub(super) fn read(value: Json<'_>, at: &Path<'_>, out: &mut Vec<Part>) -> Result<(), BadRequest> {
    if let Json::Value(Value::String(text)) = value {
        out.push(Part::text(text));
        return Ok(());
    }
    let mut fields = Fields::of(value, at)?;
    let signed = spelled(&fields, "thoughtSignature", "thought_signature");
    let thought = fields.flag("thought")?.unwrap_or(false);
    let Some(kind) = kind(&fields) else { return only_signed_or_opaque(fields, signed, thought, out) };
    let signature = fields.text(signed)?.filter(|text| !text.is_empty()).map(signature::read);
    if kind == "text" {
        return text(fields, thought, signature, out);
    }
    let sketch = thought && matches!(kind, "inlineData" | "inline_data");
    if thought && !sketch {
        fields.put("thought", true.into());
    }
    let part = match kind {
        // A picture on the way to the answer is none of the answer: for this wire to read.
        _ if sketch => {
            let value = fields.take(kind).unwrap_or_default();
            let mut outer = rest(fields);
            outer.insert("thought".into(), true.into());
            opaque(outer, "inlineData", value)
        }
        "functionCall" | "function_call" => call(fields, kind)?,
        "functionResponse" | "function_response" => result(fields, kind)?,
        "inlineData" | "inline_data" => inline(fields, kind)?,
        _ => file(fields, kind)?,
    };
    push_signed(part, signature, out);
    Ok(())
}

/// The members that say what a part is and that the pivot has a place for.
fn kind(fields: &Fields<'_>) -> Option<&'static str> {
    const KINDS: [&str; 9] = [
        "functionCall",
        "function_call",
        "functionResponse",
        "function_response",
        "inlineData",
        "inline_data",
        "fileData",
        "file_data",
        "text",
    ];
    KINDS.into_iter().find(|kind| fields.peek(kind).is_some())
}

fn push_signed(part: Part, signature: Option<Sent>, out: &mut Vec<Part>) {
    match (signature, part) {
        (None, part) => out.push(part),
        // A whole part keeps its own.
        (Some(Sent::Signature(signature)), Part::Opaque { wire, value: Value::Object(mut map) }) => {
            map.insert("thoughtSignature".into(), signature.text.into());
            out.push(Part::Opaque { wire, value: Value::Object(map) });
        }
        (Some(sent), part) => {
            out.push(bare(sent));
            out.push(part);
        }
    }
}

/// A signature alone.
fn bare(sent: Sent) -> Part {
    match sent {
        Sent::Signature(signature) => {
            Part::Thinking(Thinking { signature: Some(signature), ..Thinking::default() })
        }
        Sent::Redacted(data) => Part::RedactedThinking { data, extra: Extra::default() },
    }
}

fn only_signed_or_opaque(
    mut fields: Fields<'_>,
    signed: &'static str,
    thought: bool,
    out: &mut Vec<Part>,
) -> Result<(), BadRequest> {
    let signature = fields.text(signed)?;
    let at = fields.path();
    let mut map = rest(fields);
    if map.is_empty() {
        return match signature.filter(|text| !text.is_empty()) {
            Some(text) => {
                out.push(bare(signature::read(text)));
                Ok(())
            }
            None if thought => Ok(()),
            None => {
                let expected = "a part with `text`, `inlineData`, `functionCall` or another kind of content";
                Err(wrong(at, &Value::Object(map), expected))
            }
        };
    }
    if thought {
        map.insert("thought".into(), true.into());
    }
    if let Some(text) = signature {
        map.insert("thoughtSignature".into(), text.into());
    }
    out.push(Part::Opaque { wire: Wire::Gemini, value: Value::Object(map) });
    Ok(())
}

fn text(
    mut fields: Fields<'_>,
    thought: bool,
    signature: Option<Sent>,
    out: &mut Vec<Part>,
) -> Result<(), BadRequest> {
    let text = fields.text("text")?.unwrap_or_default();
    let extra = extra(fields);
    match (thought, signature) {
        (true, Some(Sent::Redacted(data))) => out.push(Part::RedactedThinking { data, extra }),
        (true, Some(Sent::Signature(signature))) => {
            out.push(Part::Thinking(Thinking { text, signature: Some(signature), extra }));
        }
        (true, None) => out.push(Part::Thinking(Thinking { text, signature: None, extra })),
        // The signature of what came before, at the end of a stream.
        (false, Some(sent)) if text.is_empty() && extra.is_empty() => out.push(bare(sent)),
        (false, sent) => push_signed(Part::Text(Text { text, extra, ..Text::default() }), sent, out),
    }
    Ok(())
}

fn call(mut fields: Fields<'_>, kind: &'static str) -> Result<Part, BadRequest> {
    let at = fields.path().field(kind);
    let value = fields.take_json(kind).unwrap_or(Json::Value(Value::Null));
    let mut inner = Fields::of(value, &at)?;
    let name = inner.required_text("name")?;
    let id = inner.text("id")?.unwrap_or_default();
    let arguments = inner.object("args")?.map(|args| Value::Object(args).to_string()).unwrap_or_default();
    fields.keep_nested("functionCall", rest(inner));
    Ok(Part::ToolCall(ToolCall { id, name, arguments, cache: None, extra: extra(fields) }))
}

fn result(mut fields: Fields<'_>, kind: &'static str) -> Result<Part, BadRequest> {
    let at = fields.path().field(kind);
    let value = fields.take_json(kind).unwrap_or(Json::Value(Value::Null));
    let mut inner = Fields::of(value, &at)?;
    let name = inner.required_text("name")?;
    let call_id = inner.text("id")?.unwrap_or_default();
    let (text, is_error) = said(inner.take("response"));
    let mut parts: Vec<Part> = text.map(Part::text).into_iter().collect();
    let list = at.field("parts");
    for (index, value) in inner.list("parts")?.unwrap_or_default().into_iter().enumerate() {
        read(value, &list.item(index), &mut parts)?;
    }
    fields.keep_nested("functionResponse", rest(inner));
    let mut extra = rest(fields);
    extra.insert("name".into(), name.into());
    let extra = Extra::of(Wire::Gemini, extra);
    Ok(Part::ToolResult(ToolResult { call_id, parts, is_error, cache: None, extra }))
}

/// The text of a function's answer. Google's documentation names `output` and `error` as the keys of an
/// answer that is no object by itself; any other object is its JSON text.
fn said(response: Option<Value>) -> (Option<String>, Option<bool>) {
    let map = match response {
        None => return (None, None),
        Some(Value::Object(map)) => map,
        Some(Value::String(text)) => return (Some(text), None),
        Some(other) => return (Some(other.to_string()), None),
    };
    let only = |name: &str| match map.get(name) {
        Some(Value::String(text)) if map.len() == 1 => Some(text.clone()),
        _ => None,
    };
    match (only("output"), only("error")) {
        (Some(text), _) => (Some(text), None),
        (_, Some(text)) => (Some(text), Some(true)),
        _ => (Some(Value::Object(map).to_string()), None),
    }
}

fn inline(mut fields: Fields<'_>, kind: &'static str) -> Result<Part, BadRequest> {
    let at = fields.path().field(kind);
    let value = fields.take(kind).unwrap_or_default();
    let whole = value.clone();
    let mut inner = Fields::of(value, &at)?;
    let key = spelled(&inner, "mimeType", "mime_type");
    let media_type = inner.required_text(key)?;
    let data = standard(inner.required_text("data")?);
    let key = spelled(&inner, "displayName", "display_name");
    let name = inner.text(key)?;
    let mut left = rest(inner);
    if let Some(format) = audio_format(&media_type)
        && name.is_none()
        && left.is_empty()
    {
        let outer = rest(fields);
        return Ok(match outer.is_empty() {
            true => Part::Audio { data, format: format.to_owned() },
            false => opaque(outer, kind, whole),
        });
    }
    if media_type.starts_with("audio/") || media_type.starts_with("video/") {
        return Ok(opaque(rest(fields), kind, whole));
    }
    let is_image = media_type.starts_with("image/");
    let name = if is_image { keep_name(name, &mut left) } else { name };
    fields.keep_nested("inlineData", left);
    let source = Source::Base64 { media_type, data };
    let extra = extra(fields);
    Ok(match is_image {
        true => Part::Image(Image { source, detail: None, cache: None, extra }),
        false => Part::Document(Document { source, name, cache: None, extra }),
    })
}

fn file(mut fields: Fields<'_>, kind: &'static str) -> Result<Part, BadRequest> {
    let at = fields.path().field(kind);
    let value = fields.take(kind).unwrap_or_default();
    let whole = value.clone();
    let mut inner = Fields::of(value, &at)?;
    let key = spelled(&inner, "fileUri", "file_uri");
    let uri = inner.required_text(key)?;
    let key = spelled(&inner, "mimeType", "mime_type");
    let media_type = inner.text(key)?;
    let key = spelled(&inner, "displayName", "display_name");
    let name = inner.text(key)?;
    let kind_of_media = media_type.as_deref().or_else(|| media_type_of(&uri)).unwrap_or_default();
    let is_image = kind_of_media.starts_with("image/");
    let readable = is_image || kind_of_media.starts_with("text/") || kind_of_media == "application/pdf";
    if !readable {
        return Ok(opaque(rest(fields), kind, whole));
    }
    let mut left = rest(inner);
    // What the address says as well needs no keeping.
    if let Some(media_type) = media_type.filter(|given| media_type_of(&uri) != Some(given)) {
        left.insert("mimeType".into(), media_type.into());
    }
    let name = if is_image { keep_name(name, &mut left) } else { name };
    fields.keep_nested("fileData", left);
    let source = if is_public(&uri) { Source::Url(uri) } else { Source::File(uri) };
    let extra = extra(fields);
    Ok(match is_image {
        true => Part::Image(Image { source, detail: None, cache: None, extra }),
        false => Part::Document(Document { source, name, cache: None, extra }),
    })
}

/// An image has no name in the pivot: this wire alone has one.
fn keep_name(name: Option<String>, left: &mut Map<String, Value>) -> Option<String> {
    left.extend(name.map(|name| ("displayName".to_owned(), name.into())));
    None
}

fn opaque(mut rest: Map<String, Value>, kind: &str, value: Value) -> Part {
    rest.insert(kind.into(), value);
    Part::Opaque { wire: Wire::Gemini, value: Value::Object(rest) }
}

/// An address that anybody can fetch: Google's own files and buckets are no such.
pub(super) fn is_public(uri: &str) -> bool {
    let web = uri.starts_with("https://") || uri.starts_with("http://");
    web && !uri.starts_with(FILES)
}

/// Where uploaded files have their addresses.
pub(super) const FILES: &str = "https://generativelanguage.googleapis.com/";

/// The media type that an address' ending tells.
pub(super) fn media_type_of(uri: &str) -> Option<&'static str> {
    const TYPES: [(&str, &str); 16] = [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("heic", "image/heic"),
        ("heif", "image/heif"),
        ("gif", "image/gif"),
        ("pdf", "application/pdf"),
        ("txt", "text/plain"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("md", "text/markdown"),
        ("mp4", "video/mp4"),
        ("mov", "video/quicktime"),
        ("mp3", "audio/mp3"),
        ("wav", "audio/wav"),
    ];
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, media_type)| *media_type)
}
