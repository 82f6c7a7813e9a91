//! Embeddings: one pivot between the formats in which vectors are asked for and given.
//!
//! Pure as the rest: bytes in, bytes out. A request is decoded from the caller's [`Format`], encoded for the
//! provider's, and the answer goes back the other way, with the request beside it: it says in which encoding
//! the caller wants its vectors. Nothing is fanned out here: where a provider takes one text per call, several
//! are refused.

mod cohere;
mod gemini;
mod openai;
mod titan;
mod vector;
mod vertex;
mod voyage;

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

pub use vector::{Encoding, Vector};

use crate::Wire;
use crate::ir::{Extra, Source, Usage};
use crate::loss::Losses;
use crate::wire::fields::{Fields, Path};
use crate::wire::json::{self, Json};
use crate::wire::tree::Object;
use crate::wire::{BadRequest, BadResponse, Echo, failure_shapes, lend};

/// The formats of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Cohere on Bedrock (`InvokeModel`): as [`Self::Cohere`], without the model. As upstream only.
    BedrockCohere,
    /// Amazon Titan, version 2, on Bedrock (`InvokeModel`): one text per call. As upstream only.
    BedrockTitan,
    /// Cohere `/v2/embed`.
    Cohere,
    /// Gemini `models/{model}:embedContent`: one content per call.
    GeminiEmbedContent,
    /// Gemini `models/{model}:batchEmbedContents`.
    GeminiBatch,
    /// Jina `/v1/embeddings`: as [`Self::OpenAi`], with tasks. As upstream only.
    Jina,
    /// OpenAI `/v1/embeddings`.
    OpenAi,
    /// Vertex AI `models/{model}:predict`. As upstream only.
    VertexPredict,
    /// Voyage `/v1/embeddings`: as [`Self::OpenAi`], with names of its own. As upstream only.
    Voyage,
}

impl Format {
    /// Every format, in alphabetical order.
    pub const ALL: [Self; 9] = [
        Self::BedrockCohere,
        Self::BedrockTitan,
        Self::Cohere,
        Self::GeminiEmbedContent,
        Self::GeminiBatch,
        Self::Jina,
        Self::OpenAi,
        Self::VertexPredict,
        Self::Voyage,
    ];

    /// The format in which vectors of `model` are asked for: `own`, where the provider's row names one, else that
    /// of its wire. `single`: the caller asks in the format of one content per call, which Gemini takes as it is.
    #[must_use]
    pub fn of(wire: Wire, own: Option<Self>, model: &str, single: bool) -> Self {
        match (wire, own) {
            (_, Some(Self::VertexPredict)) if vertex::takes_contents(model) => Self::GeminiEmbedContent,
            (_, Some(own)) => own,
            (Wire::Gemini, None) if single => Self::GeminiEmbedContent,
            (Wire::Gemini, None) => Self::GeminiBatch,
            (Wire::Cohere, None) => Self::Cohere,
            (Wire::BedrockConverse, None) if model.contains("cohere.") => Self::BedrockCohere,
            (Wire::BedrockConverse, None) => Self::BedrockTitan,
            (Wire::OpenAiChat | Wire::OpenAiResponses | Wire::Anthropic | Wire::Replicate, None) => {
                Self::OpenAi
            }
        }
    }

    /// The model is told by the request's path: [`decode_request`] leaves it empty.
    #[must_use]
    pub fn model_in_path(self) -> bool {
        !matches!(self, Self::Cohere | Self::Jina | Self::OpenAi | Self::Voyage)
    }

    /// The most inputs one call takes; `None` when the format sets no bound of its own.
    #[must_use]
    pub fn max_inputs(self) -> Option<usize> {
        matches!(self, Self::BedrockTitan | Self::GeminiEmbedContent).then_some(1)
    }

    /// The wire whose errors and parameter names it shares.
    #[must_use]
    pub fn wire(self) -> Wire {
        match self {
            Self::BedrockCohere | Self::BedrockTitan => Wire::BedrockConverse,
            Self::Cohere => Wire::Cohere,
            Self::GeminiEmbedContent | Self::GeminiBatch | Self::VertexPredict => Wire::Gemini,
            Self::Jina | Self::OpenAi | Self::Voyage => Wire::OpenAiChat,
        }
    }

    /// How losses name it.
    fn name(self) -> &'static str {
        match self {
            Self::BedrockCohere | Self::BedrockTitan => "bedrock",
            Self::Cohere => "cohere",
            Self::GeminiEmbedContent | Self::GeminiBatch => "gemini",
            Self::Jina => "jina",
            Self::OpenAi => "openai",
            Self::VertexPredict => "vertex",
            Self::Voyage => "voyage",
        }
    }
}

/// What the caller asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The caller's format.
    pub dialect: Format,
    /// Empty where the path tells it.
    pub model: String,
    /// At least one; each becomes one vector.
    pub inputs: Vec<Input>,
    /// Length of the vectors, in numbers.
    pub dimensions: Option<u64>,
    /// In which encodings the caller wants each vector; empty for the format's default, floats.
    pub encodings: Vec<Encoding>,
    /// What the vectors are for.
    pub task: Option<Task>,
    /// What becomes of an input that is too long.
    pub truncate: Option<Truncate>,
    /// The end user, opaque.
    pub user: Option<String>,
    pub extra: Extra,
}

