//! `routing` and `governance.routing_rules`: names that exist, conditions that are ones, aliases that end.

mod names;
mod rule;

use std::collections::HashMap;
use std::sync::Arc;

use govern::balance::Strategy;

use super::{Compiler, preset};
use crate::config::document::At;
use crate::config::problem::{child, did_you_mean};
use crate::config::raw;
use crate::config::routing::{Group, RouteTarget, Routing, Rule};
use crate::config::snapshot::Provider;

/// What names may refer to.
pub(super) struct Known<'a> {
    pub providers: &'a [Arc<Provider>],
    pub by_name: &'a HashMap<Arc<str>, usize>,
}

impl Known<'_> {
    pub(super) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.by_name.get(name).and_then(|&at| self.providers.get(at))
    }
}

/// Compiles both forms: ours first, then the original's by priority.
pub(super) fn compile(compiler: &mut Compiler<'_>, config: &raw::Config, known: &Known<'_>) -> Routing {
    let plain = raw::Routing::default();
    let raw = config.routing.as_ref().unwrap_or(&plain);
    let aliases = names::aliases(compiler, raw, known);
    let mut groups = HashMap::new();
    for (name, group) in &raw.groups {
        let pointer = child("/routing/groups", name);
        names::check_new(compiler, (name, &pointer), known);
        if raw.aliases.contains_key(name) {
            compiler.problem(&pointer, At::Name, format!("{name:?} is an alias already"));
        }
        if let Some(group) = compile_group(compiler, (name, group, &pointer), raw, known) {
            groups.insert(Arc::clone(&group.name), Arc::new(group));
        }
    }
    let mut rules: Vec<Arc<Rule>> = rule::ours(compiler, raw, known);
    if let Some(governance) = &config.governance {
        rules.extend(rule::originals(compiler, governance, raw, known));
    }
    Routing { aliases, groups, rules }
}

fn compile_group(
    compiler: &mut Compiler<'_>,
    (name, group, pointer): (&str, &raw::ModelGroup, &str),
    names: &raw::Routing,
    known: &Known<'_>,
) -> Option<Group> {
    if group.targets.is_empty() {
        compiler.problem(&child(pointer, "targets"), At::Value, "a group needs at least one target");
        return None;
    }
    let mut targets = Vec::with_capacity(group.targets.len());
    for (index, target) in group.targets.iter().enumerate() {
        let at = format!("{pointer}/targets/{index}");
        let model = target.model.as_deref().map(|model| names::last(model, names));
        match model {
            None => compiler.problem(&at, At::Value, "a target of a group needs a `model`"),
            Some(model) if names.groups.contains_key(model) => {
                let message = format!("{model:?} is a group: a group has models");
                compiler.problem(&child(&at, "model"), At::Value, message);
            }
            Some(_) if target.key.is_some() => {
                let message = "targets of groups share the provider's keys: pin one with a rule";
                compiler.problem(&child(&at, "key"), At::Name, message);
            }
            Some(_) => {}
        }
        targets.push(compile_target(compiler, target, (&at, "key"), names, known));
    }
    let targets = weighed(compiler, targets, pointer);
    Some(Group { name: name.into(), strategy: strategy(group.strategy), targets })
}

fn strategy(raw: raw::Strategy) -> Strategy {
    super::provider::strategy(raw)
}

/// `key_field` is what the key is called in this form.
fn compile_target(
    compiler: &mut Compiler<'_>,
    raw: &raw::RouteTarget,
    (pointer, key_field): (&str, &str),
    names: &raw::Routing,
    known: &Known<'_>,
) -> RouteTarget {
    if let Some(provider) = raw.provider.as_deref().filter(|name| known.provider(name).is_none()) {
        unknown_provider(compiler, &child(pointer, "provider"), provider, known);
    }
    if let (None, Some(model)) = (&raw.provider, raw.model.as_deref()) {
        names::check(compiler, (&child(pointer, "model"), model), names, known);
    }
    let told = raw.model.as_deref().filter(|_| raw.provider.is_none());
    let split = told.and_then(|model| names::last(model, names).split_once('/'));
    let split = split.filter(|(left, _)| known.provider(left).is_some());
    let provider = raw.provider.as_deref().or(split.map(|(left, _)| left));
    if let (Some(key), Some(provider)) = (&raw.key, provider.and_then(|name| known.provider(name))) {
        let has = provider.keys.iter().any(|own| *own.name == **key || *own.id == **key);
        if !has {
            let problem = compiler.document.problem(
                &child(pointer, key_field),
                At::Value,
                format!("{} has no key {key:?}", provider.name),
            );
            let near = did_you_mean(key, provider.keys.iter().map(|own| &*own.name));
            let problem = match near {
                Some(near) => problem.suggest(format!("did you mean {near:?}?")),
                None => problem,
            };
            compiler.push(&child(pointer, key_field), problem);
        }
    }
    if key_field == "key" && raw.key.is_some() && provider.is_none() {
        let message = "a key belongs to a provider: write the model as `provider/model`";
        compiler.problem(&child(pointer, key_field), At::Name, message);
    }
    RouteTarget {
        provider: raw.provider.as_deref().map(Arc::from),
        model: raw.model.as_deref().map(|model| match raw.provider.as_deref() {
            Some(provider) => Arc::from(names::beside(
                compiler,
                (&child(pointer, "model"), model),
                provider,
                (names, known),
            )),
            None => Arc::from(model),
        }),
        key: raw.key.as_deref().map(Arc::from),
        weight: thousandths(raw.weight),
    }
}

/// A share in whole numbers; a positive one stays positive.
pub(super) fn thousandths(weight: f64) -> u32 {
    // The schema has bounded it: no sign, no overflow.
    let scaled = (weight * 1000.0).round() as u32;
    if weight > 0.0 { scaled.max(1) } else { 0 }
}

/// Targets, of which one at least has a weight.
fn weighed(compiler: &mut Compiler<'_>, targets: Vec<RouteTarget>, pointer: &str) -> Vec<RouteTarget> {
    if !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
        compiler.problem(&child(pointer, "targets"), At::Value, "every target has the weight 0");
    }
    targets
}

pub(super) fn unknown_provider(compiler: &mut Compiler<'_>, pointer: &str, name: &str, known: &Known<'_>) {
    if compiler.document.root.get("providers").is_some_and(|p| p.get(name).is_some()) {
        // Written, but it has problems of its own, and those are reported there.
        return;
    }
    let problem =
        compiler.document.problem(pointer, At::Value, format!("the provider {name:?} is not configured"));
    let near = did_you_mean(name, known.by_name.keys().map(AsRef::as_ref));
    let advice = match (near, preset::find(name)) {
        (Some(near), None) => Some(format!("did you mean {near:?}?")),
        (_, Some(_)) => Some(format!("add `providers.{name}`")),
        (None, None) => None,
    };
    compiler.push(
        pointer,
        match advice {
            Some(advice) => problem.suggest(advice),
            None => problem,
        },
    );
}
