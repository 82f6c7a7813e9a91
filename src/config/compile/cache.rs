//! `plugins[]` of `semantic_cache`, and `vector_store`: the cache of answers, and that its parts fit each other.

mod store;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use translate::cache::question::{Asking, SystemPrompt};

use super::Compiler;
use super::routing::Known;
use crate::config::cache::{Cache, Override, Scope, Semantic, VectorStore, Ways};
use crate::config::document::At;
use crate::config::problem::{Problem, child, did_you_mean};
use crate::config::raw::{self, CacheScope, CacheType, SemanticCache};
use crate::config::schema::schema;
use crate::config::span;
use crate::config::validate::validate_part;

/// The plugin's name.
pub(super) const NAME: &str = "semantic_cache";
const SHAPE: &str = "/$defs/SemanticCache";
const TTL: Duration = Duration::from_secs(300);
const THRESHOLD: f64 = 0.8;

/// The cache, where the plugin is on.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    config: &raw::Config,
    known: &Known<'_>,
) -> Option<Arc<Cache>> {
    let mut plugins = config.plugins.iter().enumerate().filter(|(_, plugin)| plugin.name == NAME);
    let first = plugins.next();
    for (at, _) in plugins {
        let pointer = format!("/plugins/{at}/name");
        compiler.problem(&pointer, At::Value, "the plugin semantic_cache was configured before");
    }
    let on = first.is_some_and(|(_, plugin)| plugin.enabled);
    let idle =
        |name: &str| format!("{name} is configured, and the plugin semantic_cache, which uses it, is not");
    if !on && config.vector_store.as_ref().is_some_and(|store| store.enabled) {
        compiler.warn("/vector_store", idle("vector_store"));
    }
    if !on && config.threshold.is_some() {
        compiler.warn("/threshold", idle("threshold"));
    }
    let (at, plugin) = first.filter(|(_, plugin)| plugin.enabled)?;
    let pointer = format!("/plugins/{at}/config");
    let raw = shaped(compiler, plugin.config.as_ref(), &pointer)?;
    let store = store::compile(compiler, config.vector_store.as_ref());
    let mut reading = Reading { compiler, pointer };
    Some(Arc::new(reading.cache(&raw, config.threshold, (known, store))))
}

/// The settings with their types checked; `None`: they are wrong, and it was said.
fn shaped(compiler: &mut Compiler<'_>, config: Option<&Value>, pointer: &str) -> Option<SemanticCache> {
    let empty = Value::Object(Map::new());
    let config = config.unwrap_or(&empty);
    let root = schema();
    let shape = root.pointer(SHAPE).unwrap_or(&Value::Null);
    let found = validate_part(compiler.document, (&root, shape), (config, pointer));
    if !found.is_empty() {
        found.into_iter().for_each(|found| compiler.push(&found.pointer, found.problem));
        return None;
    }
    serde_json::from_value(config.clone()).ok()
}

struct Reading<'c, 'a> {
    compiler: &'c mut Compiler<'a>,
    /// Of the plugin's `config`.
    pointer: String,
}