/// What becomes one vector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Input {
    pub pieces: Vec<Piece>,
    /// The title of the document (Gemini).
    pub title: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    /// Token numbers of the model's own tokenizer: of meaning to that model only.
    Tokens(Vec<u64>),
    /// [`Source::Url`] or [`Source::Base64`].
    Image(Source),
}

/// What vectors are for. Providers that train for tasks place a question and its answer near each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    SearchDocument,
    SearchQuery,
    Classification,
    Clustering,
    Similarity,
    QuestionAnswering,
    FactVerification,
    CodeQuery,
    Image,
    /// A word only its own format knows.
    Other(String),
}

impl Task {
    /// Cohere's, Gemini's and Jina's words, in any case.
    fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "search_document" | "retrieval_document" | "document" | "passage" | "retrieval.passage" => {
                Self::SearchDocument
            }
            "search_query" | "retrieval_query" | "query" | "retrieval.query" => Self::SearchQuery,
            "classification" => Self::Classification,
            "clustering" | "separation" => Self::Clustering,
            "semantic_similarity" | "text-matching" => Self::Similarity,
            "question_answering" => Self::QuestionAnswering,
            "fact_verification" => Self::FactVerification,
            "code_retrieval_query" => Self::CodeQuery,
            "image" => Self::Image,
            _ => Self::Other(word.to_owned()),
        }
    }
}

/// Which end of an input that is too long is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// None: the call fails.
    None,
    Start,
    End,
}

impl Truncate {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Start => "START",
            Self::End => "END",
        }
    }
}

/// What the provider answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// May be empty.
    pub id: String,
    /// As the provider names it; empty where the format does not.
    pub model: String,
    /// One for each input, in their order.
    pub embeddings: Vec<Embedding>,
    pub usage: Option<Usage>,
    pub extra: Extra,
}

/// One input's vector, in one or more encodings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embedding {
    pub vectors: Vec<(Encoding, Vector)>,
}

/// Reads a caller's request.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the format has it; always for the formats
/// that nobody calls in.
pub fn decode_request(format: Format, body: &[u8]) -> Result<Request, BadRequest> {
    let value: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in ["fallbacks", "extra_fields"] {
        fields.take(name);
    }
    let request = match format {
        Format::OpenAi => openai::decode_request(fields)?,
        Format::GeminiEmbedContent => gemini::decode_single(fields)?,
        Format::GeminiBatch => gemini::decode_batch(fields)?,
        Format::Cohere => cohere::decode_request(fields)?,
        Format::BedrockCohere
        | Format::BedrockTitan
        | Format::Jina
        | Format::VertexPredict
        | Format::Voyage => {
            return Err(BadRequest::at("", "embeddings are not asked for in this format"));
        }
    };
    Ok(request)
}

/// Writes a request for the model `model`, as the provider names it.
///
/// # Errors
/// [`BadRequest`] for inputs that the format cannot take: several where it takes one, tokens, images.
pub fn encode_request(
    format: Format,
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    if let Some(most) = format.max_inputs().filter(|most| request.inputs.len() > *most) {
        let message = format!(
            "`input` holds {} inputs, but this provider takes {most} per call: send them one by one",
            request.inputs.len()
        );
        return Err(BadRequest::at("input", message));
    }
    match format {
        Format::OpenAi => openai::encode_request(request, model, losses),
        Format::GeminiEmbedContent => gemini::encode_single(request, losses),
        Format::GeminiBatch => gemini::encode_batch(request, model, losses),
        Format::Cohere | Format::BedrockCohere => cohere::encode_request(format, request, model, losses),
        Format::BedrockTitan => titan::encode_request(request, losses),
        Format::VertexPredict => vertex::encode_request(request, losses),
        Format::Jina | Format::Voyage => voyage::encode_request(format, request, model, losses),
    }
}

/// Reads a provider's answer.
///
/// # Errors
/// [`BadResponse`] when the body is not JSON, is an error object, or holds no vectors.
pub fn decode_response(format: Format, body: &[u8]) -> Result<Response, BadResponse> {
    let value: Value = json::read(body).map_err(|error| BadResponse::NotJson(error.to_string()))?;
    let read = match format {
        Format::Jina | Format::OpenAi | Format::Voyage => openai::decode_response(value),
        Format::GeminiEmbedContent | Format::GeminiBatch => gemini::decode_response(value),
        Format::Cohere | Format::BedrockCohere => cohere::decode_response(format, value),
        Format::BedrockTitan => titan::decode_response(value),
        Format::VertexPredict => vertex::decode_response(value),
    };
    read.ok_or_else(|| match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it holds no embeddings of its format".to_owned()),
    })
}

