//! What several files of this wire read and write alike: the words for media, cache points, and the text
//! of a call's `input` as it was written. No meaning is given to anything here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Wire;
use crate::base64;
use crate::ir::CacheMark;
use crate::loss::Losses;
use crate::wire::fields::Path;
use crate::wire::tree::{Node, Object};

pub(super) const OWN: Wire = Wire::BedrockConverse;

/// Why a field of another wire was left out.
pub(super) const NO_TWIN: &str = "has no counterpart on bedrock_converse";

/// Format words and the media types they stand for; the first of a kind is the one that is written.
const IMAGES: [(&str, &str); 5] = [
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("jpeg", "image/jpg"),
];

const DOCUMENTS: [(&str, &str); 12] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("md", "text/x-markdown"),
    ("csv", "application/csv"),
    ("txt", "application/json"),
];

pub(super) fn image_type(format: &str) -> Option<&'static str> {
    media_type(&IMAGES, format)
}

pub(super) fn image_format(media_type: &str) -> Option<&'static str> {
    format(&IMAGES, media_type)
}

pub(super) fn document_type(format: &str) -> Option<&'static str> {
    media_type(&DOCUMENTS, format)
}

/// Text of any kind is read as plain text.
pub(super) fn document_format(media_type: &str) -> Option<&'static str> {
    format(&DOCUMENTS, media_type).or_else(|| media_type.starts_with("text/").then_some("txt"))
}

fn media_type(table: &[(&'static str, &'static str)], format: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == format).map(|(_, media_type)| *media_type)
}

fn format(table: &[(&'static str, &'static str)], media_type: &str) -> Option<&'static str> {
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    table.iter().find(|(_, known)| known.eq_ignore_ascii_case(bare)).map(|(format, _)| *format)
}

/// A cache point as the pivot's mark; `None` for one that says more than a mark can.
pub(super) fn mark(point: &Value) -> Option<CacheMark> {
    let fields = point.as_object()?;
    let plain = fields.get("type").and_then(Value::as_str) == Some("default")
        && fields.keys().all(|name| name == "type" || name == "ttl");
    let mut raw = Map::new();
    raw.insert("type".to_owned(), "ephemeral".into());
    if let Some(ttl) = fields.get("ttl").filter(|ttl| !ttl.is_null()) {
        raw.insert("ttl".to_owned(), ttl.clone());
    }
    plain.then_some(CacheMark { raw: Value::Object(raw) })
}

/// The inputs of all calls of a request body, in their order, as they were written. `None` when that
/// cannot be told; their values serve then.
pub(super) fn inputs_of_request(body: &[u8]) -> Option<Vec<Option<&str>>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        messages: Vec<Contents<'a>>,
    }
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    Some(body.messages.into_iter().flat_map(Contents::inputs).collect())
}

/// The same of an answer.
pub(super) fn inputs_of_response(body: &[u8]) -> Option<Vec<Option<&str>>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        output: Output<'a>,
    }
    #[derive(Deserialize)]
    struct Output<'a> {
        #[serde(borrow)]
        message: Contents<'a>,
    }
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    Some(body.output.message.inputs().collect())
}

#[derive(Deserialize)]
struct Contents<'a> {
    #[serde(borrow)]
    content: Vec<Content<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "toolUse")]
    call: Option<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl<'a> Contents<'a> {
    fn inputs(self) -> impl Iterator<Item = Option<&'a str>> {
        self.content.into_iter().filter_map(|block| block.call).map(|call| call.input.map(RawValue::get))
    }
}

/// Text of bytes as SDKs read it: base64 with its padding, which is added where it is missing. `None` for
/// what is no base64.
pub(super) fn blob(text: &str) -> Option<Cow<'_, str>> {
    if base64::is_standard(text) {
        return Some(text.into());
    }
    base64::decode(text).map(|bytes| base64::encode(bytes).into())
}

/// As a caller gets it: the bytes are the same, but the text that comes back may not be what a maker of
/// another wire wrote. `None` when it cannot be written; both are reported.
pub(super) fn blob_for_caller<'a>(text: &'a str, path: &str, losses: &mut Losses) -> Option<Cow<'a, str>> {
    let blob = blob(text);
    match &blob {
        None => losses.report(path, "encrypted reasoning must be base64 on bedrock_converse"),
        Some(Cow::Owned(_)) => losses.report(path, "encrypted reasoning was written as padded base64"),
        Some(Cow::Borrowed(_)) => {}
    }
    blob
}

/// A tool call's arguments as an `input` object. A JSON object is spliced in as it stands; no text and `null`
/// are no arguments; anything else is wrapped, because the API takes objects only.
pub(super) fn input<'a>(arguments: &'a str, path: &Path<'_>, losses: &mut Losses) -> Node<'a> {
    if matches!(arguments.trim(), "" | "null") {
        return Object::new().into();
    }
    match serde_json::from_str::<&RawValue>(arguments) {
        Ok(raw) if raw.get().starts_with('{') => Node::Raw(raw),
        _ => {
            let reason = "the arguments are no JSON object and are sent wrapped in `_raw`";
            losses.report(path.field("arguments").to_string(), reason);
            Object::new().with("_raw", arguments).into()
        }
    }
}
