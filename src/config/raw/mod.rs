//! The configuration as it is written: serde types, nothing resolved, nothing checked beyond types.
//!
//! Field names, units and defaults are those of published Bifrost configurations, so that an existing
//! file loads. The doc comments here are the reference: `conf/schema.json` and `docs/config.md` are
//! generated from them. No logic belongs here.

mod access;
mod backend;
mod cache;
mod client;
mod cloud;
mod cluster;
mod governance;
mod hedging;
mod network;
mod operation;
mod otel;
mod pricing;
mod provider;
mod routing;
mod section;
mod server;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use access::{AdminRole, AuthConfig, OidcLogin};
pub use backend::{Affinity, BackendUrl, CheckKind, HealthCheck, Selection, WeightedUrl};
pub use cache::{CacheOverride, CacheScope, CacheType, SemanticCache};
pub use client::{Client, HeaderFilter, Priority};
pub use cloud::{AwsAccessKey, AzureKey, BedrockKey, Deployments, VertexKey};
pub use cluster::{Cluster, ClusterRedis, OnLoss};
pub use governance::{
    Allowance, Budget, Customer, Governance, Governed, ModelConfig, PreviousKey, ProviderConfig,
    ProviderGovernance, RateLimit, Reservations, Team, VirtualKey,
};
pub use hedging::Hedging;
pub use network::{Network, Proxy, ProxyKind};
pub use operation::{AllowedRequests, RequestPaths};
pub use otel::{OtelCollector, OtelCompression, OtelProtocol, TraceType};
pub use pricing::{Framework, MatchType, Pricing, PricingOverride, Unpriced, UnpricedPolicy};
pub use provider::{
    Concurrency, CustomProvider, KeyReference, KeyValue, Mock, OpenAiOptions, Provider, ProviderKey,
    Strategy, VllmKey,
};
pub use routing::{
    GovernanceRule, GovernanceScope, GovernanceTarget, ModelGroup, RouteTarget, Routing, RoutingRule,
    RuleMirror, RuleTimeouts,
};
pub use section::{Fallbacks, Mcp, McpServer, Plugin, Recovery, Section, Store, Streaming};
pub use server::{Server, Tls};

/// The whole configuration file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Bifrost configuration")]
pub struct Config {
    /// Address of the JSON schema, for editors.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// Listener, threads and shutdown. Read at start only.
    pub server: Server,
    /// Settings of the gateway towards its callers.
    pub client: Client,
    /// Providers by name. Without any, those whose key is in the environment are used, and without
    /// such a key the built-in `mock` provider.
    pub providers: BTreeMap<String, Provider>,
    /// Targets for requests that name no fallbacks themselves.
    pub fallbacks: Option<Fallbacks>,
    /// Second attempts beside slow first ones.
    pub hedging: Option<Hedging>,
    /// Tool servers (Model Context Protocol). Not active in this version.
    pub mcp: Option<Mcp>,
    /// Where the plugin `semantic_cache` keeps answers and vectors beside memory. Without it the gateway keeps them itself, in a file
    /// `bifrost-cache.db` in the app directory; with `enabled: false` in memory alone.
    pub vector_store: Option<Store>,
    /// Plugins in order. Those that are active in this version: `otel` (traces), `semantic_cache` (answers given
    /// again), `telemetry` (the push gateway).
    pub plugins: Vec<Plugin>,
    /// Where settings made at run time, their history and the ledger are kept (`sqlite`, `postgres`). By default a file
    /// `bifrost.db` in the app directory; with `enabled: false` the configuration file is all there is. Read at start
    /// only.
    pub config_store: Option<Store>,
    /// Where the ledger and the request log are kept (`sqlite`, `postgres`), when that is not where `config_store` is; with
    /// `enabled: false` there is no request log. Read at start only.
    pub logs_store: Option<Store>,
    /// Aliases, groups of models, and rules: where requests go, beside what their model says.
    pub routing: Option<Routing>,
    /// Virtual keys, teams, customers, budgets and limits; routing rules of the original's form.
    pub governance: Option<Governance>,
    /// Where prices come from, and what becomes of models without one.
    pub framework: Option<Framework>,
    /// Key that encrypts stored secrets, or `env.NAME`; by default what `BIFROST_ENCRYPTION_KEY` holds. Read at start only.
    pub encryption_key: Option<String>,
    /// Older place of `governance.auth_config`.
    pub auth_config: Option<AuthConfig>,
    /// WebSocket pools. Not active in this version.
    pub websocket: Option<Section>,
    /// What becomes of streams that break, unless a provider says otherwise.
    pub streaming: Option<Streaming>,
    /// Telemetry exporters. Not active in this version; `/metrics` needs no configuration.
    pub telemetry: Option<Section>,
    /// Similarity threshold of the semantic cache, 0 to 1. Belongs in `plugins[].config`; accepted here so
    /// that a published fragment loads as it is: what the plugin does not say is this.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
    /// Several gateways as one: budgets, limits, cool-downs and circuits are shared.
    pub cluster: Option<Cluster>,
    /// Clustering (an enterprise key of the original; see `cluster`). Not active in this version.
    pub cluster_config: Option<Section>,
    /// Single sign-on (an enterprise key of the original). Not active in this version.
    pub saml_config: Option<Section>,
    /// Adaptive load balancing (an enterprise key of the original). Not active in this version.
    pub load_balancer_config: Option<Section>,
    /// Guardrails (an enterprise key of the original). Not active in this version.
    pub guardrails_config: Option<Section>,
    /// Audit logs (an enterprise key of the original). Not active in this version.
    pub audit_logs: Option<Section>,
    /// Streaming of large bodies (an enterprise key of the original). Not active in this version.
    pub large_payload_optimization: Option<Section>,
}

/// Any object; typed when its feature becomes active.
pub type Loose = Map<String, Value>;
