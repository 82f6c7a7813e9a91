//! Images and documents: where their bytes are, in this wire's words. Nothing is fetched here.

use serde_json::Value;

use crate::ir::{Document, Image, Source};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::anthropic::Wire;
use crate::wire::anthropic::types::Place;
use crate::wire::anthropic::write::{NO_TWIN, keep_extra};
use crate::wire::retrieved::{Kind, Retrieved, as_text};
use crate::wire::tree::{Node, Object};

/// An image block without its cache mark.
pub(super) fn image<'a>(
    image: &'a Image,
    place: &Place<'_>,
    losses: &mut Losses,
) -> Result<Object<'a>, BadRequest> {
    let source = match &image.source {
        Source::Base64 { media_type, data } => base64(image_type(media_type, place)?, data),
        Source::Url(url) => match data_url(url) {
            Some((media_type, data)) => base64(image_type(media_type, place)?, data),
            None => Object::typed("url").with("url", url.as_str()),
        },
        Source::File(id) => file(id, place)?,
        Source::Text { .. } => return Err(place.bad("expected the bytes of an image, found plain text")),
    };
    if image.detail.is_some() {
        losses.report(place.field("detail").to_string(), NO_TWIN);
    }
    let mut block = Object::typed("image").with("source", source);
    keep_extra(&mut block, &image.extra, place, losses);
    Ok(block)
}

/// A document block without its cache mark.
pub(super) fn document<'a>(
    document: &'a Document,
    place: &Place<'_>,
    losses: &mut Losses,
) -> Result<Object<'a>, BadRequest> {
    let source = match &document.source {
        Source::Base64 { media_type, data } => bytes(media_type, data, place)?,
        Source::Url(url) => match data_url(url) {
            Some((media_type, data)) => bytes(media_type, data, place)?,
            None => Object::typed("url").with("url", url.as_str()),
        },
        Source::File(id) => file(id, place)?,
        Source::Text { media_type, text } => {
            if bare(media_type) != "text/plain" {
                losses.report(place.field("media_type").to_string(), "text documents are sent as text/plain");
            }
            plain(text.as_str().into())
        }
    };
    let mut block = Object::typed("document").with("source", source);
    block.put_some("title", document.name.as_deref());
    match document.extra.for_wire(Wire::BedrockConverse) {
        Some(fields) => {
            // Both wires have these alike.
            for (field, value) in fields {
                match field.as_str() {
                    "context" | "citations" => block.put(field, value),
                    _ => losses.report(place.field(field).to_string(), NO_TWIN),
                }
            }
        }
        None => keep_extra(&mut block, &document.extra, place, losses),
    }
    Ok(block)
}

/// A search result or a document of pieces that another wire has as a block of its own; guarded text as text.
pub(super) fn retrieved<'a>(
    wire: Wire,
    value: &'a Value,
    place: &Place<'_>,
    losses: &mut Losses,
) -> Option<Object<'a>> {
    let found = Retrieved::of(wire, value)?;
    if found.kind == Kind::Guarded {
        let text = as_text(wire, value, &place.to_string(), losses)?;
        return Some(Object::typed("text").with("text", text));
    }
    found.report(&place.to_string(), losses);
    let pieces = found.pieces.iter().filter(|piece| !piece.trim().is_empty());
    let pieces: Vec<Node<'a>> =
        pieces.map(|piece| Object::typed("text").with("text", *piece).into()).collect();
    let mut block = if found.kind == Kind::Document {
        let mut block =
            Object::typed("document").with("source", Object::typed("content").with("content", pieces));
        block.put_some("title", found.title);
        block.put_some("context", found.context);
        block
    } else {
        // Both are required.
        let source = found.source.or(found.title).unwrap_or("search result");
        let title = found.title.unwrap_or(source);
        Object::typed("search_result").with("source", source).with("title", title).with("content", pieces)
    };
    block.put_some("citations", found.citations);
    Some(block)
}

fn base64<'a>(media_type: &'static str, data: &'a str) -> Object<'a> {
    Object::typed("base64").with("media_type", media_type).with("data", data)
}

fn plain(text: std::borrow::Cow<'_, str>) -> Object<'_> {
    Object::typed("text").with("media_type", "text/plain").with("data", text)
}

/// The four image types the API takes, in its spelling.
fn image_type(media_type: &str, place: &Place<'_>) -> Result<&'static str, BadRequest> {
    match bare(media_type).as_str() {
        "image/jpeg" | "image/jpg" => Ok("image/jpeg"),
        "image/png" => Ok("image/png"),
        "image/gif" => Ok("image/gif"),
        "image/webp" => Ok("image/webp"),
        other => Err(place.bad(&format!(
            "expected an image of type image/jpeg, image/png, image/gif or image/webp, found {other:?}"
        ))),
    }
}

/// A document given by its bytes: PDF as it is, text as text.
fn bytes<'a>(media_type: &str, data: &'a str, place: &Place<'_>) -> Result<Object<'a>, BadRequest> {
    let media_type = bare(media_type);
    if media_type == "application/pdf" {
        return Ok(base64("application/pdf", data));
    }
    if media_type.starts_with("text/") || media_type == "application/json" {
        let text = base64_text(data).ok_or_else(|| place.bad("expected base64 of UTF-8 text"))?;
        return Ok(plain(text.into()));
    }
    let expected = "expected a document of type application/pdf or text/plain";
    Err(place.bad(&format!("{expected}, found {media_type:?}")))
}

/// File ids mean nothing to another provider. Those of this API begin with `file_`.
fn file<'a>(id: &'a str, place: &Place<'_>) -> Result<Object<'a>, BadRequest> {
    if id.starts_with("file_") {
        return Ok(Object::typed("file").with("file_id", id));
    }
    Err(place
        .bad(&format!("expected a file id of anthropic (`file_…`), found {id:?}: send the bytes instead")))
}

fn bare(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Media type and base64 text of a `data:` URL.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

/// Text from its base64, standard or URL alphabet, white space allowed.
fn base64_text(data: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in data.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}
