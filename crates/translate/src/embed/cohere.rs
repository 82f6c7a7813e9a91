//! Cohere `/v2/embed`, at the maker's and on Bedrock. Vectors come by encoding: a list of them for each.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::{
    Embedding, Encoding, Format, Input, Piece, Request, Response, Task, Vector, count, counted, lose,
    not_empty, truncate, write_rest,
};
use crate::Wire;
use crate::ir::{Extra, Source, Usage};
use crate::loss::Losses;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::Json;
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{BadRequest, Echo};

pub(super) fn decode_request(mut fields: Fields<'_>) -> Result<Request, BadRequest> {
    let mut request = Request::of(Format::Cohere);
    request.model = fields.required_text("model")?;
    request.inputs = inputs(&mut fields)?;
    request.dimensions = fields.count("output_dimension")?;
    let at = Path::Body.field("embedding_types");
    for (index, value) in fields.list("embedding_types")?.unwrap_or_default().into_iter().enumerate() {
        let encoding = value.look().as_str().and_then(Encoding::parse);
        request.encodings.push(encoding.ok_or_else(|| {
            let expected = "\"float\", \"int8\", \"uint8\", \"binary\", \"ubinary\" or \"base64\"";
            wrong(&at.item(index), value.look(), expected)
        })?);
    }
    request.task = fields.text("input_type")?.map(|word| Task::parse(&word));
    request.truncate = truncate(&mut fields)?;
    request.extra = fields.extra(Wire::Cohere);
    Ok(request)
}

/// `texts`, `images` or `inputs`; one of them.
fn inputs(fields: &mut Fields<'_>) -> Result<Vec<Input>, BadRequest> {
    let mut found = Vec::new();
    let at = Path::Body.field("texts");
    for (index, value) in fields.list("texts")?.unwrap_or_default().into_iter().enumerate() {
        match value {
            Json::Value(Value::String(text)) => found.push(Input::text(text)),
            other => return Err(wrong(&at.item(index), other.look(), "a string")),
        }
    }
    let at = Path::Body.field("images");
    for (index, value) in fields.list("images")?.unwrap_or_default().into_iter().enumerate() {
        let Some(url) = value.look().as_str() else {
            return Err(wrong(&at.item(index), value.look(), "a data: URL"));
        };
        found.push(Input { pieces: vec![image(url)], title: None });
    }
    let at = Path::Body.field("inputs");
    for (index, value) in fields.list("inputs")?.unwrap_or_default().into_iter().enumerate() {
        let at = at.item(index);
        let mut entry = Fields::of(value, &at)?;
        let inside = at.field("content");
        let Some(list) = entry.list("content")? else {
            return Err(entry.missing("content", "a list of parts"));
        };
        let mut pieces = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            pieces.push(piece(value, &inside.item(index))?);
        }
        found.push(Input { pieces, title: None });
    }
    if found.is_empty() {
        return Err(fields.missing("texts", "a list of strings, or images or inputs beside it"));
    }
    not_empty(found, &Path::Body.field("texts"))
}

fn piece(value: Json<'_>, path: &Path<'_>) -> Result<Piece, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    match fields.required_text("type")?.as_str() {
        "text" => fields.required_text("text").map(Piece::Text),
        "image_url" => {
            let at = path.field("image_url");
            let Some(value) = fields.take_json("image_url") else {
                return Err(fields.missing("image_url", "an object with a url"));
            };
            Fields::of(value, &at)?.required_text("url").map(|url| image(&url))
        }
        word => {
            let found = Value::String(word.to_owned());
            Err(fields.wrong("type", &found, "\"text\" or \"image_url\""))
        }
    }
}

