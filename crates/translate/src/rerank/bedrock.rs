//! Bedrock's `/rerank` on the agent runtime: one query, sources inline, the model by its ARN.

use serde::Deserialize;

use super::{Format, Request, write_rest};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::tree::{Node, Object, to_bytes};

/// The model of a body in this format: its ARN's last part, or what stands in the ARN's place.
///
/// # Errors
/// [`BadRequest`] when the body names none.
pub fn model_of(body: &[u8]) -> Result<String, BadRequest> {
    const PATH: &str = "rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.modelArn";
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer {
        reranking_configuration: Middle,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Middle {
        bedrock_reranking_configuration: Inner,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        model_configuration: Model,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Model {
        model_arn: String,
    }
    let missing = || BadRequest::at(PATH, format!("`{PATH}` is missing, expected the ARN of a model"));
    let outer: Outer = serde_json::from_slice(body).map_err(|_| missing())?;
    let arn = outer.reranking_configuration.bedrock_reranking_configuration.model_configuration.model_arn;
    let model = arn.split_once("foundation-model/").map_or(arn.as_str(), |(_, model)| model);
    if model.is_empty() { Err(missing()) } else { Ok(model.to_owned()) }
}

pub(super) fn encode_request(
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let text = |text| Object::typed("TEXT").with("textQuery", Object::new().with("text", text));
    let source = |text| {
        let inner = Object::typed("TEXT").with("textDocument", Object::new().with("text", text));
        Node::from(Object::typed("INLINE").with("inlineDocumentSource", inner))
    };
    let sources: Vec<Node<'_>> = request.texts(losses)?.into_iter().map(source).collect();
    let mut inner = Object::new().with("modelConfiguration", Object::new().with("modelArn", model));
    inner.put_some("numberOfResults", request.top_n);
    let configuration = Object::typed("BEDROCK_RERANKING_MODEL").with("bedrockRerankingConfiguration", inner);
    let mut body = Object::new()
        .with("queries", vec![text(request.query.as_str()).into()])
        .with("sources", sources)
        .with("rerankingConfiguration", configuration);
    if request.max_tokens_per_doc.is_some() {
        losses.report("max_tokens_per_doc", "has no counterpart on bedrock");
    }
    write_rest(&mut body, request, Format::Bedrock, &[], losses);
    Ok(to_bytes(&body))
}
