//! Whom to ask for the rest of an answer, and how.
//!
//! Knows targets and requests, not streams.

use std::sync::Arc;

use translate::loss::Losses;
use translate::provider::{Continues, Destination, ModelRules};
use translate::relay::apply_quirks;
use translate::wire::BadRequest;

use super::super::attempt::{Upstream, decode, put_betas};
use super::super::exchange::Call;
use crate::config::snapshot::{BaseUrl, Provider};
use crate::route::endpoint::Endpoint;
use crate::route::plan::Step;
use crate::upstream::target::{self, Target};

/// A step from the current one on has a model that goes on with what another one began.
pub(super) fn somebody_is_able(call: &Call) -> bool {
    call.plan.steps.iter().skip(call.cursor.step).any(|step| is_able(call, step))
}

/// The rest of an answer of which `said` is with the caller can be asked for, and somebody is left to ask. `later`: not
/// the target that broke.
pub(super) fn is_possible(call: &mut Call, said: &str, written: u64, later: bool) -> bool {
    if decode(call).is_err() {
        return false;
    }
    let rest = call.decoded.as_ref().and_then(|request| request.gone_on_with(said, written));
    let left = || call.plan.steps.iter().skip(call.cursor.step + usize::from(later));
    rest.is_some() && left().any(|step| said.is_empty() || is_able(call, step))
}

/// The step's model does not go on with what another one began.
#[must_use]
pub fn passes_over(call: &Call, step: &Step) -> bool {
    let standing = call.recovery.standing.as_ref();
    standing.is_some_and(|standing| !standing.broken.text().is_empty()) && !is_able(call, step)
}

/// Nobody behind the last step that goes on is one to fall back to: without them that one is waited for and tried again
/// as any last one is.
pub(super) fn ends_with_the_last_that_is_able(call: &mut Call) {
    let steps = call.plan.steps.iter().enumerate().skip(call.cursor.step);
    let last = steps.filter(|(_, step)| !passes_over(call, step)).map(|(at, _)| at).last();
    if let Some(last) = last {
        call.plan.steps.truncate(last.saturating_add(1));
    }
}

/// The request for the rest of the answer, as the step's provider takes it.
///
/// # Errors
/// It cannot be asked for there.
pub fn prepare(
    call: &mut Call,
    step: &Step,
    (at, model): (&BaseUrl, &Arc<str>),
) -> Result<Upstream, BadRequest> {
    decode(call)?;
    let provider = &step.provider;
    let none = || BadRequest::at("", format!("{} cannot go on with an answer", provider.name));
    let standing = call.recovery.standing.as_ref().ok_or_else(none)?;
    let (said, written) = (standing.broken.text(), standing.broken.spent().output);
    let request = call.decoded.as_ref().and_then(|request| request.gone_on_with(said, written));
    let mut request = request.ok_or_else(none)?;
    request.model = model.to_string();
    let (mut target, how) = match said.is_empty() {
        true => {
            (target::choose(provider, at, call.endpoint, model, true).ok_or_else(none)?, Continues::Plain)
        }
        false => chosen(provider, at, call.endpoint, (model, &step.model)).ok_or_else(none)?,
    };
    if let Some(path) = how.path() {
        target.path = format!("{}{path}", at.root).into();
        target.fixed = false;
    }
    let mut losses = Losses::default();
    let rules = ModelRules::of(&provider.name, target.wire, model);
    let to = Destination { quirks: target.quirks, rules: &rules, model };
    let body = target.wire.codec().encode_request(&request, &to, &mut losses)?;
    let body = how.mark(apply_quirks(body, target.quirks, &mut losses));
    let mut upstream = Upstream::made(target, body, losses);
    put_betas(&mut upstream, &call.betas, (model, provider));
    Ok(upstream)
}

fn is_able(call: &Call, step: &Step) -> bool {
    let provider = &step.provider;
    let usable = provider.keys.iter().filter(|key| step.served_by(key));
    usable.take(MOST_KEYS).any(|key| {
        let at = key.endpoint.as_deref().unwrap_or(&provider.endpoint);
        chosen(provider, at, call.endpoint, (key.deployment(&step.model), &step.model)).is_some()
    })
}

/// Keys of one provider differ in what they call a model, not in what it does: a few tell enough.
const MOST_KEYS: usize = 4;

/// The service that goes on with an answer: the one that the caller's dialect leads to, else the provider's main one.
fn chosen(
    provider: &Provider,
    at: &BaseUrl,
    endpoint: Endpoint,
    (model, named): (&Arc<str>, &Arc<str>),
) -> Option<(Target, Continues)> {
    let on = |dialect| {
        // Most providers have no such model: they are known without a target.
        let known = |name: &str| Continues::of(provider.spec.name, dialect, name);
        let wire_known = known(model).or_else(|| known(named));
        if dialect == provider.wire && wire_known.is_none() && provider.spec.services.is_empty() {
            return None;
        }
        let endpoint = Endpoint { dialect, ..endpoint };
        let target = target::choose(provider, at, endpoint, model, true)?;
        let of = |name: &str| Continues::of(provider.spec.name, target.wire, name);
        let how = of(model).or_else(|| of(named))?;
        Some((target, how))
    };
    on(endpoint.dialect).or_else(|| on(provider.wire))
}
