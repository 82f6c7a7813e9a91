//! A relayed request: what routing must know of it, and the few edits it gets.
//!
//! Reads the top level only. What the provider alone understands is not looked at.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use super::edit::{Edits, quoted};
use super::fixes;
use super::members::{Members, slice, stands_twice, string};
use crate::loss::Losses;
use crate::provider::Quirks;
use crate::wire::BadRequest;

#[cfg(test)]
mod tests;

/// What routing needs of a request body, and where it stands. Works for every wire whose body holds
/// `model` and `stream` (OpenAI Chat, embeddings, Anthropic).
#[derive(Debug, Clone)]
pub struct Peek<'a> {
    /// The model as the caller named it.
    pub model: Cow<'a, str>,
    /// The model's value in the body, quotes included.
    pub model_span: Range<usize>,
    pub stream: bool,
    /// `stream_options.include_usage` is true.
    pub include_usage: bool,
    /// The gateway's own field: what to try when the first target fails.
    pub fallbacks: Vec<Fallback>,
    /// `messages` is present and a list.
    pub has_messages: bool,
    /// `input` is present and not null.
    pub has_input: bool,
    /// The top-level spans.
    pub members: Members,
}

impl Peek<'static> {
    /// Of a body that nobody looks into.
    #[must_use]
    pub fn nothing(model: &str) -> Self {
        Self {
            model: Cow::Owned(model.to_owned()),
            model_span: 0..0,
            stream: false,
            include_usage: false,
            fallbacks: Vec::new(),
            has_messages: false,
            has_input: false,
            members: Members::default(),
        }
    }
}

impl Peek<'_> {
    /// The member is there and a list.
    #[must_use]
    pub fn has_list(&self, body: &[u8], name: &str) -> bool {
        self.members.value(body, name).is_some_and(|value| value.starts_with(b"["))
    }

    /// The body itself asks for a stream.
    #[must_use]
    pub fn streams(&self, body: &[u8]) -> bool {
        self.members.value(body, "stream") == Some(b"true")
    }

    /// The same without the borrow of the body.
    #[must_use]
    pub fn into_owned(self) -> Peek<'static> {
        Peek {
            model: Cow::Owned(self.model.into_owned()),
            model_span: self.model_span,
            stream: self.stream,
            include_usage: self.include_usage,
            fallbacks: self.fallbacks,
            has_messages: self.has_messages,
            has_input: self.has_input,
            members: self.members,
        }
    }
}

/// One entry of the request's `fallbacks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// Given only by the object form `{provider, model}`.
    pub provider: Option<String>,
    /// The model; the string form is whole here (`provider/model` or a bare name): which left parts
    /// are providers is routing's to know.
    pub model: String,
}

/// Members the gateway reads or edits: what it acts on must be what the provider will see. Others that
/// stand twice are relayed as they came.
#[derive(Debug, Clone, Copy)]
enum ActedOn {
    Fallbacks,
    Input,
    MaxCompletionTokens,
    MaxTokens,
    Messages,
    Model,
    Stream,
    StreamOptions,
    ToolChoice,
    Tools,
}

impl ActedOn {
    const ALL: usize = 10;

    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"fallbacks" => Self::Fallbacks,
            b"input" => Self::Input,
            b"max_completion_tokens" => Self::MaxCompletionTokens,
            b"max_tokens" => Self::MaxTokens,
            b"messages" => Self::Messages,
            b"model" => Self::Model,
            b"stream" => Self::Stream,
            b"stream_options" => Self::StreamOptions,
            b"tool_choice" => Self::ToolChoice,
            b"tools" => Self::Tools,
            _ => return None,
        })
    }
}

/// Where the values of the members acted on stand, found in one pass.
struct Found<'a> {
    body: &'a [u8],
    spans: [Option<Range<usize>>; ActedOn::ALL],
}

