//! Jina's and vLLM's `/v1/rerank`, and Voyage's, which has other names for the count and for the list.

use serde_json::{Value, json};

use super::{Format, Request, Response, lose_extra, nodes, write_rest};
use crate::loss::Losses;
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{BadRequest, Echo};

pub(super) fn encode_request(
    format: Format,
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let texts = request.texts(losses)?;
    let mut body = Object::new()
        .with("model", model)
        .with("query", request.query.as_str())
        .with("documents", nodes(texts));
    let voyage = format == Format::Voyage;
    body.put_some(if voyage { "top_k" } else { "top_n" }, request.top_n);
    // Ours to put in: Jina's default is to send them back.
    body.put("return_documents", false);
    if request.max_tokens_per_doc.is_some() {
        losses.report("max_tokens_per_doc", format!("has no counterpart on {}", format.name()));
    }
    write_rest(&mut body, request, format, &["truncation", "truncate_prompt_tokens", "priority"], losses);
    Ok(to_bytes(&body))
}

pub(super) fn encode_response(
    response: &Response,
    request: &Request,
    echo: &Echo,
    losses: &mut Losses,
) -> Vec<u8> {
    let format = request.dialect;
    let voyage = format == Format::Voyage;
    let mut results: Vec<Node<'_>> = Vec::with_capacity(response.results.len());
    for ranked in &response.results {
        let mut result = Object::new().with("index", ranked.index);
        result.put("relevance_score", Value::from(ranked.score));
        let document = request.repeated(ranked).map(|document| match document.get("text") {
            // Voyage repeats the text itself.
            Some(text) if voyage => text.clone(),
            _ => document,
        });
        result.put_some("document", document);
        results.push(result.into());
    }
    let model = if echo.model.is_empty() { &response.model } else { &echo.model };
    let tokens = response.usage.map_or(0, |usage| usage.input_total());
    let mut body = Object::new();
    if voyage {
        body.put("object", "list");
    } else {
        body.put("id", if response.id.is_empty() { echo.unique.as_str() } else { response.id.as_str() });
    }
    body.put(if voyage { "data" } else { "results" }, results);
    body.put("model", model.as_str());
    body.put("usage", json!({"total_tokens": tokens}));
    if response.search_units.is_some() {
        losses.report("search_units", format!("has no counterpart on {}", format.name()));
    }
    match response.extra.for_wire(format.wire()) {
        Some(own) => body.adopt(own),
        None => lose_extra(response, format, losses),
    }
    to_bytes(&body)
}