fn image(url: &str) -> Piece {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    Piece::Image(match inline {
        Some((media_type, data)) => {
            Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => Source::Url(url.to_owned()),
    })
}

pub(super) fn encode_request(
    format: Format,
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let mut body = Object::new();
    if format == Format::Cohere {
        body.put("model", model);
    }
    let images =
        request.inputs.iter().any(|input| input.pieces.iter().any(|piece| matches!(piece, Piece::Image(_))));
    write_inputs(&mut body, &request.inputs, images)?;
    body.put("input_type", task(request, images, losses));
    // What is converted is asked for as floats.
    let mut types: Vec<&str> = Vec::new();
    for encoding in &request.encodings {
        let asked = if *encoding == Encoding::Base64 { Encoding::Float } else { *encoding };
        if !types.contains(&asked.as_str()) {
            types.push(asked.as_str());
        }
    }
    let types = if types.is_empty() { vec![Encoding::Float.as_str()] } else { types };
    body.put("embedding_types", types.into_iter().map(Node::from).collect::<Vec<_>>());
    body.put_some("output_dimension", request.dimensions);
    body.put_some("truncate", request.truncate.map(super::Truncate::as_str));
    let titled = request.inputs.iter().any(|input| input.title.is_some());
    lose(format, &[("title", titled), ("user", request.user.is_some())], losses);
    write_rest(&mut body, request, format, &["max_tokens", "priority"], losses);
    Ok(to_bytes(&body))
}

fn write_inputs<'a>(body: &mut Object<'a>, inputs: &'a [Input], images: bool) -> Result<(), BadRequest> {
    let at = Path::Body.field("input");
    let mut list: Vec<Node<'a>> = Vec::with_capacity(inputs.len());
    if !images {
        for (index, input) in inputs.iter().enumerate() {
            list.push(match input.pieces.as_slice() {
                [Piece::Text(text)] => text.as_str().into(),
                _ => input.only_text(&at.item(index))?.into(),
            });
        }
        body.put("texts", list);
        return Ok(());
    }
    for (index, input) in inputs.iter().enumerate() {
        let mut content: Vec<Node<'a>> = Vec::with_capacity(input.pieces.len());
        for piece in &input.pieces {
            content.push(match piece {
                Piece::Text(text) => Object::typed("text").with("text", text.as_str()).into(),
                Piece::Image(source) => {
                    let url = Object::new().with("url", url(source, &at.item(index))?);
                    Object::typed("image_url").with("image_url", url).into()
                }
                Piece::Tokens(_) => {
                    let what = "token numbers, which only their own model reads";
                    return Err(super::refused(&at.item(index), what));
                }
            });
        }
        list.push(Object::new().with("content", content).into());
    }
    body.put("inputs", list);
    Ok(())
}

fn url(source: &Source, path: &Path<'_>) -> Result<String, BadRequest> {
    match source {
        Source::Base64 { media_type, data } => Ok(format!("data:{media_type};base64,{data}")),
        Source::Url(url) => Ok(url.clone()),
        Source::File(_) | Source::Text { .. } => Err(super::refused(path, "no image")),
    }
}

/// The wire insists on a task: documents to be searched are what most vectors are for.
fn task<'a>(request: &'a Request, images: bool, losses: &mut Losses) -> &'a str {
    let default = if images { "image" } else { "search_document" };
    let mut instead = |why: &str| {
        losses.report("input_type", format!("{why}: sent as {default}"));
        default
    };
    match &request.task {
        None if images => default,
        None => instead("cohere wants to know what the vectors are for"),
        Some(Task::SearchDocument) => "search_document",
        Some(Task::SearchQuery | Task::QuestionAnswering | Task::CodeQuery) => "search_query",
        Some(Task::Classification) => "classification",
        Some(Task::Clustering) => "clustering",
        Some(Task::Image) => "image",
        Some(Task::Other(word)) if request.dialect == Format::Cohere => word,
        Some(Task::Similarity | Task::FactVerification | Task::Other(_)) => {
            instead("this task is not known on cohere")
        }
    }
}

