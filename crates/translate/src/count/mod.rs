//! Token counts: how long a request is, before it is sent.
//!
//! A caller's question holds a chat request in its dialect; it is read by that dialect's own codec, written by
//! the codec of the provider, and put into the envelope in which the provider's counting endpoint takes it
//! ([`Format`]). What has no say in a count (sampling, limits, streaming, accounts) is taken off: the endpoints
//! refuse it. Where a provider counts nothing, [`estimate`] does.

mod anthropic;
mod bedrock;
mod estimate;
mod gemini;
mod openai;
mod text;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

pub use estimate::estimate;

use crate::Wire;
use crate::ir::{Extra, Failure, FailureKind, Part, Request, Sampling};
use crate::loss::Losses;
use crate::provider::Destination;
use crate::relay::{Members, apply_quirks, keep, without_unasked};
use crate::wire::Dialect;
use crate::wire::openai_responses::OpenAiResponses;
use crate::wire::tree::{Object, to_bytes};
use crate::wire::{BadRequest, BadResponse, Codec, failure_shapes, json};

/// The forms in which providers are asked for a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Anthropic `/v1/messages/count_tokens`, also at other hosts of Claude.
    Anthropic,
    /// Bedrock `/model/{model}/count-tokens` around a Converse request.
    BedrockConverse,
    /// The same around the body of `InvokeModel`, which for Claude is Anthropic's.
    BedrockInvoke,
    /// Gemini `models/{model}:countTokens`: the whole request in `generateContentRequest`.
    Gemini,
    /// OpenAI `/v1/responses/input_tokens`.
    OpenAiResponses,
    /// Vertex `models/{model}:countTokens`: the request's own members side by side.
    Vertex,
}

impl Format {
    /// Every format, in alphabetical order.
    pub const ALL: [Self; 6] = [
        Self::Anthropic,
        Self::BedrockConverse,
        Self::BedrockInvoke,
        Self::Gemini,
        Self::OpenAiResponses,
        Self::Vertex,
    ];

    /// The wire of the provider's errors.
    #[must_use]
    pub fn wire(self) -> Wire {
        match self {
            Self::Anthropic => Wire::Anthropic,
            Self::BedrockConverse | Self::BedrockInvoke => Wire::BedrockConverse,
            Self::Gemini | Self::Vertex => Wire::Gemini,
            Self::OpenAiResponses => Wire::OpenAiResponses,
        }
    }

    /// The usual format of a provider's wire; `None` when the wire has none.
    #[must_use]
    pub fn of(wire: Wire) -> Option<Self> {
        match wire {
            Wire::Anthropic => Some(Self::Anthropic),
            Wire::BedrockConverse => Some(Self::BedrockConverse),
            Wire::Gemini => Some(Self::Gemini),
            Wire::OpenAiChat | Wire::OpenAiResponses => Some(Self::OpenAiResponses),
            Wire::Cohere | Wire::Replicate => None,
        }
    }

    /// The model as the endpoint names it.
    #[must_use]
    pub fn model(self, model: &str) -> &str {
        match self {
            Self::BedrockConverse | Self::BedrockInvoke => bedrock::without_profile(model),
            _ => model,
        }
    }

    /// The codec that writes what the envelope holds.
    fn codec(self) -> &'static dyn Codec {
        match self {
            Self::BedrockInvoke => Wire::Anthropic.codec(),
            other => other.wire().codec(),
        }
    }

    /// What of a request the endpoint takes.
    fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Anthropic => &anthropic::TAKES,
            Self::BedrockConverse => &bedrock::TAKES,
            Self::BedrockInvoke => &bedrock::INVOKE_TAKES,
            Self::Gemini => &gemini::TAKES,
            Self::OpenAiResponses => &openai::TAKES,
            Self::Vertex => &gemini::VERTEX_TAKES,
        }
    }
}

/// What a provider counted, or [`estimate`] made up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    pub input_tokens: u64,
    /// Those among them that the provider keeps in a cache.
    pub cached_tokens: Option<u64>,
    /// The same tokens by kind (`TEXT`, `IMAGE`, …), where that is known.
    pub by_modality: Vec<(Cow<'static, str>, u64)>,
    pub extra: Extra,
}

/// Reads a caller's question in `dialect` as the chat request that is to be counted.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the dialect has it; always for the dialects in
/// which nobody asks for counts.
pub fn decode_request(dialect: Wire, body: &[u8]) -> Result<Request, BadRequest> {
    let mut request = match dialect {
        Wire::Anthropic => anthropic::decode_request(body)?,
        Wire::BedrockConverse => bedrock::decode_request(body)?,
        Wire::Gemini => gemini::decode_request(body)?,
        Wire::OpenAiResponses => OpenAiResponses.decode_request(body)?,
        Wire::Cohere | Wire::OpenAiChat | Wire::Replicate => {
            return Err(BadRequest::at("", "tokens are not counted in this dialect"));
        }
    };
    request.max_tokens = None;
    request.sampling = Sampling::default();
    request.stop.clear();
    request.stream = false;
    request.user = None;
    request.metadata = None;
    request.service_tier = None;
    Ok(request)
}

/// Whether a caller's bytes can go to `format` as they are.
#[must_use]
pub fn is_relayed(dialect: Wire, format: Format, body: &[u8]) -> bool {
    match (dialect, format) {
        (Wire::Gemini, Format::Gemini) => gemini::is_of_the_api(body),
        (Wire::Gemini, Format::Vertex) => !gemini::is_wrapped(body),
        (_, Format::BedrockInvoke) => false,
        _ => dialect == format.wire(),
    }
}

