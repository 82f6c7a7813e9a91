//! `routing`, and the part of `governance` that says the same in the original's words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Hedging, Priority, Strategy, Streaming};

/// Where requests go, beside what their model says.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// Other names of models: `fast: openai/gpt-4o-mini`. An alias may name an alias or a group.
    pub aliases: BTreeMap<String, String>,
    /// Names that stand for several models: one answers, the others stand in for it.
    pub groups: BTreeMap<String, ModelGroup>,
    /// Rules in order: the first that matches a request decides.
    pub rules: Vec<RoutingRule>,
}

/// A name that stands for several models.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelGroup {
    /// Which of them is asked first.
    pub strategy: Strategy,
    /// The models. What is not asked first stands in when that fails.
    pub targets: Vec<RouteTarget>,
}

/// One place a request may go to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteTarget {
    /// `provider/model`, a model, an alias, or (in rules) a group. Absent: the model that was asked for.
    pub model: Option<String>,
    /// Provider, where `model` does not name it.
    pub provider: Option<String>,
    /// Name or id of the one key of that provider that is used.
    pub key: Option<String>,
    /// Share of the requests, relative to the other targets.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub weight: f64,
}

impl Default for RouteTarget {
    fn default() -> Self {
        Self { model: None, provider: None, key: None, weight: 1.0 }
    }
}

/// One rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingRule {
    /// What it is called in the log, in metrics and in `x-bf-rule`.
    pub name: String,
    /// Leave it out.
    pub disabled: bool,
    /// A CEL expression over `model`, `provider`, `headers`, … (see docs/routing.md). Absent: every request.
    pub when: Option<String>,
    /// Where matching requests go: one of these, by weight. Absent: where they would go anyhow.
    pub targets: Vec<RouteTarget>,
    /// Models tried when the target fails, before those that the request names. Absent: the rule's other targets.
    pub fallbacks: Option<Vec<String>>,
    /// Limits of time that stand before those of the providers.
    pub timeouts: RuleTimeouts,
    /// What becomes of a stream that breaks.
    pub streaming: Option<Streaming>,
    /// A second attempt beside the first.
    pub hedging: Option<Hedging>,
    /// Who goes first where there is a queue.
    pub priority: Option<Priority>,
    /// A copy of a share of the requests goes to another model; its answer is logged and thrown away.
    pub mirror: Option<RuleMirror>,
}

/// Limits of time, in seconds. Absent: the provider's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleTimeouts {
    /// Until the response header of an attempt.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub first_byte_in_seconds: Option<f64>,
    /// Until the first token of a streaming attempt.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub ttft_in_seconds: Option<f64>,
    /// Longest silence between two events of a stream.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub stream_idle_in_seconds: Option<f64>,
    /// Whole answer of an attempt that does not stream.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub request_in_seconds: Option<f64>,
    /// Over all attempts.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub total_in_seconds: Option<f64>,
}

/// Where copies of requests go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleMirror {
    /// `provider/model`, a model or an alias.
    pub model: String,
    /// Share of the matching requests that are copied, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
}

impl Default for RuleMirror {
    fn default() -> Self {
        Self { model: String::new(), share: 1.0 }
    }
}

/// One rule in the original's form.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GovernanceRule {
    /// Identifier.
    pub id: Option<String>,
    /// What it is called; by default its `id`.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether the rule is used.
    pub enabled: bool,
    /// A CEL expression. Empty: every request.
    pub cel_expression: String,
    /// Where matching requests go: one of these, by weight.
    pub targets: Vec<GovernanceTarget>,
    /// Models tried when the target fails, before those that the request names.
    pub fallbacks: Vec<String>,
    /// For whom the rule is; by default everybody.
    pub scope: Option<GovernanceScope>,
    /// Which team, customer or virtual key.
    pub scope_id: Option<String>,
    /// Order among these rules, lower first.
    pub priority: i64,
    /// What a visual editor keeps. Not read.
    pub query: Option<Value>,
}

impl Default for GovernanceRule {
    fn default() -> Self {
        Self {
            id: None,
            name: None,
            description: None,
            enabled: true,
            cel_expression: String::new(),
            targets: Vec::new(),
            fallbacks: Vec::new(),
            scope: None,
            scope_id: None,
            priority: 0,
            query: None,
        }
    }
}

/// A target in the original's form.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GovernanceTarget {
    /// Provider; absent: that of the request.
    pub provider: Option<String>,
    /// Model; absent: that of the request.
    pub model: Option<String>,
    /// Id or name of the one key that is used.
    pub key_id: Option<String>,
    /// Share of the requests, relative to the other targets.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub weight: f64,
}

impl Default for GovernanceTarget {
    fn default() -> Self {
        Self { provider: None, model: None, key_id: None, weight: 1.0 }
    }
}

/// For whom a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GovernanceScope {
    /// Everybody.
    Global,
    /// A customer.
    Customer,
    /// A team.
    Team,
    /// A virtual key.
    VirtualKey,
}
