//! Images, documents and audio in this wire's words. Nothing is fetched here: the API takes bytes alone, so
//! a URL that still comes this far is refused.

use std::borrow::Cow;

use serde_json::Value;

use super::family::Family;
use super::names::DocumentNames;
use super::types::{NO_TWIN, OWN, document_format, image_format};
use crate::Wire;
use crate::base64;
use crate::ir::{Document, Image, Source};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{Path, lose_extra, write_extra};
use crate::wire::retrieved::{Kind, Retrieved, as_text};
use crate::wire::tree::{Node, Object};

/// The documents of one request.
#[derive(Debug)]
pub(super) struct Documents {
    names: DocumentNames,
    /// The model cites what it is given, and takes search results.
    cites: bool,
}

impl Documents {
    pub(super) fn new(family: Family) -> Self {
        Self { names: DocumentNames::default(), cites: family.cites() }
    }
}

/// An image block.
pub(super) fn image<'a>(
    image: &'a Image,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Result<Node<'a>, BadRequest> {
    let (media_type, data) = match &image.source {
        Source::Base64 { media_type, data } => (media_type.as_str(), data.as_str()),
        Source::Url(url) => data_url(url).ok_or_else(|| a_url(path))?,
        Source::File(id) => return Err(a_file(id, path)),
        Source::Text { .. } => return Err(refused(path, "is plain text, expected the bytes of an image")),
    };
    let format = image_format(media_type).ok_or_else(|| {
        refused(path, &format!("is an image of type {media_type:?}, expected png, jpeg, gif or webp"))
    })?;
    if image.detail.is_some() {
        losses.report(path.field("detail").to_string(), NO_TWIN);
    }
    let mut block = Object::new().with("format", format).with("source", Object::new().with("bytes", data));
    write_extra(&mut block, &image.extra, path, OWN, losses);
    Ok(Object::new().with("image", block).into())
}

/// A document block; its name is none of those before it.
pub(super) fn document<'a>(
    document: &'a Document,
    documents: &mut Documents,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Result<Node<'a>, BadRequest> {
    let own = document.extra.for_wire(OWN).is_some();
    let (media_type, source) = match &document.source {
        Source::Base64 { media_type, data } => (media_type.as_str(), ("bytes", Cow::Borrowed(data.as_str()))),
        Source::Url(url) => {
            let (media_type, data) = data_url(url).ok_or_else(|| a_url(path))?;
            (media_type, ("bytes", Cow::Borrowed(data)))
        }
        Source::File(id) => return Err(a_file(id, path)),
        // Cited documents may be given as text; bytes are what every model takes.
        Source::Text { media_type, text } if own => {
            (media_type.as_str(), ("text", Cow::Borrowed(text.as_str())))
        }
        Source::Text { media_type, text } => {
            (media_type.as_str(), ("bytes", Cow::Owned(base64::encode(text))))
        }
    };
    let expected = "expected pdf, csv, doc, docx, xls, xlsx, html, txt or md";
    let format = document_format(media_type)
        .ok_or_else(|| refused(path, &format!("is a document of type {media_type:?}, {expected}")))?;
    let name = documents.names.next(document.name.as_deref());
    if document.name.as_ref().is_some_and(|given| *given != name) {
        let reason = format!("document names are letters, digits and spaces, each once: {name:?} was sent");
        losses.report(path.field("name").to_string(), reason);
    }
    let (kind, content) = source;
    let mut block = Object::new()
        .with("format", format)
        .with("name", name)
        .with("source", Object::new().with(kind, content));
    match document.extra.for_wire(Wire::Anthropic).filter(|_| documents.cites) {
        Some(fields) => {
            // Both wires have these alike.
            for (field, value) in fields {
                match field.as_str() {
                    "context" | "citations" => block.put(field, value),
                    _ => losses.report(path.field(field).to_string(), NO_TWIN),
                }
            }
        }
        None if document.extra.for_wire(OWN).is_none() => lose_extra(&document.extra, path, OWN, losses),
        None => write_extra(&mut block, &document.extra, path, OWN, losses),
    }
    Ok(Object::new().with("document", block).into())
}

/// A search result or a document of pieces that another wire has as a block of its own; text where this model
/// knows no such blocks, which is told as the kind `Guarded`.
pub(super) fn retrieved<'a>(
    wire: Wire,
    value: &'a Value,
    documents: &mut Documents,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Option<(Kind, Node<'a>)> {
    let found = Retrieved::of(wire, value).filter(|found| documents.cites && found.kind != Kind::Guarded);
    let Some(found) = found else {
        let text = as_text(wire, value, &path.to_string(), losses)?;
        return Some((Kind::Guarded, Object::new().with("text", text).into()));
    };
    found.report(&path.to_string(), losses);
    let pieces = found.pieces.iter().filter(|piece| !piece.trim().is_empty());
    let pieces: Vec<Node<'a>> = pieces.map(|piece| Object::new().with("text", *piece).into()).collect();
    let mut block = Object::new();
    let name = if found.kind == Kind::Document {
        block.put("name", documents.names.next(found.title));
        block.put("source", Object::new().with("content", pieces));
        block.put_some("context", found.context);
        "document"
    } else {
        // Both are required.
        let source = found.source.or(found.title).unwrap_or("search result");
        block.put("source", source);
        block.put("title", found.title.unwrap_or(source));
        block.put("content", pieces);
        "searchResult"
    };
    block.put_some("citations", found.citations);
    Some((found.kind, Object::new().with(name, block).into()))
}

/// An audio block.
pub(super) fn audio<'a>(data: &'a str, format: &'a str) -> Node<'a> {
    let block = Object::new().with("format", format).with("source", Object::new().with("bytes", data));
    Object::new().with("audio", block).into()
}

/// A complaint about the part at `path`.
pub(super) fn refused(path: &Path<'_>, complaint: &str) -> BadRequest {
    BadRequest::at(path.to_string(), format!("`{path}` {complaint}"))
}

fn a_url(path: &Path<'_>) -> BadRequest {
    refused(path, "is a URL, expected bytes: bedrock_converse takes no URLs")
}

fn a_file(id: &str, path: &Path<'_>) -> BadRequest {
    refused(
        path,
        &format!("is the file id {id:?}, expected bytes: file ids mean nothing to bedrock_converse"),
    )
}

/// Media type and base64 text of a `data:` URL.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}
