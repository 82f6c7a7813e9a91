//! `network_config.base_urls` and what belongs to them: several servers that serve the same models.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of several base URLs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BackendUrl {
    /// The base URL, as in `base_url`.
    Plain(String),
    /// With its weight.
    Weighted(WeightedUrl),
}

/// A base URL and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedUrl {
    /// The base URL, as in `base_url`.
    pub url: String,
    /// Share of the traffic relative to the other URLs.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

impl BackendUrl {
    /// URL and weight.
    #[must_use]
    pub fn parts(&self) -> (&str, u32) {
        match self {
            Self::Plain(url) => (url, 1),
            Self::Weighted(weighted) => (&weighted.url, weighted.weight),
        }
    }
}

/// How requests are shared among several base URLs, unless affinity says where one goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// By the URLs' weights.
    #[default]
    Weighted,
    /// In turn, as often as the weights say.
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastInflight,
    /// By the beginning of the prompt, as `affinity: prompt` does.
    ConsistentHash,
}

/// Which requests go where requests like them went before, so that prompt caches keep hitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// None: `x-bf-session-id` has no effect.
    None,
    /// Requests with the same `x-bf-session-id`.
    Session,
    /// Those too, and requests whose prompts begin alike, as long as that overloads nobody. Among keys not where the
    /// model is known to have no lower price for cached input.
    Prompt,
}

/// How servers behind several base URLs are checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// What is checked.
    #[serde(rename = "type")]
    pub kind: CheckKind,
    /// Path on the server, from its root, for checks over HTTP.
    pub path: String,
    /// Headers sent with checks over HTTP, beside `extra_headers`.
    pub headers: BTreeMap<String, String>,
    /// Between two checks.
    #[schemars(range(min = 0.01, max = 86_400.0))]
    pub interval_in_seconds: f64,
    /// A check that takes longer has failed.
    #[schemars(range(min = 0.001, max = 3_600.0))]
    pub timeout_in_seconds: f64,
    /// Good checks in a row after which a server that was down is used again.
    #[schemars(range(min = 1, max = 1_000))]
    pub healthy_after: u32,
    /// Failed checks in a row after which a server is no longer used.
    #[schemars(range(min = 1, max = 1_000))]
    pub unhealthy_after: u32,
    /// The one status that is good; by default every one from 200 to 299.
    #[schemars(range(min = 100, max = 599))]
    pub expected_status: Option<u16>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            kind: CheckKind::Http,
            path: "/health".to_owned(),
            headers: BTreeMap::new(),
            interval_in_seconds: 10.0,
            timeout_in_seconds: 2.0,
            healthy_after: 1,
            unhealthy_after: 2,
            expected_status: None,
        }
    }
}

/// What a check does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// A GET request.
    #[default]
    Http,
    /// A connection, with TLS where the URL has it.
    Tcp,
}
