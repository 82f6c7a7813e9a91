//! What a caller's virtual key makes of a plan: steps it may not use go, and of providers that have a model which was asked
//! for without one, its weights choose.

use std::sync::Arc;

use govern::balance::{self, Candidate, Outlook};

use super::fault::{Fault, Refusal};
use super::rules::Request;
use super::wish;
use crate::auth::{Caller, Denied};
use crate::config::governance::Grant;
use crate::config::snapshot::{ModelRef, Provider};
use crate::route::lead::{Names, members};
use crate::route::model::{find, has, split};
use crate::route::plan::{Plan, Step};
use crate::upstream::select::fnv1a;
use crate::upstream::target;

/// Where a model goes that the caller names without a provider: to one of those that its key has for it, by weight. The
/// others stand in, the heaviest first, unless the request says itself what does. `None`: the key does not choose.
///
/// # Errors
/// The session's name is none.
pub fn chosen(
    name: &str,
    names: &Names<'_>,
    request: Request<'_>,
    otherwise: Option<&ModelRef>,
) -> Result<Option<Vec<ModelRef>>, Fault> {
    let Some((caller, grants)) =
        request.caller.and_then(|caller| Some((caller, caller.key.grants.as_deref()?)))
    else {
        return Ok(None);
    };
    if split(name, names.snapshot).is_some() || grants.is_empty() {
        return Ok(None);
    }
    let mut able = candidates(grants, name, names, request, false);
    let weighted = able.iter().any(|(grant, _)| grant.weight.is_some());
    let allowed = otherwise.filter(|found| caller.granted(&found.provider, &found.model).is_ok());
    if !weighted && allowed.is_some() {
        return Ok(None);
    }
    if able.is_empty() {
        // A provider's list of models may be nowhere: its keys serve whatever is asked.
        able = candidates(grants, name, names, request, true);
    }
    // Only stand-ins: the first of them leads.
    let Some(first) = pick(&able, request)?.or((!able.is_empty()).then_some(0)) else { return Ok(None) };
    let mut order: Vec<usize> = (0..able.len()).filter(|at| *at != first).collect();
    order.sort_by_key(|at| std::cmp::Reverse(able.get(*at).and_then(|(grant, _)| grant.weight)));
    let rest = order.into_iter().filter(|_| !request.names_fallbacks);
    let chosen = std::iter::once(first).chain(rest).filter_map(|at| able.get(at));
    let model: Arc<str> = name.into();
    let found = chosen
        .map(|(_, provider)| ModelRef { provider: Arc::clone(&provider.name), model: Arc::clone(&model) });
    Ok(Some(found.collect()))
}

/// The grants for a model, with their providers; `whatever`: without knowing that they have it.
fn candidates<'g>(
    grants: &'g [Grant],
    model: &str,
    names: &Names<'g>,
    request: Request<'_>,
    whatever: bool,
) -> Vec<(&'g Grant, &'g Arc<Provider>)> {
    let found = grants.iter().filter(|grant| grant.allows(model)).filter_map(|grant| {
        let provider = names.snapshot.provider(&grant.provider)?;
        let known = whatever || grant.lists(model) || has(provider, model, names.catalog);
        let opens = provider
            .keys
            .iter()
            .any(|key| key.serves(model) && (grant.keys.has(&key.id) || grant.keys.has(&key.name)));
        let able = target::takes(provider, request.endpoint, request.peek.stream);
        (known && opens && able).then_some((grant, provider))
    });
    found.collect()
}

fn pick(able: &[(&Grant, &Arc<Provider>)], request: Request<'_>) -> Result<Option<usize>, Fault> {
    let weights = able.iter().map(|(grant, _)| Candidate {
        weight: grant.weight.unwrap_or(0).into(),
        eligible: grant.weight.is_some(),
    });
    Ok(match wish::session(request.headers)? {
        Some(session) => {
            let outlooks = weights.zip(able).map(|(candidate, (grant, provider))| {
                let mut outlook = Outlook::of(grant.weight.unwrap_or(0));
                outlook.candidate = candidate;
                (outlook, fnv1a(provider.name.as_bytes()))
            });
            balance::affine(outlooks, session)
        }
        None => balance::pick_from(weights, fastrand::u64(..)),
    })
}

