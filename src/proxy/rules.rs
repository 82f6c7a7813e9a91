//! Where a request goes: the model it names, a group's, or what the first rule that matches says.
//!
//! Nothing of this is looked at where no rules, groups or aliases are configured.

use std::sync::Arc;

use govern::allowance::Measure;
use http::HeaderMap;
use translate::ir::FailureKind;
use translate::relay::Peek;

use super::Gateway;
use super::cost::Rates;
use super::fault::Fault;
use super::grants;
use super::inner;
use super::request_filter::model_not_found;
use super::wish;
use crate::account::meters::now_ms;
use crate::auth::Caller;
use crate::config::expression::{Facts, Gauge, Used};
use crate::config::routing::Rule;
use crate::config::snapshot::{Key, ModelRef, Provider, Snapshot};
use crate::inner::Purpose;
use crate::route::endpoint::{Endpoint, Operation};
use crate::route::lead::{Lead, Names, Order, Pick, matching, ruled};
use crate::route::model::{UnknownModel, find, near};
use crate::route::plan::{Copied, Plan};
use crate::telemetry::record::LedBy;
use crate::upstream::group::{self, Seen};
use crate::upstream::select::Wish;
use crate::upstream::target;

/// What a rule may look at, and what is asked.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub endpoint: Endpoint,
    pub peek: &'a Peek<'a>,
    /// Bytes of the body.
    pub size: usize,
    pub headers: &'a HeaderMap,
    pub query: &'a str,
    pub caller: Option<&'a Caller>,
    /// It brings a provider key of its own.
    pub direct: bool,
    /// Its body says what stands in for its model, be it nothing.
    pub names_fallbacks: bool,
    /// Of an inner request.
    pub purpose: Option<Purpose>,
}

/// Where a request goes.
pub struct Planned {
    pub plan: Plan,
    pub wish: Wish,
    /// It goes to the provider that was asked for: the caller's own key is for that one.
    pub own: bool,
}

/// The plan of a request, and what is asked of the choice among keys. `fallbacks` are those it names itself.
///
/// # Errors
/// The model leads nowhere, or a header asks for what there is not.
pub fn plan(
    gateway: &Gateway,
    snapshot: &Snapshot,
    request: Request<'_>,
    fallbacks: Option<&[String]>,
) -> Result<Planned, Fault> {
    if request.purpose == Some(Purpose::Embedding) {
        return inner::embedding(gateway, snapshot, request);
    }
    let names = Names { family: request.endpoint.names(), snapshot, catalog: gateway.catalog };
    let order = |strategy, members: &[(ModelRef, u32)]| {
        // One that is no name is refused below.
        let session = wish::session(request.headers).unwrap_or_default();
        let rates = Rates::of(gateway, snapshot, request.endpoint, request.peek.stream);
        let price = |provider: &Provider, key: &Key, model: &str| rates.common(provider, key, model);
        let (health, stream) = (&gateway.health, request.peek.stream);
        let seen = Seen { snapshot, health, stream, price: &price, session };
        let order = group::order(strategy, members, &seen, || fastrand::u64(..));
        able_first(order, members, snapshot, request)
    };
    let lead = match snapshot.routing.is_empty() {
        true => {
            let (targets, asked, led_by) = asked_for(gateway, &names, request)?;
            Lead { targets, asked, led_by, ..Lead::default() }
        }
        false => lead(gateway, &names, request, &order)?,
    };
    let mut plan = Plan::new(&lead, fallbacks, &names, &order);
    if plan.steps.is_empty() {
        return Err(nobody(&lead, &names, request.peek));
    }
    // What the caller asked for by name, and no rule or group put in its place.
    let one = lead.asked.is_some() && lead.rule.as_ref().is_none_or(|rule| rule.targets.is_empty());
    grants::apply(&mut plan, request.caller, request.direct, one)?;
    plan.copied = lead.rule.as_deref().and_then(|rule| copied(rule, &names, request));
    let Some(first) = plan.steps.first() else {
        return Err(nobody(&lead, &names, request.peek));
    };
    // What a caller names of keys is about the provider it asked for.
    let own = lead.asked.as_ref().is_some_and(|asked| *asked == first.provider.name);
    let mut wish = match own {
        true => wish::of(request.headers, &first.provider, request.caller)?,
        false => wish::of_caller(request.headers, request.caller)?,
    };
    if first.pinned.is_some() {
        wish.pinned = None;
    }
    Ok(Planned { plan, wish, own })
}

