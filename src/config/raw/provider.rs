//! `providers.<name>`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Affinity, AllowedRequests, AzureKey, BackendUrl, BedrockKey, Deployments, Network, PricingOverride,
    Proxy, RequestPaths, Streaming, VertexKey,
};

/// One provider.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    /// Provider keys. Without any, the provider's environment variable is read; providers that need no
    /// key work without.
    pub keys: Vec<ProviderKey>,
    /// How requests are shared among the provider's keys.
    pub strategy: Strategy,
    /// Which requests go to the key and server that requests like them went to. Default `session`, with several base
    /// URLs `prompt`.
    pub affinity: Option<Affinity>,
    /// How the provider is reached.
    pub network_config: Network,
    /// A proxy on the way.
    pub proxy_config: Proxy,
    /// What becomes of this provider's streams that break. Default: as the top-level `streaming` says.
    pub streaming: Option<Streaming>,
    /// Makes a provider of any name out of a known one.
    pub custom_provider_config: Option<CustomProvider>,
    /// Options of the built-in `mock` provider.
    pub mock_config: Option<Mock>,
    /// How many requests may be open, and how many may wait. Without it `network_config.max_conns_per_host` alone
    /// bounds what is open, and 5000 may wait.
    pub concurrency_and_buffer_size: Option<Concurrency>,
    /// Put the request body as sent upstream into the answer. Not active in this version.
    pub send_back_raw_request: bool,
    /// Put the provider's answer into ours. Not active in this version.
    pub send_back_raw_response: bool,
    /// Keep what the provider was sent and what it answered too, where contents are kept: of the attempt that answered.
    pub store_raw_request_response: bool,
    /// Options of the Responses API. Not active in this version.
    pub openai_config: Option<OpenAiOptions>,
    /// Prices that replace the table's.
    pub pricing_overrides: Vec<PricingOverride>,
}

/// How requests are shared among keys. Whatever it is, a key near a rate limit that the provider tells of is eased off
/// before it has to refuse, and one that fails is left alone for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the keys' weights.
    #[default]
    Weighted,
    /// By the weights, less for keys whose recent calls fail, are slow, or are many.
    Adaptive,
    /// The key that answers first; one call in twenty goes by weight, to learn of the others.
    LeastLatency,
    /// The key with the fewest calls under way for its weight.
    LeastInflight,
    /// The key whose deployment of the model is the cheapest; by the weights among equals.
    Cost,
}

/// One provider key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderKey {
    /// Stable identifier; by default derived from provider and name.
    pub id: Option<String>,
    /// Name, unique within the provider; by default `key-1`, `key-2`, …
    pub name: Option<String>,
    /// The key itself or a reference to it.
    pub value: Option<KeyValue>,
    /// Models this key may be used for; empty: every model.
    pub models: Vec<String>,
    /// Models this key must not be used for.
    pub blacklisted_models: Vec<String>,
    /// Share of the traffic relative to the provider's other keys; above 0.
    pub weight: f64,
    /// Whether the key is used.
    pub enabled: bool,
    /// Whether the key is used for batches and files. Not active in this version.
    pub use_for_batch_api: bool,
    /// Newer form of deployments: model names here to model names there.
    pub aliases: BTreeMap<String, String>,
    /// Azure settings.
    pub azure_key_config: Option<AzureKey>,
    /// Vertex AI settings.
    pub vertex_key_config: Option<VertexKey>,
    /// Bedrock settings.
    pub bedrock_key_config: Option<BedrockKey>,
    /// Hugging Face settings.
    pub huggingface_key_config: Option<Deployments>,
    /// Replicate settings.
    pub replicate_key_config: Option<Deployments>,
    /// Address and model of a vLLM server.
    pub vllm_key_config: Option<VllmKey>,
    /// Prices of this key alone; they come before those of its provider.
    pub pricing_overrides: Vec<PricingOverride>,
}

impl Default for ProviderKey {
    fn default() -> Self {
        Self {
            id: None,
            name: None,
            value: None,
            models: Vec::new(),
            blacklisted_models: Vec::new(),
            weight: 1.0,
            enabled: true,
            use_for_batch_api: false,
            aliases: BTreeMap::new(),
            azure_key_config: None,
            vertex_key_config: None,
            bedrock_key_config: None,
            huggingface_key_config: None,
            replicate_key_config: None,
            vllm_key_config: None,
            pricing_overrides: Vec::new(),
        }
    }
}

/// A secret or where it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KeyValue {
    /// The secret, or a reference: `env.NAME`, `$NAME`, `${NAME}`, `os.environ/NAME`, `file:PATH`.
    Text(String),
    /// The original's long form.
    Reference(KeyReference),
}

/// The original's long form of a secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyReference {
    /// The secret, or a reference as above.
    pub value: Option<String>,
    /// Name of an environment variable, with or without `env.` before it.
    pub env_var: Option<String>,
    /// Whether the secret is in the environment variable.
    pub from_env: bool,
}

/// Address and model of a vLLM server.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VllmKey {
    /// Base URL of the server, used when `network_config.base_url` is absent.
    pub url: Option<String>,
    /// Base URLs of several servers of this key, as `network_config.base_urls`.
    pub urls: Vec<BackendUrl>,
    /// The one model it serves.
    pub model_name: Option<String>,
}

/// Makes a provider of any name out of a known one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CustomProvider {
    /// The known provider whose wire format it speaks.
    pub base_provider_type: Option<String>,
    /// The provider needs no key.
    pub is_key_less: bool,
    /// Operations that are allowed; absent: all. When present, only those that are true.
    pub allowed_requests: Option<AllowedRequests>,
    /// Other paths (or URLs on the same host) per operation.
    pub request_path_overrides: RequestPaths,
}

/// Options of the built-in mock provider.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mock {
    /// Pause before the first byte, in milliseconds.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub latency_ms: u64,
    /// Pace of streams, in tokens per second.
    #[schemars(range(min = 0.1, max = 1_000_000.0))]
    pub tokens_per_second: f64,
    /// Share of requests that fail with status 500, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub error_rate: f64,
}

impl Default for Mock {
    fn default() -> Self {
        Self { latency_ms: 0, tokens_per_second: 50.0, error_rate: 0.0 }
    }
}

/// How many requests may be open at a provider, and how many may wait for a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Concurrency {
    /// Requests open at the provider; at most `network_config.max_conns_per_host`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrency: u32,
    /// Requests that may wait for a place. 0: none waits.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub buffer_size: u32,
    /// Requests open at each target, which is a key and a model. By default as many as at the provider.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_key: Option<u32>,
    /// Longest wait for a place, in seconds. By default as long as a response header is waited for
    /// (`first_byte_timeout_in_seconds`); the total limit of a request always holds.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub max_wait_in_seconds: Option<f64>,
    /// Learn from the answers how many requests each target takes at a time: more while it answers, fewer when it
    /// refuses (429, 503, 529) or says nothing in time. The limits above still hold.
    pub adaptive: bool,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            concurrency: 1000,
            buffer_size: 5000,
            per_key: None,
            max_wait_in_seconds: None,
            adaptive: false,
        }
    }
}

/// Options of the Responses API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenAiOptions {
    /// Ask the provider not to keep responses.
    pub disable_store: bool,
}