/// Takes out the steps that the caller may not use. `one`: the first is what it asked for by name.
///
/// # Errors
/// It may not use what it asked for, or nothing is left.
pub fn apply(plan: &mut Plan, caller: Option<&Caller>, direct: bool, one: bool) -> Result<(), Fault> {
    let Some(caller) = caller.filter(|caller| caller.key.grants.is_some()) else { return Ok(()) };
    let mut first = None;
    for (at, mut step) in std::mem::take(&mut plan.steps).into_iter().enumerate() {
        match allowed(&mut step, caller, direct) {
            Ok(()) => plan.steps.push(step),
            Err(fault) if one && at == 0 => return Err(fault),
            Err(fault) => {
                plan.denied.push((
                    step.provider.name.clone(),
                    step.model,
                    fault.label(),
                    fault.failure.message.clone(),
                ));
                first.get_or_insert(fault);
            }
        }
    }
    match first.filter(|_| plan.steps.is_empty()) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

fn allowed(step: &mut Step, caller: &Caller, direct: bool) -> Result<(), Fault> {
    let (provider, model) = (&step.provider.name, &step.model);
    let able = step.provider.keys.iter().any(|key| step.served_by(key));
    step.granted =
        caller.granted(provider, model).map_err(|denied| denied_fault(denied, caller, (provider, model)))?;
    // With no key at all it is not the caller's grant that is to blame.
    if direct || !able || step.provider.keys.iter().any(|key| step.served_by(key)) {
        return Ok(());
    }
    let message = format!(
        "the virtual key `{}` may use none of the keys of {provider} that serve {model}",
        caller.key.name
    );
    Err(Fault::refused(Refusal::ProviderBlocked, message))
}

fn denied_fault(denied: Denied, caller: &Caller, (provider, model): (&str, &str)) -> Fault {
    let name = &caller.key.name;
    match denied {
        Denied::Provider => {
            let message = format!("the virtual key `{name}` may not use the provider {provider}");
            Fault::refused(Refusal::ProviderBlocked, message).param("model")
        }
        Denied::Model => {
            let message = format!("the virtual key `{name}` may not use the model {model} of {provider}");
            Fault::refused(Refusal::ModelBlocked, message).param("model")
        }
    }
}

/// A request that is not read, for the one provider of its plan. `runs`: it may run a model, and nobody knows which.
///
/// # Errors
/// The caller may not use the provider, or only some of its models.
pub fn unread(plan: &mut Plan, caller: Option<&Caller>, runs: bool) -> Result<(), Fault> {
    let Some(caller) = caller else { return Ok(()) };
    for step in &mut plan.steps {
        let provider = &step.provider.name;
        let granted = if runs { caller.granted_unread(provider) } else { caller.granted_any(provider) };
        step.granted = granted.map_err(|denied| match denied {
            Denied::Provider => denied_fault(denied, caller, (provider, &step.model)),
            Denied::Model => {
                let message = format!(
                    "the virtual key `{}` may use some models of {provider} only, and this request names none that could be checked",
                    caller.key.name
                );
                Fault::refused(Refusal::ModelBlocked, message)
            }
        })?;
    }
    Ok(())
}

/// The caller may know of this model: a list shows it.
#[must_use]
pub fn may_see(caller: Option<&Caller>, model: &ModelRef, names: &Names<'_>) -> bool {
    let Some(caller) = caller.filter(|caller| caller.key.grants.is_some()) else { return true };
    let may = |found: &ModelRef| caller.granted(&found.provider, &found.model).is_ok();
    if !model.provider.is_empty() {
        return may(model);
    }
    // An alias or a group.
    let name = names.snapshot.routing.meant(&model.model);
    match names.snapshot.routing.group(name) {
        Some(group) => members(group, names).any(|(found, _)| may(&found)),
        None => find(name, names.family, names.snapshot, names.catalog).is_none_or(|found| may(&found)),
    }
}
