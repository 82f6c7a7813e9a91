//! `governance`: virtual keys, teams, customers, budgets and limits, in the original's field names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{AuthConfig, GovernanceRule, Loose};

/// Who may use the gateway, for how much, and where requests go.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Governance {
    /// Keys that callers are given instead of a provider's.
    pub virtual_keys: Vec<VirtualKey>,
    /// Groups of virtual keys with budgets and limits of their own.
    pub teams: Vec<Team>,
    /// Whom teams and virtual keys belong to.
    pub customers: Vec<Customer>,
    /// Budgets that others name by `budget_id`. Each owner has its own count.
    pub budgets: Vec<Budget>,
    /// Rate limits that others name by `rate_limit_id`. Each owner has its own count.
    pub rate_limits: Vec<RateLimit>,
    /// Budgets and limits of models, over all callers.
    pub model_configs: Vec<ModelConfig>,
    /// Budgets and limits of providers, over all callers.
    pub providers: Vec<ProviderGovernance>,
    /// Rules in the original's form. They stand behind those of `routing.rules`, by `priority`.
    pub routing_rules: Vec<GovernanceRule>,
    /// Login of people who look after the gateway.
    pub auth_config: Option<AuthConfig>,
    /// How much a request holds of budgets and token limits while it is under way.
    pub reservations: Reservations,
}

/// How much a request holds of budgets and token limits while it is under way. What it really used is counted when it
/// ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reservations {
    /// The most it can use: `max_tokens`, or the most the model writes. Budgets are never passed; callers that ask for
    /// far more than they use wait for each other.
    Strict,
    /// What requests of this key for this model have used: their 95th percentile, never more than `strict`.
    #[default]
    Adaptive,
    /// Nothing: what requests under way will use is not seen by others.
    Off,
}

/// A struct with budgets and limits: the same fields everywhere.
macro_rules! governed {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)*
            /// One budget.
            pub budget: Option<Budget>,
            /// Several budgets: all must have something left.
            pub budgets: Vec<Budget>,
            /// `id` of an entry of `governance.budgets`.
            pub budget_id: Option<String>,
            /// One set of rate limits.
            pub rate_limit: Option<RateLimit>,
            /// Several sets of rate limits: all hold.
            pub rate_limits: Vec<RateLimit>,
            /// `id` of an entry of `governance.rate_limits`.
            pub rate_limit_id: Option<String>,
        }

        impl Governed for $name {
            fn allowance(&self) -> Allowance<'_> {
                Allowance {
                    budget: self.budget.as_ref(),
                    budgets: &self.budgets,
                    budget_id: self.budget_id.as_deref(),
                    rate_limit: self.rate_limit.as_ref(),
                    rate_limits: &self.rate_limits,
                    rate_limit_id: self.rate_limit_id.as_deref(),
                }
            }
        }
    };
}

/// What has budgets and limits.
pub trait Governed {
    /// The fields that say so.
    fn allowance(&self) -> Allowance<'_>;
}

/// Budgets and limits as they are written.
#[derive(Debug, Clone, Copy)]
pub struct Allowance<'a> {
    pub budget: Option<&'a Budget>,
    pub budgets: &'a [Budget],
    pub budget_id: Option<&'a str>,
    pub rate_limit: Option<&'a RateLimit>,
    pub rate_limits: &'a [RateLimit],
    pub rate_limit_id: Option<&'a str>,
}

governed! {
    /// A key that a caller is given.
    VirtualKey {
        /// Identifier; by default its name.
        id: Option<String>,
        /// What it is called in logs and metrics. No two have the same.
        name: String,
        /// For people.
        description: Option<String>,
        /// The key itself, `sk-bf-…`, or `env.NAME`. Only its hash is kept.
        value: Option<String>,
        /// SHA-256 of the key in hexadecimal, instead of `value`.
        value_hash: Option<String>,
        /// Keys that a rotation lets live on for a while.
        previous: Vec<PreviousKey>,
        /// Whether it is taken.
        is_active: bool,
        /// Moment (RFC 3339) from which on it is not taken any more.
        expires_at: Option<String>,
        /// The team it belongs to. Not beside `customer_id`.
        team_id: Option<String>,
        /// The customer it belongs to. Not beside `team_id`.
        customer_id: Option<String>,
        /// Providers it may use. Absent: every one; an empty list: none.
        provider_configs: Option<Vec<ProviderConfig>>,
        /// Tool servers it may use. Not active in this version.
        mcp_configs: Vec<Loose>,
        /// Whether contents of its requests are kept. Absent: as `client.disable_content_logging` says.
        log_content: Option<bool>,
    }
}

