//! Clouds that serve models of others.

use super::{
    EMBEDDINGS, EXACT, HOST, MESSAGES, PLAIN, ProviderSpec, RERANK, RESPONSES, Service, without_openai_fields,
};
use crate::Wire;
use crate::provider::{Fix, Quirks, ReasoningField, UsageStyle};

pub(super) const ROWS: &[ProviderSpec] = &[
    ProviderSpec {
        name: "aimlapi",
        aliases: &["aiml"],
        display_name: "AI/ML API",
        base_url: Some("https://api.aimlapi.com"),
        embeddings_path: EMBEDDINGS,
        env: &["AIML_API_KEY", "AIMLAPI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "baseten",
        display_name: "Baseten",
        base_url: Some("https://inference.baseten.co"),
        embeddings_path: EMBEDDINGS,
        env: &["BASETEN_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "cerebras",
        display_name: "Cerebras",
        base_url: Some("https://api.cerebras.ai"),
        env: &["CEREBRAS_API_KEY"],
        quirks: CEREBRAS,
        ..HOST
    },
    ProviderSpec {
        name: "chutes",
        display_name: "Chutes",
        base_url: Some("https://llm.chutes.ai"),
        env: &["CHUTES_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "cloudflare",
        aliases: &["workers_ai"],
        display_name: "Cloudflare Workers AI",
        // `https://api.cloudflare.com/client/v4/accounts/<account>/ai`: the config gives it.
        embeddings_path: EMBEDDINGS,
        env: &["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "databricks",
        display_name: "Databricks",
        // `https://<workspace>`: the config gives it.
        chat_path: "/serving-endpoints/chat/completions",
        embeddings_path: Some("/serving-endpoints/embeddings"),
        env: &["DATABRICKS_TOKEN", "DATABRICKS_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "deepinfra",
        display_name: "DeepInfra",
        base_url: Some("https://api.deepinfra.com"),
        chat_path: "/v1/openai/chat/completions",
        embeddings_path: Some("/v1/openai/embeddings"),
        env: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        ..HOST
    },
    ProviderSpec {
        name: "featherless",
        aliases: &["featherless_ai"],
        display_name: "Featherless",
        base_url: Some("https://api.featherless.ai"),
        env: &["FEATHERLESS_API_KEY", "FEATHERLESS_AI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "fireworks",
        aliases: &["fireworks_ai"],
        display_name: "Fireworks AI",
        base_url: Some("https://api.fireworks.ai/inference"),
        services: &[RESPONSES, MESSAGES],
        embeddings_path: EMBEDDINGS,
        rerank_path: RERANK,
        env: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        quirks: FIREWORKS,
        ..HOST
    },
    ProviderSpec {
        name: "friendli",
        aliases: &["friendliai"],
        display_name: "FriendliAI",
        base_url: Some("https://api.friendli.ai/serverless"),
        env: &["FRIENDLI_TOKEN", "FRIENDLI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "github_copilot",
        aliases: &["copilot"],
        display_name: "GitHub Copilot",
        // Which paths serve a model is the model's own matter. The key is a token for this API, which its
        // owner gets; no editor's name is given here.
        base_url: Some("https://api.githubcopilot.com"),
        chat_path: "/chat/completions",
        services: COPILOT,
        embeddings_path: Some("/embeddings"),
        env: &["GITHUB_COPILOT_API_TOKEN"],
        quirks: EXACT,
        ..HOST
    },
    ProviderSpec {
        name: "github_models",
        aliases: &["github"],
        display_name: "GitHub Models",
        base_url: Some("https://models.github.ai/inference"),
        chat_path: "/chat/completions",
        embeddings_path: Some("/embeddings"),
        env: &["GITHUB_MODELS_TOKEN", "GITHUB_MODELS_API_KEY"],
        quirks: EXACT,
        ..HOST
    },
    ProviderSpec {
        name: "groq",
        aliases: &["groqcloud"],
        display_name: "Groq",
        base_url: Some("https://api.groq.com/openai"),
        env: &["GROQ_API_KEY"],
        quirks: GROQ,
        ..HOST
    },
    ProviderSpec {
        name: "huggingface",
        aliases: &["hf", "hugging_face"],
        display_name: "Hugging Face",
        // `network_config.extra_headers` may name who pays: `X-HF-Bill-To`.
        base_url: Some("https://router.huggingface.co"),
        env: &["HUGGINGFACE_API_KEY", "HF_TOKEN"],
        ..HOST
    },
    ProviderSpec {
        name: "hyperbolic",
        display_name: "Hyperbolic",
        base_url: Some("https://api.hyperbolic.xyz"),
        env: &["HYPERBOLIC_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "inference_net",
        aliases: &["inference.net"],
        display_name: "Inference.net",
        base_url: Some("https://api.inference.net"),
        env: &["INFERENCE_NET_API_KEY", "INFERENCE_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "ionet",
        aliases: &["io.net", "io_net"],
        display_name: "io.net Intelligence",
        base_url: Some("https://api.intelligence.io.solutions/api"),
        env: &["IOINTELLIGENCE_API_KEY", "IONET_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "kluster",
        aliases: &["kluster_ai"],
        display_name: "kluster.ai",
        base_url: Some("https://api.kluster.ai"),
        env: &["KLUSTER_API_KEY", "KLUSTERAI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "lambda",
        aliases: &["lambda_ai"],
        display_name: "Lambda",
        base_url: Some("https://api.lambda.ai"),
        env: &["LAMBDA_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "lemonfox",
        display_name: "Lemonfox",
        base_url: Some("https://api.lemonfox.ai"),
        env: &["LEMONFOX_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "monsterapi",
        aliases: &["monster", "monster_api"],
        display_name: "MonsterAPI",
        base_url: Some("https://llm.monsterapi.ai"),
        env: &["MONSTER_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "nebius",
        aliases: &["nebius_ai"],
        display_name: "Nebius Token Factory",
        base_url: Some("https://api.tokenfactory.nebius.com"),
        embeddings_path: EMBEDDINGS,
        env: &["NEBIUS_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "nextbit",
        aliases: &["nextbit256"],
        display_name: "NextBit",
        base_url: Some("https://api.nextbit256.com"),
        env: &["NEXTBIT_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "novita",
        aliases: &["novita_ai"],
        display_name: "Novita AI",
        base_url: Some("https://api.novita.ai/v3/openai"),
        chat_path: "/chat/completions",
        embeddings_path: Some("/embeddings"),
        env: &["NOVITA_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "nscale",
        display_name: "Nscale",
        base_url: Some("https://inference.api.nscale.com"),
        env: &["NSCALE_API_KEY", "NSCALE_SERVICE_TOKEN"],
        ..HOST
    },
    ProviderSpec {
        name: "nvidia_nim",
        aliases: &["nim"],
        display_name: "NVIDIA NIM",
        base_url: Some("https://integrate.api.nvidia.com"),
        embeddings_path: EMBEDDINGS,
        env: &["NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "openrouter",
        aliases: &["open_router"],
        display_name: "OpenRouter",
        base_url: Some("https://openrouter.ai/api"),
        embeddings_path: EMBEDDINGS,
        rerank_path: RERANK,
        services: &[RESPONSES, MESSAGES],
        env: &["OPENROUTER_API_KEY"],
        quirks: OPENROUTER,
        ..HOST
    },
    ProviderSpec {
        name: "ovhcloud",
        aliases: &["ovh"],
        display_name: "OVHcloud AI Endpoints",
        base_url: Some("https://oai.endpoints.kepler.ai.cloud.ovh.net"),
        embeddings_path: EMBEDDINGS,
        env: &["OVHCLOUD_API_KEY", "OVH_AI_ENDPOINTS_ACCESS_TOKEN"],
        ..HOST
    },
    ProviderSpec {
        name: "parasail",
        display_name: "Parasail",
        base_url: Some("https://api.parasail.io"),
        env: &["PARASAIL_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "publicai",
        aliases: &["public_ai"],
        display_name: "Public AI",
        base_url: Some("https://api.publicai.co"),
        env: &["PUBLICAI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "replicate",
        display_name: "Replicate",
        base_url: Some("https://api.replicate.com"),
        wire: Wire::Replicate,
        // The model decides what stands below `/v1/`: `wire::replicate::path`.
        chat_path: "/v1/{model}",
        env: &["REPLICATE_API_TOKEN", "REPLICATE_API_KEY"],
        quirks: REPLICATE,
        ..HOST
    },
    ProviderSpec {
        name: "sambanova",
        display_name: "SambaNova",
        base_url: Some("https://api.sambanova.ai"),
        embeddings_path: EMBEDDINGS,
        env: &["SAMBANOVA_API_KEY"],
        quirks: SAMBANOVA,
        ..HOST
    },
    ProviderSpec {
        name: "scaleway",
        display_name: "Scaleway Generative APIs",
        base_url: Some("https://api.scaleway.ai"),
        embeddings_path: EMBEDDINGS,
        env: &["SCALEWAY_API_KEY", "SCW_SECRET_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "siliconflow",
        aliases: &["silicon_flow"],
        display_name: "SiliconFlow",
        base_url: Some("https://api.siliconflow.com"),
        embeddings_path: EMBEDDINGS,
        rerank_path: RERANK,
        env: &["SILICONFLOW_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "together",
        aliases: &["together_ai", "togetherai"],
        display_name: "Together AI",
        base_url: Some("https://api.together.xyz"),
        embeddings_path: EMBEDDINGS,
        rerank_path: RERANK,
        env: &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
        quirks: TOGETHER,
        ..HOST
    },
    ProviderSpec {
        name: "venice",
        aliases: &["venice_ai"],
        display_name: "Venice",
        base_url: Some("https://api.venice.ai/api"),
        env: &["VENICE_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "vercel",
        aliases: &["vercel_ai_gateway"],
        display_name: "Vercel AI Gateway",
        base_url: Some("https://ai-gateway.vercel.sh"),
        embeddings_path: EMBEDDINGS,
        env: &["AI_GATEWAY_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "wandb",
        aliases: &["weights_and_biases"],
        display_name: "Weights & Biases Inference",
        base_url: Some("https://api.inference.wandb.ai"),
        env: &["WANDB_API_KEY"],
        ..HOST
    },
];

const COPILOT: &[Service] =
    &[Service { path: "/responses", ..RESPONSES }, Service { models: &["claude"], ..MESSAGES }];

const CEREBRAS: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("presence_penalty"),
        Fix::Drop("frequency_penalty"),
        Fix::Drop("logit_bias"),
    ],
    reasoning_echo: ReasoningField::Reasoning,
    ..EXACT
};

/// Knows requests of one user by `user`, where OpenAI has `prompt_cache_key`.
const FIREWORKS: Quirks = Quirks {
    fixes: &[
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::Rename("prompt_cache_key", "user"),
        Fix::DeveloperToSystem,
        Fix::DropEmptyTools,
    ],
    ..PLAIN
};

const GROQ: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("logit_bias"),
        Fix::Drop("logprobs"),
        Fix::Drop("top_logprobs"),
    ],
    reasoning_echo: ReasoningField::Reasoning,
    ..EXACT
};

const OPENROUTER: Quirks = Quirks { reasoning_echo: ReasoningField::Details, ..EXACT };

/// Its inputs are named per model: `models.json`.
const REPLICATE: Quirks =
    Quirks { fixes: &[], stream_usage: false, reasoning_echo: ReasoningField::None, usage: UsageStyle::Wire };

const SAMBANOVA: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::DeveloperToSystem,
        Fix::Drop("logprobs"),
        Fix::Drop("top_logprobs"),
        Fix::Drop("presence_penalty"),
        Fix::Drop("frequency_penalty"),
        Fix::Drop("seed"),
    ],
    ..PLAIN
};

const TOGETHER: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Rename("max_completion_tokens", "max_tokens"),
        Fix::DeveloperToSystem,
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("parallel_tool_calls"),
        Fix::Drop("service_tier"),
    ],
    reasoning_echo: ReasoningField::Reasoning,
    ..PLAIN
};
