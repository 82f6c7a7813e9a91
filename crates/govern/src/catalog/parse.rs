//! Catalog JSON into sorted vectors, without copying its text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::name::same_order;
use super::row::{Row, Text};
use super::{Catalog, Model, Name, Origin, Provider};

/// Why a catalog was refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not JSON, or not of the catalog's shape; the message ends with line and column.
    #[error("catalog: {0}")]
    Shape(#[from] serde_json::Error),
    /// A price that is none.
    #[error("{model}: {field}: {value} is no price; expected a decimal amount of dollars from 0 to 18,446")]
    Value { model: String, field: String, value: String },
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
    let spellings = file.names.0.into_iter().map(|(theirs, ours)| (theirs, Cow::Borrowed(ours))).collect();
    let mut catalog = Catalog { origin, spellings, ..Catalog::default() };
    for (name, rows) in file.providers.0 {
        catalog.add(name, rows.0)?;
    }
    for (reseller, makers) in file.fallbacks.0 {
        let makers: Result<_, _> = makers.iter().map(|maker| catalog.index_of(maker)).collect();
        let index = catalog.index_of(&reseller)?;
        if let Some(provider) = catalog.providers.get_mut(index) {
            provider.resells = makers?;
        }
    }
    catalog.models.shrink_to_fit();
    catalog.names.shrink_to_fit();
    Ok(catalog)
}

impl<'a> Catalog<'a> {
    /// A provider with its models. Rows without a price are left out.
    pub(super) fn add(
        &mut self,
        provider: Cow<'a, str>,
        rows: Vec<(Cow<'a, str>, Row<'a>)>,
    ) -> Result<(), CatalogError> {
        if self.index_of(&provider).is_ok() {
            return Err(CatalogError::ProviderTwice(provider.into_owned()));
        }
        let (first_model, first_name) = (self.models.len(), self.names.len());
        for (name, row) in rows {
            self.add_model(&provider, name, row)?;
        }
        let names = self.names.get_mut(first_name..).unwrap_or_default();
        names.sort_unstable_by(|one, other| same_order(&one.text, &other.text));
        let twice = names
            .iter()
            .zip(names.iter().skip(1))
            .find(|(one, other)| same_order(&one.text, &other.text).is_eq());
        if let Some((name, _)) = twice {
            return Err(CatalogError::Twice {
                provider: provider.into_owned(),
                name: name.text.clone().into_owned(),
            });
        }
        self.providers.push(Provider {
            name: provider,
            models: first_model..self.models.len(),
            names: first_name..self.names.len(),
            resells: Vec::new(),
        });
        Ok(())
    }

    fn add_model(
        &mut self,
        provider: &str,
        name: Cow<'a, str>,
        mut row: Row<'a>,
    ) -> Result<(), CatalogError> {
        if let Some((field, value)) = row.fault.take() {
            return Err(CatalogError::Value { model: format!("{provider}/{name}"), field, value });
        }
        let Some(price) = row.price() else { return Ok(()) };
        let model = u32::try_from(self.models.len()).map_err(|_| CatalogError::TooMany)?;
        self.names.push(Name { text: name.clone(), model });
        self.names.extend(row.aliases.into_iter().map(|text| Name { text, model }));
        self.models.push(Model {
            name,
            price,
            context: row.context,
            max_output: row.max_output,
            mode: row.mode,
            timed: row.timed,
            partial: row.partial,
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
    /// What tables of all providers call ours.
    #[serde(borrow, default)]
    names: Entries<'a, &'a str>,
    #[serde(borrow)]
    providers: Entries<'a, Entries<'a, Row<'a>>>,
}

/// A JSON object in the order of the file, its keys borrowed where they have no escapes.
pub(super) struct Entries<'a, V>(pub(super) Vec<(Cow<'a, str>, V)>);

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
                while let Some((Text(name), value)) = map.next_entry()? {
                    entries.push((name, value));
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Collect(PhantomData))
    }
}
