//! Model name to provider: what the caller wrote, and what that means here.
//!
//! `provider/model` is split at the first `/` only when the left part is a provider we have, so that
//! `meta-llama/Llama-3` stays one name. A bare name belongs to the route's own family when that
//! family knows it, then to whoever lists it, then to whoever the catalog says has it.

use std::sync::Arc;

use govern::catalog::Catalog;

use super::endpoint::Family;
use super::lead::Names;
use crate::config::snapshot::{Key, ModelRef, Provider, Snapshot};

/// A model name that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownModel {
    /// A provider we have a preset for, but no configuration.
    ProviderNotConfigured { provider: &'static str, env: Option<&'static str> },
    /// Nobody lists it; names that look like it.
    NoSuchModel { near: Vec<String> },
}

/// Finds the provider of `name`.
///
/// # Errors
/// [`UnknownModel`] with what would help the caller.
pub fn resolve(
    name: &str,
    family: Family,
    snapshot: &Snapshot,
    catalog: &Catalog<'_>,
) -> Result<ModelRef, UnknownModel> {
    let name = snapshot.routing.meant(name);
    if let Some(found) = find(name, family, snapshot, catalog) {
        return Ok(found);
    }
    if let Some(spec) = name.split_once('/').and_then(|(left, _)| translate::provider::find(left)) {
        return Err(UnknownModel::ProviderNotConfigured {
            provider: spec.name,
            env: spec.env.first().copied(),
        });
    }
    Err(UnknownModel::NoSuchModel { near: near(name, snapshot, catalog) })
}

/// As [`resolve`], without looking for what would help the caller. Of a group, the first model that somebody has.
#[must_use]
pub fn find(name: &str, family: Family, snapshot: &Snapshot, catalog: &Catalog<'_>) -> Option<ModelRef> {
    let name = snapshot.routing.meant(name);
    if let Some(group) = snapshot.routing.group(name) {
        return super::lead::members(group, &Names { family, snapshot, catalog })
            .next()
            .map(|(found, _)| found);
    }
    if let Some((provider, model)) = split(name, snapshot) {
        return Some(ModelRef { provider: Arc::clone(&provider.name), model: model.into() });
    }
    let provider = bare(name, family, snapshot, catalog)?;
    Some(ModelRef { provider: Arc::clone(&provider.name), model: name.into() })
}

/// Splits `provider/model` when the left part is a configured provider.
#[must_use]
pub fn split<'s, 'n>(name: &'n str, snapshot: &'s Snapshot) -> Option<(&'s Arc<Provider>, &'n str)> {
    let (left, model) = name.split_once('/')?;
    let provider = snapshot.provider(left)?;
    (!model.is_empty()).then_some((provider, model))
}

/// The provider name that owns a family's bare model names.
pub fn own_provider(family: Family, name: &str, own_is: impl Fn(&str) -> bool) -> &'static str {
    match family {
        Family::OpenAi => "openai",
        Family::Anthropic => "anthropic",
        Family::Gemini if own_is("gemini") => "gemini",
        Family::Gemini => "vertex",
        Family::Bedrock => "bedrock",
        Family::Cohere => "cohere",
        Family::Unified if name.starts_with("claude") => "anthropic",
        Family::Unified if name.starts_with("gemini-") => "gemini",
        Family::Unified if ["command-", "embed-", "rerank-"].iter().any(|own| name.starts_with(own)) => {
            "cohere"
        }
        Family::Unified => "openai",
    }
}

