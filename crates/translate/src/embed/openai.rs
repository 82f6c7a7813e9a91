//! OpenAI `/v1/embeddings`, as most hosts speak it.
//!
//! Its SDKs ask for base64 unless told otherwise, and hosts do not all know it: providers are asked for
//! floats, the caller gets what it asked for.

use serde::Serialize;
use serde_json::Value;

use super::{
    Embedding, Encoding, Format, Input, Piece, Request, Response, Task, Vector, count, counted, lose,
    not_empty, truncate, write_rest,
};
use crate::Wire;
use crate::ir::{Extra, Usage};
use crate::loss::Losses;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::Json;
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{BadRequest, Echo};

/// Names under which callers tell other providers' tasks in this format.
const TASKS: [&str; 4] = ["input_type", "task", "task_type", "taskType"];

pub(super) fn decode_request(mut fields: Fields<'_>) -> Result<Request, BadRequest> {
    let mut request = Request::of(Format::OpenAi);
    request.model = fields.required_text("model")?;
    request.inputs = inputs(&mut fields)?;
    request.dimensions = fields.count("dimensions")?;
    if let Some(word) = fields.text("encoding_format")? {
        match Encoding::parse(&word) {
            Some(encoding) => request.encodings.push(encoding),
            None => {
                let found = Value::String(word);
                return Err(fields.wrong("encoding_format", &found, "\"float\" or \"base64\""));
            }
        }
    }
    for name in TASKS {
        if let Some(word) = fields.text(name)? {
            request.task = Some(Task::parse(&word));
        }
    }
    request.truncate = truncate(&mut fields)?;
    request.user = fields.text("user")?;
    request.extra = fields.extra(Wire::OpenAiChat);
    Ok(request)
}

/// A text, tokens, or a list of either.
fn inputs(fields: &mut Fields<'_>) -> Result<Vec<Input>, BadRequest> {
    const EXPECTED: &str = "a string, a list of strings, a list of tokens or a list of those";
    let at = Path::Body.field("input");
    let Some(value) = fields.take_json("input") else { return Err(fields.missing("input", EXPECTED)) };
    let list = match value {
        Json::Value(Value::String(text)) => return Ok(vec![Input::text(text)]),
        other => other.items().map_err(|other| wrong(&at, other.look(), EXPECTED))?,
    };
    if list.first().is_some_and(|first| first.look().is_number()) {
        return tokens(list, &at).map(|tokens| vec![tokens]);
    }
    let mut inputs = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let at = at.item(index);
        inputs.push(match value {
            Json::Value(Value::String(text)) => Input::text(text),
            other => {
                let list = other
                    .items()
                    .map_err(|other| wrong(&at, other.look(), "a string or a list of tokens"))?;
                tokens(list, &at)?
            }
        });
    }
    not_empty(inputs, &at)
}

fn tokens(list: Vec<Json<'_>>, path: &Path<'_>) -> Result<Input, BadRequest> {
    let mut tokens = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let token = value.look().as_u64();
        tokens.push(token.ok_or_else(|| wrong(&path.item(index), value.look(), "a token number"))?);
    }
    if tokens.is_empty() {
        let message = format!("`{path}` is an empty list, expected tokens");
        return Err(BadRequest::at(path.to_string(), message));
    }
    Ok(Input { pieces: vec![Piece::Tokens(tokens)], title: None })
}

pub(super) fn encode_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let at = Path::Body.field("input");
    let mut list: Vec<Node<'_>> = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        let at = at.item(index);
        if input.title.is_some() {
            losses.report(at.field("title").to_string(), "has no counterpart on openai");
        }
        list.push(match input.pieces.as_slice() {
            [Piece::Tokens(tokens)] => {
                tokens.iter().map(|token| Node::Count(*token)).collect::<Vec<_>>().into()
            }
            [Piece::Text(text)] => text.as_str().into(),
            _ => input.only_text(&at)?.into(),
        });
    }
    let input = if list.len() == 1 { list.pop().unwrap_or(Node::Null) } else { list.into() };
    let mut body = Object::new().with("model", model).with("input", input);
    body.put_some("dimensions", request.dimensions);
    body.put_some("user", request.user.as_deref());
    let own = request.dialect == Format::OpenAi;
    if own {
        body.put_some("input_type", request.task.as_ref().map(word));
        body.put_some("truncate", request.truncate.map(super::Truncate::as_str));
    }
    let given = [("task", request.task.is_some()), ("truncate", request.truncate.is_some())];
    lose(Format::OpenAi, if own { &[] } else { &given }, losses);
    write_rest(&mut body, request, Format::OpenAi, &[], losses);
    Ok(to_bytes(&body))
}

