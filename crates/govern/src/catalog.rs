//! The model catalog: which provider serves which model, at what price, with how large a context.
//!
//! The one the binary ships with is parsed from `conf/catalog.json` without copying its text: names are
//! slices of it, prices integers, all in sorted vectors. A user's own table (LiteLLM's
//! `model_prices_and_context_window.json` as it is) becomes one that owns its names. A catalog knows published
//! prices only. A model it does not know has no price, which is not the price zero. It must not know any
//! vendor: order of preference, aliases, names and who resells whose models are data.

mod name;
mod parse;
mod row;
mod table;

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::price::Price;
use name::same_order;
pub use parse::CatalogError;

/// What a model is called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Chat,
    Embedding,
    /// Neither: speech, images, reranking, plain completions.
    Other,
}

/// One model at one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model<'a> {
    /// As the provider's API takes it.
    pub name: Cow<'a, str>,
    pub price: Price,
    /// Most input tokens of a request, where known.
    pub context: Option<u32>,
    /// Most tokens of an answer, where known.
    pub max_output: Option<u32>,
    pub mode: Mode,
    /// The price is lower at some hours; `price` is the higher one.
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
    /// What tables of all providers call ours.
    spellings: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

#[derive(Debug, Clone)]
struct Provider<'a> {
    /// A provider's name, or `provider/region` for prices that hold in one region.
    name: Cow<'a, str>,
    /// Its part of `Catalog::models`.
    models: std::ops::Range<usize>,
    /// Its part of `Catalog::names`.
    names: std::ops::Range<usize>,
    /// Providers whose models it resells at their price.
    resells: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Name<'a> {
    text: Cow<'a, str>,
    /// Index into `Catalog::models`.
    model: u32,
}

/// A catalog that is parsed when it is first asked, which takes some milliseconds.
pub type Lazy = LazyLock<Catalog<'static>>;

/// The catalog the binary ships with.
///
/// Empty if the file did not parse; a test sees to it that it does.
pub static EMBEDDED: Lazy = LazyLock::new(|| Catalog::parse(TEXT.as_bytes()).unwrap_or_default());

/// [`EMBEDDED`], parsed.
#[must_use]
pub fn embedded() -> &'static Catalog<'static> {
    &EMBEDDED
}

const TEXT: &str = include_str!("../../../conf/catalog.json");

impl<'a> Catalog<'a> {
    /// Reads a catalog; what it returns borrows from `json`.
    ///
    /// # Errors
    /// With line and column where the JSON is not of the catalog's shape; with the names where a price is
    /// no decimal amount of dollars, a model or alias stands twice at one provider or a reseller names a
    /// provider that is not there.
    pub fn parse(json: &'a [u8]) -> Result<Self, CatalogError> {
        parse::parse(json)
    }

    /// Reads a table of all providers in LiteLLM's form; `origin` says where it is from. Names of providers
    /// are those that this catalog says they stand for. Rows without a price, and fields that mean nothing
    /// here, are left out.
    ///
    /// # Errors
    /// With line and column where it is no such JSON; with model and field where a price is none.
    pub fn parse_table(&self, json: &[u8]) -> Result<Catalog<'static>, CatalogError> {
        table::parse(json, self)
    }

    #[must_use]
    pub fn origin(&self) -> Origin<'a> {
        self.origin
    }

    /// Every provider, in order of preference.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| &*provider.name).filter(|name| !name.contains('/'))
    }

    /// How many models have a price, those of single regions among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
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

    /// The same where the model is served in `region`: the price that holds there, else the provider's.
    #[must_use]
    pub fn find_in(&self, provider: &str, region: &str, model: &str) -> Option<&Model<'a>> {
        let there = |known: &&Provider<'_>| {
            known.name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')) == Some(region)
        };
        let local = self.providers.iter().find(there).filter(|_| !region.is_empty());
        local.and_then(|local| self.find_at(local, model)).or_else(|| self.find(provider, model))
    }

    /// The price of that model at that provider ([`Catalog::find`]). `None` is unknown, not free.
    #[must_use]
    pub fn price(&self, provider: &str, model: &str) -> Option<&Price> {
        self.find(provider, model).map(|found| &found.price)
    }

    /// Who serves a model of this bare name: vendors of models first, then hosts, then resellers, each
    /// in order of preference.
    pub fn providers_of(&self, model: &str) -> impl Iterator<Item = &str> {
        let own = |provider: &Provider<'a>| self.find_at(provider, model).is_some();
        let direct = self.providers.iter().filter(move |provider| own(provider));
        let resellers = self.providers.iter().filter(move |provider| {
            !own(provider) && self.resold_by(provider).any(|maker| self.find_at(maker, model).is_some())
        });
        direct.chain(resellers).map(|provider| &*provider.name).filter(|name| !name.contains('/'))
    }

    /// Some hundred providers: a walk is as quick as a search.
    fn provider(&self, name: &str) -> Option<&Provider<'a>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    fn resold_by(&self, provider: &Provider<'a>) -> impl Iterator<Item = &Provider<'a>> {
        provider.resells.iter().filter_map(|&index| self.providers.get(index))
    }

    fn find_at(&self, provider: &Provider<'a>, model: &str) -> Option<&Model<'a>> {
        let names = self.names.get(provider.names.clone())?;
        name::forms(model).find_map(|form| {
            let at = names.binary_search_by(|name| same_order(&name.text, form)).ok()?;
            self.models.get(usize::try_from(names.get(at)?.model).ok()?)
        })
    }
}

#[cfg(test)]
mod tests;
