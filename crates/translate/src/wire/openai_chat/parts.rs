//! Content parts: what stands in a message's `content`, in requests and in answers.
//!
//! Media is carried as it came: nothing is fetched, decoded or sniffed beyond the four bytes that tell
//! a PDF. A part type this wire's relatives invented stays whole ([`Part::Opaque`]).

use std::borrow::Cow;

use serde_json::Value;

use super::fields::{Fields, Path, call_kind, write_extra};
use crate::Wire;
use crate::ir::{CacheMark, Document, Extra, Image, Part, Signature, Source, Text, Thinking, ToolCall};
use crate::loss::Losses;
use crate::wire::json::Json;
use crate::wire::tree::{Node, Object};
use crate::wire::{BadRequest, sound};

/// Reads `content`: a string is one text part.
pub(super) fn content(value: Json<'_>, path: &Path<'_>) -> Result<Vec<Part>, BadRequest> {
    match value {
        Json::Value(Value::Null) => Ok(Vec::new()),
        Json::Value(Value::String(text)) => Ok(vec![Part::text(text)]),
        other => match other.items() {
            Ok(list) => {
                list.into_iter().enumerate().map(|(index, value)| part(value, &path.item(index))).collect()
            }
            Err(other) => {
                Err(super::fields::wrong(path, other.look(), "a string or a list of content parts"))
            }
        },
    }
}

/// An image of an answer's `images`; `None` for anything else.
pub(super) fn image_of(value: &Value) -> Option<Image> {
    match part(value.clone().into(), &Path::Body) {
        Ok(Part::Image(image)) => Some(image),
        _ => None,
    }
}

/// The cache mark of a part that can carry one.
pub(super) fn mark_of(part: &mut Part) -> Option<&mut Option<CacheMark>> {
    match part {
        Part::Text(text) => Some(&mut text.cache),
        Part::Image(image) => Some(&mut image.cache),
        Part::Document(document) => Some(&mut document.cache),
        Part::ToolCall(call) => Some(&mut call.cache),
        Part::ToolResult(result) => Some(&mut result.cache),
        _ => None,
    }
}

/// Takes `cache_control`, which callers of Claude models send in this dialect too.
pub(super) fn take_mark(fields: &mut Fields<'_>) -> Option<CacheMark> {
    fields.take("cache_control").map(|raw| CacheMark { raw })
}

/// Writes a text part.
pub(super) fn write_text<'a>(text: &'a Text, path: &Path<'_>, losses: &mut Losses) -> Object<'a> {
    let mut map = typed("text", "text", text.text.as_str());
    write_extra(&mut map, &text.extra, path, losses);
    map
}

/// Writes an image part.
///
/// # Errors
/// An image known by a file id only: this wire has no place for one.
pub(super) fn write_image<'a>(
    image: &'a Image,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Result<Object<'a>, BadRequest> {
    let url: Cow<'a, str> = match &image.source {
        Source::Base64 { media_type, data } => data_url(media_type, data).into(),
        Source::Url(url) => url.into(),
        Source::File(id) => {
            let message = format!(
                "`{path}` is the image file {id:?}, which this provider cannot read: send a URL or base64"
            );
            return Err(BadRequest::at(path.to_string(), message));
        }
        Source::Text { text, .. } => return Ok(typed("text", "text", text.as_str())),
    };
    let mut inner = Object::new().with("url", url);
    inner.put_some("detail", image.detail.as_deref());
    let mut map = typed("image_url", "image_url", inner);
    write_extra(&mut map, &image.extra, path, losses);
    Ok(map)
}

/// Writes a document part. `urls` tells whether the provider fetches documents itself.
///
/// # Errors
/// A document known by its URL only, for a provider that does not fetch.
pub(super) fn write_document<'a>(
    document: &'a Document,
    urls: bool,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Result<Object<'a>, BadRequest> {
    let mut inner = Object::new();
    let name = document.name.as_deref();
    match &document.source {
        Source::Base64 { media_type, data } => {
            let fallback = if media_type == "application/pdf" { "document.pdf" } else { "document.txt" };
            inner.put("filename", name.unwrap_or(fallback));
            inner.put("file_data", data_url(media_type, data));
        }
        Source::Url(url) if urls => {
            inner.put("filename", name.unwrap_or("document.pdf"));
            inner.put("file_data", url.as_str());
        }
        Source::Url(_) => {
            let message =
                format!("`{path}` is a document by URL, which this provider cannot fetch: send it as base64");
            return Err(BadRequest::at(path.to_string(), message));
        }
        Source::File(id) => {
            inner.put("file_id", id.as_str());
            if let Some(name) = name {
                inner.put("filename", name);
            }
        }
        Source::Text { text, .. } => {
            let titled = name.map(|name| format!("{name}\n\n{text}"));
            let mut map = typed("text", "text", titled.map_or(Cow::Borrowed(text.as_str()), Cow::Owned));
            write_extra(&mut map, &document.extra, path, losses);
            return Ok(map);
        }
    }
    let mut map = typed("file", "file", inner);
    write_extra(&mut map, &document.extra, path, losses);
    Ok(map)
}