impl Default for VirtualKey {
    fn default() -> Self {
        Self {
            id: None,
            name: String::new(),
            description: None,
            value: None,
            value_hash: None,
            previous: Vec::new(),
            is_active: true,
            expires_at: None,
            team_id: None,
            customer_id: None,
            provider_configs: None,
            mcp_configs: Vec::new(),
            log_content: None,
            budget: None,
            budgets: Vec::new(),
            budget_id: None,
            rate_limit: None,
            rate_limits: Vec::new(),
            rate_limit_id: None,
        }
    }
}

/// A key that was replaced and is still taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreviousKey {
    /// SHA-256 of the key in hexadecimal.
    pub value_hash: String,
    /// Moment (RFC 3339) from which on it is not taken any more.
    #[schemars(required)]
    pub expires_at: String,
}

governed! {
    /// What a virtual key may do at one provider.
    #[derive(Default)]
    ProviderConfig {
        /// The provider's name.
        provider: String,
        /// Share of the requests that name a model without a provider, relative to the key's other providers. Absent:
        /// none, it only stands in.
        weight: Option<f64>,
        /// Models it may use. Absent, or `["*"]`: every one; an empty list: none.
        allowed_models: Option<Vec<String>>,
        /// Models it may not use, whatever `allowed_models` says.
        blacklisted_models: Vec<String>,
        /// Ids or names of the provider keys it may use. Absent, or `["*"]`: every one; an empty list: none.
        key_ids: Option<Vec<String>>,
    }
}

governed! {
    /// A group of virtual keys.
    #[derive(Default)]
    Team {
        /// Identifier; by default its name.
        id: Option<String>,
        /// What it is called. No two have the same.
        name: String,
        /// The customer it belongs to.
        customer_id: Option<String>,
        /// Anything, for people and tools. Not read.
        profile: Option<Loose>,
        /// Anything, for people and tools. Not read.
        config: Option<Loose>,
        /// Anything, for people and tools. Not read.
        claims: Option<Loose>,
    }
}

governed! {
    /// Whom teams and virtual keys belong to.
    #[derive(Default)]
    Customer {
        /// Identifier; by default its name.
        id: Option<String>,
        /// What it is called. No two have the same.
        name: String,
    }
}

governed! {
    /// Budgets and limits of a model, over all callers.
    #[derive(Default)]
    ModelConfig {
        /// Identifier; by default `model_name`, with `provider/` before it where there is one.
        id: Option<String>,
        /// The model as its provider names it.
        model_name: String,
        /// At one provider; absent: wherever it is.
        provider: Option<String>,
    }
}

governed! {
    /// Budgets and limits of a provider, over all callers.
    #[derive(Default)]
    ProviderGovernance {
        /// The provider's name.
        name: String,
    }
}

/// So much money per span of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Identifier, where others name it.
    pub id: Option<String>,
    /// US dollars, above 0; read as a decimal number, to the nano-dollar.
    #[schemars(with = "f64")]
    pub max_limit: Option<Number>,
    /// The span: `30s`, `5m`, `1h`, `1d`, `1w`, `1M` (30 days), `1Y` (365 days).
    pub reset_duration: String,
    /// Begins with the calendar (UTC: midnight, Monday, the first, 1 January) instead of ending now.
    pub calendar_aligned: bool,
    /// What the original's exports say was used. Not read.
    #[schemars(with = "f64")]
    pub current_usage: Option<Number>,
    /// What the original's exports say. Not read.
    pub last_reset: Option<String>,
}

/// So many requests and tokens per span of time. Spans slide: they end now.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    /// Identifier, where others name it.
    pub id: Option<String>,
    /// Tokens, input and output.
    #[schemars(range(min = 1))]
    pub token_max_limit: Option<u64>,
    /// For `token_max_limit`; by default `1m`.
    pub token_reset_duration: Option<String>,
    /// Tokens of input.
    #[schemars(range(min = 1))]
    pub input_token_max_limit: Option<u64>,
    /// For `input_token_max_limit`; by default `1m`.
    pub input_token_reset_duration: Option<String>,
    /// Tokens of output.
    #[schemars(range(min = 1))]
    pub output_token_max_limit: Option<u64>,
    /// For `output_token_max_limit`; by default `1m`.
    pub output_token_reset_duration: Option<String>,
    /// Requests.
    #[schemars(range(min = 1))]
    pub request_max_limit: Option<u64>,
    /// For `request_max_limit`; by default `1m`.
    pub request_reset_duration: Option<String>,
    /// Requests under way at once.
    #[schemars(range(min = 1))]
    pub max_concurrent_requests: Option<u32>,
}
