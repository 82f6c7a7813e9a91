//! What the request path reads: one immutable snapshot of the compiled configuration.
//!
//! A request loads the snapshot once and keeps it to its end, so a reload never shows it two
//! configurations. Nothing in here can be wrong: `compile` made it from raw values.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use govern::balance::Strategy;
use govern::queue;
use translate::Wire;
use translate::provider::{CredentialScheme, ProviderSpec};

use super::access::Access;
use super::backend::{Affinity, Backends};
use super::cache::Cache;
use super::cluster::Cluster;
use super::governance::Governance;
use super::policy::{Policy, Priority, Recovery};
use super::prices::{PriceRule, Pricing};
use super::routing::Routing;
use super::stores::Stores;
use super::telemetry::{Label, Push};
use super::traces::Traces;
use crate::credential::Credential;
use crate::egress::fetch;

/// A secret: never shown by `Debug`, `Display` or serialisation.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first four and last four characters with stars between; all stars when short.
    #[must_use]
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        match (chars.get(..4), chars.len().checked_sub(4).and_then(|at| chars.get(at..))) {
            (Some(head), Some(tail)) if chars.len() >= 16 => {
                format!(
                    "{}{}{}",
                    head.iter().collect::<String>(),
                    "*".repeat(24),
                    tail.iter().collect::<String>()
                )
            }
            _ => "*".repeat(8),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with each successful reload; 1 at start.
    pub version: u64,
    pub client: Client,
    /// Sorted by name.
    pub providers: Vec<Arc<Provider>>,
    /// Provider name (also aliases such as `vertex_ai`) to index in `providers`.
    pub by_name: HashMap<Arc<str>, usize>,
    /// Aliases, groups and rules.
    pub routing: Routing,
    /// Read at start only.
    pub cluster: Option<Cluster>,
    /// The seed's top-level `fallbacks.order`, when enabled.
    pub fallbacks: Vec<ModelRef>,
    /// Who may use what, for how much.
    pub governance: Governance,
    /// Who looks after the gateway.
    pub access: Arc<Access>,
    /// For every request that no rule says otherwise of.
    pub policy: Policy,
    /// Where prices come from.
    pub pricing: Pricing,
    /// Read at start only.
    pub stores: Stores,
    /// Everything configured that is secret: it must not stand in anything that is kept.
    pub secrets: Vec<Secret>,
    /// Where metrics are pushed.
    pub push: Option<Push>,
    /// Where traces go.
    pub traces: Traces,
    /// The cache of answers; `None`: there is none.
    pub cache: Option<Arc<Cache>>,
    /// Problems that do not stop the start: unset variables, features that are not active yet.
    pub warnings: Vec<String>,
    /// No provider was configured: the built-in mock answers.
    pub mock_only: bool,
}

impl Snapshot {
    /// The provider of that name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.by_name.get(name).and_then(|&at| self.providers.get(at))
    }
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    pub provider: Arc<str>,
    pub model: Arc<str>,
}

/// `client` settings that the request path reads.
#[derive(Debug, Clone)]
pub struct Client {
    /// A caller's own provider key goes upstream instead of ours.
    pub allow_direct_keys: bool,
    /// Secrets of callers that sign, by access key. Empty: signatures are not looked at.
    pub aws_access_keys: HashMap<String, Secret>,
    pub max_request_body_bytes: u64,
    /// Longest pause between two reads of a request body, and longest wait for a write of the answer.
    pub request_read_timeout: Duration,
    /// A request body must be complete within this time.
    pub request_body_timeout: Duration,
    /// Nobody waits for a place.
    pub drop_excess_requests: bool,
    /// What a caller can raise its requests to.
    pub highest_priority: Priority,
    /// What callers say of themselves in the metrics.
    pub prometheus_labels: Vec<Label>,
    /// Which files named by URL are fetched for providers that take no URLs.
    pub fetch: Arc<fetch::Policy>,
    pub logging: Logging,
}

/// What is kept of requests.
#[derive(Debug, Clone)]
pub struct Logging {
    /// Contents are, unless a virtual key or a request says otherwise.
    pub content: bool,
    /// Bytes that are kept of a body, on each side.
    pub most_content: usize,
    /// Headers that are kept as tags.
    pub headers: Vec<http::HeaderName>,
}

