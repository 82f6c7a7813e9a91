//! One text of a conversation, for models that take a prompt.
//!
//! The leading system text stands apart. A single turn of the user is the prompt, as it is. Several turns
//! are a transcript: each begins with who speaks (`User: `, `Assistant: `, `System: `, `Tool: `), a blank line
//! is between two, and the last line is `Assistant:`, for the model to go on. When the assistant's own turn
//! stands last the prompt ends with its text, to be continued. Calls, results and images are bracketed words
//! in the turn they belong to; that a model may not take them for what they are is reported.

use std::borrow::Cow;
use std::collections::HashMap;

use super::NO_COUNTERPART;
use crate::Wire;
use crate::ir::{CacheMark, Document, Image, Message, Part, Role, Source, ToolResult};
use crate::loss::Losses;
use crate::provider::{ImageInput, InputNames};
use crate::wire::BadRequest;
use crate::wire::fields::{Path, lose_extra};

/// Claude Code's first system line: it changes per session, and means nothing to other providers.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// A conversation as one model takes it.
#[derive(Debug, Default)]
pub(super) struct Told<'m> {
    /// What was said before the first turn; may be empty.
    pub system: String,
    pub prompt: String,
    /// URLs and data URIs, in their order; at most one where the model takes one.
    pub images: Vec<Cow<'m, str>>,
}

impl Told<'_> {
    /// Adds a paragraph to the system text.
    pub(super) fn add_system(&mut self, words: String) {
        if self.system.is_empty() {
            self.system = words;
        } else {
            self.system.push_str("\n\n");
            self.system.push_str(&words);
        }
    }
}

/// Makes the text.
///
/// # Errors
/// [`BadRequest`] for what cannot be said in words: audio, an image where the model takes none, a document
/// that is no text.
pub(super) fn of<'m>(
    messages: &'m [Message],
    names: &InputNames,
    losses: &mut Losses,
) -> Result<Told<'m>, BadRequest> {
    let mut scribe = Scribe {
        sees: names.images.is_some(),
        losses,
        turns: Vec::new(),
        images: Vec::new(),
        calls: HashMap::new(),
    };
    let at = Path::Body.field("messages");
    for (index, message) in messages.iter().enumerate() {
        scribe.message(message, &at.item(index))?;
    }
    Ok(scribe.told(matches!(names.images, Some(ImageInput::One(_)))))
}

/// A piece of a turn.
enum Piece<'m> {
    Text(Cow<'m, str>),
    /// The image of that number.
    Image(usize),
}

struct Turn<'m> {
    role: Role,
    pieces: Vec<Piece<'m>>,
}

struct Scribe<'l, 'm> {
    sees: bool,
    losses: &'l mut Losses,
    turns: Vec<Turn<'m>>,
    /// Where each stood, and what it is.
    images: Vec<(String, Cow<'m, str>)>,
    /// Names of the calls so far, by their ids.
    calls: HashMap<&'m str, &'m str>,
}

impl<'m> Scribe<'_, 'm> {
    fn message(&mut self, message: &'m Message, path: &Path<'_>) -> Result<(), BadRequest> {
        if message.name.is_some() && message.role != Role::Tool {
            self.losses.report(path.field("name").to_string(), NO_COUNTERPART);
        }
        lose_extra(&message.extra, path, Wire::Replicate, self.losses);
        let inside = path.field("content");
        let role = if message.role == Role::Developer { Role::System } else { message.role };
        let mut pieces = Vec::with_capacity(message.parts.len());
        for (index, part) in message.parts.iter().enumerate() {
            let at = inside.item(index);
            match part {
                Part::ToolResult(result) => {
                    let answered = self.result(result, &at)?;
                    self.turns.push(Turn { role: Role::Tool, pieces: answered });
                }
                Part::Text(text) if role == Role::System && text.text.starts_with(BILLING_HEADER) => {
                    let reason = "Anthropic's billing line is of no use to this provider";
                    self.losses.report(at.to_string(), reason);
                }
                _ => pieces.extend(self.piece(part, &at)?),
            }
        }
        if !pieces.is_empty() {
            self.turns.push(Turn { role, pieces });
        }
        Ok(())
    }