/// The audio part of a request.
pub(super) fn write_audio<'a>(data: &'a str, format: &'a str) -> Object<'a> {
    typed("input_audio", "input_audio", Object::new().with("data", data).with("format", format))
}

/// A call of a function, without its leftovers. No arguments are an object of none.
pub(super) fn write_call<'a>(call: &'a ToolCall, id: Cow<'a, str>) -> Object<'a> {
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    let function = Object::new().with("name", call.name.as_str()).with("arguments", arguments);
    Object::new().with("id", id).with("type", call_kind(&call.extra)).with("function", function)
}

/// A call of a `custom` tool, which stands in `tool_calls`, not in `content`.
pub(super) fn is_custom_call(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str) == Some("custom")
}

/// `{"type": kind, field: value}`.
pub(super) fn typed<'a>(kind: &'a str, field: &'a str, value: impl Into<Node<'a>>) -> Object<'a> {
    Object::typed(kind).with(field, value)
}

fn part(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let fields = Fields::of(value, path)?;
    let kind = match fields.peek("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(fields.wrong("type", other, "a string")),
        None => return Err(fields.missing("type", "the kind of content part, such as \"text\"")),
    };
    match kind.as_str() {
        "text" => text(fields),
        "image_url" => image(fields),
        "input_audio" => audio(fields),
        "file" => document(fields),
        "refusal" => refusal(fields),
        "thinking" | "reasoning" => Ok(thinking(fields)),
        _ => Ok(opaque(fields)),
    }
}

fn opaque(fields: Fields<'_>) -> Part {
    Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(fields.rest()) }
}

fn text(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    fields.take("type");
    let text = fields.required_text("text")?;
    let cache = take_mark(&mut fields);
    Ok(Part::Text(Text { text, cache, extra: fields.extra(Wire::OpenAiChat), ..Text::default() }))
}

fn image(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    fields.take("type");
    let at = fields.path().field("image_url");
    let (url, detail) = match fields.take("image_url") {
        Some(Value::String(url)) => (url, None),
        Some(value) => {
            let mut inner = Fields::of(value, &at)?;
            let found = (inner.required_text("url")?, inner.text("detail")?);
            fields.keep_nested("image_url", inner.rest());
            found
        }
        None => return Err(fields.missing("image_url", "an object with a url")),
    };
    let source = image_source(url, &at.field("url"))?;
    let cache = take_mark(&mut fields);
    Ok(Part::Image(Image { source, detail, cache, extra: fields.extra(Wire::OpenAiChat) }))
}

pub(in crate::wire) fn image_source(url: String, path: &Path<'_>) -> Result<Source, BadRequest> {
    if url.is_empty() {
        return Err(super::fields::wrong(path, &Value::String(url), "a URL or a data: URL"));
    }
    match split_data_url(&url) {
        Some((media_type, _))
            if !media_type.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("image/")) =>
        {
            let message = format!("`{path}` is a data: URL of type {media_type:?}, expected an image");
            Err(BadRequest::at(path.to_string(), message))
        }
        Some((media_type, data)) => base64(media_type, data, path),
        None if !url.contains(':') => {
            Err(super::fields::wrong(path, &Value::String(url), "a URL or a data: URL"))
        }
        None if is_data_url(&url) => {
            let message = format!("`{path}` is a data: URL that is not `data:<media type>;base64,<data>`");
            Err(BadRequest::at(path.to_string(), message))
        }
        None => Ok(Source::Url(url)),
    }
}