/// The model asked for, and its provider; where the caller's key chooses among several, all of them.
fn asked_for(gateway: &Gateway, names: &Names<'_>, request: Request<'_>) -> Asked {
    let name = &request.peek.model;
    let found = gateway.routes.resolve(name, names.family, names.snapshot, gateway.catalog);
    let meant = names.snapshot.routing.meant(name);
    let plain = if *meant == **name { LedBy::Model } else { LedBy::Alias };
    let (found, led_by) = match grants::chosen(meant, names, request, found.as_ref().ok())? {
        Some(chosen) => (chosen, LedBy::Grant),
        None => (vec![found.map_err(|unknown| model_not_found(name, &unknown))?], plain),
    };
    let provider = found.first().map(|found| Arc::clone(&found.provider));
    Ok((found, provider, led_by))
}

/// Nobody has what a group or a rule names; whoever asked is not to blame.
fn nobody(lead: &Lead, names: &Names<'_>, peek: &Peek<'_>) -> Fault {
    let routing = &names.snapshot.routing;
    let group = routing.group(routing.meant(&peek.model));
    let (whose, targets) = match (&lead.rule, group) {
        (Some(rule), _) if !rule.targets.is_empty() => (format!("the rule `{}`", rule.name), &rule.targets),
        (_, Some(group)) => (format!("the group `{}`", group.name), &group.targets),
        _ => {
            let near = near(&peek.model, names.snapshot, names.catalog);
            return model_not_found(&peek.model, &UnknownModel::NoSuchModel { near });
        }
    };
    let named: Vec<&str> = targets.iter().filter_map(|target| target.model.as_deref()).collect();
    let message = format!("no configured provider has a model that {whose} names: {}", named.join(", "));
    let mut fault = Fault::request(FailureKind::ModelNotFound, 404, message).param("model");
    fault.failure.code = Some("model_not_found".to_owned());
    fault
}

/// The model asked for, its group, or what a rule says.
fn lead(
    gateway: &Gateway,
    names: &Names<'_>,
    request: Request<'_>,
    order: &Order<'_>,
) -> Result<Lead, Fault> {
    let routing = &names.snapshot.routing;
    let name = routing.meant(&request.peek.model);
    let asked = match routing.group(name) {
        Some(group) => Ok((names.ordered(group, order), None, LedBy::Group)),
        None => asked_for(gateway, names, request),
    };
    let found = asked.as_ref().ok().and_then(|(found, provider, _)| found.first().zip(provider.as_ref()));
    let used = |gauge| request.caller.map_or(0.0, |caller| used(gateway, caller, gauge));
    let facts = Facts {
        model: found.map_or(name, |(found, _)| &found.model),
        model_asked: &request.peek.model,
        provider: found.map_or("", |(_, provider)| provider),
        key: key_named(request.headers),
        request_type: request.endpoint.request_type(request.peek.stream),
        stream: request.peek.stream,
        tokens: u64::try_from(request.size / 4).unwrap_or(u64::MAX),
        headers: request.headers,
        query: request.query,
        who: request.caller.map(Caller::who).unwrap_or_default(),
        used: Used(Some(&used)),
    };
    // What goes through unread is for the provider it was written for.
    let ruleless = request.endpoint.operation == Operation::Invoke;
    let rules = if ruleless { &[] } else { routing.rules.as_slice() };
    let rule = matching(rules, &facts, |rule, why| {
        gateway.metrics.rules.errors.with_label_values(&[&*rule.name]).inc();
        if rule.complains_first() {
            log::warn!("the rule {:?} could not say whether it matches: {why} (told once)", rule.name);
        }
    });
    let Some(rule) = rule else {
        let (targets, asked, led_by) = asked?;
        return Ok(Lead { targets, asked, led_by, ..Lead::default() });
    };
    gateway.metrics.rules.matches.with_label_values(&[&*rule.name]).inc();
    led(rule, asked, (name, names, order), request)
}

