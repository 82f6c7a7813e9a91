//! The top-level `fallbacks.order`.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Compiler, preset};
use crate::config::document::At;
use crate::config::problem::did_you_mean;
use crate::config::raw;
use crate::config::routing::{Group, RouteTarget, Routing};
use crate::config::snapshot::ModelRef;

/// The order as targets. A known provider that is not configured is left out with a warning.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    raw: Option<&raw::Fallbacks>,
    (names, routing): (&HashMap<Arc<str>, usize>, &Routing),
) -> Vec<ModelRef> {
    let Some(raw) = raw else { return Vec::new() };
    let mut order = Vec::with_capacity(raw.order.len());
    for (index, text) in raw.order.iter().enumerate() {
        let pointer = format!("/fallbacks/order/{index}");
        let text = routing.meant(text);
        if let Some(group) = routing.group(text) {
            let found = members(group, names, routing);
            if found.len() < group.targets.len() {
                let message = format!(
                    "{} of the models of {text:?} are left out here: they name no provider that is configured",
                    group.targets.len() - found.len()
                );
                compiler.warn(&pointer, message);
            }
            order.extend(found);
            continue;
        }
        let Some((provider, model)) = text.split_once('/').filter(|(p, m)| !p.is_empty() && !m.is_empty())
        else {
            compiler.problem(&pointer, At::Value, format!("{text:?} is not of the form provider/model"));
            continue;
        };
        if names.contains_key(provider) {
            order.push(ModelRef { provider: Arc::from(provider), model: Arc::from(model) });
        } else if compiler.document.root.get("providers").is_some_and(|p| p.get(provider).is_some()) {
            // Written, but it has problems of its own, and those are reported there.
            continue;
        } else if preset::find(provider).is_some() {
            let message = format!("{text:?} is left out: the provider {provider:?} is not configured");
            compiler.warn(&pointer, message);
        } else {
            let problem =
                compiler.document.problem(&pointer, At::Value, format!("no provider {provider:?} is known"));
            let near =
                did_you_mean(provider, names.keys().map(AsRef::as_ref)).or_else(|| preset::near(provider));
            let advice = near.map(|near| format!("did you mean \"{near}/{model}\"?"));
            compiler.push(
                &pointer,
                match advice {
                    Some(advice) => problem.suggest(advice),
                    None => problem,
                },
            );
        }
    }
    if raw.enabled { order } else { Vec::new() }
}

/// A group's models that name their provider, the heaviest first: whoever falls back has no time to choose.
fn members(group: &Group, names: &HashMap<Arc<str>, usize>, routing: &Routing) -> Vec<ModelRef> {
    let mut targets: Vec<&RouteTarget> = group.targets.iter().collect();
    targets.sort_by_key(|target| std::cmp::Reverse(target.weight));
    let named = targets.into_iter().filter_map(|target| {
        let model = target.model.as_deref()?;
        let (provider, model) = match target.provider.as_deref() {
            Some(provider) => (provider, model),
            None => routing.meant(model).split_once('/')?,
        };
        let known = names.contains_key(provider);
        known.then(|| ModelRef { provider: Arc::from(provider), model: Arc::from(model) })
    });
    named.collect()
}