/// The word by which hosts of this format that know tasks call them.
fn word(task: &Task) -> &str {
    match task {
        Task::SearchDocument => "search_document",
        Task::SearchQuery => "search_query",
        Task::Classification => "classification",
        Task::Clustering => "clustering",
        Task::Similarity => "semantic_similarity",
        Task::QuestionAnswering => "question_answering",
        Task::FactVerification => "fact_verification",
        Task::CodeQuery => "code_retrieval_query",
        Task::Image => "image",
        Task::Other(word) => word,
    }
}

pub(super) fn decode_response(value: Value) -> Option<Response> {
    let Value::Object(mut body) = value else { return None };
    let Some(Value::Array(list)) = body.shift_remove("data") else { return None };
    let mut embeddings = Vec::with_capacity(list.len());
    for (position, one) in list.into_iter().enumerate() {
        let Value::Object(mut one) = one else { return None };
        let index = count(one.get("index")).unwrap_or(position as u64);
        let vector = one.shift_remove("embedding")?;
        let encoding = if vector.is_string() { Encoding::Base64 } else { Encoding::Float };
        embeddings.push((index, Embedding::one(encoding, Vector::read(encoding, vector)?)));
    }
    embeddings.sort_by_key(|(index, _)| *index);
    let usage = body.shift_remove("usage").unwrap_or_default();
    body.shift_remove("object");
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    Some(Response {
        id: text(body.shift_remove("id")),
        model: text(body.shift_remove("model")),
        embeddings: embeddings.into_iter().map(|(_, embedding)| embedding).collect(),
        usage: self::usage(&usage),
        extra: Extra::of(Wire::OpenAiChat, body),
    })
}

pub(super) fn usage(usage: &Value) -> Option<Usage> {
    counted(count(usage.get("prompt_tokens")).or_else(|| count(usage.get("total_tokens"))))
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Entry>,
    model: &'a str,
    usage: Counts,
}

#[derive(Serialize)]
struct Entry {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
struct Counts {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The counts are read unchecked by the SDKs: zeros where the provider gave none.
pub(super) fn encode_response(
    response: &Response,
    request: &Request,
    echo: &Echo,
    losses: &mut Losses,
) -> Vec<u8> {
    let wanted = request.encodings.first().copied().unwrap_or(Encoding::Float);
    let mut data = Vec::with_capacity(response.embeddings.len());
    for (index, embedding) in response.embeddings.iter().enumerate() {
        let found = embedding.in_encoding(wanted).or_else(|| {
            losses.report("encoding_format", format!("{} was not given: what came is sent", wanted.as_str()));
            embedding.vectors.first().map(|(_, vector)| vector.clone())
        });
        match found {
            Some(embedding) => data.push(Entry { object: "embedding", index, embedding }),
            None => losses.report(format!("data[{index}]"), "the provider gave no vector"),
        }
    }
    if response.extra.for_wire(Wire::OpenAiChat).is_none() {
        for name in response.extra.names() {
            losses.report(name, "has no counterpart on openai");
        }
    }
    let tokens = response.usage.map_or(0, |usage| usage.input_total());
    let model = if echo.model.is_empty() { &response.model } else { &echo.model };
    let usage = Counts { prompt_tokens: tokens, total_tokens: tokens };
    // Vectors and texts always serialise.
    serde_json::to_vec(&Answer { object: "list", data, model, usage }).unwrap_or_default()
}
