//! Content parts: what stands in a message's `content`, in requests and in answers. Media is carried as it
//! came: nothing is fetched or sniffed.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::types::NO_COUNTERPART;
use crate::Wire;
use crate::ir::{Document, Extra, Image, Part, Signature, Source, Text, Thinking, ToolCall};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path, write_extra, wrong};
use crate::wire::json::Json;
use crate::wire::tree::{Node, Object};

/// Reads `content`: a string is one text part.
pub(super) fn content(value: Json<'_>, path: &Path<'_>) -> Result<Vec<Part>, BadRequest> {
    match value {
        Json::Value(Value::Null) => Ok(Vec::new()),
        Json::Value(Value::String(text)) => Ok(vec![Part::text(text)]),
        other => match other.items() {
            Ok(list) => list.into_iter().enumerate().map(|(at, one)| part(one, &path.item(at))).collect(),
            Err(other) => Err(wrong(path, other.look(), "a string or a list of content parts")),
        },
    }
}

/// Reads a document: `{id?, data}`, or its text. Data of one `text` is plain text, any other is kept as
/// JSON: the model sees its names as well.
pub(super) fn document(value: Json<'_>, path: &Path<'_>) -> Result<Document, BadRequest> {
    let value = match value {
        Json::Value(Value::String(text)) => return Ok(plain_document(text, None)),
        other => other,
    };
    let mut fields = Fields::of(value, path)?;
    let name = fields.text("id")?;
    let data = match fields.take("data") {
        Some(Value::Object(data)) => data,
        Some(Value::String(text)) => Map::from_iter([("text".to_owned(), Value::String(text))]),
        Some(other) => return Err(fields.wrong("data", &other, "an object of the document's fields")),
        None => return Err(fields.missing("data", "an object of the document's fields")),
    };
    let mut read = match data.get("text") {
        Some(Value::String(text)) if data.len() == 1 => plain_document(text.clone(), name),
        _ => {
            let source = Source::Text { media_type: JSON.to_owned(), text: Value::Object(data).to_string() };
            Document { source, name, cache: None, extra: Extra::default() }
        }
    };
    read.extra = fields.extra(Wire::Cohere);
    Ok(read)
}

/// Writes a document of the request's `documents`.
///
/// # Errors
/// A document that is no text: this wire reads nothing else.
pub(super) fn write_document<'a>(
    document: &'a Document,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Result<Node<'a>, BadRequest> {
    let (media_type, text) =
        document_text(&document.source).ok_or_else(|| no_text(&document.source, path))?;
    let mut object = Object::new();
    object.put_some("id", document.name.as_deref());
    let data = (media_type == JSON).then(|| serde_json::from_str::<Map<String, Value>>(&text).ok()).flatten();
    match data {
        Some(data) => object.put("data", Value::Object(data)),
        None => object.put("data", Object::new().with("text", text)),
    }
    write_extra(&mut object, &document.extra, path, Wire::Cohere, losses);
    Ok(object.into())
}

/// Writes an image part.
///
/// # Errors
/// An image known by another provider's file id.
pub(super) fn write_image<'a>(
    image: &'a Image,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Result<Node<'a>, BadRequest> {
    let url: Cow<'a, str> = match &image.source {
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}").into(),
        Source::Url(url) => url.into(),
        Source::File(id) => {
            let message = format!(
                "`{path}` is the image file {id:?}, which this provider cannot read: send a URL or base64"
            );
            return Err(BadRequest::at(path.to_string(), message));
        }
        Source::Text { text, .. } => return Ok(Object::typed("text").with("text", text.as_str()).into()),
    };
    let mut inner = Object::new().with("url", url);
    inner.put_some("detail", image.detail.as_deref());
    let mut part = Object::typed("image_url").with("image_url", inner);
    write_extra(&mut part, &image.extra, path, Wire::Cohere, losses);
    Ok(part.into())
}

/// A function call, without its leftovers. No arguments are an object of none.
pub(super) fn write_call<'a>(call: &'a ToolCall, id: Cow<'a, str>) -> Object<'a> {
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    let function = Object::new().with("name", call.name.as_str()).with("arguments", arguments);
    Object::new().with("id", id).with("type", "function").with("function", function)
}

