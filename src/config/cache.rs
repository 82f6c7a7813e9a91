//! The compiled `semantic_cache` plugin with its `vector_store`: which answers are kept, where, and when one is given again.
//!
//! Settings of one request are made of these, its headers and the overrides that fit; that is `proxy/cache`'s.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use translate::cache::question::Asking;

use super::snapshot::Secret;
use super::stores::Server;

/// The cache of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Cache {
    pub scope: Scope,
    /// Of requests that name none; `None`: they are not cached.
    pub default_key: Option<Arc<str>>,
    pub ttl: Duration,
    pub by_model: bool,
    pub by_provider: bool,
    /// System prompts are not part of what is the same.
    pub without_system: bool,
    pub single_flight: bool,
    /// Gives nothing, only looks.
    pub shadow: bool,
    /// Hits count for limits of requests.
    pub counts_hits: bool,
    /// The beginning of a question is kept; `None`: where contents are.
    pub titles: Option<bool>,
    /// Bytes of answers in memory.
    pub max_memory: u64,
    /// Bytes of one answer.
    pub max_answer: usize,
    /// Over all that a lookup waits for.
    pub lookup_timeout: Duration,
    /// Tokens per second of streams that are given again; `None`: at full speed.
    pub pace: Option<f64>,
    /// `None`: only the same request hits.
    pub semantic: Option<Semantic>,
    /// `None`: memory alone.
    pub store: Option<VectorStore>,
    /// What is kept is deleted at the end of the process.
    pub cleanup: bool,
    pub overrides: Vec<Override>,
}

/// Whose requests share answers: the widest of these that a caller has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    VirtualKey,
    Team,
    Customer,
}

/// How requests are compared by meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Semantic {
    /// Provider of the embeddings: its name in the configuration.
    pub provider: Arc<str>,
    /// As that provider names it.
    pub model: Arc<str>,
    /// Numbers of a vector; `None`: as many as the model gives.
    pub dimension: Option<usize>,
    /// Cosine from which on a question is near, 0 to 1.
    pub threshold: f32,
    pub asking: Asking,
}

/// In which ways answers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    Direct,
    /// The same request too.
    Semantic,
}

/// What is otherwise for some requests. A condition that is `None` holds for all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Override {
    pub virtual_key: Option<Arc<str>>,
    pub cache_key: Option<Arc<str>>,
    pub rule: Option<Arc<str>>,
    /// `model` or `provider/model`, with a `*` at its end for anything.
    pub model: Option<Arc<str>>,
    pub enabled: Option<bool>,
    pub ways: Option<Ways>,
    pub threshold: Option<f32>,
    pub ttl: Option<Duration>,
}

/// Where answers and vectors are kept beside memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStore {
    /// Name of the collection, index, table or prefix.
    pub namespace: Arc<str>,
    pub kind: StoreKind,
}

/// Which store, with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// In the gateway, with a file of SQLite.
    Embedded(Embedded),
    Weaviate(Weaviate),
    Redis(Redis),
    Qdrant(Qdrant),
    /// Postgres with the extension `vector`.
    Pgvector(Server),
}

/// The gateway's own store. What was not used for longest makes room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// `None`: `bifrost-cache.db` in the app directory.
    pub path: Option<PathBuf>,
    /// Entries that are kept.
    pub entries: usize,
    /// Bytes of their answers, questions and vectors.
    pub bytes: u64,
}

impl Default for Embedded {
    fn default() -> Self {
        Self { path: None, entries: 100_000, bytes: 2 << 30 }
    }
}

/// A Weaviate server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weaviate {
    pub tls: bool,
    /// Host, with its port where that is not the scheme's own.
    pub host: Arc<str>,
    pub api_key: Option<Secret>,
    /// Sent with each request.
    pub headers: Vec<(Arc<str>, Secret)>,
    pub timeout: Duration,
    /// Stands before the namespace where it is given.
    pub class: Option<Arc<str>>,
}

/// A Redis or Valkey server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// `host:port`.
    pub address: Arc<str>,
    pub tls: bool,
    pub user: Option<Arc<str>>,
    pub password: Option<Secret>,
    pub database: u32,
    pub timeout: Duration,
}

/// A Qdrant server (gRPC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdrant {
    pub host: Arc<str>,
    pub port: u16,
    pub tls: bool,
    pub api_key: Option<Secret>,
    pub timeout: Duration,
}

impl StoreKind {
    /// Its word in settings and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Weaviate(_) => "weaviate",
            Self::Redis(_) => "redis",
            Self::Qdrant(_) => "qdrant",
            Self::Pgvector(_) => "pgvector",
        }
    }
}

impl Override {
    /// It is for a request of this virtual key and cache key, by this rule, for this model at this provider.
    #[must_use]
    pub fn fits(
        &self,
        virtual_key: &str,
        cache_key: &str,
        rule: &str,
        (provider, model): (&str, &str),
    ) -> bool {
        let is = |wanted: &Option<Arc<str>>, found: &str| wanted.as_deref().is_none_or(|one| one == found);
        is(&self.virtual_key, virtual_key)
            && is(&self.cache_key, cache_key)
            && is(&self.rule, rule)
            && self.model.as_deref().is_none_or(|wanted| {
                matches(wanted, model)
                    || wanted
                        .split_once('/')
                        .is_some_and(|(by, wanted)| by == provider && matches(wanted, model))
            })
    }
}

fn matches(wanted: &str, model: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => model.starts_with(beginning),
        None => wanted == model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_for_what_fits_all_it_names() {
        let fits = |one: &Override| one.fits("vk", "docs", "night", ("openai", "gpt-4o-mini"));
        let named = |name: &str| Some(Arc::from(name));
        assert!(fits(&Override::default()));
        for model in ["gpt-4o-mini", "gpt-4o*", "*", "openai/gpt-4o-mini", "openai/*"] {
            assert!(fits(&Override { model: named(model), ..Override::default() }), "{model}");
        }
        for model in ["gpt-4o", "azure/gpt-4o-mini", "openai/gpt-4", ""] {
            assert!(!fits(&Override { model: named(model), ..Override::default() }), "{model}");
        }
        let both = Override { virtual_key: named("vk"), rule: named("night"), ..Override::default() };
        assert!(fits(&both));
        assert!(!fits(&Override { cache_key: named("other"), ..both }));
    }
}
