//! Servers that users run themselves, and the mock that is built in. The config gives their base URL.

use super::{
    Counting, CredentialScheme, EMBEDDINGS, EXACT, HOST, MESSAGES, PLAIN, ProviderSpec, RERANK, RESPONSES,
    counting, without_openai_fields,
};
use crate::count::Format;
use crate::provider::{Fix, Quirks, ReasoningField};

pub(super) const ROWS: &[ProviderSpec] = &[
    ProviderSpec {
        name: "llamacpp",
        aliases: &["llama.cpp", "llamafile"],
        display_name: "llama.cpp server",
        counting: COUNTING,
        env: &["LLAMACPP_API_KEY"],
        ..LOCAL
    },
    ProviderSpec {
        name: "lm_studio",
        aliases: &["lmstudio"],
        display_name: "LM Studio",
        services: &[RESPONSES],
        env: &["LM_STUDIO_API_KEY"],
        ..LOCAL
    },
    ProviderSpec {
        name: "mock",
        display_name: "Built-in mock",
        embeddings_path: None,
        quirks: Quirks { fixes: &[], ..EXACT },
        ..LOCAL
    },
    ProviderSpec {
        name: "ollama",
        display_name: "Ollama",
        services: &[RESPONSES, MESSAGES],
        env: &["OLLAMA_API_KEY"],
        quirks: OLLAMA,
        ..LOCAL
    },
    ProviderSpec {
        name: "sgl",
        aliases: &["sglang"],
        display_name: "SGLang",
        counting: COUNTING,
        services: &[RESPONSES],
        rerank_path: RERANK,
        env: &["SGLANG_API_KEY"],
        quirks: ENGINE,
        ..LOCAL
    },
    ProviderSpec {
        name: "vllm",
        aliases: &["hosted_vllm"],
        display_name: "vLLM",
        services: &[RESPONSES],
        counting: COUNTING,
        rerank_path: RERANK,
        env: &["VLLM_API_KEY"],
        quirks: Quirks { reasoning_echo: ReasoningField::Reasoning, ..ENGINE },
        ..LOCAL
    },
];

const LOCAL: ProviderSpec =
    ProviderSpec { embeddings_path: EMBEDDINGS, credential: CredentialScheme::Optional, ..HOST };

/// Engines count with the tokenizer and template of the model they serve, in Anthropic's form. Versions that do
/// not answer 404, and an estimate takes its place.
const COUNTING: Option<Counting> = counting(Format::Anthropic, "/v1/messages/count_tokens");

/// vLLM and SGLang: whether there is a developer role depends on the model's template.
const ENGINE: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::DeveloperToSystem,
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("service_tier"),
    ],
    ..PLAIN
};

const OLLAMA: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("logit_bias"),
        Fix::Drop("n"),
        Fix::Drop("parallel_tool_calls"),
        Fix::Drop("tool_choice"),
        Fix::Drop("service_tier"),
        Fix::Drop("user"),
    ],
    reasoning_echo: ReasoningField::Reasoning,
    ..PLAIN
};
