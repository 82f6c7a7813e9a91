//! Writes images, documents and sound. The wire reads bytes in the request, files that were uploaded to the
//! same provider, and a few kinds of addresses; everything else must be fetched before.

use std::borrow::Cow;

use crate::ir::{Document, Extra, Image, Source};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{Path, write_extra};
use crate::wire::gemini::Wire;
use crate::wire::gemini::parts::{FILES, media_type_of};
use crate::wire::gemini::write::{NO_COUNTERPART, inline};
use crate::wire::tree::Object;

/// Addresses that mean something to the provider alone, or that only it can read: buckets, uploaded files,
/// videos. They go as they are.
#[must_use]
pub fn takes_url(url: &str) -> bool {
    const VIDEOS: [&str; 3] =
        ["https://www.youtube.com/watch", "https://youtu.be/", "https://youtube.com/watch"];
    url.starts_with("gs://") || url.starts_with(FILES) || VIDEOS.iter().any(|start| url.starts_with(start))
}

/// An image part.
pub(super) fn image<'a>(
    image: &'a Image,
    at: &Path<'_>,
    losses: &mut Losses,
) -> Result<Object<'a>, BadRequest> {
    if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
        losses.report(at.field("detail").to_string(), NO_COUNTERPART);
    }
    let mut part = source(&image.source, given_type(&image.extra), at)?;
    write_extra(&mut part, &image.extra, at, Wire::Gemini, losses);
    Ok(part)
}

/// A document part. A name has its place beside bytes only.
pub(super) fn document<'a>(
    document: &'a Document,
    at: &Path<'_>,
    losses: &mut Losses,
) -> Result<Object<'a>, BadRequest> {
    let mut part = match (&document.source, document.name.as_deref()) {
        (Source::Text { text, .. }, Some(name)) => Object::new().with("text", format!("{name}\n\n{text}")),
        (source_of, name) => {
            let part = source(source_of, given_type(&document.extra), at)?;
            if name.is_some() {
                losses.report(at.field("filename").to_string(), NO_COUNTERPART);
            }
            part
        }
    };
    write_extra(&mut part, &document.extra, at, Wire::Gemini, losses);
    Ok(part)
}

/// The media type that the caller gave beside an address.
fn given_type(extra: &Extra) -> Option<&str> {
    extra.for_wire(Wire::Gemini)?.get("fileData")?.get("mimeType")?.as_str()
}

fn source<'a>(source: &'a Source, given: Option<&'a str>, at: &Path<'_>) -> Result<Object<'a>, BadRequest> {
    let uri: Cow<'a, str> = match source {
        Source::Base64 { media_type, data } => return Ok(inline(media_type.as_str(), data)),
        Source::Text { text, .. } => return Ok(Object::new().with("text", text.as_str())),
        Source::Url(url) if takes_url(url) => url.into(),
        Source::Url(url) => {
            let message =
                format!("`{at}` is at {url:?}, which this provider does not fetch: send it as base64");
            return Err(BadRequest::at(at.to_string(), message));
        }
        Source::File(id) if id.contains("://") => id.into(),
        Source::File(id) if id.starts_with("files/") => format!("{FILES}v1beta/{id}").into(),
        Source::File(id) => {
            let message =
                format!("`{at}` is the file {id:?}, which this provider does not know: send it as base64");
            return Err(BadRequest::at(at.to_string(), message));
        }
    };
    let mut file = Object::new();
    // Before the address: Vertex insists on the order.
    file.put_some("mimeType", given.or_else(|| media_type_of(&uri)));
    Ok(Object::new().with("fileData", file.with("fileUri", uri)))
}
