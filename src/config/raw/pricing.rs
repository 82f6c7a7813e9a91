//! What answers cost: overrides of providers and keys, and `framework.pricing`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Prices that replace the table's for the models that match. The first of a list that matches counts, those
/// of a key before those of its provider. Every price is a field of LiteLLM's table
/// (`input_cost_per_token`, `cache_read_input_token_cost`, `output_cost_per_token_above_200k_tokens`,
/// `search_context_cost_per_query`, …): dollars for one token, image, search or request, as a number or as
/// decimal text. What is not named here stays as the table has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PricingOverride {
    /// The model's name, or what `match_type` makes of it.
    pub model_pattern: String,
    /// How `model_pattern` is read.
    pub match_type: MatchType,
    /// Only for these kinds of request (`chat_completion`, `responses`, `text_completion`, `embedding`,
    /// `rerank`, …; those of streams are the same); empty: for all.
    pub request_types: Vec<String>,
    /// The prices.
    #[serde(flatten)]
    pub costs: BTreeMap<String, Value>,
}

/// How a pattern is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchType {
    /// The name as it is.
    #[default]
    Exact,
    /// `*` stands for any characters.
    Wildcard,
    /// A regular expression, which may match anywhere in the name.
    Regex,
}

/// Settings of the program around the gateway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Framework {
    /// Where prices come from.
    pub pricing: Pricing,
}

/// Where prices come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pricing {
    /// A price table in LiteLLM's form (`model_prices_and_context_window.json`): an `https://` or `http://`
    /// address, a `file://` URL or a path, which starts at the configuration file. Models that it lacks have
    /// the prices the gateway ships with. Without it nothing is fetched.
    pub pricing_url: Option<String>,
    /// Seconds between two reads of the table. When a read fails, the last good table stays.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub pricing_sync_interval: u64,
    /// What becomes of requests for models without a price.
    pub unpriced: Unpriced,
}

impl Default for Pricing {
    fn default() -> Self {
        Self { pricing_url: None, pricing_sync_interval: 86_400, unpriced: Unpriced::default() }
    }
}

/// What becomes of requests for models without a price.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unpriced {
    /// What is done.
    pub policy: UnpricedPolicy,
    /// With `ceiling`: dollars per million tokens of input and of output, as a number or as decimal text.
    pub ceiling_per_million_tokens: Option<Value>,
}

/// What is done with a model that has no price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedPolicy {
    /// It is asked, and its cost is unknown.
    #[default]
    Allow,
    /// It is not asked: the next model is, or the request is refused.
    Deny,
    /// It is asked, and each of its tokens counts as the ceiling says.
    Ceiling,
}
