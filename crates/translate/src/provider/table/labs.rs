//! Vendors that serve models of their own.

use super::{
    CHAT, CredentialScheme, EMBEDDINGS, EXACT, HOST, MESSAGES, NO_CHAT, PLAIN, ProviderSpec, RERANK,
    RESPONSES, RESPONSES_ONLY, Service, counting, without_openai_fields,
};
use crate::Wire;
use crate::count::Format;
use crate::embed;
use crate::provider::{Betas, CallIdForm, Fix, Quirks, ReasoningField, UsageStyle};

pub(super) const ROWS: &[ProviderSpec] = &[
    ProviderSpec {
        name: "ai21",
        display_name: "AI21 Labs",
        base_url: Some("https://api.ai21.com/studio"),
        env: &["AI21_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "anthropic",
        display_name: "Anthropic",
        base_url: Some("https://api.anthropic.com"),
        wire: Wire::Anthropic,
        chat_path: "/v1/messages",
        counting: counting(Format::Anthropic, "/v1/messages/count_tokens"),
        credential: CredentialScheme::Header("x-api-key"),
        env: &["ANTHROPIC_API_KEY"],
        headers: &[("anthropic-version", "2023-06-01")],
        quirks: Quirks { fixes: &[], ..EXACT },
        betas: Betas::ALL,
        ..HOST
    },
    ProviderSpec {
        name: "cohere",
        aliases: &["cohere_chat"],
        display_name: "Cohere",
        base_url: Some("https://api.cohere.com"),
        wire: Wire::Cohere,
        chat_path: "/v2/chat",
        embeddings_path: Some("/v2/embed"),
        rerank_path: Some("/v2/rerank"),
        env: &["COHERE_API_KEY", "CO_API_KEY"],
        quirks: COHERE,
        ..HOST
    },
    ProviderSpec {
        name: "dashscope",
        aliases: &["aliyun"],
        display_name: "Alibaba Model Studio (DashScope)",
        base_url: Some("https://dashscope-intl.aliyuncs.com/compatible-mode"),
        embeddings_path: EMBEDDINGS,
        env: &["DASHSCOPE_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "deepseek",
        display_name: "DeepSeek",
        base_url: Some("https://api.deepseek.com"),
        chat_path: "/chat/completions",
        services: CLAUDES_API,
        env: &["DEEPSEEK_API_KEY"],
        quirks: DEEPSEEK,
        ..HOST
    },
    ProviderSpec {
        name: "gemini",
        aliases: &["google", "google_ai_studio"],
        display_name: "Google Gemini",
        base_url: Some("https://generativelanguage.googleapis.com"),
        wire: Wire::Gemini,
        chat_path: "/v1beta/models/{model}:generateContent",
        stream_path: Some("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        embeddings_path: Some("/v1beta/models/{model}:batchEmbedContents"),
        counting: counting(Format::Gemini, "/v1beta/models/{model}:countTokens"),
        credential: CredentialScheme::Header("x-goog-api-key"),
        env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        quirks: Quirks { fixes: &[], ..EXACT },
        ..HOST
    },
    ProviderSpec {
        name: "gemini_openai",
        display_name: "Google Gemini (its OpenAI endpoint)",
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        chat_path: "/openai/chat/completions",
        embeddings_path: Some("/openai/embeddings"),
        env: &["GEMINI_OPENAI_API_KEY"],
        quirks: GEMINI,
        ..HOST
    },
    ProviderSpec {
        name: "jina",
        aliases: &["jina_ai"],
        display_name: "Jina AI",
        base_url: Some("https://api.jina.ai"),
        chat_path: NO_CHAT,
        embeddings_path: EMBEDDINGS,
        embeddings_format: Some(embed::Format::Jina),
        rerank_path: RERANK,
        env: &["JINA_API_KEY", "JINA_AI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "krutrim",
        display_name: "Krutrim Cloud",
        base_url: Some("https://cloud.olakrutrim.com"),
        env: &["KRUTRIM_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "minimax",
        display_name: "MiniMax",
        base_url: Some("https://api.minimax.io"),
        services: CLAUDES_API,
        env: &["MINIMAX_API_KEY"],
        quirks: Quirks { reasoning_echo: ReasoningField::Details, ..PLAIN },
        ..HOST
    },
    ProviderSpec {
        name: "mistral",
        display_name: "Mistral AI",
        base_url: Some("https://api.mistral.ai"),
        embeddings_path: EMBEDDINGS,
        env: &["MISTRAL_API_KEY"],
        quirks: MISTRAL,
        ..HOST
    },
    ProviderSpec {
        name: "moonshot",
        aliases: &["kimi"],
        display_name: "Moonshot AI",
        base_url: Some("https://api.moonshot.ai"),
        services: CLAUDES_API,
        env: &["MOONSHOT_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "openai",
        display_name: "OpenAI",
        base_url: Some("https://api.openai.com"),
        chat_path: CHAT,
        services: &[RESPONSES, RESPONSES_ONLY],
        embeddings_path: EMBEDDINGS,
        counting: counting(Format::OpenAiResponses, "/v1/responses/input_tokens"),
        env: &["OPENAI_API_KEY"],
        quirks: Quirks { fixes: &[Fix::DropEmptyTools, Fix::CallIds(CallIdForm::Forty)], ..EXACT },
        ..HOST
    },
    ProviderSpec {
        name: "perplexity",
        aliases: &["pplx"],
        display_name: "Perplexity",
        base_url: Some("https://api.perplexity.ai"),
        chat_path: "/chat/completions",
        env: &["PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"],
        quirks: PERPLEXITY,
        ..HOST
    },
    ProviderSpec {
        name: "stepfun",
        display_name: "StepFun",
        base_url: Some("https://api.stepfun.com"),
        env: &["STEPFUN_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "upstage",
        display_name: "Upstage",
        base_url: Some("https://api.upstage.ai"),
        embeddings_path: EMBEDDINGS,
        env: &["UPSTAGE_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "volcengine",
        aliases: &["ark", "doubao"],
        display_name: "Volcengine Ark",
        base_url: Some("https://ark.cn-beijing.volces.com/api"),
        chat_path: "/v3/chat/completions",
        embeddings_path: Some("/v3/embeddings"),
        env: &["ARK_API_KEY", "VOLCENGINE_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "voyage",
        aliases: &["voyageai", "voyage_ai"],
        display_name: "Voyage AI",
        base_url: Some("https://api.voyageai.com"),
        chat_path: NO_CHAT,
        embeddings_path: EMBEDDINGS,
        embeddings_format: Some(embed::Format::Voyage),
        rerank_path: RERANK,
        env: &["VOYAGE_API_KEY", "VOYAGEAI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "xai",
        aliases: &["grok"],
        display_name: "xAI",
        base_url: Some("https://api.x.ai"),
        services: &[RESPONSES],
        env: &["XAI_API_KEY"],
        quirks: XAI,
        ..HOST
    },
    ProviderSpec {
        name: "zai",
        aliases: &["zhipu"],
        display_name: "Z.ai",
        base_url: Some("https://api.z.ai/api"),
        chat_path: "/paas/v4/chat/completions",
        services: CLAUDES_API,
        embeddings_path: Some("/paas/v4/embeddings"),
        env: &["ZAI_API_KEY", "ZHIPUAI_API_KEY"],
        ..HOST
    },
];

/// Claude's API for its tools, below a prefix. Their keys are taken as Bearer there too.
const CLAUDES_API: &[Service] = &[Service { path: "/anthropic/v1/messages", ..MESSAGES }];

/// The wire's encoder writes what it takes and nothing else.
const COHERE: Quirks = Quirks { fixes: &[], reasoning_echo: ReasoningField::None, ..PLAIN };

const DEEPSEEK: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::DeveloperToSystem,
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("presence_penalty"),
        Fix::Drop("frequency_penalty"),
        Fix::Drop("logit_bias"),
        Fix::Drop("seed"),
        Fix::Drop("parallel_tool_calls"),
        Fix::Drop("service_tier"),
        Fix::Drop("user"),
    ],
    ..PLAIN
};

/// Refuses fields it does not know.
const GEMINI: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("logit_bias"),
        Fix::Drop("parallel_tool_calls"),
        Fix::Drop("service_tier"),
        Fix::Drop("user"),
    ],
    reasoning_echo: ReasoningField::CallSignature,
    ..EXACT
};

/// Refuses fields it does not know; usage comes in the last chunk without asking. Reasoning goes back
/// as content chunks, which is no field.
pub(super) const MISTRAL: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::Rename("seed", "random_seed"),
        Fix::Respell("tool_choice", "required", "any"),
        Fix::DeveloperToSystem,
        Fix::CallIds(CallIdForm::Nine),
        Fix::Drop("stream_options"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("logit_bias"),
        Fix::Drop("logprobs"),
        Fix::Drop("top_logprobs"),
        Fix::Drop("service_tier"),
        Fix::Drop("user"),
    ],
    stream_usage: false,
    reasoning_echo: ReasoningField::None,
    ..PLAIN
};

/// Usage always comes; `web_search_options` has a meaning of its own there.
const PERPLEXITY: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::DeveloperToSystem,
        Fix::Drop("stream_options"),
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("logit_bias"),
        Fix::Drop("logprobs"),
        Fix::Drop("top_logprobs"),
        Fix::Drop("n"),
        Fix::Drop("seed"),
        Fix::Drop("stop"),
        Fix::Drop("parallel_tool_calls"),
        Fix::Drop("tool_choice"),
        Fix::Drop("service_tier"),
        Fix::Drop("user"),
    ],
    stream_usage: false,
    reasoning_echo: ReasoningField::None,
    ..PLAIN
};

const XAI: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("web_search_options"),
        Fix::Drop("logit_bias"),
    ],
    reasoning_echo: ReasoningField::ReasoningContent,
    usage: UsageStyle::OutputExcludesReasoning,
    ..EXACT
};
