//! The providers we know, as configurations name them.

use std::collections::HashMap;
use std::sync::Arc;

use translate::provider::{self, ProviderSpec};

use crate::config::problem::did_you_mean;
use crate::config::snapshot::Provider;

/// The built-in provider that answers inside the gateway.
pub(super) const MOCK: &str = "mock";

/// The preset of that name or alias.
pub(super) fn find(name: &str) -> Option<&'static ProviderSpec> {
    provider::find(name).or_else(|| provider::all().iter().find(|spec| spec.aliases.contains(&name)))
}

/// The known name that `typed` was probably meant to be.
pub(super) fn near(typed: &str) -> Option<&'static str> {
    let names = provider::all()
        .iter()
        .flat_map(|spec| std::iter::once(spec.name).chain(spec.aliases.iter().copied()));
    did_you_mean(typed, names)
}

/// Index by configured name; then by the preset's name and aliases where those are free.
pub(super) fn names(providers: &[Arc<Provider>]) -> HashMap<Arc<str>, usize> {
    let mut names: HashMap<Arc<str>, usize> = HashMap::new();
    for (index, provider) in providers.iter().enumerate() {
        names.insert(Arc::clone(&provider.name), index);
    }
    for (index, provider) in providers.iter().enumerate() {
        let spec = provider.spec;
        if &*provider.name == spec.name || spec.aliases.contains(&&*provider.name) {
            for name in std::iter::once(spec.name).chain(spec.aliases.iter().copied()) {
                names.entry(Arc::from(name)).or_insert(index);
            }
        }
    }
    names
}
