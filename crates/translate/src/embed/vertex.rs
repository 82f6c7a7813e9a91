//! Text embeddings on Vertex AI: `models/{model}:predict`. Its newer models take contents as Gemini does
//! (`:embedContent`) and are asked in that format.

use serde_json::{Value, json};

use super::{Embedding, Encoding, Format, Request, Response, Vector, count, counted, lose, write_rest};
use super::{Truncate, gemini};
use crate::Wire;
use crate::ir::Extra;
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::Path;
use crate::wire::tree::{Node, Object, to_bytes};

/// The one Gemini model that is asked by `:predict`; those after it are not.
const FIRST_GEMINI: &str = "gemini-embedding-001";

/// `model` is asked by `:embedContent`.
pub(super) fn takes_contents(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gemini-") && !name.starts_with(FIRST_GEMINI)
}

pub(super) fn encode_request(request: &Request, losses: &mut Losses) -> Result<Vec<u8>, BadRequest> {
    let at = Path::Body.field("input");
    let mut instances: Vec<Node<'_>> = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        let mut instance = Object::new().with("content", input.only_text(&at.item(index))?);
        instance.put_some("task_type", request.task.as_ref().and_then(gemini::word));
        instance.put_some("title", input.title.as_deref());
        instances.push(instance.into());
    }
    let mut parameters = Object::new();
    parameters.put_some("outputDimensionality", request.dimensions);
    let cut = match request.truncate {
        Some(Truncate::None) => Some(false),
        Some(Truncate::End) => Some(true),
        Some(Truncate::Start) | None => None,
    };
    parameters.put_some("autoTruncate", cut);
    write_rest(&mut parameters, request, Format::VertexPredict, &["autoTruncate"], losses);
    let quantised = |encoding: &Encoding| !matches!(encoding, Encoding::Float | Encoding::Base64);
    let given = [
        ("task", request.task.as_ref().is_some_and(|task| gemini::word(task).is_none())),
        ("truncate", request.truncate == Some(Truncate::Start)),
        ("user", request.user.is_some()),
        ("encoding_format", request.encodings.iter().any(quantised)),
    ];
    lose(Format::VertexPredict, &given, losses);
    Ok(to_bytes(&Object::new().with("instances", instances).with("parameters", parameters)))
}

/// Tokens are counted per text. A text that was cut is told of by its place in `truncated`.
pub(super) fn decode_response(value: Value) -> Option<Response> {
    let Value::Object(mut body) = value else { return None };
    let Some(Value::Array(list)) = body.shift_remove("predictions") else { return None };
    let (mut embeddings, mut tokens, mut cut) = (Vec::with_capacity(list.len()), None, Vec::new());
    for (index, one) in list.into_iter().enumerate() {
        let Value::Object(mut one) = one else { return None };
        let Some(Value::Object(mut inner)) = one.shift_remove("embeddings") else { return None };
        let values = Vector::read(Encoding::Float, inner.shift_remove("values")?)?;
        embeddings.push(Embedding::one(Encoding::Float, values));
        let statistics = inner.shift_remove("statistics").unwrap_or_default();
        if let Some(more) = count(statistics.get("token_count")) {
            tokens = Some(tokens.unwrap_or(0_u64).saturating_add(more));
        }
        if statistics.get("truncated") == Some(&Value::Bool(true)) {
            cut.push(json!(index));
        }
    }
    if !cut.is_empty() {
        body.insert("truncated".to_owned(), Value::Array(cut));
    }
    Some(Response {
        embeddings,
        usage: counted(tokens),
        extra: Extra::of(Wire::Gemini, body),
        ..Response::default()
    })
}
