//! What requests and answers of this wire write alike: parts, with the signature on the part it belongs to.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::ir::{Image, Source};
use crate::loss::Losses;
use crate::wire::fields::Path;
use crate::wire::tree::{Node, Object};

/// Why a field of another wire was left out.
pub(super) const NO_COUNTERPART: &str = "has no counterpart on gemini";

/// What becomes of a refusal in an answer.
pub(super) const REFUSAL: &str = "a refusal is told as text on gemini";

/// The parts of one content.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    list: Vec<Node<'a>>,
    /// A signature for the part that comes next.
    pending: Option<Cow<'a, str>>,
}

impl<'a> Parts<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.pending.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// How many there will be, should nothing else come.
    pub(super) fn settled_len(&self) -> usize {
        self.list.len() + usize::from(self.pending.is_some())
    }

    /// Something waits for a part to stand on.
    pub(super) fn is_signed(&self) -> bool {
        self.pending.is_some()
    }

    /// Adds a part; the signature that waited goes on it.
    pub(super) fn push(&mut self, mut part: Object<'a>) {
        if let Some(signature) = self.pending.take() {
            part.set("thoughtSignature", signature);
        }
        self.list.push(part.into());
    }

    /// Adds a part that was carried whole.
    pub(super) fn push_whole(&mut self, part: impl Into<Node<'a>>) {
        self.settle();
        self.list.push(part.into());
    }

    /// The next part is signed with this.
    pub(super) fn sign(&mut self, signature: Cow<'a, str>) {
        self.settle();
        self.pending = Some(signature);
    }

    /// Reasoning. A signature moves on to a call that follows, because calls are checked for theirs.
    pub(super) fn thought(&mut self, text: &'a str, signature: Option<Cow<'a, str>>, call_follows: bool) {
        if !text.is_empty() {
            self.settle();
            let mut part = Object::new().with("text", text).with("thought", true);
            if !call_follows && let Some(signature) = signature {
                part.put("thoughtSignature", signature);
                self.list.push(part.into());
                return;
            }
            self.list.push(part.into());
        }
        if let Some(signature) = signature {
            self.sign(signature);
        }
    }

    /// The part at `index`, to be added to.
    pub(super) fn object_mut(&mut self, index: usize) -> Option<&mut Object<'a>> {
        self.list.get_mut(index).and_then(Node::object_mut)
    }

    /// Takes over all parts of another content.
    pub(super) fn append(&mut self, mut other: Self) {
        self.settle();
        self.list.append(&mut other.list);
        self.pending = other.pending;
    }

    /// The list; a signature without a part behind it stands on an empty text, as the API sends it.
    pub(super) fn into_list(mut self) -> Vec<Node<'a>> {
        self.settle();
        self.list
    }

    /// What was signed does not come.
    pub(super) fn unsign(&mut self) {
        self.pending = None;
    }

    fn settle(&mut self) {
        if let Some(signature) = self.pending.take() {
            self.list.push(Object::new().with("text", "").with("thoughtSignature", signature).into());
        }
    }
}

/// `{"inlineData":{"mimeType","data"}}`, in this order: Vertex insists on it.
pub(super) fn inline<'a>(media_type: impl Into<Node<'a>>, data: &'a str) -> Object<'a> {
    Object::new().with("inlineData", Object::new().with("mimeType", media_type).with("data", data))
}

/// An image of an answer; `None` for one that is not there itself.
pub(super) fn image_part(image: &Image) -> Option<Object<'_>> {
    match &image.source {
        Source::Base64 { media_type, data } => Some(inline(media_type.as_str(), data)),
        _ => None,
    }
}

/// The media type of an audio format's name.
pub(super) fn audio_type(format: &str) -> String {
    if format.contains('/') { format.to_owned() } else { format!("audio/{format}") }
}

/// The name of an audio media type's format.
pub(super) fn audio_format(media_type: &str) -> Option<&str> {
    let format = media_type.strip_prefix("audio/")?;
    Some(match format {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        other => other,
    })
}

/// The arguments of a call in an answer; `None` when they are no whole object. Clients run what they get: a call
/// that was cut off, or never was one, must not look like one.
pub(super) fn whole_args(arguments: &str) -> Option<Node<'_>> {
    if arguments.trim().is_empty() {
        return Some(Object::new().into());
    }
    let raw = serde_json::from_str::<&RawValue>(arguments).ok()?;
    raw.get().starts_with('{').then_some(Node::Raw(raw))
}

/// Why a call of an answer is left out.
pub(super) const CUT_CALL: &str = "the arguments are no whole JSON object: the call was left out";

/// A call's arguments as the object this wire wants. A JSON object is spliced in as it stands; no text is
/// no arguments; anything else is wrapped.
pub(super) fn args<'a>(arguments: &'a str, path: &Path<'_>, losses: &mut Losses) -> Node<'a> {
    if arguments.trim().is_empty() {
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
