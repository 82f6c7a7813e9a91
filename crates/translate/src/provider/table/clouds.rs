//! Clouds that serve models under the customer's own account: hosts and paths hold a region, a project or a
//! resource, which the provider key's settings give.

use super::labs::MISTRAL;
use super::{
    Counting, CredentialScheme, EXACT, HOST, MESSAGES, PLAIN, ProviderSpec, RESPONSES, RESPONSES_ONLY,
    RerankAt, Service, counting, without_openai_fields,
};
use crate::Wire;
use crate::count::Format;
use crate::embed;
use crate::frame::Framing;
use crate::provider::{Betas, Fix, Quirks};

pub(super) const ROWS: &[ProviderSpec] = &[
    ProviderSpec {
        name: "anthropic_aws",
        aliases: &["claude_platform_aws"],
        display_name: "Claude Platform on AWS",
        // Also needs the header `anthropic-workspace-id`, which the config gives.
        // https://docs.aws.amazon.com/claude-platform/latest/userguide/making-requests.html
        base_url: Some("https://aws-external-anthropic.{region}.api.aws"),
        wire: Wire::Anthropic,
        chat_path: "/v1/messages",
        credential: CredentialScheme::Aws("aws-external-anthropic"),
        env: &["ANTHROPIC_AWS_API_KEY"],
        headers: MESSAGES.headers,
        quirks: Quirks { fixes: &[], ..EXACT },
        ..HOST
    },
    ProviderSpec {
        name: "azure",
        aliases: &["azure_openai"],
        display_name: "Azure OpenAI",
        // `https://<resource>.openai.azure.com`: `azure_key_config.endpoint` gives it.
        chat_path: "/openai/deployments/{model}/chat/completions?api-version={api_version}",
        services: AZURE,
        embeddings_path: Some("/openai/deployments/{model}/embeddings?api-version={api_version}"),
        credential: CredentialScheme::Azure,
        env: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
        quirks: EXACT,
        ..HOST
    },
    ProviderSpec {
        name: "bedrock",
        aliases: &["aws_bedrock"],
        display_name: "Amazon Bedrock",
        base_url: Some("https://bedrock-runtime.{region}.amazonaws.com"),
        wire: Wire::BedrockConverse,
        chat_path: "/model/{model}/converse",
        stream_path: Some("/model/{model}/converse-stream"),
        counting: Some(Counting {
            format: Format::BedrockConverse,
            // For Claude alone.
            models: &["anthropic.", "claude"],
            path: "/model/{model}/count-tokens",
            quirks: Quirks { fixes: &[], ..EXACT },
        }),
        services: BEDROCK,
        rerank: Some(RerankAt {
            path: "/rerank",
            host: ("bedrock-runtime", "bedrock-agent-runtime"),
            model: "arn:aws:bedrock:{region}::foundation-model/{model}",
        }),
        credential: CredentialScheme::Aws("bedrock"),
        env: &["AWS_BEARER_TOKEN_BEDROCK"],
        quirks: Quirks { fixes: &[], ..EXACT },
        betas: Betas::CONVERSE,
        ..HOST
    },
    ProviderSpec {
        name: "bedrock_mantle",
        display_name: "Amazon Bedrock (Mantle)",
        base_url: Some("https://bedrock-mantle.{region}.api.aws"),
        services: MANTLE,
        credential: CredentialScheme::Aws("bedrock-mantle"),
        env: &["BEDROCK_MANTLE_API_KEY"],
        quirks: EXACT,
        ..HOST
    },
    ProviderSpec {
        name: "oci",
        aliases: &["oci_genai", "oracle"],
        display_name: "OCI Generative AI",
        // `https://inference.generativeai.<region>.oci.oraclecloud.com/20231130/actions`: the config gives it.
        // With the service's own API keys; requests signed by an OCI user are of another API.
        // https://docs.oracle.com/iaas/Content/generative-ai/api-keys.htm
        services: &[RESPONSES],
        env: &["OCI_GENAI_API_KEY"],
        ..HOST
    },
    ProviderSpec {
        name: "sagemaker",
        aliases: &["aws_sagemaker"],
        display_name: "Amazon SageMaker AI",
        // The model is an endpoint of the account; its container speaks OpenAI's form, and knows no such name.
        // https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html
        base_url: Some("https://runtime.sagemaker.{region}.amazonaws.com"),
        chat_path: "/endpoints/{model}/openai/v1/chat/completions",
        credential: CredentialScheme::Aws("sagemaker"),
        env: &["SAGEMAKER_BEARER_TOKEN"],
        quirks: SAGEMAKER,
        ..HOST
    },
    ProviderSpec {
        name: "snowflake",
        aliases: &["snowflake_cortex"],
        display_name: "Snowflake Cortex",
        // `https://<account>.snowflakecomputing.com/api/v2/cortex`: the config gives it. The key is a
        // programmatic access token; for others the header `x-snowflake-authorization-token-type` tells.
        // https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api
        services: &[Service { models: &["claude"], ..MESSAGES }],
        env: &["SNOWFLAKE_PAT"],
        quirks: EXACT,
        ..HOST
    },
    ProviderSpec {
        name: "vertex",
        aliases: &["vertex_ai"],
        display_name: "Google Vertex AI",
        base_url: Some("https://{region}-aiplatform.googleapis.com"),
        wire: Wire::Gemini,
        chat_path: "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:generateContent",
        stream_path: Some(
            "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:streamGenerateContent?alt=sse",
        ),
        counting: counting(
            Format::Vertex,
            "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:countTokens",
        ),
        services: VERTEX,
        embeddings_path: Some(
            "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:predict",
        ),
        embeddings_format: Some(embed::Format::VertexPredict),
        credential: CredentialScheme::Google,
        env: &["VERTEX_API_KEY"],
        quirks: Quirks { fixes: &[], ..EXACT },
        ..HOST
    },
    ProviderSpec {
        name: "watsonx",
        aliases: &["ibm_watsonx"],
        display_name: "IBM watsonx.ai (model gateway)",
        // `https://<region>.ml.cloud.ibm.com`: the config gives it. The service's own chat wants the project
        // in each body; the gateway of the account is OpenAI's form.
        // https://www.ibm.com/docs/en/watsonx/saas?topic=generation-inferencing-gateway-models
        chat_path: "/ml/gateway/v1/chat/completions",
        embeddings_path: Some("/ml/gateway/v1/embeddings"),
        credential: CredentialScheme::Ibm,
        env: &["WATSONX_API_KEY", "WATSONX_APIKEY"],
        ..HOST
    },
];