/// By encoding, or the plain list of older models.
pub(super) fn decode_response(format: Format, value: Value) -> Option<Response> {
    let Value::Object(mut body) = value else { return None };
    let mut embeddings: Vec<Embedding> = Vec::new();
    match body.shift_remove("embeddings")? {
        Value::Array(list) => add(&mut embeddings, Encoding::Float, list)?,
        Value::Object(types) => {
            for (name, list) in types {
                let (Some(encoding), Value::Array(list)) = (Encoding::parse(&name), list) else { continue };
                add(&mut embeddings, encoding, list)?;
            }
        }
        _ => return None,
    }
    let meta = body.shift_remove("meta").unwrap_or_default();
    let usage = usage(&meta);
    let id = match body.shift_remove("id") {
        Some(Value::String(id)) => id,
        _ => String::new(),
    };
    // What the caller sent, and what the shape shows.
    for name in ["texts", "response_type"] {
        body.shift_remove(name);
    }
    body.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    Some(Response { id, model: String::new(), embeddings, usage, extra: Extra::of(format.wire(), body) })
}

pub(super) fn usage(meta: &Value) -> Option<Usage> {
    let of = |units: &str, name: &str| count(meta.get(units).and_then(|units| units.get(name)));
    let text = of("billed_units", "input_tokens").or_else(|| of("tokens", "input_tokens"));
    let images = of("billed_units", "image_tokens");
    counted(text.map(|text| text.saturating_add(images.unwrap_or(0))).or(images))
}

fn add(embeddings: &mut Vec<Embedding>, encoding: Encoding, list: Vec<Value>) -> Option<()> {
    for (index, value) in list.into_iter().enumerate() {
        let vector = Vector::read(encoding, value)?;
        match embeddings.get_mut(index) {
            Some(embedding) => embedding.vectors.push((encoding, vector)),
            None => embeddings.push(Embedding::one(encoding, vector)),
        }
    }
    Some(())
}

/// Vectors by encoding, in the order of the request.
struct ByType(Vec<(Encoding, Vec<Vector>)>);

impl Serialize for ByType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (encoding, list) in &self.0 {
            map.serialize_entry(encoding.as_str(), list)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    embeddings: ByType,
    texts: Vec<&'a str>,
    meta: Value,
    response_type: &'static str,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

pub(super) fn encode_response(
    response: &Response,
    request: &Request,
    echo: &Echo,
    losses: &mut Losses,
) -> Vec<u8> {
    let wanted = if request.encodings.is_empty() { &[Encoding::Float][..] } else { &request.encodings };
    let mut types = Vec::with_capacity(wanted.len());
    for encoding in wanted {
        let list: Option<Vec<Vector>> =
            response.embeddings.iter().map(|embedding| embedding.in_encoding(*encoding)).collect();
        match list {
            Some(list) => types.push((*encoding, list)),
            None => losses.report("embedding_types", format!("{} was not given", encoding.as_str())),
        }
    }
    if types.is_empty() {
        let list = response.embeddings.iter().map(|embedding| embedding.in_encoding(Encoding::Float));
        types.extend(list.collect::<Option<Vec<_>>>().map(|list| (Encoding::Float, list)));
    }
    let extra = response.extra.for_wire(Wire::Cohere);
    if extra.is_none() {
        lose(
            Format::Cohere,
            &response.extra.names().iter().map(|name| (name.as_str(), true)).collect::<Vec<_>>(),
            losses,
        );
    }
    let tokens = response.usage.map_or(0, |usage| usage.input_total());
    let texts = request.inputs.iter().filter_map(|input| match input.pieces.as_slice() {
        [Piece::Text(text)] => Some(text.as_str()),
        _ => None,
    });
    let answer = Answer {
        id: if response.id.is_empty() { &echo.unique } else { &response.id },
        embeddings: ByType(types),
        texts: texts.collect(),
        meta: serde_json::json!({"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}}),
        response_type: "embeddings_by_type",
        extra,
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}
