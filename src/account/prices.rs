//! Which price holds: a key's own, its provider's, a configured table's, the one the gateway ships with.
//!
//! Looked up once per model and configuration, then remembered. A model that nobody has a price for has
//! none: that is said, and what follows from it is the configuration's choice.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwapOption;
use govern::catalog::{self, Catalog};
use govern::price::{Price, Uplift, Uplifts};
use translate::provider::region_of;

use crate::config::prices::{PriceRule, TableSource, Unpriced};
use crate::config::snapshot::{Key, Provider, Snapshot};

/// Remembered prices; above it all are forgotten, so that callers cannot fill the memory with names.
const MEMORY: usize = 4096;

/// A price and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub price: Price,
    pub source: Source,
    /// What makes the place dearer where the model runs.
    pub place: Uplifts,
}

/// Where a price is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `pricing_overrides` of the provider key.
    Key,
    /// `pricing_overrides` of the provider.
    Provider,
    /// `framework.pricing.pricing_url`.
    Table,
    /// The table that the gateway ships with.
    Catalog,
    /// `framework.pricing.unpriced`: nobody knows the price.
    Ceiling,
}

impl Source {
    /// The word in answers and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Table => "table",
            Self::Catalog => "catalog",
            Self::Ceiling => "ceiling",
        }
    }

    /// It is a price, and not what stands in for one.
    #[must_use]
    pub fn is_known(self) -> bool {
        self != Self::Ceiling
    }
}

/// What a price is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    pub provider: &'a Provider,
    pub key: &'a Key,
    pub model: &'a str,
    /// The kind of request: `chat_completion`, with or without `_stream`.
    pub request: &'a str,
}

/// A table that was read after the configuration.
#[derive(Debug)]
pub struct Fresh {
    pub source: TableSource,
    pub catalog: Arc<Catalog<'static>>,
}

/// All prices of a gateway.
#[derive(Debug, Default)]
pub struct Prices {
    fresh: ArcSwapOption<Fresh>,
    memory: RwLock<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Of the configuration, and of the fresh table.
    version: (u64, usize),
    quotes: HashMap<String, Option<Quote>>,
}

impl Prices {
    /// The price of what was served. `None`: nobody knows it, and no ceiling stands in.
    #[must_use]
    pub fn quote(&self, served: &Served<'_>, snapshot: &Snapshot) -> Option<Quote> {
        let fresh = self.fresh.load();
        let version = (snapshot.version, fresh.as_ref().map_or(0, |fresh| Arc::as_ptr(fresh) as usize));
        let name = served.name();
        {
            let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = memory.quotes.get(&name).filter(|_| memory.version == version) {
                return known.clone();
            }
        }
        let found = look_up(served, snapshot, fresh.as_deref());
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        if memory.version != version || memory.quotes.len() >= MEMORY {
            *memory = Memory { version, ..Memory::default() };
        }
        memory.quotes.insert(name, found.clone());
        found
    }

    /// Takes a table into use.
    pub fn take(&self, fresh: Fresh) {
        self.fresh.store(Some(Arc::new(fresh)));
    }

    /// The table in use, when it was read after the configuration.
    #[must_use]
    pub fn fresh(&self) -> Option<Arc<Fresh>> {
        self.fresh.load_full()
    }
}

impl Served<'_> {
    /// All that decides, in one text.
    fn name(&self) -> String {
        let (host, own) = (self.host(), if self.key.prices.is_empty() { "" } else { &*self.key.id });
        let ruled = !self.provider.prices.is_empty() || !own.is_empty();
        let request = if ruled { self.request } else { "" };
        let region = region_of(host).unwrap_or_default();
        [&*self.provider.name, self.model, self.deployed(), region, own, request].join("\n")
    }

    /// What the key's deployment of the model is called, where that is another name.
    fn deployed(&self) -> &str {
        self.key
            .deployments
            .get(self.model)
            .map(|name| &**name)
            .filter(|name| *name != self.model)
            .unwrap_or("")
    }

    /// The names the model is looked for by: the one asked for, then the one it has at the provider.
    fn names(&self) -> impl Iterator<Item = &str> {
        [self.model, self.deployed()].into_iter().filter(|name| !name.is_empty())
    }

    /// A provider of another name is its preset as far as prices go, where it is at the preset's own address:
    /// whoever only speaks the same wire has prices of their own.
    fn is_at_home(&self) -> bool {
        let home = self.provider.spec.base_url.map(url::Url::parse);
        let host = |url: &url::Url| url.host_str() == Some(self.host());
        home.is_none_or(|url| url.is_ok_and(|url| host(&url)))
    }

    fn host(&self) -> &str {
        &self.key.endpoint.as_ref().map_or(&self.provider.endpoint, |own| own).host
    }
}

fn look_up(served: &Served<'_>, snapshot: &Snapshot, fresh: Option<&Fresh>) -> Option<Quote> {
    let region = region_of(served.host());
    let place = region.map(place).unwrap_or_default();
    let pricing = &snapshot.pricing;
    let fresh = fresh.filter(|fresh| Some(&fresh.source) == pricing.source.as_ref());
    let table = fresh.map(|fresh| &fresh.catalog).or(pricing.table.as_ref());
    let find = |catalog: &Catalog<'_>| {
        let found = |provider| {
            served.names().find_map(|name| catalog.find_in(provider, region.unwrap_or_default(), name))
        };
        let by_preset = || served.is_at_home().then(|| found(served.provider.spec.name)).flatten();
        found(&*served.provider.name).or_else(by_preset).map(|model| model.price.clone())
    };
    let listed = table
        .and_then(|table| find(table))
        .map(|price| (price, Source::Table))
        .or_else(|| find(catalog::embedded()).map(|price| (price, Source::Catalog)));
    let ruled = rule(&served.key.prices, served)
        .map(|rule| (rule, Source::Key))
        .or_else(|| rule(&served.provider.prices, served).map(|rule| (rule, Source::Provider)));
    let (price, source) = match (ruled, listed) {
        (Some((rule, source)), Some((listed, _))) => (listed.overridden(&rule.price), source),
        (Some((rule, source)), None) => (rule.price.clone(), source),
        (None, Some(listed)) => listed,
        (None, None) => match &pricing.unpriced {
            Unpriced::Ceiling(price) => (price.clone(), Source::Ceiling),
            Unpriced::Allow | Unpriced::Deny => return None,
        },
    };
    Some(Quote { price, source, place })
}

fn rule<'r>(rules: &'r [PriceRule], served: &Served<'_>) -> Option<&'r PriceRule> {
    rules.iter().find(|rule| served.names().any(|name| rule.is_for(name, served.request)))
}

/// What a region means where its prices are a factor on all.
fn place(region: &str) -> Uplifts {
    let place = Uplifts::default().with(Uplift::Endpoint);
    match region {
        "us" => place.with(Uplift::ProcessingUs),
        "eu" => place.with(Uplift::ProcessingEu),
        _ => place,
    }
}

#[cfg(test)]
mod tests;
