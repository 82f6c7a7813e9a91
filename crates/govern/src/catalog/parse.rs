//! Catalog JSON into sorted vectors, without copying its text.
//!
//! Strict on purpose: the file is generated, so an unknown field or an odd price is a mistake to be told,
//! not to be lived with.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::name::same_order;
use super::{Catalog, Mode, Model, Name, Origin, Provider};
use crate::price::Price;

/// Why a catalog was refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not JSON, or not of the catalog's shape; the message ends with line and column.
    #[error("catalog: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("catalog: provider {provider:?} names {name:?} twice")]
    Twice { provider: String, name: String },
    #[error("catalog: provider {0:?} stands twice")]
    ProviderTwice(String),
    #[error("catalog: fallbacks: there is no provider {0:?}")]
    NoSuchProvider(String),
    #[error("catalog: too many models")]
    TooMany,
}

pub fn parse(json: &[u8]) -> Result<Catalog<'_>, CatalogError> {
    let file: File<'_> = serde_json::from_slice(json)?;
    let origin = Origin {
        source: file.source,
        version: file.version,
        license: file.license,
        copyright: file.copyright,
        generated: file.generated,
    };
    let mut catalog = Catalog { origin, ..Catalog::default() };
    for (name, rows) in file.providers.0 {
        catalog.add(name, rows.0)?;
    }
    for (reseller, makers) in file.fallbacks.0 {
        let makers: Result<_, _> = makers.iter().map(|maker| catalog.index_of(maker)).collect();
        let index = catalog.index_of(reseller)?;
        if let Some(provider) = catalog.providers.get_mut(index) {
            provider.resells = makers?;
        }
    }
    catalog.models.shrink_to_fit();
    catalog.names.shrink_to_fit();
    Ok(catalog)
}

impl<'a> Catalog<'a> {
    fn add(&mut self, provider: &'a str, rows: Vec<(&'a str, Row<'a>)>) -> Result<(), CatalogError> {
        if self.index_of(provider).is_ok() {
            return Err(CatalogError::ProviderTwice(provider.to_owned()));
        }
        let (first_model, first_name) = (self.models.len(), self.names.len());
        for (name, row) in rows {
            let model = u32::try_from(self.models.len()).map_err(|_| CatalogError::TooMany)?;
            self.names.push(Name { text: name, model });
            self.names.extend(row.aliases.iter().map(|&text| Name { text, model }));
            self.models.push(row.into_model(name));
        }
        let names = self.names.get_mut(first_name..).unwrap_or_default();
        names.sort_unstable_by(|one, other| same_order(one.text, other.text));
        let twice = names
            .iter()
            .zip(names.iter().skip(1))
            .find(|(one, other)| same_order(one.text, other.text).is_eq());
        if let Some((name, _)) = twice {
            return Err(CatalogError::Twice { provider: provider.to_owned(), name: name.text.to_owned() });
        }
        self.providers.push(Provider {
            name: provider,
            models: first_model..self.models.len(),
            names: first_name..self.names.len(),
            resells: Vec::new(),
        });
        Ok(())
    }

    fn index_of(&self, provider: &str) -> Result<usize, CatalogError> {
        self.providers
            .iter()
            .position(|known| known.name == provider)
            .ok_or_else(|| CatalogError::NoSuchProvider(provider.to_owned()))
    }
}

/// The file's top level.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    source: &'a str,
    version: &'a str,
    license: &'a str,
    copyright: &'a str,
    generated: &'a str,
    #[serde(borrow, default)]
    fallbacks: Entries<'a, Vec<&'a str>>,
    #[serde(borrow)]
    providers: Entries<'a, Entries<'a, Row<'a>>>,
}

/// One line of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    input: Option<Nanos>,
    output: Option<Nanos>,
    cache_read: Option<Nanos>,
    cache_write: Option<Nanos>,
    cache_write_1h: Option<Nanos>,
    audio_input: Option<Nanos>,
    audio_output: Option<Nanos>,
    web_search: Option<Nanos>,
    context: Option<u32>,
    max_output: Option<u32>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    tiered: bool,
    #[serde(default)]
    timed: bool,
    #[serde(default)]
    partial: bool,
    #[serde(borrow, default)]
    aliases: Vec<&'a str>,
}

impl Row<'_> {
    fn into_model(self, name: &str) -> Model<'_> {
        let nanos = |price: Option<Nanos>| price.map(|Nanos(nanos)| nanos);
        Model {
            name,
            price: Price {
                input: nanos(self.input),
                output: nanos(self.output),
                cache_read: nanos(self.cache_read),
                cache_write: nanos(self.cache_write),
                cache_write_1h: nanos(self.cache_write_1h),
                audio_input: nanos(self.audio_input),
                audio_output: nanos(self.audio_output),
                web_search: nanos(self.web_search),
            },
            context: self.context,
            max_output: self.max_output,
            mode: self.mode,
            tiered: self.tiered,
            timed: self.timed,
            partial: self.partial,
        }
    }
}

/// A decimal string of dollars as whole nano-dollars.
#[derive(Clone, Copy)]
struct Nanos(u64);

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        nanos(&text)
            .map(Nanos)
            .ok_or_else(|| D::Error::custom(format_args!("{text:?} is not a decimal of whole nano-dollars")))
    }
}

/// `"0.075"` is 75,000,000.
fn nanos(text: &str) -> Option<u64> {
    const PLACES: u32 = 9;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| -> Option<u64> {
        if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let missing = PLACES.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let below = digits(fraction)?.checked_mul(10_u64.checked_pow(missing)?)?;
    digits(whole)?.checked_mul(10_u64.pow(PLACES))?.checked_add(below)
}

/// A JSON object in the order of the file, its keys borrowed.
struct Entries<'a, V>(Vec<(&'a str, V)>);

impl<V> Default for Entries<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Entries<'a, V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect<'a, V>(PhantomData<(&'a str, V)>);
        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Collect<'a, V> {
            type Value = Entries<'a, V>;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<&'a str, V>()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Collect(PhantomData))
    }
}
