//! Content parts: what stands in a message's `content` and in a result's `output`.
//!
//! Media is carried as it came: nothing is fetched or decoded. A part type the pivot has no place for stays
//! whole ([`Part::Opaque`]).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{NO_COUNTERPART, OWN, citation};
use crate::ir::{CacheMark, Document, Image, Part, Source, Text};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{self, Fields, Path, wrong};
use crate::wire::json::Json;
use crate::wire::openai_chat::{data_url, document_source, image_source};
use crate::wire::retrieved::{Retrieved, as_text};
use crate::wire::tree::{Node, Object};

/// Reads `content`: a string is one text part.
pub(super) fn content(value: Json<'_>, path: &Path<'_>) -> Result<Vec<Part>, BadRequest> {
    match value {
        Json::Value(Value::Null) => Ok(Vec::new()),
        Json::Value(Value::String(text)) => Ok(vec![Part::text(text)]),
        other => match other.items() {
            Ok(list) => {
                list.into_iter().enumerate().map(|(index, value)| part(value, &path.item(index))).collect()
            }
            Err(other) => Err(wrong(path, other.look(), "a string or a list of content parts")),
        },
    }
}

/// Writes a part as `input_text`, `input_image` and so on; `None` when it cannot go (and was reported).
pub(super) fn write_input<'a>(part: &'a Part, path: &Path<'_>, losses: &mut Losses) -> Option<Object<'a>> {
    let (mut object, mark, extra) = match part {
        Part::Text(text) => {
            let object = Object::typed("input_text").with("text", text.text.as_str());
            (object, &text.cache, &text.extra)
        }
        Part::Image(image) => (write_image(image), &image.cache, &image.extra),
        Part::Document(document) => (write_document(document), &document.cache, &document.extra),
        Part::Audio { data, format } => {
            let inner = Object::new().with("data", data.as_str()).with("format", format.as_str());
            return Some(Object::typed("input_audio").with("input_audio", inner));
        }
        Part::Opaque { wire, value: Value::Object(map) } if *wire == OWN => {
            let mut object = Object::new();
            object.adopt(map);
            return Some(object);
        }
        Part::Opaque { wire, value } if Retrieved::of(*wire, value).is_some() => {
            let text = as_text(*wire, value, &path.to_string(), losses)?;
            return Some(Object::typed("input_text").with("text", text));
        }
        other => {
            report_unwritten(other, path, losses);
            return None;
        }
    };
    lose_mark(mark.as_ref(), path, losses);
    fields::write_extra(&mut object, extra, path, OWN, losses);
    Some(object)
}

/// Writes an output text with its citations, as it stands in answers and in what the model said before.
pub(super) fn write_output<'a>(text: &'a Text, path: &Path<'_>, losses: &mut Losses) -> Object<'a> {
    let length = if text.citations.is_empty() { 0 } else { text.text.chars().count() as u64 };
    let mut annotations: Vec<Node<'_>> = Vec::with_capacity(text.citations.len());
    for one in &text.citations {
        match citation::write(one, length) {
            Some(annotation) => annotations.push(annotation.into()),
            None => losses.report(path.field("citations").to_string(), citation::PAGES_ONLY),
        }
    }
    let object = Object::typed("output_text").with("text", text.text.as_str());
    object.with("annotations", annotations)
}

/// Why a part is not written.
pub(super) fn report_unwritten(part: &Part, path: &Path<'_>, losses: &mut Losses) {
    match part {
        Part::Opaque { value, .. } => {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
            losses.report(path.to_string(), format!("a part of type {kind:?} {NO_COUNTERPART}"));
        }
        _ => losses.report(path.to_string(), "has no place in a message of this role"),
    }
}

/// This wire caches prompts by itself.
pub(super) fn lose_mark(mark: Option<&CacheMark>, path: &Path<'_>, losses: &mut Losses) {
    if mark.is_some() {
        losses.report(path.field("cache_control").to_string(), "this provider takes no cache marks");
    }
}

fn write_image(image: &Image) -> Object<'_> {
    let mut object = Object::typed("input_image");
    match &image.source {
        Source::Base64 { media_type, data } => object.put("image_url", data_url(media_type, data)),
        Source::Url(url) => object.put("image_url", url.as_str()),
        Source::File(id) => object.put("file_id", id.as_str()),
        Source::Text { text, .. } => return Object::typed("input_text").with("text", text.as_str()),
    }
    object.put_some("detail", image.detail.as_deref());
    object
}

