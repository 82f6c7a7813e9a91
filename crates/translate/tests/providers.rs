//! The table of providers as people read it, `docs/providers.md`: made from the rows, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::Path;

use translate::Wire;
use translate::provider::{CredentialScheme, ProviderSpec, all, find};

const INTRO: &str = "# Providers

Made by `BIFROST_BLESS=1 cargo test -p translate --test providers` from the rows in
`crates/translate/src/provider/table`; a difference fails that test.

A provider is used when it stands under `providers` in the configuration, or when one of its variables is set.
`{region}` and `{project}` come from the key's settings. Where the base URL is a dash, `network_config.base_url`
gives it. Under \"Wires\" the main one stands first; the others are for callers who speak them, or for the models in
brackets. Every provider's own API is below `/<name>_passthrough/`: any method and path, with the key that is held
here. Headers of an account's own go into `network_config.extra_headers`.
";

const NOTES: &str = "
## What some of them need

| Provider | |
|---|---|
| `anthropic_aws` | `bedrock_key_config` (region; keys, role or profile) or an API key as `value`; the workspace as `network_config.extra_headers: {\"anthropic-workspace-id\": \"wrkspc_…\"}` |
| `bedrock`, `bedrock_mantle` | `bedrock_key_config`, or a Bedrock API key as `value` |
| `azure` | `azure_key_config` |
| `vertex` | `vertex_key_config`. Embeddings go to `:predict`, of Gemini models after `gemini-embedding-001` to `:embedContent`, one text per call |
| `sagemaker` | the model is the name of an endpoint whose container serves OpenAI's chat path; `bedrock_key_config` (region; keys, role or profile: each call gets a token made of them), or such a token as `value`. An inference component: `custom_provider_config.request_path_overrides: {\"chat_completion\": \"/endpoints/<endpoint>/inference-components/{model}/openai/v1/chat/completions\"}`. Other containers: `/sagemaker_passthrough/endpoints/<endpoint>/invocations`, signed |
| `github_copilot` | a token for Copilot's API as `value` (`file:` for one that is renewed), the plan's host as `network_config.base_url` where it is another. The gateway gets no tokens and calls itself by no editor's name: headers that a token's terms want go into `network_config.extra_headers` |
| `monsterapi` | the address is that of its client libraries |
| `huggingface` | who pays: `network_config.extra_headers: {\"X-HF-Bill-To\": \"org\"}` |
| `oci` | `https://inference.generativeai.<region>.oci.oraclecloud.com/20231130/actions` and an API key of the service |
| `snowflake` | `https://<account>.snowflakecomputing.com/api/v2/cortex` and a programmatic access token; for another kind of token `network_config.extra_headers: {\"X-Snowflake-Authorization-Token-Type\": \"KEYPAIR_JWT\"}` |
| `watsonx` | `https://<region>.ml.cloud.ibm.com`, an API key of IBM Cloud (exchanged for tokens), and the account's model gateway |
| `cloudflare` | `https://api.cloudflare.com/client/v4/accounts/<account>/ai` |
| `databricks` | `https://<workspace>` |
| `fal` | `https://fal.run` answers at once; for its queue the base URL `https://queue.fal.run` |

## What is not here, and why

| | |
|---|---|
| OCI with signatures of a user or instance | A signature scheme of its own, for an API of its own; the service's API keys reach the same models |
| Vertex AI ranking | Another host than the provider's own |
| Embeddings of Perplexity (packed integers), Snowflake, MiniMax; reranking of DeepInfra, NVIDIA, DashScope | Formats or hosts of their own |
| Responses where a vendor has it in beta or for some models (Groq, Hugging Face, Cloudflare, Databricks, DashScope, DeepSeek) | They are translated into chat, which serves every model |

Any other host of a known wire: `custom_provider_config.base_provider_type` and `network_config.base_url`.
";