fn bare<'s>(
    name: &str,
    family: Family,
    snapshot: &'s Snapshot,
    catalog: &Catalog<'_>,
) -> Option<&'s Arc<Provider>> {
    let own = snapshot
        .provider(own_provider(family, name, |own| snapshot.provider(own).is_some()))
        .filter(|p| usable(p));
    let lists = |p: &&Arc<Provider>| usable(p) && p.keys.iter().any(|key| lists(&key.models, name));
    let knows = |p: &Arc<Provider>| {
        p.keys.iter().any(|key| key.serves(name)) && catalog.find(&p.name, name).is_some()
    };
    let configured = || snapshot.providers.iter().filter(|p| p.mock.is_none());

    own.filter(lists)
        .or_else(|| own.filter(|p| knows(p)))
        .or_else(|| configured().find(lists))
        .or_else(|| {
            catalog
                .providers_of(name)
                .filter_map(|provider| snapshot.provider(provider))
                .find(|p| p.keys.iter().any(|key| key.serves(name)))
        })
        // A model newer than the catalog: the family's own provider will know, unless its keys say
        // which models they serve.
        .or_else(|| own.filter(|p| p.keys.iter().any(|key| key.serves(name))))
        .or_else(|| only(configured()).filter(|p| p.keys.iter().any(|key| key.serves(name))))
        .or_else(|| snapshot.provider("mock").filter(|p| snapshot.mock_only || lists(p)))
}

/// The provider is known to have the model: a key lists it, or the catalog does.
#[must_use]
pub fn has(provider: &Provider, model: &str, catalog: &Catalog<'_>) -> bool {
    let listed = |key: &Arc<Key>| key.disabled.is_none() && lists(&key.models, model);
    provider.keys.iter().any(listed)
        || catalog.find(&provider.name, model).is_some()
        || (provider.mock.is_some() && crate::mock::MODELS.contains(&model))
}

fn lists(models: &[Arc<str>], name: &str) -> bool {
    models.iter().any(|model| &**model == name)
}

fn usable(provider: &Provider) -> bool {
    provider.keys.iter().any(|key| key.disabled.is_none())
}

fn only<'s>(mut providers: impl Iterator<Item = &'s Arc<Provider>>) -> Option<&'s Arc<Provider>> {
    let first = providers.next()?;
    providers.next().is_none().then_some(first)
}

/// Every model we can name for this configuration, as `provider/model`: listed by keys, or in the
/// catalog of a provider with a key that takes it; aliases and groups have no provider. Sorted, without repeats.
#[must_use]
pub fn known(snapshot: &Snapshot, catalog: &Catalog<'_>) -> Vec<ModelRef> {
    let mut names: Vec<ModelRef> = Vec::new();
    // Beside real providers the mock is there for those who name it, and in nobody's list.
    let shown = |p: &&Arc<Provider>| usable(p) && (snapshot.mock_only || &*p.name != "mock");
    for provider in snapshot.providers.iter().filter(shown) {
        let listed =
            provider.keys.iter().filter(|k| k.disabled.is_none()).flat_map(|k| k.models.iter().cloned());
        let catalogued = catalog
            .models(&provider.name)
            .iter()
            .map(|model| &*model.name)
            .filter(|model| provider.keys.iter().any(|key| key.serves(model)))
            .map(Arc::from);
        let built_in = provider.mock.iter().flat_map(|_| crate::mock::MODELS).map(Arc::from);
        names.extend(
            listed
                .chain(catalogued)
                .chain(built_in)
                .map(|model| ModelRef { provider: Arc::clone(&provider.name), model }),
        );
    }
    let named = snapshot.routing.names().map(|model| ModelRef { provider: Arc::from(""), model });
    names.extend(named);
    names.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
    names.dedup();
    names
}

/// Up to three known names that look like `name`.
#[must_use]
pub fn near(name: &str, snapshot: &Snapshot, catalog: &Catalog<'_>) -> Vec<String> {
    let mut scored: Vec<(f64, String)> = known(snapshot, catalog)
        .into_iter()
        .map(|model| {
            let full = match &*model.provider {
                "" => model.model.to_string(),
                provider => format!("{provider}/{}", model.model),
            };
            let score = strsim::jaro_winkler(name, &model.model).max(strsim::jaro_winkler(name, &full));
            (score, full)
        })
        .filter(|(score, _)| *score > 0.75)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.truncate(3);
    scored.into_iter().map(|(_, name)| name).collect()
}
