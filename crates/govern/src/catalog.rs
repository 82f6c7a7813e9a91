//! The model catalog: which provider serves which model, at what price, with how large a context.
//!
//! Parsed from `conf/catalog.json` without copying its text: names are slices of it, prices integers, all
//! in sorted vectors. The catalog knows published prices only. A model it does not know has no price,
//! which is not the price zero. It must not know any vendor: order of preference, aliases and who resells
//! whose models are data.

mod name;
mod parse;

use std::sync::LazyLock;

use crate::price::Price;
use name::same_order;
pub use parse::CatalogError;

/// What a model is called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Chat,
    Embedding,
    /// Neither: speech, images, reranking, plain completions.
    Other,
}

/// One model at one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model<'a> {
    /// As the provider's API takes it.
    pub name: &'a str,
    pub price: Price,
    /// Most tokens of a request, where known.
    pub context: Option<u32>,
    /// Most tokens of an answer, where known.
    pub max_output: Option<u32>,
    pub mode: Mode,
    /// Long prompts cost more than `price` says.
    pub tiered: bool,
    /// The price depends on the time of day.
    pub timed: bool,
    /// The provider also bills something that `price` has no class for.
    pub partial: bool,
}

/// Where a catalog comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    pub source: &'a str,
    pub version: &'a str,
    pub license: &'a str,
    pub copyright: &'a str,
    /// Date (`YYYY-MM-DD`) whose prices these are.
    pub generated: &'a str,
}

/// All models of all providers.
#[derive(Debug, Clone, Default)]
pub struct Catalog<'a> {
    origin: Origin<'a>,
    /// In order of preference.
    providers: Vec<Provider<'a>>,
    /// Grouped by provider.
    models: Vec<Model<'a>>,
    /// Names and aliases, sorted by provider, then by name without regard to case.
    names: Vec<Name<'a>>,
}

#[derive(Debug, Clone)]
struct Provider<'a> {
    name: &'a str,
    /// Its part of `Catalog::models`.
    models: std::ops::Range<usize>,
    /// Its part of `Catalog::names`.
    names: std::ops::Range<usize>,
    /// Providers whose models it resells at their price.
    resells: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Name<'a> {
    text: &'a str,
    /// Index into `Catalog::models`.
    model: u32,
}

/// The catalog the binary ships with, parsed at the first call.
///
/// Empty if the file did not parse; a test sees to it that it does.
#[must_use]
pub fn embedded() -> &'static Catalog<'static> {
    static CATALOG: LazyLock<Catalog<'static>> =
        LazyLock::new(|| Catalog::parse(EMBEDDED.as_bytes()).unwrap_or_default());
    &CATALOG
}

const EMBEDDED: &str = include_str!("../../../conf/catalog.json");

impl<'a> Catalog<'a> {
    /// Reads a catalog; what it returns borrows from `json`.
    ///
    /// # Errors
    /// With line and column where the JSON is not of the catalog's shape, a price is not a decimal string
    /// of whole nano-dollars, or a field is unknown; with the names where a model or alias stands twice
    /// at one provider or a reseller names a provider that is not there.
    pub fn parse(json: &'a [u8]) -> Result<Self, CatalogError> {
        parse::parse(json)
    }

    #[must_use]
    pub fn origin(&self) -> Origin<'a> {
        self.origin
    }

    /// Every provider, in order of preference.
    pub fn providers(&self) -> impl Iterator<Item = &'a str> {
        self.providers.iter().map(|provider| provider.name)
    }

    /// The provider's own models, sorted by name; none for an unknown provider.
    #[must_use]
    pub fn models(&self, provider: &str) -> &[Model<'a>] {
        self.provider(provider).and_then(|provider| self.models.get(provider.models.clone())).unwrap_or(&[])
    }

    /// The model of that name at that provider: the name or an alias as given, then without date,
    /// version or `-latest`, then without a region before it; then the same at the providers it resells.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<&Model<'a>> {
        let provider = self.provider(provider)?;
        self.find_at(provider, model)
            .or_else(|| self.resold_by(provider).find_map(|maker| self.find_at(maker, model)))
    }

    /// The price of that model at that provider ([`Catalog::find`]). `None` is unknown, not free.
    #[must_use]
    pub fn price(&self, provider: &str, model: &str) -> Option<&Price> {
        self.find(provider, model).map(|found| &found.price)
    }

    /// Who serves a model of this bare name: vendors of models first, then hosts, then resellers, each
    /// in order of preference.
    pub fn providers_of(&self, model: &str) -> impl Iterator<Item = &'a str> {
        let own = |provider: &Provider<'a>| self.find_at(provider, model).is_some();
        let direct = self.providers.iter().filter(move |provider| own(provider));
        let resellers = self.providers.iter().filter(move |provider| {
            !own(provider) && self.resold_by(provider).any(|maker| self.find_at(maker, model).is_some())
        });
        direct.chain(resellers).map(|provider| provider.name)
    }

    /// Some forty providers: a walk is as quick as a search.
    fn provider(&self, name: &str) -> Option<&Provider<'a>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    fn resold_by(&self, provider: &Provider<'a>) -> impl Iterator<Item = &Provider<'a>> {
        provider.resells.iter().filter_map(|&index| self.providers.get(index))
    }

    fn find_at(&self, provider: &Provider<'a>, model: &str) -> Option<&Model<'a>> {
        let names = self.names.get(provider.names.clone())?;
        name::forms(model).find_map(|form| {
            let at = names.binary_search_by(|name| same_order(name.text, form)).ok()?;
            self.models.get(usize::try_from(names.get(at)?.model).ok()?)
        })
    }
}

#[cfg(test)]
mod tests;
