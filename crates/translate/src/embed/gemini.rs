//! Gemini `embedContent` and `batchEmbedContents`. The model stands in the path, and in each entry of a batch
//! once more; a batch whose entries want different things is refused, since no other format could hold it.

use serde::Serialize;
use serde_json::Value;

use super::{
    Embedding, Encoding, Format, Input, Piece, Request, Response, Task, Vector, count, counted, lose,
    not_empty, write_rest,
};
use crate::Wire;
use crate::ir::{Extra, Source, Usage};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};
use crate::wire::json::Json;
use crate::wire::tree::{Node, Object, to_bytes};

pub(super) fn decode_single(mut fields: Fields<'_>) -> Result<Request, BadRequest> {
    let mut request = Request::of(Format::GeminiEmbedContent);
    one(&mut fields, &mut request)?;
    request.extra = fields.extra(Wire::Gemini);
    Ok(request)
}

pub(super) fn decode_batch(mut fields: Fields<'_>) -> Result<Request, BadRequest> {
    let at = Path::Body.field("requests");
    let Some(list) = fields.list("requests")? else {
        return Err(fields.missing("requests", "a list of requests"));
    };
    let mut request = Request::of(Format::GeminiBatch);
    let mut settings = None;
    for (index, value) in list.into_iter().enumerate() {
        let at = at.item(index);
        let mut entry = Fields::of(value, &at)?;
        let mut read = Request::of(Format::GeminiBatch);
        one(&mut entry, &mut read)?;
        read.extra = entry.extra(Wire::Gemini);
        request.inputs.append(&mut read.inputs);
        match &settings {
            None => settings = Some(read),
            Some(first) if *first == read => {}
            Some(_) => {
                let message = format!("`{at}` differs from `requests[0]` in more than its content");
                return Err(BadRequest::at(at.to_string(), message));
            }
        }
    }
    let inputs = not_empty(request.inputs, &at)?;
    let settings = settings.unwrap_or_else(|| Request::of(Format::GeminiBatch));
    let mut extra = settings.extra.fields.clone();
    extra.extend(fields.rest());
    Ok(Request { inputs, extra: Extra::of(Wire::Gemini, extra), ..settings })
}

fn one(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    // The path's model is the one that counts.
    fields.text("model")?;
    let at = fields.path().field("content");
    let Some(value) = fields.take_json("content") else {
        return Err(fields.missing("content", "an object with parts"));
    };
    let title = fields.text("title")?;
    let pieces = content(value, &at)?;
    request.inputs.push(Input { pieces, title });
    let task = fields.text("taskType")?.or(fields.text("task_type")?);
    request.task = task.filter(|word| word != "TASK_TYPE_UNSPECIFIED").map(|word| Task::parse(&word));
    request.dimensions = fields.count("outputDimensionality")?.or(fields.count("output_dimensionality")?);
    Ok(())
}

/// A text stands for a content of one part.
fn content(value: Json<'_>, path: &Path<'_>) -> Result<Vec<Piece>, BadRequest> {
    if let Json::Value(Value::String(text)) = value {
        return Ok(vec![Piece::Text(text)]);
    }
    let mut fields = Fields::of(value, path)?;
    let at = path.field("parts");
    let Some(list) = fields.list("parts")? else { return Err(fields.missing("parts", "a list of parts")) };
    if list.is_empty() {
        return Err(BadRequest::at(at.to_string(), format!("`{at}` is an empty list, expected parts")));
    }
    list.into_iter().enumerate().map(|(index, value)| part(value, &at.item(index))).collect()
}

fn part(value: Json<'_>, path: &Path<'_>) -> Result<Piece, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    if let Some(text) = fields.text("text")? {
        return Ok(Piece::Text(text));
    }
    let name = if fields.peek("inline_data").is_some() { "inline_data" } else { "inlineData" };
    let at = path.field(name);
    if let Some(value) = fields.take_json(name) {
        let mut inner = Fields::of(value, &at)?;
        let media_type = inner.text("mimeType")?.or(inner.text("mime_type")?);
        let media_type = media_type.ok_or_else(|| inner.missing("mimeType", "a media type"))?;
        return Ok(Piece::Image(Source::Base64 { media_type, data: inner.required_text("data")? }));
    }
    Err(fields.missing("text", "a string, or inlineData beside it"))
}

pub(super) fn encode_single(request: &Request, losses: &mut Losses) -> Result<Vec<u8>, BadRequest> {
    let mut body = match request.inputs.first() {
        Some(input) => entry(input, request, &Path::Body.field("input").item(0))?,
        None => Object::new(),
    };
    report(request, losses);
    write_rest(&mut body, request, Format::GeminiEmbedContent, &["autoTruncate"], losses);
    Ok(to_bytes(&body))
}