/// One configured provider.
#[derive(Debug)]
pub struct Provider {
    /// The name callers use.
    pub name: Arc<str>,
    pub wire: Wire,
    /// The preset this is, or is based on. The built-in mock has one too.
    pub spec: &'static ProviderSpec,
    /// Answers inside the gateway: the built-in mock.
    pub mock: Option<Mock>,
    pub endpoint: BaseUrl,
    /// Several servers, of which `endpoint` is the first.
    pub backends: Option<Arc<Backends>>,
    pub affinity: Affinity,
    pub credential: CredentialScheme,
    /// How requests are shared among the keys.
    pub strategy: Strategy,
    /// All keys, the disabled ones with their reason. A keyless provider has one key without secret.
    pub keys: Vec<Arc<Key>>,
    /// What it was sent and what it answered is kept too, where contents are.
    pub keeps_raw: bool,
    /// What becomes of its streams that break: its own setting, else the one for all. `None`: nobody said.
    pub recovery: Option<Recovery>,
    pub network: Network,
    /// How many requests may be open here, and how many may wait.
    pub places: queue::Limits,
    /// Longest wait for a place; `None`: as long as for a response header.
    pub max_wait: Option<Duration>,
    /// Operations a custom provider allows; `None`: all.
    pub allowed: Option<AllowedRequests>,
    /// Prices that replace the table's; the first that fits counts.
    pub prices: Vec<PriceRule>,
    /// The part of an upstream request's head that is the same for every request of an operation, made
    /// by the first one.
    pub heads: [OnceLock<http::request::Parts>; 6],
}

/// Where a provider's operations are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    pub tls: bool,
    pub host: Arc<str>,
    pub port: u16,
    /// `Host` header value: the port only when it is not the scheme's own.
    pub authority: Arc<str>,
    /// Path of the base, without a slash at its end.
    pub root: Arc<str>,
    /// Full path and query of chat. In every path `{model}` stands for the model.
    pub chat_path: Arc<str>,
    /// Full path and query of streamed chat, where it is another one.
    pub stream_path: Option<Arc<str>>,
    /// Paths of [`ProviderSpec::services`], in their order.
    pub services: Vec<ServicePaths>,
    /// Full path and query of embeddings, when the provider has them.
    pub embeddings_path: Option<Arc<str>>,
    /// Full path and query of reranking, when the provider has it.
    pub rerank_path: Option<Arc<str>>,
    /// Where reranking is, when it is on a host of its own.
    pub rerank_at: Option<Arc<BaseUrl>>,
    /// How reranking names a model, with `{model}` in it; `None`: by its name.
    pub rerank_model: Option<Arc<str>>,
    /// Full path and query of token counts, when the provider has them.
    pub count_tokens_path: Option<Arc<str>>,
}

/// Where a further service of a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePaths {
    pub path: Arc<str>,
    pub stream_path: Option<Arc<str>>,
    pub count_tokens_path: Option<Arc<str>>,
}

/// Which operations a custom provider allows (`custom_provider_config.allowed_requests`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedRequests {
    pub chat_completion: bool,
    pub chat_completion_stream: bool,
    pub embedding: bool,
    pub count_tokens: bool,
    pub text_completion: bool,
    pub text_completion_stream: bool,
    pub responses: bool,
    pub responses_stream: bool,
    pub rerank: bool,
    pub passthrough: bool,
    pub passthrough_stream: bool,
}

