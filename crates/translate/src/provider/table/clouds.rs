//! Clouds that serve models under the customer's own account: hosts and paths hold a region, a project or a
//! resource, which the provider key's settings give.

use super::{
    Counting, CredentialScheme, EXACT, HOST, MESSAGES, ProviderSpec, RESPONSES, RerankAt, Service, counting,
};
use crate::Wire;
use crate::count::Format;
use crate::frame::Framing;
use crate::provider::{Betas, Fix, Quirks};

pub(super) const ROWS: &[ProviderSpec] = &[
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
        credential: CredentialScheme::Aws,
        env: &["AWS_BEARER_TOKEN_BEDROCK"],
        quirks: Quirks { fixes: &[], ..EXACT },
        betas: Betas::CONVERSE,
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
        credential: CredentialScheme::Google,
        env: &["VERTEX_API_KEY"],
        quirks: Quirks { fixes: &[], ..EXACT },
        ..HOST
    },
];

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
            $($fix,)*
        ]
    };
}

const AZURE: &[Service] = &[
    Service { path: "/openai/v1/responses", ..RESPONSES },
    Service {
        path: "/anthropic/v1/messages",
        models: &["claude"],
        exact: false,
        counting: counting(Format::Anthropic, "/anthropic/v1/messages/count_tokens"),
        betas: Betas::AZURE,
        ..MESSAGES
    },
];

const BEDROCK_CLAUDE: &[Fix] = hosted_claude!("\"bedrock-2023-05-31\"", Fix::Take("stream"));

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

const VERTEX: &[Service] = &[
    Service {
        path: "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict",
        stream_path: Some(
            "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:streamRawPredict",
        ),
        models: &["claude"],
        exact: false,
        headers: &[],
        quirks: Quirks { fixes: hosted_claude!("\"vertex-2023-10-16\""), ..EXACT },
        // One path for all models: the model stays in the body.
        counting: Some(Counting {
            format: Format::Anthropic,
            models: &[],
            path: "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/count-tokens:rawPredict",
            quirks: Quirks {
                fixes: &[
                    Fix::Put("anthropic_version", "\"vertex-2023-10-16\""),
                    Fix::Drop("container"),
                    Fix::Drop("inference_geo"),
                    Fix::Drop("mcp_servers"),
                    Fix::Drop("service_tier"),
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
        models: &["-maas", "meta/", "mistralai/", "qwen/", "deepseek-ai/", "openai/"],
        exact: false,
        quirks: EXACT,
        ..RESPONSES
    },
];
