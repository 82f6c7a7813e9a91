//! Top-level sections besides providers and client.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Loose;

/// An object whose fields are not read in this version.
pub type Section = Loose;

/// Default fallbacks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fallbacks {
    /// Whether `order` is used.
    pub enabled: bool,
    /// Targets as `provider/model`, aliases or groups, tried in order after the requested one failed.
    pub order: Vec<String>,
}

impl Default for Fallbacks {
    fn default() -> Self {
        Self { enabled: true, order: Vec::new() }
    }
}

/// What becomes of streams that break.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Streaming {
    /// What is done when a stream breaks after its first token. Default: `continue` where a target is able, else `error`.
    /// The header `x-bf-stream-recovery` says it for one request.
    pub recovery: Option<Recovery>,
}

/// What is done when a stream breaks after its first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The stream ends with an error event.
    Error,
    /// The next target whose model is known to go on with an answer does so; the caller sees one stream.
    Continue,
    /// The answer is held back until it is whole, so that it can be begun anew unseen.
    Buffered,
}

/// Tool servers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mcp {
    /// Whether the servers are used.
    pub enabled: bool,
    /// Servers by name, as in MCP client configurations.
    pub servers: BTreeMap<String, McpServer>,
    /// Servers in the original's form (`name`, `connection_type`, `connection_string`, `stdio_config`, …).
    pub client_configs: Vec<Loose>,
    /// Limits of tool execution (`max_agent_depth`, `tool_execution_timeout`, …).
    pub tool_manager_config: Option<Loose>,
    /// Minutes (number) or duration (string) between two reads of the tool lists.
    pub tool_sync_interval: Option<Value>,
}

impl Default for Mcp {
    fn default() -> Self {
        let (servers, client_configs) = (BTreeMap::new(), Vec::new());
        Self { enabled: true, servers, client_configs, tool_manager_config: None, tool_sync_interval: None }
    }
}

/// One tool server.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McpServer {
    /// Program to start, for a server on standard input and output.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Address, for a server over HTTP.
    pub url: Option<String>,
    /// Headers sent to a server over HTTP.
    pub headers: BTreeMap<String, String>,
    /// `stdio`, `http` or `sse`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Leave this server out.
    pub disabled: bool,
}

/// A store: which kind, and its settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Whether the store is used.
    pub enabled: bool,
    /// Kind of store (`sqlite`, `postgres`; of `vector_store`: `embedded`, `weaviate`, `redis`, `qdrant`, `pgvector`, `memory`).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Settings of that kind. `sqlite`: `path`, below the app directory when relative. `postgres`: `host`, `port`, `user`,
    /// `password`, `db_name`, `ssl_mode` (`disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`),
    /// `max_open_conns`. In `logs_store` also `max_size_mb`: the most that the request log takes, in MiB (4096; 0: no bound).
    /// `embedded`: `path`. `weaviate`: `scheme` (`http`, `https`), `host`, `api_key`, `headers`, `timeout`, `class_name`. `redis`:
    /// `addr`, `username`, `password`, `db`, `use_tls`, `context_timeout`. `qdrant`: `host`, `port` (6334), `api_key`, `use_tls`,
    /// `timeout`. `pgvector`: as `postgres`.
    pub config: Loose,
}

impl Default for Store {
    fn default() -> Self {
        Self { enabled: true, kind: None, config: Loose::new() }
    }
}

/// One plugin.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Whether the plugin runs.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Name of a built-in plugin, or any name for a file.
    pub name: String,
    /// Settings of the plugin. `otel`: see `OtelCollector`. `semantic_cache`: see `SemanticCache`. `telemetry`: `push_gateway` with `enabled` (true), `push_gateway_url`,
    /// `job_name` (`bifrost`), `instance_id` (the host's name), `push_interval` (seconds, 15), `basic_auth` (`username`,
    /// `password`).
    #[serde(default)]
    pub config: Option<Value>,
    /// File of a plugin that is not built in.
    #[serde(default)]
    pub path: Option<String>,
    /// Raising it loads the plugin anew.
    #[serde(default)]
    pub version: Option<i64>,
    /// `pre_builtin` or `post_builtin`.
    #[serde(default)]
    pub placement: Option<String>,
    /// Order among plugins of the same placement.
    #[serde(default)]
    pub order: Option<i64>,
}

fn yes() -> bool {
    true
}