impl Reading<'_, '_> {
    fn cache(
        &mut self,
        raw: &SemanticCache,
        threshold: Option<f64>,
        (known, store): (&Known<'_>, store::Chosen),
    ) -> Cache {
        if !raw.keys.is_empty() {
            let used = raw.provider.as_deref().unwrap_or("<provider>");
            let message = format!("these keys are not read: those of providers.{used}.keys are used");
            self.compiler.warn(&child(&self.pointer, "keys"), message);
        }
        let namespace = self.namespace(raw);
        Cache {
            scope: match raw.scope {
                CacheScope::VirtualKey => Scope::VirtualKey,
                CacheScope::Team => Scope::Team,
                CacheScope::Customer => Scope::Customer,
            },
            default_key: text(raw.default_cache_key.as_deref()),
            ttl: self.span("ttl", raw.ttl.as_ref()).unwrap_or(TTL),
            by_model: raw.cache_by_model,
            by_provider: raw.cache_by_provider,
            without_system: raw.exclude_system_prompt,
            single_flight: raw.single_flight,
            shadow: raw.shadow,
            counts_hits: raw.count_hits,
            titles: raw.keep_titles,
            max_memory: raw.max_memory_mb.saturating_mul(1024 * 1024),
            max_answer: usize::try_from(raw.max_answer_kb.saturating_mul(1024)).unwrap_or(usize::MAX),
            lookup_timeout: Duration::from_millis(raw.lookup_timeout_in_ms),
            pace: raw.replay_tokens_per_second,
            semantic: self.semantic(raw, threshold, known),
            store: store.kind.map(|kind| VectorStore { namespace, kind }),
            cleanup: raw.cleanup_on_shutdown,
            overrides: raw.overrides.iter().enumerate().map(|(at, one)| self.replaced(at, one)).collect(),
        }
    }

    /// Letters, digits and `_`: what all stores take as a name.
    fn namespace(&mut self, raw: &SemanticCache) -> Arc<str> {
        const LONGEST: usize = 48;
        let name = raw.vector_store_namespace.as_str();
        let letters = name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
        let begins = name.chars().next().is_some_and(|sign| sign.is_ascii_alphabetic());
        if !letters || !begins || name.len() > LONGEST {
            let message = format!(
                "expected at most {LONGEST} letters, digits and _, the first a letter: it becomes a name in the store"
            );
            self.compiler.problem(&child(&self.pointer, "vector_store_namespace"), At::Value, message);
        }
        name.into()
    }

    fn semantic(
        &mut self,
        raw: &SemanticCache,
        threshold: Option<f64>,
        known: &Known<'_>,
    ) -> Option<Semantic> {
        if !raw.semantic {
            return None;
        }
        let (provider, model) = match (text(raw.provider.as_deref()), text(raw.embedding_model.as_deref())) {
            (Some(provider), Some(model)) => (provider, model),
            (None, None) => return None,
            (provider, _) => {
                let missing = if provider.is_some() { "embedding_model" } else { "provider" };
                let message = format!(
                    "`{missing}` is missing: embeddings need both; with neither, or with \"semantic\": false, only the same request hits"
                );
                self.compiler.problem(&self.pointer.clone(), At::Value, message);
                return None;
            }
        };
        let provider = self.provider(&provider, known)?;
        let system = match (raw.exclude_system_prompt, raw.compare_system_prompt) {
            (true, true) => {
                let message = "system prompts are either compared or excluded (exclude_system_prompt)";
                self.compiler.problem(&child(&self.pointer, "compare_system_prompt"), At::Value, message);
                SystemPrompt::Equal
            }
            (true, false) => SystemPrompt::Ignored,
            (false, true) => SystemPrompt::Asked,
            (false, false) => SystemPrompt::Equal,
        };
        #[expect(clippy::cast_possible_truncation, reason = "0 to 1: embeddings are not more exact")]
        let threshold = raw.threshold.or(threshold).unwrap_or(THRESHOLD) as f32;
        let dimension = raw.dimension.and_then(|numbers| usize::try_from(numbers).ok());
        let asking = Asking {
            history: number(raw.history),
            system,
            tool_results: raw.compare_tool_results,
            most_turns: Some(number(raw.conversation_history_threshold).saturating_sub(1)),
            most_chars: number(raw.max_question_chars),
        };
        Some(Semantic { provider, model, dimension, threshold, asking })
    }

    fn provider(&mut self, name: &str, known: &Known<'_>) -> Option<Arc<str>> {
        let found = known.by_name.get(name).and_then(|at| known.providers.get(*at));
        if let Some(provider) = found {
            return Some(Arc::clone(&provider.name));
        }
        let at = child(&self.pointer, "provider");
        let problem = self.compiler.document.problem(
            &at,
            At::Value,
            format!("the provider {name:?} is not configured, and embeddings are asked of it"),
        );
        let names = known.providers.iter().map(|provider| &*provider.name);
        let advice = match did_you_mean(name, names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("add providers.{name}"),
        };
        self.compiler.push(&at, Problem::suggest(problem, advice));
        None
    }

    fn replaced(&mut self, at: usize, raw: &raw::CacheOverride) -> Override {
        let place = format!("overrides/{at}");
        let conditions = [&raw.virtual_key, &raw.cache_key, &raw.rule, &raw.model];
        if conditions.iter().all(|condition| condition.is_none()) {
            let message = "say for which requests this is: virtual_key, cache_key, rule or model";
            self.compiler.problem(&format!("{}/{place}", self.pointer), At::Value, message);
        }
        #[expect(clippy::cast_possible_truncation, reason = "0 to 1: embeddings are not more exact")]
        let threshold = raw.threshold.map(|threshold| threshold as f32);
        Override {
            virtual_key: text(raw.virtual_key.as_deref()),
            cache_key: text(raw.cache_key.as_deref()),
            rule: text(raw.rule.as_deref()),
            model: text(raw.model.as_deref()),
            enabled: raw.enabled,
            ways: raw.kind.map(|kind| match kind {
                CacheType::Direct => Ways::Direct,
                CacheType::Semantic => Ways::Semantic,
            }),
            threshold,
            ttl: self.span(&format!("{place}/ttl"), raw.ttl.as_ref()),
        }
    }

    fn span(&mut self, field: &str, value: Option<&Value>) -> Option<Duration> {
        let value = value.filter(|value| !value.is_null())?;
        let span = span::read(value);
        if span.is_none() {
            let message = "expected seconds, or a text as 30s, 5m, 36h or 7d; more than 0, at most 10 years";
            self.compiler.problem(&format!("{}/{field}", self.pointer), At::Value, message);
        }
        span
    }
}

fn text(found: Option<&str>) -> Option<Arc<str>> {
    found.map(str::trim).filter(|text| !text.is_empty()).map(Arc::from)
}

fn number(found: u32) -> usize {
    usize::try_from(found).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
