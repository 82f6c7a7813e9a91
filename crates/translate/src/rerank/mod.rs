//! Reranking: documents in the order of their relevance to a query, in the formats that ask and answer so.
//!
//! Cohere's shape is the common one; Jina, vLLM and Voyage vary it, Bedrock has its own. A document may be an
//! object of fields: what is ranked is always a text, made of the fields the caller names. Documents that a
//! provider does not send back are put into the answer from the request.

mod bedrock;
mod cohere;
mod jina;

pub use bedrock::model_of as bedrock_model;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Wire;
use crate::ir::{Extra, Usage};
use crate::loss::Losses;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::{self, Json};
use crate::wire::tree::{Node, Object};
use crate::wire::{BadRequest, BadResponse, Echo, failure_shapes, lend};

/// The formats of reranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Bedrock agent runtime `/rerank`; the model is an ARN. As dialect it is relayed only.
    Bedrock,
    /// Cohere `/v2/rerank`, `/v1/rerank`, and the gateway's own `/v1/rerank`.
    Cohere,
    /// Jina and vLLM `/v1/rerank`.
    Jina,
    /// Voyage `/v1/rerank`.
    Voyage,
}

impl Format {
    /// Every format, in alphabetical order.
    pub const ALL: [Self; 4] = [Self::Bedrock, Self::Cohere, Self::Jina, Self::Voyage];

    /// The format of a provider: Bedrock's and Cohere's on their wires, else Jina's, which most follow.
    #[must_use]
    pub fn of(wire: Wire, provider: &str) -> Self {
        match (wire, provider) {
            (Wire::BedrockConverse, _) => Self::Bedrock,
            (Wire::Cohere, _) => Self::Cohere,
            (_, "voyage") => Self::Voyage,
            _ => Self::Jina,
        }
    }

    /// The wire whose errors it shares.
    #[must_use]
    pub fn wire(self) -> Wire {
        match self {
            Self::Bedrock => Wire::BedrockConverse,
            Self::Cohere => Wire::Cohere,
            Self::Jina | Self::Voyage => Wire::OpenAiChat,
        }
    }

    /// How losses name it.
    fn name(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
            Self::Jina => "jina",
            Self::Voyage => "voyage",
        }
    }
}

/// What the caller asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The caller's format.
    pub dialect: Format,
    pub model: String,
    pub query: String,
    /// At least one.
    pub documents: Vec<Document>,
    /// How many results are wanted; all without it.
    pub top_n: Option<u64>,
    /// Tokens of a document that are read.
    pub max_tokens_per_doc: Option<u64>,
    /// The answer repeats the documents.
    pub return_documents: bool,
    /// Which fields of documents are ranked, in this order; without them `text`.
    pub rank_fields: Vec<String>,
    pub extra: Extra,
}

/// A text, or an object of fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    Text(String),
    Fields(Map<String, Value>),
}

/// What the provider answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// May be empty.
    pub id: String,
    /// May be empty.
    pub model: String,
    /// The best first, as the provider ranked them.
    pub results: Vec<Ranked>,
    /// Tokens, where the provider counts them.
    pub usage: Option<Usage>,
    /// Units of search, where the provider bills by them.
    pub search_units: Option<u64>,
    pub extra: Extra,
}

/// One document's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Where the document stood in the request, from 0.
    pub index: u64,
    /// As the provider scores; higher is more relevant.
    pub score: f64,
    /// The text, where the provider repeats it.
    pub document: Option<String>,
}

/// Reads a caller's request.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the format has it.
pub fn decode_request(format: Format, body: &[u8]) -> Result<Request, BadRequest> {
    if format == Format::Bedrock {
        let message = "a body in Bedrock's format goes to Bedrock only: ask for other models in Cohere's";
        return Err(BadRequest::at("", message));
    }
    let value: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in ["fallbacks", "extra_fields"] {
        fields.take(name);
    }
    // Callers mix the names: each format's own stands first.
    let (top, other) = if format == Format::Voyage { ("top_k", "top_n") } else { ("top_n", "top_k") };
    let request = Request {
        dialect: format,
        model: fields.required_text("model")?,
        query: query(&mut fields)?,
        documents: documents(&mut fields)?,
        top_n: fields.count(top)?.or(fields.count(other)?),
        max_tokens_per_doc: fields.count("max_tokens_per_doc")?,
        return_documents: fields.flag("return_documents")?.unwrap_or(false),
        rank_fields: rank_fields(&mut fields)?,
        extra: fields.extra(format.wire()),
    };
    match request.top_n {
        Some(0) => Err(BadRequest::at(top, format!("`{top}` is 0, expected 1 or more"))),
        _ => Ok(request),
    }
}

