//! Customers, teams, and the limits of providers and models over all callers.

use std::collections::HashSet;
use std::sync::Arc;

use super::quotas::{self, known};
use super::{Taken, unnamed};
use crate::config::compile::Compiler;
use crate::config::compile::routing;
use crate::config::document::At;
use crate::config::governance::{Customer, Governance, ModelLimit, Named, Team};
use crate::config::problem::child;
use crate::config::raw::{self, Governed as _};

pub(super) fn customers(compiler: &mut Compiler<'_>, raw: &raw::Governance, into: &mut Governance) {
    let mut taken = Taken::default();
    for (index, raw) in raw.customers.iter().enumerate() {
        let pointer = format!("/governance/customers/{index}");
        let customer = customer(compiler, &pointer, raw, (&mut taken, &into.named));
        into.customers.entry(Arc::clone(&customer.id)).or_insert(Arc::new(customer));
    }
}

pub(super) fn customer<'r>(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: &'r raw::Customer,
    (taken, named): (&mut Taken<'r>, &Named),
) -> Customer {
    let (id, name) = taken.both(compiler, pointer, (raw.id.as_deref(), &raw.name));
    Customer { id, name, quotas: quotas::of(compiler, pointer, raw.allowance(), named) }
}

pub(super) fn teams(compiler: &mut Compiler<'_>, raw: &raw::Governance, into: &mut Governance) {
    let mut taken = Taken::default();
    for (index, raw) in raw.teams.iter().enumerate() {
        let pointer = format!("/governance/teams/{index}");
        let team = team(compiler, &pointer, raw, (&mut taken, &into.named));
        if let Some(id) = &team.customer {
            known(compiler, (&child(&pointer, "customer_id"), id), &into.customers, "customers");
        }
        into.teams.entry(Arc::clone(&team.id)).or_insert(Arc::new(team));
    }
}

pub(super) fn team<'r>(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: &'r raw::Team,
    (taken, named): (&mut Taken<'r>, &Named),
) -> Team {
    let (id, name) = taken.both(compiler, pointer, (raw.id.as_deref(), &raw.name));
    let customer = filled(raw.customer_id.as_deref()).map(Arc::from);
    Team { id, name, customer, quotas: quotas::of(compiler, pointer, raw.allowance(), named) }
}

pub(super) fn providers(
    compiler: &mut Compiler<'_>,
    raw: &raw::Governance,
    known: &routing::Known<'_>,
    into: &mut Governance,
) {
    let mut seen = HashSet::new();
    for (index, raw) in raw.providers.iter().enumerate() {
        let pointer = format!("/governance/providers/{index}");
        let quotas = quotas::of(compiler, &pointer, raw.allowance(), &into.named);
        let at = child(&pointer, "name");
        let Some(provider) = provider(compiler, (&at, &raw.name), known) else { continue };
        if !seen.insert(Arc::clone(&provider)) {
            compiler.problem(&at, At::Value, format!("the provider {:?} stands here before", raw.name));
        } else if !quotas.is_empty() {
            into.providers.insert(provider, quotas);
        }
    }
}

/// The provider of this name; that there is none is noted.
pub(super) fn provider(
    compiler: &mut Compiler<'_>,
    (pointer, name): (&str, &str),
    known: &routing::Known<'_>,
) -> Option<Arc<str>> {
    let found = known.provider(name).map(|provider| Arc::clone(&provider.name));
    match &found {
        None if name.is_empty() => {
            compiler.problem(pointer, At::Value, "the name of the provider is missing")
        }
        None => routing::unknown_provider(compiler, pointer, name, known),
        Some(_) => {}
    }
    found
}

pub(super) fn models(
    compiler: &mut Compiler<'_>,
    raw: &raw::Governance,
    known: &routing::Known<'_>,
    into: &mut Governance,
) {
    let (mut ids, mut seen) = (HashSet::new(), HashSet::new());
    for (index, raw) in raw.model_configs.iter().enumerate() {
        let pointer = format!("/governance/model_configs/{index}");
        let quotas = quotas::of(compiler, &pointer, raw.allowance(), &into.named);
        let at = child(&pointer, "model_name");
        if let Some(message) = unnamed(&raw.model_name) {
            compiler.problem(&at, At::Value, message);
            continue;
        }
        if let Some(id) = raw.id.as_deref().filter(|id| !ids.insert(*id)) {
            compiler.problem(&child(&pointer, "id"), At::Value, format!("the id {id:?} was given before"));
        }
        let (named, model) = match filled(raw.provider.as_deref()) {
            Some(name) => match provider(compiler, (&child(&pointer, "provider"), name), known) {
                Some(found) => (Some(found), &*raw.model_name),
                None => continue,
            },
            // As callers write it.
            None => match raw.model_name.split_once('/') {
                Some((left, model)) if known.provider(left).is_some() && !model.is_empty() => {
                    (known.provider(left).map(|found| Arc::clone(&found.name)), model)
                }
                _ => (None, &*raw.model_name),
            },
        };
        if !seen.insert((named.clone(), model)) {
            compiler.problem(&at, At::Value, format!("the model {:?} stands here before", raw.model_name));
        } else if !quotas.is_empty() {
            into.models.push(ModelLimit { model: model.into(), provider: named, quotas });
        }
    }
}

/// What some writers leave empty instead of out.
pub(super) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