pub(super) fn encode_batch(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let at = Path::Body.field("input");
    let mut list: Vec<Node<'_>> = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        let named = if model.starts_with("models/") { model.to_owned() } else { format!("models/{model}") };
        let mut one = Object::new().with("model", named).followed_by(entry(input, request, &at.item(index))?);
        // Leftovers are the same for all: they are reported once.
        let mut again = Losses::default();
        let told = if index == 0 { &mut *losses } else { &mut again };
        write_rest(&mut one, request, Format::GeminiBatch, &["autoTruncate"], told);
        list.push(one.into());
    }
    report(request, losses);
    Ok(to_bytes(&Object::new().with("requests", list)))
}

fn entry<'a>(input: &'a Input, request: &'a Request, path: &Path<'_>) -> Result<Object<'a>, BadRequest> {
    let mut parts: Vec<Node<'a>> = Vec::with_capacity(input.pieces.len());
    for piece in &input.pieces {
        parts.push(match piece {
            Piece::Text(text) => Object::new().with("text", text.as_str()).into(),
            Piece::Image(Source::Base64 { media_type, data }) => {
                let inline = Object::new().with("mimeType", media_type.as_str()).with("data", data.as_str());
                Object::new().with("inlineData", inline).into()
            }
            Piece::Image(_) => return Err(super::refused(path, "an image by URL, which must be inlined")),
            Piece::Tokens(_) => {
                return Err(super::refused(path, "token numbers, which only their own model reads"));
            }
        });
    }
    let mut body = Object::new().with("content", Object::new().with("parts", parts));
    body.put_some("taskType", request.task.as_ref().and_then(word));
    body.put_some("title", input.title.as_deref());
    body.put_some("outputDimensionality", request.dimensions);
    Ok(body)
}

fn report(request: &Request, losses: &mut Losses) {
    let unknown = request.task.as_ref().is_some_and(|task| word(task).is_none());
    let given =
        [("task", unknown), ("truncate", request.truncate.is_some()), ("user", request.user.is_some())];
    lose(Format::GeminiBatch, &given, losses);
}

pub(super) fn word(task: &Task) -> Option<&str> {
    Some(match task {
        Task::SearchDocument => "RETRIEVAL_DOCUMENT",
        Task::SearchQuery => "RETRIEVAL_QUERY",
        Task::Classification => "CLASSIFICATION",
        Task::Clustering => "CLUSTERING",
        Task::Similarity => "SEMANTIC_SIMILARITY",
        Task::QuestionAnswering => "QUESTION_ANSWERING",
        Task::FactVerification => "FACT_VERIFICATION",
        Task::CodeQuery => "CODE_RETRIEVAL_QUERY",
        Task::Other(word) if word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => word,
        Task::Image | Task::Other(_) => return None,
    })
}

/// Either shape: a batch of one may be answered as a single.
pub(super) fn decode_response(value: Value) -> Option<Response> {
    let Value::Object(mut body) = value else { return None };
    let list = match (body.shift_remove("embeddings"), body.shift_remove("embedding")) {
        (Some(Value::Array(list)), _) => list,
        (None, Some(one)) => vec![one],
        _ => return None,
    };
    let vector = |one: Value| -> Option<Embedding> {
        let Value::Object(mut one) = one else { return None };
        let values = one.shift_remove("values")?;
        Some(Embedding::one(Encoding::Float, Vector::read(Encoding::Float, values)?))
    };
    let embeddings = list.into_iter().map(vector).collect::<Option<_>>()?;
    let usage = body.shift_remove("usageMetadata").unwrap_or_default();
    Some(Response {
        embeddings,
        usage: self::usage(&usage),
        extra: Extra::of(Wire::Gemini, body),
        ..Response::default()
    })
}

pub(super) fn usage(usage: &Value) -> Option<Usage> {
    counted(count(usage.get("promptTokenCount")).or_else(|| count(usage.get("totalTokenCount"))))
}

#[derive(Serialize)]
struct Values {
    values: Vector,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Values>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Values>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<Counts>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    prompt_token_count: u64,
    total_token_count: u64,
}

pub(super) fn encode_response(response: &Response, request: &Request, losses: &mut Losses) -> Vec<u8> {
    let mut list = Vec::with_capacity(response.embeddings.len());
    for (index, embedding) in response.embeddings.iter().enumerate() {
        match embedding.in_encoding(Encoding::Float) {
            Some(values) => list.push(Values { values }),
            None => losses.report(format!("embeddings[{index}]"), "the provider gave no floats"),
        }
    }
    if response.extra.for_wire(Wire::Gemini).is_none() {
        lose(
            Format::GeminiBatch,
            &response.extra.names().iter().map(|name| (name.as_str(), true)).collect::<Vec<_>>(),
            losses,
        );
    }
    let usage_metadata = response.usage.map(|usage| Counts {
        prompt_token_count: usage.input_total(),
        total_token_count: usage.input_total(),
    });
    let single = request.dialect == Format::GeminiEmbedContent;
    let (embedding, embeddings) = if single { (list.into_iter().next(), None) } else { (None, Some(list)) };
    serde_json::to_vec(&Answer { embedding, embeddings, usage_metadata }).unwrap_or_default()
}