/// Writes a request for the model `model`, as the provider names it (for Bedrock: its ARN).
///
/// # Errors
/// [`BadRequest`] for a document without a text to rank.
pub fn encode_request(
    format: Format,
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    match format {
        Format::Bedrock => bedrock::encode_request(request, model, losses),
        Format::Cohere => cohere::encode_request(request, model, losses),
        Format::Jina | Format::Voyage => jina::encode_request(format, request, model, losses),
    }
}

/// Reads a provider's answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error object, or holds no results.
pub fn decode_response(format: Format, body: &[u8]) -> Result<Response, BadResponse> {
    let value: Value = json::read(body).map_err(|error| BadResponse::NotJson(error.to_string()))?;
    read(format, value).ok_or_else(|| match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it holds no results of its format".to_owned()),
    })
}

/// What a relayed answer cost: tokens and units of search.
///
/// # Errors
/// As [`decode_response`].
pub fn observe_response(format: Format, body: &[u8]) -> Result<(Option<Usage>, Option<u64>), BadResponse> {
    #[derive(Deserialize)]
    struct Outline<'a> {
        #[serde(borrow, alias = "data")]
        results: Option<&'a RawValue>,
        usage: Option<Value>,
        meta: Option<Value>,
    }
    match json::read::<Outline<'_>>(body) {
        Ok(outline) if outline.results.is_some_and(|raw| raw.get().starts_with('[')) => {
            let (usage, meta) = (outline.usage.unwrap_or_default(), outline.meta.unwrap_or_default());
            Ok((tokens(&usage, &meta), units(&meta)))
        }
        _ => decode_response(format, body).map(|response| (response.usage, response.search_units)),
    }
}

/// Writes an answer for the caller who sent `request`, in that request's format.
pub fn encode_response(response: &Response, request: &Request, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    match request.dialect {
        Format::Bedrock | Format::Cohere => cohere::encode_response(response, request, echo, losses),
        Format::Jina | Format::Voyage => jina::encode_response(response, request, echo, losses),
    }
}

fn query(fields: &mut Fields<'_>) -> Result<String, BadRequest> {
    match fields.take("query") {
        Some(Value::String(text)) => Ok(text),
        // Jina's form for queries that may be images.
        Some(Value::Object(map)) if map.len() == 1 && map.get("text").is_some_and(Value::is_string) => {
            Ok(map.get("text").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        Some(other) => Err(fields.wrong("query", &other, "a string")),
        None => Err(fields.missing("query", "a string")),
    }
}

fn documents(fields: &mut Fields<'_>) -> Result<Vec<Document>, BadRequest> {
    let at = Path::Body.field("documents");
    let Some(list) = fields.list("documents")? else {
        return Err(fields.missing("documents", "a list of strings or objects"));
    };
    if list.is_empty() {
        return Err(BadRequest::at("documents", "`documents` is an empty list, expected at least one"));
    }
    let read = |(index, value): (usize, Json<'_>)| match value.into_value() {
        Value::String(text) => Ok(Document::Text(text)),
        Value::Object(map) => Ok(Document::Fields(map)),
        other => Err(wrong(&at.item(index), &other, "a string or an object with a text")),
    };
    list.into_iter().enumerate().map(read).collect()
}

fn rank_fields(fields: &mut Fields<'_>) -> Result<Vec<String>, BadRequest> {
    let at = Path::Body.field("rank_fields");
    let list = fields.list("rank_fields")?.unwrap_or_default();
    let read = |(index, value): (usize, Json<'_>)| match value {
        Json::Value(Value::String(name)) => Ok(name),
        other => Err(wrong(&at.item(index), other.look(), "a field's name")),
    };
    list.into_iter().enumerate().map(read).collect()
}

impl Request {
    /// The texts to rank. Fields that are left out are reported, once.
    fn texts(&self, losses: &mut Losses) -> Result<Vec<Cow<'_, str>>, BadRequest> {
        let at = Path::Body.field("documents");
        let mut texts = Vec::with_capacity(self.documents.len());
        let mut left_out = false;
        for (index, document) in self.documents.iter().enumerate() {
            let (text, whole) = self.text(document, &at.item(index))?;
            left_out |= !whole;
            texts.push(text);
        }
        if left_out {
            losses.report("documents", "only the ranked fields of documents are sent");
        }
        Ok(texts)
    }

    /// A document's text, and whether that is all of it.
    fn text<'d>(&self, document: &'d Document, path: &Path<'_>) -> Result<(Cow<'d, str>, bool), BadRequest> {
        let fields = match document {
            Document::Text(text) => return Ok((text.into(), true)),
            Document::Fields(fields) => fields,
        };
        if self.rank_fields.is_empty() {
            return match fields.get("text") {
                Some(Value::String(text)) => Ok((text.into(), fields.len() == 1)),
                Some(other) => Err(wrong(&path.field("text"), other, "a string")),
                None => Err(missing(&path.field("text"))),
            };
        }
        let mut lines = Vec::with_capacity(self.rank_fields.len());
        for name in &self.rank_fields {
            match fields.get(name) {
                Some(Value::String(text)) => lines.push(format!("{name}: {text}")),
                Some(other) => lines.push(format!("{name}: {other}")),
                None => {}
            }
        }
        if lines.is_empty() {
            return Err(missing(path));
        }
        Ok((lines.join("\n").into(), lines.len() == fields.len()))
    }

    /// The document of a result as the caller's format repeats it: as the caller wrote it.
    fn repeated(&self, ranked: &Ranked) -> Option<Value> {
        if !self.return_documents {
            return None;
        }
        let sent = usize::try_from(ranked.index).ok().and_then(|index| self.documents.get(index));
        Some(match (sent, &ranked.document) {
            (Some(Document::Fields(fields)), _) => Value::Object(fields.clone()),
            (Some(Document::Text(text)), _) | (None, Some(text)) => serde_json::json!({"text": text}),
            (None, None) => return None,
        })
    }
}