    /// One part in words; `None` when it cannot go.
    fn piece(&mut self, part: &'m Part, path: &Path<'_>) -> Result<Option<Piece<'m>>, BadRequest> {
        Ok(Some(match part {
            Part::Text(text) => {
                self.lose_mark(text.cache.as_ref(), path);
                lose_extra(&text.extra, path, Wire::Replicate, self.losses);
                if !text.citations.is_empty() {
                    self.losses.report(path.field("citations").to_string(), NO_COUNTERPART);
                }
                Piece::Text(Cow::Borrowed(&text.text))
            }
            Part::Refusal(text) => Piece::Text(Cow::Borrowed(text)),
            Part::Image(image) => self.image(image, path)?,
            Part::Document(document) => self.document(document, path)?,
            Part::Audio { .. } => {
                let message = format!("`{path}` is audio, which this provider cannot hear");
                return Err(BadRequest::at(path.to_string(), message));
            }
            Part::ToolCall(call) => {
                self.lose_mark(call.cache.as_ref(), path);
                lose_extra(&call.extra, path, Wire::Replicate, self.losses);
                self.calls.insert(&call.id, &call.name);
                self.losses.report(path.to_string(), "a tool call is told to this model in words");
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                Piece::Text(format!("[called {} with {arguments}]", call.name).into())
            }
            Part::Thinking(thinking) => {
                if !thinking.text.is_empty() || thinking.signature.is_some() {
                    let reason = "reasoning of earlier turns cannot be sent to this model";
                    self.losses.report(path.to_string(), reason);
                }
                return Ok(None);
            }
            Part::RedactedThinking { .. } => {
                self.losses.report(path.to_string(), "encrypted reasoning cannot be sent to this provider");
                return Ok(None);
            }
            Part::Opaque { value, .. } => {
                let kind = value.get("type").and_then(serde_json::Value::as_str).unwrap_or("unknown");
                self.losses.report(path.to_string(), format!("a part of type {kind:?} {NO_COUNTERPART}"));
                return Ok(None);
            }
            Part::ToolResult(_) => {
                self.losses.report(path.to_string(), "has no place in a part of this kind");
                return Ok(None);
            }
        }))
    }

    fn result(&mut self, result: &'m ToolResult, path: &Path<'_>) -> Result<Vec<Piece<'m>>, BadRequest> {
        self.lose_mark(result.cache.as_ref(), path);
        lose_extra(&result.extra, path, Wire::Replicate, self.losses);
        self.losses.report(path.to_string(), "a tool result is told to this model in words");
        let name = self.calls.get(result.call_id.as_str()).copied().unwrap_or("a tool");
        let word = if result.is_error == Some(true) { "error" } else { "result" };
        let mut pieces = vec![Piece::Text(format!("[{word} of {name}]").into())];
        let inside = path.field("content");
        for (index, part) in result.parts.iter().enumerate() {
            pieces.extend(self.piece(part, &inside.item(index))?);
        }
        Ok(pieces)
    }

    fn image(&mut self, image: &'m Image, path: &Path<'_>) -> Result<Piece<'m>, BadRequest> {
        self.lose_mark(image.cache.as_ref(), path);
        lose_extra(&image.extra, path, Wire::Replicate, self.losses);
        let url = match &image.source {
            Source::Text { text, .. } => return Ok(Piece::Text(Cow::Borrowed(text))),
            Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}").into(),
            Source::Url(url) => Cow::Borrowed(url.as_str()),
            Source::File(id) => {
                let known = "which this provider cannot read: send a URL or base64";
                let message = format!("`{path}` is the image file {id:?}, {known}");
                return Err(BadRequest::at(path.to_string(), message));
            }
        };
        if !self.sees {
            let message = format!("`{path}` is an image, which this model cannot see");
            return Err(BadRequest::at(path.to_string(), message));
        }
        if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.report(path.field("detail").to_string(), NO_COUNTERPART);
        }
        self.images.push((path.to_string(), url));
        Ok(Piece::Image(self.images.len() - 1))
    }

    fn document(&mut self, document: &'m Document, path: &Path<'_>) -> Result<Piece<'m>, BadRequest> {
        self.lose_mark(document.cache.as_ref(), path);
        lose_extra(&document.extra, path, Wire::Replicate, self.losses);
        let Some(text) = document_text(&document.source) else {
            let message = format!("`{path}` is a document that is no text, which this provider cannot read");
            return Err(BadRequest::at(path.to_string(), message));
        };
        let name = document.name.as_deref().unwrap_or("document");
        Ok(Piece::Text(format!("[{name}]\n{text}\n[end of {name}]").into()))
    }

    fn lose_mark(&mut self, mark: Option<&CacheMark>, path: &Path<'_>) {
        if mark.is_some() {
            let at = path.field("cache_control").to_string();
            self.losses.report(at, "this provider takes no cache marks");
        }
    }

    /// With `one` the last image goes: it is what is being talked about.
    fn told(self, one: bool) -> Told<'m> {
        let left_out = if one { self.images.len().saturating_sub(1) } else { 0 };
        let leading = self.turns.iter().take_while(|turn| turn.role == Role::System).count();
        let mut told = Told::default();
        let (system, turns) = self.turns.split_at_checked(leading).unwrap_or_default();
        for turn in system {
            told.add_system(words(turn, usize::MAX));
        }
        told.prompt = match turns {
            [] => String::new(),
            [only] if only.role == Role::User => words(only, usize::MAX),
            turns => transcript(turns, left_out),
        };
        for (index, (path, url)) in self.images.into_iter().enumerate() {
            if index < left_out {
                self.losses.report(path, "this model takes one image: the last one was sent");
            } else {
                told.images.push(url);
            }
        }
        told
    }
}

fn transcript(turns: &[Turn<'_>], images_from: usize) -> String {
    let mut out = String::new();
    for turn in turns {
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(match turn.role {
            Role::System | Role::Developer => "System: ",
            Role::User => "User: ",
            Role::Assistant => "Assistant: ",
            Role::Tool => "Tool: ",
        });
        out.push_str(&words(turn, images_from));
    }
    if turns.last().is_some_and(|turn| turn.role != Role::Assistant) {
        out.push_str("\n\nAssistant:");
    }
    out
}

/// The pieces, one below the other. Images below `images_from` are not told of.
fn words(turn: &Turn<'_>, images_from: usize) -> String {
    let texts = turn.pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_ref()),
        Piece::Image(number) if *number >= images_from => Some("[image]"),
        Piece::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn document_text(source: &Source) -> Option<Cow<'_, str>> {
    match source {
        Source::Text { text, .. } => Some(text.into()),
        Source::Base64 { media_type, data }
            if media_type.starts_with("text/") || media_type == "application/json" =>
        {
            String::from_utf8(crate::base64::decode(data)?).ok().map(Cow::from)
        }
        _ => None,
    }
}
