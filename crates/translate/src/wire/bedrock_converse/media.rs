//! Images, documents and audio in this wire's words. Nothing is fetched here: the API takes bytes alone, so
//! a URL that still comes this far is refused.

use std::borrow::Cow;

use super::names::document_name;
use super::types::{NO_TWIN, OWN, document_format, image_format};
use crate::base64;
use crate::ir::{Document, Image, Source};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{Path, write_extra};
use crate::wire::tree::{Node, Object};

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

/// A document block; its name is none of those in `taken`.
pub(super) fn document<'a>(
    document: &'a Document,
    taken: &mut Vec<String>,
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
    let name = document_name(document.name.as_deref(), taken);
    if document.name.as_ref().is_some_and(|given| *given != name) {
        let reason = format!("document names are letters, digits and spaces, each once: {name:?} was sent");
        losses.report(path.field("name").to_string(), reason);
    }
    let (kind, content) = source;
    let mut block = Object::new()
        .with("format", format)
        .with("name", name)
        .with("source", Object::new().with(kind, content));
    write_extra(&mut block, &document.extra, path, OWN, losses);
    Ok(Object::new().with("document", block).into())
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
