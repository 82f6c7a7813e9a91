//! `cluster`: several gateways that count as one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Several gateways that share budgets, limits, cool-downs and circuits. Read at start only.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Where they share them. Without it each gateway counts for itself.
    pub redis: Option<ClusterRedis>,
}

/// A Redis (7 or newer) or Valkey server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterRedis {
    /// `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS, `unix:///path`.
    pub url: String,
    /// Begins the name of every key and channel: gateways with the same prefix are one cluster.
    pub prefix: String,
    /// What becomes of requests of callers with budgets or limits when Redis is gone and what this gateway had leased
    /// is used up or has run out.
    pub on_loss: OnLoss,
    /// A gateway that is not heard of for so long loses what it has leased, in milliseconds; when Redis is gone, it
    /// goes on for so long within what it has leased.
    #[schemars(range(min = 1000, max = 600_000))]
    pub lease_in_ms: u64,
    /// Redis is gone when it has not answered for so long, in milliseconds.
    #[schemars(range(min = 10, max = 30_000))]
    pub timeout_in_ms: u64,
}

/// What a gateway does without the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// It goes on with what it knows, and takes its part of what was left: it expects the others to spend as it does.
    #[default]
    Local,
    /// They are refused until Redis is back.
    Deny,
}

impl Default for ClusterRedis {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            prefix: "bifrost:".to_owned(),
            on_loss: OnLoss::Local,
            lease_in_ms: 10_000,
            timeout_in_ms: 250,
        }
    }
}
