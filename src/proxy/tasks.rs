//! Embeddings, reranking, token counts: one question, one answer, no stream. The same two ways as chat: bytes relayed
//! where the provider takes the caller's format, else translated.

use std::sync::Arc;

use bytes::Bytes;
use translate::count;
use translate::embed;
use translate::loss::Losses;
use translate::relay::{RequestEdits, rename_models, rewrite_request};
use translate::rerank;
use translate::wire::{BadRequest, BadResponse, Echo, Observation};
use translate::{Wire, ir::Usage};

use super::attempt::Upstream;
use super::exchange::Call;
use crate::config::snapshot::Provider;
use crate::upstream::target::Target;

/// A decoded question, kept for the answer's form.
pub enum Task {
    Embed(Box<embed::Request>),
    Rerank(Box<rerank::Request>),
}

/// The provider's format of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Count(count::Format),
    Embed(embed::Format),
    Rerank(rerank::Format),
}

/// The question for an embedding as this provider takes it.
///
/// # Errors
/// It has no meaning there, or is wrong.
pub fn embed(
    call: &mut Call,
    provider: &Provider,
    model: &Arc<str>,
    mut target: Target,
) -> Result<Upstream, BadRequest> {
    let asked = asked_embedding(call);
    let single = asked == embed::Format::GeminiEmbedContent;
    let format = embed::Format::of(provider.wire, provider.spec.embeddings_format, model, single);
    if format == embed::Format::GeminiEmbedContent {
        let path = target.path.replacen(":batchEmbedContents", ":embedContent", 1);
        target.path = path.replacen(":predict", ":embedContent", 1).into();
        target.fixed = false;
    }
    let kind = Format::Embed(format);
    if format == asked {
        return Ok(relayed(call, model, target, kind));
    }
    if !matches!(call.task, Some(Task::Embed(_))) {
        call.peek.members.refuse_duplicates(&call.body, None)?;
        call.task = Some(Task::Embed(Box::new(embed::decode_request(asked, &call.body)?)));
    }
    let Some(Task::Embed(request)) = &call.task else {
        return Err(BadRequest::at("", "the request could not be read"));
    };
    let mut losses = Losses::default();
    let body = embed::encode_request(format, request, model, &mut losses)?;
    Ok(made(body, losses, target, kind))
}

/// The question for a ranking as this provider takes it.
///
/// # Errors
/// As [`embed`].
pub fn rerank(
    call: &mut Call,
    provider: &Provider,
    model: &str,
    target: Target,
) -> Result<Upstream, BadRequest> {
    let format = rerank::Format::of(provider.wire, provider.spec.name);
    let kind = Format::Rerank(format);
    let asked = asked_ranking(call);
    if format == asked {
        return Ok(relayed(call, model, target, kind));
    }
    if !matches!(call.task, Some(Task::Rerank(_))) {
        call.peek.members.refuse_duplicates(&call.body, None)?;
        let request = rerank::decode_request(asked, &call.body)?;
        call.task = Some(Task::Rerank(Box::new(request)));
    }
    let Some(Task::Rerank(request)) = &call.task else {
        return Err(BadRequest::at("", "the request could not be read"));
    };
    let mut losses = Losses::default();
    let body = rerank::encode_request(format, request, model, &mut losses)?;
    Ok(made(body, losses, target, kind))
}

/// Checks the provider's answer, and translates it where the formats differ.
///
/// # Errors
/// It is no answer.
pub fn answer(
    call: &Call,
    (format, relay): (Format, bool),
    body: Bytes,
    echo: &Echo,
    losses: &mut Losses,
) -> Result<(Bytes, Observation), BadResponse> {
    match (format, &call.task) {
        (Format::Count(format), _) => {
            let counted = count::decode_response(format, &body)?;
            let request = call.decoded.as_ref().filter(|_| !relay);
            let out = request.map(|request| {
                count::encode_response(call.endpoint.dialect, &counted, request, losses).into()
            });
            Ok((out.unwrap_or(body), seen(None)))
        }
        (Format::Embed(format), Some(Task::Embed(request))) if !relay => {
            let answer = embed::decode_response(format, &body)?;
            let out = embed::encode_response(&answer, request, echo, losses);
            Ok((out.into(), seen(answer.usage)))
        }
        (Format::Rerank(format), Some(Task::Rerank(request))) if !relay => {
            let answer = rerank::decode_response(format, &body)?;
            let out = rerank::encode_response(&answer, request, echo, losses);
            Ok((out.into(), seen(ranked(answer.usage, answer.search_units))))
        }
        (Format::Embed(format), _) => {
            let usage = embed::observe_response(format, &body)?;
            Ok((body, seen(usage)))
        }
        (Format::Rerank(format), _) => {
            let (usage, units) = rerank::observe_response(format, &body)?;
            Ok((body, seen(ranked(usage, units))))
        }
    }
}

/// The counts of a ranking, with what is billed by the piece.
fn ranked(usage: Option<Usage>, units: Option<u64>) -> Option<Usage> {
    match units {
        Some(rankings) => Some(Usage { rankings, ..usage.unwrap_or_default() }),
        None => usage,
    }
}

fn seen(usage: Option<Usage>) -> Observation {
    Observation { content: true, usage, done: true, ..Observation::default() }
}

/// The format in which an embedding is asked.
#[must_use]
pub fn asked_embedding(call: &Call) -> embed::Format {
    match call.endpoint.dialect {
        Wire::Gemini if call.single => embed::Format::GeminiEmbedContent,
        Wire::Gemini => embed::Format::GeminiBatch,
        Wire::Cohere => embed::Format::Cohere,
        _ => embed::Format::OpenAi,
    }
}

/// The format in which a ranking is asked.
#[must_use]
pub fn asked_ranking(call: &Call) -> rerank::Format {
    match call.endpoint.dialect {
        Wire::BedrockConverse => rerank::Format::Bedrock,
        _ => rerank::Format::Cohere,
    }
}

fn relayed(call: &Call, model: &str, target: Target, format: Format) -> Upstream {
    let mut losses = Losses::default();
    let edits = RequestEdits { model, ask_usage: false, quirks: target.quirks, drop: &["fallbacks"] };
    let body = match rewrite_request(&call.body, &call.peek, &edits, &mut losses) {
        std::borrow::Cow::Borrowed(_) => call.body.clone(),
        std::borrow::Cow::Owned(body) => Bytes::from(body),
    };
    let body = if target.wire == Wire::Gemini { renamed(body, model) } else { body };
    Upstream { relay: true, task: Some(format), ..Upstream::made(target, body, losses) }
}

/// Gemini's embeddings name the model in the body as well as in the path.
pub fn renamed(body: Bytes, model: &str) -> Bytes {
    match rename_models(&body, model) {
        std::borrow::Cow::Borrowed(_) => body,
        std::borrow::Cow::Owned(body) => body.into(),
    }
}

fn made(body: Vec<u8>, losses: Losses, target: Target, format: Format) -> Upstream {
    Upstream { task: Some(format), ..Upstream::made(target, body, losses) }
}
