//! `config` of the plugin `semantic_cache`: which answers are kept, and what is given again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Loose;

/// `config` of the plugin `semantic_cache`. Only requests with a cache key (`x-bf-cache-key`, else `default_cache_key`) are looked
/// up and kept. Without `provider` and `embedding_model` answers are found by the same request alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SemanticCache {
    /// Provider of the embeddings: one of `providers`, a local server among them.
    pub provider: Option<String>,
    /// Keys for the embeddings (of the original). Not read: those of `providers.<provider>.keys` are used.
    pub keys: Vec<Loose>,
    /// The model that makes embeddings, as its provider names it.
    pub embedding_model: Option<String>,
    /// Numbers in a vector, as the model gives them. By default what its first answer has.
    #[schemars(range(min = 1, max = 16384))]
    pub dimension: Option<u32>,
    /// Requests are compared by meaning too, where `embedding_model` is given. `false`: only the same request hits.
    pub semantic: bool,
    /// How long an answer is given again: seconds (number), or a text as `5m`, `36h`, `7d`. `x-bf-cache-ttl` says it for one
    /// request.
    pub ttl: Option<Value>,
    /// How near a question must be, 0 to 1 (cosine). Default 0.8. `x-bf-cache-threshold` says it for one request.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
    /// Cache key of requests that name none. Without it they are neither looked up nor kept.
    pub default_cache_key: Option<String>,
    /// Requests with more messages than this are not compared by meaning.
    #[schemars(range(min = 1, max = 1000))]
    pub conversation_history_threshold: u32,
    /// Answers of one model are not given for another.
    pub cache_by_model: bool,
    /// Answers of one provider are not given for another.
    pub cache_by_provider: bool,
    /// System prompts are not looked at: an answer given under one is then given under another.
    pub exclude_system_prompt: bool,
    /// System prompts are compared by meaning, with the question; by default they must be equal.
    pub compare_system_prompt: bool,
    /// Turns before the user's last one that are compared by meaning too, as far as they are nothing but text; the others must be
    /// equal.
    #[schemars(range(max = 100))]
    pub history: u32,
    /// Questions about what a tool answered are compared by meaning too.
    pub compare_tool_results: bool,
    /// Questions with more characters are not compared by meaning: models of embeddings read no further.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_question_chars: u32,
    /// What is kept is deleted when the gateway ends.
    pub cleanup_on_shutdown: bool,
    /// Name of the collection, index, table or prefix in the vector store.
    pub vector_store_namespace: String,
    /// Whose requests share answers. Callers without a virtual key share theirs.
    pub scope: CacheScope,
    /// Equal requests under way share one call: the others get its answer as it comes. `x-bf-cache-single-flight: false` says no
    /// for one request.
    pub single_flight: bool,
    /// Looks up and records what would have been given, and gives nothing.
    pub shadow: bool,
    /// Hits count for limits of requests (never for tokens and money).
    pub count_hits: bool,
    /// Answers in memory, in MiB.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_memory_mb: u64,
    /// Longer answers are not kept, in KiB.
    #[schemars(range(min = 1, max = 32768))]
    pub max_answer_kb: u64,
    /// A lookup that takes longer is a miss, in milliseconds, the embedding included.
    #[schemars(range(min = 1, max = 60000))]
    pub lookup_timeout_in_ms: u64,
    /// Pace of streams that are given again, in tokens per second. By default they come at full speed.
    #[schemars(range(min = 1.0, max = 100_000.0))]
    pub replay_tokens_per_second: Option<f64>,
    /// The beginning of a question is kept beside its answer, for those who look after the cache. By default where contents of
    /// requests are kept (`client.disable_content_logging: false`).
    pub keep_titles: Option<bool>,
    /// What is otherwise for some requests: each field is taken of the first entry that fits and has it.
    pub overrides: Vec<CacheOverride>,
}

impl Default for SemanticCache {
    fn default() -> Self {
        Self {
            provider: None,
            keys: Vec::new(),
            embedding_model: None,
            dimension: None,
            semantic: true,
            ttl: None,
            threshold: None,
            default_cache_key: None,
            conversation_history_threshold: 3,
            cache_by_model: true,
            cache_by_provider: true,
            exclude_system_prompt: false,
            compare_system_prompt: false,
            history: 0,
            compare_tool_results: false,
            max_question_chars: 8_000,
            cleanup_on_shutdown: false,
            vector_store_namespace: "BifrostSemanticCachePlugin".to_owned(),
            scope: CacheScope::default(),
            single_flight: true,
            shadow: false,
            count_hits: true,
            max_memory_mb: 128,
            max_answer_kb: 1024,
            lookup_timeout_in_ms: 500,
            replay_tokens_per_second: None,
            keep_titles: None,
            overrides: Vec::new(),
        }
    }
}

/// Whose requests share answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    /// Those of one virtual key.
    #[default]
    VirtualKey,
    /// Those of a team; of one virtual key, where it has none.
    Team,
    /// Those of a customer; else of a team, else of one virtual key.
    Customer,
}

/// In which ways answers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// By the same request.
    Direct,
    /// By a request that means the same; the same one is found too.
    Semantic,
}

/// What is otherwise for some requests: those that fit everything that is named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheOverride {
    /// Id of the virtual key.
    pub virtual_key: Option<String>,
    /// The cache key.
    pub cache_key: Option<String>,
    /// Name of the routing rule that matched.
    pub rule: Option<String>,
    /// The model, as `model` or `provider/model`; `*` at its end stands for anything.
    pub model: Option<String>,
    /// `false`: these requests are neither looked up nor kept.
    pub enabled: Option<bool>,
    /// In which ways answers are found.
    #[serde(rename = "type")]
    pub kind: Option<CacheType>,
    /// As the plugin's.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
    /// As the plugin's.
    pub ttl: Option<Value>,
}