/// Percent of the fullest allowance of that kind that the caller's key, team or customer has.
#[expect(clippy::cast_precision_loss, reason = "rules compare floats")]
fn used(gateway: &Gateway, caller: &Caller, gauge: Gauge) -> f64 {
    let now_ms = now_ms();
    let levels = caller.owners().flat_map(|(owner, _)| gateway.meters.levels(&owner, now_ms));
    let asked = levels.filter(|standing| match standing.measure {
        Measure::Cost => gauge == Gauge::Budget,
        Measure::Requests => gauge == Gauge::Requests,
        Measure::Tokens | Measure::InputTokens | Measure::OutputTokens => gauge == Gauge::Tokens,
    });
    let percent = asked.map(|standing| standing.level.used as f64 * 100.0 / standing.level.max.max(1) as f64);
    percent.fold(0.0, f64::max)
}

type Asked = Result<(Vec<ModelRef>, Option<Arc<str>>, LedBy), Fault>;

/// What the rule makes of it.
fn led(
    rule: &Arc<Rule>,
    asked: Asked,
    (name, names, order): (&str, &Names<'_>, &Order<'_>),
    request: Request<'_>,
) -> Result<Lead, Fault> {
    // A rule that names another model helps those that nobody has.
    let keeps =
        |rule: &Rule| rule.targets.iter().any(|target| target.model.is_none() && target.provider.is_none());
    let (targets, provider, led_by) = match asked {
        Ok(asked) => asked,
        Err(fault) if rule.targets.is_empty() || keeps(rule) => return Err(fault),
        Err(_) => (Vec::new(), None, LedBy::Rule),
    };
    let pick = Pick { random: fastrand::u64(..), session: wish::session(request.headers)? };
    let mut lead = ruled(rule, (targets, name), names, order, pick);
    lead.asked = provider;
    if rule.targets.is_empty() {
        lead.led_by = led_by;
    }
    Ok(lead)
}

/// Where a copy of the request goes, if its turn has come.
fn copied(rule: &Rule, names: &Names<'_>, request: Request<'_>) -> Option<Copied> {
    let own = request.purpose.is_none();
    let mirror =
        rule.mirror.as_ref().filter(|mirror| own && fastrand::u32(..1_000_000) < mirror.share_ppm)?;
    let to = find(&mirror.model, names.family, names.snapshot, names.catalog)?;
    let provider = names.snapshot.provider(&to.provider)?;
    // A count tells nothing of a model.
    let able = target::takes(provider, request.endpoint, request.peek.stream)
        && request.endpoint.operation != Operation::CountTokens;
    able.then(|| Copied { rule: Arc::clone(&rule.name), to })
}

fn key_named(headers: &HeaderMap) -> &str {
    let named = ["x-bf-api-key-id", "x-bf-api-key"].into_iter().find_map(|name| headers.get(name));
    named.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Models that can do what is asked stand before those that cannot.
fn able_first(
    mut order: Vec<usize>,
    members: &[(ModelRef, u32)],
    snapshot: &Snapshot,
    request: Request<'_>,
) -> Vec<usize> {
    let able = |at: &usize| {
        let provider = members.get(*at).and_then(|(member, _)| snapshot.provider(&member.provider));
        provider.is_some_and(|found| target::takes(found, request.endpoint, request.peek.stream))
    };
    order.sort_by_key(|at| !able(at));
    order
}
