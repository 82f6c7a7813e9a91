//! A table of all providers in one object, as LiteLLM keeps it, into a catalog that owns its names.
//!
//! Each row says who serves it. Its key is the model's name, mostly with a provider before it and sometimes
//! with a region between the two. Of two keys for one model, the one with the provider in it counts.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Catalog;
use super::name::is_region;
use super::parse::{CatalogError, Entries};
use super::row::Row;

/// Documentation in the shape of a row.
const SAMPLE: &str = "sample_spec";

type Rows = Vec<(Cow<'static, str>, Row<'static>)>;

pub(super) fn parse(json: &[u8], known: &Catalog<'_>) -> Result<Catalog<'static>, CatalogError> {
    let table: Entries<'_, Row<'_>> = serde_json::from_slice(json)?;
    let mut groups: Vec<(String, Group)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (key, row) in table.0.into_iter().filter(|(key, _)| key != SAMPLE) {
        let Some(theirs) = row.provider.clone() else { continue };
        let ours = known.ours(&theirs);
        let (provider, model, prefixed) = known.split(&key, &theirs, ours);
        let at = *places.entry(provider.clone()).or_insert_with(|| {
            groups.push((provider, Group::default()));
            groups.len() - 1
        });
        if let Some((_, group)) = groups.get_mut(at) {
            group.add(model, prefixed, row.into_owned());
        }
    }
    let mut catalog = Catalog::default();
    for (provider, group) in groups {
        catalog.add(Cow::Owned(provider), group.rows)?;
    }
    Ok(catalog)
}

impl Catalog<'_> {
    /// Our name for a provider of a table; its own where we have none.
    fn ours<'n>(&'n self, theirs: &'n str) -> &'n str {
        self.spellings.iter().find(|(spelling, _)| spelling == theirs).map_or(theirs, |(_, ours)| ours)
    }

    /// Provider (with region), model, and whether the key named the provider.
    fn split<'k>(&self, key: &'k str, theirs: &str, ours: &str) -> (String, &'k str, bool) {
        let before = key.split_once('/');
        let named = before.filter(|(first, _)| *first == theirs || self.ours(first) == ours);
        let model = named.map_or(key, |(_, rest)| rest);
        match model.split_once('/').filter(|(region, _)| is_region(region)) {
            Some((region, model)) => (format!("{ours}/{region}"), model, named.is_some()),
            None => (ours.to_owned(), model, named.is_some()),
        }
    }
}

#[derive(Default)]
struct Group {
    rows: Rows,
    /// Of each name without regard to case: its row, and whether its key named the provider.
    taken: HashMap<String, (usize, bool)>,
}

impl Group {
    fn add(&mut self, model: &str, prefixed: bool, row: Row<'static>) {
        let entry = (Cow::Owned(model.to_owned()), row);
        match self.taken.get_mut(&model.to_ascii_lowercase()) {
            Some((_, true)) => {}
            Some((_, false)) if !prefixed => {}
            Some((at, earlier)) => {
                *earlier = true;
                if let Some(row) = self.rows.get_mut(*at) {
                    *row = entry;
                }
            }
            None => {
                self.taken.insert(model.to_ascii_lowercase(), (self.rows.len(), prefixed));
                self.rows.push(entry);
            }
        }
    }
}
