//! `network_config` and `proxy_config`: how a provider is reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackendUrl, HealthCheck, Selection};

/// How a provider is reached. Times are seconds (fractions allowed), backoffs milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Scheme, host, port and path prefix that replace the provider's own, for example
    /// `http://localhost:4010`. A path that the operation begins with (`/v1`) is not doubled; a query is
    /// kept on every call.
    pub base_url: Option<String>,
    /// Several servers of the same models instead of one: each a base URL, or `{url, weight}`. A request that one cannot
    /// serve goes to another before anything else is tried.
    pub base_urls: Vec<BackendUrl>,
    /// How requests are shared among `base_urls`. Default `weighted`.
    pub selection: Option<Selection>,
    /// How the servers of `base_urls` are checked. Without it they are known by what requests show.
    pub health_check: Option<HealthCheck>,
    /// Headers sent with every call.
    pub extra_headers: BTreeMap<String, String>,
    /// Whole answer of a non-streaming attempt.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub default_request_timeout_in_seconds: f64,
    /// Longest silence between two events of a stream.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub stream_idle_timeout_in_seconds: f64,
    /// Slowest pace of an answer, measured over spans of `stream_idle_timeout_in_seconds` once it began. 0:
    /// any pace.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_bytes_per_second: u32,
    /// Establishing a connection, TLS included.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub connect_timeout_in_seconds: f64,
    /// Until the response header of an attempt; by default the request timeout.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub first_byte_timeout_in_seconds: Option<f64>,
    /// Until the first token of a streaming attempt; by default only the idle timeout applies.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub ttft_timeout_in_seconds: Option<f64>,
    /// Over all attempts of a request at this and later targets; by default no limit.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub total_timeout_in_seconds: Option<f64>,
    /// Tries after the first, on one provider and model.
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: u32,
    /// First pause between two tries, in milliseconds; it doubles each time. Default 500.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retry_backoff_initial: Option<u64>,
    /// Longest pause between two tries, in milliseconds. Default 5000.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retry_backoff_max: Option<u64>,
    /// Another name of `retry_backoff_initial`.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retry_backoff_initial_ms: Option<u64>,
    /// Another name of `retry_backoff_max`.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retry_backoff_max_ms: Option<u64>,
    /// Most connections to the provider's host.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_conns_per_host: u32,
    /// Accept any certificate. Only for tests.
    pub insecure_skip_verify: bool,
    /// PEM certificates trusted besides the system's.
    pub ca_cert_pem: Option<String>,
    /// Speak HTTP/2 only.
    pub enforce_http2: bool,
    /// Beginnings of names of Anthropic's betas that this provider takes (`true`) or refuses (`false`), whatever is
    /// known of it. The longest that fits counts.
    pub beta_header_overrides: BTreeMap<String, bool>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            base_url: None,
            base_urls: Vec::new(),
            selection: None,
            health_check: None,
            extra_headers: BTreeMap::new(),
            default_request_timeout_in_seconds: 30.0,
            stream_idle_timeout_in_seconds: 60.0,
            min_bytes_per_second: 2,
            connect_timeout_in_seconds: 5.0,
            first_byte_timeout_in_seconds: None,
            ttft_timeout_in_seconds: None,
            total_timeout_in_seconds: None,
            max_retries: 2,
            retry_backoff_initial: None,
            retry_backoff_max: None,
            retry_backoff_initial_ms: None,
            retry_backoff_max_ms: None,
            max_conns_per_host: 5000,
            insecure_skip_verify: false,
            ca_cert_pem: None,
            enforce_http2: false,
            beta_header_overrides: BTreeMap::new(),
        }
    }
}

/// A proxy on the way to the provider.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// Kind of proxy.
    #[serde(rename = "type")]
    pub kind: ProxyKind,
    /// Address of the proxy, `http://host:port` or `socks5://host:port`.
    pub url: Option<String>,
    /// User name for authentication at the proxy (Basic, or SOCKS5's own).
    pub username: Option<String>,
    /// Password for it.
    pub password: Option<String>,
    /// PEM certificates of a proxy that opens TLS; trusted besides the system's.
    pub ca_cert_pem: Option<String>,
}

/// Kind of proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// No proxy.
    #[default]
    None,
    /// An HTTP proxy: a tunnel by `CONNECT`.
    Http,
    /// A SOCKS5 proxy; it resolves the provider's name.
    Socks5,
    /// From `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
    Environment,
}
