//! `client`: the gateway towards its callers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cloud::AwsAccessKey;

/// Settings of the gateway towards its callers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// A caller's own provider key goes upstream instead of a configured one.
    pub allow_direct_keys: bool,
    /// Access keys of callers whose AWS SDK signs its requests (SigV4). Each such request is checked against
    /// them. Empty: signatures of callers are not looked at.
    pub aws_access_keys: Vec<AwsAccessKey>,
    /// Largest request body, in MiB; above it 413 is answered before the body is read.
    #[schemars(range(min = 1, max = 4096))]
    pub max_request_body_size_mb: u64,
    /// Longest pause between two reads of a request body, and longest wait for the caller to take more of an answer, in seconds.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub request_read_timeout_in_seconds: f64,
    /// A request body must be complete within this time, in seconds.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub request_body_timeout_in_seconds: f64,
    /// Let URLs of images and documents lead to private, loopback and link-local addresses. Such files are
    /// fetched only for providers that take no URLs.
    pub fetch_private_addresses: bool,
    /// Hosts that images and documents may be fetched from; `*.example.com` stands for every host below it.
    /// Empty: any public host.
    pub fetch_allowed_hosts: Vec<String>,
    /// Largest image or document that is fetched, in MiB.
    #[schemars(range(min = 1, max = 1024))]
    pub fetch_max_size_mb: u64,
    /// Labels of the metrics by caller (`bifrost_caller_*`), at most 8: their values come from the headers `x-bf-prom-<label>`, else
    /// `x-bf-dim-<label>`. Of each label 100 values are told apart; later ones are `other`.
    pub prometheus_labels: Vec<String>,
    /// Let no request wait for a place at a provider: with all places taken it is refused with 503 at once.
    pub drop_excess_requests: bool,
    /// The highest priority that `x-bf-priority` gives a request; what is above counts as this.
    pub highest_priority: Priority,
    /// Objects made at start. Not active in this version: nothing is pooled.
    pub initial_pool_size: Option<u64>,
    /// Keep a request log. Read at start only.
    pub enable_logging: bool,
    /// Keep contents (the bodies of requests and answers) out of what is kept of requests. Absent or `true`: they are kept out.
    /// `false`: they are kept, without secrets. `log_content` of a virtual key says otherwise for its requests, and
    /// `x-bf-log-content: false` keeps one request's contents out.
    pub disable_content_logging: Option<bool>,
    /// Most that is kept of a request's body, and of its answer's, in KiB. What is beyond is cut, and marked as cut.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_logged_body_kb: u64,
    /// Leave stores out of the health answer. Not active in this version.
    pub disable_db_pings_in_health: bool,
    /// Days that requests are kept in the request log; 0: until it has reached its size. Read at start only.
    pub log_retention_days: u64,
    /// Refuse requests without a virtual key.
    pub enforce_auth_on_inference: bool,
    /// Older name of `enforce_auth_on_inference`.
    pub enforce_governance_header: bool,
    /// Another older name of `enforce_auth_on_inference`.
    pub enforce_scim_auth: bool,
    /// Origins (`https://host`) whose pages may ask the administration (`/api`), by CORS. `*`: any, but without the cookie of a login.
    pub allowed_origins: Vec<String>,
    /// Headers that such pages may send, beside those the gateway reads. `*`: any.
    pub allowed_headers: Vec<String>,
    /// Text completions on chat-only models become chats. Not active in this version.
    pub enable_litellm_fallbacks: bool,
    /// Most rounds of automatic tool calls. Not active in this version.
    pub mcp_agent_depth: u64,
    /// Longest tool call, in seconds. Not active in this version.
    pub mcp_tool_execution_timeout: u64,
    /// How code mode groups tools: `server` or `tool`. Not active in this version.
    pub mcp_code_mode_binding_level: String,
    /// Minutes between two reads of tool lists. Not active in this version.
    pub mcp_tool_sync_interval: i64,
    /// Which `x-bf-eh-` headers go upstream. Not active in this version.
    pub header_filter_config: Option<HeaderFilter>,
    /// Seconds that results of asynchronous jobs are kept. Not active in this version.
    pub async_job_result_ttl: u64,
    /// Headers that every request for a model must carry; without them it is refused with 400.
    pub required_headers: Vec<String>,
    /// Headers that are kept with a request, as its tags. Headers that prove who asks are never kept.
    pub logging_headers: Vec<String>,
    /// Routes that need no login. Not active in this version.
    pub whitelisted_routes: Vec<String>,
    /// Dashboard filter option. Not active in this version.
    pub hide_deleted_virtual_keys_in_filters: bool,
    /// Newer form of `enable_litellm_fallbacks`. Not active in this version.
    pub compat: Option<Value>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            allow_direct_keys: false,
            aws_access_keys: Vec::new(),
            max_request_body_size_mb: 100,
            request_read_timeout_in_seconds: 30.0,
            request_body_timeout_in_seconds: 300.0,
            fetch_private_addresses: false,
            fetch_allowed_hosts: Vec::new(),
            fetch_max_size_mb: 20,
            prometheus_labels: Vec::new(),
            drop_excess_requests: false,
            highest_priority: Priority::High,
            initial_pool_size: None,
            enable_logging: true,
            disable_content_logging: None,
            max_logged_body_kb: 1_024,
            disable_db_pings_in_health: false,
            log_retention_days: 365,
            enforce_auth_on_inference: false,
            enforce_governance_header: false,
            enforce_scim_auth: false,
            allowed_origins: vec!["*".to_owned()],
            allowed_headers: Vec::new(),
            enable_litellm_fallbacks: false,
            mcp_agent_depth: 10,
            mcp_tool_execution_timeout: 30,
            mcp_code_mode_binding_level: "server".to_owned(),
            mcp_tool_sync_interval: 10,
            header_filter_config: None,
            async_job_result_ttl: 3600,
            required_headers: Vec::new(),
            logging_headers: Vec::new(),
            whitelisted_routes: Vec::new(),
            hide_deleted_virtual_keys_in_filters: false,
            compat: None,
        }
    }
}

/// Who goes first where requests wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After the others, but never not at all.
    Low,
    /// What requests have that name none.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// Which `x-bf-eh-` headers go upstream; `*` is a wildcard.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderFilter {
    /// Only these.
    pub allowlist: Vec<String>,
    /// None of these.
    pub denylist: Vec<String>,
}
