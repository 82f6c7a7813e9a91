//! Bedrock's `/rerank` on the agent runtime: one query, sources inline, the model by its ARN.

use super::{Format, Request, write_rest};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::tree::{Node, Object, to_bytes};

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