fn write_document(document: &Document) -> Object<'_> {
    let name = document.name.as_deref();
    let mut object = Object::typed("input_file");
    match &document.source {
        Source::Base64 { media_type, data } => {
            let usual = if media_type == "application/pdf" { "document.pdf" } else { "document.txt" };
            object.put("filename", name.unwrap_or(usual));
            object.put("file_data", data_url(media_type, data));
        }
        // The name goes with the data only: the provider takes it from the address.
        Source::Url(url) => object.put("file_url", url.as_str()),
        Source::File(id) => object.put("file_id", id.as_str()),
        Source::Text { text, .. } => {
            let titled = name.map(|name| format!("{name}\n\n{text}"));
            let text = titled.map_or(Cow::Borrowed(text.as_str()), Cow::Owned);
            return Object::typed("input_text").with("text", text);
        }
    }
    object
}

fn part(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let fields = Fields::of(value, path)?;
    let kind = match fields.peek("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(fields.wrong("type", other, "a string")),
        None => return Err(fields.missing("type", "the kind of content part, such as \"input_text\"")),
    };
    match kind.as_str() {
        "input_text" | "output_text" | "text" => text(fields),
        "refusal" => refusal(fields),
        "input_image" => image(fields),
        "input_file" => document(fields),
        "input_audio" => audio(fields),
        _ => Ok(Part::Opaque { wire: OWN, value: Value::Object(fields.rest()) }),
    }
}

fn text(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    fields.take("type");
    let text = fields.required_text("text")?;
    let annotations = fields.list("annotations")?.unwrap_or_default();
    let citations = annotations.into_iter().map(|one| citation::read(one.into_value())).collect();
    // An answer that is sent back holds an empty list.
    if fields.peek("logprobs") == Some(&Value::Array(Vec::new())) {
        fields.take("logprobs");
    }
    let cache = fields.take("cache_control").map(|raw| CacheMark { raw });
    Ok(Part::Text(Text { text, citations, cache, extra: fields.extra(OWN) }))
}

fn refusal(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let text = fields.required_text("refusal")?;
    let kind = fields.take("type").unwrap_or_default();
    let mut rest = fields.rest();
    if rest.is_empty() {
        return Ok(Part::Refusal(text));
    }
    put_back(&mut rest, [("type", kind), ("refusal", text.into())]);
    Ok(Part::Opaque { wire: OWN, value: Value::Object(rest) })
}

fn image(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    fields.take("type");
    let at = fields.path().field("image_url");
    let source = match fields.text("image_url")? {
        Some(url) => image_source(url, &at)?,
        None => match fields.text("file_id")? {
            Some(id) => Source::File(id),
            None => return Err(fields.missing("image_url", "a URL or a data: URL, or a file_id beside it")),
        },
    };
    // The SDKs make every caller say it; said or not, the provider decides.
    let detail = fields.text("detail")?.filter(|detail| detail != "auto");
    let cache = fields.take("cache_control").map(|raw| CacheMark { raw });
    Ok(Part::Image(Image { source, detail, cache, extra: fields.extra(OWN) }))
}

fn document(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    fields.take("type");
    let name = fields.text("filename")?;
    let at = fields.path().field("file_data");
    let source = if let Some(data) = fields.text("file_data")? {
        document_source(data, name.as_deref(), &at)?
    } else if let Some(url) = fields.text("file_url")? {
        Source::Url(url)
    } else if let Some(id) = fields.text("file_id")? {
        Source::File(id)
    } else {
        return Err(fields.missing("file_data", "a data: URL, or a file_url or file_id beside it"));
    };
    let cache = fields.take("cache_control").map(|raw| CacheMark { raw });
    Ok(Part::Document(Document { source, name, cache, extra: fields.extra(OWN) }))
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
    let kind = fields.take("type").unwrap_or_default();
    let mut rest = fields.rest();
    if rest.is_empty() && inner.rest().is_empty() {
        return Ok(Part::Audio { data, format });
    }
    put_back(&mut rest, [("type", kind), ("input_audio", whole)]);
    Ok(Part::Opaque { wire: OWN, value: Value::Object(rest) })
}

fn put_back<const N: usize>(rest: &mut Map<String, Value>, members: [(&str, Value); N]) {
    for (name, value) in members {
        rest.insert(name.to_owned(), value);
    }
}