const CONTEXT_MANAGEMENT: Fix = Fix::NeedsBeta("context_management", &["context-management-", "compact-"]);
/// The older name of `output_config.format`, which needs no beta.
const OUTPUT_FORMAT: Fix = Fix::NeedsBeta("output_format", &["structured-outputs-"]);
const SPEED: Fix = Fix::NeedsBeta("speed", &["fast-mode-"]);

/// Claude on other clouds: the version stands in the body, and what only Anthropic itself has is refused.
macro_rules! hosted_claude {
    ($version:literal $(, $fix:expr)* $(,)?) => {
        &[
            Fix::Take("model"),
            Fix::Put("anthropic_version", $version),
            Fix::Drop("container"),
            Fix::Drop("inference_geo"),
            Fix::Drop("mcp_servers"),
            Fix::Drop("service_tier"),
            CONTEXT_MANAGEMENT,
            OUTPUT_FORMAT,
            SPEED,
            $($fix,)*
        ]
    };
}

const AZURE: &[Service] = &[
    Service { path: "/openai/v1/responses", ..RESPONSES },
    Service { path: "/openai/v1/responses", ..RESPONSES_ONLY },
    Service {
        path: "/anthropic/v1/messages",
        models: &["claude"],
        exact: false,
        quirks: Quirks { fixes: &[SPEED], ..EXACT },
        counting: Some(Counting {
            format: Format::Anthropic,
            models: &[],
            path: "/anthropic/v1/messages/count_tokens",
            quirks: Quirks { fixes: &[SPEED], ..EXACT },
        }),
        betas: Betas::AZURE,
        ..MESSAGES
    },
];

const BEDROCK_CLAUDE: &[Fix] =
    hosted_claude!("\"bedrock-2023-05-31\"", Fix::Take("stream"), Fix::Hosted(&[]),);