/// Writes an answer for the caller who sent `request`, in that request's format.
pub fn encode_response(response: &Response, request: &Request, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    match request.dialect {
        Format::Jina | Format::OpenAi | Format::Voyage => {
            openai::encode_response(response, request, echo, losses)
        }
        Format::GeminiEmbedContent | Format::GeminiBatch | Format::VertexPredict => {
            gemini::encode_response(response, request, losses)
        }
        Format::Cohere | Format::BedrockCohere | Format::BedrockTitan => {
            cohere::encode_response(response, request, echo, losses)
        }
    }
}

/// What a relayed answer cost, without a look at its vectors.
///
/// # Errors
/// As [`decode_response`].
pub fn observe_response(format: Format, body: &[u8]) -> Result<Option<Usage>, BadResponse> {
    let outline: Outline<'_> = json::read(body).map_err(|error| match error.is_data() {
        true => BadResponse::WrongShape(error.to_string()),
        false => BadResponse::NotJson(error.to_string()),
    })?;
    if outline.data.or(outline.embeddings).or(outline.embedding).or(outline.embeddings_by_type).is_none() {
        return decode_response(format, body).map(|response| response.usage);
    }
    let read = |raw: Option<&RawValue>| {
        raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()).unwrap_or_default()
    };
    Ok(match format {
        Format::Jina | Format::OpenAi | Format::Voyage => openai::usage(&read(outline.usage)),
        Format::GeminiEmbedContent | Format::GeminiBatch | Format::VertexPredict => {
            gemini::usage(&read(outline.usage_metadata))
        }
        Format::Cohere | Format::BedrockCohere => cohere::usage(&read(outline.meta)),
        Format::BedrockTitan => counted(count(Some(&read(outline.tokens)))),
    })
}

/// The members of any format's answer that a relay looks for.
#[derive(Deserialize)]
struct Outline<'a> {
    data: Option<IgnoredAny>,
    embeddings: Option<IgnoredAny>,
    embedding: Option<IgnoredAny>,
    #[serde(rename = "embeddingsByType")]
    embeddings_by_type: Option<IgnoredAny>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, rename = "usageMetadata")]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow, rename = "inputTextTokenCount")]
    tokens: Option<&'a RawValue>,
}

impl Request {
    /// A request of which only its format is known yet.
    fn of(dialect: Format) -> Self {
        Self {
            dialect,
            model: String::new(),
            inputs: Vec::new(),
            dimensions: None,
            encodings: Vec::new(),
            task: None,
            truncate: None,
            user: None,
            extra: Extra::default(),
        }
    }
}

impl Input {
    fn text(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())], title: None }
    }

    /// The text of an input that is nothing else; several pieces are joined by line breaks.
    ///
    /// # Errors
    /// [`BadRequest`] for tokens and images.
    fn only_text(&self, path: &Path<'_>) -> Result<String, BadRequest> {
        let mut texts = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => texts.push(text.as_str()),
                Piece::Tokens(_) => {
                    return Err(refused(path, "token numbers, which only their own model reads"));
                }
                Piece::Image(_) => return Err(refused(path, "an image, which this provider cannot embed")),
            }
        }
        Ok(texts.join("\n"))
    }
}

fn refused(path: &Path<'_>, what: &str) -> BadRequest {
    BadRequest::at(path.to_string(), format!("`{path}` is {what}: send text"))
}

/// A list with something in it.
fn not_empty(inputs: Vec<Input>, path: &Path<'_>) -> Result<Vec<Input>, BadRequest> {
    if inputs.is_empty() {
        let message = format!("`{path}` is an empty list, expected at least one input");
        return Err(BadRequest::at(path.to_string(), message));
    }
    Ok(inputs)
}

fn truncate(fields: &mut Fields<'_>) -> Result<Option<Truncate>, BadRequest> {
    match fields.take("truncate") {
        None => Ok(None),
        Some(Value::Bool(cut)) => Ok(Some(if cut { Truncate::End } else { Truncate::None })),
        Some(Value::String(word)) => match word.to_ascii_uppercase().as_str() {
            "NONE" => Ok(Some(Truncate::None)),
            "START" | "LEFT" => Ok(Some(Truncate::Start)),
            "END" | "RIGHT" => Ok(Some(Truncate::End)),
            _ => Err(fields.wrong("truncate", &Value::String(word), "\"NONE\", \"START\" or \"END\"")),
        },
        Some(other) => Err(fields.wrong("truncate", &other, "\"NONE\", \"START\" or \"END\"")),
    }
}

/// Reports what of a request `format` has no place for.
fn lose(format: Format, given: &[(&str, bool)], losses: &mut Losses) {
    for (name, _) in given.iter().filter(|(_, given)| *given) {
        losses.report(*name, format!("has no counterpart on {}", format.name()));
    }
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

/// Counts of input tokens: there are no others.
fn counted(tokens: Option<u64>) -> Option<Usage> {
    tokens.map(|input_uncached| Usage { input_uncached, ..Usage::default() })
}

/// A count, which some providers write as a float.
fn count(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_f64().filter(|count| *count >= 0.0).map(|count| count as u64))
}
