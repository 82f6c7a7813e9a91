//! OpenInference, as Phoenix reads it: <https://arize-ai.github.io/openinference/spec/semantic_conventions.html>.

use translate::provider::openinference_system;

use super::attributes::{Attributes, dollars};
use super::facts::Facts;

/// The kind of the request's own span: it leads to calls of models and is none.
pub const REQUEST: &str = "CHAIN";
pub const KIND: &str = "openinference.span.kind";

/// The attributes of an attempt.
pub fn describe(facts: &Facts<'_>, out: &mut Attributes) {
    let kind = match facts.operation {
        "embeddings" => "EMBEDDING",
        "rerank" => "RERANKER",
        _ => "LLM",
    };
    out.text(KIND, kind);
    out.text_if("session.id", facts.record.session_id.as_deref());
    let model = match kind {
        "EMBEDDING" => "embedding.model_name",
        "RERANKER" => "reranker.model_name",
        _ => "llm.model_name",
    };
    out.text(model, &facts.attempt.model);
    if kind == "LLM" {
        out.text_if("llm.finish_reason", facts.finish());
        out.text("llm.provider", facts.vendor);
        out.text("llm.system", openinference_system(facts.vendor));
    }
    if let Some(usage) = &facts.usage {
        out.count("llm.token_count.prompt", usage.input_total());
        out.count("llm.token_count.completion", usage.output);
        out.count("llm.token_count.total", usage.total());
        out.some("llm.token_count.prompt_details.cache_read", usage.cache_read);
        out.some("llm.token_count.prompt_details.cache_write", usage.cache_write + usage.cache_write_1h);
        out.some("llm.token_count.prompt_details.audio", usage.audio_input);
        out.some("llm.token_count.completion_details.reasoning", usage.reasoning);
        out.some("llm.token_count.completion_details.audio", usage.audio_output);
    }
    if let Some(nanos) = facts.cost_nanos {
        out.number("llm.cost.total", dollars(nanos));
    }
}