/// Claude's own API, for callers that speak it: nothing of it is lost on the way through Converse.
const BEDROCK: &[Service] = &[Service {
    path: "/model/{model}/invoke",
    stream_path: Some("/model/{model}/invoke-with-response-stream"),
    models: &["anthropic.", "claude"],
    framing: Framing::EventStreamChunks,
    headers: &[],
    quirks: Quirks { fixes: BEDROCK_CLAUDE, ..EXACT },
    counting: Some(Counting {
        format: Format::BedrockInvoke,
        models: &[],
        path: "/model/{model}/count-tokens",
        quirks: Quirks { fixes: BEDROCK_CLAUDE, ..EXACT },
    }),
    betas: Betas::INVOKE,
    takes_urls: false,
    ..MESSAGES
}];

/// Claude is served in its own API only, OpenAI's newest below a prefix of their own.
/// https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html
const MANTLE: &[Service] = &[
    Service {
        path: "/anthropic/v1/messages",
        models: &["anthropic.", "claude"],
        exact: false,
        quirks: Quirks { fixes: &[Fix::Drop("inference_geo"), Fix::Drop("service_tier")], ..EXACT },
        ..MESSAGES
    },
    Service { path: "/openai/v1/responses", models: &["openai.gpt-5"], ..RESPONSES },
    Service {
        wire: Wire::OpenAiChat,
        path: "/openai/v1/chat/completions",
        models: &["openai.gpt-5"],
        exact: false,
        quirks: EXACT,
        ..RESPONSES
    },
    RESPONSES,
];

const SAGEMAKER: Quirks = Quirks {
    fixes: without_openai_fields![
        Fix::Take("model"),
        Fix::Put("model", "\"\""),
        Fix::DeveloperToSystem,
        Fix::Drop("metadata"),
        Fix::Drop("prediction"),
        Fix::Drop("prompt_cache_key"),
        Fix::Drop("web_search_options"),
        Fix::Drop("service_tier"),
    ],
    ..PLAIN
};

/// The one tool of Anthropic's that Google runs as well, in its first version only.
const VERTEX_RUNS: &[&str] = &["web_search_20250305"];

const VERTEX: &[Service] = &[
    Service {
        path: "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict",
        stream_path: Some(
            "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:streamRawPredict",
        ),
        models: &["claude"],
        exact: false,
        headers: &[],
        quirks: Quirks {
            fixes: hosted_claude!(
                "\"vertex-2023-10-16\"",
                Fix::DropInTools("strict"),
                Fix::Hosted(VERTEX_RUNS),
            ),
            ..EXACT
        },
        // One path for all models: the model stays in the body.
        counting: Some(Counting {
            format: Format::Anthropic,
            models: &[],
            path: "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/count-tokens:rawPredict",
            quirks: Quirks {
                // As in its chat, but no betas are named here.
                fixes: &[
                    Fix::Put("anthropic_version", "\"vertex-2023-10-16\""),
                    Fix::Drop("anthropic_beta"),
                    Fix::Drop("container"),
                    Fix::Drop("context_management"),
                    Fix::Drop("inference_geo"),
                    Fix::Drop("mcp_servers"),
                    Fix::Drop("output_format"),
                    Fix::Drop("service_tier"),
                    Fix::Drop("speed"),
                    Fix::DropInTools("strict"),
                    Fix::Hosted(VERTEX_RUNS),
                ],
                ..EXACT
            },
        }),
        betas: Betas::VERTEX,
        takes_urls: false,
        ..MESSAGES
    },
    // Open models as a service: `meta/llama-4-maverick-17b-128e-instruct-maas`.
    Service {
        wire: Wire::OpenAiChat,
        path: "/v1/projects/{project}/locations/{region}/endpoints/openapi/chat/completions",
        models: &["-maas", "meta/", "qwen/", "deepseek-ai/", "openai/", "xai/"],
        exact: false,
        quirks: EXACT,
        ..RESPONSES
    },
    // Mistral's own models, with its name before theirs or without.
    Service {
        wire: Wire::OpenAiChat,
        path: "/v1/projects/{project}/locations/{region}/publishers/mistralai/models/{model}:rawPredict",
        stream_path: Some(
            "/v1/projects/{project}/locations/{region}/publishers/mistralai/models/{model}:streamRawPredict",
        ),
        models: &["mistral-", "ministral-", "codestral-"],
        exact: false,
        quirks: MISTRAL,
        ..RESPONSES
    },
];