/// Writes the question for `to`, in the provider's envelope, its quirks included.
///
/// # Errors
/// [`BadRequest`] when the request has no meaning at all on the provider's wire.
pub fn encode_request(
    format: Format,
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let body = format.codec().encode_request(request, to, losses)?;
    let body = keep(body, format.takes(), |name| {
        // What encoders write by themselves says nothing of the caller's.
        if !["include", "max_tokens", "store"].contains(&name) {
            losses.report(name, "the provider's counting endpoint does not take it");
        }
    });
    let body = apply_quirks(body, to.quirks, losses);
    // Behind the envelope nobody could read what it holds. Betas are named in the body here, or not at all.
    let body = without_unasked(&body, "", to.quirks, losses).unwrap_or(body);
    Ok(match format {
        Format::Anthropic | Format::OpenAiResponses | Format::Vertex => body,
        Format::BedrockConverse => bedrock::around_converse(&body),
        Format::BedrockInvoke => bedrock::around_invoke(&body),
        Format::Gemini => gemini::wrapped(&body, to.model),
    })
}

/// Reads a provider's answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error object, or holds no count.
pub fn decode_response(format: Format, body: &[u8]) -> Result<Counted, BadResponse> {
    let value: Value = json::read(body).map_err(|error| BadResponse::NotJson(error.to_string()))?;
    let read = match value {
        Value::Object(mut members) => match format {
            Format::Anthropic => plain(&mut members, "input_tokens"),
            Format::OpenAiResponses => {
                members.shift_remove("object");
                plain(&mut members, "input_tokens")
            }
            Format::BedrockConverse | Format::BedrockInvoke => plain(&mut members, "inputTokens"),
            Format::Gemini | Format::Vertex => gemini::decode_response(&mut members),
        }
        .map(|counted| Counted { extra: Extra::of(format.wire(), members), ..counted }),
        _ => None,
    };
    read.ok_or_else(|| match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it holds no count of tokens".to_owned()),
    })
}

/// Writes the answer for the caller who sent `request` in `dialect`.
pub fn encode_response(dialect: Wire, counted: &Counted, request: &Request, losses: &mut Losses) -> Vec<u8> {
    let count = counted.input_tokens;
    let mut body = match dialect {
        Wire::Anthropic => Object::new().with("input_tokens", count),
        Wire::BedrockConverse => Object::new().with("inputTokens", count),
        Wire::Gemini => gemini::answer(counted, is_text(request)),
        Wire::Cohere | Wire::OpenAiChat | Wire::OpenAiResponses | Wire::Replicate => {
            Object::new().with("object", "response.input_tokens").with("input_tokens", count)
        }
    };
    match counted.extra.for_wire(dialect) {
        Some(own) => body.adopt(own),
        None => counted.extra.names().into_iter().for_each(|name| {
            losses.report(name, format!("has no counterpart on {}", dialect.name()));
        }),
    }
    to_bytes(&body)
}

/// A refusal that says that tokens are not counted at all: no such path, not for this model, not for such parts.
#[must_use]
pub fn is_unsupported(failure: &Failure) -> bool {
    // Bedrock, of newer models and of documents.
    const WORDS: [&str; 2] = ["support counting tokens", "supported for token counting"];
    matches!(failure.status, 405 | 501)
        || failure.kind == FailureKind::NotFound
        || WORDS.iter().any(|words| failure.message.contains(words))
}

/// An answer that is one number.
fn plain(members: &mut serde_json::Map<String, Value>, name: &str) -> Option<Counted> {
    let input_tokens = number(&members.shift_remove(name)?)?;
    Some(Counted { input_tokens, ..Counted::default() })
}

/// A count, which some write as a float.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|count| *count >= 0.0).map(|count| count as u64))
}

/// Nothing but words is in it: no image, no sound, no document.
fn is_text(request: &Request) -> bool {
    fn plain(part: &Part) -> bool {
        match part {
            Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::Opaque { .. } => false,
            Part::ToolResult(result) => result.parts.iter().all(plain),
            _ => true,
        }
    }
    request.messages.iter().flat_map(|message| &message.parts).all(plain)
}

/// The object that a member holds; `None` when it is not there, or null.
fn object_in<'a>(
    body: &'a [u8],
    members: &Members,
    name: &str,
    path: &str,
) -> Result<Option<&'a [u8]>, BadRequest> {
    match members.value(body, name).map(<[u8]>::trim_ascii) {
        None | Some(b"null") => Ok(None),
        Some(value) if value.starts_with(b"{") => Ok(Some(value)),
        Some(_) => Err(BadRequest::at(path, format!("`{path}` has the wrong type, expected an object"))),
    }
}

/// A complaint about what stands below `prefix` of the caller's body.
fn below(prefix: &str, bad: BadRequest) -> BadRequest {
    if bad.path.is_empty() {
        return BadRequest::at(prefix, format!("`{prefix}`: {}", bad.message));
    }
    let path = format!("{prefix}.{}", bad.path);
    // Some codecs begin with the place, others quote it.
    let message = match bad.message.strip_prefix(&bad.path) {
        Some(rest) => format!("{path}{rest}"),
        None => bad.message.replacen(&format!("`{}`", bad.path), &format!("`{path}`"), 1),
    };
    BadRequest { path, message }
}