fn missing(path: &Path<'_>) -> BadRequest {
    BadRequest::at(path.to_string(), format!("`{path}` is missing, expected a text to rank"))
}

/// Writes the leftovers: a format's own ones, and those that the caller used by the names they have there.
fn write_rest<'a>(
    body: &mut Object<'a>,
    request: &'a Request,
    format: Format,
    own: &[&str],
    losses: &mut Losses,
) {
    let reason = format!("has no counterpart on {}", format.name());
    lend::write_rest(body, &request.extra, format.wire(), own, (losses, reason.as_str()));
}

fn nodes(texts: Vec<Cow<'_, str>>) -> Vec<Node<'_>> {
    texts.into_iter().map(Node::from).collect()
}

/// Any format's answer: they differ in names only.
fn read(format: Format, value: Value) -> Option<Response> {
    let Value::Object(mut body) = value else { return None };
    // Hosts that follow Jina's question do not all follow its answer.
    let list = body.shift_remove("results").or_else(|| body.shift_remove("data"));
    let Some(Value::Array(list)) = list else { return None };
    let results = list.into_iter().map(ranked).collect::<Option<_>>()?;
    let (usage, meta) = (body.shift_remove("usage").unwrap_or_default(), body.shift_remove("meta"));
    let meta = meta.unwrap_or_default();
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    body.shift_remove("object");
    body.retain(|_, value| !value.is_null());
    Some(Response {
        id: text(body.shift_remove("id")),
        model: text(body.shift_remove("model")),
        results,
        usage: tokens(&usage, &meta),
        search_units: units(&meta),
        extra: Extra::of(format.wire(), body),
    })
}

fn ranked(value: Value) -> Option<Ranked> {
    let index = value.get("index")?.as_u64()?;
    let score = ["relevance_score", "score", "relevanceScore"].iter().find_map(|name| value.get(*name));
    let document = value.get("document").and_then(|document| {
        let text = document.get("text").or_else(|| document.get("textDocument")?.get("text"));
        text.unwrap_or(document).as_str().map(str::to_owned)
    });
    Some(Ranked { index, score: score?.as_f64()?, document })
}

fn tokens(usage: &Value, meta: &Value) -> Option<Usage> {
    let billed = meta.get("billed_units").and_then(|units| units.get("input_tokens"));
    let count = usage.get("total_tokens").or_else(|| usage.get("prompt_tokens")).or(billed)?;
    count.as_f64().map(|count| Usage { input_uncached: count.max(0.0) as u64, ..Usage::default() })
}

fn units(meta: &Value) -> Option<u64> {
    let units = meta.get("billed_units")?.get("search_units")?.as_f64()?;
    Some(units.max(0.0) as u64)
}

fn lose_extra(response: &Response, format: Format, losses: &mut Losses) {
    for name in response.extra.names() {
        losses.report(name, format!("has no counterpart on {}", format.name()));
    }
}