/// Reads one call. `strict` as requests are read: an answer's may lack its id, and write its arguments as an
/// object or as the word `null`.
pub(super) fn call(value: Json<'_>, path: &Path<'_>, strict: bool) -> Result<ToolCall, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let id = if strict { fields.required_text("id")? } else { fields.text("id")?.unwrap_or_default() };
    if fields.peek("type").and_then(Value::as_str) == Some("function") {
        fields.take("type");
    }
    let at = path.field("function");
    let Some(value) = fields.take_json("function") else {
        return Err(fields.missing("function", "an object with name and arguments"));
    };
    let mut function = Fields::of(value, &at)?;
    let name = function.required_text("name")?;
    let arguments = match function.take("arguments") {
        None => String::new(),
        Some(Value::String(text)) if text.trim() == "null" => String::new(),
        Some(Value::String(text)) => text,
        Some(other) if !strict => other.to_string(),
        Some(other) => return Err(function.wrong("arguments", &other, "a string of JSON text")),
    };
    fields.keep_nested("function", function.rest());
    Ok(ToolCall { id, name, arguments, cache: None, extra: fields.extra(Wire::Cohere) })
}

/// Reports a part of another wire that cannot go.
pub(super) fn lose_opaque(value: &Value, path: &Path<'_>, losses: &mut Losses) {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
    losses.report(path.to_string(), format!("a part of type {kind:?} {NO_COUNTERPART}"));
}

const JSON: &str = "application/json";

/// The media type and the text, where it is text.
fn document_text(source: &Source) -> Option<(&str, Cow<'_, str>)> {
    match source {
        Source::Text { media_type, text } => Some((media_type, text.into())),
        Source::Base64 { media_type, data } if media_type.starts_with("text/") || media_type == JSON => {
            let text = String::from_utf8(crate::base64::decode(data)?).ok()?;
            Some((media_type, text.into()))
        }
        _ => None,
    }
}

fn plain_document(text: String, name: Option<String>) -> Document {
    let source = Source::Text { media_type: "text/plain".to_owned(), text };
    Document { source, name, cache: None, extra: Extra::default() }
}

fn no_text(source: &Source, path: &Path<'_>) -> BadRequest {
    let what = match source {
        Source::Url(_) => "known by its URL only".to_owned(),
        Source::File(id) => format!("the file {id:?} of another provider"),
        Source::Base64 { media_type, .. } => format!("of type {media_type:?}"),
        Source::Text { .. } => "unreadable".to_owned(),
    };
    let message = format!("`{path}` is a document {what}: this provider reads documents as plain text only");
    BadRequest::at(path.to_string(), message)
}

fn part(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let kind = match fields.peek("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(fields.wrong("type", other, "a string")),
        None => return Err(fields.missing("type", "the kind of content part, such as \"text\"")),
    };
    match kind.as_str() {
        "text" => {
            fields.take("type");
            let text = fields.required_text("text")?;
            Ok(Part::Text(Text { text, extra: fields.extra(Wire::Cohere), ..Text::default() }))
        }
        "thinking" => {
            fields.take("type");
            thinking(fields)
        }
        "image_url" => image(fields),
        "document" => {
            let at = path.field("document");
            let Some(inner) = fields.take_json("document") else {
                return Err(fields.missing("document", "an object with data"));
            };
            fields.take("type");
            let mut read = document(inner, &at)?;
            fields.keep_nested("document", std::mem::take(&mut read.extra.fields));
            read.extra = fields.extra(Wire::Cohere);
            Ok(Part::Document(read))
        }
        _ => Ok(Part::Opaque { wire: Wire::Cohere, value: Value::Object(fields.rest()) }),
    }
}

/// The vendor signs nothing: a `signature` is one that the gateway wrote for another maker.
fn thinking(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let text = fields.text("thinking")?.unwrap_or_default();
    let signature = fields.text("signature")?.map(|text| Signature::read(Wire::Cohere, text));
    Ok(Part::Thinking(Thinking { text, signature, extra: fields.extra(Wire::Cohere) }))
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
    Ok(Part::Image(Image { source, detail, cache: None, extra: fields.extra(Wire::Cohere) }))
}

fn image_source(url: String, path: &Path<'_>) -> Result<Source, BadRequest> {
    if url.is_empty() {
        return Err(wrong(path, &Value::String(url), "a URL or a data: URL"));
    }
    if !url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return Ok(Source::Url(url));
    }
    let parted = url.get(5..).and_then(|rest| rest.split_once(',')).and_then(|(head, data)| {
        let (media_type, encoding) = head.rsplit_once(';')?;
        let is_base64 = encoding.trim().eq_ignore_ascii_case("base64") && !media_type.is_empty();
        is_base64.then(|| Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
    });
    parted.ok_or_else(|| {
        let message = format!("`{path}` is a data: URL that is not `data:<media type>;base64,<data>`");
        BadRequest::at(path.to_string(), message)
    })
}
