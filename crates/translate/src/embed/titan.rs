//! Amazon Titan Text Embeddings, version 2, on Bedrock: one text per call, floats.

use serde_json::Value;

use super::{Embedding, Encoding, Format, Request, Response, Vector, count, counted, lose, write_rest};
use crate::Wire;
use crate::ir::Extra;
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::Path;
use crate::wire::tree::{Object, to_bytes};

pub(super) fn encode_request(request: &Request, losses: &mut Losses) -> Result<Vec<u8>, BadRequest> {
    let at = Path::Body.field("input");
    let text = match request.inputs.first() {
        Some(input) => input.only_text(&at.item(0))?,
        None => String::new(),
    };
    let mut body = Object::new().with("inputText", text);
    body.put_some("dimensions", request.dimensions);
    let titled = request.inputs.iter().any(|input| input.title.is_some());
    let quantised = |encoding: &Encoding| !matches!(encoding, Encoding::Float | Encoding::Base64);
    let given = [
        ("title", titled),
        ("task", request.task.is_some()),
        ("truncate", request.truncate.is_some()),
        ("user", request.user.is_some()),
        ("encoding_format", request.encodings.iter().any(quantised)),
    ];
    lose(Format::BedrockTitan, &given, losses);
    write_rest(&mut body, request, Format::BedrockTitan, &["normalize"], losses);
    Ok(to_bytes(&body))
}

pub(super) fn decode_response(value: Value) -> Option<Response> {
    let Value::Object(mut body) = value else { return None };
    let by_type = body.shift_remove("embeddingsByType").unwrap_or_default();
    let values = body.shift_remove("embedding").or_else(|| by_type.get("float").cloned())?;
    let vector = Vector::read(Encoding::Float, values)?;
    let tokens = count(body.shift_remove("inputTextTokenCount").as_ref());
    body.retain(|_, value| !value.is_null());
    Some(Response {
        embeddings: vec![Embedding::one(Encoding::Float, vector)],
        usage: counted(tokens),
        extra: Extra::of(Wire::BedrockConverse, body),
        ..Response::default()
    })
}
