//! Cohere's `/v2/rerank`. It takes texts only; what version 1 had beside them (objects, `rank_fields`,
//! `return_documents`) is worked out here, so that callers of either version are served.

use serde_json::Value;

use super::{Format, Request, Response, lose_extra, nodes, write_rest};
use crate::loss::Losses;
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{BadRequest, Echo};

pub(super) fn encode_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let texts = request.texts(losses)?;
    let mut body = Object::new()
        .with("model", model)
        .with("query", request.query.as_str())
        .with("documents", nodes(texts));
    body.put_some("top_n", request.top_n);
    body.put_some("max_tokens_per_doc", request.max_tokens_per_doc);
    write_rest(&mut body, request, Format::Cohere, &["priority"], losses);
    Ok(to_bytes(&body))
}

pub(super) fn encode_response(
    response: &Response,
    request: &Request,
    echo: &Echo,
    losses: &mut Losses,
) -> Vec<u8> {
    let mut results: Vec<Node<'_>> = Vec::with_capacity(response.results.len());
    for ranked in &response.results {
        let mut result = Object::new().with("index", ranked.index);
        result.put("relevance_score", Value::from(ranked.score));
        result.put_some("document", request.repeated(ranked));
        results.push(result.into());
    }
    let id = if response.id.is_empty() { &echo.unique } else { &response.id };
    let mut billed = Object::new();
    billed.put_some("search_units", response.search_units);
    billed.put_some("input_tokens", response.usage.map(|usage| usage.input_total()));
    let meta =
        Object::new().with("api_version", Object::new().with("version", "2")).with("billed_units", billed);
    let mut body = Object::new().with("id", id.as_str()).with("results", results).with("meta", meta);
    match response.extra.for_wire(Format::Cohere.wire()) {
        Some(own) => body.adopt(own),
        None => lose_extra(response, Format::Cohere, losses),
    }
    to_bytes(&body)
}