fn base64(media_type: &str, data: &str, path: &Path<'_>) -> Result<Source, BadRequest> {
    if !sound::is_base64(data) {
        let message = format!("`{path}` holds bytes that are not valid base64");
        return Err(BadRequest::at(path.to_string(), message));
    }
    Ok(Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
}

/// Audio has no room for leftovers in the pivot: a part that has any stays whole.
fn audio(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let at = fields.path().field("input_audio");
    let Some(value) = fields.take("input_audio") else {
        return Err(fields.missing("input_audio", "an object with data and format"));
    };
    let whole = value.clone();
    let mut inner = Fields::of(value, &at)?;
    let (data, format) = (inner.required_text("data")?, inner.required_text("format")?);
    base64("", &data, &at.field("data"))?;
    let kind = fields.take("type").unwrap_or_default();
    let mut rest = fields.rest();
    if rest.is_empty() && inner.rest().is_empty() {
        return Ok(Part::Audio { data, format });
    }
    rest.insert("type".into(), kind);
    rest.insert("input_audio".into(), whole);
    Ok(Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(rest) })
}

fn document(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    fields.take("type");
    let at = fields.path().field("file");
    let Some(value) = fields.take("file") else {
        return Err(fields.missing("file", "an object with file_data or file_id"));
    };
    let mut inner = Fields::of(value, &at)?;
    let name = inner.text("filename")?;
    let source = match inner.text("file_data")? {
        Some(data) => document_source(data, name.as_deref(), &at.field("file_data"))?,
        None => match inner.text("file_id")? {
            Some(id) => Source::File(id),
            None => return Err(inner.missing("file_data", "a data: URL, or a file_id beside it")),
        },
    };
    fields.keep_nested("file", inner.rest());
    let cache = take_mark(&mut fields);
    Ok(Part::Document(Document { source, name, cache, extra: fields.extra(Wire::OpenAiChat) }))
}

pub(in crate::wire) fn document_source(
    data: String,
    name: Option<&str>,
    path: &Path<'_>,
) -> Result<Source, BadRequest> {
    if let Some((media_type, base64)) = split_data_url(&data) {
        return self::base64(media_type, base64, path);
    }
    if data.starts_with("https://") || data.starts_with("http://") {
        return Ok(Source::Url(data));
    }
    // The base64 of `%PDF-`: the reference page calls the field plain base64.
    let pdf_name = name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".pdf"));
    if !is_data_url(&data) && (pdf_name || data.starts_with("JVBERi")) {
        return base64("application/pdf", &data, path);
    }
    let message = format!("`{path}` has no media type, expected `data:<media type>;base64,<data>`");
    Err(BadRequest::at(path.to_string(), message))
}

fn refusal(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let text = fields.required_text("refusal")?;
    let kind = fields.take("type").unwrap_or_default();
    let mut rest = fields.rest();
    if rest.is_empty() {
        return Ok(Part::Refusal(text));
    }
    rest.insert("type".into(), kind);
    rest.insert("refusal".into(), text.into());
    Ok(Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(rest) })
}

/// Mistral (`thinking`: list of texts) and Databricks (`reasoning`: `summary` list) put reasoning
/// among the content. A form that is neither stays whole.
fn thinking(fields: Fields<'_>) -> Part {
    let map = fields.rest();
    let text = match map.get("thinking").or_else(|| map.get("summary")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list))
            if list.iter().all(|item| item.get("text").is_some_and(Value::is_string)) =>
        {
            list.iter().filter_map(|item| item.get("text")?.as_str()).collect()
        }
        _ => return Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(map) },
    };
    let inner = map.get("summary").and_then(|list| list.get(0)).and_then(|item| item.get("signature"));
    let signature = map.get("signature").or(inner).and_then(Value::as_str).filter(|text| !text.is_empty());
    let signature = signature.map(|text| Signature::read(Wire::OpenAiChat, text.to_owned()));
    let mut rest = map;
    for name in ["type", "thinking", "summary", "signature"] {
        rest.shift_remove(name);
    }
    Part::Thinking(Thinking { text, signature, extra: Extra::of(Wire::OpenAiChat, rest) })
}

pub(in crate::wire) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

fn is_data_url(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Media type and base64 text of `data:<media type>;base64,<data>`.
fn split_data_url(url: &str) -> Option<(&str, &str)> {
    if !is_data_url(url) {
        return None;
    }
    let (head, data) = url.get(5..)?.split_once(',')?;
    let (media_type, encoding) = head.rsplit_once(';')?;
    (encoding.trim().eq_ignore_ascii_case("base64") && !media_type.is_empty()).then_some((media_type, data))
}