#[test]
fn the_page_says_what_the_rows_say() {
    let mut out = INTRO.to_owned();
    out.push_str("\n| Name | Base URL | Wires | Other operations | Credential | Variables |\n|---|---|---|---|---|---|\n");
    for row in all() {
        let names =
            row.aliases.iter().fold(format!("`{}`", row.name), |names, alias| format!("{names}, `{alias}`"));
        let url = row.base_url.map_or("—".to_owned(), |url| format!("`{url}`"));
        let variables: Vec<String> = row.env.iter().map(|variable| format!("`{variable}`")).collect();
        let cells =
            [names, url, wires(row), operations(row), credential(row.credential), variables.join(", ")];
        writeln!(out, "| {} |", cells.join(" | ")).unwrap();
    }
    out.push_str(NOTES);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    if std::env::var_os("BIFROST_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &out).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = known.lines().zip(out.lines()).find(|(known, now)| known != now);
    assert!(known == out, "docs/providers.md is of another time (BIFROST_BLESS=1 writes it): {differs:?}");
}

/// The vendors that applications come from other gateways with, by the names they are known by there.
#[test]
fn no_vendor_is_left_out() {
    let known = "openai azure anthropic anthropic_aws bedrock bedrock_mantle vertex gemini mistral cohere groq \
        cerebras xai deepseek openrouter perplexity fireworks together nebius huggingface replicate ollama vllm \
        sglang sambanova deepinfra moonshot parasail elevenlabs runway cloudflare databricks nvidia_nim novita \
        hyperbolic siliconflow dashscope zai zhipu minimax baseten github_models github_copilot ai21 nscale \
        lambda featherless upstage inference_net kluster ovhcloud krutrim io_net lemonfox nextbit monster voyage \
        jina deepgram assemblyai stability bfl fal recraft luma oci_genai snowflake_cortex sagemaker watsonx";
    for name in known.split_whitespace() {
        assert!(find(name).is_some(), "{name}");
    }
}

/// Every provider that the notes name is one.
#[test]
fn the_notes_name_rows() {
    let needs = NOTES.split("## What is not here").next().unwrap();
    let named: Vec<&str> = needs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    assert!(named.len() > 10);
    for name in named {
        assert!(all().iter().any(|row| row.name == name), "{name}");
    }
}

fn wires(row: &ProviderSpec) -> String {
    if !row.has_chat() {
        return "none".to_owned();
    }
    let mut wires = vec![name(row.wire).to_owned()];
    for service in row.services {
        let models = match service.models {
            [] => String::new(),
            models => format!(" ({})", models.join(", ")),
        };
        let wire = format!("{}{models}", name(service.wire));
        if !wires.contains(&wire) {
            wires.push(wire);
        }
    }
    wires.join("; ")
}

fn name(wire: Wire) -> &'static str {
    match wire {
        Wire::Anthropic => "Anthropic messages",
        Wire::BedrockConverse => "Bedrock Converse",
        Wire::Cohere => "Cohere v2",
        Wire::Gemini => "Gemini",
        Wire::OpenAiChat => "OpenAI chat",
        Wire::OpenAiResponses => "OpenAI Responses",
        Wire::Replicate => "Replicate",
    }
}

fn operations(row: &ProviderSpec) -> String {
    let counts = row.counting.is_some() || row.services.iter().any(|service| service.counting.is_some());
    let known = [
        (row.embeddings_path.is_some() || row.wire == Wire::BedrockConverse, "embeddings"),
        (row.rerank_path.is_some() || row.rerank.is_some(), "rerank"),
        (counts, "token counts"),
    ];
    let names: Vec<&str> = known.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
    if names.is_empty() { "—".to_owned() } else { names.join(", ") }
}

fn credential(scheme: CredentialScheme) -> String {
    match scheme {
        CredentialScheme::Bearer => "Bearer".to_owned(),
        CredentialScheme::Header(name) => format!("`{name}`"),
        CredentialScheme::Word(word) => format!("`Authorization: {word} …`"),
        CredentialScheme::Optional => "none, or Bearer".to_owned(),
        CredentialScheme::Aws(service) => format!("Bearer, or SigV4 (`{service}`)"),
        CredentialScheme::Azure => "`api-key`, or Microsoft Entra".to_owned(),
        CredentialScheme::Google => "`x-goog-api-key`, or a Google account".to_owned(),
        CredentialScheme::Ibm => "an IBM Cloud key, exchanged".to_owned(),
    }
}
