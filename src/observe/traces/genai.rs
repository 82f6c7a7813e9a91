//! OpenTelemetry's conventions for generative AI, and the Vercel AI SDK's beside them.
//!
//! <https://github.com/open-telemetry/semantic-conventions-genai>: they are in development. What has no name there begins with
//! `bifrost.`.

use super::attributes::{Attributes, dollars, seconds};
use super::facts::Facts;

/// The attributes of an attempt.
pub fn describe(facts: &Facts<'_>, out: &mut Attributes) {
    out.text("gen_ai.operation.name", facts.operation);
    out.text("gen_ai.provider.name", facts.vendor);
    out.text("gen_ai.request.model", &facts.attempt.model);
    if facts.record.stream {
        out.flag("gen_ai.request.stream", true);
    }
    out.text_if("gen_ai.conversation.id", facts.record.session_id.as_deref());
    out.text_if("gen_ai.response.model", facts.model_served());
    if let Some(finish) = facts.finish() {
        out.texts("gen_ai.response.finish_reasons", &[finish]);
    }
    if let Some((address, port)) = facts.server {
        out.text("server.address", address);
        out.count("server.port", port.into());
    }
    if let Some(usage) = &facts.usage {
        out.count("gen_ai.usage.input_tokens", usage.input_total());
        out.count("gen_ai.usage.output_tokens", usage.output);
        out.some("gen_ai.usage.cache_read.input_tokens", usage.cache_read);
        out.some("gen_ai.usage.cache_creation.input_tokens", usage.cache_write + usage.cache_write_1h);
        out.some("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
        out.some("gen_ai.usage.audio.input_tokens", usage.audio_input);
        out.some("gen_ai.usage.audio.output_tokens", usage.audio_output);
        if facts.estimated {
            out.flag("bifrost.usage.estimated", true);
        }
    }
    if let Some(nanos) = facts.cost_nanos {
        out.number("gen_ai.usage.cost", dollars(nanos));
    }
    if let Some(us) = facts.first_token_us {
        out.number("gen_ai.response.time_to_first_chunk", seconds(us));
    }
}

/// What the Vercel AI SDK says of a call of a model.
pub fn describe_for_vercel(facts: &Facts<'_>, out: &mut Attributes) {
    let id = operation_id(facts);
    out.text("operation.name", id);
    out.text("ai.operationId", id);
    out.text("ai.model.id", &facts.attempt.model);
    out.text("ai.model.provider", facts.vendor);
    if let Some(usage) = &facts.usage {
        let embeds = facts.operation == "embeddings";
        if embeds {
            out.count("ai.usage.tokens", usage.input_total());
        } else {
            out.count("ai.usage.inputTokens", usage.input_total());
            out.count("ai.usage.outputTokens", usage.output);
            out.count("ai.usage.totalTokens", usage.total());
            out.some("ai.usage.cachedInputTokens", usage.cache_read);
            out.some("ai.usage.reasoningTokens", usage.reasoning);
        }
    }
    out.text_if("ai.response.model", facts.model_served());
    out.text_if("ai.response.finishReason", facts.finish());
    if let Some(us) = facts.first_token_us {
        out.number("ai.response.msToFirstChunk", seconds(us) * 1e3);
    }
}

fn operation_id(facts: &Facts<'_>) -> &'static str {
    match (facts.operation, facts.record.stream) {
        ("embeddings", _) => "ai.embed.doEmbed",
        ("rerank", _) => "ai.rerank.doRerank",
        (_, true) => "ai.streamText.doStream",
        (_, false) => "ai.generateText.doGenerate",
    }
}