/// One provider key.
#[derive(Debug)]
pub struct Key {
    /// Stable over reloads: the configured `id`, or derived from provider and name.
    pub id: Arc<str>,
    /// What is learned of it is kept under this name: two providers may give their keys the same `id`.
    pub known_as: Arc<str>,
    /// Unique within its provider.
    pub name: Arc<str>,
    /// `None` for keyless providers and disabled keys.
    pub secret: Option<Secret>,
    /// Of all that is configured of it: what was learned of a key is forgotten when it becomes another one.
    pub fingerprint: u64,
    /// Weight in thousandths, at least 1 for an enabled key with a positive weight.
    pub weight: u32,
    /// Empty: every model.
    pub models: Vec<Arc<str>>,
    pub blacklisted_models: Vec<Arc<str>>,
    /// Model names here to what they are called at the provider (deployments, inference profiles).
    pub deployments: HashMap<Arc<str>, Arc<str>>,
    /// Where this key's account is, when that is not where the provider is (region, project, resource).
    pub endpoint: Option<Arc<BaseUrl>>,
    /// Several servers of its own, of which `endpoint` is the first.
    pub backends: Option<Arc<Backends>>,
    /// What proves who asks.
    pub credential: Arc<Credential>,
    /// Prices of this key alone, before those of its provider.
    pub prices: Vec<PriceRule>,
    /// Why this key serves nothing: `enabled: false`, or an unset variable.
    pub disabled: Option<String>,
}

impl Key {
    /// A caller's own key: serves any model, belongs to no configuration.
    #[must_use]
    pub fn direct(secret: Secret) -> Self {
        Self {
            id: "direct".into(),
            known_as: "direct".into(),
            name: "direct".into(),
            secret: Some(secret),
            fingerprint: 0,
            weight: 1,
            models: Vec::new(),
            blacklisted_models: Vec::new(),
            deployments: HashMap::new(),
            endpoint: None,
            backends: None,
            credential: Arc::new(Credential::None),
            prices: Vec::new(),
            disabled: None,
        }
    }

    /// The model as the provider names it for this key.
    #[must_use]
    pub fn deployment<'m>(&'m self, model: &'m Arc<str>) -> &'m Arc<str> {
        self.deployments.get(model).unwrap_or(model)
    }

    /// This key may be used whatever the model.
    #[must_use]
    pub fn serves_all(&self) -> bool {
        self.disabled.is_none() && self.models.is_empty() && self.blacklisted_models.is_empty()
    }

    /// This key may be used for `model`.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        self.disabled.is_none()
            && (self.models.is_empty() || self.models.iter().any(|m| &**m == model))
            && !self.blacklisted_models.iter().any(|m| &**m == model)
    }
}

/// The compiled `network_config` and `proxy_config`.
#[derive(Debug, Clone)]
pub struct Network {
    pub connect_timeout: Duration,
    /// Whole answer of a non-streaming attempt; also the default of `first_byte_timeout`.
    pub request_timeout: Duration,
    /// Until the response header of an attempt.
    pub first_byte_timeout: Duration,
    /// Until the first token of a streaming attempt; `None`: only the idle limit applies.
    pub ttft_timeout: Option<Duration>,
    /// Between two events of a stream.
    pub stream_idle_timeout: Duration,
    /// Slowest pace of an answer over spans of `stream_idle_timeout`; 0: any.
    pub min_bytes_per_second: u32,
    /// Over all attempts of a request at this and later targets; `None`: no limit.
    pub total_timeout: Option<Duration>,
    /// Tries after the first, on one provider and model.
    pub max_retries: u32,
    pub retry_backoff_initial: Duration,
    pub retry_backoff_max: Duration,
    pub max_conns_per_host: u32,
    pub extra_headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Beginnings of names of betas, and whether such are taken.
    pub beta_overrides: BTreeMap<String, bool>,
    pub insecure_skip_verify: bool,
    /// DER certificates from `ca_cert_pem`, checked.
    pub ca: Vec<Vec<u8>>,
    pub enforce_http2: bool,
    pub proxy: Option<EgressProxy>,
}

/// A proxy on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressProxy {
    pub host: Arc<str>,
    pub port: u16,
    pub tunnel: Tunnel,
}

/// How a proxy is asked for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tunnel {
    /// `CONNECT`, with this `Proxy-Authorization`.
    Http { authorization: Option<Secret> },
    /// SOCKS5, with user name and password.
    Socks5 { user: Option<(String, Secret)> },
}

/// Options of the built-in mock provider.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mock {
    /// Before the first byte.
    pub latency: Duration,
    /// Tokens per second of a stream.
    pub tokens_per_second: f64,
    /// Share of requests that fail with 500, 0 to 1.
    pub error_rate: f64,
}

/// The place of a configuration on disk, for messages and for the watcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No file: keys found in the environment, or the mock.
    Environment,
    File(PathBuf),
}