impl<'a> Found<'a> {
    fn read(body: &'a [u8], members: &Members) -> Result<Self, BadRequest> {
        let mut spans = [const { None }; ActedOn::ALL];
        for member in &members.list {
            let key = member.key(body);
            let escaped =
                || key.contains(&b'\\').then(|| ActedOn::of(member.name(body).as_bytes())).flatten();
            let acted_on = ActedOn::of(key).or_else(escaped);
            let Some(slot) = acted_on.and_then(|at| spans.get_mut(at as usize)) else { continue };
            if slot.replace(member.value.clone()).is_some() {
                return Err(stands_twice(&member.name(body)));
            }
        }
        Ok(Self { body, spans })
    }

    fn span(&self, member: ActedOn) -> Option<Range<usize>> {
        self.spans.get(member as usize).cloned().flatten()
    }

    fn value(&self, member: ActedOn) -> Option<&'a [u8]> {
        self.span(member).map(|span| slice(self.body, &span))
    }
}

/// Reads the parts of a body that routing needs, in one pass.
///
/// # Errors
/// [`BadRequest`] when the body is not JSON (with line and column), not an object, has one of the members that the
/// gateway acts on twice, when `model` is missing, empty or no string, `stream` is no boolean, or `fallbacks` is not a
/// list of strings and `{provider, model}` objects.
pub fn peek(body: &[u8]) -> Result<Peek<'_>, BadRequest> {
    let members = Members::read(body)?;
    let found = Found::read(body, &members)?;
    let (model, model_span) = model(&found)?;
    Ok(Peek {
        model,
        model_span,
        stream: stream(found.value(ActedOn::Stream))?,
        include_usage: found.value(ActedOn::StreamOptions).is_some_and(includes_usage),
        fallbacks: fallbacks(found.value(ActedOn::Fallbacks))?,
        has_messages: found.value(ActedOn::Messages).is_some_and(|list| list.starts_with(b"[")),
        has_input: found.value(ActedOn::Input).is_some_and(|input| input != b"null"),
        members,
    })
}

/// The same for a body that holds neither `model` nor `stream`: both are told by the request's path.
///
/// # Errors
/// As [`peek`], for what is read of the body.
pub fn peek_beside<'a>(body: &'a [u8], model: &str, stream: bool) -> Result<Peek<'a>, BadRequest> {
    let members = Members::read(body)?;
    let found = Found::read(body, &members)?;
    Ok(Peek {
        model: Cow::Owned(model.to_owned()),
        model_span: 0..0,
        stream,
        include_usage: false,
        fallbacks: fallbacks(found.value(ActedOn::Fallbacks))?,
        has_messages: found.value(ActedOn::Messages).is_some_and(|list| list.starts_with(b"[")),
        has_input: found.value(ActedOn::Input).is_some_and(|input| input != b"null"),
        members,
    })
}

/// Puts `model` and `stream` into a body whose path told them, and takes out what only a host of Claude wants
/// (`anthropic_version`): a body as the wire itself has it. The caller's other bytes stay.
///
/// # Errors
/// [`BadRequest`] when the body is no JSON object.
pub fn complete(body: &[u8], model: &str, stream: bool) -> Result<Vec<u8>, BadRequest> {
    let members = Members::read(body)?;
    let mut edits = Edits::new(body, &members);
    for name in ["anthropic_version", "model", "stream"] {
        edits.find(name).into_iter().for_each(|at| edits.remove(at));
    }
    edits.add("model", quoted(model));
    if stream {
        edits.add("stream", "true".to_owned());
    }
    Ok(edits.apply().into_owned())
}

/// How a body must differ for its provider.
#[derive(Debug, Clone, Copy)]
pub struct RequestEdits<'a> {
    /// The model as the provider names it.
    pub model: &'a str,
    /// Make `stream_options.include_usage` true (only when streaming, on the OpenAI wire). Without
    /// effect where the provider does not take it ([`Quirks::stream_usage`]).
    pub ask_usage: bool,
    pub quirks: &'a Quirks,
    /// Fields that are the gateway's own (`fallbacks`).
    pub drop: &'a [&'a str],
}

/// The upstream body: borrowed when no edit is needed. `peek` must be of this body.
#[must_use]
pub fn rewrite_request<'a>(
    body: &'a [u8],
    peek: &Peek<'_>,
    edits: &RequestEdits<'_>,
    losses: &mut Losses,
) -> Cow<'a, [u8]> {
    let mut collected = Edits::new(body, &peek.members);
    if !peek.model_span.is_empty() && peek.model != edits.model {
        collected.replace(peek.model_span.clone(), quoted(edits.model).into_bytes());
    }
    for field in edits.drop {
        if let Some(at) = collected.find(field) {
            collected.remove(at);
        }
    }
    fixes::collect(&mut collected, edits.quirks, losses);
    if edits.ask_usage && edits.quirks.stream_usage && !peek.include_usage {
        ask_usage(&mut collected);
    }
    match collected.apply() {
        Cow::Borrowed(_) => Cow::Borrowed(body),
        Cow::Owned(edited) => Cow::Owned(edited),
    }
}

/// Sets `stream_options.include_usage`, whatever stands there; a value that is neither an object nor
/// null stays, for the provider to complain about.
fn ask_usage(edits: &mut Edits<'_>) {
    let Some(at) = edits.find("stream_options") else {
        return edits.add("stream_options", r#"{"include_usage":true}"#.to_owned());
    };
    let value = edits.value(at);
    if value == b"null" {
        return edits.replace_value(at, &br#"{"include_usage":true}"#[..]);
    }
    let Ok(inner) = Members::scan(value) else { return };
    let mut nested = Edits::new(value, &inner);
    match nested.find("include_usage") {
        Some(flag) => nested.replace_value(flag, &b"true"[..]),
        None => nested.add("include_usage", "true".to_owned()),
    }
    let edited = nested.apply().into_owned();
    edits.replace_value(at, edited);
}

fn model<'a>(found: &Found<'a>) -> Result<(Cow<'a, str>, Range<usize>), BadRequest> {
    let Some(span) = found.span(ActedOn::Model) else {
        return Err(BadRequest::at("model", "`model` is missing; the name of a model was expected."));
    };
    match string(slice(found.body, &span)) {
        Some(model) if !model.trim().is_empty() => Ok((model, span)),
        Some(_) => Err(BadRequest::at("model", "`model` is empty; the name of a model was expected.")),
        None => Err(BadRequest::at("model", "`model` must be a string.")),
    }
}

fn stream(value: Option<&[u8]>) -> Result<bool, BadRequest> {
    match value {
        None | Some(b"null" | b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(BadRequest::at("stream", "`stream` must be true or false.")),
    }
}

fn includes_usage(options: &[u8]) -> bool {
    let flag = |members: Members| members.value(options, "include_usage") == Some(b"true");
    Members::scan(options).is_ok_and(flag)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawFallback {
    Name(String),
    Pair { provider: String, model: String },
}

fn fallbacks(value: Option<&[u8]>) -> Result<Vec<Fallback>, BadRequest> {
    let Some(value) = value.filter(|value| *value != b"null") else { return Ok(Vec::new()) };
    let list: Vec<serde_json::Value> = serde_json::from_slice(value)
        .map_err(|_| BadRequest::at("fallbacks", "`fallbacks` must be a list."))?;
    list.into_iter().enumerate().map(|(at, entry)| fallback(at, entry)).collect()
}

fn fallback(at: usize, entry: serde_json::Value) -> Result<Fallback, BadRequest> {
    let read = match serde_json::from_value(entry) {
        Ok(RawFallback::Name(model)) => Some(Fallback { provider: None, model }),
        Ok(RawFallback::Pair { provider, model }) => Some(Fallback { provider: Some(provider), model }),
        Err(_) => None,
    };
    let given = |fallback: &Fallback| {
        let provider = fallback.provider.as_ref().is_none_or(|name| !name.trim().is_empty());
        provider && !fallback.model.trim().is_empty()
    };
    read.filter(given).ok_or_else(|| {
        let path = format!("fallbacks[{at}]");
        let message =
            format!("`{path}` must be a string \"provider/model\" or an object with `provider` and `model`.");
        BadRequest::at(path, message)
    })
}
